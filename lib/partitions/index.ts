/**
 * Partitions: durable entities behind keys. See README.md beside this file.
 *
 * In a test, on memory alone:
 *
 *     const partitions = await openPartitions({ storage: { backend: 'memdown' } })
 *     partitions.register(kind)
 *     partitions.onEffect('host', { dispatch: async effect => … })
 *     await partitions.start()
 *     const reply = await partitions.send('counter:1', { type: 'add' })
 *     await partitions.stop()
 *
 * Register kinds, handlers and dispatchers between `openPartitions` and `start`; an effect whose dispatcher is
 * registered later waits for it. Give `clock: new VirtualClock()` to move time by hand.
 */
import { AppError } from '../errors.js'
import { type NodeId, newId } from '../ids.js'
import { limits as defaultLimits, type Limits } from '../limits.js'
import { createLog, type Log } from '../log.js'
import { type Peers, partitionOf, type place, type Ring, SingleNodeRing } from '../ring/index.js'
import { type Clock, systemClock } from './clock.js'
import { Cluster } from './cluster.js'
import type { Configurations } from './configuration.js'
import type { EntityRuntime } from './contract.js'
import { Courier } from './courier.js'
import type { Disk } from './disk.js'
import type { AnyEntityKind } from './entity.js'
import type { FailurePoints } from './failure-points.js'
import type { HistoryWriter } from './outbox.js'
import type { RulesOff } from './rules.js'
import { type Replication, Runtime } from './runtime.js'
import { type Damage, openStore, type Store } from './store.js'

export interface PartitionsOptions {
  readonly storage:
    | { readonly backend: 'leveldown'; readonly path: string; readonly sync?: boolean }
    | { readonly backend: 'memdown' }
  /** Absent on a node alone. `self` names the store that was opened. */
  readonly cluster?: (self: { readonly storeId: string; readonly boot: number }) => Promise<{
    readonly peers: Peers
    readonly configurations: Configurations
    /** Copies of each partition, the leader's included. */
    readonly factor: number
    /** Copies without which nothing is acknowledged; 1 by default. */
    readonly copiesMin?: number
    /** Takes the place of the placement: for tests. */
    readonly place?: typeof place
    readonly rulesOff?: RulesOff
  }>
  /** Id of a node alone. */
  readonly nodeId?: NodeId
  readonly clock?: Clock
  /** From 0 up to 1; spreads retries. */
  readonly random?: () => number
  readonly log?: Log
  readonly limits?: Partial<Limits>
  /**
   * Nothing may be acknowledged any more, the process should end: the disk failed, or (an `AppError` with `conflict`)
   * another process runs as this node. Throws it as uncaught when absent.
   */
  readonly onFatal?: (error: unknown) => void
  readonly onDamage?: (damage: Damage) => void
  readonly failurePoints?: FailurePoints | undefined
  /** Effects kept in memory; the others wait on disk. */
  readonly effectsInMemoryMax?: number
  /** Alarms kept in memory; later ones wait on disk. */
  readonly alarmsInMemoryMax?: number
  /** Takes the place of the cluster's replicas: for tests. */
  readonly replication?: Replication
  /** Takes the place of LevelDB: for tests that make it fail. */
  readonly disk?: Disk
}

export interface PartitionsStats {
  readonly storeId: string
  readonly boot: number
  readonly entitiesInMemory: number
  readonly effectsInMemory: number
  readonly effectsInFlight: number
  readonly alarmsInMemory: number
  readonly outboxRows: number
  readonly commits: number
  /** Batches written; commits / groups is how well they share. */
  readonly groups: number
  readonly commitQueueBytes: number
  readonly damages: readonly Damage[]
  /** Bytes free on the disk; infinite where it does not say. */
  readonly freeBytes: number
  /** Nothing new is taken, because the disk is nearly full. */
  readonly isFull: boolean
}

export interface Partitions extends EntityRuntime {
  readonly store: Store
  readonly ring: Ring
  /** Undefined on a node alone. */
  readonly cluster: Cluster | undefined
  readonly clock: Clock
  register(kind: AnyEntityKind): void
  /** Where history rows go; without one they wait. */
  setHistoryWriter(writer: HistoryWriter): void
  /** History rows that are not in Postgres yet. */
  readonly outboxRows: number
  /** True when the outbox has reached its limit: refuse new work. */
  readonly outboxFull: boolean
  /** Dispatches what is stored, delivers alarms, writes history. Call it once, after everything is registered. */
  start(): Promise<void>
  /** Hands what this node leads over to the others, `deadlineMs` (4,000) at most, and goes on as an edge. */
  leave(deadlineMs?: number): Promise<void>
  /** Leaves, takes nothing new, waits for what is being done, `deadlineMs` (5,000) at most, and closes the store. */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>
  stats(): PartitionsStats
}

/**
 * Opens the store and makes the runtime ready to take messages.
 * @throws Error when another process has the directory open, or a newer version wrote it; `conflict` when a node alone
 * is opened on what belongs to a cluster
 */
