/**
 * One connection to one origin: a client of undici that may open one socket, so that whoever sends a request knows on
 * which socket it went out and what that socket had seen before.
 *
 * Invariant: it is never opened again. A request that finds its socket closed fails with nothing written.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Client, Dispatcher } from 'undici'
import { limits } from '../limits.js'
import type { Opened } from './connector.js'
import type { Target } from './target.js'

/**
 * Loaded with the first connection: commands that make none start without it. Only the client: the rest of the package
 * takes four times as long, and puts itself in the place of what Node's own `fetch` uses.
 */
const load = createRequire(import.meta.url)
const clientModule = 'undici/lib/dispatcher/client.js'
/** A receiver that says how long it keeps connections is believed, less this, in ms. */
const idleMarginMs = 1_000

/** What undici calls, and what is called when it has read what came and goes on. */
export type AnswerHandler = Dispatcher.DispatchHandler & { onRead(): void }

export class Connection {
  readonly origin: string
  /** It has answered before. */
  hasServed = false
  readonly #client: Client
  readonly #closed: (connection: Connection) => void
  #socket: Socket | undefined
  #handler: AnswerHandler | null = null
  #hasClosed = false

  /** `open` is called with the first request; `closed` once, when there is no socket any more. */
  constructor(
    { origin }: Target,
    open: (opened: Opened) => Socket,
    closed: (connection: Connection) => void,
  ) {
    this.origin = origin
    this.#closed = closed
    const UndiciClient = load(clientModule) as typeof Client
    this.#client = new UndiciClient(origin, {
      pipelining: 1,
      // Exchanges have their own deadlines, and bounds for bodies.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: limits.outboundHeaderBytesMax,
      keepAliveTimeout: limits.outboundIdleMsMax,
      keepAliveMaxTimeout: limits.outboundIdleMsMax,
      keepAliveTimeoutThreshold: idleMarginMs,
      connect: (_options, answered) => {
        if (this.#socket) {
          process.nextTick(answered, new Error('The connection has ended.'), null)
          return
        }
        this.#socket = open((error, socket) => {
          if (error) {
            answered(error, null)
            return
          }
          answered(null, socket)
          // After undici, which listens by now.
          socket.on('readable', () => !socket.destroyed && this.#handler?.onRead())
        }).once('close', () => this.#end())
      },
    })
  }

  /** False once it has ended, or is about to; and where it was answered before all of the request was sent. */
  get isUsable(): boolean {
    return !this.#hasClosed && !this.#socket?.destroyed && !this.#socket?.writableLength
  }

  /** What has come over it so far. */
  get bytesRead(): number {
    return this.#socket?.bytesRead ?? 0
  }

  /** One at a time, until `finished`. */
  send(request: Dispatcher.DispatchOptions, handler: AnswerHandler): void {
    this.#handler = handler
    this.#client.dispatch(request, handler)
  }

  finished(): void {
    this.#handler = null
  }

  /** Closes it, whatever it is doing. Whoever handles its request may hear of an error. */
  destroy(): void {
    if (this.#socket) this.#socket.destroy()
    else this.#end()
  }

  #end(): void {
    if (this.#hasClosed) return
    this.#hasClosed = true
    this.#closed(this)
  }
}
