/**
 * Makes the calls of timers that are due: many at once, but boundedly many in all and to one receiver, so that one that is
 * slow holds up nobody else. What has no room yet waits in its index on disk.
 *
 * Invariant: one call at a time for each attempt on this node, and none that this node does not know to be its to make: the
 * replicas have just confirmed it, and where that was longer than a moment ago they are asked again. What can go wrong: the
 * outcome cannot be reported because the timer has another leader by now. Then that one calls again, under the same
 * firing id.
 */
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import {
  type AlarmWork,
  type AlarmWorker,
  type Clock,
  type EntityRuntime,
  partitionOf,
} from '../partitions/index.js'
import { pause, until } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import { type Firing, type FiringOutcome, firingId, timerKind } from './timer.js'

/** Makes one call; rejects when the receiver has not taken it. */
export type Transport = (firing: Firing) => Promise<void>

export interface FiringsOptions {
  readonly runtime: EntityRuntime
  readonly clock: Clock
  readonly log: Log
  /** By the name that callbacks give. */
  readonly transports: ReadonlyMap<string, Transport>
}

interface Waiting {
  readonly key: EntityKey
  readonly firing: Firing
  /** When the replicas confirmed that it is to be made here. */
  confirmedAtMs: number
}

/** What goes to one receiver. */
interface Receiver {
  inFlight: number
  readonly waiting: Waiting[]
}

const {
  timerCallsMax: inFlightMax,
  timerCallsPerReceiverMax: inFlightPerReceiverMax,
  timerCallsWaitingMax: waitingMax,
} = limits
/** What waited longer is not sent directly after it was confirmed. */
const directMs = 1_000
const reportAgainMsMin = 50
const reportAgainMsMax = 1_000
/** How long a hand-over waits for calls that have been begun, in ms. */
const handOverMsMax = 100
/** For so long an outcome is tried to be reported, in ms. */
const reportMsMax = 60_000

export interface FiringCounters {
  fired: number
  failed: number
}

export class Firings implements AlarmWorker {
  readonly counters: FiringCounters = { fired: 0, failed: 0 }
  readonly #options: FiringsOptions
  readonly #work: AlarmWork
  /** Attempts that wait or are made, by firing id, with their partitions. */
  readonly #known = new Map<string, PartitionId>()
  /** Partitions that are being handed over. */
  readonly #held = new Set<PartitionId>()
  readonly #receivers = new Map<string, Receiver>()
  #waiting = 0
  #inFlight = 0
  #wasFull = false
  #isStopping = false
  #idle: (() => void)[] = []

