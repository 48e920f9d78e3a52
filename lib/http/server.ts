/**
 * The HTTP server: restify routes, handlers return replies, one place writes them. Websockets share its port: whoever
 * serves them listens to `upgrade` on `nodeServer`.
 *
 * Invariant: a request can do no more than get an error. It is bounded in size, depth and time; nothing it contains
 * reaches the file system or a log unescaped; whatever a handler throws becomes a reply without a trace of the inside.
 * A change that is made in a browser's name is made only when that browser was on our own pages.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server as NodeServer, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import restify from 'restify'
import type { z } from 'zod'
import {
  type AccountsService,
  type ClientIdentity,
  isAccessToken,
  isSessionToken,
} from '../accounts/index.js'
import { AppError } from '../errors.js'
import { limits as defaultLimits, type Limits } from '../limits.js'
import type { Log, Secret } from '../log.js'
import { networkOf } from '../networks.js'
import { packageRoot } from '../root.js'
import { hasBody, isJson, readJson } from './body.js'
import { type Context, checked, type Handler } from './context.js'
import { type SessionCookie, sessionCookie } from './cookies.js'
import { createDashboardFiles } from './dashboard-files.js'
import { commonHeaders } from './headers.js'
import type { ApiDescription, ApiRoute } from './openapi.js'
import { createPeer } from './peer.js'
import { RateLimits } from './rate-limits.js'
import { type ErrorShape, errorReply, type Reply, write, writeInstead } from './reply.js'
import { addAccessTokenRoutes } from './routes-access-tokens.js'
import { addAccountRoutes } from './routes-account.js'
import { addAdministrationRoutes } from './routes-administration.js'
import { addAuthRoutes } from './routes-auth.js'
import { addChannelRoutes } from './routes-channels.js'
import { addClusterRoutes, type ClusterOptions } from './routes-cluster.js'
import { addDevelopmentRoutes, type DevelopmentTools } from './routes-development.js'
import { addHealthRoutes, type HealthOptions } from './routes-health.js'
import { addHistoryRoutes } from './routes-history.js'
import { addHttpHostRoutes, type HttpHostHooks } from './routes-http-hosts.js'
import { addIdentityRoutes } from './routes-identity.js'
import { addMetricsRoute, type MetricsOptions } from './routes-metrics.js'
import { addOpenApiRoute } from './routes-openapi.js'
import { addOrganizationRoutes } from './routes-organizations.js'
import { addPasswordResetRoutes } from './routes-password-resets.js'
import { addQueueRoutes, type QueueHooks } from './routes-queue.js'
import { addScheduleRoutes, type ScheduleRoutesOptions } from './routes-schedules.js'
import { addScimRoutes } from './routes-scim.js'
import { addSdkRoutes, type SdkHooks } from './routes-sdk.js'
import { addSessionRoutes } from './routes-session.js'
import { addSignUpRoutes } from './routes-sign-up.js'
import { addSignOnRoutes, type SignOnHooks } from './routes-sso.js'
import { addSignOnSettingsRoutes } from './routes-sso-settings.js'
import { addTimerRoutes, type TimerRoutesOptions } from './routes-timers.js'
import { addUploadRoutes, isUpload, type UploadHooks } from './routes-uploads.js'
import { addWorkOsRoutes } from './routes-workos.js'
import { createTimerApi } from './timer-api.js'

const headersMsMax = 10_000
/** Longer than a proxy keeps a connection, so that the proxy is the one that closes it. */
const keepAliveMs = 75_000
const headersMax = 100
const urlCharactersMax = 8_192

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface RouteOptions<Body = unknown> {
  /**
   * Who calls it. `browser`: speaks with the session cookie, so changes are refused unless they come from our own
   * pages. `sdk`: speaks with a key, errors look as SDKs expect. `open`: anybody, nothing is done in anybody's name.
   */
  readonly caller: 'browser' | 'sdk' | 'open'
  /** Of an `open` one: counted against the share of its address, since each request costs something. */
  readonly isCounted?: boolean
  /** Answered also while all others are refused, since it says why. */
  readonly isAlways?: boolean
  /** Makes it part of the API: it stands in its description, and takes access tokens unless that says otherwise. */
  readonly api?: ApiDescription<Body>
}

export interface HttpServer {
  /** Where to listen, and where `upgrade` events arrive. */
  readonly nodeServer: NodeServer
  readonly cookie: SessionCookie
  /** Adds a route of another room; parameters as `:name`. */
  route<Body>(method: HttpMethod, path: string, options: RouteOptions<Body>, handler: Handler<Body>): void
  /** Those that are part of the API. */
  readonly apiRoutes: readonly ApiRoute[]
  /** The address of who asks, also for websocket handshakes. */
  address(request: IncomingMessage): string
  /** True when the request's Origin is our own, also for websocket handshakes. */
  sameOrigin(request: IncomingMessage): boolean
  /** Answers a websocket handshake with an error, and ends the connection. */
  refuseUpgrade(socket: Duplex, error: AppError): void
  /** Stops listening and closes idle connections; resolves when the last request is answered or `graceMs` is over. */
  close(graceMs?: number): Promise<void>
}

