/**
 * The members of an organization as people manage them: a role, teams, and their end.
 *
 * Invariants: an organization always has an administrator, and its owner stays one of them. Nobody gives or takes what
 * they do not hold themselves. Who is removed loses their keys of the organization with the membership.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, UserId } from '../ids.js'
import type { Actor } from './contract.js'
import type { Asker, Guard } from './guard.js'
import { deleteMembership } from './memberships.js'
import { decodeCursor, encodeCursor } from './page-cursor.js'
import { isGrantable, type RoleName, roleNameOf } from './permissions.js'

export interface MemberListing {
  readonly id: UserId
  readonly email: string
  readonly firstName: string | null
  readonly lastName: string | null
  /** Null for permissions that make up no role. */
  readonly role: RoleName | null
  readonly isOwner: boolean
  readonly teams: readonly { readonly id: string; readonly slug: string; readonly name: string }[]
  readonly joinedAt: string
  /** Only for who may change members. */
  readonly liveKeys?: number
  readonly hasSecondFactor?: boolean
}

export interface MemberFilter {
  /** Part of a name or address, in any case. */
  readonly search?: string | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface MemberAccounts {
  /** By address. Rejects with `forbidden`. */
  members(by: Asker, filter: MemberFilter): Promise<{ members: MemberListing[]; next: string | null }>
  /**
   * Sets the role, the teams, or both. Rejects with `forbidden`; `not-found` for who is no member and for teams of others;
   * `conflict` for the owner, the last administrator, and teams that a directory manages.
   */
  changeMember(
    by: Asker,
    memberId: string,
    wanted: { role?: RoleName | undefined; teamIds?: readonly string[] | undefined },
  ): Promise<void>
  /** Removes somebody with their keys of the organization. Rejects as `changeMember` does. */
  removeMember(by: Asker, memberId: string): Promise<void>
}

const pageRows = 50

interface Locked {
  readonly id: string
  readonly permissions: string[]
  readonly is_owner: boolean
}

export function createMemberAccounts(guard: Guard): MemberAccounts {
  const { database, identities } = guard

  return {
    async members(by, filter) {
      const actor = await guard.member(by, 'READ_ORG_USERS', 'list members')
      return listMembers(database, actor, filter)
    },

    async changeMember(by, memberId, { role, teamIds }) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'change a member')
      const organizationId = actor.organization.id
      await database.transaction(async client => {
        const member = await lockMember(client, organizationId, memberId)
        if (role !== undefined && roleNameOf(member.permissions) !== role) {
          if (!isGrantable(actor, member.permissions) || !isGrantable(actor, [role])) {
            throw guard.denied(by, actor, 'change a role above one’s own')
          }
          if (role !== 'ADMIN') await checkMayLose(client, organizationId, memberId, member)
          await client.query('update memberships set permissions = $2, updated_at = now() where id = $1', [
            member.id,
            [role],
          ])
        }
        if (teamIds !== undefined) await setTeams(client, organizationId, member.id, teamIds)
      })
      guard.rightsChanged(by, actor, 'member.changed', {
        member: memberId,
        ...(role !== undefined && { role }),
        ...(teamIds !== undefined && { teams: teamIds.length }),
      })
    },

    async removeMember(by, memberId) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'remove a member')
      const organizationId = actor.organization.id
      const keys = await database.transaction(async client => {
        const member = await lockMember(client, organizationId, memberId)
        if (!isGrantable(actor, member.permissions)) {
          throw guard.denied(by, actor, 'remove a member above oneself')
        }
        await checkMayLose(client, organizationId, memberId, member)
        await checkIsKeptByHand(client, organizationId, memberId)
        return (await deleteMembership(client, organizationId, memberId as UserId)) ?? []
      })
      guard.rightsChanged(by, actor, 'member.removed', { member: memberId, keys: keys.length })
      identities.announce({ keys })
    },
  }
}

