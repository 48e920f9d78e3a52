/**
 * Passwords: how they are stored, compared, and which ones are taken.
 *
 * Invariant: the stored text names its own parameters, so that stronger ones can be introduced: an old hash goes on
 * working and is replaced at the next sign-in. An unknown person costs as much time as a known one.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.js'
import { commonPasswords } from './common-passwords.js'
import { HashQueue, type HashQueueOptions, type Rank, trusted } from './hash-queue.js'
import { scryptInWorker } from './hash-workers.js'

export interface ScryptParameters {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
}

/** As OWASP ASVS 5.0 asks for: 32 MiB and three passes. */
export const recommendedParameters: ScryptParameters = { cost: 2 ** 15, blockSize: 8, parallelization: 3 }

const charactersMin = 8
const charactersMax = 1_000
const saltBytes = 16
const digestBytes = 32
const textPattern = /^scrypt\$N=(\d{1,8}),r=(\d{1,3}),p=(\d{1,3})\$([\w-]+)\$([\w-]+)$/

export interface PasswordsOptions extends HashQueueOptions {
  readonly parameters?: ScryptParameters | undefined
}

export interface Passwords {
  /** Throws `too-many-requests` when somebody of this rank would be refused now. */
  requireRoom(rank: Rank): void
  /** The text to store; for somebody who is trusted, unless it is said. Rejects with `too-many-requests` when too many are waiting. */
  hash(password: string, rank?: Rank): Promise<string>
  /** `stored` null is somebody who does not exist or has no password: takes as long, never matches. */
  verify(
    password: string,
    stored: string | null,
    rank: Rank,
  ): Promise<{ matches: boolean; outdated: boolean }>
}

export function createPasswords(options: PasswordsOptions): Passwords {
  const parameters = options.parameters ?? recommendedParameters
  const queue = new HashQueue(options)

  const derive = (password: string, salt: Buffer, used: ScryptParameters, rank: Rank): Promise<Buffer> =>
    queue.run(rank, () => digest(password, salt, used))

  return {
    requireRoom: rank => queue.requireRoom(rank),
    async hash(password, rank = trusted) {
      const salt = randomBytes(saltBytes)
      return format(parameters, salt, await derive(password, salt, parameters, rank))
    },
    async verify(password, stored, rank) {
      const parsed = stored === null ? null : parse(stored)
      if (!parsed) {
        await derive(password, Buffer.alloc(saltBytes), parameters, rank)
        return { matches: false, outdated: false }
      }
      const actual = await derive(password, parsed.salt, parsed.parameters, rank)
      return {
        matches: actual.length === parsed.digest.length && timingSafeEqual(actual, parsed.digest),
        outdated: strength(parsed.parameters) < strength(parameters),
      }
    },
  }
}

/** Rejects with `invalid-value` on a password nobody should have. */
export function checkNewPassword(password: string, email: string): void {
  const refuse = (message: string): never => {
    throw new AppError('invalid-value', message, { fields: { password: message } })
  }
  if ([...password].length < charactersMin) refuse(`Use at least ${charactersMin} characters.`)
  if (password.length > charactersMax) refuse(`Use at most ${charactersMax} characters.`)
  const folded = password.toLowerCase()
  if (commonPasswords.has(folded)) refuse('This password is one of the most common ones. Choose another.')
  if (folded === email.trim().toLowerCase()) refuse('The password must not be the email address.')
}

function digest(password: string, salt: Buffer, used: ScryptParameters): Promise<Buffer> {
  return scryptInWorker(password.normalize('NFKC').slice(0, charactersMax), salt, digestBytes, {
    N: used.cost,
    r: used.blockSize,
    p: used.parallelization,
    maxmem: 256 * used.cost * used.blockSize,
  })
}

function format(used: ScryptParameters, salt: Buffer, key: Buffer): string {
  const words = `N=${used.cost},r=${used.blockSize},p=${used.parallelization}`
  return `scrypt$${words}$${salt.toString('base64url')}$${key.toString('base64url')}`
}

function parse(text: string): { parameters: ScryptParameters; salt: Buffer; digest: Buffer } | null {
  const [, cost, blockSize, parallelization, salt, key] = textPattern.exec(text) ?? []
  if (salt === undefined || key === undefined) return null
  return {
    parameters: {
      cost: Number(cost),
      blockSize: Number(blockSize),
      parallelization: Number(parallelization),
    },
    salt: Buffer.from(salt, 'base64url'),
    digest: Buffer.from(key, 'base64url'),
  }
}

function strength(parameters: ScryptParameters): number {
  return parameters.cost * parameters.blockSize * parameters.parallelization
}
