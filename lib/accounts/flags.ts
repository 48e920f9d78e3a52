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

export async function organizationFlags(
  client: Queryable,
  organizationId: string,
): Promise<ReadonlyMap<string, boolean>> {
  const { rows } = await client.query<{ flag: string; enabled: boolean }>(
    'select flag, enabled from organization_flags where organization_id = $1',
    [organizationId],
  )
  return new Map(rows.map(row => [row.flag, row.enabled]))
}

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
