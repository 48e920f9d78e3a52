/**
 * Second factors: an authenticator app, and codes on paper for the day it is lost. Secrets are stored sealed with the
 * server's own secret, recovery codes as keyed digests.
 *
 * Invariant: each code opens once, however many requests bring it at the same moment: using it up and finding it unused
 * are one statement. A factor without a secret (registered by an operator for a system of their own) is opened by
 * nothing here; whoever has it stays outside.
 */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type UserId } from '../ids.js'
import { appUrl, base32, isCode, stepOfCode } from './one-time-codes.js'
import { createSealing } from './sealing.js'
import { signsOnOnly } from './single-sign-on.js'

const secretBytes = 20
const recoveryCodesCount = 10
/** 50 bits: guesses are limited. */
const recoveryCodeCharacters = 10
/** How long setting one up may take. */
const enrolmentMs = 900_000
/** Codes that may be tried in it. */
const enrolmentCodesMax = 10
const issuer = 'Interval'

/** SQL: true for a membership in an organization that asks for a second factor which the person does not have. */
export const lacksSecondFactor = `(organizations.require_second_factor and not exists (
  select from second_factors where second_factors.person_id = memberships.person_id) and not ${signsOnOnly})`

/** What a person is given once, to keep. */
export interface NewSecondFactor {
  readonly id: string
  /** To be typed into an authenticator app. */
  readonly secret: string
  /** The same as a link, for a QR code. */
  readonly url: string
  /** Each opens once, without the app. */
  readonly recoveryCodes: readonly string[]
}

export interface SecondFactors {
  /** Switches a factor on, replacing an older one. Run it in a transaction. */
  enroll(client: Queryable, person: { id: UserId; email: string }): Promise<NewSecondFactor>
  /**
   * Begins to set one up, forgetting what was begun before: the secret for the person's app. Nothing asks for a code of it
   * until `finish`.
   */
  begin(
    client: Queryable,
    person: { id: UserId; email: string },
    nowMs: number,
  ): Promise<{ secret: string; url: string }>
  /**
   * Switches on what was begun, with the first code of it: the recovery codes. Null when the code is wrong. Rejects with
   * `not-found` when nothing was begun, or too long ago, or too many codes were wrong. Run it in a transaction.
   */
  finish(client: Queryable, personId: UserId, code: string, nowMs: number): Promise<readonly string[] | null>
  /** New recovery codes in place of those there are. Null when there is no app to recover from. */
  renewRecoveryCodes(client: Queryable, personId: UserId): Promise<readonly string[] | null>
  /** Uses a code up. Null when it is wrong or was used before. */
  use(
    client: Queryable,
    personId: UserId,
    code: string,
    nowMs: number,
  ): Promise<'code' | 'recovery code' | null>
}

