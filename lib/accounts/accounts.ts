/**
 * Puts the accounts together: what the rooms below need (`Accounts`), what the HTTP routes need, and what an operator
 * needs. Every method that takes a person and an organization checks that the one belongs to the other.
 */
import { promises as dns } from 'node:dns'
import type { Database } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, SessionId, UserId } from '../ids.js'
import { limits as defaultLimits, type Limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Slack } from '../slack/index.js'
import { createAccessRules } from './access-rules.js'
import { type AccessTokens, createAccessTokens } from './access-tokens.js'
import type { AccountParts } from './account-parts.js'
import {
  type DeclarationPlace,
  type DeclaredAction,
  type DeclaredPage,
  recordDeclarations,
} from './actions.js'
import { type Administration, createAdministration } from './administration.js'
import {
  countKeys,
  generateKey,
  insertKey,
  type KeyKind,
  type KeyListing,
  listKeys,
  revokeKey,
} from './api-keys.js'
import { type Audit, createAudit } from './audit.js'
import { type ChannelAccounts, createChannelAccounts } from './channels.js'
import type { Clock } from './clock.js'
import type { Accounts, Actor, AuditEvent, ClientIdentity, HostIdentity, Role } from './contract.js'
import { defaultTargets, type OwnNotification, ownNotifications, seenNotifications } from './deliveries.js'
import { createDirectories, type DirectoryAccounts } from './directories.js'
import type { ConfirmationLinks } from './email-confirmations.js'
import type { ReadTxt } from './email-domains.js'
import { type EnvironmentInfo, findEnvironment, listEnvironments } from './environments.js'
import { createExternalSignIn, type ExternalSignIn } from './external-sign-in.js'
import { createGuard } from './guard.js'
import { type HistoryRow, writeHistory } from './history.js'
import {
  countTransactions,
  exportTransactions,
  listTransactions,
  mayReadTransactions,
  placeOfTransaction,
  readTransaction,
  type StoredRun,
  type TransactionExport,
  type TransactionFilter,
  type TransactionListing,
  type TransactionPlace,
  transactionFacets,
} from './history-lists.js'
import { createHttpHostAccounts, type HttpHostAccounts } from './http-hosts.js'
import { createIdentities, type Identities } from './identities.js'
import { createIdentityProofs, type IdentityProofs } from './identity-proofs.js'
import { LastPlaces } from './last-places.js'
import { createLoginLimits } from './login-limits.js'
import { isMember } from './memberships.js'
import { type NewNotification, recordNotification } from './notifications.js'
import { findOrganization, hasOperators, isOperator, type Place, placesOf } from './organizations.js'
import { createOwnAccount, type OwnAccount } from './own-account.js'
import { createOwnOrganizations, type OwnOrganizations } from './own-organizations.js'
import { createPasswordResets, type PasswordResets } from './password-resets.js'
import { createPasswords, type Passwords, type ScryptParameters } from './passwords.js'
import { personById } from './people.js'
import { impliedPermissions, roleOf } from './permissions.js'
import { createQueue, type Queue } from './queue.js'
import { createSecondFactorSetup, type SecondFactorSetup } from './second-factor-setup.js'
import { createSecondFactors, type SecondFactors } from './second-factors.js'
import { deleteSession, listSessions, type SessionInfo } from './sessions.js'
import { createSignIn, type Origin, type SignIn } from './sign-in.js'
import { createSingleSignOn, type SingleSignOnAccounts } from './single-sign-on.js'
import { SlackConnections } from './slack-connections.js'
import { unknownTeamSlugs } from './teams.js'
import { createWorkOsEvents, type WorkOsEvents } from './workos-events.js'