export interface HttpServerOptions {
  readonly accounts: AccountsService
  readonly log: Log
  readonly health: HealthOptions
  /** Why nothing can be asked of this node yet, except how it is; undefined when it can. */
  readonly refusal?: () => AppError | undefined
  readonly sdk?: SdkHooks
  /** Without it there are no serverless hosts. */
  readonly httpHosts?: HttpHostHooks
  /** Without it there is no `/metrics`. */
  readonly metrics?: MetricsOptions
  /** Without it there is no `/api/v1/cluster`. */
  readonly cluster?: ClusterOptions
  /** Without it there are none. */
  readonly development?: DevelopmentTools | undefined
  /** Without it nobody signs in through a provider, and no directory is heard. */
  readonly signOn?: SignOnHooks & { readonly webhookSecret: Secret | null }
  /** Without it nothing can be queued. */
  readonly queue?: QueueHooks
  /** Without it there are no schedules. */
  readonly schedules?: ScheduleRoutesOptions
  /** Without it there are no timers. */
  readonly timers?: TimerRoutesOptions
  /** Without it no file is taken. */
  readonly uploads?: UploadHooks
  readonly limits?: Limits
  /** The public address of the installation; https makes cookies secure. */
  readonly appUrl?: string | undefined
  /** Addresses and networks whose X-Forwarded-* headers are believed. Default none. */
  readonly trustedProxies?: readonly string[]
  /** Built dashboard; default the package's own. */
  readonly dashboardDirectory?: string
}

