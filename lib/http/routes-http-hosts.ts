/**
 * Serverless hosts: people register addresses, and what answers there declares what it serves. Membership and rights
 * are checked by the accounts.
 */
import { z } from 'zod'
import type { HostIdentity, HttpHostInfo } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type HttpHostId, isId } from '../ids.js'
import { type Declaration, declaration, declarationInputs } from '../sdk/index.js'
import { askerOf, hostOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

/** What the hosts do with an address. */
export interface HttpHostHooks {
  /** Why no request may be made there, as one sentence; undefined when one may. */
  refusal(url: string): string | undefined
  /** Asks it from now on; at once, if it is new. */
  register(host: HttpHostInfo): Promise<void>
  /** Asks it now. Resolves with whether it declared itself. */
  check(host: HttpHostInfo): Promise<boolean>
  remove(id: HttpHostId): Promise<void>
  /** What its requests are signed with. */
  secretOf(id: HttpHostId): string
  /** Rejects with `forbidden` or `not-found`. */
  declare(
    identity: HostIdentity,
    declared: { id: HttpHostId; sdkName: string; sdkVersion: string; declaration: Declaration },
  ): Promise<{ invalidSlugs: string[]; warnings: string[] }>
}

const urlCharactersMax = 2_000

const newShape = z.object({ url: z.url({ protocol: /^https?$/ }).max(urlCharactersMax) })

const declareShape = z.object({
  httpHostId: z.string().max(64),
  sdkName: z.string().max(128),
  sdkVersion: z.string().max(128),
  ...declarationInputs,
})

export function addHttpHostRoutes(http: HttpServer, hosts: HttpHostHooks): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/organizations/:org/http-hosts',
    { ...browser, api: { tag: 'Serverless hosts', summary: 'Lists serverless hosts' } },
    async context => {
      return ok({ httpHosts: await context.accounts.httpHosts(await askerOf(context)) })
    },
  )

  // Whoever may register an address is told its secret, as often as they do.
  http.route(
    'POST',
    '/api/v1/organizations/:org/http-hosts',
    {
      ...browser,
      api: {
        tag: 'Serverless hosts',
        summary: 'Registers the address of a serverless host; tells its secret',
        body: newShape,
        status: 201,
      },
    },
    async context => {
      const by = await askerOf(context)
      const { url } = await context.body()
      const refusal = hosts.refusal(url)
      if (refusal !== undefined) throw new AppError('invalid-value', refusal, { fields: { url: refusal } })
      const host = await context.accounts.addHttpHost(by, url)
      await hosts.register(host)
      const { id, status } = host
      return { status: 201, body: { id, url, status, secret: hosts.secretOf(id) } }
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations/:org/http-hosts/:id/check',
    { ...browser, api: { tag: 'Serverless hosts', summary: 'Asks a serverless host whether it is there' } },
    async context => {
      const host = await context.accounts.httpHost(await askerOf(context), context.params.id ?? '')
      const isReachable = await hosts.check(host)
      return ok({ status: isReachable ? 'ONLINE' : 'UNREACHABLE' })
    },
  )

  http.route(
    'DELETE',
    '/api/v1/organizations/:org/http-hosts/:id',
    { ...browser, api: { tag: 'Serverless hosts', summary: 'Removes a serverless host' } },
    async context => {
      const id = context.params.id ?? ''
      await context.accounts.removeHttpHost(await askerOf(context), id)
      await hosts.remove(id as HttpHostId)
      return ok({})
    },
  )

  http.route('POST', '/api/hosts/declare', { caller: 'sdk' }, async context => {
    const identity = await hostOf(context)
    const { httpHostId, sdkName, sdkVersion, ...declared } = await context.body(declareShape)
    if (!isId(httpHostId)) throw new AppError('not-found', 'There is no such HTTP host.')
    const answer = await hosts.declare(identity, {
      id: httpHostId as string as HttpHostId,
      sdkName,
      sdkVersion,
      declaration: declaration(declared),
    })
    return ok({ type: 'success', ...answer })
  })
}
