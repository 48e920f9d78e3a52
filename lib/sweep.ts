/**
 * What a node looks for again and again: one round at a time, the next one a while after the last has ended. What waits is
 * kept elsewhere (rows), so a round that is missed loses nothing.
 */
import { pause } from './pause.js'

const sayAgainMs = 2_000

export interface SweepClock {
  setTimer(delayMs: number, work: () => void): { cancel(): void }
}

export interface SweepOptions {
  readonly clock: SweepClock
  /** Between the end of a round and the next, in ms. */
  readonly everyMs: number
  /** One round. Must not reject, and should end early once the sweep `isStopped`. */
  readonly round: () => Promise<void>
}

export class Sweep {
  readonly #options: SweepOptions
  #timer: { cancel(): void } | null = null
  #round: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: SweepOptions) {
    this.#options = options
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Begins at once. */
  start(): void {
    if (!this.#isStopped) this.#again(0)
  }

  /** Begins no more rounds; resolves when the last one and `others` have ended, or after `msMax`. */
  async stop(msMax: number, others: () => Iterable<Promise<unknown>> = () => []): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    let timer: { cancel(): void } | undefined
    const late = new Promise<void>(resolve => {
      timer = this.#options.clock.setTimer(msMax, resolve)
    })
    await Promise.race([Promise.all([this.#round, ...others()]), late])
    timer?.cancel()
  }

  /**
   * Says what has happened: tried again until it is said. Rejects with the last error after `msMax`, or once the sweep is
   * stopped; whoever takes the row then will do again what was done.
   */
  async insist<T>(say: () => Promise<T>, msMax: number): Promise<T> {
    const untilMs = performance.now() + msMax
    for (;;) {
      try {
        return await say()
      } catch (error) {
        if (this.#isStopped || performance.now() > untilMs) throw error
        await pause(this.#options.clock, sayAgainMs)
      }
    }
  }

  #again(delayMs: number): void {
    const { clock, everyMs, round } = this.#options
    this.#timer = clock.setTimer(delayMs, () => {
      this.#round = round().finally(() => {
        if (!this.#isStopped) this.#again(everyMs)
      })
    })
  }
}
