/**
 * The entity runtime: brings entities to life, gives them one message at a time, commits what they decide, and lets
 * nothing out before it is on disk.
 *
 * Decisions are pipelined: the next message is decided on the state in memory while the commits before it are still
 * being written; replies, signals and effects leave in order as their commits arrive on disk. A decision that changes
 * nothing waits for those before it as well, since its reply may tell of them.
 *
 * Invariant: whatever left depends only on what is on disk. What can go wrong: a commit fails. Then the memory of every
 * entity of the partitions concerned is dropped, all who wait get `unavailable`, and the next message reads the disk.
 */
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import type { Limits } from '../limits.js'
import type { Log } from '../log.js'
import { PassingMap } from '../passing.js'
import { pause } from '../pause.js'
import { allPartitions, type PartitionId, partitionOf, type Ring } from '../ring/index.js'
import { type AlarmOutcome, Alarms } from './alarms.js'
import type { Clock, Timer } from './clock.js'
import { type CommitReplication, Committer } from './committer.js'
import type {
  AlarmWork,
  AlarmWorker,
  EffectDispatcher,
  ListedEntities,
  ListPage,
  SendOptions,
} from './contract.js'
import { Effects } from './effects.js'
import type { AlarmMessage, AnyEntityKind, Decision, Json, Signal } from './entity.js'
import { changeDigest, entityDefect, hasOnlyRecord, parseEntityHead } from './entity-head.js'
import type { FailurePoints } from './failure-points.js'
import { isEntityKey, kindOf, parsePartitionKey } from './keys.js'
import { LazyDrops } from './lazy-drops.js'
import { type Envelope, LiveEntity, type Release } from './live-entity.js'
import type { NodeTime } from './node-time.js'
import { type HistoryWriter, Outbox } from './outbox.js'
import { buildCommit, changesNothing } from './pending-commit.js'
import type { CommitOperation, PartitionHead } from './position.js'
import type { CheckedRecords, Store } from './store.js'

export interface RuntimeOptions {
  readonly store: Store
  readonly ring: Ring
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly log: Log
  readonly limits: Limits
  readonly sync: boolean
  readonly effectsInMemoryMax: number
  readonly alarmsInMemoryMax: number
  readonly failurePoints?: FailurePoints | undefined
  /** What time entities are told, and up to when alarms are due; `clock` when absent. */
  readonly time?: NodeTime | undefined
  /** Absent on a node without replicas. */
  readonly replication?: Replication | undefined
}

/** What the runtime needs of the replicas. */
export interface Replication extends CommitReplication {
  /**
   * Makes sure that this node still leads the partition: every replica says that it knows of no newer leader. Undefined
   * when there is nobody to ask; rejects with `unavailable` when this cannot be known.
   */
  confirm(partition: PartitionId): Promise<void> | undefined
  /** Why nothing can be acknowledged for the partition now and for a while; undefined when it can, or will in a moment. */
  refusal?(partition: PartitionId): AppError | undefined
}

/** How long a deletion is put off while the entity's history is not written. */
const postponedDeletionMs = 60_000
const sweepMs = 1_000
const confirmAgainMs = 50
/** How often a message that waits for long is looked at again. */
const lookAgainMs = 500
/** Least recently used entities looked at to find one that may leave. */
const evictionScanMax = 64
/** A page of a listing. */
const listedMax = 1_000
const listedBytesMax = 4 * 1024 * 1024
/** Records of an entity that is listed: its head and few more. */
const recordsEachMax = 2
const listMsMax = 10_000

interface ListMessage extends ListPage {
  readonly type: 'list'
}

const noSignals: readonly Signal[] = []
const noRecords: ReadonlyMap<string, Json> = new Map()

export class Runtime {
  readonly committer: Committer
  readonly effects: Effects
  readonly alarms: Alarms
  readonly outbox: Outbox
  readonly #options: RuntimeOptions
  readonly #kinds = new Map<string, AnyEntityKind>()
  readonly #signalHandlers = new Map<string, (signal: Signal, key: EntityKey) => void>()
  /** In the order of last use, to about a second. */
  readonly #live = new PassingMap<EntityKey, LiveEntity>()
  /** Have messages, and wait for the committer. */
  readonly #stalled = new Set<LiveEntity>()
  readonly #drops: LazyDrops
  /** Partitions this node leads and takes messages for. */
  readonly #served = new Set<PartitionId>()
  /** Partitions a commit of which failed, until the disk was read again. */
  readonly #failed = new Set<PartitionId>()
  #isStarted = false
  #sweep: Timer | undefined
  #isStopping = false
  #busyWaiters: (() => void)[] = []
  /** By partition: decisions that wait for the replicas to confirm this leader. */
  readonly #unconfirmed = new Map<PartitionId, number>()
  readonly #workers: AlarmWorker[] = []

