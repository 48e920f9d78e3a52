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
import { Corked } from '../corked.js'
import { AppError, errorKinds } from '../errors.js'
import type { ConnectionId, EntityKey, InstanceId } from '../ids.js'
import { limits } from '../limits.js'
import type { Clock, Timer } from '../partitions/index.js'
import {
  HostRpc,
  type IncomingCall,
  type RpcProblem,
  type RpcResponse,
  type SdkVersion,
} from '../sdk/index.js'

export interface HostConnectionEvents {
  called(connection: HostConnection, call: IncomingCall): Promise<unknown>
  responseAcked(connection: HostConnection, rpcId: string): void
  responseUnsent(connection: HostConnection, response: RpcResponse): void
  problem(connection: HostConnection, problem: RpcProblem): void
  /** The host speaks on this socket although it was parked. */
  spoke(connection: HostConnection): void
  closed(connection: HostConnection): void
}

/** Calls a host may have open before its socket is paused; well below where the RPC refuses. */
const runningSoftMax = 256
/** Ids of answers written to this connection, remembered so that none is written twice. */
const writtenMax = 4_096
/** How long a peer may take to answer a close, in ms. */
const goodbyeMsMax = 2_000

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
  /** Resolves when the first INITIALIZE_HOST is being worked on, or when it never will be. */
  readonly whenInitialized: Promise<void>
  #beginInitialization: () => void = () => undefined
  readonly #socket: WebSocket
  readonly #corked: Corked
  readonly #events: HostConnectionEvents
  readonly #clock: Clock
  readonly #written = new Set<string>()
  #resume: Timer | null = null
  #windowStartMs = 0
  #windowCalls = 0
  #lastHeardMs: number
  #closed = false
  #parked = false
  /** It broke the protocol; nothing more is taken from it while it is being closed. */
  #broken = false

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
    this.#socket = socket
    this.#corked = new Corked(stream)
    this.#events = options.events
    this.#clock = options.clock
    this.#lastHeardMs = options.clock.nowMs()
    this.whenInitialized = new Promise(resolve => {
      this.#beginInitialization = resolve
    })
    this.rpc = new HostRpc({
      sendText: text => this.#send(text),
      onCall: call => this.#called(call),
      onProblem: problem => this.#events.problem(this, problem),
      onResponseAcked: rpcId => this.#events.responseAcked(this, rpcId),
      onResponseUnsent: response => this.#events.responseUnsent(this, response),
      after: (delayMs, run) => {
        const timer = options.clock.setTimer(delayMs, run)
        return () => timer.cancel()
      },
    })
    socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary))
    socket.on('pong', () => {
      this.#lastHeardMs = this.#clock.nowMs()
    })
    socket.on('close', () => this.#onClose())
    // The socket has sent the reason by itself, e.g. 1009; ending it at once would lose that on the way.
    socket.on('error', () => this.#endSoon())
  }

  /** Last sign of life, in ms of node time. */
  get lastHeardMs(): number {
    return this.#lastHeardMs
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
    if (!this.#closed && this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  /**
   * Stops listening to this socket without closing it. SDKs do not survive a close while they have another connection
   * (see Hosts#fence), and an open socket that nobody reads costs nothing.
   */
  park(): void {
    this.#parked = true
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
    return this.#closed
  }

  close(code: number, reason: string): void {
    if (this.#closed) return
    this.#socket.close(code, reason.slice(0, 120))
    this.#endSoon()
  }

  /** A peer that does not answer the close is not waited for. */
  #endSoon(): void {
    this.#clock.setTimer(goodbyeMsMax, () => this.#socket.terminate())
  }

  #called(call: IncomingCall): Promise<unknown> {
    this.firstRpcId ??= call.rpcId
    if (call.method !== 'INITIALIZE_HOST' && this.sdk === null) this.#endWaiting()
    this.#throttle()
    return this.#events.called(this, call).finally(() => this.#maybeResume())
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#lastHeardMs = this.#clock.nowMs()
    if (this.#broken) return
    try {
      if (isBinary) throw new AppError('invalid-frame', 'Frames must be text.')
      // ACKs are about what was said before; anything else means that the SDK uses this socket.
      if (this.#parked && data.includes('MESSAGE')) {
        this.#parked = false
        this.#events.spoke(this)
      }
      this.rpc.onText(data)
    } catch (error) {
      const known = error instanceof AppError ? error : new AppError('internal')
      const { closeCode } = errorKinds[known.code] as { closeCode?: number }
      this.#broken = true
      this.close(closeCode ?? 1011, known.message)
    }
  }

  /** A host that calls but never declares itself is answered in the end. */
  #endWaiting(): void {
    this.#clock.setTimer(limits.hostCallMsMax, () => this.#beginInitialization())
  }

  /** Holds the socket when too many calls are open or come in too fast. */
  #throttle(): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs - this.#windowStartMs >= 1_000) {
      this.#windowStartMs = nowMs
      this.#windowCalls = 0
    }
    this.#windowCalls += 1
    if (this.#windowCalls > limits.hostMessagesPerSecondMax) {
      if (this.#resume) return
      this.#socket.pause()
      this.#resume = this.#clock.setTimer(this.#windowStartMs + 1_000 - nowMs, () => {
        this.#resume = null
        this.#maybeResume()
      })
    } else if (this.#isBusy(runningSoftMax)) this.#socket.pause()
  }

  #maybeResume(): void {
    if (this.#closed || this.#resume || !this.#socket.isPaused) return
    if (!this.#isBusy(runningSoftMax / 2)) this.#socket.resume()
  }

  /** Before the introduction everything else waits for it, so it has to be read. */
  #isBusy(runningMax: number): boolean {
    return this.sdk !== null && this.rpc.runningCount >= runningMax
  }

  #send(text: string): void {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#socket.bufferedAmount > limits.socketSendBufferBytesMax) {
      this.#socket.terminate()
      return
    }
    this.#corked.cork()
    this.#socket.send(text)
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#resume?.cancel()
    this.#beginInitialization()
    this.rpc.close()
    this.#events.closed(this)
  }
}
