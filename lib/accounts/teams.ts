/** Teams: groups of an organization's members that access rules of actions speak of. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId, type UserId } from '../ids.js'
import type { Asker, Guard } from './guard.js'
import type { TeamLevel } from './permissions.js'
import { slugFrom } from './slugs.js'

export interface TeamInfo {
  readonly id: string
  readonly slug: string
  readonly name: string
}

/** Rejects with `conflict` when the organization has such a slug, `not-found` when there is no such organization. */
export async function insertTeam(
  client: Queryable,
  team: { organizationId: string; slug: string; name: string },
): Promise<TeamInfo> {
  const id = newId<string>()
  try {
    await client.query('insert into teams (id, organization_id, slug, name) values ($1, $2, $3, $4)', [
      id,
      team.organizationId,
      team.slug,
      team.name,
    ])
  } catch (error) {
    if (violatedConstraint(error) === null) throw error
    const exists = error instanceof AppError && error.code === 'conflict'
    throw exists
      ? new AppError('conflict', `A team "${team.slug}" already exists.`, { cause: error })
      : new AppError('not-found', 'There is no such organization.', { cause: error })
  }
  return { id, slug: team.slug, name: team.name }
}

export async function listTeams(client: Queryable, organizationId: string): Promise<TeamInfo[]> {
  const { rows } = await client.query<TeamInfo>(
    'select id, slug, name from teams where organization_id = $1 order by created_at, id',
    [organizationId],
  )
  return rows
}

