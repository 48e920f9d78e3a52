/**
 * Time, given rather than taken. Node time is monotonic: a step of the wall clock does not move it (a single node
 * trusts the wall clock once, at its start). The virtual clock moves only when a test moves it.
 */
export interface Timer {
  /** Harmless when the timer has fired. */
  cancel(): void
}

export interface Clock {
  /** Node time in ms since 1970, never going back while the process lives. */
  nowMs(): number
  /** Calls `fn` once, not before `ms` ms have passed. A pending timer does not keep the process alive. */
  setTimer(ms: number, fn: () => void): Timer
  /** Calls `fn` when this turn of the event loop has done everything it still had to do. */
  soon(fn: () => void): void
}

/** The longest delay Node's timers can express; a longer one would fire at once. */
const delayMsMax = 2_147_483_647

/** The clock of this machine. */
export function systemClock(): Clock {
  const startedAtMs = Date.now() - performance.now()
  return {
    nowMs: () => Math.floor(startedAtMs + performance.now()),
    setTimer(ms, fn) {
      const handle = setTimeout(fn, Math.min(Math.max(0, ms), delayMsMax))
      handle.unref()
      return { cancel: () => clearTimeout(handle) }
    },
    soon: fn => void setImmediate(fn),
  }
}

interface VirtualTimer extends Timer {
  readonly dueAtMs: number
  readonly order: number
  readonly fn: () => void
}

/** A clock for tests: timers fire in due order, during `advance` only. */
export class VirtualClock implements Clock {
  #nowMs: number
  #order = 0
  #timers = new Set<VirtualTimer>()

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  setTimer(ms: number, fn: () => void): Timer {
    const timer: VirtualTimer = {
      dueAtMs: this.#nowMs + Math.max(0, ms),
      order: this.#order++,
      fn,
      cancel: () => this.#timers.delete(timer),
    }
    this.#timers.add(timer)
    return timer
  }

  soon(fn: () => void): void {
    setImmediate(fn)
  }

  /** When the next timer is due; undefined when none waits. */
  nextDueAtMs(): number | undefined {
    return this.#next()?.dueAtMs
  }

  /** Moves time on by `ms`, firing what becomes due at the moment it is due. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (let next = this.#next(); next && next.dueAtMs <= untilMs; next = this.#next()) {
      this.#timers.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs)
      next.fn()
    }
    this.#nowMs = untilMs
  }

  #next(): VirtualTimer | undefined {
    let first: VirtualTimer | undefined
    for (const timer of this.#timers) {
      if (
        !first ||
        timer.dueAtMs < first.dueAtMs ||
        (timer.dueAtMs === first.dueAtMs && timer.order < first.order)
      ) {
        first = timer
      }
    }
    return first
  }
}
