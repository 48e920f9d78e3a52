/**
 * One step after the other, as long as it goes on: soon again, or at once when something has changed.
 *
 * Steps never overlap, and a change that is noticed during one is looked at in the next. Invariant: after `wake` a step
 * begins that knows it is wanted. What can go wrong: a step fails, and so do all that follow while the reason lasts. Then
 * it is said once, and tried again after a moment.
 */
import type { Log } from '../log.js'
import type { Clock, Timer } from './clock.js'

export interface StepLoopOptions {
  /** Does what is due. `isWanted`: something has changed since the step before. Resolves with when to look again, in ms. */
  step(isWanted: boolean): Promise<number>
  readonly clock: Clock
  readonly log: Log
}

const failedStepMs = 250

export class StepLoop {
  readonly #options: StepLoopOptions
  #isGoing = false
  #timer: Timer | undefined
  #step: Promise<void> | undefined
  #isWanted = false
  #isFailing = false

  constructor(options: StepLoopOptions) {
    this.#options = options
  }

  get isGoing(): boolean {
    return this.#isGoing
  }

  /** Something has changed since the step that is under way began. */
  get isWanted(): boolean {
    return this.#isWanted
  }

  begin(): void {
    this.#isGoing = true
    this.#again(0)
  }

  /** No step begins any more. */
  end(): void {
    this.#isGoing = false
    this.#timer?.cancel()
  }

  /** Resolves when the step that is under way is over. */
  async settled(): Promise<void> {
    await this.#step
  }

  /** Something has changed: the next step is due now. */
  wake(): void {
    this.#isWanted = true
    if (this.#isGoing && !this.#step) this.#again(0)
  }

  /** Something has changed that the next step has to look at, whenever that is. */
  want(): void {
    this.#isWanted = true
  }

  #again(delayMs: number): void {
    const { clock, log } = this.#options
    this.#timer?.cancel()
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timer = undefined
      if (this.#step || !this.#isGoing) return
      const isWanted = this.#isWanted
      this.#isWanted = false
      this.#step = this.#options
        .step(isWanted)
        .then(
          nextMs => {
            this.#isFailing = false
            return this.#isWanted ? 0 : nextMs
          },
          (error: unknown) => {
            // Said once: while the rows cannot be read or written, each further step fails as well.
            if (!this.#isFailing) log.warn('cluster.step-failed', { error })
            this.#isFailing = true
            return failedStepMs
          },
        )
        .then(delayMs => {
          this.#step = undefined
          if (this.#isGoing) this.#again(delayMs)
        })
    })
  }
}
