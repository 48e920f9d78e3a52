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
import { PassingMap } from '../passing.js'
import { pause, until } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import { type Firing, type FiringOutcome, type Reported, type TimerMessage, timerKind } from './timer.js'

/** One way to call. */
export interface Transport {
  /** Makes one call; rejects when the receiver has not taken it. */
  call(firing: Firing): Promise<void>
  /** Names who is called: calls to one receiver share their bounds. */
  receiverOf(uri: string): string
}

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
  readonly confirmedAtMs: number
}

/** What goes to one receiver for one scope. */
interface Receiver {
  readonly name: string
  readonly scope: string
  inFlight: number
  readonly waiting: Waiting[]
  /** When a call to it has ended last. */
  endedAtMs: number
}

const {
  timerCallsMax: inFlightMax,
  timerCallsPerReceiverMax: inFlightPerReceiverMax,
  timerCallsWaitingMax: waitingMax,
  timerCallBytesMax: bytesMax,
} = limits
/** Of those that wait, to one receiver; the others come again later. */
const waitingPerReceiverMax = waitingMax / 4
/** When they do, in ms: sooner where calls end. */
const againMs = 1_000
const againSoonMs = 100
/** Where one organization is not all there is, it takes no more than half of what there is. */
const scopeShare = 0.5
/** What waited longer is not sent directly after it was confirmed. */
const directMs = 1_000
const reportAgainMsMin = 50
const reportAgainMsMax = 1_000
/** For so long an outcome is tried to be reported, in ms. */
const reportMsMax = 60_000
/** Of a receiver's name, in characters: what nobody can call may be written in any length. */
const receiverCharactersMax = 256

export interface FiringCounters {
  fired: number
  failed: number
}

