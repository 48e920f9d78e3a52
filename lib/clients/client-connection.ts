/**
 * One socket of one browser window: frames in, exactly one reply to each request, events out. A browser that sends too
 * fast is told so, and closed when it does not stop; one that does not read is closed before it costs memory.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ClientIdentity } from '../accounts/index.js'
import { Corked } from '../corked.js'
import { AppError, errorBody, errorKinds } from '../errors.js'
import type { ClientId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock } from '../partitions/index.js'
import { parseHead, parseRequest, type Request } from './requests.js'
import type { EventName, Events } from './wire.js'

export interface ClientConnectionEvents {
  requested(connection: ClientConnection, request: Request): Promise<unknown>
  closed(connection: ClientConnection): void
}

/** Requests being worked on at once. */
const runningMax = 64
/** Of the last ten seconds, how many may be over the rate before the socket is closed. */
const loudSecondsMax = 5
/** How long a peer may take to answer a close, in ms. */
const goodbyeMsMax = 2_000

export class ClientConnection {
  readonly identity: ClientIdentity
  readonly address: string
  /** `https://host` as the browser sees us. */
  readonly origin: string
  /** The window, as entities know it: set by `hello`. */
  clientId: ClientId | null = null
  readonly #socket: WebSocket
  readonly #corked: Corked
  readonly #events: ClientConnectionEvents
  readonly #clock: Clock
  readonly #log: Log
  #running = 0
  #second = 0
  #requestsInSecond = 0
  readonly #loudSeconds: number[] = []
  #lastHeardMs: number
  #closed = false
  /** Nothing more is taken from it: it would get no reply, and sends again after it has connected again. */
  #closing = false

  constructor(
    socket: WebSocket,
    stream: Duplex,
    options: {
      identity: ClientIdentity
      address: string
      origin: string
      clock: Clock
      log: Log
      events: ClientConnectionEvents
    },
  ) {
    this.identity = options.identity
    this.address = options.address
    this.origin = options.origin
    this.#socket = socket
    this.#corked = new Corked(stream)
    this.#events = options.events
    this.#clock = options.clock
    this.#log = options.log
    this.#lastHeardMs = options.clock.nowMs()
    socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary))
    socket.on('pong', () => {
      this.#lastHeardMs = this.#clock.nowMs()
    })
    socket.on('close', () => this.#onClose())
    // The socket has sent the reason by itself, e.g. 1009; ending it at once would lose that on the way.
    socket.on('error', () => this.#endSoon())
  }

  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  send<Name extends EventName>(event: Name, data: Events[Name]): void {
    this.#write(JSON.stringify({ event, data }))
  }

  ping(): void {
    if (!this.#closed && this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  close(code: number, reason: string): void {
    if (this.#closed) return
    this.#closing = true
    this.#socket.close(code, reason.slice(0, 120))
    this.#endSoon()
  }

  /** A peer that does not answer the close is not waited for. */
  #endSoon(): void {
    this.#clock.setTimer(goodbyeMsMax, () => this.#socket.terminate())
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#lastHeardMs = this.#clock.nowMs()
    if (this.#closing) return
    let head: ReturnType<typeof parseHead>
    try {
      if (isBinary) throw new AppError('invalid-frame', 'Frames must be text.')
      head = parseHead(data)
    } catch (error) {
      const known = error instanceof AppError ? error : new AppError('internal')
      const { closeCode } = errorKinds[known.code] as { closeCode?: number }
      this.close(closeCode ?? 1011, known.message)
      return
    }
    this.#answer(head).catch(() => this.#socket.terminate())
  }

  async #answer(head: ReturnType<typeof parseHead>): Promise<void> {
    try {
      this.#checkRate()
      if (this.#running >= runningMax) throw new AppError('too-many-requests')
      const request = parseRequest(head)
      this.#running += 1
      const result = await this.#events.requested(this, request).finally(() => {
        this.#running -= 1
      })
      this.#write(JSON.stringify({ id: head.id, result: result ?? {} }))
    } catch (error) {
      if (!(error instanceof AppError))
        this.#log.error('client.request-failed', { method: head.method, error })
      this.#write(JSON.stringify({ id: head.id, error: errorBody(error) }))
    }
  }

  #checkRate(): void {
    const second = Math.floor(this.#clock.nowMs() / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#requestsInSecond = 0
    }
    this.#requestsInSecond += 1
    if (this.#requestsInSecond <= limits.clientMessagesPerSecondMax) return
    if (this.#loudSeconds.at(-1) !== second) this.#loudSeconds.push(second)
    while (this.#loudSeconds.length > 0 && (this.#loudSeconds[0] ?? 0) < second - 10)
      this.#loudSeconds.shift()
    const isFlood = this.#requestsInSecond > limits.clientMessagesPerSecondMax * 20
    if (isFlood || this.#loudSeconds.length > loudSecondsMax)
      this.close(1008, errorKinds['too-many-requests'].message)
    throw new AppError('too-many-requests')
  }

  #write(text: string): void {
    if (this.#closed || this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#socket.bufferedAmount > limits.socketSendBufferBytesMax) {
      this.close(1008, 'This browser does not read what it is sent.')
      return
    }
    this.#corked.cork()
    this.#socket.send(text)
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.closed(this)
  }
}
