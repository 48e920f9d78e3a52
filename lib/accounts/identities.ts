/**
 * Who is speaking: the person or organization behind a key, a cookie, a place. Asked on every connection and request,
 * so answers are remembered for a short while.
 *
 * Invariant: what is revoked on this node is refused at once and announced to whoever holds sockets; what is revoked or
 * changed elsewhere is found by `revoked`, which is asked every few seconds: by then it is forgotten here as well. What can go wrong: the database is away. Then
 * remembered identities go on for `staleMs`, nothing counts as newly revoked, and unknown ones get `unavailable`.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { ApiKeyId, EnvironmentId, OrganizationId, SessionId, UserId } from '../ids.js'
import type { Limits } from '../limits.js'
import type { Log } from '../log.js'
import { identityOfKey, keyCharactersMax, keyHash, liveKeys } from './api-keys.js'
import { Cache } from './cache.js'
import { ChangeFeed } from './changes.js'
import type { Clock } from './clock.js'
import type { Accounts, Actor, ClientIdentity, HostIdentity } from './contract.js'
import { showsOneCallAtATime } from './flags.js'
import { impliedPermissions, roleOf } from './permissions.js'
import { lacksSecondFactor } from './second-factors.js'
import {
  findSession,
  isSessionToken,
  liveSessions,
  type SessionRow,
  tokenHash,
  touchSession,
} from './sessions.js'

const keyFreshMs = 60_000
/** Short: another node may have revoked it. */
const sessionFreshMs = 3_000
const actorFreshMs = 5_000
const staleMs = 600_000
const entriesMax = 20_000
const touchEveryMs = 60_000

interface Member {
  readonly actor: Actor
  /** The organization asks for a second factor, and the person has none. */
  readonly lacksSecondFactor: boolean
}

type Revoked = { keys: readonly ApiKeyId[]; sessions: readonly SessionId[] }

export interface Identities
  extends Pick<
    Accounts,
    | 'authenticateKey'
    | 'authenticateSession'
    | 'actor'
    | 'unattendedActor'
    | 'revoked'
    | 'onRevoked'
    | 'onRightsChanged'
  > {
  /** Something was revoked here: forget it and tell whoever listens. */
  announce(revoked: { keys?: readonly string[]; sessions?: readonly string[] }): void
  /** Memberships, teams, organizations, environments or access rules changed here, in these organizations or in any. */
  forgetRights(organizations?: ReadonlySet<string>): void
}

