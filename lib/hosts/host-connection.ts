/**
 * One socket of one host: authenticated before the first frame is read, initialised by the host's first call, fenced
 * when a newer connection of the same instance appears.
 *
 * A host that sends faster than its calls are worked off is not refused but held: its socket is not read for a while,
 * and TCP does the rest. Only what breaks the protocol closes the connection.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { HostIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { ConnectionId, EntityKey, InstanceId } from '../ids.js'
import { limits } from '../limits.js'
import type { Clock, Timer } from '../partitions/index.js'
import { PassingSet } from '../passing.js'
import {
  HostRpc,
  type IncomingCall,
  type RpcProblem,
  type RpcResponse,
  type SdkVersion,
} from '../sdk/index.js'
import { TextSocket } from '../text-socket.js'

export interface HostConnectionEvents {
  called(connection: HostConnection, call: IncomingCall): Promise<unknown>
  responseAcked(connection: HostConnection, rpcId: string): void
  responseUnsent(connection: HostConnection, response: RpcResponse): void
  problem(connection: HostConnection, problem: RpcProblem): void
  /** The host has called on this socket although it was parked. */
  spoke(connection: HostConnection): void
  closed(connection: HostConnection): void
}

/** Calls a host may have open before its socket is paused; well below where the RPC refuses. */
const runningSoftMax = 256
/** Ids of answers written to this connection, remembered so that none is written twice. */
const writtenMax = 4_096
/** Runs of one host that wait for answers, remembered to ask for what may have been missed. */
const runsMax = 65_536
/** While more waits to be read, what lies on disk stays there: a long backlog must not look like a deaf host. */
const pacedBytesMax = limits.socketSendBufferBytesMax / 4
/** A host that reads nothing for so long while this much waits is cut off, in ms. */
const deafMsMax = 10_000
const lookAgainMs = 50
/** Calls that are taken at once from a host that has been quiet. More would hold up everybody else on the node. */
const burstMax = 128
/** How long a host that sends too fast is not read, in ms. */
const restMs = 25
/** How long a peer may take to answer a close, in ms. */
const goodbyeMsMax = 5_000

export class HostConnection {
  readonly id: ConnectionId
  readonly instanceId: InstanceId
  readonly identity: HostIdentity
  readonly rpc: HostRpc
  /** Set by INITIALIZE_HOST. */
  sdk: SdkVersion | null = null
  /** The directory that lists what it serves; null before it is initialised. */
  directory: EntityKey | null = null
  shuttingDown = false
  /** Id of the first call on this connection: what was lost before lies below it. */
  firstRpcId: string | null = null
  /** The highest id of a call on this connection: SDKs count over all their sockets. */
  newestRpcId = 0
  /** Resolves when the first INITIALIZE_HOST is being worked on, or when it never will be. */
  readonly whenInitialized: Promise<void>
  #beginInitialization: () => void = () => undefined
  readonly #socket: TextSocket
  readonly #events: HostConnectionEvents
  readonly #clock: Clock
  readonly #written = new PassingSet<string>()
  readonly #runs = new PassingSet<string>()
  #resume: Timer | null = null
  /** Calls that may come at once; filled up at the rate that is allowed. */
  #allowance = burstMax
  #allowedAtMs = 0
  #parked = false
  #pace: Promise<unknown> = Promise.resolve()
  #isHeld = false

