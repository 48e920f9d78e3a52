/**
 * Slows down guessing: failed sign-ins are counted per account and per address over a sliding window, in memory.
 *
 * Two things can go wrong. Guessing in parallel: so an attempt counts from its start and is taken back when it
 * succeeds. Locking somebody out by guessing wrongly for them: so an address from which the account has signed in
 * before has a count of its own, which strangers cannot fill.
 */
import { AppError } from '../errors.js'
import { networkOf } from '../networks.js'
import type { Clock } from './clock.js'

const windowMs = 600_000
/** Counters kept at once; the oldest go first. 10,000 of them take a few megabytes at most. */
const countersMax = 10_000

/** An attempt that counts as a failure until it is said how it ended. */
export interface Attempt {
  /** It was right: it is not counted, and its address is known to be the account's. */
  succeeded(): void
  /** It was never looked at: it is not counted, and says nothing of its address. */
  takenBack(): void
}

export interface LoginLimits {
  /** Counts an account that a stranger makes. Rejects with `too-many-requests`. */
  signUp(address: string): void
  /** Counts an attempt. Rejects with `too-many-requests`. */
  attempt(email: string, address: string): Attempt
}

export function createLoginLimits(options: {
  clock: Clock
  failuresPerAccountMax: number
  failuresPerAddressMax: number
  signUpsPerAddressMax: number
}): LoginLimits {
  const failures = new Map<string, number[]>()
  const knownAddresses = new Set<string>()

  const recent = (key: string): number[] => {
    const sinceMs = options.clock.nowMs() - windowMs
    return (failures.get(key) ?? []).filter(atMs => atMs > sinceMs)
  }

  return {
    signUp(address) {
      const key = `sign-up ${networkOf(address)}`
      const made = recent(key)
      if (made.length >= options.signUpsPerAddressMax) {
        throw new AppError(
          'too-many-requests',
          'Too many accounts were made from here. Try again in ten minutes.',
        )
      }
      failures.delete(key)
      failures.set(key, [...made, options.clock.nowMs()])
      trim(failures)
    },

    attempt(email, address) {
      const account = email.trim().toLowerCase()
      const network = networkOf(address)
      const pair = `${account}\n${network}`
      const keys: [key: string, max: number][] = [
        [knownAddresses.has(pair) ? `pair ${pair}` : `account ${account}`, options.failuresPerAccountMax],
        [`address ${network}`, options.failuresPerAddressMax],
      ]
      for (const [key, max] of keys) {
        if (recent(key).length >= max) {
          throw new AppError('too-many-requests', 'Too many failed attempts. Try again in ten minutes.')
        }
      }
      const atMs = options.clock.nowMs()
      for (const [key] of keys) {
        const counted = [...recent(key), atMs]
        failures.delete(key)
        failures.set(key, counted)
        trim(failures)
      }
      const takenBack = (): void => {
        for (const [key] of keys) {
          const times = failures.get(key)
          const index = times?.indexOf(atMs) ?? -1
          if (index >= 0) times?.splice(index, 1)
          if (times?.length === 0) failures.delete(key)
        }
      }
      return {
        takenBack,
        succeeded() {
          takenBack()
          knownAddresses.delete(pair)
          knownAddresses.add(pair)
          trim(knownAddresses)
        },
      }
    },
  }
}

function trim(collection: { size: number; keys(): Iterator<string>; delete(key: string): boolean }): void {
  while (collection.size > countersMax) {
    const oldest = collection.keys().next()
    if (oldest.done) return
    collection.delete(oldest.value)
  }
}