export class Firings implements AlarmWorker {
  readonly counters: FiringCounters = { fired: 0, failed: 0 }
  readonly #options: FiringsOptions
  readonly #work: AlarmWork
  /** Attempts that wait or are made, with their partitions. */
  readonly #known = new PassingMap<string, PartitionId>()
  /** Partitions that are being handed over. */
  readonly #held = new Set<PartitionId>()
  readonly #receivers = new PassingMap<string, Receiver>()
  /** Those for which something waits, in turn. */
  readonly #ready = new PassingMap<string, Receiver>()
  readonly #inFlightOf = new Map<string, number>()
  readonly #waitingOf = new Map<string, number>()
  #waiting = 0
  #inFlight = 0
  /** Of the data of all of them. */
  #bytes = 0
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
    this.#dropWaiting(() => true)
    if (this.#known.size === 0) return
    const ended = new Promise<void>(resolve => this.#idle.push(resolve))
    await Promise.race([ended, pause(this.#options.clock, msMax)])
  }

  async quiesce(partition: PartitionId, msMax: number): Promise<void> {
    this.#held.add(partition)
    for (const { firing, key } of this.#dropWaiting(waiting => partitionOf(waiting.key) === partition))
      this.#work.again(key, firing.dueAtMs)
    const isOver = (): boolean => {
      for (const other of this.#known.values()) if (other === partition) return false
      return true
    }
    await until(this.#options.clock, isOver, msMax)
  }

  release(partition: PartitionId): void {
    this.#held.delete(partition)
  }

  hasRoom(): boolean {
    const hasRoom = !this.#isStopping && this.#waiting < waitingMax && this.#bytes < bytesMax
    if (!hasRoom) this.#wasFull = true
    return hasRoom
  }

  #take(key: EntityKey, firing: Firing): void {
    const name = nameOf(key, firing)
    // An alarm may be read anew while its call is being made.
    if (this.#isStopping || this.#known.has(name)) return
    const partition = partitionOf(key)
    if (this.#held.has(partition)) {
      this.#work.again(key, firing.dueAtMs)
      return
    }
    const receiver = this.#receiverOf(firing)
    const nowMs = this.#options.clock.nowMs()
    if (this.#isFull(receiver)) {
      // It stays in its index, and asks again: sooner when this receiver answers at all.
      const isSilent = nowMs - receiver.endedAtMs > againMs
      this.#work.again(key, firing.dueAtMs, isSilent ? againMs : againSoonMs)
      return
    }
    this.#known.set(name, partition)
    receiver.waiting.push({ key, firing, confirmedAtMs: nowMs })
    this.#ready.set(receiver.name, receiver)
    this.#waiting += 1
    count(this.#waitingOf, receiver.scope, 1)
    this.#bytes += bytesOf(firing)
    this.#fill()
  }

  #receiverOf({ timer: { callback, scope } }: Firing): Receiver {
    const { transport, uri } = callback
    const receiverName = this.#options.transports.get(transport)?.receiverOf(uri) ?? uri
    const name = `${scope} ${transport} ${receiverName.slice(0, receiverCharactersMax)}`
    let receiver = this.#receivers.get(name)
    if (!receiver) {
      receiver = { name, scope, inFlight: 0, waiting: [], endedAtMs: this.#options.clock.nowMs() }
      this.#receivers.set(name, receiver)
    }
    return receiver
  }

  #isFull({ scope, waiting }: Receiver): boolean {
    if (waiting.length >= waitingPerReceiverMax) return true
    return scope !== '' && (this.#waitingOf.get(scope) ?? 0) >= waitingMax * scopeShare
  }

  /** Begins calls, one for each receiver in turn, while there is room. */
  #fill(): void {
    for (let passedOver = 0; this.#inFlight < inFlightMax && passedOver < this.#ready.size; ) {
      const [receiver] = this.#ready.values()
      if (!receiver) break
      // To the end of the line, unless nothing waits for it any more.
      this.#ready.delete(receiver.name)
      const { scope } = receiver
      const isBusy =
        receiver.inFlight >= inFlightPerReceiverMax ||
        (scope !== '' && (this.#inFlightOf.get(scope) ?? 0) >= inFlightMax * scopeShare)
      if (isBusy) passedOver += 1
      else {
        passedOver = 0
        this.#begin(receiver)
      }
      if (receiver.waiting.length > 0) this.#ready.set(receiver.name, receiver)
    }
    if (this.#wasFull && this.#waiting < waitingMax / 2 && this.#bytes < bytesMax / 2) {
      this.#wasFull = false
      this.#work.resume()
    }
  }

  #begin(receiver: Receiver): void {
    const next = receiver.waiting.shift()
    if (!next) return
    const { scope } = receiver
    this.#waiting -= 1
    count(this.#waitingOf, scope, -1)
    receiver.inFlight += 1
    this.#inFlight += 1
    count(this.#inFlightOf, scope, 1)
    void this.#make(next).finally(() => {
      receiver.inFlight -= 1
      receiver.endedAtMs = this.#options.clock.nowMs()
      this.#inFlight -= 1
      count(this.#inFlightOf, scope, -1)
      this.#bytes -= bytesOf(next.firing)
      if (receiver.inFlight === 0 && receiver.waiting.length === 0) this.#receivers.delete(receiver.name)
      this.#fill()
    })
  }

  /** Takes back calls that were not begun. */
  #dropWaiting(isMeant: (waiting: Waiting) => boolean): Waiting[] {
    const dropped: Waiting[] = []
    for (const receiver of [...this.#ready.values()]) {
      const all = receiver.waiting.splice(0)
      for (const waiting of all) {
        if (!isMeant(waiting)) {
          receiver.waiting.push(waiting)
          continue
        }
        dropped.push(waiting)
        this.#known.delete(nameOf(waiting.key, waiting.firing))
        this.#waiting -= 1
        count(this.#waitingOf, receiver.scope, -1)
        this.#bytes -= bytesOf(waiting.firing)
      }
      if (receiver.waiting.length > 0) continue
      this.#ready.delete(receiver.name)
      if (receiver.inFlight === 0) this.#receivers.delete(receiver.name)
    }
    return dropped
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
      this.#known.delete(nameOf(key, firing))
      if (this.#known.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  /** Whether the call is still this node's to make. When that cannot be known, the alarm comes again. */
  async #mayMake({ confirmedAtMs, firing, key }: Waiting): Promise<boolean> {
    if (this.#isStopping) return false
    // A hand-over may be given up: then this node leads on.
    if (this.#held.has(partitionOf(key)) || !this.#options.runtime.leads(key)) {
      this.#work.again(key, firing.dueAtMs)
      return false
    }
    if (this.#options.clock.nowMs() - confirmedAtMs <= directMs) return true
    try {
      await this.#work.confirm(key)
      if (!this.#isStopping && this.#options.runtime.leads(key)) return true
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
      await transport.call(firing)
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
  async #report(key: EntityKey, firing: Firing, outcome: FiringOutcome): Promise<void> {
    const { attempt, dueAtMs, timer } = firing
    const message: TimerMessage = { type: 'fired', dueAtMs, attempt, version: timer.version, outcome }
    const { clock, log, runtime } = this.#options
    const untilMs = clock.nowMs() + reportMsMax
    for (let againMs = reportAgainMsMin; ; againMs = Math.min(againMs * 2, reportAgainMsMax)) {
      try {
        const { nextAtMs } = await runtime.send<Reported>(key, message)
        // Another timer has taken its place meanwhile, and may be due at the same time.
        if (nextAtMs !== undefined) this.#work.again(key, nextAtMs, againSoonMs)
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

/** What tells attempts on this node apart: ids are those of their scopes. */
function nameOf(key: EntityKey, { attempt, dueAtMs, timer }: Firing): string {
  return `${key} ${dueAtMs} ${attempt} ${timer.version}`
}

/** Of what it has to send, roughly. */
function bytesOf({ timer: { callback, data } }: Firing): number {
  return (data?.text.length ?? 0) + callback.uri.length
}

function count(counts: Map<string, number>, name: string, change: 1 | -1): void {
  const left = (counts.get(name) ?? 0) + change
  if (left > 0) counts.set(name, left)
  else counts.delete(name)
}
