/**
 * Second factors: an authenticator app, and codes on paper for the day it is lost. Secrets are stored sealed with the
 * server's own secret, recovery codes as keyed digests.
 *
 * Invariant: each code opens once, however many requests bring it at the same moment: using it up and finding it unused
 * are one statement. A factor without a secret (registered by an operator for a system of their own) is opened by
 * nothing here; whoever has it stays outside.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { newId, type UserId } from '../ids.js'
import { appUrl, base32, isCode, stepOfCode } from './one-time-codes.js'

const secretBytes = 20
const recoveryCodesCount = 10
/** 50 bits: guesses are limited. */
const recoveryCodeCharacters = 10
const nonceBytes = 12
const tagBytes = 16
const issuer = 'Interval'

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
  const derived = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', purpose, 32))
  const sealingKey = derived('second factor: secret')
  const recoveryKey = derived('second factor: recovery codes')

  const seal = (factorId: string, plain: Buffer): string => {
    const nonce = randomBytes(nonceBytes)
    const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce).setAAD(Buffer.from(factorId))
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')
  }

  /** Null when it was sealed with another secret: then nothing opens it, and the operator must enrol anew. */
  const unseal = (factorId: string, text: string): Buffer | null => {
    const bytes = Buffer.from(text, 'base64url')
    const nonce = bytes.subarray(0, nonceBytes)
    const tag = bytes.subarray(nonceBytes, nonceBytes + tagBytes)
    try {
      const decipher = createDecipheriv('aes-256-gcm', sealingKey, nonce, { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(factorId)).setAuthTag(tag)
      return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()])
    } catch {
      return null
    }
  }

  const recoveryHash = (code: string): string => {
    const plain = code.toUpperCase().replace(/[^A-Z2-7]/g, '')
    return createHmac('sha256', recoveryKey).update(plain).digest('base64url')
  }

  return {
    async enroll(client, person) {
      const id = newId<string>()
      const plain = randomBytes(secretBytes)
      const recoveryCodes = Array.from({ length: recoveryCodesCount }, newRecoveryCode)
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

function newRecoveryCode(): string {
  const text = base32(randomBytes(recoveryCodeCharacters)).slice(0, recoveryCodeCharacters).toLowerCase()
  return `${text.slice(0, recoveryCodeCharacters / 2)}-${text.slice(recoveryCodeCharacters / 2)}`
}
