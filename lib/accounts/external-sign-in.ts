/**
 * Coming in through a provider: what it says of somebody becomes a person and a session.
 *
 * Invariants: an account is found by who somebody is at the provider (issuer and subject), else by an address that both
 * sides have confirmed: the provider says so, and here somebody has followed a link to it. A provider of an organization
 * speaks only for addresses of its proven domains, of the account as well as of the claim: whoever sets one up reaches
 * nobody else's account. A way to a provider leads to one session.
 */
import { createHash } from 'node:crypto'
import type { Database, Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, SessionId, UserId } from '../ids.js'
import type { Limits } from '../limits.js'
import type { Audit } from './audit.js'
import type { Clock } from './clock.js'
import type { ClientIdentity } from './contract.js'
import { speaksFor } from './email-domains.js'
import type { Identities } from './identities.js'
import { acceptInvitation, openInvitation } from './invitations.js'
import { insertMembership, isMember, isSwitchedOff } from './memberships.js'
import { holdOrganization, insertOrganization } from './organizations.js'
import {
  checkEmail,
  fullName,
  insertPerson,
  lockPerson,
  type PersonRow,
  personByEmail,
  personById,
  personOf,
} from './people.js'
import { insertSession, tokenHash } from './sessions.js'
import type { Origin, SignedIn, SignIn } from './sign-in.js'
import { type OrganizationProvider, providerName, requireOpenPassword } from './single-sign-on.js'

/** What a provider has said, checked by whoever asked it. */
export interface ExternalClaims {
  readonly issuer: string
  readonly subject: string
  readonly email: string | null
  readonly emailVerified: boolean
  readonly firstName: string | null
  readonly lastName: string | null
  /** Null: it said nothing of groups. */
  readonly groups: readonly string[] | null
}

/** Why somebody is not let in, as a word in an address; the dashboard has a sentence for each. */
export type SignOnProblem =
  | 'cancelled'
  | 'failed'
  | 'unreachable'
  | 'not-set-up'
  | 'no-email'
  | 'wrong-domain'
  | 'unconfirmed'
  | 'no-account'
  | 'deactivated'
  | 'single-sign-on'
  | 'other-person'

/** Somebody who is not let in. */
export class NotLetIn extends AppError {
  readonly problem: SignOnProblem

  constructor(problem: SignOnProblem) {
    super('forbidden', `Not let in: ${problem}.`)
    this.problem = problem
  }
}

export interface ExternalSignIn {
  /** Rejects with `NotLetIn` when the way with this state has led to a session before. */
  takeState(state: string, lastsMs: number): Promise<void>
  /** Through the provider of an organization. Rejects with `NotLetIn`. */
  enterOrganization(provider: OrganizationProvider, claims: ExternalClaims, origin: Origin): Promise<SignedIn>
  /** Through Google. `invitation`: what brought them. Rejects with `NotLetIn`. */
  enterWithGoogle(claims: ExternalClaims, invitation: string | null, origin: Origin): Promise<SignedIn>
  /**
   * Somebody who is in has proven once more who they are, at the provider of an organization, for a step of an action.
   * Rejects with `NotLetIn` when it was somebody else.
   */
  confirmThrough(
    who: ClientIdentity,
    organizationId: OrganizationId,
    claims: ExternalClaims,
    step: string | null,
    origin: Origin,
  ): Promise<void>
  /** The organization through whose provider the session began; null for another way in. */
  organizationOfSession(sessionId: SessionId): Promise<string | null>
}