/** The member, and the organization, held until the transaction ends: of two who leave at once, one is the last. */
async function lockMember(
  client: Queryable,
  organizationId: OrganizationId,
  personId: string,
): Promise<Locked> {
  const { rows: organizations } = await client.query<{ owner_id: string | null }>(
    'select owner_id from organizations where id = $1 for update',
    [organizationId],
  )
  const { rows } = await client.query<{ id: string; permissions: string[] }>(
    'select id, permissions from memberships where organization_id = $1 and person_id = $2 for update',
    [organizationId, personId],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found')
  return { ...row, is_owner: organizations[0]?.owner_id === personId }
}

/** Whether somebody may stop to be an administrator. Rejects with `conflict`. */
async function checkMayLose(
  client: Queryable,
  organizationId: OrganizationId,
  personId: string,
  member: Locked,
): Promise<void> {
  if (member.is_owner) {
    throw new AppError(
      'conflict',
      'The owner stays an administrator. Give the organization to somebody else first.',
    )
  }
  if (!member.permissions.includes('ADMIN')) return
  const { rows } = await client.query<{ others: number }>(
    `select count(*)::int as others from memberships
     where organization_id = $1 and person_id <> $2 and 'ADMIN' = any(permissions)`,
    [organizationId, personId],
  )
  if (rows[0]?.others === 0) {
    throw new AppError('conflict', 'This is the last administrator. Make somebody else one first.')
  }
}

/** Rejects with `conflict` for who comes from a directory: it would go on to think them in. */
async function checkIsKeptByHand(
  client: Queryable,
  organizationId: OrganizationId,
  personId: string,
): Promise<void> {
  const { rowCount } = await client.query(
    `select from directory_users join directories on directories.id = directory_id
     where organization_id = $1 and person_id = $2 and active`,
    [organizationId, personId],
  )
  if (rowCount) throw new AppError('conflict', 'This member comes from a directory and is removed there.')
}

/** Puts a member into exactly these teams; those that a directory manages stay as they are. */
async function setTeams(
  client: Queryable,
  organizationId: OrganizationId,
  membershipId: string,
  wanted: readonly string[],
): Promise<void> {
  const ids = [...new Set(wanted)]
  const { rows } = await client.query<{ id: string; is_managed: boolean; is_in: boolean }>(
    `select teams.id, external_id is not null as is_managed, membership_id is not null as is_in
     from teams left join team_memberships on team_id = teams.id and membership_id = $3
     where teams.organization_id = $1 and (teams.id = any($2) or membership_id is not null)`,
    [organizationId, ids, membershipId],
  )
  const known = new Map(rows.map(row => [row.id, row]))
  if (ids.some(id => !known.has(id))) {
    throw new AppError('not-found', 'A team does not belong to this organization.')
  }
  const changed = rows.filter(row => row.is_in !== ids.includes(row.id))
  if (changed.some(row => row.is_managed)) {
    throw new AppError('conflict', 'Who is in this team is decided by the directory it comes from.')
  }
  const of = (isIn: boolean): string[] => changed.filter(row => row.is_in === isIn).map(row => row.id)
  await client.query('delete from team_memberships where membership_id = $1 and team_id = any($2)', [
    membershipId,
    of(true),
  ])
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id)
     select organization_id, id, $3 from teams where organization_id = $1 and id = any($2)`,
    [organizationId, of(false), membershipId],
  )
}

async function listMembers(
  client: Queryable,
  actor: Actor,
  filter: MemberFilter,
): Promise<{ members: MemberListing[]; next: string | null }> {
  const limit = filter.limit ?? pageRows
  const [afterEmail = null, afterId = null] = decodeCursor(filter.cursor, 2)
  const { rows } = await client.query<{
    id: UserId
    email: string
    first_name: string | null
    last_name: string | null
    permissions: string[]
    is_owner: boolean
    teams: { id: string; slug: string; name: string }[]
    joined_at: Date
    live_keys: number
    has_second_factor: boolean
  }>(
    `select people.id, email, first_name, last_name, permissions, memberships.created_at as joined_at,
       coalesce(organizations.owner_id = people.id, false) as is_owner,
       coalesce((select jsonb_agg(jsonb_build_object('id', teams.id, 'slug', teams.slug, 'name', teams.name)
         order by lower(teams.name), teams.id)
         from team_memberships join teams on teams.id = team_id where membership_id = memberships.id), '[]') as teams,
       (select count(*)::int from api_keys where api_keys.organization_id = memberships.organization_id
         and api_keys.person_id = people.id and kind = 'PRODUCTION' and revoked_at is null) as live_keys,
       exists (select from second_factors where second_factors.person_id = people.id and confirmed_at is not null)
         as has_second_factor
     from memberships join people on people.id = memberships.person_id
     join organizations on organizations.id = memberships.organization_id
     where memberships.organization_id = $1
       and ($2 = '' or position(lower($2) in lower(concat_ws(' ', first_name, last_name, email))) > 0)
       and ($3::text is null or (lower(email), people.id) > ($3, $4::text))
     order by lower(email), people.id limit $5`,
    [actor.organization.id, filter.search?.trim() ?? '', afterEmail, afterId, limit + 1],
  )
  const isManager = actor.permissions.has('WRITE_ORG_USERS')
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return {
    members: shown.map(row => ({
      id: row.id,
      email: row.email,
      firstName: row.first_name,
      lastName: row.last_name,
      role: roleNameOf(row.permissions),
      isOwner: row.is_owner,
      teams: row.teams,
      joinedAt: row.joined_at.toISOString(),
      ...(isManager && { liveKeys: row.live_keys, hasSecondFactor: row.has_second_factor }),
    })),
    next: rows.length > limit && last ? encodeCursor([last.email.toLowerCase(), last.id]) : null,
  }
}
