/**
 * Puts one node together and takes it apart: store, database, accounts, entities, sockets, HTTP. Everything a part
 * needs is given to it here; nothing is reached for.
 *
 * Order of start: what others build on first; the port opens when messages can be answered. Order of stop: sockets are
 * told to connect again, work drains, then store and database close. Stopping is a courtesy: `kill -9` loses nothing
 * that was acknowledged.
 */
import { createHash } from 'node:crypto'
import {
  type AccountsService,
  createAccounts,
  type HostIdentity,
  runAdminOperation,
  waitingDeliveries,
} from '../accounts/index.js'
import { Clients } from '../clients/index.js'
import type { Config, DataDirectory } from '../config/index.js'
import { type Database, DatabaseConfigurations, openDatabase } from '../database/index.js'
import { AppError } from '../errors.js'
import {
  Directories,
  digestOf,
  directoryKind,
  type HostAsked,
  type HostConnection,
  type HostDeclaration,
  Hosts,
  hostKind,
  httpHostKind,
} from '../hosts/index.js'
import { createHttpServer, type HttpServer, type NodeReport, type QueueHooks } from '../http/index.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import { createLog, type Log } from '../log.js'
import { Mailer, type MailTransport, mailTransportOf, waitingMails } from '../mail/index.js'
import {
  openPartitions,
  type Partitions,
  parseFailurePoints,
  systemClock,
  type Timer,
} from '../partitions/index.js'
import { createClusterPeers, type Peers, parseRingSwitches } from '../ring/index.js'
import { packageVersion } from '../root.js'
import { Slack } from '../slack/index.js'
import type { Sweep } from '../sweep.js'
import { queueItemKind, timerKind } from '../timers/index.js'
import { type Schedules, scheduleKind } from '../timers/schedules/index.js'
import { type Located, pageKind, transactionKind } from '../transactions/index.js'
import { chunkKind, spaceKind, type Uploads, uploadKind } from '../uploads/index.js'
import { type AdminServer, listenAdmin } from './admin-socket.js'
import { channelHostTowards } from './channel-host.js'
import { type DemoHost, demoAccount, startDemoHost } from './demo.js'
import { historyRow } from './history.js'
import { type NodeHttpHosts, openHttpHosts } from './http-hosts.js'
import { Metrics, type WorkCounts } from './metrics.js'
import type { RunningNode, StartNodeOptions } from './node-contract.js'
import { Notifier } from './notifier.js'
import { cannotListen, refuseTakenPort } from './ports.js'
import { openQueue, queueSweep } from './queue.js'
import { retentionSweep } from './retention.js'
import { RingStatus } from './ring-status.js'
import { refuseFullDisk } from './room.js'
import { openSchedules } from './schedules.js'
import { type NodeSignOn, openSignOn } from './sign-on.js'
import { Sockets } from './sockets.js'
import { type NodeTimers, openTimers } from './timers.js'
import { type NodeUploads, openUploads } from './uploads.js'

/** Sockets are told to connect again over so long: the other nodes take them one by one. */
const drainSpreadMsMax = 2_000
const drainSpreadMsEach = 10
/** How long callers wait, and that they are refused when what they ask for cannot be done now. */
const sweepStopMsMax = 3_000
/** Beyond that a figure only says: far too many. */
const waitingCountMax = 100_000
const refusable = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
/** How long a stop waits for calls of timers that are under way, in ms. */
const timersMsMax = 2_000
/** Places whose declarations are remembered as recorded. */
const declaredMax = 10_000

/** Starts a node. Rejects with one sentence when something it needs is missing. */
export async function startNode(options: StartNodeOptions): Promise<RunningNode> {
  const node = new Node(options)
  try {
    return await node.start()
  } catch (error) {
    await node.stop()
    throw error
  }
}

