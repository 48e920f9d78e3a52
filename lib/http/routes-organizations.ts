/** What belongs to an organization: keys, environments, the history of runs. Membership is checked by the accounts. */
import { z } from 'zod'
import type { HistoryStatus, StoredRun, TransactionPlace } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { isId } from '../ids.js'
import { ok } from './reply.js'
import { transactionFilterOf } from './routes-history.js'
import type { HttpServer } from './server.js'

const keyShape = z.object({
  kind: z.enum(['PRODUCTION', 'DEVELOPMENT']),
  environment: z.string().max(64).nullish(),
  label: z.string().max(100).nullish(),
})

export function addOrganizationRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/organizations/:org/keys',
    {
      ...browser,
      api: { tag: 'Keys', summary: 'Lists API keys: all for who may make live ones, else your own' },
    },
    async context => {
      const user = await context.person()
      return ok({ keys: await context.accounts.keys(user.id, context.params.org ?? '') })
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations/:org/keys',
    {
      ...browser,
      api: { tag: 'Keys', summary: 'Makes an API key; its text is told once', body: keyShape, status: 201 },
    },
    async context => {
      const user = await context.person()
      const { kind, environment, label } = await context.body()
      const key = await context.accounts.createKey(
        user.id,
        context.params.org ?? '',
        { kind, environment: environment ?? undefined, label: label ?? undefined },
        context.origin,
      )
      return { status: 201, body: key }
    },
  )

  http.route(
    'DELETE',
    '/api/v1/organizations/:org/keys/:id',
    { ...browser, api: { tag: 'Keys', summary: 'Revokes an API key and closes its sockets' } },
    async context => {
      const user = await context.person()
      const { org = '', id = '' } = context.params
      await context.accounts.revokeKey(user.id, org, id, context.origin)
      return ok({})
    },
  )

  http.route(
    'GET',
    '/api/v1/organizations/:org/environments',
    { ...browser, api: { tag: 'Environments', summary: 'Lists environments' } },
    async context => {
      const user = await context.person()
      return ok({ environments: await context.accounts.environments(user.id, context.params.org ?? '') })
    },
  )

  http.route(
    'GET',
    '/api/v1/organizations/:org/environments/:env/transactions',
    {
      ...browser,
      api: {
        tag: 'Transactions',
        summary: 'Lists runs you may see, newest first',
        query: {
          mine: 'Only your own: 1.',
          open: 'Only those that have not ended: 1.',
          cursor: 'The `next` of the page before.',
          limit: 'Of a page, 1 to 100.',
        },
      },
    },
    async context => {
      const user = await context.person()
      const { org = '', env = '' } = context.params
      const page = await context.accounts.transactions(user.id, org, env, transactionFilterOf(context.query))
      return ok(page)
    },
  )

  // By its id alone: where it is, the history knows.
  http.route(
    'GET',
    '/api/v1/transactions/:id',
    { ...browser, api: { tag: 'Transactions', summary: 'One run with its log and result' } },
    async context => {
      const user = await context.person()
      const { id = '' } = context.params
      if (!isId(id)) throw new AppError('not-found')
      return ok(described(await context.accounts.transaction(user.id, id, context.origin)))
    },
  )
}

const statusWords = {
  PENDING: 'pending',
  RUNNING: 'running',
  AWAITING_INPUT: 'awaiting-input',
  HOST_CONNECTION_DROPPED: 'running',
  CLIENT_CONNECTION_DROPPED: 'running',
  COMPLETED: 'completed',
} as const satisfies Record<HistoryStatus, string>

/** In the words in which a window is told of a run that is still there. */
function described(run: StoredRun & { place: TransactionPlace }) {
  return {
    transactionId: run.id,
    place: { organization: run.place.organizationSlug, environment: run.place.environmentSlug },
    slug: run.slug,
    name: run.name,
    status: statusWords[run.status],
    backgroundable: run.backgroundable,
    owner: run.owner,
    startedAtMs: Date.parse(run.createdAt),
    completedAtMs: run.completedAt === null ? null : Date.parse(run.completedAt),
    result:
      run.resultStatus === null
        ? null
        : {
            status: run.resultStatus,
            data: run.resultData,
            ...(run.resultMeta !== null && { meta: run.resultMeta }),
          },
    logs: run.logs,
    params: run.params,
    inputs: run.inputs,
    host: run.hostId,
  }
}
