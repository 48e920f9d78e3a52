/**
 * What this node has with one other node: the line it has dialed, or the attempts to get one, and what follows from
 * them about that node's process.
 *
 * A lost line is dialed again at once. If nobody listens there any more (ECONNREFUSED), the process is gone: within
 * milliseconds of a kill, instead of seconds of silence. A reset alone says nothing: healthy connections are reset, too.
 * Invariants: one dial at a time; calls made during a dial go out in order when it succeeds and fail when it fails.
 * What can go wrong: right after a kill the old connections may be noticed after the refusal; while the other side's own
 * connection to us stands, a refusal is not believed.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import { type Address, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'
import type { Line } from './line.js'
import { DialError, isOneLife } from './peer-channel.js'
import type { Member, PeerCondition } from './peers.js'

/** Three signs of life: a line on which nothing came for longer is silent. */
const silentAfterMs = 600
const redialMsMin = 10
const redialMsMax = 250
/** A node that has been away for long is tried less often; it dials us when it is back. */
const longGoneMs = 30_000
const redialLongGoneMs = 1_000
/** Whoever was heard so recently is not asked for a sign of life: most often one side's asking serves both. */
const heardRecentlyMs = 160
/** What beacons carry moves slowly; a sign of life without it costs a fraction. */
const beaconIntervalMs = 1_000
/** Silence that gossip should hear of, and how often it is told: whoever lives after all refutes it. */
const suspectAfterMs = 1_000
const suspectAgainMs = 2_000
/** A line that stood shorter than this is dialed again with patience. */
const steadyMs = 250
/** A call that finds no line dials, unless a dial has just failed. */
const callRedialMs = 20
const waitingCallsMax = 4_096
const waitingBytesMax = 268_435_456

export interface PeerLinkOptions {
  readonly target: Member
  readonly clock: RingClock
  readonly dial: (address: Address, onClosed: () => void) => Promise<Line>
  /** True while a connection stands that the other node has dialed. */
  readonly isDialedBy: (nodeId: NodeId) => boolean
  /** Somebody answered at the address: the same node in another life, or another node. */
  readonly onMet: (member: Member) => void
  readonly onCondition: (nodeId: NodeId, condition: PeerCondition) => void
}

interface WaitingCall {
  readonly kind: string
  readonly body: Buffer
  readonly untilMs: number
  resolve(reply: Promise<Buffer>): void
  reject(error: AppError): void
}