export function createIdentities(options: {
  database: Queryable
  clock: Clock
  log: Log
  limits: Limits
  /** Where keys are made, for the message to somebody whose key is refused. */
  keysHint: string
}): Identities {
  const { database, clock, limits } = options
  const times = { idleMs: limits.sessionIdleMsMax, absoluteMs: limits.sessionAbsoluteMsMax }
  const keys = new Cache<HostIdentity | null>({ clock, freshMs: keyFreshMs, staleMs, entriesMax })
  const sessions = new Cache<SessionRow | null>({ clock, freshMs: sessionFreshMs, staleMs, entriesMax })
  const actors = new Cache<Member | null>({
    clock,
    freshMs: actorFreshMs,
    staleMs,
    entriesMax,
    refresh: 'background',
  })
  const touchedAtMs = new Map<string, number>()
  const handlers = new Set<(revoked: Revoked) => void>()
  const rightsHandlers = new Set<Parameters<Accounts['onRightsChanged']>[0]>()
  const feed = new ChangeFeed(options)

  const touch = (session: SessionRow): void => {
    const nowMs = clock.nowMs()
    const lastMs = Math.max(session.lastUsedAtMs, touchedAtMs.get(session.sessionId) ?? 0)
    if (nowMs - lastMs < touchEveryMs) return
    touchedAtMs.delete(session.sessionId)
    touchedAtMs.set(session.sessionId, nowMs)
    if (touchedAtMs.size > entriesMax) touchedAtMs.delete(touchedAtMs.keys().next().value ?? '')
    touchSession(database, session.sessionId, nowMs).catch((error: unknown) =>
      options.log.warn('session.not-touched', { error }),
    )
  }

  /** Null: everywhere. */
  const forgetRights = (organizations: ReadonlySet<string> | null): void => {
    if (organizations?.size === 0) return
    actors.drop(
      member => organizations === null || member === null || organizations.has(member.actor.organization.id),
    )
    // Keys name their organization and environment, and end with the membership.
    keys.drop(key => organizations === null || key === null || organizations.has(key.organization.id))
    tellAll(rightsHandlers, organizations)
  }

  const tellAll = <News>(listeners: ReadonlySet<(news: News) => void>, news: News): void => {
    for (const listener of listeners) {
      try {
        listener(news)
      } catch (error) {
        options.log.error('change.handler-failed', { error })
      }
    }
  }

  const memberOf = async (
    userId: UserId,
    organizationSlug: string,
    environmentSlug: string,
  ): Promise<Member> => {
    const found = await actors.get(
      `${userId} ${organizationSlug} ${environmentSlug}`,
      () => findActor(database, userId, organizationSlug, environmentSlug),
      value => value !== null,
    )
    if (!found) throw new AppError('not-found')
    return found
  }

  const forgetChanged = async (): Promise<void> => {
    const changes = await feed.poll()
    if (changes.keys.size > 0) keys.drop(key => key !== null && changes.keys.has(key.apiKeyId))
    forgetRights(changes.everything ? null : changes.organizations)
  }

  return {
    async authenticateKey(key) {
      if (key === undefined || key === '') {
        throw new AppError('invalid-api-key', `Missing API key. ${options.keysHint}`)
      }
      const known =
        key.length <= keyCharactersMax
          ? await keys.get(
              keyHash(key).toString('base64'),
              () => identityOfKey(database, key),
              found => found !== null,
            )
          : null
      if (!known) throw new AppError('invalid-api-key', `Invalid API key. ${options.keysHint}`)
      return known
    },

    async authenticateSession(token): Promise<ClientIdentity | null> {
      if (!isSessionToken(token)) return null
      const session = await sessions.get(
        tokenHash(token).toString('base64'),
        () => findSession(database, token, clock.nowMs(), times),
        found => found !== null,
      )
      if (!session) return null
      touch(session)
      return { sessionId: session.sessionId, user: session.user }
    },

    async actor(userId, organizationSlug, environmentSlug) {
      const { actor, lacksSecondFactor } = await memberOf(userId, organizationSlug, environmentSlug)
      if (lacksSecondFactor) throw new AppError('second-factor-required')
      return actor
    },

    async unattendedActor(userId, organizationSlug, environmentSlug) {
      return (await memberOf(userId, organizationSlug, environmentSlug)).actor
    },

    async revoked(ids) {
      try {
        await forgetChanged()
        if (ids.keys.length === 0 && ids.sessions.length === 0) return { keys: [], sessions: [] }
        const live = await liveKeys(database, ids.keys)
        const going = await liveSessions(database, ids.sessions, clock.nowMs(), times)
        const result = {
          keys: ids.keys.filter(id => !live.has(id)),
          sessions: ids.sessions.filter(id => !going.has(id)),
        }
        keys.drop(identity => identity !== null && result.keys.includes(identity.apiKeyId))
        sessions.drop(session => session !== null && result.sessions.includes(session.sessionId))
        return result
      } catch (error) {
        // Not knowing is no reason to end what runs.
        if (error instanceof AppError && error.code === 'unavailable') return { keys: [], sessions: [] }
        throw error
      }
    },

    onRevoked(handler) {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },

    announce({ keys: keyIds = [], sessions: sessionIds = [] }) {
      if (keyIds.length === 0 && sessionIds.length === 0) return
      keys.drop(identity => identity !== null && keyIds.includes(identity.apiKeyId))
      sessions.drop(session => session !== null && sessionIds.includes(session.sessionId))
      const revoked = { keys: keyIds as readonly ApiKeyId[], sessions: sessionIds as readonly SessionId[] }
      tellAll(handlers, revoked)
    },

    onRightsChanged(handler) {
      rightsHandlers.add(handler)
      return () => rightsHandlers.delete(handler)
    },

    forgetRights: organizations => forgetRights(organizations ?? null),
  }
}

async function findActor(
  database: Queryable,
  userId: UserId,
  organizationSlug: string,
  environmentSlug: string,
): Promise<Member | null> {
  const { rows } = await database.query<{
    email: string
    first_name: string | null
    last_name: string | null
    permissions: string[]
    teams: string[]
    organization: { id: OrganizationId; slug: string; name: string }
    environment: { id: EnvironmentId; slug: string; name: string }
    lacks_second_factor: boolean
    one_call_at_a_time: boolean
  }>(
    `select people.email, people.first_name, people.last_name, memberships.permissions,
       array(select teams.slug from team_memberships join teams on teams.id = team_memberships.team_id
         where membership_id = memberships.id order by teams.slug) as teams,
       jsonb_build_object('id', organizations.id, 'slug', organizations.slug, 'name', organizations.name) as organization,
       jsonb_build_object('id', environments.id, 'slug', environments.slug, 'name', environments.name) as environment,
       ${lacksSecondFactor} as lacks_second_factor,
       ${showsOneCallAtATime} as one_call_at_a_time
     from memberships
     join people on people.id = memberships.person_id
     join organizations on organizations.id = memberships.organization_id
     join environments on environments.organization_id = organizations.id
     where memberships.person_id = $1 and organizations.slug = $2 and environments.slug = $3
       and organizations.deleted_at is null and environments.deleted_at is null`,
    [userId, organizationSlug, environmentSlug],
  )
  const row = rows[0]
  if (!row) return null
  return {
    lacksSecondFactor: row.lacks_second_factor,
    actor: {
      user: { id: userId, email: row.email, firstName: row.first_name, lastName: row.last_name },
      role: roleOf(row.permissions),
      permissions: impliedPermissions(row.permissions),
      teams: row.teams,
      organization: row.organization,
      environment: row.environment,
      showsOneCallAtATime: row.one_call_at_a_time,
    },
  }
}
