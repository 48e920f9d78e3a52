/** Teams: groups of an organization's members that access rules of actions speak of. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId } from '../ids.js'

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
