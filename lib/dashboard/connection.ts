/**
 * The socket between this window and a node. Whoever asks gets exactly one answer, however often the socket breaks in
 * between: unanswered requests are kept in order and sent again, under the same ids, after each reconnect; what is
 * asked while away waits for the next connection. Nodes make repeats harmless by the ids inside the requests.
 *
 * What can go wrong: a connection that is open but dead. A ping every 15 s must be answered within 5 s, and one within 2 s
 * when a request has had no answer for 2 s and nothing else came either; otherwise the socket is given up without waiting
 * for its closing handshake. Events may be lost with a socket, so `onOpened` runs
 * before anything is sent again and lets the stores ask for fresh snapshots.
 */
import type { EventName, Events, Method, Requests } from '../clients/wire.js'
import type { ErrorBody } from '../errors.js'
import { isRecord } from './props.js'

export type ConnectionState = 'connecting' | 'open' | 'away'

export interface ConnectionOptions {
  url: string
  clientId: string
  /** Between 0 and 1. */
  random: () => number
  /** The session is over; the connection stays closed. */
  onSignedOut: () => void
  /** Asks over HTTP whether the session still holds, after refused connections. */
  isSignedIn: () => Promise<boolean>
}

/** What a refused request rejects with. */
export class RequestError extends Error {
  readonly code: string
  readonly fields: Readonly<Record<string, string>>

  constructor(body: { code: string; message: string; fields?: Readonly<Record<string, string>> }) {
    super(body.message)
    this.name = 'RequestError'
    this.code = body.code
    this.fields = body.fields ?? {}
  }
}

interface PendingRequest {
  frame: string
  /** When it went out on the present connection; null while it waits for one. */
  sentAtMs: number | null
  resolve: (result: unknown) => void
  reject: (error: RequestError) => void
}

const protocol = 1
const pendingRequestsMax = 256
const firstRetryMsMax = 100
const retryMsMax = 2_000
const pingIntervalMs = 15_000
const pingDeadlineMs = 5_000
const replyDeadlineMs = 40_000
/** Silence while an answer is awaited: then a ping, which has as long again. */
const overdueMs = 2_000
const lookIntervalMs = 500
/** The first attempt may have met a node that takes connections and nothing more; a slow way gets more time by and by. */
const firstConnectMsMax = 3_000
const connectMsMax = 10_000
const signedOutCloseCode = 4401

type Listener = (data: never) => void

export class Connection {
  readonly #options: ConnectionOptions
  readonly #pending = new Map<number, PendingRequest>()
  readonly #listeners = new Map<EventName, Set<Listener>>()
  readonly #openedListeners = new Set<() => void>()
  readonly #stateListeners = new Set<() => void>()
  #socket: WebSocket | null = null
  #state: ConnectionState = 'connecting'
  #nextId = 1
  #newId: string | null = null
  #failures = 0
  #closed = false
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #lookTimer: ReturnType<typeof setInterval> | undefined
  #isPinging = false
  #pingedAtMs = 0
  #heardAtMs = 0
  #deadlineTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** An id for a transaction, which the node it is started on leads; null when none has been given since the last. */
  takeNewId(): string | null {
    const id = this.#newId
    this.#newId = null
    return id
  }

