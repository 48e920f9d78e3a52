/** A receiver of timer callbacks that remembers what it was sent, and answers as it is told. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { eventually } from './eventually.js'
import { freePort } from './ports.js'

export interface ReceivedCall {
  readonly method: string
  /** With the query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** When its last byte came, in ms since 1970. */
  readonly atMs: number
}

export class TimerReceiver {
  readonly address: string
  /** All, in the order in which they came. */
  readonly calls: ReceivedCall[] = []
  readonly #server: Server
  readonly #byPath = new Map<string, ReceivedCall[]>()
  #held: (() => void)[] | null = null
  #heldMost = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.address = `http://127.0.0.1:${port}`
  }

  /** Answers every call with what `statusOf` says for it, 200 by default; null: never. */
  static async start(statusOf: (call: ReceivedCall) => number | null = () => 200): Promise<TimerReceiver> {
    const port = await freePort()
    const server = createServer((request, response) => {
      const parts: Buffer[] = []
      request
        .on('data', (part: Buffer) => parts.push(part))
        .on('end', () => {
          const { headers, method = '', url = '' } = request
          const call = { method, url, headers, body: Buffer.concat(parts).toString(), atMs: Date.now() }
          receiver.#remember(call)
          const status = statusOf(call)
          if (status !== null) receiver.#answer(() => response.writeHead(status).end())
        })
    })
    // The sender closes idle connections first: none is lost on the way.
    server.keepAliveTimeout = 60_000
    const receiver = new TimerReceiver(server, port)
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return receiver
  }

  /** Answers nobody until `release`. */
  hold(): void {
    this.#held ??= []
  }

  /** Answers all that wait, and those to come. */
  release(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const answer of held) answer()
  }

  /** How many waited for an answer at once, at most. */
  get heldMost(): number {
    return this.#heldMost
  }

  /** Calls of one path, without the query. */
  at(path: string): readonly ReceivedCall[] {
    return this.#byPath.get(path) ?? []
  }

  /** Resolves with the first call of the path. */
  called(path: string, deadlineMs = 15_000): Promise<ReceivedCall> {
    return eventually(() => {
      const [call] = this.at(path)
      if (!call) throw new Error(`${path} was not called`)
      return call
    }, deadlineMs)
  }

  #answer(answer: () => void): void {
    if (this.#held === null) answer()
    else {
      this.#held.push(answer)
      this.#heldMost = Math.max(this.#heldMost, this.#held.length)
    }
  }

  #remember(call: ReceivedCall): void {
    this.calls.push(call)
    const path = call.url.replace(/\?.*$/s, '')
    const calls = this.#byPath.get(path)
    if (calls) calls.push(call)
    else this.#byPath.set(path, [call])
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
