/**
 * The figures of one node for Prometheus: ring, partitions, commits, calls between nodes, sockets, event loop, process.
 *
 * Nothing is counted for this alone: at each scrape the rooms are asked for what they count anyway. The library is
 * loaded at the first scrape, and the event loop is measured from then on, so that a node that nobody scrapes pays
 * nothing. Each node has a registry of its own, so that many fit in one process.
 */
import type { Registry } from 'prom-client'
import type { NodeReport } from '../http/index.js'
import type { NodeId } from '../ids.js'
import type { Partitions } from '../partitions/index.js'
import { type PeerCondition, type PeerCounters, type Peers, partitionCount } from '../ring/index.js'
import type { Firings } from '../timers/index.js'
import type { Uploads } from '../uploads/index.js'

export interface MetricsOptions {
  readonly partitions: Partitions
  /** Undefined on a node alone. */
  readonly peers: Peers | undefined
  /** Copies wanted of each partition. */
  readonly factor: number
  readonly timers?: Firings | undefined
  readonly uploads?: Uploads | undefined
  /** Mails and notifications on their way. */
  readonly work?: WorkCounts | undefined
  /** Requests that are open at HTTP hosts. */
  readonly httpHostRuns?: (() => number) | undefined
  report(): NodeReport
}

export interface WorkCounts {
  /** Attempts of this node. */
  readonly mails: { readonly sent: number; readonly failed: number; readonly retried: number }
  readonly notifications: { readonly delivered: number; readonly failed: number; readonly retried: number }
  /** In the database, for whichever node. Rejects while it is away. */
  waiting(): Promise<{ readonly mails: number; readonly notifications: number }>
}

export interface MetricsText {
  readonly contentType: string
  readonly text: string
}

const prefix = 'interval_'

export class Metrics {
  readonly #options: MetricsOptions
  #registry: Promise<Registry> | undefined

  constructor(options: MetricsOptions) {
    this.#options = options
  }

  async text(): Promise<MetricsText> {
    this.#registry ??= build(this.#options)
    const registry = await this.#registry
    return { contentType: registry.contentType, text: await registry.metrics() }
  }
}