  onState = (listener: () => void): (() => void) => {
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /** Runs at each later connection, before waiting requests are sent again. */
  onOpened(listener: () => void): () => void {
    this.#openedListeners.add(listener)
    return () => this.#openedListeners.delete(listener)
  }

  on<E extends EventName>(event: E, listener: (data: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  /** Resolves with the reply; rejects with a `RequestError`. Waits while away. */
  request<M extends Method>(method: M, data: Requests[M]['data']): Promise<Requests[M]['result']> {
    if (this.#closed) {
      return Promise.reject(new RequestError({ code: 'unavailable', message: 'The connection was closed.' }))
    }
    if (this.#pending.size >= pendingRequestsMax) {
      return Promise.reject(
        new RequestError({ code: 'queue-full', message: 'Too much is waiting to be sent.' }),
      )
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      const pending: PendingRequest = {
        frame: JSON.stringify({ id, method, data }),
        sentAtMs: null,
        resolve: result => resolve(result as Requests[M]['result']),
        reject,
      }
      this.#pending.set(id, pending)
      if (this.#state === 'open') this.#send(pending)
    })
  }

  /** Connects, and keeps connecting until `close`. */
  open(): void {
    if (this.#socket || this.#closed) return
    const socket = new WebSocket(this.#options.url)
    this.#socket = socket
    const connectMs = Math.min(connectMsMax, firstConnectMsMax * 2 ** this.#failures)
    this.#deadlineTimer = setTimeout(() => this.#lost(socket), connectMs)
    socket.onopen = () => this.#greet(socket)
    socket.onmessage = message => this.#receive(socket, message.data)
    socket.onclose = closed => {
      if (closed.code === signedOutCloseCode) this.#signOut()
      else this.#lost(socket)
    }
  }

  /** Tries again at once: the network is back or the window is looked at again. */
  wake(): void {
    if (this.#socket || this.#closed) return
    clearTimeout(this.#retryTimer)
    this.open()
  }

  /** Ends the connection for good; what still waits is refused. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#retryTimer)
    this.#drop()
    for (const pending of this.#pending.values()) {
      pending.reject(new RequestError({ code: 'unavailable', message: 'The connection was closed.' }))
    }
    this.#pending.clear()
  }

  #greet(socket: WebSocket): void {
    const id = this.#nextId++
    this.#pending.set(id, {
      frame: '',
      sentAtMs: Date.now(),
      resolve: () => this.#greeted(socket),
      reject: error => {
        if (error.code === 'not-signed-in') this.#signOut()
        else this.#lost(socket)
      },
    })
    socket.send(JSON.stringify({ id, method: 'hello', data: { client: this.#options.clientId, protocol } }))
  }

  #greeted(socket: WebSocket): void {
    if (this.#socket !== socket) return
    clearTimeout(this.#deadlineTimer)
    this.#failures = 0
    // What was asked before goes out after what the stores ask for now: snapshots first.
    const waiting = [...this.#pending.values()]
    this.#setState('open')
    for (const listener of this.#openedListeners) listener()
    for (const pending of waiting) this.#send(pending)
    this.#pingedAtMs = Date.now()
    this.#lookTimer = setInterval(() => this.#look(socket), lookIntervalMs)
  }

  /** Whether a ping is due. */
  #look(socket: WebSocket): void {
    if (this.#isPinging) return
    const nowMs = Date.now()
    if (nowMs - this.#pingedAtMs >= pingIntervalMs) this.#ping(socket, nowMs, pingDeadlineMs)
    else if (this.#isOverdue(nowMs)) this.#ping(socket, nowMs, overdueMs)
  }

  #isOverdue(nowMs: number): boolean {
    if (nowMs - this.#heardAtMs < overdueMs) return false
    for (const { frame, sentAtMs } of this.#pending.values()) {
      if (frame !== '' && sentAtMs !== null && nowMs - sentAtMs >= overdueMs) return true
    }
    return false
  }

  #ping(socket: WebSocket, nowMs: number, deadlineMs: number): void {
    for (const [id, pending] of this.#pending) {
      if (pending.sentAtMs === null || nowMs - pending.sentAtMs < replyDeadlineMs) continue
      this.#pending.delete(id)
      pending.reject(new RequestError({ code: 'timeout', message: 'The server did not answer.' }))
    }
    const id = this.#nextId++
    const ended = () => {
      this.#isPinging = false
      clearTimeout(this.#deadlineTimer)
    }
    this.#isPinging = true
    this.#pingedAtMs = nowMs
    this.#deadlineTimer = setTimeout(() => {
      this.#pending.delete(id)
      this.#lost(socket)
    }, deadlineMs)
    this.#pending.set(id, { frame: '', sentAtMs: nowMs, resolve: ended, reject: ended })
    socket.send(JSON.stringify({ id, method: 'ping', data: {} }))
  }

  #send(pending: PendingRequest): void {
    if (pending.frame === '' || this.#socket?.readyState !== WebSocket.OPEN) return
    pending.sentAtMs = Date.now()
    this.#socket.send(pending.frame)
  }

  #receive(socket: WebSocket, data: unknown): void {
    if (this.#socket !== socket || typeof data !== 'string') return
    this.#heardAtMs = Date.now()
    let frame: unknown
    try {
      frame = JSON.parse(data)
    } catch {
      return
    }
    if (!isRecord(frame)) return
    if (typeof frame.event === 'string') {
      const listeners = this.#listeners.get(frame.event as EventName) ?? []
      for (const listener of [...listeners]) listener(frame.data as never)
      return
    }
    if (typeof frame.id !== 'number') return
    const pending = this.#pending.get(frame.id)
    this.#pending.delete(frame.id)
    if (!pending) return
    if (isRecord(frame.result) && typeof frame.result.newId === 'string') this.#newId = frame.result.newId
    if (isRecord(frame.error)) pending.reject(new RequestError(frame.error as unknown as ErrorBody))
    else pending.resolve(frame.result)
  }

  /** Gives the present socket up and sees to the next one. */
  #lost(socket: WebSocket): void {
    if (this.#socket !== socket || this.#closed) return
    this.#drop()
    this.#setState('away')
    const attempt = this.#failures++
    const boundMs = attempt === 0 ? firstRetryMsMax : Math.min(retryMsMax, firstRetryMsMax * 2 ** attempt)
    // Jitter over the upper half, so that a node's clients do not come back in one wave.
    const delayMs = boundMs / 2 + (boundMs / 2) * this.#options.random()
    this.#retryTimer = setTimeout(() => this.open(), delayMs)
    // A refused upgrade looks like a lost connection; only HTTP can tell that the session is over.
    if (attempt % 8 !== 2) return
    this.#options.isSignedIn().then(
      isSignedIn => {
        if (!isSignedIn) this.#signOut()
      },
      () => undefined,
    )
  }

  #drop(): void {
    clearTimeout(this.#deadlineTimer)
    clearInterval(this.#lookTimer)
    this.#isPinging = false
    const socket = this.#socket
    this.#socket = null
    this.#newId = null
    if (socket) {
      socket.onopen = null
      socket.onmessage = null
      socket.onclose = null
      socket.close()
    }
    for (const [id, pending] of this.#pending) {
      // Greetings and pings belong to one socket; they are not sent again.
      if (pending.frame === '') this.#pending.delete(id)
      else pending.sentAtMs = null
    }
  }

  #signOut(): void {
    if (this.#closed) return
    this.close()
    this.#options.onSignedOut()
  }

  #setState(state: ConnectionState): void {
    if (this.#state === state) return
    this.#state = state
    for (const listener of this.#stateListeners) listener()
  }
}
