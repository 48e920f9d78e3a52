/** What a run starts with: the action as it is declared, the host that takes it, and the person it runs for. */
import type { Actor } from '../accounts/index.js'
import type { Params } from '../clients/wire.js'
import type { TransactionId } from '../ids.js'
import type { Json } from '../partitions/index.js'
import { type DeclaredAction, SdkVersion } from '../sdk/index.js'
import type { TransactionStart } from '../transactions/index.js'
import type { DirectoryHost } from './directory.js'
import type { Offer } from './directory-view.js'
import { requestsFor } from './http-hosts.js'

export interface StartOptions {
  readonly id: TransactionId
  readonly actor: Actor
  readonly offer: Offer<DeclaredAction>
  readonly host: DirectoryHost
  readonly params: Params
  readonly paramsMeta?: Json
  /** Parameters in the address of the action; `params` when absent. */
  readonly shownParams?: Params
  /** Origin of the dashboard. */
  readonly origin: string
}

export function transactionStart(options: StartOptions): TransactionStart {
  const { actor, host, id, offer, origin, params, paramsMeta } = options
  const { definition } = offer
  const sdk = new SdkVersion(host.sdkName, host.sdkVersion)
  const requests = requestsFor(host, offer.hosts)
  const { user, organization, environment } = actor
  return {
    id,
    organizationId: organization.id,
    environmentId: environment.id,
    place: { organization: organization.slug, environment: environment.slug },
    developerId: environment.slug === 'development' ? user.id : null,
    owner: { ...user, role: actor.role, teams: actor.teams },
    slug: definition.slug,
    name: definition.name ?? definition.slug.slice(definition.slug.lastIndexOf('/') + 1),
    backgroundable: definition.backgroundable,
    warnOnClose: definition.warnOnClose,
    instanceId: host.instanceId,
    ...(requests && { http: requests }),
    sdkName: host.sdkName,
    sdkVersion: host.sdkVersion,
    appends: sdk.displayResolvesImmediately && actor.showsOneCallAtATime !== true,
    ...(actor.showsOneCallAtATime && { oneCallAtATime: true }),
    sdkEnvironment: sdk.environmentFor(environment.slug),
    params,
    ...(paramsMeta !== undefined && { paramsMeta }),
    url: actionUrl(origin, actor, definition.slug, options.shownParams ?? params),
  }
}

/** Absolute address of an action in the dashboard, with its parameters; params that are empty are left out. */
function actionUrl(origin: string, actor: Actor, slug: string, params: Params): string {
  const { organization, environment } = actor
  const isConsole = environment.slug === 'development'
  const isProduction = environment.slug === 'production'
  const root = `${origin}/dashboard/${organization.slug}${isConsole || isProduction ? '' : `+${environment.slug}`}`
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, String(value))
  const search = query.size > 0 ? `?${query}` : ''
  return `${root}${isConsole ? '/develop' : ''}/actions/${slug}${search}`
}
