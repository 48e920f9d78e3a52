/**
 * Passwords: scrypt in Node's thread pool, which LevelDB shares. So few hashes run at once, few wait, and whoever comes
 * after that is refused before any memory is spent.
 *
 * Invariant: the stored text names its own parameters, so that stronger ones can be introduced: an old hash goes on
 * working and is replaced at the next sign-in. An unknown person costs as much time as a known one.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.js'
import { commonPasswords } from './common-passwords.js'

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

export interface PasswordsOptions {
  /** Hashes at once. */
  readonly hashesMax: number
  /** Hashes waiting behind those. */
  readonly queueMax: number
  readonly parameters?: ScryptParameters | undefined
}

export interface Passwords {
  /** The text to store. Rejects with `too-many-requests` when too many are waiting. */
  hash(password: string): Promise<string>
  /** `stored` null is somebody who does not exist or has no password: takes as long, never matches. */
  verify(password: string, stored: string | null): Promise<{ matches: boolean; outdated: boolean }>
}

export function createPasswords(options: PasswordsOptions): Passwords {
  const parameters = options.parameters ?? recommendedParameters
  const waiting: (() => void)[] = []
  let running = 0

  const derive = async (password: string, salt: Buffer, used: ScryptParameters): Promise<Buffer> => {
    if (running >= options.hashesMax) {
      if (waiting.length >= options.queueMax) {
        throw new AppError('too-many-requests', 'Too many sign-ins at once. Try again in a moment.')
      }
      await new Promise<void>(resume => waiting.push(resume))
    } else {
      running += 1
    }
    try {
      return await digest(password, salt, used)
    } finally {
      const next = waiting.shift()
      // The place goes straight to the next one, so that nobody slips in between.
      if (next) next()
      else running -= 1
    }
  }

  return {
    async hash(password) {
      const salt = randomBytes(saltBytes)
      return format(parameters, salt, await derive(password, salt, parameters))
    },
    async verify(password, stored) {
      const parsed = stored === null ? null : parse(stored)
      if (!parsed) {
        await derive(password, Buffer.alloc(saltBytes), parameters)
        return { matches: false, outdated: false }
      }
      const actual = await derive(password, parsed.salt, parsed.parameters)
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
  return new Promise((fulfil, reject) => {
    scrypt(
      password.normalize('NFKC').slice(0, charactersMax),
      salt,
      digestBytes,
      {
        N: used.cost,
        r: used.blockSize,
        p: used.parallelization,
        maxmem: 256 * used.cost * used.blockSize,
      },
      (error, key) => (error ? reject(error) : fulfil(key)),
    )
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
