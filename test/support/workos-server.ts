/** A stand-in for WorkOS on this machine: its sign-on pages and tokens, and the signatures of its webhooks. */
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { freePort } from './ports.js'

export class WorkOsServer {
  readonly url: string
  readonly apiKey = 'sk_test_of_the_stand_in'
  readonly clientId = 'client_of_the_stand_in'
  readonly webhookSecret = 'a secret of the webhook'
  /** Who signs in next. */
  profile: Readonly<Record<string, unknown>> = {}
  /** What it was last asked to let somebody sign in with. */
  asked = new URLSearchParams()
  readonly #codes = new Map<string, Readonly<Record<string, unknown>>>()
  readonly #server: Server

  private constructor(url: string, server: Server) {
    this.url = url
    this.#server = server
  }

  static async start(): Promise<WorkOsServer> {
    const port = await freePort()
    const server = createServer()
    const workos = new WorkOsServer(`http://127.0.0.1:${port}`, server)
    server.on('request', (request, response) => {
      const url = new URL(request.url ?? '', workos.url)
      if (url.pathname === '/sso/authorize') {
        workos.asked = url.searchParams
        const code = randomUUID()
        workos.#codes.set(code, workos.profile)
        const back = new URL(url.searchParams.get('redirect_uri') ?? '')
        back.searchParams.set('code', code)
        back.searchParams.set('state', url.searchParams.get('state') ?? '')
        response.writeHead(302, { location: back.href }).end()
        return
      }
      let text = ''
      request.on('data', (part: Buffer) => {
        text += part.toString()
      })
      request.on('end', () => {
        const form = new URLSearchParams(text)
        const profile = workos.#codes.get(form.get('code') ?? '')
        workos.#codes.delete(form.get('code') ?? '')
        const isRight =
          url.pathname === '/sso/token' &&
          form.get('client_secret') === workos.apiKey &&
          form.get('client_id') === workos.clientId
        response.writeHead(isRight && profile ? 200 : 400, { 'content-type': 'application/json' })
        response.end(
          JSON.stringify(isRight && profile ? { access_token: 'x', profile } : { error: 'invalid_grant' }),
        )
      })
    })
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    return workos
  }

  /** Variables of the original, and where the stand-in is. */
  get environment(): Record<string, string> {
    return {
      WORKOS_API_KEY: this.apiKey,
      WORKOS_CLIENT_ID: this.clientId,
      WORKOS_WEBHOOK_SECRET: this.webhookSecret,
      WORKOS__URL: this.url,
    }
  }

  /** The header that goes with a body. */
  signature(body: string, atMs = Date.now(), secret = this.webhookSecret): string {
    return `t=${atMs}, v1=${createHmac('sha256', secret).update(`${atMs}.${body}`).digest('hex')}`
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }
}
