/**
 * Ways in: signing in, the first account, signing up, accepting an invitation. Each ends with a fresh session.
 *
 * Invariants: nothing tells whether an address has an account except signing up itself; the first account is made
 * once, however many ask at the same moment; every success and every refusal is in the audit log.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { SessionId, UserId } from '../ids.js'
import { countAccessTokens, deleteAccessTokens } from './access-tokens.js'
import type { AccountParts } from './account-parts.js'
import type { ClientIdentity } from './contract.js'
import { sendConfirmation } from './email-confirmations.js'
import { globalFlag } from './flags.js'
import { unhurried } from './hash-queue.js'
import { acceptInvitation, type InvitationDetails, isMailedToken, openInvitation } from './invitations.js'
import { type Attempt, lookedAt, refusalReason } from './login-limits.js'
import { insertOrganization, type OrganizationRow } from './organizations.js'
import { checkNewPassword } from './passwords.js'
import {
  checkEmail,
  insertPerson,
  lockPerson,
  type PersonRow,
  personByEmail,
  personById,
  personOf,
  replacePasswordHash,
  setPasswordHash,
} from './people.js'
import { tellPerson, tellPersonOnce } from './person-mails.js'
import {
  countSecondFactorAttempt,
  deleteOtherSessions,
  deleteSession,
  findDueSession,
  insertSession,
  isSessionToken,
  tokenHash,
} from './sessions.js'
import { requireOpenPassword, requireOpenSignUp } from './single-sign-on.js'

/** Where a request comes from. */
export interface Origin {
  readonly address: string
  readonly userAgent: string | null
  /** The session the browser had until now: it ends with the sign-in. */
  readonly previousToken?: string | undefined
}

export interface SignedIn extends ClientIdentity {
  /** For the cookie. It is not kept here. */
  readonly token: string
  readonly expiresAtMs: number
  /** The session opens nothing but `enterSecondFactor`. */
  readonly secondFactorDue: boolean
}

export interface NewAccount {
  readonly email: string
  readonly firstName: string
  readonly lastName: string
  readonly password: string
}

export interface SignIn {
  /** With `secondFactorDue` for a person who has a second factor. */
  signIn(email: string, password: string, origin: Origin): Promise<SignedIn>
  /** True when this is the token of a session whose second factor is still to come. */
  secondFactorDue(token: string | undefined): Promise<boolean>
  /**
   * The second step: a code of the person's app, or one of their recovery codes. Ends with a fresh session under another
   * token. Rejects with `bad-credentials` for a wrong or used code, `not-signed-in` when the password must come first.
   */
  enterSecondFactor(token: string | undefined, code: string, origin: Origin): Promise<SignedIn>
  /** True until the first account exists. */
  setupNeeded(): Promise<boolean>
  signUpEnabled(): Promise<boolean>
  setUp(
    account: NewAccount & { organizationName: string },
    origin: Origin,
  ): Promise<SignedIn & { organization: OrganizationRow }>
  /** Rejects with `conflict` when the address has an account, `forbidden` when sign-up is off. */
  signUpCheck(email: string, origin: Origin): Promise<void>
  signUp(
    account: NewAccount & { organizationName: string; promoCode?: string | undefined },
    origin: Origin,
  ): Promise<SignedIn & { organization: OrganizationRow }>
  /** `id`, here and below: of the invitation, or what stands in the link of its mail, which proves the address. */
  invitation(id: string): Promise<InvitationDetails>
  /** Makes the account the invitation is for and joins the organization. */
  signUpInvited(
    id: string,
    account: Omit<NewAccount, 'email'>,
    origin: Origin,
  ): Promise<SignedIn & { invitation: InvitationDetails }>
  /** Somebody who has an account joins; the invitation must be for their address. */
  joinInvited(id: string, userId: UserId, origin: Origin): Promise<InvitationDetails>
  /** Ends every other session of the person, and their access tokens when that is wanted. */
  changePassword(
    who: ClientIdentity,
    change: { readonly current: string; readonly wanted: string; readonly endsTokens?: boolean },
    origin: Origin,
  ): Promise<void>
}

export interface SignInOptions extends Omit<AccountParts, 'sendsMail'> {
  /** Whether strangers may make accounts, while no flag says otherwise. */
  readonly signUp: boolean
}