const silent: restify.Logger = {
  child: () => silent,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const notFound: Reply = { status: 404, body: { message: 'Not Found' } }

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { accounts, log } = options
  const limits = options.limits ?? defaultLimits
  const secure = options.appUrl?.startsWith('https:') ?? false
  const cookie = sessionCookie(secure)
  const common = commonHeaders(secure)
  const peer = createPeer({ trustedProxies: options.trustedProxies ?? [], appUrl: options.appUrl })
  const dashboard = createDashboardFiles({
    directory: options.dashboardDirectory ?? join(packageRoot, 'dist', 'dashboard'),
    secure,
    nowMs: () => performance.now(),
  })
  const server = restify.createServer({ name: '', log: silent, onceNext: true })
  const nodeServer = server.server
  // restify repeats errors of the socket on itself, where nobody listens; whoever calls `listen` hears them.
  server.on('error', () => undefined)
  if (options.timers) {
    const first = createTimerApi({
      ...options.timers,
      ...(options.refusal && { refusal: options.refusal }),
      limits,
      log,
      address: request => peer.address(request),
    })
    const routed = nodeServer.listeners('request') as ((...words: unknown[]) => void)[]
    nodeServer.removeAllListeners('request')
    nodeServer.on('request', (request, response) => {
      if (!first(request, response))
        for (const listener of routed) listener.call(nodeServer, request, response)
    })
  }
  // Files take longer than anything else; the others are cut off by hand.
  nodeServer.requestTimeout = limits.uploadMsMax
  nodeServer.prependListener('request', slowRequestCutter(limits.requestMsMax))
  nodeServer.headersTimeout = headersMsMax
  nodeServer.keepAliveTimeout = keepAliveMs
  nodeServer.maxHeadersCount = headersMax

  const answer = (request: IncomingMessage, response: ServerResponse, reply: Reply): void =>
    write(request, response, reply, common)

  const fail = (
    request: IncomingMessage,
    response: ServerResponse,
    error: unknown,
    shape: ErrorShape,
  ): void => answer(request, response, errorReply(error, shape, log, randomUUID))

  // Before restify looks at it: what it would stumble over.
  server.first((request, response) => {
    const url = request.url ?? ''
    if (!methods.has(request.method ?? '') || request.method === 'OPTIONS') {
      answer(request, response, { status: 405, headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE' } })
      return false
    }
    if (!isPath(url)) {
      fail(request, response, new AppError('bad-request', 'The address is not valid.'), 'dashboard')
      return false
    }
    return true
  })

  // Whatever no route takes: a file of the dashboard, one of its pages, or nothing.
  server.on('restifyError', (request, response) => {
    try {
      const read = request.method === 'GET' || request.method === 'HEAD'
      const path = decodeURIComponent(pathOf(request))
      answer(request, response, (read && dashboard.reply(request, path)) || notFound)
    } catch (error) {
      fail(request, response, error, 'dashboard')
    }
  })

  const sameOrigin = (request: IncomingMessage): boolean => {
    const { origin } = request.headers
    return origin !== undefined && peer.sameOrigin(request, origin)
  }

  /** Refuses a change that another site could have made the browser send. */
  const checkOrigin = (request: IncomingMessage): void => {
    const site = request.headers['sec-fetch-site']
    const { origin } = request.headers
    if (origin !== undefined && !sameOrigin(request)) throw new AppError('cross-origin')
    if (site !== undefined && site !== 'same-origin' && site !== 'none') throw new AppError('cross-origin')
    // A form of another site can send neither JSON nor these headers.
    const proven = origin !== undefined || site !== undefined || request.method === 'DELETE'
    if (hasBody(request) ? !isJson(request) : !proven && request.headers.cookie !== undefined) {
      throw new AppError('bad-request', 'Send JSON, with content-type application/json.')
    }
  }

  const contextOf = <Body>(
    request: IncomingMessage,
    params: Readonly<Record<string, string>>,
    api: ApiDescription<Body> | undefined,
  ): Context<Body> => {
    const accessToken = accessTokenOf(request)
    // Whoever sends a token means it: a cookie beside it is not looked at.
    const token = accessToken === undefined ? cookie.read(request.headers.cookie) : undefined
    const userAgent = request.headers['user-agent'] ?? null
    const signedIn = async (): Promise<ClientIdentity> => {
      if (accessToken !== undefined) throw new AppError('forbidden', 'An access token cannot do this.')
      const identity = await accounts.authenticateSession(token)
      if (!identity) throw new AppError('not-signed-in')
      return identity
    }
    return {
      request,
      method: request.method ?? '',
      path: pathOf(request),
      params,
      query: new URLSearchParams(request.url?.split('?')[1] ?? ''),
      accounts,
      origin: { address: peer.address(request), userAgent, previousToken: token },
      token,
      async body<Value>(shape: z.ZodType<Value | Body> | undefined = api?.body): Promise<Value | Body> {
        if (!shape) throw new Error(`the route ${pathOf(request)} takes no body`)
        const value = await readJson(request, {
          bytesMax: limits.requestBodyBytesMax,
          depthMax: limits.frameDepthMax,
        })
        return checked(value, shape)
      },
      session: () => accounts.authenticateSession(token),
      signedIn,
      async person() {
        if (accessToken === undefined) return (await signedIn()).user
        // Only what stands in the description is open to scripts.
        if (!api || api.callers) throw new AppError('forbidden', 'An access token cannot do this.')
        const identity = await accounts.authenticateToken(accessToken)
        if (!identity) throw new AppError('not-signed-in', 'This access token is wrong or has ended.')
        if (identity.scope === 'read' && request.method !== 'GET' && request.method !== 'HEAD') {
          throw new AppError('forbidden', 'This access token may only read.')
        }
        return identity.user
      },
      bearer: () => /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1],
      setSession: (text, expiresAtMs) => ({
        'set-cookie': cookie.set(text, expiresAtMs - accounts.clock.nowMs()),
      }),
      clearSession: () => ({ 'set-cookie': cookie.clear() }),
    }
  }

  const apiRoutes: ApiRoute[] = []
  const clock = { nowMs: () => performance.now(), callersMax: limits.apiCallersMax }
  const perCaller = new RateLimits({ ...clock, perMinuteMax: limits.apiRequestsPerMinuteMax })
  const perAddress = new RateLimits({ ...clock, perMinuteMax: limits.apiRequestsPerAddressPerMinuteMax })

  /** Counts a request of a browser or script; sets the headers that say what is left. Throws `too-many-requests`. */
  const checkRate = (request: IncomingMessage, response: ServerResponse): void => {
    const address = networkOf(peer.address(request))
    // What cannot be a token is nobody's, and may be as long as a header: it is not remembered.
    const session = cookie.read(request.headers.cookie)
    const caller = accessTokenOf(request) ?? (isSessionToken(session) ? session : address)
    const all = perAddress.take(address)
    const { isAllowed, left, waitSeconds } = all.isAllowed ? perCaller.take(caller) : all
    response.setHeader('ratelimit-policy', `"minute";q=${limits.apiRequestsPerMinuteMax};w=60`)
    response.setHeader('ratelimit', `"minute";r=${left};t=${waitSeconds}`)
    if (isAllowed) return
    throw new AppError('too-many-requests', `Too many requests: wait ${waitSeconds} s.`)
  }

  /** For who is not in it an organization looks absent; that they tried is in its audit log. */
  const auditStranger = async (context: Context, slug: string, what: string): Promise<void> => {
    const person = await context.person().catch(() => context.session().then(identity => identity?.user))
    if (person) await accounts.notAMember(person.id, slug, what, context.origin)
  }

  const route: HttpServer['route'] = (
    method,
    path,
    { api, caller, isAlways = false, isCounted = false },
    handler,
  ) => {
    if (api) apiRoutes.push({ method, path, description: api as ApiDescription })
    const shape: ErrorShape = caller === 'sdk' ? 'sdk' : 'dashboard'
    const handle = async (request: restify.Request, response: ServerResponse): Promise<void> => {
      try {
        const refusal = isAlways ? undefined : options.refusal?.()
        if (refusal) throw refusal
        if (caller === 'browser' || isCounted) checkRate(request, response)
        if (caller === 'browser' && method !== 'GET') checkOrigin(request)
        answer(request, response, await handler(contextOf(request, request.params, api)))
      } catch (error) {
        if (error instanceof AppError && error.code === 'not-found' && request.params.org !== undefined) {
          await auditStranger(
            contextOf(request, request.params, api),
            request.params.org,
            `${method} ${path}`,
          )
        }
        if (error instanceof AppError && error.code === 'cross-origin') {
          accounts.audit({
            name: 'access.denied',
            address: peer.address(request),
            details: { what: 'cross-origin', origin: request.headers.origin ?? null },
          })
        }
        fail(request, response, error, shape)
      }
    }
    const add = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'del' } as const
    const take: restify.Handler = (request, response, next) => {
      handle(request, response).finally(() => next())
    }
    server[add[method]](path, take)
    if (method === 'GET') server.head(path, take)
  }

  const http: HttpServer = {
    nodeServer,
    cookie,
    route,
    apiRoutes,
    address: request => peer.address(request),
    sameOrigin,
    refuseUpgrade: (socket, error) => writeInstead(socket, errorReply(error, 'dashboard', log, randomUUID)),
    close(graceMs = 5_000) {
      return new Promise(fulfil => {
        const timer = setTimeout(() => nodeServer.closeAllConnections(), graceMs)
        nodeServer.close(() => {
          clearTimeout(timer)
          fulfil()
        })
        nodeServer.closeIdleConnections()
      })
    },
  }
  addHealthRoutes(http, options.health)
  if (options.metrics) addMetricsRoute(http, options.metrics)
  if (options.cluster) addClusterRoutes(http, options.cluster)
  if (options.queue) addQueueRoutes(http, options.queue)
  if (options.schedules) addScheduleRoutes(http, options.schedules)
  if (options.timers) addTimerRoutes(http, options.timers)
  if (options.uploads) addUploadRoutes(http, options.uploads, limits)
  const { signOn } = options
  addSessionRoutes(http, {
    hasTools: options.development !== undefined,
    hasGoogle: signOn !== undefined && (signOn.google ?? signOn.workos) !== null,
  })
  if (signOn) {
    addSignOnRoutes(http, signOn, log)
    addSignOnSettingsRoutes(http, signOn)
    addScimRoutes(http, signOn)
    addWorkOsRoutes(http, { secret: signOn.webhookSecret })
  }
  addIdentityRoutes(http)
  addAccountRoutes(http)
  addPasswordResetRoutes(http)
  addSignUpRoutes(http)
  addOrganizationRoutes(http)
  addAdministrationRoutes(http, options.httpHosts)
  addHistoryRoutes(http)
  addChannelRoutes(http)
  addAuthRoutes(http)
  addSdkRoutes(http, options.sdk ?? {}, log)
  if (options.httpHosts) addHttpHostRoutes(http, options.httpHosts)
  addAccessTokenRoutes(http)
  if (options.development) addDevelopmentRoutes(http, options.development)
  addOpenApiRoute(http)
  return http
}

