/** Switches of the installation and of single organizations, kept in the database so that all nodes agree. */
import type { Queryable } from '../database/index.js'

export const globalFlags = ['USER_REGISTRATION_ENABLED', 'GHOST_MODE_ENABLED'] as const
export type GlobalFlag = (typeof globalFlags)[number]

/** Null when nobody has set it. */
export async function globalFlag(client: Queryable, flag: GlobalFlag): Promise<boolean | null> {
  const { rows } = await client.query<{ enabled: boolean }>(
    'select enabled from global_flags where flag = $1',
    [flag],
  )
  return rows[0]?.enabled ?? null
}

export async function setGlobalFlag(client: Queryable, flag: string, enabled: boolean): Promise<void> {
  await client.query(
    `insert into global_flags (flag, enabled) values ($1, $2)
     on conflict (flag) do update set enabled = excluded.enabled, updated_at = now()`,
    [flag, enabled],
  )
}

/** SQL: whether runs of an organization show one IO call at a time, and not those before it as well. */
export const showsOneCallAtATime = `exists (select from organization_flags
  where organization_id = organizations.id and flag = 'TRANSACTION_LEGACY_NO_APPEND_UI' and enabled)`

/** Rejects with `not-found` when there is no such organization. */
export async function setOrganizationFlag(
  client: Queryable,
  organizationId: string,
  flag: string,
  enabled: boolean,
): Promise<void> {
  await client.query(
    `insert into organization_flags (organization_id, flag, enabled) values ($1, $2, $3)
     on conflict (organization_id, flag) do update set enabled = excluded.enabled, updated_at = now()`,
    [organizationId, flag, enabled],
  )
}