  constructor(
    socket: WebSocket,
    stream: Duplex,
    options: {
      id: ConnectionId
      instanceId: InstanceId
      identity: HostIdentity
      clock: Clock
      events: HostConnectionEvents
    },
  ) {
    this.id = options.id
    this.instanceId = options.instanceId
    this.identity = options.identity
    this.#events = options.events
    this.#clock = options.clock
    this.whenInitialized = new Promise(resolve => {
      this.#beginInitialization = resolve
    })
    this.rpc = new HostRpc({
      sendText: (text, mayWait) => this.#socket.send(text, mayWait),
      onCall: call => this.#called(call),
      onProblem: problem => this.#events.problem(this, problem),
      onResponseAcked: rpcId => this.#events.responseAcked(this, rpcId),
      onResponseUnsent: response => this.#events.responseUnsent(this, response),
      after: (delayMs, run) => {
        const timer = options.clock.setTimer(delayMs, run)
        return () => timer.cancel()
      },
    })
    this.#socket = new TextSocket(socket, stream, {
      clock: options.clock,
      sendBufferBytesMax: limits.socketSendBufferBytesMax,
      goodbyeMsMax,
      received: text => this.#received(text),
      // No reason: an SDK that is told one may not connect again.
      overflowed: () => this.#socket.terminate(),
      closed: () => this.#onClose(),
    })
  }

  /** Last sign of life, in ms of node time. */
  get lastHeardMs(): number {
    return this.#socket.lastHeardMs
  }

  /** Runs that the host has spoken of on this connection and that it has not completed. */
  get runs(): Iterable<string> {
    return this.#runs
  }

  /** Remembers a run; the one that was spoken of longest ago is forgotten when there are too many. */
  speaksOf(run: string): void {
    this.#runs.delete(run)
    this.#runs.add(run)
    if (this.#runs.size <= runsMax) return
    for (const oldest of this.#runs) {
      this.#runs.delete(oldest)
      break
    }
  }

  forgets(run: string): void {
    this.#runs.delete(run)
  }

  /** True the first time this answer is to be written to this connection. */
  claimDelivery(deliveryId: string): boolean {
    if (this.#written.has(deliveryId)) return false
    this.#written.add(deliveryId)
    if (this.#written.size > writtenMax) {
      for (const oldest of this.#written) {
        this.#written.delete(oldest)
        break
      }
    }
    return true
  }

  ping(): void {
    this.#socket.ping()
  }

  /**
   * Stops listening to this socket without closing it. SDKs do not survive a close while they have another connection
   * (see Hosts#fence), and an open socket that nobody reads costs nothing.
   */
  park(): void {
    this.#parked = true
  }

  /** Takes the floor again. */
  unpark(): void {
    this.#parked = false
  }

  get isParked(): boolean {
    return this.#parked
  }

  beginInitialization(): void {
    this.#beginInitialization()
  }

  /** This answer was not written after all. */
  releaseDelivery(deliveryId: string): void {
    this.#written.delete(deliveryId)
  }

  get isClosed(): boolean {
    return this.#socket.isClosed
  }

  /**
   * Writes when the host has read most of what it was sent before, in the order of the calls. Rejects with
   * `host-not-found` when the socket is gone before that.
   */
  paced<Written>(write: () => Written): Promise<Written> {
    const written = this.#pace.then(async () => {
      await this.#whenRead()
      return write()
    })
    this.#pace = written.catch(() => undefined)
    return written
  }

  async #whenRead(): Promise<void> {
    let before = this.#socket.waitingBytes
    let readAtMs = this.#clock.nowMs()
    while (this.#socket.waitingBytes > pacedBytesMax) {
      await this.#socket.drained(lookAgainMs)
      const nowMs = this.#clock.nowMs()
      if (this.#socket.waitingBytes < before) readAtMs = nowMs
      before = this.#socket.waitingBytes
      // No reason: an SDK that is told one may not connect again.
      if (nowMs - readAtMs >= deafMsMax) this.#socket.terminate()
    }
    if (this.#socket.isClosed) throw new AppError('host-not-found')
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }

  /** Reads no more calls, for good: those that were read are answered before it is closed. */
  pause(): void {
    this.#isHeld = true
    this.#socket.pause()
  }

  /** Reads on, if only to hear the end. */
  resume(): void {
    this.#isHeld = false
    this.#maybeResume()
  }

  #called(call: IncomingCall): Promise<unknown> {
    this.firstRpcId ??= call.rpcId
    const id = Number(call.rpcId)
    if (id > this.newestRpcId) this.newestRpcId = id
    // ACKs and answers are about what was said before; a call means that the SDK uses this socket, or did a moment ago.
    if (this.#parked) this.#events.spoke(this)
    if (call.method !== 'INITIALIZE_HOST' && this.sdk === null) this.#endWaiting()
    this.#throttle()
    return this.#events.called(this, call).finally(() => {
      // The call counts as running until its answer is written: a commit that ends all of them at once would leave the
      // last one looking at a full house, and the socket paused for ever.
      if (this.#socket.isPaused) this.#clock.soon(() => this.#maybeResume())
    })
  }

  #received(text: Buffer): void {
    this.rpc.onText(text)
  }

  /** A host that calls but never declares itself is answered in the end. */
  #endWaiting(): void {
    this.#clock.setTimer(limits.hostCallMsMax, () => this.#beginInitialization())
  }

  /** Holds the socket when too many calls are open or come in too fast. */
  #throttle(): void {
    const nowMs = this.#clock.nowMs()
    const more = ((nowMs - this.#allowedAtMs) * limits.hostMessagesPerSecondMax) / 1_000
    this.#allowance = Math.min(burstMax, this.#allowance + more) - 1
    this.#allowedAtMs = nowMs
    if (this.#allowance < 0) {
      if (this.#resume) return
      this.#socket.pause()
      this.#resume = this.#clock.setTimer(restMs, () => {
        this.#resume = null
        this.#maybeResume()
      })
    } else if (this.#isBusy(runningSoftMax)) this.#socket.pause()
  }

  #maybeResume(): void {
    if (this.#socket.isClosed || this.#isHeld || this.#resume || !this.#socket.isPaused) return
    if (!this.#isBusy(runningSoftMax / 2)) this.#socket.resume()
  }

  /** Before the introduction everything else waits for it, so it has to be read. */
  #isBusy(runningMax: number): boolean {
    return this.sdk !== null && this.rpc.runningCount >= runningMax
  }

  #onClose(): void {
    this.#resume?.cancel()
    this.#beginInitialization()
    this.rpc.close()
    this.#events.closed(this)
  }
}