export interface AccountsOptions {
  readonly database: Database
  readonly log: Log
  readonly clock: Clock
  /** Key for links that are sent by mail, and for what is stored sealed. */
  readonly secret: string
  /** Origin of the dashboard, for links and messages. */
  readonly appUrl: string
  /** Whether strangers may make accounts, while no flag says otherwise. Default false. */
  readonly signUp?: boolean
  /** Slug of the organization whose administrators are operators; null: the first that was made. */
  readonly operators?: string | null
  /** Whether mails are sent. Otherwise they stay in the outbox, and nothing may wait for one. Default false. */
  readonly sendsMail?: boolean
  /** The app of Slack, where one is set up. */
  readonly slack?: Slack | null
  /** Looks up TXT records, by which domains are proven. Default: the machine's own resolver. */
  readonly readTxt?: ReadTxt
  readonly limits?: Limits
  /** Weaker ones only for tests. */
  readonly passwordParameters?: ScryptParameters
}

export interface AccountsService
  extends Accounts,
    SignIn,
    AccessTokens,
    HttpHostAccounts,
    IdentityProofs,
    ChannelAccounts,
    OwnAccount,
    OwnOrganizations,
    PasswordResets,
    SecondFactorSetup,
    Administration,
    SingleSignOnAccounts,
    ExternalSignIn,
    DirectoryAccounts,
    WorkOsEvents {
  readonly database: Database
  readonly audits: Audit
  readonly passwords: Passwords
  readonly secondFactors: SecondFactors
  readonly identities: Identities
  readonly links: ConfirmationLinks
  readonly queue: Queue
  readonly clock: Clock
  /** False: mails are written to the outbox and not sent, so that nothing may depend on one. */
  readonly sendsMail: boolean
  /** Origin of the dashboard, for links in mails. */
  readonly appUrl: string

  signOut(who: ClientIdentity, origin: Origin): Promise<void>
  sessions(userId: UserId): Promise<SessionInfo[]>
  /** Rejects with `not-found` when the person has no such session. */
  endSession(userId: UserId, id: string, origin: Origin): Promise<void>
  /** Where a person may go, and whether their address is proven. */
  profile(userId: UserId): Promise<{
    emailConfirmed: boolean
    timeZone: string | null
    places: (Place & { role: Role })[]
    /** They run the installation: they see the state of its nodes. */
    isOperator: boolean
  }>
  /** False when nobody can be an operator, until the configuration names another organization. */
  hasOperators(): Promise<boolean>
  environments(userId: UserId, organizationSlug: string): Promise<EnvironmentInfo[]>
  /** All keys of the organization for who may make live keys, else the person's own. */
  keys(userId: UserId, organizationSlug: string): Promise<KeyListing[]>
  /** `key` is the text to present: it cannot be read again. */
  createKey(
    userId: UserId,
    organizationSlug: string,
    wanted: { kind: KeyKind; environment?: string | undefined; label?: string | undefined },
    origin: Origin,
  ): Promise<{ id: string; kind: KeyKind; environment: string; key: string }>
  revokeKey(userId: UserId, organizationSlug: string, id: string, origin: Origin): Promise<void>
  transactions(
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
    filter: TransactionFilter,
  ): Promise<{ transactions: TransactionListing[]; next: string | null }>
  /** How many runs that list has, up to a bound. */
  countTransactions(
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
    filter: TransactionFilter,
  ): Promise<{ count: number; isMore: boolean }>
  /** The whole list, page after page, up to a bound; it is an audit row that somebody took it. */
  exportTransactions(
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
    filter: TransactionFilter,
    origin: Origin,
  ): Promise<TransactionExport>
  transactionFacets(
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
  ): ReturnType<typeof transactionFacets>

  /** Who hears of what an action says to nobody in particular; empty where nothing is set. */
  defaultTargets(
    host: Pick<HostIdentity, 'organization'>,
    action: { readonly environmentId: string; readonly slug: string },
  ): ReturnType<typeof defaultTargets>
  readonly slackConnections: SlackConnections
  /** What was sent to the person in this organization, newest first. */
  ownNotifications(userId: UserId, organizationSlug: string): Promise<OwnNotification[]>
  /** They have looked at what came until then. */
  seenNotifications(userId: UserId, organizationSlug: string, untilMs: number): Promise<void>
  recordNotification(notification: NewNotification): Promise<{ id: string; isNew: boolean }>
  /** For the partitions' outbox. Rejects only when it should be tried again. */
  writeHistory(rows: readonly HistoryRow[]): Promise<void>
  /**
   * One run as the history has it. Rejects with `not-found` when there is none, and, with an audit row, when there is one
   * that the person may not see.
   */
  transaction(userId: UserId, id: string, origin: Origin): Promise<StoredRun & { place: TransactionPlace }>
  placeOfTransaction(id: string): Promise<TransactionPlace | null>
  /** Null when there is no such organization. */
  organizationIdOf(slug: string): Promise<OrganizationId | null>
  /** The person looks at something of this organization: they come back to it. Nobody waits for it. */
  lookedAt(actor: Pick<Actor, 'user' | 'organization'>): void
  /** Writes an audit row when the person is not in this organization, and there is one. Never rejects. */
  notAMember(userId: UserId, organizationSlug: string, what: string, origin: Origin): Promise<void>
  recordDeclarations(
    place: DeclarationPlace,
    actions: readonly DeclaredAction[],
    pages: readonly DeclaredPage[],
  ): Promise<void>
  /** Writes what is still waiting. The database stays open: it belongs to whoever opened it. */
  close(): Promise<void>
}

