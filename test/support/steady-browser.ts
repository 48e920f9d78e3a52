/**
 * A browser window that stays: it reconnects by itself as the dashboard does, says hello under the same id, attaches to
 * what it looks at, and sends unanswered requests again under the same ids. What it saw of its connection, it notes with
 * the time.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import type { EventFrame, Method, ReplyFrame, Requests } from '../../lib/clients/wire.js'
import { RequestRefused } from './browser-client.js'

interface Waiting {
  readonly frame: string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

const firstRetryMsMax = 100
const retryMsMax = 2_000
const connectDeadlineMs = 10_000

export class SteadyBrowser {
  readonly client = randomUUID()
  readonly #address: string
  readonly #cookie: string
  readonly #waiting = new Map<number, Waiting>()
  #socket: WebSocket | null = null
  #next = 1
  #failures = 0
  #isOpen = false
  #isStopped = false
  #retry: NodeJS.Timeout | undefined
  /** When its connections were lost and were back (after hello), in ms of the wall clock. */
  readonly lostAtMs: number[] = []
  readonly openedAtMs: number[] = []
  readonly closeCodes: number[] = []
  onEvent: (frame: EventFrame) => void = () => undefined
  /** Runs at each connection after the first, before what waits is sent again. */
  onReopened: () => void = () => undefined

  private constructor(address: string, cookie: string) {
    this.#address = address
    this.#cookie = cookie
  }

  static async connect(address: string, cookie: string): Promise<SteadyBrowser> {
    const browser = new SteadyBrowser(address, cookie)
    await new Promise<void>(resolve => browser.#open(resolve))
    return browser
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Resolves with the reply, however often the connection breaks meanwhile; rejects with `RequestRefused`. */
  ask<M extends Method>(method: M, data: Requests[M]['data']): Promise<Requests[M]['result']> {
    const id = this.#next++
    const frame = JSON.stringify({ id, method, data })
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { frame, resolve: resolve as (result: unknown) => void, reject })
      if (this.#isOpen) this.#socket?.send(frame)
    })
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#retry)
    this.#socket?.terminate()
    for (const { reject } of this.#waiting.values()) reject(new Error('the window was closed'))
    this.#waiting.clear()
  }

  #open(opened?: () => void): void {
    const socket = new WebSocket(`${this.#address.replace('http', 'ws')}/websocket`, {
      headers: { cookie: this.#cookie, origin: this.#address },
      perMessageDeflate: false,
      handshakeTimeout: connectDeadlineMs,
    })
    this.#socket = socket
    const helloId = this.#next++
    const late = setTimeout(() => socket.terminate(), connectDeadlineMs)
    socket.once('open', () => {
      const hello = { id: helloId, method: 'hello', data: { client: this.client, protocol: 1 } }
      socket.send(JSON.stringify(hello))
    })
    socket.on('error', () => undefined)
    socket.on('message', data => {
      const frame = JSON.parse(String(data)) as ReplyFrame | EventFrame
      if ('event' in frame) this.onEvent(frame)
      else if (frame.id !== helloId) this.#replied(frame)
      else if ('error' in frame) socket.terminate()
      else {
        clearTimeout(late)
        this.#greeted(socket, opened)
      }
    })
    socket.once('close', code => {
      clearTimeout(late)
      this.#lost(code, opened)
    })
  }

  #greeted(socket: WebSocket, opened: (() => void) | undefined): void {
    this.#failures = 0
    this.openedAtMs.push(Date.now())
    const waiting = [...this.#waiting.values()]
    this.#isOpen = true
    if (opened) opened()
    else this.onReopened()
    for (const { frame } of waiting) socket.send(frame)
  }

  #lost(code: number, opened: (() => void) | undefined): void {
    if (this.#isStopped) return
    if (this.#isOpen) {
      this.lostAtMs.push(Date.now())
      this.closeCodes.push(code)
    }
    const next = this.#isOpen ? undefined : opened
    this.#isOpen = false
    const attempt = this.#failures++
    const boundMs = attempt === 0 ? firstRetryMsMax : Math.min(retryMsMax, firstRetryMsMax * 2 ** attempt)
    this.#retry = setTimeout(() => this.#open(next), boundMs / 2 + (boundMs / 2) * Math.random())
  }

  #replied(frame: ReplyFrame): void {
    const waiting = this.#waiting.get(frame.id)
    if (!waiting) return
    this.#waiting.delete(frame.id)
    if ('error' in frame) waiting.reject(new RequestRefused(frame.error))
    else waiting.resolve(frame.result)
  }
}
