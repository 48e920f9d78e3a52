/**
 * Sessions: an opaque token of 256 bits in the browser's cookie, its digest in the table. A session ends when it is
 * revoked, when it was not used for `idleMs`, and in any case `absoluteMs` after the sign-in.
 *
 * A session whose second factor is still due speaks for nobody: only `findDueSession` sees it.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { newId, newSecret, type SessionId, type UserId } from '../ids.js'
import { limits } from '../limits.js'
import type { ClientIdentity } from './contract.js'
import { personOf } from './people.js'

const addressCharactersMax = 64
const userAgentCharactersMax = 300
/** How long the second factor may take. */
const secondFactorMsMax = 600_000
/** Then the password is asked again. */
const secondFactorAttemptsMax = 5
const tokenPattern = /^[\w-]{43}$/

export interface SessionTimes {
  readonly idleMs: number
  readonly absoluteMs: number
}

export interface SessionRow extends ClientIdentity {
  readonly lastUsedAtMs: number
}

/** What a person sees of their sessions. */
export interface SessionInfo {
  readonly id: SessionId
  readonly address: string | null
  readonly userAgent: string | null
  readonly createdAt: string
  readonly lastUsedAt: string
}

/** True for text that can be a token at all. */
export function isSessionToken(text: string | undefined): text is string {
  return text !== undefined && tokenPattern.test(text)
}

export function tokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

export async function insertSession(
  client: Queryable,
  session: {
    personId: UserId
    address: string | null
    userAgent: string | null
    nowMs: number
    secondFactorDue: boolean
  },
  times: SessionTimes,
): Promise<{ id: SessionId; token: string; expiresAtMs: number }> {
  const id = newId<SessionId>()
  const token = newSecret()
  const expiresAtMs = session.nowMs + (session.secondFactorDue ? secondFactorMsMax : times.absoluteMs)
  // Whoever signs in cleans up behind themselves: no job is needed for it.
  await client.query(
    `delete from sessions where person_id = $1 and (expires_at < $2 or last_used_at < $3 or id in (
       select id from sessions where person_id = $1 order by last_used_at desc, id offset $4))`,
    [
      session.personId,
      new Date(session.nowMs),
      new Date(session.nowMs - times.idleMs),
      limits.sessionsPerPersonMax - 1,
    ],
  )
  await client.query(
    `insert into sessions (id, person_id, token_hash, address, user_agent, created_at, last_used_at, expires_at,
       second_factor_due)
     values ($1, $2, $3, $4, $5, $6, $6, $7, $8)`,
    [
      id,
      session.personId,
      tokenHash(token),
      session.address?.slice(0, addressCharactersMax) ?? null,
      session.userAgent?.slice(0, userAgentCharactersMax) ?? null,
      new Date(session.nowMs),
      new Date(expiresAtMs),
      session.secondFactorDue,
    ],
  )
  return { id, token, expiresAtMs }
}

/** The session a token speaks for; null when it is unknown, expired or revoked. */
export async function findSession(
  client: Queryable,
  token: string,
  nowMs: number,
  times: SessionTimes,
): Promise<SessionRow | null> {
  const { rows } = await client.query<{
    session_id: SessionId
    last_used_at: Date
    id: UserId
    email: string
    first_name: string | null
    last_name: string | null
  }>(
    `select sessions.id as session_id, last_used_at, people.id, email, first_name, last_name
     from sessions join people on people.id = sessions.person_id
     where token_hash = $1 and expires_at > $2 and last_used_at > $3 and not second_factor_due`,
    [tokenHash(token), new Date(nowMs), new Date(nowMs - times.idleMs)],
  )
  const row = rows[0]
  if (!row) return null
  return { sessionId: row.session_id, user: personOf(row), lastUsedAtMs: row.last_used_at.getTime() }
}

/** Whose password was right, when a second factor is still due in this session; null otherwise. */
export async function findDueSession(
  client: Queryable,
  token: string,
  nowMs: number,
): Promise<{ id: SessionId; personId: UserId } | null> {
  const { rows } = await client.query<{ id: SessionId; person_id: UserId }>(
    'select id, person_id from sessions where token_hash = $1 and expires_at > $2 and second_factor_due',
    [tokenHash(token), new Date(nowMs)],
  )
  const row = rows[0]
  return row ? { id: row.id, personId: row.person_id } : null
}

/** Counts an attempt at the second factor before it is looked at; false when there were too many. */
export async function countSecondFactorAttempt(client: Queryable, id: SessionId): Promise<boolean> {
  const { rowCount } = await client.query(
    `update sessions set second_factor_failures = second_factor_failures + 1
     where id = $1 and second_factor_due and second_factor_failures < $2`,
    [id, secondFactorAttemptsMax],
  )
  return rowCount === 1
}

/**
 * Lets the sessions of a person go on only after a code of their second factor, apart from the one in which it was switched
 * on. Returns the ids of those.
 */
export async function demandSecondFactor(
  client: Queryable,
  personId: string,
  keep: SessionId | null,
  nowMs: number,
): Promise<SessionId[]> {
  const { rows } = await client.query<{ id: SessionId }>(
    `update sessions set second_factor_due = true, second_factor_failures = 0, expires_at = least(expires_at, $3)
     where person_id = $1 and ($2::text is null or id <> $2) and not second_factor_due returning id`,
    [personId, keep, new Date(nowMs + secondFactorMsMax)],
  )
  return rows.map(row => row.id)
}

export async function touchSession(client: Queryable, id: SessionId, nowMs: number): Promise<void> {
  await client.query('update sessions set last_used_at = $2 where id = $1 and last_used_at < $2', [
    id,
    new Date(nowMs),
  ])
}

/** Of these, the ones that go on. */
export async function liveSessions(
  client: Queryable,
  ids: readonly SessionId[],
  nowMs: number,
  times: SessionTimes,
): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>(
    `select id from sessions
     where id = any($1) and expires_at > $2 and last_used_at > $3 and not second_factor_due`,
    [ids, new Date(nowMs), new Date(nowMs - times.idleMs)],
  )
  return new Set(rows.map(row => row.id))
}

/** A person's sessions, last used first. */
export async function listSessions(
  client: Queryable,
  personId: UserId,
  nowMs: number,
  times: SessionTimes,
): Promise<SessionInfo[]> {
  const { rows } = await client.query<{
    id: SessionId
    address: string | null
    user_agent: string | null
    created_at: Date
    last_used_at: Date
  }>(
    `select id, address, user_agent, created_at, last_used_at from sessions
     where person_id = $1 and expires_at > $2 and last_used_at > $3 and not second_factor_due order by last_used_at desc limit 200`,
    [personId, new Date(nowMs), new Date(nowMs - times.idleMs)],
  )
  return rows.map(row => ({
    id: row.id,
    address: row.address,
    userAgent: row.user_agent,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at.toISOString(),
  }))
}

/** Ends one session of this person; false when they have no such session. */
export async function deleteSession(client: Queryable, personId: UserId, id: string): Promise<boolean> {
  const { rowCount } = await client.query('delete from sessions where id = $1 and person_id = $2', [
    id,
    personId,
  ])
  return rowCount === 1
}

/** Ends all sessions of a person but one; returns the ids of those that ended. */
export async function deleteOtherSessions(
  client: Queryable,
  personId: UserId,
  keep: SessionId | null,
): Promise<SessionId[]> {
  const { rows } = await client.query<{ id: SessionId }>(
    'delete from sessions where person_id = $1 and ($2::text is null or id <> $2) returning id',
    [personId, keep],
  )
  return rows.map(row => row.id)
}
