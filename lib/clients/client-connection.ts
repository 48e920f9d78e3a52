/**
 * One socket of one browser window: frames in, exactly one reply to each request, events out. A browser that sends too
 * fast is told so, and closed when it does not stop; one that does not read is closed before it costs memory.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ClientIdentity } from '../accounts/index.js'
import { AppError, errorBody, errorKinds } from '../errors.js'
import type { ClientId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock } from '../partitions/index.js'
import { TextSocket } from '../text-socket.js'
import { eventText } from './event-text.js'
import { parseHead, parseRequest, type Request } from './requests.js'
import type { EventName, Events } from './wire.js'

export interface ClientConnectionEvents {
  requested(connection: ClientConnection, request: Request): Promise<unknown>
  closed(connection: ClientConnection): void
}

/** What they bring about is most often told a moment later, and their replies leave with that. */
const patientMethods: ReadonlySet<string> = new Set(['transaction.answer', 'page.setState'])
/** Requests being worked on at once. */
const runningMax = 64
/** Of the last ten seconds, how many may be over the rate before the socket is closed. */
const loudSecondsMax = 5
/** How long a peer may take to answer a close, in ms. */
const goodbyeMsMax = 5_000

export class ClientConnection {
  readonly identity: ClientIdentity
  readonly address: string
  /** `https://host` as the browser sees us. */
  readonly origin: string
  /** The window, as entities know it: set by `hello`. */
  clientId: ClientId | null = null
  readonly #socket: TextSocket
  readonly #events: ClientConnectionEvents
  readonly #clock: Clock
  readonly #log: Log
  #running = 0
  #second = 0
  #requestsInSecond = 0
  readonly #loudSeconds: number[] = []

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
    this.#events = options.events
    this.#clock = options.clock
    this.#log = options.log
    this.#socket = new TextSocket(socket, stream, {
      clock: options.clock,
      sendBufferBytesMax: limits.socketSendBufferBytesMax,
      goodbyeMsMax,
      received: text => this.#received(text),
      overflowed: () => this.close(1008, 'This browser does not read what it is sent.'),
      closed: () => this.#events.closed(this),
    })
  }

  get lastHeardMs(): number {
    return this.#socket.lastHeardMs
  }

  send<Name extends EventName>(event: Name, data: Events[Name]): void {
    this.#socket.send(eventText(event, data))
  }

  ping(): void {
    this.#socket.ping()
  }

  get isClosed(): boolean {
    return this.#socket.isClosed
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason)
  }

  #received(text: Buffer): void {
    // It would get no reply, and sends this again after it has connected again.
    if (this.#socket.isClosing) return
    this.#answer(parseHead(text)).catch(() => this.#socket.terminate())
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
      this.#socket.send(
        JSON.stringify({ id: head.id, result: result ?? {} }),
        patientMethods.has(head.method),
      )
    } catch (error) {
      if (!(error instanceof AppError))
        this.#log.error('client.request-failed', { method: head.method, error })
      this.#socket.send(JSON.stringify({ id: head.id, error: errorBody(error) }))
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
}
