/**
 * The duplex RPC of one connection with a host, as a state machine without a socket: text in by `onText`, text out by
 * `sendText`. Whoever owns the socket owns one of these and closes it with the socket.
 *
 * What must hold: each MESSAGE is acknowledged exactly once, before it is processed. The wire has no way to say that
 * a call failed, so an unknown method or wrong input is acknowledged, reported to `onProblem` and then left without an
 * answer; except that methods answered by a boolean are answered `false`, which every SDK understands and without
 * which the host would wait for ever. A handler that throws leaves its call unanswered, so handlers hold what may
 * succeed later. Hosts never fail a call to them either: every call has its own deadline.
 *
 * An answer that this connection cannot deliver any more is given to `onResponseUnsent`; one that was sent counts as
 * delivered only when its ACK came (`onResponseAcked`). `host-mailbox.ts` keeps both for the next connection.
 */
import { AppError } from '../errors.js'
import { newId } from '../ids.js'
import { limits } from '../limits.js'
import { PassingMap, PassingSet } from '../passing.js'
import {
  authenticatedData,
  encodeAck,
  encodeMessage,
  type FrameLimits,
  parseFrame,
  pingData,
} from './frame.js'
import { isRecord, parseJson } from './json.js'
import {
  type HostMethodInputs,
  type HostMethodName,
  type HostMethodReturns,
  isServerMethod,
  parseHostReturn,
  parseServerCall,
  returnsBoolean,
  type ServerCall,
} from './methods.js'

/** A call of the host; answered by the value the handler resolves with. */
export type IncomingCall = { readonly rpcId: string } & ServerCall

export interface RpcResponse {
  readonly rpcId: string
  readonly method: string
  readonly data: unknown
}

export interface RpcProblem {
  readonly kind: 'unknown-method' | 'invalid-input' | 'handler-failed' | 'invalid-answer' | 'repeated-id'
  readonly method: string
  readonly rpcId: string
  readonly error: unknown
}

export interface RpcOptions {
  /** Writes one text frame; must not throw. One that `mayWait` may leave a few ms later, with the next. */
  sendText(text: string, mayWait?: boolean): void
  onCall(call: IncomingCall): Promise<unknown>
  /** For the log; never changes what happens. */
  onProblem?(problem: RpcProblem): void
  /** The host has confirmed the answer to its call. */
  onResponseAcked?(rpcId: string): void
  /** The answer was ready only after this connection had closed. */
  onResponseUnsent?(response: RpcResponse): void
  /** Runs `run` once after `delayMs`; the result cancels it. */
  after(delayMs: number, run: () => void): () => void
  newMessageId?: () => string
  frameLimits?: FrameLimits
  pendingMax?: number
  runningMax?: number
}

export interface OutgoingCall<M extends HostMethodName> {
  /** Resolves when the host has received the call; it may still be lost with the host's process. */
  readonly acked: Promise<void>
  /** Resolves with the answer; rejects with `host-timeout`, `unavailable` (closed) or `invalid-value`. */
  readonly result: Promise<HostMethodReturns<M>>
}

interface Pending {
  readonly messageId: string
  readonly method: HostMethodName
  readonly cancelDeadline: () => void
  readonly resolve: (data: unknown) => void
  readonly reject: (error: AppError) => void
}

type Acknowledged = (error: AppError | null) => void

export class HostRpc {
  readonly #options: RpcOptions
  readonly #frameLimits: FrameLimits
  readonly #newMessageId: () => string
  /** Calls to the host by RPC id. */
  readonly #pending = new PassingMap<string, Pending>()
  /** What to do on the ACK of each message sent, by message id; oldest first. */
  readonly #unacked = new PassingMap<string, Acknowledged>()
  /** RPC ids of the host's calls that are being worked on. */
  readonly #running = new PassingSet<string>()
  #closed = false

  constructor(options: RpcOptions) {
    this.#options = options
    this.#newMessageId = options.newMessageId ?? newId
    this.#frameLimits = options.frameLimits ?? {
      bytesMax: limits.hostFrameBytesMax,
      depthMax: limits.frameDepthMax,
    }
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Calls to the host that wait for an answer. */
  get pendingCount(): number {
    return this.#pending.size
  }

