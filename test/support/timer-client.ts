/** Says to the timer API exactly what a test wants to say, to each node in turn. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

export interface TimerAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Why not, from `x-skyring-reason`; empty without one. */
  readonly reason: string
  /** When it was asked and when the answer was complete, in ms since 1970. */
  readonly askedAtMs: number
  readonly atMs: number
}

export interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: unknown
  /** Which node; by default the next in turn. */
  readonly node?: number
}

export class TimerClient {
  readonly addresses: readonly string[]
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 })
  #turn = 0

  constructor(addresses: readonly string[]) {
    this.addresses = addresses
  }

  ask(method: string, path: string, { body, headers = {}, node }: AskOptions = {}): Promise<TimerAnswer> {
    this.#turn += 1
    const address = this.addresses[(node ?? this.#turn) % this.addresses.length] ?? ''
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
    const askedAtMs = Date.now()
    return new Promise((resolve, reject) => {
      let hasAnswer = false
      const asked = request(
        `${address}${path}`,
        { method, agent: this.#agent, headers: { ...length, ...headers } },
        response => {
          hasAnswer = true
          const parts: Buffer[] = []
          response
            .on('data', (part: Buffer) => parts.push(part))
            .on('error', reject)
            .on('end', () =>
              resolve({
                status: response.statusCode ?? 0,
                headers: response.headers,
                body: Buffer.concat(parts).toString(),
                reason: String(response.headers['x-skyring-reason'] ?? ''),
                askedAtMs,
                atMs: Date.now(),
              }),
            )
        },
      )
      // A body that is too large is answered before all of it was written.
      asked.on('error', error => !hasAnswer && reject(error))
      asked.end(text)
    })
  }

  post(body: unknown, headers: Readonly<Record<string, string>> = {}, node?: number): Promise<TimerAnswer> {
    return this.ask('POST', '/timer', { body, headers, ...(node !== undefined && { node }) })
  }

  close(): void {
    this.#agent.destroy()
  }
}