  constructor(options: RuntimeOptions) {
    this.#options = options
    const { clock, failurePoints, limits, log, random, ring, store, sync } = options
    this.committer = new Committer({
      store,
      clock,
      log: log.child('committer'),
      sync,
      queueBytesMax: limits.commitQueueBytesMax,
      partitionBytesMax: limits.partitionQueueBytesMax,
      failurePoints,
      replication: options.replication,
      onFailure: partitions => this.#discard(partitions),
      onReady: () => this.#resume(),
    })
    const keys = (partition: PartitionId) => this.committer.keys(partition)
    this.#drops = new LazyDrops(clock, partition => {
      if (!this.committer.leads(partition)) this.#drops.take(partition)
      else if (this.committer.isReady) this.#commit(partition, [], 0, () => undefined)
    })
    const shared = { store, clock, keys, drops: this.#drops, failurePoints }
    this.effects = new Effects({
      ...shared,
      confirm: partition => options.replication?.confirm(partition),
      random,
      log: log.child('effects'),
      effectsMax: options.effectsInMemoryMax,
      isReleased: (partition, seq) => this.committer.isDone(partition, seq),
    })
    const { time } = options
    this.alarms = new Alarms({
      store,
      clock: time
        ? {
            nowMs: () => time.dueMs(),
            setTimer: (ms, fn) => clock.setTimer(ms, fn),
            soon: fn => clock.soon(fn),
          }
        : clock,
      keys,
      log: log.child('alarms'),
      alarmsMax: options.alarmsInMemoryMax,
      deliver: (partition, key, dueAtMs) => this.#deliverAlarm(partition, key, dueAtMs),
    })
    this.outbox = new Outbox({
      ...shared,
      leads: partition => this.committer.leads(partition),
      isAcked: (partition, seq) => this.committer.isDone(partition, seq),
      log: log.child('outbox'),
      rowsMax: limits.outboxRowsMax,
    })
    this.effects.register('entity', {
      dispatch: (effect, _key) => this.#dispatchToEntity(effect.target as EntityKey, effect.payload),
    })
    ring.onInbound(async request =>
      this.#served.has(request.partition)
        ? await (request.key.endsWith(':')
            ? this.#listHere(request.partition, request.key, request.message as ListMessage)
            : this.send(request.key as EntityKey, request.message, request))
        : await Promise.reject(new AppError('unavailable')),
    )
  }

  /** Leads all partitions, alone, with raised epochs: messages are taken from here on. */
  async open(): Promise<void> {
    const partitions = allPartitions()
    await this.committer.open(partitions)
    for (const partition of partitions) this.#served.add(partition)
  }

  /**
   * Leads partitions from these heads on, whose epochs are raised, and takes messages for them. Resolves as soon as it
   * does; stored effects and alarms follow.
   */
  async lead(heads: ReadonlyMap<PartitionId, PartitionHead>, isNoted?: Promise<void>): Promise<void> {
    const written = this.committer.lead(heads)
    // Messages wait for the slowest of these, not for all of them one after the other.
    await Promise.all([
      written,
      isNoted,
      this.outbox.start([...heads.keys()], partition => this.#isEmpty(partition)),
    ])
    // Another change of leadership may have come meanwhile.
    const partitions = [...heads.keys()].filter(partition => this.committer.leads(partition))
    for (const partition of partitions) if (this.committer.leads(partition)) this.#served.add(partition)
    if (this.#isStarted) void this.#begin(partitions.filter(partition => this.#served.has(partition)))
  }

  /** Leads these partitions no longer: their entities leave memory, and who waits for them gets `unavailable`. */
  resign(partitions: ReadonlySet<PartitionId>): void {
    for (const partition of partitions) this.#served.delete(partition)
    for (const entity of [...this.#live.values()]) {
      if (partitions.has(entity.partition)) this.#dismiss(entity, new AppError('unavailable'))
    }
    this.effects.end(partitions)
    this.alarms.end(partitions)
    this.outbox.end(partitions)
    for (const partition of partitions) {
      this.#drops.take(partition)
      for (const worker of this.#workers) worker.release(partition)
    }
    this.committer.resign(partitions)
  }

  /** Epoch under which this node leads the partition; 0 when it does not. */
  epochOf(partition: PartitionId): number {
    return this.committer.leads(partition) ? this.committer.head(partition).epoch : 0
  }

  serves(partition: PartitionId): boolean {
    return this.#served.has(partition)
  }

  /**
   * Begins no work on alarms of a partition while messages go on, before `hold`: resolves when what was begun is over and
   * reported, so that the next leader does not do it again; after `msMax` at the latest. `resign` or `release` ends it.
   */
  async quiesce(partition: PartitionId, msMax: number): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.quiesce(partition, msMax)))
  }

  /**
   * Holds messages for a partition without giving it up, for a planned change of leader: resolves when everything
   * decided so far is on disk and on the replicas. `resign` or `release` ends it.
   */
  async hold(partition: PartitionId): Promise<void> {
    this.#served.delete(partition)
    const isBusy = () => {
      for (const entity of this.#live.values())
        if (entity.partition === partition && entity.isBusy) return true
      return false
    }
    while (
      this.committer.unacked(partition).length > 0 ||
      isBusy() ||
      (this.#unconfirmed.get(partition) ?? 0) > 0
    ) {
      await Promise.race([
        this.committer.progress(),
        new Promise<void>(resolve => this.#busyWaiters.push(resolve)),
      ])
    }
    // What has just been let go is let out.
    await new Promise<void>(resolve => this.#options.clock.soon(resolve))
  }

  /** Takes messages again for a partition that was held. */
  release(partition: PartitionId): void {
    if (this.committer.leads(partition)) this.#served.add(partition)
    for (const worker of this.#workers) worker.release(partition)
  }

  #isEmpty(partition: PartitionId): boolean {
    // What was never committed to needs no reading.
    return this.committer.head(partition).seq === 0
  }

  /** Nothing stored leaves before the replicas are known to have it too: each partition begins when they do. */
  async #begin(partitions: readonly PartitionId[]): Promise<void> {
    const { clock, replication } = this.#options
    if (!replication) return await this.#beginNow(partitions)
    let ready: PartitionId[] = []
    const begin = async (partition: PartitionId): Promise<void> => {
      if (!(await this.#isConfirmed(partition, replication))) return
      ready.push(partition)
      if (ready.length > 1) return
      clock.soon(() => {
        const together = ready.filter(candidate => this.committer.leads(candidate))
        ready = []
        void this.#beginNow(together)
      })
    }
    await Promise.all(partitions.map(begin))
  }

  async #beginNow(partitions: readonly PartitionId[]): Promise<void> {
    const isEmpty = (partition: PartitionId) => this.#isEmpty(partition)
    const effects = this.effects.start(partitions, isEmpty)
    await this.alarms.start(partitions, isEmpty)
    await effects
  }

  /** Resolves with false when the partition is not led any more, or anew. */
  async #isConfirmed(partition: PartitionId, replication: Replication): Promise<boolean> {
    if (!this.committer.leads(partition)) return false
    const { epoch } = this.committer.head(partition)
    const isLed = () => this.committer.leads(partition) && this.committer.head(partition).epoch === epoch
    while (isLed()) {
      try {
        await replication.confirm(partition)
        break
      } catch {
        // It is asked again for as long as this node leads.
        await pause(this.#options.clock, confirmAgainMs)
      }
    }
    return isLed()
  }

  register(kind: AnyEntityKind): void {
    if (this.#kinds.has(kind.name)) throw new Error(`entity kind ${kind.name} is registered twice`)
    this.#kinds.set(kind.name, kind)
  }

  onSignal(to: string, handler: (signal: Signal, key: EntityKey) => void): void {
    this.#signalHandlers.set(to, handler)
  }

  onEffect(to: string, dispatcher: EffectDispatcher): void {
    this.effects.register(to, dispatcher)
  }

  setHistoryWriter(writer: HistoryWriter): void {
    this.outbox.register(writer)
  }

  /** Begins with what is stored: effects, history, alarms. */
  async start(): Promise<void> {
    this.#isStarted = true
    const served = [...this.#served]
    await this.outbox.start(served, partition => this.#isEmpty(partition))
    const begun = this.#begin(served.filter(partition => this.#served.has(partition)))
    // Replicas may be away for long.
    if (!this.#options.replication) await begun
    this.#sweepLater()
  }

  /** A page of the entities of one kind, wherever their partition is led. */
  async list(kind: string, partition: PartitionId, page: ListPage): Promise<ListedEntities> {
    const message: ListMessage = { type: 'list', ...page }
    // No entity has this key: what stands for all of a kind is the part before the colon.
    const key = `${kind}:`
    if (this.#served.has(partition)) return await this.#listHere(partition, key, message)
    const request = { partition, key, message, deadlineMs: listMsMax, isRefusable: true }
    return (await this.#options.ring.forward(request)) as ListedEntities
  }

  async #listHere(
    partition: PartitionId,
    key: string,
    { after, limit }: ListMessage,
  ): Promise<ListedEntities> {
    await this.#options.replication?.confirm(partition)
    const range = this.committer.keys(partition).kindRange(key.slice(0, -1), after)
    // One more than asked for: the last one may go on on the next page.
    const records = (Math.min(Math.max(1, limit), listedMax) + 1) * recordsEachMax
    const page = await this.#options.store.range({ ...range, limit: records, bytesMax: listedBytesMax })
    const entities = new Map<EntityKey, Record<string, Json>>()
    for (const record of page.records) {
      const parsed = parsePartitionKey(record.key)
      if (!parsed) continue
      const found = entities.get(parsed.key) ?? {}
      const only = parsed.rest === '' ? parseEntityHead(record.text)?.only : undefined
      if (only) found[only.name] = JSON.parse(only.text) as Json
      else if (parsed.rest !== '') found[parsed.rest] = JSON.parse(record.text) as Json
      entities.set(parsed.key, found)
    }
    const all = [...entities].map(([entity, found]) => ({ key: entity, records: found }))
    if (page.hasMore && all.length > 1) all.pop()
    return { entities: all, hasMore: page.hasMore }
  }

  /** Alarms of one kind whose work is done outside the entity. */
  alarmWork(kind: string, worker: AlarmWorker): AlarmWork {
    this.#workers.push(worker)
    this.alarms.hold(kind, () => worker.hasRoom())
    return {
      resume: () => this.alarms.resume(),
      confirm: async key => await this.#options.replication?.confirm(partitionOf(key)),
      again: (key, dueAtMs, afterMs) =>
        this.alarms.again({ partition: partitionOf(key), key, dueAtMs }, afterMs),
    }
  }

  get entitiesInMemory(): number {
    return this.#live.size
  }

  send<Reply>(key: EntityKey, message: { readonly type: string }, options: SendOptions = {}): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const { deadlineMs, isRefusable } = options
      const deliver = resolve as (reply: unknown) => void
      const refusal = isRefusable ? this.#refusal(key) : undefined
      if (refusal) {
        reject(refusal)
        return
      }
      if (deadlineMs === undefined && !isRefusable) {
        this.#post(key, { message, resolve: deliver, reject }, options)
        return
      }
      const watch = this.#watch(key, options, reject)
      const envelope: Envelope = {
        message,
        resolve(reply) {
          watch.cancel()
          deliver(reply)
        },
        reject(error) {
          watch.cancel()
          reject(error)
        },
      }
      this.#post(key, envelope, options)
    })
  }

  /** Rejects when the deadline has passed or, for what is refusable, when there is a reason to refuse it. */
  #watch(key: EntityKey, options: SendOptions, reject: (error: AppError) => void): Timer {
    const { clock, limits } = this.#options
    const { deadlineMs = Number.POSITIVE_INFINITY, isRefusable } = options
    let leftMs = deadlineMs
    let timer: Timer
    const wait = (ms: number): void => {
      const waitMs = Math.min(ms, leftMs)
      timer = clock.setTimer(waitMs, () => {
        leftMs -= waitMs
        const refusal = isRefusable ? this.#refusal(key) : undefined
        if (refusal) reject(refusal)
        else if (leftMs <= 0) reject(new AppError('timeout'))
        else wait(lookAgainMs)
      })
    }
    wait(isRefusable ? limits.copiesAwayMsMax : deadlineMs)
    return { cancel: () => timer.cancel() }
  }

  #refusal(key: EntityKey): AppError | undefined {
    const { replication } = this.#options
    if (!replication?.refusal) return undefined
    const partition = partitionOf(key)
    return this.#served.has(partition) ? replication.refusal(partition) : undefined
  }

  /** Waits for what is being done, `deadlineMs` at most; nothing new is taken. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true
    this.#sweep?.cancel()
    this.alarms.stop()
    const untilMs = this.#options.clock.nowMs() + deadlineMs
    await Promise.all([this.effects.stop(deadlineMs), this.outbox.stop(deadlineMs)])
    await this.#whenIdle(Math.max(0, untilMs - this.#options.clock.nowMs()))
    this.#drops.flush()
    this.#drops.stop()
    await this.#within(this.committer.idle(), Math.max(100, untilMs - this.#options.clock.nowMs()))
    this.committer.close()
    for (const entity of [...this.#live.values()]) this.#dismiss(entity, new AppError('draining'))
  }

  #post(key: EntityKey, envelope: Envelope, options: SendOptions): void {
    try {
      const known = this.#live.get(key)
      const entity =
        known && this.#served.has(known.partition) ? known : this.#activate(key, envelope, options)
      if (entity) this.#take(entity, envelope)
    } catch (error) {
      envelope.reject(error)
    }
  }

  #take(entity: LiveEntity, envelope: Envelope): void {
    if (this.#isStopping && entity.phase !== 'live') throw new AppError('draining')
    const { clock, limits } = this.#options
    if (entity.mailbox.length + entity.waitingReleases >= limits.mailboxMessagesMax)
      throw new AppError('queue-full')
    const nowMs = clock.nowMs()
    if (nowMs - entity.usedAtMs >= sweepMs) {
      entity.usedAtMs = nowMs
      this.#live.delete(entity.key)
      this.#live.set(entity.key, entity)
    }
    entity.mailbox.push(envelope)
    if (entity.phase === 'live') this.#pump(entity)
  }

  /** A new entity in memory; undefined when its owner is another node, which is then asked. */
  #activate(key: EntityKey, envelope: Envelope, options: SendOptions): LiveEntity | undefined {
    if (this.#isStopping) throw new AppError('draining')
    if (!isEntityKey(key)) throw new AppError('bad-request', 'This is not the key of anything.')
    const { clock, limits, ring } = this.#options
    const partition = partitionOf(key)
    if (!this.#served.has(partition)) {
      const { deadlineMs, isRefusable } = options
      const request = {
        partition,
        key,
        message: envelope.message,
        ...(deadlineMs !== undefined && { deadlineMs }),
        ...(isRefusable && { isRefusable }),
        ...(options.isNew && { isNew: true }),
      }
      ring.forward(request).then(envelope.resolve, envelope.reject)
      return undefined
    }
    const kind = this.#kinds.get(kindOf(key))
    if (!kind) throw new AppError('bad-request', 'This is not the key of anything.')
    if (this.#live.size >= limits.entitiesInMemoryMax) this.#evictOldest()
    if (this.#live.size >= 2 * limits.entitiesInMemoryMax) throw new AppError('queue-full')
    const entity = new LiveEntity(key, kind, partition, clock.nowMs())
    this.#live.set(key, entity)
    if (options.isNew) {
      entity.state = kind.load(noRecords, key)
      entity.phase = 'live'
    } else void this.#load(entity)
    return entity
  }

  async #load(entity: LiveEntity): Promise<void> {
    const { log, store } = this.#options
    try {
      const { records, damaged } = await this.#read(entity)
      if (entity.phase !== 'loading') return
      const values = new Map<string, Json>()
      let head: ReturnType<typeof parseEntityHead>
      for (const record of records) {
        const name = parsePartitionKey(record.key)?.rest ?? ''
        if (name === '') {
          head = parseEntityHead(record.text)
          entity.headCrc = record.crc
          entity.only = head?.only
          if (head?.only) values.set(head.only.name, JSON.parse(head.only.text) as Json)
        } else {
          entity.records.set(name, record.crc)
          values.set(name, JSON.parse(record.text) as Json)
        }
      }
      const defect =
        damaged.length > 0
          ? 'a record of it is damaged'
          : entityDefect(head, entity.records.values(), this.committer.head(entity.partition))
      if (defect !== undefined) {
        const what = { kind: 'entity', what: entity.key, reason: defect } as const
        await store.setAside(
          records.map(({ key, bytes }) => ({ key, bytes })),
          what,
        )
        if (entity.headCrc !== undefined && this.committer.isReady) {
          this.#commit(entity.partition, [], changeDigest(0, 0, entity.headCrc), () => undefined)
        }
        throw new AppError('damaged')
      }
      entity.digest = head?.digest ?? 0
      entity.alarmAtMs = head?.alarmAtMs ?? null
      entity.state = entity.kind.load(values, entity.key)
      entity.phase = 'live'
    } catch (error) {
      if (!(error instanceof AppError)) log.error('entity.not-loaded', { key: entity.key, error })
      if (entity.phase !== 'gone')
        this.#dismiss(entity, error instanceof AppError ? error : new AppError('internal'))
      return
    }
    this.#pump(entity)
  }

  /** All of an entity: what is known by name, by name. A head with the only record is all there is. */
  async #read({ key, kind, partition }: LiveEntity): Promise<CheckedRecords> {
    const { store } = this.#options
    const keys = this.committer.keys(partition)
    const { recordNames } = kind
    if (!recordNames) return await store.range(keys.entityRange(key))
    if (recordNames.length === 1) {
      const read = await store.some([keys.entityHead(key)])
      const [head] = read.records
      if (read.damaged.length > 0 || (head && hasOnlyRecord(head.text))) return read
    }
    return await store.some(['', ...recordNames].map(name => keys.record(key, name)))
  }

  #pump(entity: LiveEntity): void {
    while (entity.mailbox.length > 0 && entity.phase === 'live') {
      if (!this.committer.isReadyFor(entity.partition)) {
        this.#stalled.add(entity)
        return
      }
      const envelope = entity.mailbox.shift()
      if (envelope) this.#decide(entity, envelope)
    }
    if (!entity.isBusy) this.#settled(entity)
  }

  #decide(entity: LiveEntity, envelope: Envelope): void {
    const { alarmDueAtMs } = envelope
    const isAlarm = alarmDueAtMs !== undefined
    if (isAlarm && entity.alarmAtMs !== alarmDueAtMs) {
      // Moved or removed since. If it lies on disk without an entity that wants it, it goes; a commit on its way that
      // moves it takes it along.
      if (entity.pendingCommits === 0) {
        const keys = this.committer.keys(entity.partition)
        this.#drops.add(entity.partition, keys.alarm(alarmDueAtMs, entity.key))
      }
      this.#afterEarlier(entity, { envelope, reply: undefined, signals: noSignals })
      return
    }
    const { limits, log } = this.#options
    const keys = this.committer.keys(entity.partition)
    const before = this.committer.head(entity.partition)
    const position = { epoch: before.epoch, seq: before.seq + 1 }
    let decision: Decision<unknown, unknown>
    let commit: ReturnType<typeof buildCommit>
    try {
      decision = entity.kind.decide(entity.state, envelope.message, {
        key: entity.key,
        nowMs: this.nowMs(),
        historyPending: this.outbox.has(entity.key),
      })
      // An alarm that fired is over, unless the entity sets a new one.
      if (isAlarm && decision.alarmAtMs === undefined) decision = { ...decision, alarmAtMs: null }
      if (decision.state === null && (decision.history || this.outbox.has(entity.key))) {
        decision = this.#postponeDeletion(entity, decision)
      }
      if (changesNothing(decision, entity.alarmAtMs)) {
        entity.state = decision.state
        this.#afterEarlier(entity, { envelope, reply: decision.reply, signals: decision.signals })
        return
      }
      if (this.#options.store.isFull && entity.kind.brings?.(envelope.message))
        throw new AppError('storage-full')
      commit = buildCommit(entity, decision, keys, position, limits.entityRecordBytesMax)
    } catch (error) {
      if (!(error instanceof AppError)) {
        log.error('decision.failed', { key: entity.key, message: envelope.message.type, error })
      }
      const refusal = error instanceof AppError ? error : new AppError('internal')
      this.#afterEarlier(entity, { envelope, reply: undefined, refusal, signals: noSignals })
      return
    }
    const isDeleted = decision.state === null
    for (const [name, crc] of commit.recordChanges) {
      if (crc === undefined) entity.records.delete(name)
      else entity.records.set(name, crc)
    }
    const alarmChanged = commit.alarmAtMs !== entity.alarmAtMs
    entity.digest = commit.digest
    entity.only = commit.only
    entity.headCrc = commit.headCrc
    entity.alarmAtMs = commit.alarmAtMs
    entity.state = isDeleted ? entity.kind.load(new Map(), entity.key) : decision.state
    if (decision.history) this.outbox.mark(entity.partition, entity.key, position)
    const releases: Release[] = [{ envelope, reply: decision.reply, signals: decision.signals }]
    entity.lastReleases = releases
    entity.waitingReleases += 1
    entity.pendingCommits += 1
    const { dropEffects, history } = decision
    this.#commit(entity.partition, commit.operations, commit.digestChange, error => {
      entity.pendingCommits -= 1
      if (entity.lastReleases === releases) entity.lastReleases = undefined
      entity.waitingReleases -= releases.length
      if (error !== undefined) {
        for (const release of releases) {
          release.envelope.reject(new AppError('unavailable', undefined, { cause: error }))
        }
        return
      }
      if (alarmChanged) this.alarms.set(entity.partition, entity.key, commit.alarmAtMs)
      if (history) this.outbox.committed(entity.key, position)
      if (dropEffects?.length) this.effects.cancel(entity.partition, entity.key, dropEffects)
      if (commit.effects.length > 0) this.effects.add(entity.partition, entity.key, commit.effects)
      // What was decided before it leaves before it: replicas that took this commit know of no newer leader.
      if (entity.unconfirmed) this.#letOutConfirmed(entity)
      for (const release of releases) {
        if (!release.confirmed) this.#release(entity, release)
        else this.#releaseConfirmed(entity, release, release.confirmed)
      }
      if (!entity.isBusy) this.#settled(entity)
    })
    const { failurePoints } = this.#options
    if (failurePoints) void failurePoints.reach('decision.after-decide')
  }

  /** Node time in ms: what entities go by. */
  nowMs(): number {
    const { clock, time } = this.#options
    return time ? time.nowMs() : clock.nowMs()
  }

  /** The history of an entity is read from its records, so they stay until it is written. */
  #postponeDeletion(entity: LiveEntity, decision: Decision<unknown, unknown>): Decision<unknown, unknown> {
    const alarmAtMs = this.nowMs() + postponedDeletionMs
    const { put: _put, del: _del, ...rest } = decision
    return { ...rest, state: entity.state, alarmAtMs }
  }

  /** Lets something out as soon as everything decided before it is on disk. */
  #afterEarlier(entity: LiveEntity, release: Release): void {
    // Replicas may have confirmed the commits before it long ago, and follow another leader since: it asks for itself.
    const confirmed = this.#options.replication?.confirm(entity.partition)
    if (confirmed) this.#countUnconfirmed(entity.partition, confirmed)
    if (entity.lastReleases) {
      confirmed?.catch(() => undefined)
      entity.lastReleases.push(confirmed ? { ...release, confirmed } : release)
      entity.waitingReleases += 1
      return
    }
    if (!confirmed) {
      this.#release(entity, release)
      return
    }
    entity.waitingReleases += 1
    const settled = () => {
      entity.waitingReleases -= 1
    }
    confirmed.then(settled, settled)
    this.#releaseConfirmed(entity, release, confirmed)
  }

  /** Lets something out when this node is known to lead still, after what waits for that already. */
  #releaseConfirmed(entity: LiveEntity, release: Release, confirmed: Promise<void>): void {
    entity.unconfirmed ??= new Set()
    entity.unconfirmed.add(release)
    confirmed.then(
      () => this.#letOutConfirmed(entity, release),
      (error: unknown) => {
        if (entity.unconfirmed?.delete(release)) release.envelope.reject(error)
      },
    )
  }

  /** This node led when `last` was decided, or the last of all: nothing that was decided before waits any longer. */
  #letOutConfirmed(entity: LiveEntity, last?: Release): void {
    const { unconfirmed } = entity
    if (!unconfirmed || (last && !unconfirmed.has(last))) return
    for (const release of unconfirmed) {
      unconfirmed.delete(release)
      this.#release(entity, release)
      if (release === last) return
    }
  }

  #countUnconfirmed(partition: PartitionId, confirmed: Promise<void>): void {
    this.#unconfirmed.set(partition, (this.#unconfirmed.get(partition) ?? 0) + 1)
    const settled = (): void => {
      const left = (this.#unconfirmed.get(partition) ?? 1) - 1
      if (left > 0) this.#unconfirmed.set(partition, left)
      else this.#unconfirmed.delete(partition)
      this.#wakeBusyWaiters()
    }
    confirmed.then(settled, settled)
  }

  #release(entity: LiveEntity, release: Release): void {
    const { failurePoints } = this.#options
    if (!failurePoints) {
      this.#letOut(entity, release)
      return
    }
    const reached = failurePoints.reach('reply.before-send')
    if (reached) void reached.then(() => this.#letOut(entity, release))
    else this.#letOut(entity, release)
  }

  #letOut(entity: LiveEntity, release: Release): void {
    if (release.signals) {
      for (const signal of release.signals) {
        try {
          this.#signalHandlers.get(signal.to)?.(signal, entity.key)
        } catch (error) {
          this.#options.log.error('signal.failed', { key: entity.key, to: signal.to, error })
        }
      }
    }
    if (release.refusal !== undefined) release.envelope.reject(release.refusal)
    else release.envelope.resolve(release.reply)
  }

  /** Commits operations together with the partition's waiting drops, which go first. */
  #commit(
    partition: PartitionId,
    operations: readonly CommitOperation[],
    digestChange: number,
    done: (error?: unknown) => void,
  ): void {
    const drops = this.#drops.take(partition)
    if (!drops) {
      this.committer.enqueue(partition, operations, digestChange, done)
      return
    }
    const all: CommitOperation[] = [...drops].map(key => ({ type: 'del', key }))
    for (const operation of operations) all.push(operation)
    this.committer.enqueue(partition, all, digestChange, error => {
      if (error !== undefined) this.#restoreDrops(partition, drops)
      done(error)
    })
  }

  /**
   * A failed commit may be on disk, with a mark or an alarm that was put after its drop: only what stays true is
   * dropped again, and that is the confirmation of an effect.
   */
  #restoreDrops(partition: PartitionId, drops: ReadonlySet<string>): void {
    for (const key of drops) if (parsePartitionKey(key)?.class === 'f') this.#drops.add(partition, key)
  }

  async #deliverAlarm(partition: PartitionId, key: EntityKey, dueAtMs: number): Promise<AlarmOutcome> {
    if (!this.#kinds.has(kindOf(key)) || !this.#served.has(partition)) return 'again'
    const message: AlarmMessage = { type: 'alarm', dueAtMs }
    try {
      await new Promise<unknown>((resolve, reject) =>
        this.#post(key, { message, alarmDueAtMs: dueAtMs, resolve, reject }, {}),
      )
      return 'delivered'
    } catch (error) {
      this.#options.log.warn('alarm.refused', { key, partition, error })
      return error instanceof AppError && error.code === 'damaged' ? 'delivered' : 'again'
    }
  }

  async #dispatchToEntity(target: EntityKey, payload: Json): Promise<void> {
    try {
      await this.send(target, payload as { readonly type: string; readonly [name: string]: Json })
    } catch (error) {
      if (!(error instanceof AppError) || error.kind.retryable) throw error
      // It was heard and refused; saying it again would not change that.
      this.#options.log.warn('effect.refused', { target, code: error.code })
    }
  }

  /** Drops the memory of partitions whose commits failed; the disk may hold them or not. */
  #discard(partitions: ReadonlySet<PartitionId>): void {
    for (const entity of [...this.#live.values()]) {
      if (partitions.has(entity.partition)) this.#dismiss(entity, new AppError('unavailable'))
    }
    for (const partition of partitions) {
      this.outbox.failed(partition)
      this.effects.reload(partition)
      this.#failed.add(partition)
      this.alarms.reload(partition)
    }
  }

  #dismiss(entity: LiveEntity, error: AppError): void {
    entity.phase = 'gone'
    this.#stalled.delete(entity)
    if (this.#live.get(entity.key) === entity) this.#live.delete(entity.key)
    const waiting = entity.mailbox
    entity.mailbox = []
    for (const envelope of waiting) envelope.reject(error)
    this.#wakeBusyWaiters()
  }

  #resume(): void {
    const stalled = [...this.#stalled]
    this.#stalled.clear()
    // Only now is it known which of the failed commits are on disk after all.
    for (const partition of this.#failed) if (this.committer.leads(partition)) this.effects.reload(partition)
    this.#failed.clear()
    for (const entity of stalled) this.#pump(entity)
    this.#drops.flush()
  }

  #settled(entity: LiveEntity): void {
    // Nothing of a deleted or never created entity is worth keeping.
    const isOver = entity.headCrc === undefined || entity.kind.isDormant?.(entity.state, this.nowMs())
    if (isOver && entity.phase === 'live') {
      entity.phase = 'gone'
      this.#live.delete(entity.key)
    }
    this.#wakeBusyWaiters()
  }

  #sweepLater(): void {
    const { clock, limits } = this.#options
    this.#sweep = clock.setTimer(Math.min(sweepMs, Math.max(10, limits.entityIdleMs / 4)), () => {
      const idleSinceMs = clock.nowMs() - limits.entityIdleMs
      for (const entity of this.#live.values()) {
        if (entity.usedAtMs > idleSinceMs) break
        this.#evict(entity)
      }
      this.#sweepLater()
    })
  }

  #evictOldest(): void {
    let left = evictionScanMax
    for (const entity of this.#live.values()) {
      if (this.#evict(entity) || left === 0) return
      left -= 1
    }
  }

  #evict(entity: LiveEntity): boolean {
    if (entity.isBusy) return false
    entity.phase = 'gone'
    this.#live.delete(entity.key)
    return true
  }

  async #whenIdle(deadlineMs: number): Promise<void> {
    const untilMs = this.#options.clock.nowMs() + deadlineMs
    while ([...this.#live.values()].some(entity => entity.isBusy)) {
      const leftMs = untilMs - this.#options.clock.nowMs()
      if (leftMs <= 0) return
      await this.#within(new Promise<void>(resolve => this.#busyWaiters.push(resolve)), leftMs)
    }
  }

  async #within(work: Promise<void>, deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = this.#options.clock.setTimer(deadlineMs, resolve)
      work.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  #wakeBusyWaiters(): void {
    if (this.#busyWaiters.length === 0) return
    const waiters = this.#busyWaiters
    this.#busyWaiters = []
    for (const wake of waiters) wake()
  }
}
