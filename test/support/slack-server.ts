/** A stand-in for Slack's web API: takes codes, finds people by address, keeps what is posted. */
import { createServer, type Server } from 'node:http'
import { freePort } from './ports.js'

export interface SlackCall {
  readonly method: string
  readonly parameters: Readonly<Record<string, string>>
  readonly token: string | null
}

export class SlackServer {
  readonly port: number
  readonly calls: SlackCall[] = []
  /** What Slack answers in place of what it would; undefined takes the call. */
  answer: (call: SlackCall) => { status?: number; error?: string; filler?: string } | undefined = () =>
    undefined
  /** Calls are kept, and not answered before this resolves. */
  answers: Promise<void> = Promise.resolve()
  readonly #server: Server

  private constructor(port: number) {
    this.port = port
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const call: SlackCall = {
          method: (request.url ?? '').replace('/api/', ''),
          parameters: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())),
          token: /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? null,
        }
        this.calls.push(call)
        const other = this.answer(call)
        const body = other?.error === undefined ? this.#take(call) : { ok: false, error: other.error }
        void this.answers.then(() => {
          response.writeHead(other?.status ?? 200, { 'content-type': 'application/json' })
          response.end(JSON.stringify({ ...body, filler: other?.filler }))
        })
      })
    })
  }

  static async start(t: { teardown(work: () => unknown): unknown }): Promise<SlackServer> {
    const slack = new SlackServer(await freePort())
    await new Promise<void>(resolve => slack.#server.listen(slack.port, '127.0.0.1', resolve))
    t.teardown(() => {
      slack.#server.closeAllConnections()
      slack.#server.close()
    })
    return slack
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** What was posted, oldest first. */
  get posts(): readonly Readonly<Record<string, string>>[] {
    return this.calls
      .filter(({ method }) => method === 'chat.postMessage')
      .map(({ parameters }) => parameters)
  }

  #take({ method, parameters }: SlackCall): object {
    if (method === 'oauth.v2.access') {
      const isRight = parameters.code === 'the code' && parameters.client_secret === 'the secret'
      return isRight
        ? { ok: true, access_token: 'xoxb-the-token', team: { id: 'T1', name: 'Quill & Sons' } }
        : { ok: false, error: 'invalid_code' }
    }
    if (method === 'users.lookupByEmail') {
      const isKnown = parameters.email?.startsWith('ada') ?? false
      return isKnown ? { ok: true, user: { id: 'U-ada' } } : { ok: false, error: 'users_not_found' }
    }
    return { ok: true }
  }
}
