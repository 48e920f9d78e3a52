/** Invitations: an address, what it will be allowed, and an end. The id is the secret in the link. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newSecret, type OrganizationId, type UserId } from '../ids.js'
import { insertMembership } from './memberships.js'

const invitationMs = 14 * 24 * 3_600_000

export interface InvitationInfo {
  readonly id: string
  readonly email: string
  readonly permissions: readonly string[]
  readonly groupIds: readonly string[]
}

export interface InvitationDetails extends InvitationInfo {
  readonly organizationId: OrganizationId
  readonly organizationSlug: string
  readonly organizationName: string
  readonly expiresAt: Date
  readonly acceptedAt: Date | null
}

interface Row {
  readonly id: string
  readonly email: string
  readonly permissions: string[]
  readonly team_ids: string[]
  readonly organization_id: OrganizationId
  readonly organization_slug: string
  readonly organization_name: string
  readonly expires_at: Date
  readonly accepted_at: Date | null
}

const select = `select invitations.id, invitations.email, permissions, team_ids, organization_id, expires_at, accepted_at,
  organizations.slug as organization_slug, organizations.name as organization_name
  from invitations join organizations on organizations.id = invitations.organization_id`

/** Rejects with `not-found` when organization or a team does not exist in it. */
export async function insertInvitation(
  client: Queryable,
  invitation: {
    organizationId: string
    email: string
    permissions: readonly string[]
    teamIds: readonly string[]
    invitedById?: UserId | null
    nowMs: number
  },
): Promise<InvitationInfo> {
  const id = newSecret()
  const teamIds = [...new Set(invitation.teamIds)]
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from teams where organization_id = $1 and id = any($2)',
    [invitation.organizationId, teamIds],
  )
  if (rows[0]?.count !== teamIds.length) {
    throw new AppError('not-found', 'A team does not belong to this organization.')
  }
  try {
    await client.query(
      `insert into invitations (id, organization_id, email, permissions, team_ids, invited_by_id, created_at, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        id,
        invitation.organizationId,
        invitation.email,
        invitation.permissions,
        teamIds,
        invitation.invitedById ?? null,
        new Date(invitation.nowMs),
        new Date(invitation.nowMs + invitationMs),
      ],
    )
  } catch (error) {
    if (violatedConstraint(error) === null) throw error
    throw new AppError('not-found', 'There is no such organization.', { cause: error })
  }
  return { id, email: invitation.email, permissions: invitation.permissions, groupIds: teamIds }
}

/** The newest open invitation of an address, whether or not it has expired. */
export async function invitationByEmail(client: Queryable, email: string): Promise<InvitationInfo | null> {
  const { rows } = await client.query<Row>(
    `${select} where lower(invitations.email) = lower($1) and accepted_at is null
     order by invitations.created_at desc, invitations.id limit 1`,
    [email.trim()],
  )
  return rows[0] ? detailsOf(rows[0]) : null
}

/** The invitation while it can be accepted: rejects with `not-found` when it is unknown, used or expired. */
export async function openInvitation(
  client: Queryable,
  id: string,
  nowMs: number,
  lock = false,
): Promise<InvitationDetails> {
  const { rows } = await client.query<Row>(
    `${select} where invitations.id = $1${lock ? ' for update of invitations' : ''}`,
    [id],
  )
  const row = rows[0]
  if (!row || row.accepted_at !== null || row.expires_at.getTime() <= nowMs) {
    throw new AppError('not-found', 'This invitation does not exist, has expired or was used already.')
  }
  return detailsOf(row)
}

/** Adds the person with the invitation's permissions and teams, and uses the invitation up. */
export async function acceptInvitation(
  client: Queryable,
  invitation: InvitationDetails,
  personId: UserId,
  nowMs: number,
): Promise<void> {
  const membershipId = await insertMembership(client, {
    organizationId: invitation.organizationId,
    personId,
    permissions: invitation.permissions,
  })
  // A team that was deleted meanwhile is left out.
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id)
     select organization_id, id, $2 from teams where organization_id = $1 and id = any($3) on conflict do nothing`,
    [invitation.organizationId, membershipId, invitation.groupIds],
  )
  await client.query('update invitations set accepted_at = $2 where id = $1', [
    invitation.id,
    new Date(nowMs),
  ])
}

export async function deleteInvitations(client: Queryable, organizationId: string): Promise<number> {
  const { rowCount } = await client.query(
    'delete from invitations where organization_id = $1 and accepted_at is null',
    [organizationId],
  )
  return rowCount ?? 0
}

function detailsOf(row: Row): InvitationDetails {
  return {
    id: row.id,
    email: row.email,
    permissions: row.permissions,
    groupIds: row.team_ids,
    organizationId: row.organization_id,
    organizationSlug: row.organization_slug,
    organizationName: row.organization_name,
    expiresAt: row.expires_at,
    acceptedAt: row.accepted_at,
  }
}
