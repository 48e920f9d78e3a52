/** Serverless hosts: addresses that are asked to announce their routes. Asking them is not done here. */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId } from '../ids.js'

export type HttpHostStatus = 'ONLINE' | 'OFFLINE' | 'UNREACHABLE'

export interface HttpHostInfo {
  readonly id: string
  readonly url: string
  readonly status: HttpHostStatus
}

/** Registers an address, or takes a removed one back. */
export async function upsertHttpHost(
  client: Queryable,
  organizationId: string,
  url: string,
): Promise<HttpHostInfo> {
  const { rows } = await client.query<HttpHostInfo>(
    `insert into http_hosts (id, organization_id, url) values ($1, $2, $3)
     on conflict (organization_id, url) do update set removed_at = null, updated_at = now()
     returning id, url, status`,
    [newId(), organizationId, url],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found')
  return row
}

export async function findHttpHost(client: Queryable, id: string): Promise<HttpHostInfo | null> {
  const { rows } = await client.query<HttpHostInfo>(
    'select id, url, status from http_hosts where id = $1 and removed_at is null',
    [id],
  )
  return rows[0] ?? null
}

export async function setHttpHostStatus(
  client: Queryable,
  id: string,
  status: HttpHostStatus,
): Promise<void> {
  await client.query(
    `update http_hosts set status = $2, updated_at = now(),
       last_connected_at = case when $2 = 'ONLINE' then now() else last_connected_at end where id = $1`,
    [id, status],
  )
}

export async function removeHttpHost(client: Queryable, organizationId: string, url: string): Promise<void> {
  await client.query('update http_hosts set removed_at = now() where organization_id = $1 and url = $2', [
    organizationId,
    url,
  ])
}
