/**
 * Who is hashed next: a hash takes a third of a second of a core, so few run at once, few wait, and whoever comes after
 * that is refused before any memory is spent.
 *
 * Invariant: who is trusted waits behind nobody who is not. The last place is kept for them, and where too many wait the
 * one with the highest rank gives way. Among equals it is first come, first served. What can go wrong: strangers at so
 * many addresses that each asks for the first time. Nothing tells them from anybody else who is new here; people who have
 * been here before do not notice them, unless they share the address of somebody who signs in with very many accounts: then
 * they stand in line with everybody from there.
 */
import { AppError } from '../errors.js'

/** What somebody has asked for lately: the less, the sooner. */
export type Rank = number

/** Of people who have shown before who they are. */
export const trusted: Rank = 0
/** Of strangers who have asked for nothing lately; each thing asked for adds one. */
export const stranger: Rank = 1
/** Of what nobody waits for. */
export const unhurried: Rank = Number.MAX_SAFE_INTEGER

export interface HashQueueOptions {
  /** Hashes at once. Of several, one is for the trusted alone. */
  readonly hashesMax: number
  /** Hashes waiting behind those. */
  readonly queueMax: number
}

interface Waiting {
  readonly rank: Rank
  begin(): void
  giveWay(): void
}

export class HashQueue {
  readonly #options: HashQueueOptions
  /** By rank, and by age within one. */
  readonly #waiting: Waiting[] = []
  #running = 0

  constructor(options: HashQueueOptions) {
    this.#options = options
  }

  /** Throws `too-many-requests` when somebody of this rank would be refused now. */
  requireRoom(rank: Rank): void {
    if (this.#mayBegin(rank) || this.#waiting.length < this.#options.queueMax) return
    if (rank >= (this.#waiting.at(-1)?.rank ?? 0)) throw new BusyError()
  }

  /** Does it when it is their turn. Rejects with `too-many-requests` when there is no room, or none any more. */
  async run<Result>(rank: Rank, work: () => Promise<Result>): Promise<Result> {
    this.requireRoom(rank)
    if (this.#mayBegin(rank)) this.#running += 1
    else await this.#turn(rank)
    try {
      return await work()
    } finally {
      this.#running -= 1
      this.#next()
    }
  }

  #mayBegin(rank: Rank): boolean {
    const { hashesMax } = this.#options
    return this.#running < (rank === trusted ? hashesMax : Math.max(1, hashesMax - 1))
  }

  #turn(rank: Rank): Promise<void> {
    if (this.#waiting.length >= this.#options.queueMax) this.#waiting.pop()?.giveWay()
    return new Promise((resolve, reject) => {
      const after = this.#waiting.findIndex(other => other.rank > rank)
      const waiting = { rank, begin: resolve, giveWay: () => reject(new BusyError()) }
      this.#waiting.splice(after < 0 ? this.#waiting.length : after, 0, waiting)
    })
  }

  /** The place goes straight to the next one, so that nobody slips in between. */
  #next(): void {
    const [first] = this.#waiting
    if (!first || !this.#mayBegin(first.rank)) return
    this.#waiting.shift()
    this.#running += 1
    first.begin()
  }
}

/** There is no room: nothing was looked at. */
export class BusyError extends AppError {
  constructor() {
    super('too-many-requests', 'Too many sign-ins at once. Try again in a moment.')
  }
}
