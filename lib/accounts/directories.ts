/**
 * Directories: the program of an organization that says who is in it and in which teams (SCIM 2.0, or directory sync of
 * WorkOS). Here is which there are, who may speak for one, and how each change is carried out; people and groups are in
 * `directory-people.ts` and `directory-groups.ts`.
 *
 * Invariants: a token opens one directory of one organization, and only its digest is stored. Changes of one directory
 * happen one after the other. Whoever is switched off is out at once: membership, keys and sessions end in the same
 * transaction, and sockets with them.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, newSecret, type OrganizationId, type SessionId } from '../ids.js'
import type { Limits } from '../limits.js'
import type { AuditEvent } from './contract.js'
import type { Asker, Guard } from './guard.js'
import { holdOrganization } from './organizations.js'
import { type JoiningRole, joiningRoles } from './single-sign-on.js'

const tokenPrefix = 'scim_'
const tokenPattern = /^scim_[\w-]{43}$/
const touchEveryMs = 60_000

/** One directory, as whoever changes something in it needs it. */
export interface Directory {
  readonly id: string
  readonly organizationId: OrganizationId
  /** What its people may do. */
  readonly permissions: readonly string[]
}

/** As an administrator sees it. */
export interface DirectoryInfo {
  readonly organizationId: OrganizationId
  /** Null: there is none. */
  readonly kind: 'SCIM' | 'WORKOS' | null
  readonly hasToken: boolean
  readonly role: JoiningRole
  readonly users: number
  readonly groups: number
  readonly tokenCreatedAt: string | null
  readonly lastUsedAt: string | null
}

/** One change under way: what it does, and what has ended by it. */
export interface DirectoryChange {
  readonly client: Queryable
  readonly directory: Directory
  readonly nowMs: number
  readonly limits: Limits
  /** For who is told once the change is through. */
  readonly ended: { readonly sessions: SessionId[]; readonly keys: string[] }
  /** Audit rows, written once the change is through. */
  readonly events: { readonly name: string; readonly details: NonNullable<AuditEvent['details']> }[]
}

export interface DirectoryAccounts {
  /** Rejects with `forbidden`. */
  directory(by: Asker): Promise<DirectoryInfo>
  /**
   * Makes a directory, or a new token for the one there is; the old token ends. Returns the token, which is told this
   * once. Rejects with `forbidden`, or `conflict` when WorkOS keeps it.
   */
  openDirectory(by: Asker, role: JoiningRole): Promise<string>
  /** Ends it: people and teams stay, kept by hand from now on. Rejects with `forbidden` or `not-found`. */
  closeDirectory(by: Asker): Promise<void>
  /** Whom a token speaks for in this organization (id or slug); null for nobody. */
  directoryOfToken(organization: string, token: string | undefined): Promise<Directory | null>
  /** Carries a change out: one at a time for each directory. */
  changeDirectory<Result>(
    directory: Directory,
    address: string | null,
    work: (change: DirectoryChange) => Promise<Result>,
  ): Promise<Result>
}

interface Row {
  readonly id: string
  readonly organization_id: OrganizationId
  readonly kind: 'SCIM' | 'WORKOS'
  readonly token_hash: Buffer | null
  readonly permissions: string[]
  readonly token_created_at: Date | null
  readonly last_used_at: Date | null
}

export function createDirectories(guard: Guard, audit: (event: AuditEvent) => void): DirectoryAccounts {
  const { database, clock, limits, identities } = guard

  return {
    async directory(by) {
      const { organization } = await guard.member(by, 'WRITE_ORG_SETTINGS', 'read the directory')
      const { rows } = await database.query<Row & { users: number; groups: number }>(
        `select *, (select count(*)::int from directory_users where directory_id = directories.id) as users,
           (select count(*)::int from directory_groups where directory_id = directories.id) as groups
         from directories where organization_id = $1`,
        [organization.id],
      )
      const row = rows[0]
      return {
        organizationId: organization.id,
        kind: row?.kind ?? null,
        hasToken: row?.token_hash != null,
        role: joiningRoles.find(role => row?.permissions.includes(role)) ?? 'ACTION_RUNNER',
        users: row?.users ?? 0,
        groups: row?.groups ?? 0,
        tokenCreatedAt: row?.token_created_at?.toISOString() ?? null,
        lastUsedAt: row?.last_used_at?.toISOString() ?? null,
      }
    },

    async openDirectory(by, role) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'open a directory')
      const token = tokenPrefix + newSecret()
      const { rowCount } = await database.query(
        `insert into directories (id, organization_id, kind, token_hash, permissions, token_created_at)
         values ($1, $2, 'SCIM', $3, $4, $5)
         on conflict (organization_id) do update set token_hash = excluded.token_hash,
           permissions = excluded.permissions, token_created_at = excluded.token_created_at, last_used_at = null
         where directories.kind = 'SCIM'`,
        [newId(), actor.organization.id, hashOf(token), [role], new Date(clock.nowMs())],
      )
      if (rowCount !== 1) throw new AppError('conflict', 'The directory of this organization is at WorkOS.')
      guard.changed(by, actor, 'directory.token-created')
      return token
    },

    async closeDirectory(by) {
      const actor = await guard.member(by, 'WRITE_ORG_SETTINGS', 'close the directory')
      const closed = await database.transaction(client => closeDirectory(client, actor.organization.id))
      if (!closed) throw new AppError('not-found')
      guard.changed(by, actor, 'directory.closed')
    },

    async directoryOfToken(organization, token) {
      if (token === undefined || !tokenPattern.test(token)) return null
      const { rows } = await database.query<Row>(
        `select directories.* from directories join organizations on organizations.id = organization_id
         where token_hash = $1 and kind = 'SCIM' and (organizations.id = $2 or organizations.slug = $2)`,
        [hashOf(token), organization],
      )
      const row = rows[0]
      if (!row) return null
      const nowMs = clock.nowMs()
      if (nowMs - (row.last_used_at?.getTime() ?? 0) > touchEveryMs) {
        await database.query('update directories set last_used_at = $2 where id = $1', [
          row.id,
          new Date(nowMs),
        ])
      }
      return { id: row.id, organizationId: row.organization_id, permissions: row.permissions }
    },

    async changeDirectory(directory, address, work) {
      const { result, change } = await database.transaction(async client => {
        await holdOrganization(client, directory.organizationId)
        const { rowCount } = await client.query('select from directories where id = $1 for update', [
          directory.id,
        ])
        if (rowCount !== 1) throw new AppError('not-found')
        const change: DirectoryChange = {
          client,
          directory,
          nowMs: clock.nowMs(),
          limits,
          ended: { sessions: [], keys: [] },
          events: [],
        }
        return { result: await work(change), change }
      })
      identities.forgetRights(new Set([directory.organizationId]))
      identities.announce(change.ended)
      for (const { name, details } of change.events) {
        audit({ name, organizationId: directory.organizationId, address, details })
      }
      return result
    },
  }
}

/** Its teams are kept by hand from now on. False when there is none. */
export async function closeDirectory(client: Queryable, organizationId: OrganizationId): Promise<boolean> {
  await client.query(
    `update teams set external_id = null, updated_at = now() from directory_groups
     where directory_groups.team_id = teams.id and teams.organization_id = $1`,
    [organizationId],
  )
  const { rowCount } = await client.query('delete from directories where organization_id = $1', [
    organizationId,
  ])
  return rowCount === 1
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
