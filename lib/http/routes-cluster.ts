/**
 * The state of the cluster, for administrators: the same as `ring status` shows. It names nodes and counts, nothing that
 * belongs to an organization; so whoever administers any organization may see it, and nobody else.
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
    { ...browser, api: { tag: 'Cluster', summary: 'The state of all nodes, for administrators' } },
    async context => {
      await administrator(context)
      return ok(await cluster.status(), { 'cache-control': 'no-store' })
    },
  )

  // Says nothing of whether there is such a transaction: the place follows from the id alone.
  http.route(
    'GET',
    '/api/v1/cluster/transactions/:id',
    { ...browser, api: { tag: 'Cluster', summary: 'Which node looks after a transaction' } },
    async context => {
      await administrator(context)
      const { id = '' } = context.params
      if (!isId(id)) throw new AppError('not-found')
      return ok(cluster.placeOf(`transaction:${id}`), { 'cache-control': 'no-store' })
    },
  )
}

/** Rejects unless the person administers an organization. */
async function administrator({ accounts, person }: Context): Promise<void> {
  const user = await person()
  const { places } = await accounts.profile(user.id)
  if (!places.some(place => place.role === 'admin' && !place.lacksSecondFactor))
    throw new AppError('forbidden')
}