/** `secret` is the server's own. */
export function createSecondFactors(secret: string): SecondFactors {
  const recoveryKey = Buffer.from(hkdfSync('sha256', secret, '', 'second factor: recovery codes', 32))
  // What was sealed with another secret nothing opens: then the operator must enrol anew.
  const { seal, unseal } = createSealing(secret, 'second factor: secret')

  const recoveryHash = (code: string): string => {
    const plain = code.toUpperCase().replace(/[^A-Z2-7]/g, '')
    return createHmac('sha256', recoveryKey).update(plain).digest('base64url')
  }

  return {
    async begin(client, person, nowMs) {
      const id = newId<string>()
      const plain = randomBytes(secretBytes)
      const values = [person.id, id, seal(id, plain), new Date(nowMs), new Date(nowMs + enrolmentMs)]
      await client.query(
        `insert into second_factor_enrolments (person_id, factor_id, secret, created_at, expires_at)
         values ($1, $2, $3, $4, $5) on conflict (person_id) do update set factor_id = excluded.factor_id,
           secret = excluded.secret, codes = 0, created_at = excluded.created_at, expires_at = excluded.expires_at`,
        values,
      )
      return { secret: base32(plain), url: appUrl(issuer, person.email, plain) }
    },

    async finish(client, personId, code, nowMs) {
      const { rows } = await client.query<{
        factor_id: string
        secret: string
        expires_at: Date
        codes: number
      }>(
        `update second_factor_enrolments set codes = codes + 1 where person_id = $1
         returning factor_id, secret, expires_at, codes`,
        [personId],
      )
      const begun = rows[0]
      const plain = begun ? unseal(begun.factor_id, begun.secret) : null
      if (!begun || !plain || begun.expires_at.getTime() <= nowMs || begun.codes > enrolmentCodesMax) {
        throw new AppError('not-found', 'It took too long, or too many codes were wrong. Begin again.')
      }
      const step = stepOfCode(plain, code.replace(/\s/g, ''), nowMs, null)
      if (step === null) return null
      const recoveryCodes = newRecoveryCodes()
      await client.query('delete from second_factor_enrolments where person_id = $1', [personId])
      await client.query('delete from second_factors where person_id = $1', [personId])
      await client.query(
        `insert into second_factors (id, person_id, kind, secret, last_step, recovery_code_hashes, confirmed_at)
         values ($1, $2, 'TOTP', $3, $4, $5, now())`,
        [begun.factor_id, personId, begun.secret, step, recoveryCodes.map(recoveryHash)],
      )
      return recoveryCodes
    },

    async renewRecoveryCodes(client, personId) {
      const recoveryCodes = newRecoveryCodes()
      const { rowCount } = await client.query(
        `update second_factors set recovery_code_hashes = $2 where person_id = $1 and kind = 'TOTP'`,
        [personId, recoveryCodes.map(recoveryHash)],
      )
      return rowCount === 1 ? recoveryCodes : null
    },

    async enroll(client, person) {
      const id = newId<string>()
      const plain = randomBytes(secretBytes)
      const recoveryCodes = newRecoveryCodes()
      await client.query('delete from second_factors where person_id = $1', [person.id])
      await client.query(
        `insert into second_factors (id, person_id, kind, secret, recovery_code_hashes, confirmed_at)
         values ($1, $2, 'TOTP', $3, $4, now())`,
        [id, person.id, seal(id, plain), recoveryCodes.map(recoveryHash)],
      )
      return { id, secret: base32(plain), url: appUrl(issuer, person.email, plain), recoveryCodes }
    },

    async use(client, personId, code, nowMs) {
      const compact = code.replace(/\s/g, '')
      if (!isCode(compact)) {
        const { rowCount } = await client.query(
          `update second_factors set recovery_code_hashes = array_remove(recovery_code_hashes, $2)
           where person_id = $1 and $2 = any(recovery_code_hashes)`,
          [personId, recoveryHash(code)],
        )
        return rowCount === 1 ? 'recovery code' : null
      }
      const { rows } = await client.query<{ id: string; secret: string | null; last_step: string | null }>(
        'select id, secret, last_step from second_factors where person_id = $1',
        [personId],
      )
      const factor = rows[0]
      const plain = factor?.secret ? unseal(factor.id, factor.secret) : null
      if (!factor || !plain) return null
      const step = stepOfCode(
        plain,
        compact,
        nowMs,
        factor.last_step === null ? null : Number(factor.last_step),
      )
      if (step === null) return null
      const { rowCount } = await client.query(
        'update second_factors set last_step = $2 where id = $1 and (last_step is null or last_step < $2)',
        [factor.id, step],
      )
      return rowCount === 1 ? 'code' : null
    },
  }
}

function newRecoveryCodes(): string[] {
  return Array.from({ length: recoveryCodesCount }, newRecoveryCode)
}

function newRecoveryCode(): string {
  const text = base32(randomBytes(recoveryCodeCharacters)).slice(0, recoveryCodeCharacters).toLowerCase()
  return `${text.slice(0, recoveryCodeCharacters / 2)}-${text.slice(recoveryCodeCharacters / 2)}`
}
