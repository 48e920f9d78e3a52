/**
 * Slows down guessing: failed sign-ins are counted per account and per address over a sliding window, by all nodes
 * together.
 *
 * Two things can go wrong. Guessing in parallel: so an attempt counts from its start and is taken back when it succeeds.
 * Locking somebody out by guessing wrongly for them: so an address from which the account has signed in before has a
 * count of its own, which strangers cannot fill.
 *
 * What is full is remembered for a moment, so that a flood costs the database one look per count and moment.
 */
import { createHmac, randomInt } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { networkOf } from '../networks.js'
import type { Clock } from './clock.js'
import { BusyError, type Rank, stranger, trusted } from './hash-queue.js'

const windowMs = 600_000
/** How long the address of a sign-in is known to be the account's. */
const knownMs = 90 * 86_400_000
/** Somebody who was in the middle of an attempt may have succeeded meanwhile. */
const fullMs = 3_000
/** Entries of each memory; the oldest go first. They take a few megabytes at most. */
const entriesMax = 10_000
/** After so many attempts here, what has expired is removed: at most as many as `expiredMax`. */
const attemptsPerSweep = 100
const expiredMax = 1_000
/** Sign-ins of one account from one address in a window, before it stands in line with strangers. */
const trustedPerWindowMax = 10
/** The same of all accounts from one address: strangers who may make accounts would else be trusted with any number. */
const trustedPerAddressMax = 50
/**
 * Has the statement it is part of committed without waiting for the disk. A crash of the database may forget the last
 * guesses; a flood of them, each written through, would hold up everything else that writes to the same disk.
 */
const lazily = `set_config('synchronous_commit', 'off', true)`
/** Numbers for one millisecond. */
const numbersPerMs = 1_000

/** An attempt that counts as a failure until it is said how it ended. */
export interface Attempt {
  /** Whether it waits for others to be looked at. */
  readonly rank: Rank
  /** It was right: it is not counted, and its address is known to be the account's. */
  succeeded(): Promise<void>
  /** It was never looked at: it is not counted, and says nothing of its address. */
  takenBack(): Promise<void>
}

export interface LoginLimits {
  /** Counts an account that a stranger makes. Rejects with `too-many-requests`. */
  signUp(address: string): Promise<void>
  /** Counts an attempt. Rejects with `too-many-requests`, and with what `requireRoom` throws; then it is not counted. */
  attempt(email: string, address: string, requireRoom?: (rank: Rank) => void): Promise<Attempt>
}

export interface LoginLimitsOptions {
  readonly database: Queryable
  readonly clock: Clock
  /** Of the installation: what is stored is digested with it. */
  readonly secret: string
  readonly failuresPerAccountMax: number
  readonly failuresPerAddressMax: number
  readonly signUpsPerAddressMax: number
}

interface Count {
  readonly key: string
  readonly max: number
}

