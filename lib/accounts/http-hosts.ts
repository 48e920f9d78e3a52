/**
 * Serverless hosts as they are registered: addresses of an organization. What they are asked, and whether they answer,
 * is the business of the hosts; the status kept here is a copy for lists.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { type HttpHostId, newId, type OrganizationId } from '../ids.js'
import { limits } from '../limits.js'
import type { Asker, Guard } from './guard.js'

export type HttpHostStatus = 'ONLINE' | 'OFFLINE' | 'UNREACHABLE'

export interface HttpHostInfo {
  readonly id: HttpHostId
  readonly organizationId: OrganizationId
  readonly url: string
  readonly status: HttpHostStatus
}

export interface HttpHostListing extends HttpHostInfo {
  readonly sdkName: string | null
  readonly sdkVersion: string | null
  /** When it answered last. */
  readonly lastConnectedAt: string | null
  readonly createdAt: string
}

/** What people do with them. Who may is checked here. */
export interface HttpHostAccounts {
  /** Rejects with `forbidden` for who may not see the settings of the organization. */
  httpHosts(by: Asker): Promise<HttpHostListing[]>
  /** Registers an address. Rejects with `forbidden`, or `conflict` when there are too many. */
  addHttpHost(by: Asker, url: string): Promise<HttpHostInfo>
  /** One that the person may have asked. Rejects with `forbidden` or `not-found`. */
  httpHost(by: Asker, id: string): Promise<HttpHostInfo>
  /** Rejects with `forbidden` or `not-found`. */
  removeHttpHost(by: Asker, id: string): Promise<void>
  /** One that is registered, whosever it is; null when it is not. */
  registeredHttpHost(id: string): Promise<HttpHostInfo | null>
  /** All that are registered, of all organizations. */
  registeredHttpHosts(): AsyncIterable<HttpHostInfo>
  recordHttpHostStatus(id: string, status: HttpHostStatus): Promise<void>
  recordHttpHostSdk(id: string, sdkName: string, sdkVersion: string): Promise<void>
}

const columns = 'id, organization_id as "organizationId", url, status'
/** Read at once when all are listed. */
const pageRows = 500

/** Registers an address, or takes a removed one back. */
export async function upsertHttpHost(
  client: Queryable,
  organizationId: string,
  url: string,
): Promise<HttpHostInfo> {
  const { rows } = await client.query<HttpHostInfo>(
    `insert into http_hosts (id, organization_id, url) values ($1, $2, $3)
     on conflict (organization_id, url) do update set removed_at = null, updated_at = now()
     returning ${columns}`,
    [newId(), organizationId, url],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found')
  return row
}

export async function findHttpHost(client: Queryable, id: string): Promise<HttpHostInfo | null> {
  const { rows } = await client.query<HttpHostInfo>(
    `select ${columns} from http_hosts where id = $1 and removed_at is null`,
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

/** Returns the ids of what was removed: one, or none when there is no such address. */
export async function removeHttpHost(
  client: Queryable,
  organizationId: string,
  which: { readonly url: string } | { readonly id: string },
): Promise<string[]> {
  const [column, value] = 'url' in which ? ['url', which.url] : ['id', which.id]
  const { rows } = await client.query<{ id: string }>(
    `update http_hosts set removed_at = now()
     where organization_id = $1 and ${column} = $2 and removed_at is null returning id`,
    [organizationId, value],
  )
  return rows.map(row => row.id)
}

export function createHttpHostAccounts(guard: Guard): HttpHostAccounts {
  const { database } = guard

  return {
    async httpHosts(by) {
      const { organization } = await guard.member(by, 'READ_ORG_SETTINGS', 'list HTTP hosts')
      const { rows } = await database.query<
        Omit<HttpHostListing, 'lastConnectedAt' | 'createdAt'> & { connected: Date | null; created: Date }
      >(
        `select ${columns}, sdk_name as "sdkName", sdk_version as "sdkVersion", last_connected_at as connected,
           created_at as created
         from http_hosts where organization_id = $1 and removed_at is null order by created_at, id`,
        [organization.id],
      )
      return rows.map(({ connected, created, ...row }) => ({
        ...row,
        lastConnectedAt: connected?.toISOString() ?? null,
        createdAt: created.toISOString(),
      }))
    },
    async addHttpHost(by, url) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'add an HTTP host')
      const { organization } = actor
      const host = await guard.inTurn(actor, async client => {
        const { rows } = await client.query<{ count: number }>(
          'select count(*)::int as count from http_hosts where organization_id = $1 and removed_at is null and url <> $2',
          [organization.id, url],
        )
        if ((rows[0]?.count ?? 0) >= limits.httpHostsPerOrganizationMax)
          throw new AppError('conflict', 'This organization has as many HTTP hosts as are allowed.')
        return upsertHttpHost(client, organization.id, url)
      })
      guard.changed(by, actor, 'http-host.added', { httpHost: host.id, url })
      return host
    },
    async httpHost(by, id) {
      const { organization } = await guard.member(by, 'READ_ORG_SETTINGS', 'check an HTTP host')
      const host = await findHttpHost(database, id)
      if (host?.organizationId !== organization.id) throw new AppError('not-found')
      return host
    },
    async removeHttpHost(by, id) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'remove an HTTP host')
      const { organization } = actor
      const removed = await removeHttpHost(database, organization.id, { id })
      if (removed.length === 0) throw new AppError('not-found')
      guard.changed(by, actor, 'http-host.removed', { httpHost: id })
    },
    registeredHttpHost: id => findHttpHost(database, id),
    async *registeredHttpHosts() {
      for (let after = ''; ; ) {
        const { rows } = await database.query<HttpHostInfo>(
          `select ${columns} from http_hosts where removed_at is null and id > $1 order by id limit ${pageRows}`,
          [after],
        )
        yield* rows
        const last = rows.at(-1)
        if (!last || rows.length < pageRows) return
        after = last.id
      }
    },
    recordHttpHostStatus: (id, status) => setHttpHostStatus(database, id, status),
    async recordHttpHostSdk(id, sdkName, sdkVersion) {
      await database.query('update http_hosts set sdk_name = $2, sdk_version = $3 where id = $1', [
        id,
        sdkName,
        sdkVersion,
      ])
    },
  }
}