/** Only those that look like one: API keys travel in the same header. */
function accessTokenOf(request: IncomingMessage): string | undefined {
  const text = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
  return isAccessToken(text) ? text : undefined
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?')[0] ?? ''
}

/**
 * Cuts requests off whose bodies have not come in time. Most are whole at the end of the turn of the event loop that
 * brought their headers: those need no timer.
 */
function slowRequestCutter(msMax: number): (request: IncomingMessage) => void {
  let begun: IncomingMessage[] = []
  const look = (): void => {
    const requests = begun
    begun = []
    for (const request of requests) if (!request.complete && !request.destroyed) cutWhenSlow(request, msMax)
  }
  return request => {
    if (!hasBody(request) || isUpload(request)) return
    if (begun.push(request) === 1) setImmediate(look)
  }
}

function cutWhenSlow(request: IncomingMessage, msMax: number): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy()
  }, msMax).unref()
  request.once('close', () => clearTimeout(timer))
}

/** True for a path that every parser behind us reads the same way. */
function isPath(url: string): boolean {
  if (!url.startsWith('/') || url.startsWith('//') || url.length > urlCharactersMax) return false
  const path = url.split('?')[0] ?? ''
  try {
    decodeURIComponent(path)
    return new URL(url, 'http://localhost').pathname === path
  } catch {
    return false
  }
}
