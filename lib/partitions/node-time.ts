/**
 * What time it is in the cluster. Alarms are set by one node's clock and fired by another's, after a take-over, perhaps
 * by a node whose wall clock was an hour ahead when it started; and an alarm must never come early.
 *
 * Node time is this process's monotonic clock plus an offset. The offset is the median of the others' at the start,
 * before this node leads anything (a node alone trusts its clock), and is drawn towards the median afterwards, half a
 * percent at most, so that node time neither jumps nor goes back. What lies within the error of measuring is no
 * difference: nodes whose clocks agree do not chase each other's round trips. A step of a wall clock moves nothing.
 *
 * Alarms follow a second, later time: what it is by the slowest clock that may have accepted one, less the error of
 * knowing it (half a round trip, and the ms that clocks round away). It is kept when a node is heard of no more, since its
 * partitions have gone to others, and fades by a thousandth. Invariant: `dueMs` never passes the node time of any node
 * this one has heard, beyond the drift of clocks. What can go wrong: a node that starts while it reaches none of the
 * others has but its own clock; when they meet and differ by more than a second, it is reported.
 */
import type { NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { Member, Peers } from '../ring/index.js'
import type { Clock } from './clock.js'

export interface NodeTimeOptions {
  readonly peers: Peers
  readonly clock: Clock
  readonly log: Log
  /** Each node has its own time: for tests. */
  readonly isOff?: boolean
}

/** A clock of another node as it was seen from here. */
interface Sample {
  readonly boot: number
  /** Its node time less this process's clock, in ms. */
  readonly offsetMs: number
  readonly errorMs: number
  readonly atMs: number
}

/** What a node says about its time. */
interface Said {
  readonly nowMs: number
  readonly dueMs: number
  /** Before it is, its time is but that of its own wall clock. */
  readonly isSettled: boolean
}

/** What clocks round away, each up to 1 ms. */
const roundedMs = 2
/** Node time runs at most so much faster or slower than this process's clock. */
const drawnShare = 0.005
/** What was feared of a clock that is heard no more is forgotten so fast; crystals drift less. */
const fadingShare = 0.001
/** A better sample is worth more than a newer one, for a while. */
const ageingShare = 0.001
/** Samples older than this say nothing about the median. */
const sampleMsMax = 10_000
/** A node that is farther off is reported. */
const offMs = 1_000
const askMs = 500
const askAgainMs = 50
/** Not good enough to start with, while there is time to ask again. */
const vagueMs = 250
const samplesMax = 1_024
const bodyBytes = 17

export class NodeTime {
  readonly #options: NodeTimeOptions
  readonly #samples = new Map<NodeId, Sample>()
  readonly #reported = new Set<NodeId>()
  #offsetMs = 0
  #lastNowMs = 0
  /** How far alarms are behind node time. */
  #lagMs = 0
  #isSettled = false
  #drawnAtMs: number

  /** Make it before the peers start. */
  constructor(options: NodeTimeOptions) {
    this.#options = options
    const { clock, isOff, peers } = options
    this.#drawnAtMs = clock.nowMs()
    if (isOff) this.#isSettled = true
    peers.onCall('time', () => encode(this.#said()))
    if (isOff) return
    peers.setBeacon(() => encode(this.#said()))
    peers.onBeacon((from, body, roundTripMs) => this.#heard(from, body, roundTripMs))
  }

  /** Ms since 1970, never going back. */
  nowMs(): number {
    this.#lastNowMs = Math.max(this.#lastNowMs, Math.floor(this.#options.clock.nowMs() + this.#offsetMs))
    return this.#lastNowMs
  }

  /** Alarms up to here are due, whichever node accepted them. */
  dueMs(): number {
    return this.nowMs() - Math.ceil(this.#lagMs)
  }

  /**
   * Finds out what time it is, from whoever of `others` answers and knows; from all clocks when none does yet. Resolves
   * after `limitMs` at the latest.
   */
  async settle(others: () => readonly NodeId[], limitMs: number): Promise<void> {
    const { clock, log, peers } = this.#options
    const untilMs = clock.nowMs() + limitMs
    while (!this.#isSettled) {
      const ids = others()
      const asked = await Promise.all(ids.map(id => this.#ask(id)))
      const isOver = clock.nowMs() >= untilMs
      // An answer that took long says little: it is asked for again.
      const answers = asked.map(answer => (isOver || (answer?.errorMs ?? 0) < vagueMs ? answer : undefined))
      const settled = answers.filter(answer => answer?.said.isSettled)
      // One that is gone cannot answer; one that is silent may, in a moment.
      const isComplete = ids.every((id, at) => answers[at] || peers.condition(id).kind === 'refused')
      if (settled.length === 0 && !isComplete && !isOver) {
        await pause(clock, askAgainMs)
        continue
      }
      const heard = (settled.length > 0 ? settled : answers).filter(answer => answer !== undefined)
      const offsets = heard.map(answer => (certainMs(answer) === 0 ? 0 : answer.offsetMs))
      this.#offsetMs = median(settled.length > 0 ? offsets : [0, ...offsets])
      const nowMs = clock.nowMs() + this.#offsetMs
      for (const { dueOffsetMs, errorMs } of settled.filter(answer => answer !== undefined)) {
        this.#lagMs = Math.max(this.#lagMs, nowMs - (clock.nowMs() + dueOffsetMs) + errorMs)
      }
      this.#lastNowMs = 0
      this.#drawnAtMs = clock.nowMs()
      this.#isSettled = true
      const fields = {
        offsetMs: Math.round(this.#offsetMs),
        lagMs: Math.round(this.#lagMs),
        heard: heard.length,
      }
      if (Math.abs(this.#offsetMs) > offMs) log.warn('clock.corrected', fields)
      else log.debug('clock.settled', fields)
    }
  }

  async #ask(
    id: NodeId,
  ): Promise<{ said: Said; offsetMs: number; dueOffsetMs: number; errorMs: number } | undefined> {
    const { clock, peers } = this.#options
    if (peers.condition(id).kind !== 'connected') return undefined
    const askedMs = clock.nowMs()
    try {
      const said = decode(await peers.call(id, 'time', Buffer.alloc(0), askMs))
      if (!said) return undefined
      const heardMs = clock.nowMs()
      const middleMs = (askedMs + heardMs) / 2
      const errorMs = (heardMs - askedMs) / 2 + roundedMs
      return { said, offsetMs: said.nowMs - middleMs, dueOffsetMs: said.dueMs - middleMs, errorMs }
    } catch {
      return undefined
    }
  }

  #said(): Said {
    return { nowMs: this.nowMs(), dueMs: this.dueMs(), isSettled: this.#isSettled }
  }

  #heard(from: Member, body: Buffer, roundTripMs: number): void {
    const said = decode(body)
    if (!said?.isSettled) return
    const { clock, log } = this.#options
    const atMs = clock.nowMs()
    const sample: Sample = {
      boot: from.boot,
      offsetMs: said.nowMs - (atMs - roundTripMs / 2),
      errorMs: roundTripMs / 2 + roundedMs,
      atMs,
    }
    const known = this.#samples.get(from.nodeId)
    const knownErrorMs = known ? known.errorMs + (atMs - known.atMs) * ageingShare : Number.POSITIVE_INFINITY
    if (!known || known.boot !== sample.boot || sample.errorMs <= knownErrorMs) {
      if (!known && this.#samples.size >= samplesMax) this.#forgetOldest()
      this.#samples.set(from.nodeId, sample)
    }
    const apartMs = sample.offsetMs - this.#offsetMs
    if (Math.abs(apartMs) > offMs + sample.errorMs && !this.#reported.has(from.nodeId)) {
      this.#reported.add(from.nodeId)
      log.error('clock.apart', { node: from.nodeId, apartMs: Math.round(apartMs) })
    }
    if (this.#isSettled) this.#draw(atMs)
  }

  /** Draws node time towards the median, and holds alarms back for the slowest clock. */
  #draw(atMs: number): void {
    const passedMs = atMs - this.#drawnAtMs
    this.#drawnAtMs = atMs
    const fresh = [...this.#samples.values()].filter(sample => atMs - sample.atMs < sampleMsMax)
    const apartMs = median([0, ...fresh.map(sample => certainMs(sample, this.#offsetMs))])
    const drawnMs = passedMs * drawnShare
    this.#offsetMs += Math.max(-drawnMs, Math.min(drawnMs, apartMs))
    let lagMs = Math.max(0, this.#lagMs - passedMs * fadingShare)
    for (const { errorMs, offsetMs } of fresh) lagMs = Math.max(lagMs, this.#offsetMs - offsetMs + errorMs)
    this.#lagMs = lagMs
  }

  #forgetOldest(): void {
    const [oldest] = [...this.#samples].sort(([, a], [, b]) => a.atMs - b.atMs)
    if (oldest) this.#samples.delete(oldest[0])
  }
}

/** How far a clock is certainly off from where `fromMs` is, in ms: less what may be an error. */
function certainMs({ errorMs, offsetMs }: Pick<Sample, 'errorMs' | 'offsetMs'>, fromMs = 0): number {
  const apartMs = offsetMs - fromMs
  return Math.sign(apartMs) * Math.max(0, Math.abs(apartMs) - errorMs)
}

/** The middle one, or between the two in the middle; 0 of none. */
function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}

function encode({ dueMs, isSettled, nowMs }: Said): Buffer {
  const body = Buffer.alloc(bodyBytes)
  body.writeDoubleBE(nowMs, 0)
  body.writeDoubleBE(dueMs, 8)
  body.writeUInt8(isSettled ? 1 : 0, 16)
  return body
}

/** Undefined for anything else, e.g. from a node of another version. */
function decode(body: Buffer): Said | undefined {
  if (body.length !== bodyBytes) return undefined
  const nowMs = body.readDoubleBE(0)
  const dueMs = body.readDoubleBE(8)
  if (!Number.isFinite(nowMs) || !Number.isFinite(dueMs)) return undefined
  return { nowMs, dueMs, isSettled: body.readUInt8(16) === 1 }
}