/** Does nothing for who is in it already. Rejects with `not-found` unless team and person belong to the organization. */
export async function addTeamMember(
  client: Queryable,
  member: { organizationId: string; teamId: string; personId: string },
): Promise<void> {
  const { rows } = await client.query<{ team_id: string; membership_id: string }>(
    `select teams.id as team_id, memberships.id as membership_id from teams
     join memberships on memberships.organization_id = teams.organization_id
     where teams.organization_id = $1 and teams.id = $2 and memberships.person_id = $3`,
    [member.organizationId, member.teamId, member.personId],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found', 'The team or the member does not belong to this organization.')
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id) values ($1, $2, $3) on conflict do nothing`,
    [member.organizationId, row.team_id, row.membership_id],
  )
}

/** Of these slugs, the ones the organization does not have, in the given order. */
export async function unknownTeamSlugs(
  client: Queryable,
  organizationId: OrganizationId,
  slugs: readonly string[],
): Promise<string[]> {
  if (slugs.length === 0) return []
  const { rows } = await client.query<{ slug: string }>(
    'select slug from teams where organization_id = $1 and slug = any($2)',
    [organizationId, slugs],
  )
  const known = new Set(rows.map(row => row.slug))
  return [...new Set(slugs)].filter(slug => !known.has(slug))
}

/** A team as people see it. */
export interface TeamListing extends TeamInfo {
  /** It comes from a directory, which alone decides its name and members. */
  readonly isManaged: boolean
  readonly members: number
}

export interface TeamMember {
  readonly id: UserId
  readonly email: string
  readonly firstName: string | null
  readonly lastName: string | null
}

/** What a team may do with something: an action or a page. */
export interface TeamAccess {
  readonly kind: 'action' | 'page'
  readonly environment: string
  readonly slug: string
  readonly level: TeamLevel
}

export interface TeamAccounts {
  /** By name. Rejects with `forbidden`. */
  teams(by: Asker): Promise<TeamListing[]>
  /** One with its members and what it has access to, where that is said. Rejects with `forbidden` or `not-found`. */
  team(by: Asker, id: string): Promise<{ team: TeamListing; members: TeamMember[]; access: TeamAccess[] }>
  /** Without a slug one is made from the name. Rejects with `forbidden`, or `conflict` where there is one of that slug. */
  addTeam(by: Asker, team: { name: string; slug?: string | undefined }): Promise<TeamInfo>
  /** Only the name: the slug is what code says. Rejects with `forbidden`, `not-found`, or `conflict` for a managed one. */
  renameTeam(by: Asker, id: string, name: string): Promise<void>
  /** What only this team might use is open to nobody then. Rejects as `renameTeam` does. */
  deleteTeam(by: Asker, id: string): Promise<void>
  /** Does nothing for who is in it. Rejects as `renameTeam` does. */
  addToTeam(by: Asker, id: string, memberId: string): Promise<void>
  /** Does nothing for who is not in it. Rejects as `renameTeam` does. */
  takeFromTeam(by: Asker, id: string, memberId: string): Promise<void>
}

const nameCharactersMax = 100
const membersMax = 1_000
const accessMax = 1_000

const listing = `select teams.id, teams.slug, teams.name, external_id is not null as "isManaged",
  (select count(*)::int from team_memberships where team_id = teams.id) as members from teams`

export function createTeamAccounts(guard: Guard): TeamAccounts {
  const { database, limits } = guard

  /** One that people may change. Rejects with `not-found` or `conflict`. */
  const changeable = async (client: Queryable, organizationId: string, id: string): Promise<void> => {
    const { rows } = await client.query<{ external_id: string | null }>(
      'select external_id from teams where organization_id = $1 and id = $2 for update',
      [organizationId, id],
    )
    const row = rows[0]
    if (!row) throw new AppError('not-found')
    if (row.external_id !== null) {
      throw new AppError('conflict', 'This team comes from a directory and is changed there.')
    }
  }

  return {
    async teams(by) {
      const { organization } = await guard.member(by, 'READ_ORG_USERS', 'list teams')
      const { rows } = await database.query<TeamListing>(
        `${listing} where organization_id = $1 order by lower(teams.name), teams.id`,
        [organization.id],
      )
      return rows
    },

    async team(by, id) {
      const { organization } = await guard.member(by, 'READ_ORG_USERS', 'read a team')
      const { rows } = await database.query<TeamListing>(
        `${listing} where organization_id = $1 and teams.id = $2`,
        [organization.id, id],
      )
      const team = rows[0]
      if (!team) throw new AppError('not-found')
      const { rows: members } = await database.query<TeamMember>(
        `select people.id, email, first_name as "firstName", last_name as "lastName"
         from team_memberships join memberships on memberships.id = membership_id
         join people on people.id = memberships.person_id
         where team_memberships.organization_id = $1 and team_id = $2 order by lower(email), people.id
         limit ${membersMax}`,
        [organization.id, id],
      )
      return { team, members, access: await accessOf(database, organization.id, id) }
    },

    async addTeam(by, { name: text, slug }) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'add a team')
      const name = checkName(text)
      const organizationId = actor.organization.id
      const team = await guard.inTurn(actor, async client => {
        const { rows } = await client.query<{ count: number }>(
          'select count(*)::int as count from teams where organization_id = $1',
          [organizationId],
        )
        if ((rows[0]?.count ?? 0) >= limits.teamsPerOrganizationMax)
          throw new AppError('conflict', 'This organization has as many teams as are allowed.')
        return insertTeam(client, { organizationId, name, slug: slug ?? slugFrom(name) })
      })
      guard.changed(by, actor, 'team.added', { team: team.id, slug: team.slug })
      return team
    },

    async renameTeam(by, id, text) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'rename a team')
      const name = checkName(text)
      await database.transaction(async client => {
        await changeable(client, actor.organization.id, id)
        await client.query('update teams set name = $2, updated_at = now() where id = $1', [id, name])
      })
      guard.changed(by, actor, 'team.renamed', { team: id, name })
    },

    async deleteTeam(by, id) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'delete a team')
      await database.transaction(async client => {
        await changeable(client, actor.organization.id, id)
        await client.query('delete from teams where id = $1', [id])
      })
      guard.rightsChanged(by, actor, 'team.deleted', { team: id })
    },

    async addToTeam(by, id, memberId) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'add to a team')
      await database.transaction(async client => {
        await changeable(client, actor.organization.id, id)
        await addTeamMember(client, {
          organizationId: actor.organization.id,
          teamId: id,
          personId: memberId,
        })
      })
      guard.rightsChanged(by, actor, 'team.member-added', { team: id, member: memberId })
    },

    async takeFromTeam(by, id, memberId) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'take from a team')
      await database.transaction(async client => {
        await changeable(client, actor.organization.id, id)
        await client.query(
          `delete from team_memberships using memberships where memberships.id = membership_id and team_id = $1
             and memberships.person_id = $2`,
          [id, memberId],
        )
      })
      guard.rightsChanged(by, actor, 'team.member-removed', { team: id, member: memberId })
    },
  }
}

/** Trimmed. Rejects with `invalid-value` for none. */
function checkName(text: string): string {
  const name = text.trim().slice(0, nameCharactersMax)
  if (name !== '') return name
  const message = 'Give the team a name.'
  throw new AppError('invalid-value', message, { fields: { name: message } })
}

async function accessOf(client: Queryable, organizationId: string, teamId: string): Promise<TeamAccess[]> {
  const { rows } = await client.query<TeamAccess>(
    `select kind, environments.slug as environment, given.slug, level from (
       select 'action' as kind, environment_id, slug, level from action_access
         join action_metadata using (action_id) join actions on actions.id = action_access.action_id
         where team_id = $2 and organization_id = $1 and availability = 'GROUPS' and developer_id is null
       union all
       select 'page', environment_id, slug, level from action_group_access
         join action_group_metadata using (action_group_id)
         join action_groups on action_groups.id = action_group_access.action_group_id
         where team_id = $2 and organization_id = $1 and availability = 'GROUPS' and developer_id is null
     ) as given join environments on environments.id = environment_id and deleted_at is null
     order by environments.position, environments.slug, given.slug, kind limit ${accessMax}`,
    [organizationId, teamId],
  )
  return rows
}
