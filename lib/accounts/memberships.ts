/** Who is in which organization, with which roles and permissions, and in which of its teams. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId, type UserId } from '../ids.js'

export interface MembershipInfo {
  readonly organizationId: OrganizationId
  readonly organizationSlug: string
  readonly permissions: readonly string[]
  readonly groupIds: readonly string[]
}

/** Adds a person, or replaces the permissions they have. Rejects with `not-found` when either does not exist. */
export async function insertMembership(
  client: Queryable,
  membership: { organizationId: OrganizationId; personId: UserId; permissions: readonly string[] },
): Promise<string> {
  try {
    const { rows } = await client.query<{ id: string }>(
      `insert into memberships (id, person_id, organization_id, permissions) values ($1, $2, $3, $4)
       on conflict (person_id, organization_id) do update set permissions = excluded.permissions, updated_at = now()
       returning id`,
      [newId(), membership.personId, membership.organizationId, membership.permissions],
    )
    return rows[0]?.id ?? ''
  } catch (error) {
    if (violatedConstraint(error) === null) throw error
    throw new AppError('not-found', 'There is no such person or organization.', { cause: error })
  }
}

/** The same for somebody who comes in by themselves: who is a member already keeps the permissions they have. */
export async function joinOrganization(
  client: Queryable,
  membership: { organizationId: OrganizationId; personId: UserId; permissions: readonly string[] },
): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    'select id from memberships where organization_id = $1 and person_id = $2 for update',
    [membership.organizationId, membership.personId],
  )
  return rows[0]?.id ?? (await insertMembership(client, membership))
}

export async function isMember(
  client: Queryable,
  organizationId: OrganizationId,
  personId: UserId,
): Promise<boolean> {
  const { rowCount } = await client.query(
    'select from memberships where organization_id = $1 and person_id = $2',
    [organizationId, personId],
  )
  return rowCount === 1
}

/** True for whom a directory of the organization has switched off: nothing else lets them in. */
export async function isSwitchedOff(
  client: Queryable,
  organizationId: OrganizationId,
  personId: UserId,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from directory_users join directories on directories.id = directory_id
     where organization_id = $1 and person_id = $2 and not active`,
    [organizationId, personId],
  )
  return (rowCount ?? 0) > 0
}

/** A person's memberships, oldest first. */
export async function membershipsOf(client: Queryable, personId: UserId): Promise<MembershipInfo[]> {
  const { rows } = await client.query<{
    organization_id: OrganizationId
    slug: string
    permissions: string[]
    team_ids: string[]
  }>(
    `select memberships.organization_id, organizations.slug, memberships.permissions,
       array(select team_id from team_memberships where membership_id = memberships.id order by created_at, team_id)
         as team_ids
     from memberships join organizations on organizations.id = memberships.organization_id
     where person_id = $1 and organizations.deleted_at is null order by memberships.created_at, memberships.id`,
    [personId],
  )
  return rows.map(row => ({
    organizationId: row.organization_id,
    organizationSlug: row.slug,
    permissions: row.permissions,
    groupIds: row.team_ids,
  }))
}

/**
 * Removes a person, revokes their keys of that organization, and takes back what still invites them. Returns the ids of
 * those keys; null when they are not a member.
 */
export async function deleteMembership(
  client: Queryable,
  organizationId: OrganizationId,
  personId: UserId,
): Promise<string[] | null> {
  await client.query(
    `delete from invitations using people where people.id = $2 and organization_id = $1 and accepted_at is null
       and lower(invitations.email) = lower(people.email)`,
    [organizationId, personId],
  )
  const { rowCount } = await client.query(
    'delete from memberships where organization_id = $1 and person_id = $2',
    [organizationId, personId],
  )
  if (rowCount !== 1) return null
  const { rows } = await client.query<{ id: string }>(
    `update api_keys set revoked_at = now() where organization_id = $1 and person_id = $2 and revoked_at is null
     returning id`,
    [organizationId, personId],
  )
  return rows.map(row => row.id)
}
