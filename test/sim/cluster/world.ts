/**
 * Time and order of a simulated cluster: one queue of events, each belonging to one life of one process.
 *
 * Nothing happens but events, one after the other, each with everything that its promises lead to, so that a seed
 * repeats a run exactly. A dead life's events are dropped: its promises never settle, as nobody is there any more. A
 * paused life's events wait and come in order when it goes on.
 */
import type { Clock, Timer } from '../../../lib/partitions/index.js'
import { Random } from '../random.js'

interface Event {
  readonly atMs: number
  readonly order: number
  readonly life: Life | undefined
  /** It comes from another process. */
  readonly isMessage: boolean
  readonly fn: () => void
  isCancelled: boolean
}

/** Real turns taken before the event loop is given back: turns are cheaper in bulk. */
const turnsAtOnce = 64
const epochMs = 1_700_000_000_000

export class World {
  nowMs = 0
  readonly random: Random
  /** How often things happened, by name. */
  readonly counts = new Map<string, number>()
  /** What is wrong with the code under test: the run fails. */
  readonly problems: string[] = []
  events = 0
  /** Nothing takes much longer than usual. */
  isCalm = false
  #order = 0
  readonly #heap: Event[] = []

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  problem(text: string): void {
    if (this.problems.length < 20) this.problems.push(`${this.nowMs.toFixed(1)} ms: ${text}`)
  }

  /** For `SIM_TRACE`: what happens outside of nodes. */
  trace(who: string, event: string, fields: object = {}): void {
    if (process.env.SIM_TRACE !== undefined)
      console.log(`${this.nowMs.toFixed(1)} ${who} ${event}`, JSON.stringify(fields))
  }

  count(what: string, times: number): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times)
  }

  schedule(delayMs: number, fn: () => void, life?: Life, isMessage = false): Timer {
    const event = {
      atMs: this.nowMs + Math.max(0, delayMs),
      order: this.#order++,
      life,
      isMessage,
      fn,
      isCancelled: false,
    }
    this.#push(event)
    return {
      cancel: () => {
        event.isCancelled = true
      },
    }
  }

  /** Resolves after so long, unless the life ends before. */
  async wait(delayMs: number, life?: Life): Promise<void> {
    await new Promise<void>(resolve => this.schedule(delayMs, resolve, life))
  }

  /** Lets events happen until `isDone`, `limitMs` at most. Resolves with whether it is done. */
  run(limitMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    const untilMs = this.nowMs + limitMs
    return new Promise((resolve, reject) => {
      let isOver = false
      const step = () => {
        if (isOver) return
        try {
          if (isDone()) {
            isOver = true
            resolve(true)
            return
          }
          const next = this.#heap[0]
          if (!next || next.atMs > untilMs) {
            this.nowMs = untilMs
            isOver = true
            resolve(isDone())
            return
          }
          this.#pop()
          this.nowMs = next.atMs
          if (next.isCancelled || next.life?.isDead) return
          this.events += 1
          if (next.life?.isPaused) next.life.defer(next)
          else next.fn()
        } catch (error) {
          isOver = true
          reject(error)
        }
      }
      const bulk = () => {
        if (isOver) return
        for (let turn = 0; turn < turnsAtOnce; turn += 1) setImmediate(step)
        setImmediate(bulk)
      }
      bulk()
    })
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = heap[parentAt] as Event
      if (!isBefore(event, parent)) break
      heap[at] = parent
      at = parentAt
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (!last || heap.length === 0) return
    let at = 0
    for (;;) {
      let childAt = 2 * at + 1
      let child = heap[childAt]
      if (!child) break
      const right = heap[childAt + 1]
      if (right && isBefore(right, child)) {
        child = right
        childAt += 1
      }
      if (!isBefore(child, last)) break
      heap[at] = child
      at = childAt
    }
    heap[at] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** One process, from its start to its crash. */
export class Life {
  isDead = false
  isPaused = false
  readonly startedMs: number
  #messages: Event[] = []
  #others: Event[] = []
  #onEnd: (() => void)[] = []
  readonly clock: Clock

  constructor(
    readonly world: World,
    readonly name: string,
    /** How far this machine's clock is ahead, in ms. */
    offsetMs: number,
  ) {
    this.startedMs = world.nowMs
    this.clock = {
      nowMs: () => Math.floor(epochMs + world.nowMs + offsetMs),
      setTimer: (ms, fn) => world.schedule(ms, fn, this),
      soon: fn => void world.schedule(0, fn, this),
    }
  }

  end(): void {
    this.isDead = true
    this.#messages = []
    this.#others = []
    for (const fn of this.#onEnd) fn()
    this.#onEnd = []
  }

  onEnd(fn: () => void): void {
    this.#onEnd.push(fn)
  }

  defer(event: Event): void {
    if (event.isMessage) this.#messages.push(event)
    else this.#others.push(event)
  }

  resume(): void {
    this.isPaused = false
    const waiting = [this.#messages, this.#others]
    this.#messages = []
    this.#others = []
    // A process that goes on finds messages at its sockets and timers that are due, and takes either first.
    if (this.world.random.chance(0.5)) waiting.reverse()
    for (const event of waiting.flat()) {
      this.world.schedule(0, () => event.isCancelled || event.fn(), this, event.isMessage)
    }
  }
}
