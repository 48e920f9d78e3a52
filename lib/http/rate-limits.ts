/**
 * How many requests a caller of the API may make: so many in a minute, all at once if they like, and then one each time
 * the share of one has passed (the generic cell rate algorithm, ITU-T I.371).
 *
 * Invariant: whoever keeps to the limit is never refused. In memory and per node: a ring of nodes allows as many times
 * more. What can go wrong: more callers than are remembered; then those that were quiet for longest begin anew.
 */

export interface Allowance {
  readonly isAllowed: boolean
  /** Requests that may follow at once. */
  readonly left: number
  /** Until all of them may, in whole seconds; after a refusal, until one may. */
  readonly waitSeconds: number
}

const minuteMs = 60_000

export class RateLimits {
  readonly #perMinuteMax: number
  readonly #callersMax: number
  readonly #nowMs: () => number
  /** By caller, when their minute would be empty again; the longest quiet first. */
  readonly #emptyAtMs = new Map<string, number>()

  /** `nowMs` may begin anywhere, and never goes back. */
  constructor(options: { perMinuteMax: number; callersMax: number; nowMs: () => number }) {
    this.#perMinuteMax = options.perMinuteMax
    this.#callersMax = options.callersMax
    this.#nowMs = options.nowMs
  }

  /** Counts one request. */
  take(caller: string): Allowance {
    const nowMs = this.#nowMs()
    const shareMs = minuteMs / this.#perMinuteMax
    const emptyAtMs = Math.max(nowMs, this.#emptyAtMs.get(caller) ?? 0)
    const afterMs = emptyAtMs + shareMs
    const isAllowed = afterMs - nowMs <= minuteMs + shareMs / 2
    if (!isAllowed) {
      const waitMs = afterMs - nowMs - minuteMs
      return { isAllowed, left: 0, waitSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) }
    }
    this.#emptyAtMs.delete(caller)
    this.#emptyAtMs.set(caller, afterMs)
    if (this.#emptyAtMs.size > this.#callersMax) {
      this.#emptyAtMs.delete(this.#emptyAtMs.keys().next().value ?? '')
    }
    const left = Math.floor((minuteMs - (afterMs - nowMs)) / shareMs + 1e-6)
    return { isAllowed, left: Math.max(0, left), waitSeconds: Math.ceil((afterMs - nowMs) / 1_000) }
  }
}
