/**
 * How people come into organizations and leave them by themselves: making one, accepting and declining invitations,
 * leaving.
 *
 * Invariant: an organization keeps its owner and at least one administrator. Invitations are shown only to who has
 * proven that the address is theirs: an account for somebody else's address opens nothing.
 */
import { AppError } from '../errors.js'
import type { OrganizationId } from '../ids.js'
import type { AccountParts } from './account-parts.js'
import type { ClientIdentity } from './contract.js'
import { invitationIdOf } from './invitations.js'
import { deleteMembership } from './memberships.js'
import { findOrganization, insertOrganization } from './organizations.js'
import type { Origin, SignIn } from './sign-in.js'

export interface OwnInvitation {
  readonly id: string
  readonly organization: { readonly slug: string; readonly name: string }
  /** Name or address. */
  readonly inviter: string | null
  readonly expiresAt: string
}

export interface OwnOrganizations {
  /** Of the organizations they are in, the slugs of those they own. */
  ownedOrganizations(who: ClientIdentity): Promise<string[]>
  /** Open ones for the person's address, newest first; none while the address is not proven. */
  ownInvitations(who: ClientIdentity): Promise<OwnInvitation[]>
  /** Rejects with `not-found` unless it is open and for the person's address. */
  declineInvitation(who: ClientIdentity, id: string, origin: Origin): Promise<void>
  mayCreateOrganizations(who: ClientIdentity): Promise<boolean>
  /** Rejects with `forbidden` unless strangers may sign up or the person administers an organization already. */
  createOrganization(who: ClientIdentity, name: string, origin: Origin): Promise<{ slug: string }>
  /** Ends the membership and its keys. Rejects with `conflict` for the owner and for the last administrator. */
  leaveOrganization(who: ClientIdentity, slug: string, origin: Origin): Promise<void>
}

export function createOwnOrganizations(
  parts: AccountParts,
  { signUpEnabled }: Pick<SignIn, 'signUpEnabled'>,
): OwnOrganizations {
  const { database, clock, limits, audit, identities } = parts

  const mayCreate = async (who: ClientIdentity): Promise<boolean> => {
    if (await signUpEnabled()) return true
    const { rowCount } = await database.query(
      `select from memberships join organizations on organizations.id = organization_id
       where person_id = $1 and 'ADMIN' = any(permissions) and organizations.deleted_at is null limit 1`,
      [who.user.id],
    )
    return rowCount === 1
  }

  return {
    mayCreateOrganizations: mayCreate,

    async ownedOrganizations(who) {
      const { rows } = await database.query<{ slug: string }>(
        'select slug from organizations where owner_id = $1 and deleted_at is null order by created_at, id',
        [who.user.id],
      )
      return rows.map(({ slug }) => slug)
    },

    async ownInvitations(who) {
      const { rows } = await database.query<{
        id: string
        slug: string
        name: string
        inviter: string | null
        expires_at: Date
      }>(
        `select invitations.id, slug, name, invitations.expires_at,
           coalesce(nullif(trim(concat(inviters.first_name, ' ', inviters.last_name)), ''), inviters.email) as inviter
         from people
         join invitations on lower(invitations.email) = lower(people.email)
         join organizations on organizations.id = invitations.organization_id and organizations.deleted_at is null
         left join people inviters on inviters.id = invitations.invited_by_id
         where people.id = $1 and people.email_confirmed_at is not null and accepted_at is null
           and invitations.expires_at > $2
           and not exists (select from memberships where memberships.person_id = people.id
             and memberships.organization_id = organizations.id)
         order by invitations.created_at desc limit 100`,
        [who.user.id, new Date(clock.nowMs())],
      )
      return rows.map(({ id, slug, name, inviter, expires_at }) => ({
        id,
        organization: { slug, name },
        inviter,
        expiresAt: expires_at.toISOString(),
      }))
    },

    async declineInvitation(who, id, origin) {
      const { rows } = await database.query<{ organization_id: OrganizationId }>(
        `delete from invitations using people
         where invitations.id = $1 and people.id = $2 and lower(invitations.email) = lower(people.email)
           and accepted_at is null returning organization_id`,
        [invitationIdOf(id), who.user.id],
      )
      const row = rows[0]
      if (!row)
        throw new AppError('not-found', 'This invitation does not exist, has expired or was used already.')
      audit.record({
        name: 'invitation.declined',
        userId: who.user.id,
        organizationId: row.organization_id,
        address: origin.address,
      })
    },

    async createOrganization(who, name, origin) {
      if (!(await mayCreate(who)))
        throw new AppError('forbidden', 'Ask an administrator: new organizations are not for everybody here.')
      const organization = await database.transaction(async client => {
        // One after another, so that the count holds.
        await client.query('select from people where id = $1 for update', [who.user.id])
        const { rows } = await client.query<{ count: number }>(
          'select count(*)::int as count from organizations where owner_id = $1 and deleted_at is null',
          [who.user.id],
        )
        if ((rows[0]?.count ?? 0) >= limits.organizationsOwnedMax)
          throw new AppError(
            'forbidden',
            `You own ${limits.organizationsOwnedMax} organizations. That is the most.`,
          )
        return insertOrganization(client, { name, ownerId: who.user.id, reserved: parts.operators })
      })
      audit.record({
        name: 'organization.created',
        userId: who.user.id,
        organizationId: organization.id,
        address: origin.address,
      })
      return { slug: organization.slug }
    },

    async leaveOrganization(who, slug, origin) {
      const left = await database.transaction(async client => {
        const organization = await findOrganization(client, { slug })
        if (!organization) throw new AppError('not-found')
        // Whoever leaves at the same moment waits here.
        await client.query('select from organizations where id = $1 for update', [organization.id])
        const { rows } = await client.query<{
          person_id: string
          is_admin: boolean
          owner_id: string | null
        }>(
          `select person_id, 'ADMIN' = any(permissions) as is_admin, owner_id
           from memberships join organizations on organizations.id = organization_id where organization_id = $1`,
          [organization.id],
        )
        const own = rows.find(({ person_id }) => person_id === who.user.id)
        if (!own) throw new AppError('not-found')
        if (own.owner_id === who.user.id) {
          throw new AppError('conflict', 'You own this organization. Make somebody else its owner first.')
        }
        const administrators = rows.filter(({ is_admin }) => is_admin)
        if (own.is_admin && administrators.length === 1)
          throw new AppError('conflict', 'You are the last administrator. Make somebody else one first.')
        const keys = await deleteMembership(client, organization.id, who.user.id)
        return { organization, keys: keys ?? [] }
      })
      identities.announce({ keys: left.keys })
      identities.forgetRights(new Set([left.organization.id]))
      audit.record({
        name: 'membership.left',
        userId: who.user.id,
        organizationId: left.organization.id,
        address: origin.address,
        details: { keysRevoked: left.keys.length },
      })
    },
  }
}
