/**
 * An HTTP host built with the real SDK (2.0.0): a server that hands each request to the SDK's handler, and that notes
 * what it was asked. It can be closed and opened again on its port.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { freePort } from './ports.js'
import type { Handler, SdkVersionName, TestIo } from './sdk-host.js'

const require = createRequire(import.meta.url)

/** Where each version keeps its handlers. */
const modules: Record<SdkVersionName, string> = {
  '0.21.0': 'sdk-0-21',
  '0.38.0': 'sdk-0-38/dist/experimental',
  '1.4.0': 'sdk-1-4/dist/experimental',
  '2.0.0': '@interval/sdk/dist/experimental',
}

interface LambdaEvent {
  readonly requestContext: { readonly http: { readonly method: string } }
  readonly body: string
}

interface ExperimentalModule {
  readonly default: new (
    config: object,
  ) => {
    readonly httpRequestHandler: (request: IncomingMessage, response: ServerResponse) => Promise<unknown>
    readonly handleRequest: (body: object) => Promise<boolean>
    readonly lambdaRequestHandler: (event: LambdaEvent) => Promise<{ statusCode: number; body: string }>
  }
  readonly Page: new (config: object) => object
  readonly Layout: new (config: object) => object
}

export interface HttpHostOptions {
  readonly endpoint: string
  readonly apiKey: string
  readonly actions?: Record<string, Handler>
  readonly pages?: Record<string, (display: TestIo['display']) => Promise<object>>
  /** Slugs of actions that may run in the background. */
  readonly backgroundable?: readonly string[]
  /** 2.0.0 by default. */
  readonly version?: SdkVersionName
  /** Calls the Lambda handler with the event a function URL makes. */
  readonly isLambda?: boolean
}

/** What it was asked, and how that ended. */
export interface Asked {
  readonly headers: IncomingMessage['headers']
  readonly body: string
  status: number | null
}

export class TestHttpHost {
  readonly port: number
  readonly asked: Asked[] = []
  readonly #options: HttpHostOptions
  #server: Server | null = null
  /** Answers in place of the SDK, for a while. */
  answersWith: number | null = null
  /** What it is asked to run is given to the SDK only when this has resolved. */
  gate: Promise<void> | null = null

  private constructor(port: number, options: HttpHostOptions) {
    this.port = port
    this.#options = options
  }

  static async start(options: HttpHostOptions): Promise<TestHttpHost> {
    const host = new TestHttpHost(await freePort(), options)
    await host.open()
    return host
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/interval`
  }

  /** Requests for runs, not for declarations. */
  get runs(): Asked[] {
    return this.asked.filter(({ body }) => body.includes('requestId'))
  }

  async open(): Promise<void> {
    const { endpoint, apiKey, actions = {}, pages = {}, isLambda, version = '2.0.0' } = this.#options
    const { backgroundable = [] } = this.#options
    const sdk = require(modules[version]) as ExperimentalModule
    const routes: Record<string, unknown> = {}
    for (const [slug, handler] of Object.entries(actions))
      routes[slug] = { handler, backgroundable: backgroundable.includes(slug) }
    for (const [slug, make] of Object.entries(pages)) {
      const handler = async (display: TestIo['display']) => new sdk.Layout(await make(display))
      routes[slug] = new sdk.Page({ name: slug, handler })
    }
    const logLevel = process.env.TEST_DEBUG ? 'debug' : 'quiet'
    const served = version === '0.21.0' ? { actions } : { routes }
    const common = { apiKey, endpoint, logLevel, completeHttpRequestDelayMs: 300 }
    const interval = new sdk.default({ ...common, ...served })
    const server = createServer((request, response) => {
      const isGated = this.gate !== null
      const asked: Asked = { headers: request.headers, body: '', status: null }
      response.on('finish', () => Object.assign(asked, { status: response.statusCode }))
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        Object.assign(asked, { body: Buffer.concat(chunks).toString() })
        this.asked.push(asked)
        if (isGated) {
          const { gate } = this
          void (gate ?? Promise.resolve())
            .then(() => interval.handleRequest(JSON.parse(asked.body) as object))
            .then(
              () => response.writeHead(200).end(),
              () => response.writeHead(500).end(),
            )
        }
        if (!isLambda || isGated || this.answersWith !== null) return
        const event = { requestContext: { http: { method: request.method ?? '' } }, body: asked.body }
        void interval.lambdaRequestHandler(event).then(answer => {
          response.writeHead(answer.statusCode).end(answer.body)
        })
      })
      if (this.answersWith !== null) response.writeHead(this.answersWith).end()
      else if (!isLambda && !isGated) void interval.httpRequestHandler(request, response)
    })
    this.#server = server
    await new Promise<void>(resolve => server.listen(this.port, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = null
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
}
