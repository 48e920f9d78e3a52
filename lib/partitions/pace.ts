/**
 * How fast a node moves what could as well stay where it is: a few at a time, each followed by a rest three times as
 * long as it took, so that sessions have most of the time to themselves however slow the machine is.
 */
import { pause } from '../pause.js'
import type { Clock } from './clock.js'

const restTimes = 3
/** One that was waited for in vain is no reason to rest for long. */
const restMsMax = 2_000

export interface PaceOptions {
  readonly atOnceMax: number
  /** There is room again. */
  wake(): void
  readonly clock: Clock
}

export class Pace {
  readonly #options: PaceOptions
  #count = 0

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** Moves that are under way, or after which is rested. */
  get count(): number {
    return this.#count
  }

  get hasRoom(): boolean {
    return this.#count < this.#options.atOnceMax
  }

  /** Counts a move until it has ended, one way or the other, and rested. */
  add(move: Promise<unknown>): void {
    const { clock, wake } = this.#options
    const beganAtMs = clock.nowMs()
    this.#count += 1
    move
      .catch(() => undefined)
      .then(() => pause(clock, Math.min(restMsMax, restTimes * (clock.nowMs() - beganAtMs))))
      .then(() => {
        this.#count -= 1
        wake()
      })
  }
}
