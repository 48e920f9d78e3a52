/**
 * What the dashboard does on its socket, without a browser: requests and replies, events, reconnecting, and sending
 * unanswered requests again under the same ids.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import type {
  EventFrame,
  EventName,
  Events,
  Method,
  ReplyFrame,
  Requests,
  Step,
} from '../../lib/clients/wire.js'
import { type ErrorBody, errorKinds } from '../../lib/errors.js'
import { eventually } from './eventually.js'

export class RequestRefused extends Error {
  constructor(readonly body: ErrorBody) {
    super(`${body.code}: ${body.message}`)
  }

  get isKnownCode(): boolean {
    return Object.hasOwn(errorKinds, this.body.code)
  }
}

/** What a request was refused with; fails when it was not. */
export async function refusal(request: Promise<unknown>): Promise<ErrorBody> {
  try {
    await request
  } catch (error) {
    if (error instanceof RequestRefused) return error.body
    throw error
  }
  throw new Error('the request was not refused')
}

interface Waiting {
  readonly frame: string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

export class BrowserClient {
  readonly client = randomUUID()
  readonly events: EventFrame[] = []
  readonly #waiting = new Map<number, Waiting>()
  readonly #address: string
  readonly #cookie: string
  #socket: WebSocket | null = null
  #next = 1
  #closed = false
  /** Close code of the last connection, if it is closed. */
  closeCode: number | null = null

  private constructor(address: string, cookie: string) {
    this.#address = address
    this.#cookie = cookie
  }

  static async connect(address: string, cookie: string): Promise<BrowserClient> {
    const client = new BrowserClient(address, cookie)
    await client.open()
    return client
  }

  /** Opens a socket and says hello; then sends again what was not answered. Rejects when it is closed before that. */
  async open(): Promise<void> {
    const socket = new WebSocket(`${this.#address.replace('http', 'ws')}/websocket`, {
      headers: { cookie: this.#cookie, origin: this.#address },
    })
    this.#socket = socket
    socket.on('message', data => this.#received(JSON.parse(String(data)) as ReplyFrame | EventFrame))
    socket.on('close', code => {
      if (this.#socket === socket) this.closeCode = code
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    this.closeCode = null
    const waiting = [...this.#waiting.values()]
    const id = this.#next
    const closed = new Promise<never>((_resolve, reject) => {
      socket.once('close', code => reject(new Error(`closed with ${code} before hello was answered`)))
    })
    try {
      await Promise.race([this.ask('hello', { client: this.client, protocol: 1 }), closed])
    } catch (error) {
      this.#waiting.delete(id)
      throw error
    }
    for (const { frame } of waiting) socket.send(frame)
  }

  /** Connects again until it succeeds. */
  async reopen(): Promise<void> {
    await eventually(() => this.open(), 30_000)
  }

  ask<M extends Method>(method: M, data: Requests[M]['data']): Promise<Requests[M]['result']> {
    const id = this.#next++
    const frame = JSON.stringify({ id, method, data })
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { frame, resolve: resolve as (result: unknown) => void, reject })
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(frame)
    })
  }

  sendRaw(text: string | Buffer): void {
    this.#socket?.send(text)
  }

  /** All events of one name, oldest first. */
  all<Name extends EventName>(name: Name): Events[Name][] {
    return this.events.filter(frame => frame.event === name).map(frame => frame.data as Events[Name])
  }

  /** Waits for an event that fits. */
  event<Name extends EventName>(
    name: Name,
    fits: (data: Events[Name]) => boolean = () => true,
  ): Promise<Events[Name]> {
    return eventually(() => {
      const found = this.all(name).find(fits)
      if (!found)
        throw new Error(
          `no ${name} event that fits; seen: ${this.events.map(frame => frame.event).join(' ')}`,
        )
      return found
    })
  }

  /** Waits until a step with this label waits for an answer. */
  async step(label: string, transactionId?: string): Promise<Step> {
    const { step } = await this.event(
      'transaction.render',
      data =>
        (transactionId === undefined || data.transactionId === transactionId) &&
        data.step.call.toRender.some(component => component.label === label),
    )
    return step
  }

  answer(
    transactionId: string,
    step: Step,
    values: unknown[],
    more: { choice?: string; valuesMeta?: unknown } = {},
  ) {
    const { inputGroupKey, id: renderId } = step.call
    return this.ask('transaction.answer', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey,
      renderId,
      kind: 'RETURN',
      values,
      ...more,
    })
  }

  /** Drops the connection without a word. */
  drop(): void {
    this.#socket?.terminate()
  }

  close(): void {
    this.#closed = true
    this.#socket?.terminate()
    for (const { reject } of this.#waiting.values()) reject(new Error('the client was closed'))
    this.#waiting.clear()
  }

  get isClosed(): boolean {
    return this.#closed
  }

  #received(frame: ReplyFrame | EventFrame): void {
    if ('event' in frame) {
      this.events.push(frame)
      return
    }
    const waiting = this.#waiting.get(frame.id)
    if (!waiting) return
    this.#waiting.delete(frame.id)
    if ('error' in frame) waiting.reject(new RequestRefused(frame.error))
    else waiting.resolve(frame.result)
  }
}