  constructor(options: FiringsOptions) {
    this.#options = options
    const { runtime } = options
    this.#work = runtime.alarmWork(timerKind.name, this)
    runtime.onSignal('timer', (signal, key) => this.#take(key, signal.payload as Firing))
  }

  /** Calls being made. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Makes no new calls; resolves when those under way have ended and are reported, after `msMax` at the latest. */
  async stop(msMax: number): Promise<void> {
    this.#isStopping = true
    for (const receiver of this.#receivers.values()) {
      for (const { firing } of receiver.waiting.splice(0)) this.#known.delete(firingId(firing))
    }
    this.#waiting = 0
    if (this.#known.size === 0) return
    const ended = new Promise<void>(resolve => this.#idle.push(resolve))
    await Promise.race([ended, pause(this.#options.clock, msMax)])
  }

  async hold(partition: PartitionId): Promise<void> {
    this.#held.add(partition)
    const isOver = (): boolean => {
      for (const other of this.#known.values()) if (other === partition) return false
      return true
    }
    await until(this.#options.clock, isOver, handOverMsMax)
  }

  release(partition: PartitionId): void {
    this.#held.delete(partition)
  }

  hasRoom(): boolean {
    const hasRoom = !this.#isStopping && this.#waiting < waitingMax
    if (!hasRoom) this.#wasFull = true
    return hasRoom
  }

  #take(key: EntityKey, firing: Firing): void {
    const id = firingId(firing)
    // An alarm may be read anew while its call is being made.
    if (this.#isStopping || this.#known.has(id)) return
    const partition = partitionOf(key)
    if (this.#held.has(partition)) {
      this.#work.again(key, firing.dueAtMs)
      return
    }
    this.#known.set(id, partition)
    const name = receiverOf(firing)
    let receiver = this.#receivers.get(name)
    if (!receiver) {
      receiver = { inFlight: 0, waiting: [] }
      this.#receivers.set(name, receiver)
    }
    receiver.waiting.push({ key, firing, confirmedAtMs: this.#options.clock.nowMs() })
    this.#waiting += 1
    this.#pump(name, receiver)
  }

  #pump(name: string, receiver: Receiver): void {
    while (receiver.inFlight < inFlightPerReceiverMax && this.#inFlight < inFlightMax) {
      const next = receiver.waiting.shift()
      if (!next) break
      this.#waiting -= 1
      receiver.inFlight += 1
      this.#inFlight += 1
      void this.#make(next).finally(() => {
        receiver.inFlight -= 1
        this.#inFlight -= 1
        this.#pump(name, receiver)
        // Another receiver may have waited because there were too many in all.
        if (this.#inFlight === inFlightMax - 1) this.#pumpAll()
      })
    }
    if (receiver.inFlight === 0 && receiver.waiting.length === 0) this.#receivers.delete(name)
    if (this.#wasFull && this.#waiting < waitingMax / 2) {
      this.#wasFull = false
      this.#work.resume()
    }
  }

  #pumpAll(): void {
    for (const [name, receiver] of this.#receivers) {
      if (this.#inFlight >= inFlightMax) return
      if (receiver.waiting.length > 0) this.#pump(name, receiver)
    }
  }

  async #make(waiting: Waiting): Promise<void> {
    const { firing, key } = waiting
    try {
      if (!(await this.#mayMake(waiting))) return
      const outcome = await this.#call(firing)
      if (outcome.ok) this.counters.fired += 1
      else this.counters.failed += 1
      await this.#report(key, firing, outcome)
    } finally {
      this.#known.delete(firingId(firing))
      if (this.#known.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Whether the call is still this node's to make. When that cannot be known, the alarm comes again. */
  async #mayMake({ confirmedAtMs, firing, key }: Waiting): Promise<boolean> {
    if (this.#isStopping) return false
    // A hand-over may be given up: then this node leads on.
    if (this.#held.has(partitionOf(key)) || !this.#work.leads(key)) {
      this.#work.again(key, firing.dueAtMs)
      return false
    }
    if (this.#options.clock.nowMs() - confirmedAtMs <= directMs) return true
    try {
      await this.#work.confirm(key)
      if (!this.#isStopping && this.#work.leads(key)) return true
    } catch {
      // Whoever leads it then makes the call.
    }
    this.#work.again(key, firing.dueAtMs)
    return false
  }

  async #call(firing: Firing): Promise<FiringOutcome> {
    const { transport: name } = firing.timer.callback
    try {
      const transport = this.#options.transports.get(name)
      if (!transport) throw new Error(`this node has no transport "${name}"`)
      await transport(firing)
      return { ok: true }
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error)
      this.#options.log.info('timer.failed', {
        timer: firing.timer.id,
        attempt: firing.attempt,
        error: words,
      })
      return { ok: false, error: words }
    }
  }

  /** Tells the timer how it ended, wherever it is led by now. */
  async #report(key: EntityKey, { attempt, dueAtMs }: Firing, outcome: FiringOutcome): Promise<void> {
    const { clock, log, runtime } = this.#options
    const untilMs = clock.nowMs() + reportMsMax
    for (let againMs = reportAgainMsMin; ; againMs = Math.min(againMs * 2, reportAgainMsMax)) {
      try {
        await runtime.send(key, { type: 'fired', dueAtMs, attempt, outcome })
        return
      } catch (error) {
        const isOver = !(error instanceof AppError && error.kind.retryable) || clock.nowMs() >= untilMs
        if (isOver || error.code === 'draining') {
          log.warn('timer.not-reported', { key, error })
          // Nothing else would look at it again before the partition has another leader.
          this.#work.again(key, dueAtMs)
          return
        }
        await pause(clock, againMs)
      }
    }
  }
}

/** Who is called: calls to one scheme, host and port share their bounds. */
function receiverOf({ timer: { callback } }: Firing): string {
  const { transport, uri } = callback
  const end = uri.indexOf('/', uri.indexOf('://') + 3)
  return `${transport} ${end < 0 ? uri.slice(0, 256) : uri.slice(0, Math.min(end, 256))}`
}