  /** Calls of the host that are being worked on. */
  get runningCount(): number {
    return this.#running.size
  }

  /** Tells the host that its key was accepted; exactly once per connection. Resolves on its ACK. */
  sendAuthenticated(): Promise<void> {
    return this.#sendMessage(authenticatedData)
  }

  /**
   * Takes one frame. Throws `invalid-frame`, `too-large` or `too-many-requests` when the connection cannot go on: close
   * it with the error's close code.
   */
  onText(text: string | Buffer): void {
    if (this.#closed) return
    const frame = parseFrame(text, this.#frameLimits)
    if (frame.type === 'ACK') {
      this.#onAck(frame.id)
      return
    }
    // Most often the answer to the call follows within that time, in the same packet.
    this.#options.sendText(encodeAck(frame.id), true)
    if (frame.data !== pingData) this.#onMessage(frame.data)
  }

  /** Calls the host. The promises are already guarded: a caller may ignore either. */
  call<M extends HostMethodName>(
    method: M,
    data: HostMethodInputs<M>,
    options: { deadlineMs?: number } = {},
  ): OutgoingCall<M> {
    const refusal = this.#refusal()
    if (refusal !== null) return { acked: rejected(refusal), result: rejected(refusal) }
    const rpcId = this.#newMessageId()
    const messageId = this.#newMessageId()
    const deadlineMs = options.deadlineMs ?? limits.hostCallMsMax
    const result = new Promise<HostMethodReturns<M>>((resolve, reject) => {
      this.#pending.set(rpcId, {
        messageId,
        method,
        cancelDeadline: this.#options.after(deadlineMs, () => this.#expire(rpcId)),
        resolve: answer => resolve(answer as HostMethodReturns<M>),
        reject,
      })
    })
    result.catch(ignore)
    const text = `{"id":"${rpcId}","kind":"CALL","methodName":"${method}","data":${JSON.stringify(data)}}`
    return { acked: this.#sendMessage(text, messageId), result }
  }

  /**
   * Answers a call of the host, also one that came in on an earlier connection. Ignored once closed. Resolves when the
   * host has confirmed it, or never will; never rejects.
   */
  sendResponse(rpcId: string, method: string, data: unknown): Promise<void> {
    if (this.#closed) return Promise.resolve()
    const text = encodeResponse(rpcId, method, data)
    return this.#sendMessage(text).then(() => this.#options.onResponseAcked?.(rpcId), ignore)
  }

  /** Rejects everything that waits, once. Answers that come later go to `onResponseUnsent`. */
  close(error: AppError = new AppError('unavailable', 'The connection to the host was closed.')): void {
    if (this.#closed) return
    this.#closed = true
    const pending = [...this.#pending.values()]
    const unacked = [...this.#unacked.values()]
    this.#pending.clear()
    this.#unacked.clear()
    for (const call of pending) {
      call.cancelDeadline()
      call.reject(error)
    }
    for (const acknowledged of unacked) acknowledged(error)
  }

  #refusal(): AppError | null {
    if (this.#closed) return new AppError('unavailable', 'The connection to the host was closed.')
    const pendingMax = this.#options.pendingMax ?? limits.hostCallsPendingMax
    return this.#pending.size >= pendingMax ? new AppError('queue-full') : null
  }

  #sendMessage(data: string, messageId = this.#newMessageId()): Promise<void> {
    if (this.#closed) return rejected(new AppError('unavailable'))
    const acked = new Promise<void>((resolve, reject) => {
      this.#unacked.set(messageId, error => (error === null ? resolve() : reject(error)))
    })
    acked.catch(ignore)
    this.#boundUnacked()
    this.#options.sendText(encodeMessage(messageId, data))
    return acked
  }

  /** A host that never acknowledges must not grow this map; its oldest messages count as unconfirmed. */
  #boundUnacked(): void {
    const unackedMax = limits.heldResponsesPerHostMax + limits.hostCallsPendingMax
    if (this.#unacked.size <= unackedMax) return
    for (const [messageId, acknowledged] of this.#unacked) {
      this.#unacked.delete(messageId)
      acknowledged(new AppError('host-timeout', 'The host does not acknowledge.'))
      return
    }
  }

  #onAck(messageId: string): void {
    const acknowledged = this.#unacked.get(messageId)
    if (acknowledged === undefined) return
    this.#unacked.delete(messageId)
    acknowledged(null)
  }

  #onMessage(text: string): void {
    const message = parseJson(text, this.#frameLimits)
    if (!isRecord(message)) throw new AppError('invalid-frame', 'An RPC message must be an object.')
    const { id, kind, methodName, data } = message
    if (typeof id !== 'string' || id === '' || id.length > 128 || typeof methodName !== 'string') {
      throw new AppError('invalid-frame', 'An RPC message must have an id and a method name.')
    }
    if (kind === 'RESPONSE') this.#onResponse(id, data)
    else if (kind === 'CALL') this.#onCall(id, methodName.slice(0, 128), data)
    else throw new AppError('invalid-frame', 'The kind of an RPC message must be CALL or RESPONSE.')
  }

  #onResponse(rpcId: string, data: unknown): void {
    const pending = this.#pending.get(rpcId)
    // Late ones, after the deadline, are normal.
    if (pending === undefined) return
    this.#pending.delete(rpcId)
    pending.cancelDeadline()
    // An answer proves the call arrived, even when its ACK was lost on the way (Python may send them in any order).
    this.#onAck(pending.messageId)
    try {
      pending.resolve(parseHostReturn(pending.method, data))
    } catch (error) {
      this.#report('invalid-answer', pending.method, rpcId, error)
      pending.reject(error instanceof AppError ? error : new AppError('internal'))
    }
  }

  #expire(rpcId: string): void {
    const pending = this.#pending.get(rpcId)
    if (pending === undefined) return
    this.#pending.delete(rpcId)
    // Its ACK still counts when it comes late: the call did arrive, and must not be made again.
    pending.reject(new AppError('host-timeout'))
  }

  #onCall(rpcId: string, method: string, data: unknown): void {
    if (this.#running.has(rpcId)) {
      this.#report('repeated-id', method, rpcId, new AppError('conflict'))
      return
    }
    if (this.#running.size >= (this.#options.runningMax ?? limits.hostCallsRunningMax)) {
      throw new AppError('too-many-requests', 'Too many calls are open.')
    }
    let call: ServerCall
    try {
      call = parseServerCall(method, data)
    } catch (error) {
      const known = isServerMethod(method)
      this.#report(known ? 'invalid-input' : 'unknown-method', method, rpcId, error)
      if (known && returnsBoolean(method)) void this.sendResponse(rpcId, method, false)
      return
    }
    this.#running.add(rpcId)
    this.#handle({ rpcId, ...call }).catch(error => this.#report('handler-failed', method, rpcId, error))
  }

  async #handle(call: IncomingCall): Promise<void> {
    try {
      const data = await this.#options.onCall(call)
      if (!this.#closed) void this.sendResponse(call.rpcId, call.method, data)
      else this.#options.onResponseUnsent?.({ rpcId: call.rpcId, method: call.method, data })
    } finally {
      this.#running.delete(call.rpcId)
    }
  }

  #report(kind: RpcProblem['kind'], method: string, rpcId: string, error: unknown): void {
    this.#options.onProblem?.({ kind, method, rpcId, error })
  }
}

/** `rpcId` and `method` came from the host and are escaped; undefined becomes null, since an answer must have data. */
export function encodeResponse(rpcId: string, method: string, data: unknown): string {
  const json = data === true ? 'true' : data === false ? 'false' : JSON.stringify(data ?? null)
  return `{"id":${JSON.stringify(rpcId)},"kind":"RESPONSE","methodName":${JSON.stringify(method)},"data":${json}}`
}

function rejected(error: AppError): Promise<never> {
  const promise = Promise.reject(error)
  promise.catch(ignore)
  return promise
}

function ignore(): void {}