export class PeerLink {
  readonly nodeId: NodeId
  readonly #options: PeerLinkOptions
  #target: Member
  #line: Line | undefined
  #isDialing = false
  #redial: { cancel(): void } | undefined
  #waiting: WaitingCall[] = []
  #waitingBytes = 0
  #heardAtMs = Number.NEGATIVE_INFINITY
  /** Since when nobody listens where the process has listened. */
  #refusedSinceMs: number | undefined
  /** Whether this life of the node has ever been reached. */
  #wasConnected = false
  #connectedAtMs = 0
  /** Dials failed in a row, and since when. */
  #failures = 0
  #failingSinceMs: number | undefined
  /** Why the last dial has failed. */
  #problem: string | undefined
  #lastDialMs = Number.NEGATIVE_INFINITY
  #beaconAtMs = Number.NEGATIVE_INFINITY
  #suspectedAtMs = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(options: PeerLinkOptions) {
    this.#options = options
    this.#target = options.target
    this.nodeId = options.target.nodeId
    void this.#dial()
  }

  /** The life of the node that this link is for. */
  get target(): Member {
    return this.#target
  }

  get heardAtMs(): number {
    return this.#heardAtMs
  }

  /** True while it is worth looking for the node's next life: it has been reachable not long ago. */
  get isLookedFor(): boolean {
    if (this.#line !== undefined || this.#failingSinceMs === undefined) return false
    return this.#options.clock.nowMs() - this.#failingSinceMs <= longGoneMs
  }

  /** True when there is evidence that the node does not live, once in a while. */
  takeSuspicion(): boolean {
    const nowMs = this.#options.clock.nowMs()
    const silentMs = nowMs - this.#heardAtMs
    // Who has never been heard is perhaps only starting.
    if (!Number.isFinite(silentMs) || nowMs - this.#suspectedAtMs < suspectAgainMs) return false
    if (this.#refusedSinceMs === undefined && silentMs < suspectAfterMs) return false
    this.#suspectedAtMs = nowMs
    return true
  }

  condition(): PeerCondition {
    const isHeard = this.#options.clock.nowMs() - this.#heardAtMs <= silentAfterMs
    if (this.#line !== undefined && isHeard) return { kind: 'connected', heardAtMs: this.#heardAtMs }
    if (this.#refusedSinceMs !== undefined) return { kind: 'refused', sinceMs: this.#refusedSinceMs }
    const problem = this.#line === undefined && this.#problem
    return { kind: 'silent', heardAtMs: this.#heardAtMs, ...(problem && { problem }) }
  }

  /** The node lives in another life now, or elsewhere. */
  retarget(member: Member): void {
    if (isOneLife(member, this.#target)) return
    this.#target = member
    this.#wasConnected = false
    this.#refusedSinceMs = undefined
    this.#failures = 0
    if (this.#line === undefined) this.dialNow()
    else if (!isOneLife(this.#line.remote, member)) this.#line.close()
  }

  /** There is reason to believe that a dial would succeed now. */
  dialNow(): void {
    if (this.#line !== undefined || this.#isDialing) return
    this.#redial?.cancel()
    void this.#dial()
  }

  /** Something came from the node, on a line of either direction. */
  heard(): void {
    this.#heardAtMs = this.#options.clock.nowMs()
  }

  /** This node itself was unable to hear for so long. */
  forgive(ms: number): void {
    this.#heardAtMs = Math.min(this.#heardAtMs + ms, this.#options.clock.nowMs())
  }

  call(kind: string, body: Buffer, deadlineMs: number): Promise<Buffer> {
    if (this.#line !== undefined) return this.#line.call(kind, body, deadlineMs)
    const nowMs = this.#options.clock.nowMs()
    if (!this.#isDialing) {
      if (this.#isClosed || nowMs - this.#lastDialMs < callRedialMs) {
        return Promise.reject(new AppError('unavailable'))
      }
      this.dialNow()
    }
    if (this.#waiting.length >= waitingCallsMax || this.#waitingBytes + body.length > waitingBytesMax) {
      return Promise.reject(new AppError('queue-full'))
    }
    this.#waitingBytes += body.length
    return new Promise((resolve, reject) => {
      this.#waiting.push({ kind, body, untilMs: nowMs + deadlineMs, resolve, reject })
    })
  }

  /**
   * Asks for a sign of life, unless there was one just now, and every second for what the node attaches as well.
   * Resolves with that and how long it took, in ms; undefined when it was not asked for or not answered.
   */
  async beacon(): Promise<{ from: Member; body: Buffer; roundTripMs: number } | undefined> {
    const line = this.#line
    if (line === undefined) return undefined
    const sentAtMs = this.#options.clock.nowMs()
    if (sentAtMs - this.#beaconAtMs < beaconIntervalMs) {
      if (sentAtMs - this.#heardAtMs >= heardRecentlyMs) line.ping()
      return undefined
    }
    this.#beaconAtMs = sentAtMs
    const answer = await line.beacon()
    if (answer === undefined || line !== this.#line) return undefined
    return { from: line.remote, body: answer, roundTripMs: this.#options.clock.nowMs() - sentAtMs }
  }

  /** Rejects all calls that wait for an answer; the line stays. */
  abandon(): void {
    this.#line?.abandon()
    this.#rejectWaiting()
  }

  close(): void {
    this.#isClosed = true
    this.#redial?.cancel()
    this.#line?.close()
    this.#rejectWaiting()
  }

  async #dial(): Promise<void> {
    if (this.#isDialing || this.#line !== undefined || this.#isClosed) return
    this.#isDialing = true
    const target = this.#target
    try {
      const line = await this.#options.dial(parseAddress(target.forwardAddress), () => this.#onLineClosed())
      this.#isDialing = false
      this.#onLine(line, target)
    } catch (error) {
      this.#isDialing = false
      this.#problem = error instanceof DialError ? error.problem : undefined
      this.#onFailure(error instanceof DialError && error.isRefused && target === this.#target)
    }
  }

  #onLine(line: Line, target: Member): void {
    if (line.isClosed || this.#isClosed || line.remote.nodeId !== this.nodeId) {
      line.close()
      if (!this.#isClosed) this.#options.onMet(line.remote)
      this.#onFailure(false)
      return
    }
    this.#line = line
    if (target === this.#target) this.#target = line.remote
    this.#wasConnected = true
    this.#refusedSinceMs = undefined
    this.#failingSinceMs = undefined
    this.#problem = undefined
    this.#connectedAtMs = this.#options.clock.nowMs()
    this.heard()
    if (!isOneLife(line.remote, target)) this.#options.onMet(line.remote)
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const { kind, body, untilMs, resolve } of waiting) {
      resolve(line.call(kind, body, Math.max(0, untilMs - this.#connectedAtMs)))
    }
    this.#options.onCondition(this.nodeId, this.condition())
  }

  #onFailure(isRefused: boolean): void {
    if (this.#isClosed) return
    const nowMs = this.#options.clock.nowMs()
    this.#lastDialMs = nowMs
    this.#failures++
    this.#failingSinceMs ??= nowMs
    this.#rejectWaiting()
    if (isRefused && this.#wasConnected && this.#refusedSinceMs === undefined) {
      if (!this.#options.isDialedBy(this.nodeId)) {
        this.#refusedSinceMs = nowMs
        this.#options.onCondition(this.nodeId, this.condition())
      }
    }
    this.#redialLater()
  }

  #onLineClosed(): void {
    // A dial that is still being judged ends in `#onLine`, which finds the line closed.
    if (this.#line === undefined) return
    this.#line = undefined
    if (this.#isClosed) return
    if (this.#options.clock.nowMs() - this.#connectedAtMs >= steadyMs) this.#failures = 0
    this.#redialLater()
  }

  #redialLater(): void {
    if (this.#isClosed) return
    if (this.#failures === 0) {
      void this.#dial()
      return
    }
    const failingMs = this.#options.clock.nowMs() - (this.#failingSinceMs ?? Number.POSITIVE_INFINITY)
    const delayMs =
      failingMs > longGoneMs
        ? redialLongGoneMs
        : Math.min(redialMsMin * 2 ** Math.min(this.#failures - 1, 10), redialMsMax)
    this.#redial?.cancel()
    this.#redial = this.#options.clock.setTimer(delayMs, () => void this.#dial())
  }

  #rejectWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    for (const call of waiting) call.reject(new AppError('unavailable'))
  }
}