export async function openPartitions(options: PartitionsOptions): Promise<Partitions> {
  const clock = options.clock ?? systemClock()
  const log = options.log ?? createLog('interval:partitions')
  const { storage } = options
  const store = await openStore({
    backend: storage.backend,
    ...(storage.backend === 'leveldown' && { path: storage.path }),
    ...(options.disk && { disk: options.disk }),
    clock,
    log: log.child('store'),
    onFatal: options.onFatal ?? throwUncaught,
    freeBytesMin: { ...defaultLimits, ...options.limits }.diskFreeBytesMin,
    ...(options.onDamage && { onDamage: options.onDamage }),
  })
  if (!options.cluster && (await store.noted('cluster')) !== undefined) {
    await store.close()
    throw new AppError('conflict', notAloneMessage)
  }
  const joined = await options.cluster?.({ storeId: store.storeId, boot: store.boot })
  const cluster =
    joined &&
    new Cluster({
      ...joined,
      clock,
      log: log.child('cluster'),
      onFatal: options.onFatal ?? throwUncaught,
      onSilent: nodeId => courier.locations.lost(nodeId),
      onHeard: nodeId => courier.locations.found(nodeId),
      onNewLeaders: partitions => {
        joined.peers.abandonSilent()
        courier.newLeaders(partitions)
      },
      isHeard: (partition, msMax) => courier.isHeard(partition, msMax),
    })
  const ring = cluster ?? new SingleNodeRing(options.nodeId ?? newId())
  const runtime = new Runtime({
    store,
    ring,
    clock,
    random: options.random ?? Math.random,
    log,
    limits: { ...defaultLimits, ...options.limits },
    sync: storage.backend === 'leveldown' && storage.sync !== false,
    effectsInMemoryMax: options.effectsInMemoryMax ?? 10_000,
    alarmsInMemoryMax: options.alarmsInMemoryMax ?? 50_000,
    failurePoints: options.failurePoints,
    replication: cluster?.replication ?? options.replication,
    time: cluster?.time,
  })
  try {
    if (!cluster) await runtime.open()
  } catch (error) {
    await store.close()
    throw error
  }
  const courier = new Courier({
    runtime,
    clock,
    log: log.child('courier'),
    peers: joined?.peers,
    accepts: (partition, from, epoch) => cluster?.accepts(partition, from, epoch) ?? true,
  })
  let stopped: Promise<void> | undefined
  let left: Promise<void> | undefined
  const leave = (deadlineMs = 4_000): Promise<void> => {
    left ??= cluster?.leave(deadlineMs) ?? Promise.resolve()
    return left
  }
  return {
    store,
    ring,
    cluster,
    clock,
    nowMs: () => runtime.nowMs(),
    leads: key => runtime.serves(partitionOf(key)),
    send: (key, message, sendOptions) => runtime.send(key, message, sendOptions),
    list: (kind, partition, page) => runtime.list(kind, partition, page),
    redispatch: (to, target) => courier.redispatch(to, target),
    onSignal: (to, handler, reach) => courier.onSignal(to, handler, reach),
    onMissed: (to, handler) => courier.onMissed(to, handler),
    onEffect: (to, dispatcher, socketOf) => courier.onEffect(to, dispatcher, socketOf),
    locations: courier.locations,
    ask: (kind, name, body, deadlineMs) => courier.ask(kind, name, body, deadlineMs),
    askOthers: (kind, name, body, deadlineMs) => courier.askOthers(kind, name, body, deadlineMs),
    onAsk: (kind, answerer) => courier.onAsk(kind, answerer),
    alarmWork: (kind, worker) => runtime.alarmWork(kind, worker),
    register: kind => runtime.register(kind),
    setHistoryWriter: writer => runtime.setHistoryWriter(writer),
    get outboxRows() {
      return runtime.outbox.rows
    },
    get outboxFull() {
      return runtime.outbox.isFull
    },
    async start() {
      await cluster?.open(runtime, store)
      await runtime.start()
    },
    leave,
    stop({ deadlineMs = 5_000 } = {}) {
      stopped ??= (async () => {
        await leave(deadlineMs)
        await cluster?.forget()
        await runtime.stop(deadlineMs)
        courier.stop()
        await cluster?.stop()
      })().finally(() => store.close())
      return stopped
    },
    stats: () => ({
      storeId: store.storeId,
      boot: store.boot,
      entitiesInMemory: runtime.entitiesInMemory,
      effectsInMemory: runtime.effects.count,
      effectsInFlight: runtime.effects.inFlight,
      alarmsInMemory: runtime.alarms.count,
      outboxRows: runtime.outbox.rows,
      commits: runtime.committer.counters.commits,
      groups: runtime.committer.counters.groups,
      commitQueueBytes: runtime.committer.queueBytes,
      damages: store.damages,
      freeBytes: store.freeBytes,
      isFull: store.isFull,
    }),
  }
}

/** Alone it would go on with one copy, and what it wrote would be nobody's when it comes back. */
const notAloneMessage =
  'This data directory is one node of a cluster. Start it with `seeds` and the `database:url` of that cluster, or start a node alone with an empty directory and bring the entities over with `interval-server state export` and `state import`.'

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw new Error('nothing can be acknowledged any more', { cause: error })
  })
}

export type { Adoption } from './adoption.js'
export { type Clock, systemClock, type Timer, VirtualClock } from './clock.js'
export { Cluster, type PartitionStatus } from './cluster.js'
export { clusterTimes } from './cluster-times.js'
export type { Commit } from './committer.js'
export type { Change, Configuration, Configurations, RegisteredNode, StoreId } from './configuration.js'
export type {
  AlarmWork,
  AlarmWorker,
  EffectDispatcher,
  EntityRuntime,
  ListedEntities,
  SendOptions,
} from './contract.js'
export { measureFree } from './disk-space.js'
export type * from './entity.js'
export {
  type FailurePointName,
  type FailurePoints,
  failurePointNames,
  parseFailurePoints,
} from './failure-points.js'
export type { Locations, Reach } from './locations.js'
export { NewIds } from './new-ids.js'
export type { HistoryItem, HistoryWriter } from './outbox.js'
export type { Position } from './position.js'
export {
  exportState,
  importState,
  listEntities,
  openState,
  type StateDirectory,
  showEntity,
  verify,
} from './state-tools.js'
export type { Damage, Store } from './store.js'
export { partitionOf }
