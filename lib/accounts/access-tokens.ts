/**
 * Personal access tokens: what a person's scripts present to the API in place of a session. Only a digest is kept; a token
 * has 256 bits of randomness, so a fast digest is as good as a slow one.
 *
 * Invariant: a token is never more than its person: whoever leaves an organization takes their tokens along. It reads, or
 * reads and writes, and it ends at its time, when it is revoked, when its person's account ends or gets a new password by
 * mail, and, where they want that, with any new password. What can go wrong:
 * one is revoked on another node. Then it goes on here for `freshMs`.
 */
import { createHash } from 'node:crypto'
import { type Database, type Queryable, storableText } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, newSecret, type UserId } from '../ids.js'
import type { Limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Audit } from './audit.js'
import { Cache } from './cache.js'
import type { Clock } from './clock.js'
import type { Person } from './contract.js'
import { lockPerson, personOf } from './people.js'
import { tellPerson } from './person-mails.js'
import type { Origin } from './sign-in.js'

export type TokenScope = 'read' | 'write'

/** Whom a token speaks for, and what it may do. */
export interface TokenIdentity {
  readonly tokenId: string
  readonly user: Person
  readonly scope: TokenScope
}

/** A token as it is listed: enough to tell it apart, never enough to use it. */
export interface TokenListing {
  readonly id: string
  readonly name: string
  /** How its text begins. */
  readonly prefix: string
  readonly scope: TokenScope
  readonly createdAt: string
  readonly expiresAt: string
  readonly lastUsedAt: string | null
}

export interface AccessTokens {
  /** Null when the text is no token, or one that has ended. */
  authenticateToken(text: string): Promise<TokenIdentity | null>
  accessTokens(userId: UserId): Promise<TokenListing[]>
  /** `token` is the text to present: it cannot be read again. Rejects with `conflict` when there are too many. */
  createAccessToken(
    userId: UserId,
    wanted: { readonly name: string; readonly scope: TokenScope; readonly days: number },
    origin: Origin,
  ): Promise<TokenListing & { readonly token: string }>
  /** Rejects with `not-found` when the person has no such token. */
  revokeAccessToken(userId: UserId, id: string, origin: Origin): Promise<void>
}

export interface AccessTokensOptions {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly limits: Limits
  readonly audit: Audit
}

/** In days. */
export const tokenDaysMax = 366
const beginning = 'pat_'
const tokenPattern = /^pat_[\w-]{43}$/
const prefixCharacters = 8
/** Short: another node may have revoked it. */
const freshMs = 3_000
const staleMs = 600_000
const entriesMax = 10_000
const touchEveryMs = 60_000
const dayMs = 86_400_000

/** True for text that can be a token at all. */
export function isAccessToken(text: string | undefined): text is string {
  return text !== undefined && tokenPattern.test(text)
}

interface TokenRow {
  readonly id: string
  readonly name: string
  readonly prefix: string
  readonly scope: TokenScope
  readonly created_at: Date
  readonly expires_at: Date
  readonly last_used_at: Date | null
}