export function createSignIn(options: SignInOptions): SignIn {
  const { database, clock, limits, audit, identities, passwords, attempts, links } = options
  const times = { idleMs: limits.sessionIdleMsMax, absoluteMs: limits.sessionAbsoluteMsMax }

  const refuse = (userId: UserId | null, origin: Origin, reason: string): void =>
    audit.record({ name: 'session.refused', userId, address: origin.address, details: { reason } })

  /** What comes of an attempt; that it was not looked at is in the audit log. */
  const unlessRefused = async <Result>(
    userId: UserId | null,
    origin: Origin,
    attempt: Promise<Result>,
  ): Promise<Result> => {
    try {
      return await attempt
    } catch (error) {
      const reason = refusalReason(error)
      if (reason !== undefined) refuse(userId, origin, reason)
      throw error
    }
  }

  /** An attempt that costs a hash. */
  const beginAttempt = (email: string, origin: Origin, userId: UserId | null = null): Promise<Attempt> =>
    unlessRefused(userId, origin, attempts.attempt(email, origin.address, passwords.requireRoom))

  const startSession = async (
    client: Queryable,
    person: PersonRow,
    origin: Origin,
    secondFactorDue = false,
  ): Promise<SignedIn> => {
    const session = await insertSession(
      client,
      {
        personId: person.id,
        address: origin.address,
        userAgent: origin.userAgent,
        nowMs: clock.nowMs(),
        secondFactorDue,
      },
      times,
    )
    return {
      sessionId: session.id,
      user: personOf(person),
      token: session.token,
      expiresAtMs: session.expiresAtMs,
      secondFactorDue,
    }
  }

  const started = (session: SignedIn, origin: Origin, way: string): void =>
    audit.record({
      name: 'session.started',
      userId: session.user.id,
      address: origin.address,
      details: { way, session: session.sessionId },
    })

  const endPrevious = async (origin: Origin): Promise<void> => {
    if (origin.previousToken === undefined) return
    const { rows } = await database.query<{ id: SessionId }>(
      'delete from sessions where token_hash = $1 returning id',
      [tokenHash(origin.previousToken)],
    )
    identities.announce({ sessions: rows.map(row => row.id) })
  }

  /** Each hash costs a third of a second of a core, so making accounts is limited like signing in. */
  const hashNew = async (account: { email: string; password: string }, origin: Origin): Promise<string> => {
    checkNewPassword(account.password, account.email)
    const attempt = await attempts.attempt(`new ${account.email}`, origin.address, passwords.requireRoom)
    try {
      return await passwords.hash(account.password, attempt.rank)
    } finally {
      await attempt.takenBack()
    }
  }

  const setupNeeded = async (client: Queryable = database): Promise<boolean> => {
    const { rows } = await client.query<{ some: boolean }>('select exists (select from people) as some')
    return rows[0]?.some === false
  }

  const signUpEnabled = async (): Promise<boolean> =>
    (await globalFlag(database, 'USER_REGISTRATION_ENABLED')) ?? options.signUp

  const requireSignUp = async (): Promise<void> => {
    if (!(await signUpEnabled())) throw new AppError('forbidden', 'Sign-up is switched off here.')
  }

  return {
    async signIn(email, password, origin) {
      const attempt = await beginAttempt(email, origin)
      const looked = lookedAt(attempt, async () => {
        const person = await personByEmail(database, email)
        return { person, check: await passwords.verify(password, person?.password ?? null, attempt.rank) }
      })
      const { person, check } = await unlessRefused(null, origin, looked)
      if (!person || !check.matches) {
        refuse(person?.id ?? null, origin, person ? 'wrong password' : 'unknown address')
        throw new AppError('bad-credentials')
      }
      await attempt.succeeded()
      const { id: closedFor } = person
      await requireOpenPassword(database, closedFor).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'forbidden')
          refuse(closedFor, origin, 'single sign-on')
        throw error
      })
      const { id: personId, password: verified } = person
      const session = await database.transaction(async client => {
        const now = await lockPerson(client, personId)
        // Whatever has changed the password has ended all sessions: none begins with the old one.
        if (now?.password !== verified) return null
        return startSession(client, now, origin, now.second_factor_id !== null)
      })
      if (session === null) return this.signIn(email, password, origin)
      await endPrevious(origin)
      if (session.secondFactorDue) {
        const details = { session: session.sessionId }
        audit.record({ name: 'second-factor.asked', userId: person.id, address: origin.address, details })
      } else started(session, origin, 'password')
      const stored = person.password
      if (check.outdated && stored !== null) {
        const { id } = person
        passwords
          .hash(password, unhurried)
          .then(hash => replacePasswordHash(database, id, stored, hash))
          .catch((error: unknown) => options.log.warn('password.not-rehashed', { error }))
      }
      return session
    },

    async secondFactorDue(token) {
      return isSessionToken(token) && (await findDueSession(database, token, clock.nowMs())) !== null
    },

    async enterSecondFactor(token, code, origin) {
      const again = (): AppError => new AppError('not-signed-in', 'Sign in with your password first.')
      const due = isSessionToken(token) ? await findDueSession(database, token, clock.nowMs()) : null
      const person = due && (await personById(database, due.personId))
      // Switched off meanwhile: then the password is enough, but it must be entered.
      if (!due || person?.second_factor_id == null) throw again()
      const attempt = await unlessRefused(
        person.id,
        origin,
        attempts.attempt(`second factor ${person.email}`, origin.address),
      )
      if (!(await countSecondFactorAttempt(database, due.id))) {
        await database.transaction(async client => {
          await deleteSession(client, person.id, due.id)
          // Whoever comes this far has the password.
          await tellPersonOnce(client, person.email, {
            subject: 'Somebody has entered wrong codes',
            paragraphs: [
              'Your password was entered for your account, and then wrong codes of your second factor, until no more were taken.',
            ],
          })
        })
        refuse(person.id, origin, 'too many codes')
        throw again()
      }
      const way = await options.secondFactors.use(database, person.id, code, clock.nowMs())
      if (way === null) {
        refuse(person.id, origin, 'wrong code')
        throw new AppError('bad-credentials', 'The code is wrong or was used before.')
      }
      await attempt.succeeded()
      const session = await database.transaction(async client => {
        const now = await lockPerson(client, person.id)
        // It has ended meanwhile: another code was faster, or there is another password.
        if (!now || !(await deleteSession(client, person.id, due.id))) throw again()
        return startSession(client, now, origin)
      })
      started(session, origin, way)
      return session
    },

    setupNeeded: () => setupNeeded(),
    signUpEnabled,

    async setUp(account, origin) {
      const email = checkEmail(account.email)
      const taken = (): AppError => new AppError('forbidden', 'This installation is set up already. Sign in.')
      if (!(await setupNeeded())) {
        refuse(null, origin, 'set up already')
        throw taken()
      }
      const passwordHash = await hashNew(account, origin)
      const result = await database.transaction(async client => {
        // Everybody who wants to be first waits here.
        await client.query('select from installation for update')
        if (!(await setupNeeded(client))) throw taken()
        const person = await insertPerson(client, {
          ...account,
          email,
          passwordHash,
          confirmedAt: new Date(clock.nowMs()),
        })
        const organization = await insertOrganization(client, {
          name: account.organizationName,
          ownerId: person.id,
        })
        await client.query('update installation set set_up_at = now(), first_organization_id = $1', [
          organization.id,
        ])
        return { ...(await startSession(client, person, origin)), organization }
      })
      audit.record({ name: 'installation.set-up', userId: result.user.id, address: origin.address })
      started(result, origin, 'set-up')
      return result
    },

    async signUpCheck(email, origin) {
      await requireSignUp()
      // Only finding an account counts: who goes through a list of addresses is stopped.
      await requireOpenSignUp(database, email)
      const attempt = await attempts.attempt(`check ${email}`, origin.address)
      if (await personByEmail(database, checkEmail(email))) {
        const message = 'An account with this email address already exists.'
        throw new AppError('conflict', message, { fields: { email: message } })
      }
      await attempt.takenBack()
    },

    async signUp(account, origin) {
      const email = checkEmail(account.email)
      await requireSignUp()
      await requireOpenSignUp(database, email)
      const code = account.promoCode?.trim() || null
      if (code !== null) {
        const { rowCount } = await database.query('select from promo_codes where code = $1', [code])
        if (rowCount !== 1) {
          const message = 'Invalid promo code'
          throw new AppError('invalid-value', message, { fields: { organizationPromoCode: message } })
        }
      }
      await attempts.signUp(origin.address)
      const passwordHash = await hashNew(account, origin)
      const result = await database.transaction(async client => {
        const person = await insertPerson(client, { ...account, email, passwordHash, confirmedAt: null })
        const organization = await insertOrganization(client, {
          name: account.organizationName,
          ownerId: person.id,
          promoCode: code,
          reserved: options.operators,
        })
        await sendConfirmation(client, links, { personId: person.id, email, nowMs: clock.nowMs() })
        return { ...(await startSession(client, person, origin)), organization }
      })
      await endPrevious(origin)
      audit.record({
        name: 'person.signed-up',
        userId: result.user.id,
        organizationId: result.organization.id,
        address: origin.address,
      })
      started(result, origin, 'sign-up')
      return result
    },

    invitation: id => openInvitation(database, id, clock.nowMs()),

    async signUpInvited(id, account, origin) {
      const { email } = await openInvitation(database, id, clock.nowMs())
      await requireOpenSignUp(database, email)
      if (await personByEmail(database, email)) {
        throw new AppError('conflict', 'An account with this email address already exists. Sign in to join.')
      }
      const passwordHash = await hashNew({ email, password: account.password }, origin)
      const result = await database.transaction(async client => {
        const invitation = await openInvitation(client, id, clock.nowMs(), true)
        // The link of the mail reached this address; any other came by hand.
        const isProven = isMailedToken(links, id)
        const confirmedAt = isProven ? new Date(clock.nowMs()) : null
        const person = await insertPerson(client, { ...account, email, passwordHash, confirmedAt })
        await acceptInvitation(client, invitation, person.id, clock.nowMs())
        if (!isProven) {
          await sendConfirmation(client, links, { personId: person.id, email, nowMs: clock.nowMs() })
        }
        return { ...(await startSession(client, person, origin)), invitation }
      })
      await endPrevious(origin)
      accepted(result.user.id, result.invitation, origin)
      started(result, origin, 'invitation')
      return result
    },

    async joinInvited(id, userId, origin) {
      const invitation = await database.transaction(async client => {
        const open = await openInvitation(client, id, clock.nowMs(), true)
        const person = await personById(client, userId)
        if (person?.email.toLowerCase() !== open.email.toLowerCase()) {
          throw new AppError('forbidden', 'This invitation is for another email address.')
        }
        await acceptInvitation(client, open, userId, clock.nowMs())
        if (isMailedToken(links, id)) {
          await client.query(
            'update people set email_confirmed_at = coalesce(email_confirmed_at, $2) where id = $1',
            [userId, new Date(clock.nowMs())],
          )
        }
        return open
      })
      identities.forgetRights()
      accepted(userId, invitation, origin)
      return invitation
    },

    async changePassword(who, { current, wanted, endsTokens = false }, origin) {
      const attempt = await beginAttempt(who.user.email, origin, who.user.id)
      const looked = lookedAt(attempt, async () => {
        const person = await personById(database, who.user.id)
        return { person, ...(await passwords.verify(current, person?.password ?? null, attempt.rank)) }
      })
      const { person, matches } = await unlessRefused(who.user.id, origin, looked)
      if (!person || !matches) {
        refuse(who.user.id, origin, 'wrong password')
        throw new AppError('bad-credentials', 'The current password is wrong.', {
          fields: { current: 'The current password is wrong.' },
        })
      }
      await attempt.succeeded()
      checkNewPassword(wanted, person.email)
      const hash = await passwords.hash(wanted, attempt.rank)
      const { sessions, tokens } = await database.transaction(async client => {
        const now = await lockPerson(client, person.id)
        // Another one was chosen meanwhile: what was entered is right no more.
        if (now?.password !== person.password)
          throw new AppError('conflict', 'The password was just changed.')
        await setPasswordHash(client, person.id, hash)
        // Whoever reads the mails, or has read them, does not undo this with a link from before.
        await client.query('delete from password_resets where person_id = $1', [person.id])
        const tokens = endsTokens ? await deleteAccessTokens(client, person.id) : 0
        const left = await countAccessTokens(client, person.id, clock.nowMs())
        const paragraphs = ['A new password was chosen for your account. All other sessions have ended.']
        if (tokens > 0) paragraphs.push('So have your access tokens.')
        if (left > 0) paragraphs.push('Your access tokens go on: your account lists them, and revokes them.')
        await tellPerson(client, person.email, { subject: 'Your password was changed', paragraphs })
        return { tokens, sessions: await deleteOtherSessions(client, person.id, who.sessionId) }
      })
      identities.announce({ sessions })
      audit.record({
        name: 'password.changed',
        userId: person.id,
        address: origin.address,
        details: { sessionsEnded: sessions.length, tokensEnded: tokens },
      })
    },
  }

  function accepted(userId: UserId, invitation: InvitationDetails, origin: Origin): void {
    audit.record({
      name: 'invitation.accepted',
      userId,
      organizationId: invitation.organizationId,
      address: origin.address,
    })
  }
}