export function createLoginLimits(options: LoginLimitsOptions): LoginLimits {
  const { clock, database } = options
  /** By key, until when it is taken for full. */
  const fullUntilMs = new Map<string, number>()
  /** By account and network, and by network, when they have signed in here lately. */
  const signIns = new Map<string, number[]>()
  let attempts = 0

  const keyOf = (text: string): string =>
    createHmac('sha256', options.secret).update(`login ${text}`).digest('base64url')
  const refusal = (message: string): AppError => new AppError('too-many-requests', message)
  const isFull = ({ key }: Count): boolean => (fullUntilMs.get(key) ?? 0) > clock.nowMs()

  const isNowFull = ({ key }: Count): void => {
    fullUntilMs.delete(key)
    fullUntilMs.set(key, clock.nowMs() + fullMs)
    trim(fullUntilMs)
  }

  const takeBack = async (counts: readonly Count[], number: number): Promise<void> => {
    await database.query(
      `with held as (
         select key, ${lazily} from login_counts where key = any($1) order by array_position($1, key) for update)
       update login_counts set taken = array_remove(taken, $2::bigint) from held where login_counts.key = held.key`,
      [counts.map(({ key }) => key), number],
    )
    for (const { key } of counts) fullUntilMs.delete(key)
  }

  /** Counts one in all of them, or in none. Null when one of them is full. */
  const take = async (counts: readonly Count[]): Promise<number | null> => {
    const nowMs = clock.nowMs()
    const number = nowMs * numbersPerMs + randomInt(numbersPerMs)
    const { rows } = await database.query<{ key: string; count: number }>(
      `insert into login_counts as counted (key, taken, expires_at)
       select key, array[$2::bigint], $4 from unnest($1::text[]) as key, (select ${lazily}) as commit
       on conflict (key) do update set expires_at = excluded.expires_at,
         taken = array(select number from unnest(counted.taken) as number where number > $3::bigint) || $2::bigint
       returning key, cardinality(taken) as count`,
      [counts.map(({ key }) => key), number, (nowMs - windowMs) * numbersPerMs, new Date(nowMs + windowMs)],
    )
    attempts += 1
    if (attempts % attemptsPerSweep === 0) {
      await database.query(
        `delete from login_counts where key in (
           select key from login_counts, (select ${lazily}) as commit
           where expires_at < $1 limit $2 for update of login_counts skip locked)`,
        [new Date(nowMs), expiredMax],
      )
    }
    const full = counts.filter(({ key, max }) => rows.some(row => row.key === key && row.count > max))
    if (full.length === 0) return number
    await takeBack(counts, number)
    full.forEach(isNowFull)
    return null
  }

  /** How many count for each of the keys; undefined for those of which nothing is known. */
  const look = async (keys: readonly string[]): Promise<Map<string, number>> => {
    const nowMs = clock.nowMs()
    const { rows } = await database.query<{ key: string; count: number }>(
      `select key, (select count(*)::int from unnest(taken) as number where number > $2::bigint) as count
       from login_counts where key = any($1) and expires_at > $3`,
      [keys, (nowMs - windowMs) * numbersPerMs, new Date(nowMs)],
    )
    return new Map(rows.map(({ key, count }) => [key, count]))
  }

  const recentSignIns = (key: string): number[] => {
    const sinceMs = clock.nowMs() - windowMs
    return (signIns.get(key) ?? []).filter(atMs => atMs > sinceMs)
  }

  const noteSignIn = (key: string, max: number): void => {
    const recent = [...recentSignIns(key), clock.nowMs()].slice(-max)
    signIns.delete(key)
    signIns.set(key, recent)
    trim(signIns)
  }

  /** The address is known to be the account's. */
  const remember = async (key: string): Promise<void> => {
    await database.query(
      `insert into login_counts (key, taken, expires_at) select $1, '{}', $2 from (select ${lazily}) as commit
       on conflict (key) do update set expires_at = excluded.expires_at`,
      [key, new Date(clock.nowMs() + knownMs)],
    )
  }

  return {
    async signUp(address) {
      const count = { key: keyOf(`sign-up ${networkOf(address)}`), max: options.signUpsPerAddressMax }
      if (isFull(count) || (await take([count])) === null) {
        throw refusal('Too many accounts were made from here. Try again in ten minutes.')
      }
    },

    async attempt(email, address, requireRoom) {
      const tooMany = (): AppError => refusal('Too many failed attempts. Try again in ten minutes.')
      const account = email.trim().toLowerCase()
      const network = networkOf(address)
      const pair = `${account}\n${network}`
      const perAddress = { key: keyOf(`address ${network}`), max: options.failuresPerAddressMax }
      if (isFull(perAddress)) throw tooMany()
      const known = keyOf(`known ${pair}`)
      const ofPair = { key: keyOf(`pair ${pair}`), max: options.failuresPerAccountMax }
      const ofAccount = { key: keyOf(`account ${account}`), max: options.failuresPerAccountMax }
      const counted = await look([known, ofPair.key, ofAccount.key, perAddress.key])
      const isKnown = counted.has(known)
      // The account first, everywhere: statements that wait for each other's rows do so in one order.
      const counts = [isKnown ? ofPair : ofAccount, perAddress]
      const failures = counts.map(({ key }) => counted.get(key) ?? 0)
      const full = counts.filter(({ max }, index) => (failures[index] ?? 0) >= max)
      full.forEach(isNowFull)
      if (full.length > 0 || counts.some(isFull)) throw tooMany()
      const entered = isKnown ? recentSignIns(known).length : 0
      const isTrusted =
        isKnown &&
        entered < trustedPerWindowMax &&
        recentSignIns(perAddress.key).length < trustedPerAddressMax
      const rank = isTrusted ? trusted : stranger + entered + Math.max(...failures)
      requireRoom?.(rank)
      const number = await take(counts)
      if (number === null) throw tooMany()
      return {
        rank,
        // While the database is away it stays counted, and whatever went wrong is what is told.
        takenBack: () => takeBack(counts, number).catch(() => undefined),
        async succeeded() {
          await takeBack(counts, number)
          noteSignIn(known, trustedPerWindowMax)
          noteSignIn(perAddress.key, trustedPerAddressMax)
          await remember(known)
        },
      }
    },
  }
}

/** Why an attempt was not looked at, for the audit log; undefined for any other error. */
export function refusalReason(error: unknown): string | undefined {
  if (!(error instanceof AppError) || error.code !== 'too-many-requests') return undefined
  return error instanceof BusyError ? 'busy' : 'too many failures'
}

/** Looks at what was entered. When that cannot be done, nothing was guessed: it is not counted. */
export async function lookedAt<Result>(attempt: Attempt, look: () => Promise<Result>): Promise<Result> {
  try {
    return await look()
  } catch (error) {
    await attempt.takenBack()
    throw error
  }
}

function trim(collection: Map<string, unknown>): void {
  while (collection.size > entriesMax) {
    const oldest = collection.keys().next()
    if (oldest.done) return
    collection.delete(oldest.value)
  }
}