export function createExternalSignIn(options: {
  readonly database: Database
  readonly clock: Clock
  readonly limits: Limits
  readonly audit: Audit
  readonly identities: Identities
  /** Slug of the organization of operators, where one is named. */
  readonly operators: string | null
  readonly signIn: Pick<SignIn, 'signUpEnabled'>
}): ExternalSignIn {
  const { database, clock, limits, audit, identities } = options
  const times = { idleMs: limits.sessionIdleMsMax, absoluteMs: limits.sessionAbsoluteMsMax }

  const notLetIn = (
    problem: SignOnProblem,
    origin: Origin,
    provider: string,
    personId?: UserId,
  ): NotLetIn => {
    audit.record({
      name: 'session.refused',
      userId: personId ?? null,
      address: origin.address,
      details: { reason: problem, provider },
    })
    return new NotLetIn(problem)
  }

  /** Ends the session that the browser had, and begins one. */
  const begin = async (
    client: Queryable,
    person: PersonRow,
    provider: string,
    origin: Origin,
    secondFactorDue: boolean,
  ): Promise<{ session: SignedIn; ended: SessionId[] }> => {
    const { rows } = await client.query<{ id: SessionId }>(
      'delete from sessions where token_hash = $1 returning id',
      [tokenHash(origin.previousToken ?? '')],
    )
    const nowMs = clock.nowMs()
    const { id, token, expiresAtMs } = await insertSession(
      client,
      { personId: person.id, address: origin.address, userAgent: origin.userAgent, nowMs, secondFactorDue },
      times,
    )
    await client.query('update sessions set provider = $2 where id = $1', [id, provider])
    const session = { sessionId: id, user: personOf(person), token, expiresAtMs, secondFactorDue }
    return { session, ended: rows.map(row => row.id) }
  }

  const started = (
    result: { session: SignedIn; ended: SessionId[] },
    provider: string,
    origin: Origin,
  ): SignedIn => {
    const { session, ended } = result
    identities.announce({ sessions: ended })
    audit.record({
      name: session.secondFactorDue ? 'second-factor.asked' : 'session.started',
      userId: session.user.id,
      address: origin.address,
      details: { way: provider, session: session.sessionId },
    })
    return session
  }

  return {
    async takeState(state, lastsMs) {
      const nowMs = clock.nowMs()
      await database.query('delete from used_sign_on_states where expires_at < $1', [new Date(nowMs)])
      const { rowCount } = await database.query(
        'insert into used_sign_on_states (state_hash, expires_at) values ($1, $2) on conflict do nothing',
        [createHash('sha256').update(state).digest(), new Date(nowMs + lastsMs)],
      )
      if (rowCount !== 1) throw new NotLetIn('cancelled')
    },

    async enterOrganization(provider, claims, origin) {
      const name = providerName(provider.organizationId)
      const refuse = (problem: SignOnProblem, personId?: UserId): NotLetIn =>
        notLetIn(problem, origin, name, personId)
      const email = verifiedEmail(claims)
      if (email === null) throw refuse('no-email')
      if (!(await speaksFor(database, provider.organizationId, email))) throw refuse('wrong-domain')
      const result = await database.transaction(async client => {
        await holdOrganization(client, provider.organizationId)
        let person = await personOfIdentity(client, name, claims, clock.nowMs())
        if (person === null) {
          person = await personByEmail(client, email)
          // Whom the organization has let in itself is no stranger who has taken the address.
          if (
            person?.email_confirmed_at === null &&
            !(await isMember(client, provider.organizationId, person.id))
          ) {
            throw refuse('unconfirmed', person.id)
          }
          person ??= await insertPerson(client, {
            email,
            firstName: claims.firstName,
            lastName: claims.lastName,
            passwordHash: null,
            confirmedAt: new Date(clock.nowMs()),
          })
          await linkIdentity(client, name, claims, person.id, provider.organizationId, clock.nowMs())
        }
        person = (await lockPerson(client, person.id)) ?? person
        // Whoever moved to an address elsewhere has left what the organization speaks for.
        if (!(await speaksFor(client, provider.organizationId, person.email))) {
          throw refuse('wrong-domain', person.id)
        }
        if (await isSwitchedOff(client, provider.organizationId, person.id)) {
          throw refuse('deactivated', person.id)
        }
        const joined = await join(client, provider, person, clock.nowMs())
        if (claims.groups !== null)
          await applyGroups(client, provider.organizationId, person.id, claims.groups)
        const due = await isCodeDue(client, person.id, provider.organizationId)
        return { ...(await begin(client, person, name, origin, due)), joined }
      })
      identities.forgetRights(new Set([provider.organizationId]))
      if (result.joined) {
        audit.record({
          name: 'member.joined',
          userId: result.session.user.id,
          organizationId: provider.organizationId,
          address: origin.address,
          details: { way: 'single sign-on' },
        })
      }
      return started(result, name, origin)
    },

    async enterWithGoogle(claims, invitationId, origin) {
      const name = 'google'
      const refuse = (problem: SignOnProblem, personId?: UserId): NotLetIn =>
        notLetIn(problem, origin, name, personId)
      const email = verifiedEmail(claims)
      if (email === null) throw refuse('no-email')
      const mayMake = await options.signIn.signUpEnabled()
      const result = await database.transaction(async client => {
        let person = await personOfIdentity(client, name, claims, clock.nowMs())
        if (person === null) {
          person = await personByEmail(client, email)
          if (person?.email_confirmed_at === null) throw refuse('unconfirmed', person.id)
          const invitation =
            person === null && invitationId !== null
              ? await openInvitation(client, invitationId, clock.nowMs(), true).catch(() => null)
              : null
          const invited = invitation?.email.toLowerCase() === email.toLowerCase() ? invitation : null
          if (person === null && invited === null && !mayMake) throw refuse('no-account')
          if (person === null) {
            person = await insertPerson(client, {
              email,
              firstName: claims.firstName,
              lastName: claims.lastName,
              passwordHash: null,
              confirmedAt: new Date(clock.nowMs()),
            })
            if (invited) await acceptInvitation(client, invited, person.id, clock.nowMs())
            else {
              const whose = claims.firstName ?? fullName(personOf(person))
              await insertOrganization(client, {
                name: `${whose}'s organization`,
                ownerId: person.id,
                reserved: options.operators,
              })
            }
          }
          await linkIdentity(client, name, claims, person.id, null, clock.nowMs())
        }
        // Where an organization asks for its own provider, Google is no way around it.
        await requireOpenPassword(client, person.id).catch((error: unknown) => {
          if (error instanceof AppError && error.code === 'forbidden') {
            throw refuse('single-sign-on', person?.id)
          }
          throw error
        })
        person = (await lockPerson(client, person.id)) ?? person
        // It stands for the password; a second factor is asked for as after one.
        return begin(client, person, name, origin, person.second_factor_id !== null)
      })
      identities.forgetRights()
      return started(result, name, origin)
    },

    async confirmThrough(who, organizationId, claims, step, origin) {
      const provider = providerName(organizationId)
      const person = await personOfIdentity(database, provider, claims, clock.nowMs())
      if (person?.id !== who.user.id) throw notLetIn('other-person', origin, provider, who.user.id)
      await database.query(
        `update sessions set identity_confirmed_at = $2, identity_confirmed_for = $3, identity_confirmed_through = $4
         where id = $1`,
        [who.sessionId, new Date(clock.nowMs()), step, organizationId],
      )
      const details = { session: who.sessionId, way: provider }
      audit.record({ name: 'identity.confirmed', userId: person.id, address: origin.address, details })
    },

    async organizationOfSession(sessionId) {
      const { rows } = await database.query<{ organization_id: string }>(
        `select organization_id from sessions join single_sign_on on provider = 'organization:' || organization_id
         where sessions.id = $1 and issuer is not null`,
        [sessionId],
      )
      return rows[0]?.organization_id ?? null
    },
  }
}

