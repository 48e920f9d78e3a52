/**
 * The queue over HTTP: SDKs put work in and take it out; members of the organization see it, give it to each other and
 * throw it away. Starting what waits goes over the websocket, like any start.
 */
import { z } from 'zod'
import { type AccountsService, type Actor, type HostIdentity, newQueueItemId } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type Context, hostOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface QueueHooks {
  /** True when a host of this environment declares the action. */
  isDeclared(host: HostIdentity, slug: string): Promise<boolean>
  /** Sees to it that the item expires and that somebody is reminded. Before it is stored. */
  plan(id: string, times: { remindAtMs: number | null; expiresAtMs: number | null }): Promise<void>
}

const paramsShape = z.record(z.string().max(256), z.unknown())

const enqueueShape = z.object({
  slug: z.string().min(1).max(512),
  assignee: z.string().max(320).nullish(),
  params: paramsShape.nullish(),
  paramsMeta: z.unknown().optional(),
  /** Ours: SDKs send neither. */
  expiresAt: z.iso.datetime({ offset: true }).nullish(),
  remindAt: z.iso.datetime({ offset: true }).nullish(),
})

const dequeueShape = z.object({ id: z.string().min(1).max(64) })
const assignShape = z.object({ assignee: z.string().max(320).nullable() }).strict()

export function addQueueRoutes(http: HttpServer, hooks: QueueHooks): void {
  const sdk = { caller: 'sdk' } as const
  const browser = { caller: 'browser' } as const

  http.route('POST', '/api/actions/enqueue', sdk, async context => {
    const host = await hostOf(context)
    const body = await context.body(enqueueShape)
    const remindAtMs = timeOf(body.remindAt)
    const expiresAtMs = timeOf(body.expiresAt)
    const id = newQueueItemId()
    const isDeclared = await hooks.isDeclared(host, body.slug)
    if (remindAtMs !== null || expiresAtMs !== null) await hooks.plan(id, { remindAtMs, expiresAtMs })
    await context.accounts.queue.enqueue(host, id, {
      slug: body.slug,
      assignee: body.assignee,
      params: body.params,
      paramsMeta: body.paramsMeta,
      ...(remindAtMs !== null && { remindAtMs }),
      ...(expiresAtMs !== null && { expiresAtMs }),
      isDeclared,
    })
    return ok({ type: 'success', id })
  })

  http.route('POST', '/api/actions/dequeue', sdk, async context => {
    const host = await hostOf(context)
    const { id } = await context.body(dequeueShape)
    const { assignee, params, paramsMeta } = await context.accounts.queue.dequeue(host, id)
    // What is not there is left out: SDKs refuse null.
    return ok({
      type: 'success',
      id,
      ...(assignee !== null && { assignee }),
      ...(params !== null && { params }),
      ...(paramsMeta !== null && { paramsMeta }),
    })
  })

  http.route(
    'PATCH',
    `${path}/:id`,
    {
      ...browser,
      api: { tag: 'Queue', summary: 'Gives what waits in the queue to somebody else', body: assignShape },
    },
    async context => {
      const actor = await manager(context)
      const { assignee } = await context.body()
      await context.accounts.queue.assign(actor, context.params.id ?? '', assignee)
      return ok({})
    },
  )

  http.route(
    'DELETE',
    `${path}/:id`,
    { ...browser, api: { tag: 'Queue', summary: 'Dismisses what waits in the queue' } },
    async context => {
      await context.accounts.queue.dismiss(await manager(context), context.params.id ?? '')
      return ok({})
    },
  )
}

const path = '/api/v1/organizations/:org/environments/:env/queue'

/** Who may decide about other people's work: whoever may change what is run there. */
async function manager(context: Context & { accounts: AccountsService }): Promise<Actor> {
  const user = await context.person()
  const { org = '', env = '' } = context.params
  const actor = await context.accounts.actor(user.id, org, env)
  const permission = env === 'development' ? 'WRITE_DEV_ACTIONS' : 'WRITE_PROD_ACTIONS'
  if (!actor.permissions.has(permission)) {
    context.accounts.audit({
      name: 'access.denied',
      userId: user.id,
      organizationId: actor.organization.id,
      address: context.origin.address,
      details: { what: 'queue' },
    })
    throw new AppError('forbidden')
  }
  return actor
}

function timeOf(text: string | null | undefined): number | null {
  return text ? Date.parse(text) : null
}
