/** Puts the HTTP hosts of one node together: how they are asked, where they are registered, who may do what with them. */
import type { AccountsService, AdminDependencies, HostIdentity } from '../accounts/index.js'
import type { Config } from '../config/index.js'
import { type Definitions, type Hosts, HttpHosts } from '../hosts/index.js'
import type { HttpHostHooks } from '../http/index.js'
import type { HttpHostId } from '../ids.js'
import { limits } from '../limits.js'
import { createLog } from '../log.js'
import { Outbound } from '../outbound/index.js'
import type { Clock, Partitions } from '../partitions/index.js'

export interface NodeHttpHosts {
  readonly routes: HttpHostHooks
  /** For the operator's command. */
  readonly administration: Pick<AdminDependencies, 'registerHttpHost' | 'checkHttpHost' | 'removeHttpHost'>
  /** Requests for runs that are open now. */
  open(): number
  /** Begins to ask those that are registered, once messages can be answered. */
  start(): void
  /** Ends requests under way, and with them on some platforms what runs there. */
  stop(): void
}

/** Checks that one node makes at once. */
const checkSocketsMax = 64

/** Before the partitions start: alarms of HTTP hosts have to find who asks them. */
export function openHttpHosts(options: {
  readonly config: Config
  readonly partitions: Partitions
  readonly accounts: AccountsService
  /** Who is connected. */
  readonly sockets: Pick<Hosts, 'isConnected'>
  readonly clock: Clock
  /** Secret of the installation. */
  readonly secret: string
  declared(identity: HostIdentity, definitions: Definitions): void
}): NodeHttpHosts {
  const { accounts, config, partitions, sockets, clock, secret, declared } = options
  const log = createLog('interval:http-hosts')
  const outbound = new Outbound({
    allow: config.hosts.http.allow,
    // Runs are counted where they are asked for; checks do not wait for them.
    agentSocketsMax: limits.httpHostRunsPerNodeMax + checkSocketsMax,
    originSocketsMax: limits.httpHostRunsPerOriginMax + checkSocketsMax,
  })
  const hosts = new HttpHosts({
    runtime: partitions,
    outbound,
    clock,
    log,
    secret,
    wallMs: Date.now,
    isConnected: instanceId => sockets.isConnected(instanceId),
    find: id => accounts.registeredHttpHost(id),
    all: () => accounts.registeredHttpHosts(),
    checked: (id, isReachable) => accounts.recordHttpHostStatus(id, isReachable ? 'ONLINE' : 'UNREACHABLE'),
    declared,
    unknownTeams: (organizationId, slugs) => accounts.unknownTeams(organizationId, slugs),
  })
  return {
    routes: {
      refusal: url => outbound.refusal(url),
      register: host => hosts.register(host),
      check: host => hosts.check(host),
      remove: id => hosts.remove(id),
      secretOf: id => hosts.secretOf(id),
      async declare(identity, declaration) {
        const answer = await hosts.declare(identity, declaration)
        const { id, sdkName, sdkVersion } = declaration
        accounts.recordHttpHostSdk(id, sdkName, sdkVersion).catch((error: unknown) => {
          // Only for the list; the next declaration says it again.
          log.debug('http-host.not-recorded', { id, error })
        })
        return answer
      },
    },
    open: () => hosts.open,
    administration: {
      registerHttpHost: host => hosts.register(host),
      checkHttpHost: async host => ((await hosts.check(host)) ? 'ONLINE' : 'UNREACHABLE'),
      removeHttpHost: id => hosts.remove(id as HttpHostId),
    },
    start: () => hosts.start(),
    stop() {
      hosts.stop()
      outbound.close()
    },
  }
}
