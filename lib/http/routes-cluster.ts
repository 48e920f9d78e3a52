/**
 * The state of the cluster, for operators: the same as `ring status` shows. It names nodes, their addresses and what is
 * wrong with them; so it is for administrators of the organization that runs the installation. Where sign-up is open,
 * anybody administers one of their own.
 */
import { AppError } from '../errors.js'
import { isId } from '../ids.js'
import type { ClusterStatus, EntityPlace } from './cluster-status.js'
import type { Context } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface ClusterOptions {
  status(): Promise<ClusterStatus>
  /** Where the entity of this key is looked after, or would be. */
  placeOf(key: string): EntityPlace
}

export function addClusterRoutes(http: HttpServer, cluster: ClusterOptions): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/cluster',
    { ...browser, api: { tag: 'Cluster', summary: 'The state of all nodes, for operators' } },
    async context => {
      await requireOperator(context)
      return ok(await cluster.status(), { 'cache-control': 'no-store' })
    },
  )

  // Says nothing of whether there is such a transaction: the place follows from the id alone.
  http.route(
    'GET',
    '/api/v1/cluster/transactions/:id',
    { ...browser, api: { tag: 'Cluster', summary: 'Which node looks after a transaction, for operators' } },
    async context => {
      await requireOperator(context)
      const { id = '' } = context.params
      if (!isId(id)) throw new AppError('not-found')
      return ok(cluster.placeOf(`transaction:${id}`), { 'cache-control': 'no-store' })
    },
  )
}

/** Rejects unless the person runs the installation. Who tries is in the audit log. */
async function requireOperator({ accounts, origin, path, person }: Context): Promise<void> {
  const user = await person()
  const { isOperator } = await accounts.profile(user.id)
  if (isOperator) return
  const details = { what: 'cluster', path }
  accounts.audit({ name: 'access.denied', userId: user.id, address: origin.address, details })
  throw new AppError('forbidden')
}