async function build(options: MetricsOptions): Promise<Registry> {
  const { collectDefaultMetrics, Counter, Gauge, Registry } = (await import('prom-client')).default
  const { partitions, peers } = options
  const register = new Registry()
  collectDefaultMetrics({ register })
  const registers = [register]

  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name: prefix + name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
  const labelled = <Label extends string>(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<Label, number>>,
  ): void => {
    new Gauge({
      name: prefix + name,
      help,
      labelNames: [label],
      registers,
      collect() {
        for (const [value, count] of Object.entries<number>(read())) this.set({ [label]: value }, count)
      },
    })
  }

  const { report } = options
  const { self } = partitions.ring
  new Gauge({ name: `${prefix}info`, help: 'Always 1', labelNames: ['node', 'version'], registers }).set(
    { node: self, version: report().version },
    1,
  )
  gauge('ready', '1 when work may be sent here', () => (report().notReady.length === 0 ? 1 : 0))

  gauge('ring_members', 'Nodes that gossip believes alive', () => partitions.ring.members().length)
  labelled('ring_peers', 'Other nodes by what is known of them first-hand', 'condition', () =>
    conditionsOf(partitions, peers),
  )

  const held = () => placesOf(options)
  gauge('partitions_served', 'Partitions this node leads and answers for', () => held().served)
  gauge('partitions_copied', 'Partitions of other nodes that are copied here', () => held().copied)
  gauge('partitions_degraded', 'Partitions served here with fewer copies than wanted', () => held().degraded)
  gauge(
    'partitions_refusing',
    'Partitions led here that refuse writes: their copies do not answer',
    () => report().refusing,
  )
  gauge('partitions_lag_commits', 'Commits the slowest copy lacks, of all served here', () => held().lag)

  const stats = () => partitions.stats()
  counter('commits_total', 'Commits', () => stats().commits)
  counter('commit_groups_total', 'Batches written; commits of one batch share it', () => stats().groups)
  gauge('commit_queue_bytes', 'Commits waiting for the disk', () => stats().commitQueueBytes)
  gauge('entities_in_memory', 'Live objects in memory', () => stats().entitiesInMemory)
  gauge('effects_in_memory', 'Effects not yet confirmed', () => stats().effectsInMemory)
  gauge('effects_in_flight', 'Effects being delivered', () => stats().effectsInFlight)
  gauge('alarms_in_memory', 'Alarms ahead, in memory', () => stats().alarmsInMemory)
  gauge('outbox_rows', 'History that is not in the database yet', () => stats().outboxRows)
  gauge('disk_free_bytes', 'Bytes free on the disk of the data directory; -1 where it does not say', () =>
    Number.isFinite(stats().freeBytes) ? stats().freeBytes : -1,
  )
  gauge('disk_full', '1 while nothing new is taken because the disk is nearly full', () =>
    stats().isFull ? 1 : 0,
  )
  gauge('damages', 'Things found damaged on the disk and set aside', () => stats().damages.length)

  const calls = (): PeerCounters => peers?.counters ?? noCalls
  counter('peer_messages_sent_total', 'Calls and replies given to other nodes', () => calls().sent)
  counter('peer_messages_received_total', 'Calls and replies taken from other nodes', () => calls().received)
  counter('peer_frames_total', 'Frames they were gathered in', () => calls().batches)
  counter(
    'peer_connections_refused_total',
    'Connections that did not prove the cluster secret',
    () => calls().refusedConnections,
  )
  counter('peer_resets_total', 'Connections between nodes lost after they stood', () => calls().resets)

  const { timers, uploads } = options
  if (uploads) {
    gauge('uploads_receiving', 'Files being received from browsers', () => uploads.open.receiving)
    gauge('uploads_sending', 'Files being sent to whoever reads them', () => uploads.open.sending)
    gauge(
      'uploads_questions',
      'Old files that wait to ask whether they are wanted',
      () => uploads.open.questions,
    )
  }
  if (timers) {
    counter('timers_called_total', 'Calls of timers that were taken', () => timers.counters.fired)
    counter('timers_failed_total', 'Calls of timers that were not taken', () => timers.counters.failed)
    gauge('timers_in_flight', 'Calls of timers being made', () => timers.inFlight)
  }

  const { httpHostRuns, work } = options
  if (work) {
    counter('mails_sent_total', 'Mails that a mail server has taken', () => work.mails.sent)
    counter('mails_failed_total', 'Mails given up, or refused for good', () => work.mails.failed)
    counter('mails_retried_total', 'Attempts to send a mail that are made again', () => work.mails.retried)
    const { notifications } = work
    counter(
      'notifications_delivered_total',
      'Notifications that Slack or the outbox has taken',
      () => notifications.delivered,
    )
    counter(
      'notifications_failed_total',
      'Notifications given up, or refused for good',
      () => notifications.failed,
    )
    counter('notifications_retried_total', 'Attempts that are made again', () => notifications.retried)
    new Gauge({
      name: `${prefix}waiting`,
      help: 'Rows that wait in the database for any node; absent while it is away',
      labelNames: ['for'],
      registers,
      async collect() {
        this.reset()
        const waiting = await work.waiting().catch(() => null)
        if (!waiting) return
        this.set({ for: 'mail' }, waiting.mails)
        this.set({ for: 'notification' }, waiting.notifications)
      },
    })
  }
  if (httpHostRuns) gauge('http_host_runs', 'Requests for runs that are open at HTTP hosts', httpHostRuns)

  labelled('sockets', 'Open websockets', 'kind', () => {
    const { hosts, clients } = report()
    return { host: hosts, browser: clients }
  })
  return register
}

const noCalls: PeerCounters = { sent: 0, received: 0, batches: 0, refusedConnections: 0, resets: 0 }

function conditionsOf(
  partitions: Partitions,
  peers: Peers | undefined,
): Record<PeerCondition['kind'], number> {
  const counts = { connected: 0, refused: 0, silent: 0 }
  if (!peers) return counts
  const others = new Set<NodeId>(peers.members().map(member => member.nodeId))
  // Nodes that gossip has given up, and that rows still name.
  for (const { owner, replicas } of partitions.cluster?.status() ?? []) {
    for (const node of [owner, ...replicas]) if (node !== null) others.add(node)
  }
  others.delete(partitions.ring.self)
  for (const node of others) counts[peers.condition(node).kind] += 1
  return counts
}

function placesOf({ partitions, factor }: MetricsOptions): {
  served: number
  copied: number
  degraded: number
  lag: number
} {
  const { cluster, ring } = partitions
  if (!cluster) return { served: partitionCount, copied: 0, degraded: 0, lag: 0 }
  const places = cluster.status()
  const served = places.filter(place => place.serving)
  return {
    served: served.length,
    copied: places.filter(place => place.replicas.includes(ring.self)).length,
    degraded: served.filter(place => place.replicas.length < factor - 1).length,
    lag: Math.max(0, ...served.map(place => place.lag)),
  }
}