class Node {
  readonly #config: Config
  readonly #directory: DataDirectory
  readonly #progress: (line: string) => void
  readonly #clock = systemClock()
  readonly #log: Log = createLog('interval:node')
  readonly #mailTransport: MailTransport | null
  readonly #slack: Slack | null
  #mailer: Mailer | null = null
  #notifier: Notifier | null = null
  #queueSweep: Sweep | null = null
  #retention: Sweep | null = null
  readonly #failurePoints = parseFailurePoints(process.env.INTERVAL_FAILPOINT)
  #database: Database | null = null
  #accounts: AccountsService | null = null
  #partitions: Partitions | null = null
  #hosts: Hosts | null = null
  #clients: Clients | null = null
  #httpHosts: NodeHttpHosts | null = null
  #http: HttpServer | null = null
  #sockets: Sockets | null = null
  #admin: AdminServer | null = null
  #peers: Peers | null = null
  #ringStatus: RingStatus | null = null
  #timers: NodeTimers | null = null
  #queue: QueueHooks | null = null
  #schedules: Schedules | null = null
  #uploads: NodeUploads | null = null
  #signOn: NodeSignOn | null = null
  #demo: DemoHost | null = null
  #revocations: Timer | null = null
  /** Digest of what was last recorded, by place. */
  readonly #declared = new Map<string, string>()
  #state: 'starting' | 'ready' | 'draining' = 'starting'
  #stopping: Promise<void> | null = null
  #fail: (error: Error) => void = () => undefined
  readonly #failed = new Promise<Error>(resolve => {
    this.#fail = resolve
  })

  constructor(options: StartNodeOptions) {
    this.#config = options.config
    this.#directory = options.directory
    this.#progress = options.progress
    this.#mailTransport = mailTransportOf(options.config.mail)
    this.#slack = options.config.slack && new Slack(options.config.slack)
  }

  async start(): Promise<RunningNode> {
    await this.#refuseTakenPorts()
    await refuseFullDisk(this.#config, this.#directory)
    const [partitions, database] = await this.#openBoth()
    const accounts = this.#openAccounts(database)
    this.#mailer = new Mailer({
      database,
      transport: this.#mailTransport,
      clock: this.#clock,
      log: createLog('interval:mail'),
    })
    this.#notifier = new Notifier({
      database,
      slack: this.#slack,
      connections: accounts.slackConnections,
      clock: this.#clock,
      log: createLog('interval:notifications'),
      appUrl: accounts.appUrl,
    })
    this.#retention = retentionSweep({
      database,
      kept: this.#config.kept,
      clock: this.#clock,
      log: createLog('interval:retention'),
    })
    this.#queueSweep = queueSweep({
      runtime: partitions,
      accounts,
      clock: this.#clock,
      log: createLog('interval:queue'),
    })
    this.#uploads = await openUploads(this.#config, this.#directory, partitions, this.#clock)
    const { hosts, clients } = this.#build(partitions, accounts, this.#uploads.uploads)
    this.#httpHosts = openHttpHosts({
      config: this.#config,
      partitions,
      accounts,
      sockets: hosts,
      clock: this.#clock,
      secret: this.#directory.secrets.server.reveal(),
      declared: (identity, definitions) => this.#recordDeclarations(accounts, identity, definitions),
    })
    this.#ringStatus = this.#buildRingStatus(partitions, database)
    this.#timers = await openTimers(this.#config, partitions, this.#clock)
    await partitions.start()
    const http = await this.#listen(partitions, accounts, hosts, clients)
    this.#httpHosts.start()
    await this.#openAdmin(accounts)
    this.#checkRevocations(accounts, hosts, clients)
    this.#schedules?.start()
    this.#mailer.start()
    this.#notifier.start()
    this.#queueSweep.start()
    this.#retention?.start()
    this.#sweepUploads()
    this.#warnWithoutOperators(accounts)
    this.#state = 'ready'
    const howToSignIn = await this.#introduce(accounts, http)
    return {
      address: this.#address(http),
      ...(howToSignIn !== null && { howToSignIn }),
      failed: this.#failed,
      stop: () => this.stop(),
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#state = 'draining'
    this.#revocations?.cancel()
    this.#demo?.stop()
    this.#sockets?.drain()
    const sockets = (this.#clients?.count ?? 0) + (this.#hosts?.count ?? 0)
    const spreadMs = Math.min(drainSpreadMsMax, sockets * drainSpreadMsEach)
    // Whoever comes back elsewhere finds leaders that stay.
    await Promise.all([
      this.#partitions?.leave(),
      this.#clients?.drain(spreadMs),
      this.#hosts?.drain(spreadMs),
    ])
    this.#httpHosts?.stop()
    this.#signOn?.stop()
    await this.#admin?.close()
    await this.#http?.close()
    this.#schedules?.stop()
    this.#uploads?.stop()
    await Promise.all([
      this.#timers?.stop(timersMsMax),
      this.#mailer?.stop(),
      this.#notifier?.stop(),
      this.#queueSweep?.stop(sweepStopMsMax),
      this.#retention?.stop(sweepStopMsMax),
    ])
    await this.#partitions?.stop()
    await this.#accounts?.close()
    await this.#database?.close()
  }

  /** The store and the database open side by side: the embedded one takes most of a start. */
  async #openBoth(): Promise<[Partitions, Database]> {
    const opening = this.#openDatabase()
    const opened = await Promise.allSettled([this.#openPartitions(opening), opening])
    for (const result of opened) if (result.status === 'rejected') throw result.reason
    const [partitions, database] = opened.map(result => (result.status === 'fulfilled' ? result.value : null))
    return [partitions as Partitions, database as Database]
  }

  async #openPartitions(database: Promise<Database>): Promise<Partitions> {
    const { replication, seeds, storage } = this.#config
    const partitions = await openPartitions({
      storage:
        storage.backend === 'memdown'
          ? { backend: 'memdown' }
          : { backend: 'leveldown', path: this.#directory.entitiesPath, sync: storage.sync },
      nodeId: this.#directory.nodeId,
      ...(seeds.length > 0 && {
        cluster: async self => ({
          peers: await this.#openPeers(self),
          configurations: new DatabaseConfigurations(await database),
          factor: replication.factor,
          copiesMin: replication.copiesMin,
        }),
      }),
      clock: this.#clock,
      log: createLog('interval:partitions'),
      failurePoints: this.#failurePoints,
      // What cannot be written must not be acknowledged: the process ends, and starts again with what is on disk.
      onFatal: error => {
        if (error instanceof AppError && error.code === 'conflict') return this.#fail(error)
        this.#log.error('disk.failed', { error })
        this.#fail(new Error('The disk failed. Nothing more can be acknowledged.'))
      },
      onDamage: damage => this.#progress(`damaged data was set aside: ${damage.what} (${damage.reason})`),
    })
    this.#partitions = partitions
    const kinds = [
      transactionKind,
      pageKind,
      hostKind,
      httpHostKind,
      directoryKind,
      timerKind,
      queueItemKind,
      scheduleKind(),
      uploadKind,
      chunkKind,
      spaceKind,
    ]
    for (const kind of kinds) partitions.register(kind)
    return partitions
  }

  /** Before anything is made: a database takes seconds, and whoever mistyped a port wants to hear of that. */
  async #refuseTakenPorts(): Promise<void> {
    const { host, port, seeds, channel, forward } = this.#config
    await refuseTakenPort('port', host, port)
    if (seeds.length === 0) return
    const { listenHost } = await this.#channelHosts()
    await refuseTakenPort('channel:port', listenHost, channel.port)
    await refuseTakenPort('forward:port', listenHost, forward.port)
  }

  /** The address that other nodes are told, and the one this node listens on for them. */
  async #channelHosts(): Promise<{ channelHost: string; listenHost: string }> {
    const { channel, host, seeds } = this.#config
    const channelHost = channel.host ?? (await channelHostTowards(seeds))
    const isNarrow = isLoopback(channelHost) || host === '127.0.0.1'
    return { channelHost, listenHost: isNarrow ? channelHost : host }
  }

  async #openPeers(store: { readonly storeId: string; readonly boot: number }): Promise<Peers> {
    const { channel, forward, seeds } = this.#config
    const { channelHost, listenHost } = await this.#channelHosts()
    const peers = await createClusterPeers({
      identity: { nodeId: this.#directory.nodeId, ...store },
      secret: this.#directory.secrets.nodes,
      seeds,
      channelHost,
      listenHost,
      channelPort: channel.port,
      forwardPort: forward.port,
      clock: this.#clock,
      random: Math.random,
      log: createLog('interval:ring'),
      ...parseRingSwitches(process.env),
      onDuplicate: (known, other) =>
        this.#log.error('node.duplicate', { known: known.channelAddress, other: other.channelAddress }),
    })
    this.#peers = peers
    return peers
  }

  async #openDatabase(): Promise<Database> {
    const url = this.#config.database.url?.reveal()
    const database = await openDatabase({
      url,
      directory: this.#directory.path,
      log: createLog('interval:database'),
      onProgress: text => this.#progress(text),
    })
    this.#database = database
    await database.migrate()
    return database
  }

  #openAccounts(database: Database): AccountsService {
    const accounts = createAccounts({
      database,
      log: createLog('interval:accounts'),
      // Codes and expiries are shared with people's phones and with other nodes: they follow the wall clock.
      clock: { ...this.#clock, nowMs: Date.now },
      secret: this.#directory.secrets.cookie.reveal(),
      appUrl: this.#config.app.url ?? this.#configuredAddress(),
      signUp: this.#config.accounts.signup,
      operators: this.#config.accounts.operators,
      sendsMail: this.#mailTransport !== null,
      slack: this.#slack,
    })
    this.#accounts = accounts
    return accounts
  }

  #build(
    partitions: Partitions,
    accounts: AccountsService,
    uploads: Uploads,
  ): { hosts: Hosts; clients: Clients } {
    const directories: { current: Directories | null } = { current: null }
    const hosts = new Hosts({
      runtime: partitions,
      clock: this.#clock,
      log: createLog('interval:hosts'),
      directories: () => {
        if (!directories.current) throw new Error('directories are not built yet')
        return directories.current
      },
      foreignInstance: (instance, identity) => denied(accounts, identity, { what: 'instance', instance }),
      denied: (connection, run) => denied(accounts, connection.identity, { what: 'run', run }),
      dashboardUrl: connection => this.#dashboardUrl(connection),
      unknownTeams: (organizationId, slugs) => accounts.unknownTeams(organizationId, slugs),
      notify: async (identity, notification, freshId) => {
        const { transactionId, message, title, idempotencyKey } = notification
        const deliveries = (notification.deliveryInstructions ?? []).map(({ to, method }) => ({
          to,
          method: method ?? null,
        }))
        // A repeat under the same key is the same notification.
        const id =
          idempotencyKey == null
            ? freshId
            : createHash('sha256')
                .update(JSON.stringify([identity.organization.id, transactionId, idempotencyKey]))
                .digest('base64url')
        const content = { id, title: title ?? null, message, deliveries }
        // Hosts are held, not refused.
        return await this.#notify(identity.organization.id, transactionId, content, {})
      },
      declared: ({ identity }, definitions) => this.#recordDeclarations(accounts, identity, definitions),
    })
    directories.current = new Directories(partitions, instanceId => hosts.isConnected(instanceId))
    const clients = new Clients({
      runtime: partitions,
      accounts,
      hosts,
      directories: directories.current,
      uploads,
      clock: this.#clock,
      log: createLog('interval:clients'),
      build: this.#config.app.commit ?? packageVersion,
      isOutboxFull: () => partitions.outboxFull,
    })
    this.#hosts = hosts
    this.#clients = clients
    this.#queue = openQueue({
      runtime: partitions,
      accounts,
      directories: directories.current,
      clock: this.#clock,
    })
    const schedules = openSchedules({
      partitions,
      accounts,
      directories: directories.current,
      clock: this.#clock,
      origin: this.#config.app.url ?? this.#configuredAddress(),
    })
    this.#schedules = schedules
    partitions.onSignal('entity', (signal, key) => this.#askHost(partitions, key, signal.target as EntityKey))
    partitions.setHistoryWriter({
      write: async batch => {
        await schedules.writeHistory(batch)
        await accounts.writeHistory(batch.map(historyRow).filter(row => row !== null))
      },
    })
    return { hosts, clients }
  }

  /** A transaction asks whether its host is still expected, and is told. */
  #askHost(partitions: Partitions, from: EntityKey, target: EntityKey): void {
    const instanceId = target.slice('host:'.length)
    partitions
      .send<HostAsked>(target, { type: 'ask' })
      .then(reply => {
        const answer = reply.lost
          ? { type: 'host-lost', instanceId }
          : { type: 'host-alive', instanceId, attachedAtMs: reply.attachedAtMs }
        return partitions.send(from, answer)
      })
      .catch((error: unknown) => this.#log.debug('host.not-asked', { error }))
  }

  /** The database learns what hosts declare, for settings and history; nobody waits for it. */
  #recordDeclarations(
    accounts: AccountsService,
    { organization, environment, kind, user }: HostIdentity,
    definitions: HostDeclaration,
  ): void {
    const place = {
      organizationId: organization.id,
      environmentId: environment.id,
      developerId: kind === 'DEVELOPMENT' ? user.id : null,
    }
    const name = `${place.environmentId}.${place.developerId ?? ''}`
    const digest = digestOf(definitions)
    // Equal hosts declare the same: a hundred of them are written once.
    if (this.#declared.get(name) === digest) return
    if (this.#declared.size >= declaredMax) this.#declared.clear()
    this.#declared.set(name, digest)
    accounts.recordDeclarations(place, definitions.actions, definitions.pages).catch((error: unknown) => {
      this.#declared.delete(name)
      this.#log.warn('declarations.not-recorded', { error })
    })
  }

  /** Shows a notification to whoever watches the transaction it belongs to. */
  async #notify(
    organizationId: string,
    transactionId: string | null,
    notification: {
      readonly id: string
      readonly title: string | null
      readonly message: string
      readonly deliveries: readonly { readonly to: string; readonly method: 'EMAIL' | 'SLACK' | null }[]
    },
    options: { readonly deadlineMs?: number; readonly isRefusable?: boolean },
  ): Promise<boolean> {
    // Without a run there is nobody to show it to; it was heard.
    if (transactionId === null) return true
    const { id, title, message, deliveries } = notification
    const content = { type: 'notification', organizationId, id, title, message, deliveries }
    const reply = await this.#partitions?.send<{ accepted: boolean }>(
      `transaction:${transactionId}`,
      content,
      options,
    )
    return reply?.accepted ?? false
  }

  async #listen(
    partitions: Partitions,
    accounts: AccountsService,
    hosts: Hosts,
    clients: Clients,
  ): Promise<HttpServer> {
    const { port, host, app, http: proxy } = this.#config
    const metrics = new Metrics({
      partitions,
      peers: this.#peers ?? undefined,
      factor: this.#config.replication.factor,
      timers: this.#timers?.timers.firings,
      uploads: this.#uploads?.uploads,
      httpHostRuns: this.#httpHosts?.open,
      work: this.#work(accounts.database),
      report: () => this.#report(partitions),
    })
    this.#signOn = openSignOn({
      config: this.#config,
      appUrl: app.url ?? this.#configuredAddress(),
      secret: this.#directory.secrets.cookie.reveal(),
    })
    const http = createHttpServer({
      accounts,
      signOn: { ...this.#signOn.hooks, webhookSecret: this.#config.workos.webhookSecret },
      log: createLog('interval:http'),
      appUrl: app.url ?? undefined,
      trustedProxies: proxy.trustedProxies,
      ...(this.#ringStatus && { cluster: this.#ringStatus }),
      ...(this.#timers && {
        timers: {
          timers: this.#timers.timers,
          accounts,
          auth: this.#config.timers.auth,
        },
      }),
      metrics: {
        token: this.#config.metrics.token,
        text: () => metrics.text(),
      },
      refusal: () => this.#refusal(),
      health: { notReady: () => this.#notReady(), commit: app.commit ?? undefined },
      ...(this.#httpHosts && { httpHosts: this.#httpHosts.routes }),
      ...(this.#queue && { queue: this.#queue }),
      ...(this.#config.development.tools && {
        development: {
          disconnectAll: async () => {
            await Promise.all([clients.disconnect(), hosts.disconnect()])
          },
        },
      }),
      ...(this.#uploads && { uploads: this.#uploads.uploads }),
      ...(this.#schedules && { schedules: { schedules: this.#schedules } }),
      sdk: {
        onNotification: async ({ host: identity, transactionId, ...notification }) => {
          await this.#notify(identity.organization.id, transactionId, notification, refusable)
        },
        placeOfTransaction: id =>
          partitions.send<Located>(`transaction:${id}`, { type: 'locate' }, refusable),
      },
    })
    this.#http = http
    this.#sockets = new Sockets({
      http,
      accounts,
      hosts,
      clients,
      refusal: () => this.#refusal(),
      clock: this.#clock,
      log: createLog('interval:sockets'),
    })
    await new Promise<void>((resolve, reject) => {
      http.nodeServer.once('error', error => reject(cannotListen('port', host, port, error)))
      http.nodeServer.listen(port, host, resolve)
    })
    return http
  }

  #work({ urgent }: Database): WorkCounts | undefined {
    if (!this.#mailer || !this.#notifier) return undefined
    return {
      mails: this.#mailer.counters,
      notifications: this.#notifier.counters,
      waiting: async () => ({
        mails: await waitingMails(urgent, waitingCountMax),
        notifications: await waitingDeliveries(urgent, waitingCountMax),
      }),
    }
  }

  /** Nobody waits for it. */
  #warnWithoutOperators(accounts: AccountsService): void {
    const named = this.#config.accounts.operators
    const why = named === null ? 'the organization that was made first is deleted' : `there is no "${named}"`
    const setting =
      'accounts:operators, the slug of the organization whose administrators see the state of the nodes'
    accounts.hasOperators().then(
      some => some || this.#log.warn('operators.none', { why, setting }),
      (error: unknown) => this.#log.debug('operators.not-checked', { error }),
    )
  }

  /** Nobody waits for it. */
  #sweepUploads(): void {
    this.#uploads?.uploads.sweep().catch((error: unknown) => this.#log.debug('uploads.not-swept', { error }))
  }

  /** Why no work should be sent here. */
  #notReady(): string[] {
    if (this.#state === 'ready') return this.#partitions?.cluster?.notReady() ?? []
    return [this.#state === 'draining' ? 'draining' : 'starting']
  }

  /** Why whoever comes had better go elsewhere; undefined when they are served, or at least held. */
  #refusal(): AppError | undefined {
    return this.#partitions?.cluster?.hasJoined === false ? new AppError('not-joined') : undefined
  }

  async #openAdmin(accounts: AccountsService): Promise<void> {
    const path = this.#directory.adminSocketPath
    this.#admin = await listenAdmin(path, (operation, argument) =>
      this.#administrate(accounts, operation, argument),
    )
  }

  #administrate(accounts: AccountsService, operation: string, argument: unknown): Promise<unknown> {
    if (operation === 'ringStatus') return Promise.resolve(this.#ownStatus())
    if (operation === 'clusterStatus') {
      return this.#ringStatus?.status() ?? Promise.reject(new AppError('unavailable'))
    }
    if (operation === 'ringAdopt') {
      return this.#adopt(accounts, (argument as { acceptLoss?: unknown } | null)?.acceptLoss === true)
    }
    return runAdminOperation(operation, argument, {
      accounts,
      ...this.#httpHosts?.administration,
    })
  }

  /** What an operator decides about partitions that nobody can lead, in the audit log. */
  async #adopt(accounts: AccountsService, isDecided: boolean): Promise<unknown> {
    const cluster = this.#partitions?.cluster
    if (!cluster) throw new AppError('bad-request', 'A node alone has everything there is to have.')
    const adoptions = await cluster.adopt(isDecided)
    if (isDecided && adoptions.length > 0) {
      accounts.audit({
        name: 'ring.adopted',
        details: {
          node: this.#directory.nodeId,
          partitions: adoptions.map(({ partition }) => partition).join(),
          mayLose: adoptions.filter(({ mayLose }) => mayLose).length,
        },
      })
    }
    return adoptions
  }

  #buildRingStatus(partitions: Partitions, database: Database): RingStatus {
    return new RingStatus({
      partitions,
      peers: this.#peers ?? undefined,
      configurations: this.#peers ? new DatabaseConfigurations(database) : undefined,
      factor: this.#config.replication.factor,
      clock: this.#clock,
      report: () => this.#report(partitions),
    })
  }

  /** What this node says of itself to the others and to people. */
  #report(partitions: Partitions): NodeReport {
    const { boot, damages, outboxRows } = partitions.stats()
    return {
      version: packageVersion,
      boot,
      notReady: this.#notReady(),
      hosts: this.#hosts?.count ?? 0,
      clients: this.#clients?.count ?? 0,
      outboxRows,
      damages: damages.length,
      refusing: partitions.cluster?.refusing ?? 0,
      rewound: partitions.cluster?.rewound ?? 0,
    }
  }

  /** What this node knows by itself; `clusterStatus` asks the others too. */
  #ownStatus(): unknown {
    const cluster = this.#partitions?.cluster
    return {
      node: this.#directory.nodeId,
      members: cluster?.members() ?? [this.#directory.nodeId],
      notReady: this.#notReady(),
      partitions: cluster?.status() ?? [],
    }
  }

  /** Sockets of revoked keys and ended sessions close at once here, and within seconds elsewhere. */
  #checkRevocations(accounts: AccountsService, hosts: Hosts, clients: Clients): void {
    const close = (revoked: { keys: readonly string[]; sessions: readonly string[] }): void => {
      hosts.closeRevoked(revoked.keys as Parameters<Hosts['closeRevoked']>[0])
      clients.closeRevoked(revoked.sessions as Parameters<Clients['closeRevoked']>[0])
    }
    accounts.onRevoked(close)
    let refusedBefore = 0
    const again = (): void => {
      this.#revocations = this.#clock.setTimer(limits.revocationCheckMs, () => {
        accounts
          .revoked({ keys: hosts.openKeys(), sessions: clients.openSessions() })
          .then(close)
          .catch((error: unknown) => this.#log.debug('revocations.not-checked', { error }))
          .finally(() => this.#state !== 'draining' && again())
        const refused = this.#peers?.counters.refusedConnections ?? 0
        if (refused > refusedBefore) {
          // The log has said from where; here it is part of who was refused.
          const details = { what: 'node', count: refused - refusedBefore }
          accounts.audit({ name: 'access.denied', details })
          refusedBefore = refused
        }
      })
    }
    again()
  }

  async #introduce(accounts: AccountsService, http: HttpServer): Promise<string | null> {
    const address = this.#address(http)
    const isEmpty = () => accounts.setupNeeded()
    if (!this.#config.demo) {
      return (await isEmpty()) ? `Make the first account at ${address}/setup` : `Sign in at ${address}/login`
    }
    const admin = (operation: string, argument: unknown) => this.#administrate(accounts, operation, argument)
    const demo = await demoAccount(this.#directory.path, admin, isEmpty)
    if (!demo)
      return `Sign in at ${address}/login (this data directory has accounts already, so no demo was added)`
    this.#progress('connecting the demo host')
    // The socket of this very process, whatever stands before it.
    const endpoint = `${this.#boundAddress(http).replace('http', 'ws')}/websocket`
    this.#demo = await startDemoHost({ endpoint, key: demo.key, log: createLog('interval:demo') }).catch(
      (error: unknown) => {
        this.#log.warn('demo.failed', { error })
        return null
      },
    )
    return `Sign in at ${address}/login as ${demo.email} with the password ${demo.password}`
  }

  #dashboardUrl(connection: HostConnection): string {
    const { organization, environment, kind } = connection.identity
    const root = `${this.#config.app.url ?? this.#configuredAddress()}/dashboard/${organization.slug}`
    if (kind === 'DEVELOPMENT') return `${root}/develop/actions`
    return environment.slug === 'production' ? root : `${root}+${environment.slug}`
  }

  #configuredAddress(): string {
    const { host, port } = this.#config
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
    return `http://${name}:${port}`
  }

  #address(http: HttpServer): string {
    return this.#config.app.url ?? this.#boundAddress(http)
  }

  #boundAddress(http: HttpServer): string {
    const bound = http.nodeServer.address()
    const port = typeof bound === 'object' && bound !== null ? bound.port : this.#config.port
    return this.#configuredAddress().replace(/:\d+$/, `:${port}`)
  }
}

function denied(accounts: AccountsService, identity: HostIdentity, details: Record<string, string>): void {
  const { organization, user } = identity
  accounts.audit({ name: 'access.denied', organizationId: organization.id, userId: user.id, details })
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
