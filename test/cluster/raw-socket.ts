/** Sockets that say whatever a test wants: no client, no manners. */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import { eventually } from '../support/eventually.js'
import type { TestServer } from '../support/server.js'

export interface Closed {
  readonly code: number
  readonly reason: string
}

export class RawSocket {
  readonly frames: string[] = []
  readonly closed: Promise<Closed>
  readonly socket: WebSocket

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', data => this.frames.push(String(data)))
    socket.on('error', () => undefined)
    this.closed = new Promise(resolve =>
      socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
    )
  }

  /** Connects with these headers; resolves once the handshake is done. */
  static async open(server: TestServer, headers: Record<string, string>): Promise<RawSocket> {
    const raw = new RawSocket(new WebSocket(server.endpoint, { headers, perMessageDeflate: false }))
    await Promise.race([new Promise(resolve => raw.socket.once('open', resolve)), raw.closed])
    return raw
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN
  }

  send(frame: string | Buffer, binary = false): void {
    if (this.isOpen) this.socket.send(frame, { binary })
  }

  end(): void {
    this.socket.terminate()
  }
}

/** Connects as the browser of whoever the cookie belongs to. */
export async function rawBrowser(server: TestServer, cookie: string): Promise<RawSocket> {
  return RawSocket.open(server, { cookie, origin: server.address })
}

/** A host without an SDK: authenticated, and initialised when it says so. */
export class RawHost {
  readonly raw: RawSocket
  readonly #answers = new Map<string, unknown>()
  #next = 1

  private constructor(raw: RawSocket) {
    this.raw = raw
    raw.socket.on('message', data => this.#received(String(data)))
  }

  static async connect(server: TestServer, key: string, instanceId: string = randomUUID()): Promise<RawHost> {
    const host = new RawHost(await RawSocket.open(server, { 'x-api-key': key, 'x-instance-id': instanceId }))
    await eventually(() => {
      if (!host.raw.isOpen) return
      if (!host.raw.frames.some(frame => frame.includes('"authenticated"')))
        throw new Error('not authenticated')
    })
    return host
  }

  /** Calls the server as an SDK does and resolves with its answer. */
  async call(methodName: string, data: unknown, waitMs = 10_000): Promise<unknown> {
    const id = String(this.#next++)
    this.raw.send(message(JSON.stringify({ id, kind: 'CALL', methodName, data })))
    return eventually(() => {
      if (!this.#answers.has(id)) throw new Error(`no answer to ${methodName}`)
      return this.#answers.get(id)
    }, waitMs)
  }

  /** `more`: what else it says, or says otherwise. */
  initialize(slugs: readonly string[], more: object = {}): Promise<unknown> {
    return this.call('INITIALIZE_HOST', {
      actions: slugs.map(slug => ({ slug })),
      groups: [],
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      timestamp: Date.now(),
      ...more,
    })
  }

  #received(text: string): void {
    const frame = JSON.parse(text) as { type: string; id: string; data: string }
    if (frame.type !== 'MESSAGE') return
    this.raw.send(JSON.stringify({ type: 'ACK', id: frame.id }))
    if (!frame.data.startsWith('{')) return
    const rpc = JSON.parse(frame.data) as { id: string; kind: string; methodName: string; data: unknown }
    if (rpc.kind === 'RESPONSE') this.#answers.set(rpc.id, rpc.data)
    else this.raw.send(message(JSON.stringify({ ...rpc, kind: 'RESPONSE', data: null })))
  }
}

/** The envelope around a host's message. */
export function message(data: string): string {
  return JSON.stringify({ type: 'MESSAGE', id: randomUUID(), data })
}