const columns = 'id, name, prefix, scope, created_at, expires_at, last_used_at'

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { audit, clock, database, limits } = options
  const known = new Cache<(TokenIdentity & { expiresAtMs: number; lastUsedAtMs: number }) | null>({
    clock,
    freshMs,
    staleMs,
    entriesMax,
  })
  const touchedAtMs = new Map<string, number>()

  const touch = (tokenId: string, lastUsedAtMs: number): void => {
    const nowMs = clock.nowMs()
    if (nowMs - Math.max(lastUsedAtMs, touchedAtMs.get(tokenId) ?? 0) < touchEveryMs) return
    touchedAtMs.delete(tokenId)
    touchedAtMs.set(tokenId, nowMs)
    if (touchedAtMs.size > entriesMax) touchedAtMs.delete(touchedAtMs.keys().next().value ?? '')
    database
      .query('update access_tokens set last_used_at = $2 where id = $1', [tokenId, new Date(nowMs)])
      .catch((error: unknown) => options.log.warn('token.not-touched', { error }))
  }

  const find = async (text: string) => {
    const { rows } = await database.query<
      TokenRow & { person_id: UserId; email: string; first_name: string | null; last_name: string | null }
    >(
      `select access_tokens.id, scope, access_tokens.expires_at, access_tokens.last_used_at, people.id as person_id,
         people.email, people.first_name, people.last_name
       from access_tokens join people on people.id = access_tokens.person_id
       where token_hash = $1 and access_tokens.expires_at > $2`,
      [hashOf(text), new Date(clock.nowMs())],
    )
    const [row] = rows
    if (!row) return null
    const user = personOf({ ...row, id: row.person_id })
    const lastUsedAtMs = row.last_used_at?.getTime() ?? 0
    return { tokenId: row.id, user, scope: row.scope, expiresAtMs: row.expires_at.getTime(), lastUsedAtMs }
  }

  return {
    async authenticateToken(text) {
      if (!isAccessToken(text)) return null
      const found = await known.get(
        hashOf(text).toString('base64'),
        () => find(text),
        token => token !== null,
      )
      if (!found || found.expiresAtMs <= clock.nowMs()) return null
      touch(found.tokenId, found.lastUsedAtMs)
      return { tokenId: found.tokenId, user: found.user, scope: found.scope }
    },

    async accessTokens(userId) {
      const { rows } = await database.query<TokenRow>(
        `select ${columns} from access_tokens where person_id = $1 and expires_at > $2 order by created_at desc, id`,
        [userId, new Date(clock.nowMs())],
      )
      return rows.map(listed)
    },

    async createAccessToken(userId, { days, name, scope }, origin) {
      const nowMs = clock.nowMs()
      const text = `${beginning}${newSecret()}`
      const row = await database.transaction(async client => {
        // One after the other, so that the count holds.
        const person = await lockPerson(client, userId)
        // Whoever makes one cleans up behind themselves: no job is needed for it.
        await client.query('delete from access_tokens where person_id = $1 and expires_at <= $2', [
          userId,
          new Date(nowMs),
        ])
        const { rows } = await client.query<TokenRow>(
          `insert into access_tokens (id, person_id, name, token_hash, prefix, scope, created_at, expires_at)
           select $1, $2, $3, $4, $5, $6, $7, $8
           where (select count(*) from access_tokens where person_id = $2) < $9
           returning ${columns}`,
          [
            newId(),
            userId,
            storableText(name),
            hashOf(text),
            text.slice(0, prefixCharacters),
            scope,
            new Date(nowMs),
            new Date(nowMs + days * dayMs),
            limits.accessTokensPerPersonMax,
          ],
        )
        // It outlives the session it was made in: who has not made it is to hear of it.
        if (person && rows[0]) {
          await tellPerson(client, person.email, {
            subject: 'An access token was made',
            paragraphs: [
              `An access token “${rows[0].name}” was made in your account. It lasts ${days} days, and may ${
                scope === 'read' ? 'read' : 'read and change'
              } what you may. Your account lists it, and revokes it.`,
            ],
          })
        }
        return rows[0]
      })
      if (!row) {
        throw new AppError(
          'conflict',
          `You have ${limits.accessTokensPerPersonMax} access tokens, which is the most there can be: revoke one first.`,
        )
      }
      const details = { token: row.id, scope, days }
      audit.record({ name: 'access-token.created', userId, address: origin.address, details })
      return { ...listed(row), token: text }
    },

    async revokeAccessToken(userId, id, origin) {
      const { rowCount } = await database.query(
        'delete from access_tokens where person_id = $1 and id = $2',
        [userId, id],
      )
      if (rowCount === 0) throw new AppError('not-found')
      known.drop(token => token?.tokenId === id)
      audit.record({ name: 'access-token.revoked', userId, address: origin.address, details: { token: id } })
    },
  }
}

/** Ends all of a person's, and says how many there were. Where they are remembered they go on for `freshMs`. */
export async function deleteAccessTokens(client: Queryable, personId: UserId): Promise<number> {
  const { rowCount } = await client.query('delete from access_tokens where person_id = $1', [personId])
  return rowCount ?? 0
}

/** Those that have not ended by themselves. */
export async function countAccessTokens(client: Queryable, personId: UserId, nowMs: number): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from access_tokens where person_id = $1 and expires_at > $2',
    [personId, new Date(nowMs)],
  )
  return rows[0]?.count ?? 0
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function listed(row: TokenRow): TokenListing {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    scope: row.scope,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  }
}