export function createAccounts(options: AccountsOptions): AccountsService {
  const { database, log, clock } = options
  const limits = options.limits ?? defaultLimits
  const times = { idleMs: limits.sessionIdleMsMax, absoluteMs: limits.sessionAbsoluteMsMax }
  const audits = createAudit({ database, log, clock })
  const identities = createIdentities({
    database,
    clock,
    log,
    limits,
    keysHint: `Get one from the dashboard of your organization: ${options.appUrl}`,
  })
  const { accessRules } = createAccessRules({ database, clock, identities })
  const passwords = createPasswords({
    hashesMax: limits.passwordHashesMax,
    queueMax: limits.passwordHashQueueMax,
    parameters: options.passwordParameters,
  })
  const secondFactors = createSecondFactors(options.secret)
  const links = { secret: options.secret, appUrl: options.appUrl }
  const attempts = createLoginLimits({
    database,
    clock,
    secret: options.secret,
    failuresPerAccountMax: limits.loginFailuresPerAccountMax,
    failuresPerAddressMax: limits.loginFailuresPerAddressMax,
    signUpsPerAddressMax: limits.signUpsPerAddressMax,
  })
  const parts: AccountParts = {
    database,
    clock,
    log,
    limits,
    audit: audits,
    identities,
    passwords,
    secondFactors,
    attempts,
    links,
    sendsMail: options.sendsMail ?? false,
    operators: options.operators ?? null,
  }
  const signIn = createSignIn({ ...parts, signUp: options.signUp ?? false })
  const proofs = createIdentityProofs(parts)
  const own = createOwnAccount(parts, proofs)
  const resets = createPasswordResets(parts)

  const audit = (event: AuditEvent): void => audits.record(event)

  const lastPlaces = new LastPlaces({ database, log })
  const slackConnections = new SlackConnections(database, options.secret)
  const guard = createGuard({ database, clock, limits, identities, audit })

  /** The person in the organization, where no environment matters: every organization has `production`. */
  const member = (userId: UserId, organizationSlug: string): Promise<Actor> =>
    identities.actor(userId, organizationSlug, 'production')

  /** The person where they may read runs, their own at least. */
  const reader = async (
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
  ): Promise<Actor> => {
    const actor = await identities.actor(userId, organizationSlug, environmentSlug)
    if (!mayReadTransactions(actor)) throw new AppError('forbidden')
    return actor
  }

  const denied = (actor: Actor, what: string, origin: Origin): AppError => {
    audit({
      name: 'access.denied',
      userId: actor.user.id,
      organizationId: actor.organization.id,
      address: origin.address,
      details: { what },
    })
    return new AppError('forbidden')
  }

  const directories = createDirectories(guard, audit)

  return {
    ...createSingleSignOn({
      guard,
      secret: options.secret,
      readTxt: options.readTxt ?? readTxtOfMachine,
    }),
    ...createExternalSignIn({ ...parts, signIn }),
    ...directories,
    ...createWorkOsEvents({ database, directories, audit }),
    ...signIn,
    ...createAccessTokens(parts),
    ...proofs,
    ...own,
    ...resets,
    ...createSecondFactorSetup(parts, proofs),
    ...createOwnOrganizations(parts, signIn),
    ...createHttpHostAccounts(guard),
    ...createAdministration(guard, links, parts.operators),
    ...createChannelAccounts({
      guard,
      connections: slackConnections,
      slack: options.slack ?? null,
      sendsMail: options.sendsMail ?? false,
      appUrl: options.appUrl,
    }),
    database,
    audits,
    passwords,
    secondFactors,
    identities,
    links,
    queue: createQueue({ database, audit: audits }),
    clock,
    sendsMail: parts.sendsMail,
    appUrl: options.appUrl,
    authenticateKey: identities.authenticateKey,
    authenticateSession: identities.authenticateSession,
    actor: identities.actor,
    unattendedActor: identities.unattendedActor,
    revoked: identities.revoked,
    onRevoked: identities.onRevoked,
    onRightsChanged: identities.onRightsChanged,
    accessRules,
    audit,
    unknownTeams: (organizationId, slugs) => unknownTeamSlugs(database, organizationId, slugs),

    async signOut(who, origin) {
      await deleteSession(database, who.user.id, who.sessionId)
      identities.announce({ sessions: [who.sessionId] })
      audit({
        name: 'session.ended',
        userId: who.user.id,
        address: origin.address,
        details: { session: who.sessionId },
      })
    },
    sessions: userId => listSessions(database, userId, clock.nowMs(), times),
    async endSession(userId, id, origin) {
      if (!(await deleteSession(database, userId, id))) throw new AppError('not-found')
      identities.announce({ sessions: [id as SessionId] })
      audit({ name: 'session.revoked', userId, address: origin.address, details: { session: id } })
    },
    async profile(userId) {
      const person = await personById(database, userId)
      if (!person) throw new AppError('not-signed-in')
      const places = (await placesOf(database, userId)).map(place => ({
        ...place,
        permissions: [...impliedPermissions(place.permissions)],
        role: roleOf(place.permissions),
      }))
      return {
        emailConfirmed: person.email_confirmed_at !== null,
        timeZone: person.time_zone,
        places,
        isOperator: await isOperator(database, places, parts.operators),
      }
    },
    hasOperators: () => hasOperators(database, parts.operators),
    async environments(userId, organizationSlug) {
      const { organization } = await member(userId, organizationSlug)
      return listEnvironments(database, organization.id)
    },

    async keys(userId, organizationSlug) {
      const actor = await member(userId, organizationSlug)
      const all = actor.permissions.has('CREATE_PROD_API_KEYS')
      return listKeys(database, actor.organization.id, all ? null : userId)
    },
    async createKey(userId, organizationSlug, wanted, origin) {
      const actor = await member(userId, organizationSlug)
      const live = wanted.kind === 'PRODUCTION'
      if (!actor.permissions.has(live ? 'CREATE_PROD_API_KEYS' : 'CREATE_DEV_API_KEYS')) {
        throw denied(actor, `create a ${live ? 'live' : 'development'} key`, origin)
      }
      if (live) await own.requireConfirmedEmail(userId)
      const slug = wanted.environment ?? (live ? 'production' : 'development')
      if (live === (slug === 'development')) {
        const message = live
          ? 'Live keys are for environments other than development.'
          : 'Development keys are for the development environment.'
        throw new AppError('invalid-value', message, { fields: { environment: message } })
      }
      const environment = await findEnvironment(database, actor.organization.id, { slug })
      if (!environment) throw new AppError('not-found', 'There is no such environment.')
      const text = generateKey(wanted.kind)
      const key = await guard.inTurn(actor, async client => {
        if ((await countKeys(client, actor.organization.id)) >= limits.apiKeysPerOrganizationMax)
          throw new AppError(
            'conflict',
            'This organization has as many API keys as are allowed: revoke one first.',
          )
        return insertKey(client, {
          text,
          kind: wanted.kind,
          organizationId: actor.organization.id,
          environmentId: environment.id,
          personId: userId,
          label: wanted.label,
        })
      })
      audit({
        name: 'key.created',
        userId,
        organizationId: actor.organization.id,
        address: origin.address,
        details: { key: key.id, kind: wanted.kind, environment: slug },
      })
      return { id: key.id, kind: wanted.kind, environment: slug, key: text }
    },
    async revokeKey(userId, organizationSlug, id, origin) {
      const actor = await member(userId, organizationSlug)
      const all = actor.permissions.has('CREATE_PROD_API_KEYS')
      if (!(await revokeKey(database, actor.organization.id, id, all ? null : userId))) {
        throw new AppError('not-found')
      }
      identities.announce({ keys: [id] })
      audit({
        name: 'key.revoked',
        userId,
        organizationId: actor.organization.id,
        address: origin.address,
        details: { key: id },
      })
    },
    transactions: async (userId, organizationSlug, environmentSlug, filter) =>
      listTransactions(database, await reader(userId, organizationSlug, environmentSlug), filter),
    countTransactions: async (userId, organizationSlug, environmentSlug, filter) =>
      countTransactions(database, await reader(userId, organizationSlug, environmentSlug), filter),
    async exportTransactions(userId, organizationSlug, environmentSlug, filter, origin) {
      const actor = await reader(userId, organizationSlug, environmentSlug)
      audit({
        name: 'transactions.exported',
        userId,
        organizationId: actor.organization.id,
        address: origin.address,
        details: { environment: environmentSlug },
      })
      return await exportTransactions(database, actor, filter)
    },
    transactionFacets: async (userId, organizationSlug, environmentSlug) =>
      transactionFacets(database, await reader(userId, organizationSlug, environmentSlug)),
    async transaction(userId, id, origin) {
      const place = await placeOfTransaction(database, id)
      if (!place) throw new AppError('not-found')
      const actor = await identities
        .actor(userId, place.organizationSlug, place.environmentSlug)
        .catch((error: unknown) => {
          // Not a member: for them it does not exist, but it does.
          if (error instanceof AppError && error.code === 'not-found') return null
          throw error
        })
      const run = actor && mayReadTransactions(actor) ? await readTransaction(database, actor, id) : null
      if (run) return { ...run, place }
      audit({
        name: 'access.denied',
        userId,
        organizationId: place.organizationId,
        address: origin.address,
        details: { what: 'transaction.read', transaction: id },
      })
      throw new AppError('not-found')
    },

    defaultTargets: ({ organization }, action) =>
      defaultTargets(database, { organizationId: organization.id, ...action }),
    slackConnections,
    async ownNotifications(userId, organizationSlug) {
      const { organization } = await member(userId, organizationSlug)
      return ownNotifications(database, { userId, organizationId: organization.id })
    },
    async seenNotifications(userId, organizationSlug, untilMs) {
      const { organization } = await member(userId, organizationSlug)
      await seenNotifications(database, { userId, organizationId: organization.id }, untilMs)
    },
    recordNotification: notification => recordNotification(database, notification),
    writeHistory: rows => writeHistory(database, rows, log),
    placeOfTransaction: id => placeOfTransaction(database, id),
    async organizationIdOf(slug) {
      return (await findOrganization(database, { slug }))?.id ?? null
    },
    lookedAt: lastPlaces.lookedAt,
    async notAMember(userId, organizationSlug, what, origin) {
      const organization = await findOrganization(database, { slug: organizationSlug }).catch(() => null)
      if (!organization) return
      const isIn = await isMember(database, organization.id, userId).catch(() => true)
      const details = { what }
      if (!isIn) {
        const organizationId = organization.id
        audit({ name: 'access.denied', userId, organizationId, address: origin.address, details })
      }
    },
    recordDeclarations: (place, actions, pages) =>
      database.transaction(client => recordDeclarations(client, place, actions, pages)),
    async close() {
      await resets.passwordResetsDone()
      await audits.close()
    },
  }
}

/** A record may come in pieces of 255 bytes. */
async function readTxtOfMachine(name: string): Promise<string[]> {
  return (await dns.resolveTxt(name)).map(pieces => pieces.join(''))
}
