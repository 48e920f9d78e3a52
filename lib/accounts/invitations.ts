/**
 * Invitations: an address, what it will be allowed, and an end. Whoever has the id may follow it, under this address.
 *
 * Invariant: following one proves the address only with the link of the mail. Its id is followed by a seal that nobody
 * who invites is shown: else anybody with an organization could make accounts whose addresses count as theirs, and wait
 * there for what is meant for others.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newSecret, type OrganizationId, type UserId } from '../ids.js'
import { enqueueMail, invitationLetter } from '../mail/index.js'
import type { Actor } from './contract.js'
import type { ConfirmationLinks } from './email-confirmations.js'
import type { Asker, Guard } from './guard.js'
import { isSwitchedOff, joinOrganization } from './memberships.js'
import { checkEmail, fullName } from './people.js'
import { isGrantable, type RoleName, roleNameOf } from './permissions.js'

const invitationDays = 30
const invitationMs = invitationDays * 24 * 3_600_000
/** Mails of one invitation are at least so far apart. */
const resendMsMin = 60_000

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
  /** The address has an account already. */
  readonly hasAccount: boolean
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
  readonly has_account: boolean
}

const select = `select invitations.id, invitations.email, permissions, team_ids, organization_id, expires_at, accepted_at,
  organizations.slug as organization_slug, organizations.name as organization_name,
  exists (select from people where lower(people.email) = lower(invitations.email)) as has_account
  from invitations join organizations on organizations.id = invitations.organization_id
  and organizations.deleted_at is null`

/** What stands in the link of its mail: the id, and a seal that only the server's secret makes. */
export function mailedToken(links: Pick<ConfirmationLinks, 'secret'>, id: string): string {
  return `${id}.${sealOf(links, id)}`
}

/** The id of an invitation, from itself or from the text of a link. */
export function invitationIdOf(text: string): string {
  return text.split('.')[0] ?? ''
}

/** True when the text of a link is that of the mail, so that whoever brings it reads the mails of the address. */
export function isMailedToken(links: Pick<ConfirmationLinks, 'secret'>, text: string): boolean {
  const [id = '', seal = ''] = text.split('.', 2)
  const given = Buffer.from(seal)
  const expected = Buffer.from(sealOf(links, id))
  return given.length === expected.length && timingSafeEqual(given, expected)
}

/** The text of a mail with links that can be followed, and prove nothing: for who reads it in somebody's place. */
export function withoutSeals(text: string): string {
  return text.replace(/(token=[\w-]{43})(\.|%2E)[\w-]{43}/gi, '$1')
}

function sealOf({ secret }: Pick<ConfirmationLinks, 'secret'>, id: string): string {
  return createHmac('sha256', secret).update(`invitation mail ${id}`).digest('base64url')
}

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

/**
 * The invitation while it can be accepted: rejects with `not-found` when it is unknown, used or expired. `text`: its id, or
 * what stands in the link of its mail.
 */
export async function openInvitation(
  client: Queryable,
  text: string,
  nowMs: number,
  lock = false,
): Promise<InvitationDetails> {
  if (lock) {
    // Whoever removes a member holds the organization first, and then what invites them.
    await client.query(
      `select from organizations where id = (select organization_id from invitations where id = $1) for no key update`,
      [invitationIdOf(text)],
    )
  }
  const { rows } = await client.query<Row>(
    `${select} where invitations.id = $1${lock ? ' for update of invitations' : ''}`,
    [invitationIdOf(text)],
  )
  const row = rows[0]
  if (!row || row.accepted_at !== null || row.expires_at.getTime() <= nowMs) {
    throw new AppError('not-found', 'This invitation does not exist, has expired or was used already.')
  }
  return detailsOf(row)
}

/**
 * Adds the person with the invitation's permissions and teams, and uses the invitation up. Who is in already keeps the
 * permissions they have. Rejects with `forbidden` for whom a directory of the organization has switched off.
 */