/** The address that the provider has verified; null for none. */
function verifiedEmail({ email, emailVerified }: ExternalClaims): string | null {
  if (email === null || !emailVerified) return null
  try {
    return checkEmail(email)
  } catch {
    return null
  }
}

async function personOfIdentity(
  client: Queryable,
  provider: string,
  { issuer, subject }: ExternalClaims,
  nowMs: number,
): Promise<PersonRow | null> {
  const { rows } = await client.query<{ person_id: UserId }>(
    `update external_identities set last_used_at = $4 where provider = $1 and issuer = $2 and subject = $3
     returning person_id`,
    [provider, issuer, subject, new Date(nowMs)],
  )
  return rows[0] ? personById(client, rows[0].person_id) : null
}

async function linkIdentity(
  client: Queryable,
  provider: string,
  { issuer, subject }: ExternalClaims,
  personId: UserId,
  organizationId: OrganizationId | null,
  nowMs: number,
): Promise<void> {
  await client.query(
    `insert into external_identities (provider, issuer, subject, person_id, organization_id, created_at, last_used_at)
     values ($1, $2, $3, $4, $5, $6, $6)`,
    [provider, issuer, subject, personId, organizationId, new Date(nowMs)],
  )
}

/** Makes somebody a member who is none: as an invitation says that waits for them, else as the organization does. */
async function join(
  client: Queryable,
  provider: OrganizationProvider,
  person: PersonRow,
  nowMs: number,
): Promise<boolean> {
  const { organizationId } = provider
  if (await isMember(client, organizationId, person.id)) return false
  const { rows } = await client.query<{ id: string }>(
    `select id from invitations where organization_id = $1 and lower(email) = lower($2) and accepted_at is null
       and expires_at > $3 order by created_at desc limit 1`,
    [organizationId, person.email, new Date(nowMs)],
  )
  const [invitation] = rows
  if (invitation) {
    const open = await openInvitation(client, invitation.id, nowMs, true)
    await acceptInvitation(client, open, person.id, nowMs)
  } else {
    await insertMembership(client, {
      organizationId,
      personId: person.id,
      permissions: provider.permissions,
    })
  }
  return true
}

/** Teams that groups lead to: in those of the person's groups, out of the others. All other teams stay as they are. */
async function applyGroups(
  client: Queryable,
  organizationId: OrganizationId,
  personId: UserId,
  groups: readonly string[],
): Promise<void> {
  const values = [organizationId, personId, groups]
  await client.query(
    `delete from team_memberships using memberships
     where memberships.id = membership_id and memberships.organization_id = $1 and person_id = $2
       and team_id in (select team_id from single_sign_on_groups where organization_id = $1)
       and team_id not in (select team_id from single_sign_on_groups where organization_id = $1 and value = any($3))`,
    values,
  )
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id)
     select distinct $1, team_id, memberships.id from single_sign_on_groups
     join memberships on memberships.organization_id = single_sign_on_groups.organization_id
     where single_sign_on_groups.organization_id = $1 and person_id = $2 and value = any($3)
     on conflict do nothing`,
    values,
  )
}

/**
 * Single sign-on counts as a factor of its own for the organization that set it up. Where the person is in another one as
 * well, their own second factor keeps this one's provider out of that: whoever administers a provider can sign in as
 * anybody of its domain.
 */
async function isCodeDue(
  client: Queryable,
  personId: UserId,
  organizationId: OrganizationId,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `select from second_factors where person_id = $1 and exists (
       select from memberships join organizations on organizations.id = memberships.organization_id
       where memberships.person_id = $1 and organization_id <> $2 and deleted_at is null)`,
    [personId, organizationId],
  )
  return rowCount === 1
}