export async function acceptInvitation(
  client: Queryable,
  invitation: InvitationDetails,
  personId: UserId,
  nowMs: number,
): Promise<void> {
  if (await isSwitchedOff(client, invitation.organizationId, personId)) {
    throw new AppError('forbidden', 'The directory of this organization has switched this account off.')
  }
  const membershipId = await joinOrganization(client, {
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
    hasAccount: row.has_account,
    expiresAt: row.expires_at,
    acceptedAt: row.accepted_at,
  }
}

/** An invitation that waits, as those who may invite see it. */
export interface PendingInvitation {
  /** Whoever has it may join, under this address, which that does not prove. */
  readonly id: string
  readonly email: string
  readonly role: RoleName | null
  readonly teamIds: readonly string[]
  readonly invitedBy: string | null
  readonly createdAt: string
  readonly expiresAt: string
  readonly isExpired: boolean
}

export interface InvitationAccounts {
  /** Those that wait, newest first. Rejects with `forbidden`. */
  invitations(by: Asker): Promise<PendingInvitation[]>
  /**
   * Invites an address, in the place of an older invitation to it, and sends the mail. Rejects with `invalid-value` for
   * what is no address, `conflict` for a member's and where too many wait, `forbidden`, `not-found` for teams of others.
   */
  invite(
    by: Asker,
    invitation: { email: string; role: RoleName; teamIds: readonly string[] },
  ): Promise<PendingInvitation>
  /** Sends the mail again; it may be followed for its full time from now on. Rejects with `too-many-requests` too soon. */
  resendInvitation(by: Asker, id: string): Promise<void>
  /** Its link leads nowhere from now on. */
  revokeInvitation(by: Asker, id: string): Promise<void>
}

export function createInvitationAccounts(guard: Guard, links: ConfirmationLinks): InvitationAccounts {
  const { database, clock, limits } = guard

  /** Into the outbox, in the transaction that makes the invitation. Rejects with `too-many-requests` after too many. */
  const mail = async (
    client: Queryable,
    actor: Actor,
    { id, email }: { id: string; email: string },
  ): Promise<void> => {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from (select from mails where organization_id = $1 and kind = 'invitation'
         and created_at > now() - interval '1 day' limit $2) as sent`,
      [actor.organization.id, limits.invitationMailsPerDayMax],
    )
    if ((rows[0]?.count ?? 0) >= limits.invitationMailsPerDayMax)
      throw new AppError('too-many-requests', 'Too many invitations were sent today. Go on tomorrow.')
    await enqueueMail(client, {
      organizationId: actor.organization.id,
      kind: 'invitation',
      to: email,
      ...invitationLetter({
        organization: actor.organization.name,
        inviter: fullName(actor.user),
        url: `${links.appUrl}/signup?token=${mailedToken(links, id)}`,
        validDays: invitationDays,
      }),
    })
  }

  return {
    async invitations(by) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'list invitations')
      return pendingInvitations(database, actor.organization.id, clock.nowMs())
    },

    async invite(by, { email: text, role, teamIds }) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'invite somebody')
      const organizationId = actor.organization.id
      if (!isGrantable(actor, [role])) throw guard.denied(by, actor, 'invite above oneself')
      const email = checkEmail(text)
      const nowMs = clock.nowMs()
      const made = await guard.inTurn(actor, async client => {
        await checkRoom(client, organizationId, email, limits.invitationsPerOrganizationMax)
        await client.query(
          `delete from invitations where organization_id = $1 and accepted_at is null
             and (lower(email) = lower($2) or expires_at < $3)`,
          [organizationId, email, new Date(nowMs - invitationMs)],
        )
        const invitation = await insertInvitation(client, {
          organizationId,
          email,
          permissions: [role],
          teamIds,
          invitedById: by.userId,
          nowMs,
        })
        await mail(client, actor, invitation)
        return invitation
      })
      guard.changed(by, actor, 'invitation.sent', { email, role, teams: made.groupIds.length })
      return {
        id: made.id,
        email,
        role,
        teamIds: made.groupIds,
        invitedBy: actor.user.email,
        createdAt: new Date(nowMs).toISOString(),
        expiresAt: new Date(nowMs + invitationMs).toISOString(),
        isExpired: false,
      }
    },

    async resendInvitation(by, id) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'send an invitation again')
      const nowMs = clock.nowMs()
      const email = await database.transaction(async client => {
        const { rows } = await client.query<{
          id: string
          email: string
          permissions: string[]
          sent_at: Date
        }>(
          `select id, email, permissions, coalesce(sent_at, created_at) as sent_at from invitations
           where id = $1 and organization_id = $2 and accepted_at is null for update`,
          [id, actor.organization.id],
        )
        const row = rows[0]
        if (!row) throw new AppError('not-found')
        if (!isGrantable(actor, row.permissions)) throw guard.denied(by, actor, 'invite above oneself')
        if (nowMs - row.sent_at.getTime() < resendMsMin) {
          throw new AppError('too-many-requests', 'It was sent a moment ago. Wait a minute.')
        }
        await client.query('update invitations set sent_at = $2, expires_at = $3 where id = $1', [
          id,
          new Date(nowMs),
          new Date(nowMs + invitationMs),
        ])
        await mail(client, actor, row)
        return row.email
      })
      guard.changed(by, actor, 'invitation.sent-again', { email })
    },

    async revokeInvitation(by, id) {
      const actor = await guard.member(by, 'WRITE_ORG_USERS', 'revoke an invitation')
      const { rows } = await database.query<{ email: string }>(
        'delete from invitations where id = $1 and organization_id = $2 and accepted_at is null returning email',
        [id, actor.organization.id],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-found')
      guard.changed(by, actor, 'invitation.revoked', { email: row.email })
    },
  }
}

/** Rejects with `conflict` for who is a member already, and where too many invitations wait. */
async function checkRoom(
  client: Queryable,
  organizationId: OrganizationId,
  email: string,
  invitationsMax: number,
): Promise<void> {
  const { rows } = await client.query<{ is_member: boolean; waiting: number }>(
    `select exists (select from memberships join people on people.id = person_id
         where organization_id = $1 and lower(people.email) = lower($2)) as is_member,
       (select count(*)::int from invitations where organization_id = $1 and accepted_at is null
         and lower(email) <> lower($2)) as waiting`,
    [organizationId, email],
  )
  const row = rows[0]
  const message = row?.is_member
    ? 'This person is a member already.'
    : 'Too many invitations wait. Revoke some of them first.'
  if (row?.is_member || (row?.waiting ?? 0) >= invitationsMax) {
    throw new AppError('conflict', message, { fields: { email: message } })
  }
}

async function pendingInvitations(
  client: Queryable,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<PendingInvitation[]> {
  const { rows } = await client.query<
    Pick<Row, 'id' | 'email' | 'permissions' | 'team_ids' | 'expires_at'> & {
      created_at: Date
      invited_by: string | null
    }
  >(
    `select invitations.id, invitations.email, permissions, team_ids, invitations.created_at, expires_at,
       people.email as invited_by
     from invitations left join people on people.id = invited_by_id
     where organization_id = $1 and accepted_at is null
     order by invitations.created_at desc, invitations.id limit 1000`,
    [organizationId],
  )
  return rows.map(row => ({
    id: row.id,
    email: row.email,
    role: roleNameOf(row.permissions),
    teamIds: row.team_ids,
    invitedBy: row.invited_by,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    isExpired: row.expires_at.getTime() <= nowMs,
  }))
}
