/**
 * Group commit: many small commits of many partitions become few batches on disk. Commits of the partitions this node
 * leads, and those that other leaders send to its copies, share the batches.
 *
 * One batch is in flight at a time; the next takes everything that was queued meanwhile. It begins before a small one
 * that is done is let out, so that disk and processor work at once, and a few turns of the event loop after a large one,
 * so that it takes what has come in by then. With replicas, batches begin some milliseconds apart besides, the first
 * after a pause without that wait: each is also a message to every replica, a batch on its disk and an answer, and a
 * small one costs nearly as much as a large one. A commit is numbered and chained when it is queued, so its order is
 * fixed before the disk sees it; the head of each partition is written once per batch. Replicas are sent a commit when
 * its batch is written here, and may be slower or faster: a commit that is on disk waits for them without holding up
 * other partitions.
 *
 * Invariant: `done` is called without an error only when the commit and everything of its partition queued before it
 * are on disk (with `sync`, on the medium) and on every replica. What can go wrong: a batch fails. Whether it reached the
 * disk is unknown then, so everything queued fails with it, the partitions' memory must be dropped (`onFailure`, called
 * before any `done`), and nothing is accepted until the heads were read again and written with a higher epoch.
 */
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import type { DiskOperation } from './disk.js'
import type { FailurePoints } from './failure-points.js'
import { headKey, headRange, PartitionKeys, partitionsRange } from './keys.js'
import {
  type ChainHash,
  type CommitOperation,
  chainAfter,
  firstHead,
  formatHead,
  type PartitionHead,
  type Position,
  parseHead,
} from './position.js'
import { rebuildHead } from './rebuild-head.js'
import { sealRecord } from './record.js'
import type { Store } from './store.js'

/** A numbered batch of one partition, as a replica will receive it. */
export interface Commit {
  readonly partition: PartitionId
  readonly operations: readonly CommitOperation[]
  /** Number and hash of the commit that this one follows. */
  readonly previous: Position
  readonly previousChain: ChainHash
  /** The partition's head after this commit. */
  readonly head: PartitionHead
  readonly bytes: number
}

/** The replicas, as the committer sees them. */
export interface CommitReplication {
  /** Sends commits that are being written here; must not throw. */
  send(commits: readonly Commit[]): void
  /** The highest seq that every replica of the partition has; infinite when it has no replicas. */
  ackedSeq(partition: PartitionId): number
}

export interface CommitterOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** fsync before a commit counts as done. */
  readonly sync: boolean
  /** Bytes of commits that wait for disk or replicas beyond which `isReady` turns false. */
  readonly queueBytesMax: number
  /** The same for one partition: beyond it, it alone has to wait. As much as all when absent. */
  readonly partitionBytesMax?: number
  readonly failurePoints?: FailurePoints | undefined
  /** Brings commits to the replicas; without it there are none. */
  readonly replication?: CommitReplication | undefined
  /** Commits of these partitions failed; called before their `done`. */
  readonly onFailure: (partitions: ReadonlySet<PartitionId>, error: unknown) => void
  /** Commits are accepted again after `isReady` was false. */
  readonly onReady: () => void
}

interface QueuedCommit extends Commit {
  /** Undefined for a commit that came from the partition's leader: it is only written. */
  readonly state: PartitionState | undefined
  readonly done: (error?: unknown) => void
}

interface PartitionState {
  head: PartitionHead
  keys: PartitionKeys
  /** The head that is on disk. */
  writtenHead: PartitionHead
  /** On disk here, but not on every replica; in order. */
  unacked: QueuedCommit[]
  /** Bytes that wait for disk or replicas. */
  waitingBytes: number
  /** Somebody was told to wait. */
  wasFull: boolean
}

/** A batch larger than this keeps the ones behind it waiting too long. */
const groupBytesMax = 16 * 1024 * 1024
const recoveryDelayMs = 100
/** Between the beginnings of two batches, with replicas: each costs a write and a message on every one of them. */
const groupIntervalMs = 2
/** After one of so many commits more come, and fewer batches take them all: a sixth less of processor for each. */
const manyCommits = 8
const manyIntervalMs = 4
/**
 * And so many turns of the event loop pass after such a batch, before the next. In a busy process they take as long as
 * what came in takes to be decided, and in an idle one no time. More than these made nothing cheaper.
 */
const manyTurns = 2
const manyTurnsReplicated = 6
/** A process whose turns are this long has something else to do. */
const manyTurnsMsMax = 20
/** What an operation costs in memory beside its key and value, roughly. */
const operationOverheadBytes = 64

export class Committer {
  readonly #options: CommitterOptions
  readonly #partitions = new Map<PartitionId, PartitionState>()
  #queue: QueuedCommit[] = []
  /** The batch that is being written. */
  #writing: readonly QueuedCommit[] = []
  #queueBytes = 0
  #isWriting = false
  #isScheduled = false
  #groupAtMs = Number.NEGATIVE_INFINITY
  /** Of the batch that was begun last. */
  #groupCommits = 0
  #isRecovering = false
  #isClosed = false
  #wasFull = false
  #idleWaiters: (() => void)[] = []
  #commits = 0
  #groups = 0

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** Reads where every partition stands on this disk. Nothing may be committed before. */
  async readHeads(partitions: readonly PartitionId[]): Promise<ReadonlyMap<PartitionId, PartitionHead>> {
    const { store, log } = this.#options
    const { records } = await store.range(headRange)
    const isFounding = (await store.range({ ...partitionsRange, limit: 1 })).lastKey === undefined
    const stored = new Map(records.map(record => [record.key, parseHead(record.text)]))
    const heads = new Map<PartitionId, PartitionHead>()
    for (const partition of partitions) {
      let head = stored.get(headKey(partition))
      if (!head && isFounding) head = firstHead
      if (!head) {
        head = await rebuildHead(store, partition)
        if (head.epoch > 0)
          log.error('partition.head-rebuilt', { partition, epoch: head.epoch, seq: head.seq })
      }
      heads.set(partition, head)
    }
    return heads
  }

  /** Reads the heads of `partitions`, raises their epochs and leads them. */
  async open(partitions: readonly PartitionId[]): Promise<void> {
    const heads = await this.readHeads(partitions)
    await this.lead(new Map([...heads].map(([partition, head]) => [partition, raised(head)])))
  }

  /**
   * Leads partitions from these heads on. Each head's epoch must be higher than any this store has used for the
   * partition; it is on the medium when this resolves, and nothing is committed before.
   */
  async lead(heads: ReadonlyMap<PartitionId, PartitionHead>): Promise<void> {
    for (const [partition, head] of heads) {
      const keys = new PartitionKeys(partition, head.generation)
      this.#partitions.set(partition, {
        head,
        keys,
        writtenHead: head,
        unacked: [],
        waitingBytes: 0,
        wasFull: false,
      })
    }
    await this.#writeHeads([...heads.keys()])
  }

  /** Leads these partitions no longer: what waits for disk or replicas fails with `unavailable`. */
  resign(partitions: ReadonlySet<PartitionId>): void {
    const failed: QueuedCommit[] = []
    for (const partition of partitions) {
      const state = this.#partitions.get(partition)
      if (!state) continue
      this.#partitions.delete(partition)
      failed.push(...state.unacked)
    }
    this.#queue = this.#queue.filter(commit => {
      const stays = !commit.state || !partitions.has(commit.partition)
      if (!stays) failed.push(commit)
      return stays
    })
    for (const commit of failed) this.#finish(commit, new AppError('unavailable'))
    this.#announceReady()
    this.#wakeWaiters()
  }

  leads(partition: PartitionId): boolean {
    return this.#partitions.has(partition)
  }

  /** The replicas of a partition have more than before, or there are fewer of them. */
  acked(partition: PartitionId): void {
    const state = this.#partitions.get(partition)
    if (!state) return
    this.#release(state, this.#ackedSeq(partition))
    this.#announceReady()
    this.#wakeWaiters()
  }

  /** Commits of a led partition that not every replica has yet, in order: those on disk, then those still queued. */
  unacked(partition: PartitionId): readonly Commit[] {
    const state = this.#partitions.get(partition)
    if (!state) return []
    return [...state.unacked, ...this.#writing, ...this.#queue].filter(
      commit => commit.partition === partition && commit.state !== undefined,
    )
  }

  /**
   * Runs `look` while no batch is being written, so that what it opens sees exactly the commits up to
   * `writtenHead(partition)`.
   */
  async between<Result>(look: () => Result): Promise<Result> {
    while (this.#isWriting) await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
    return look()
  }

  /** True when a commit has been on disk and on every replica. It stays true whoever follows since. */
  isDone(partition: PartitionId, seq: number): boolean {
    const state = this.#partitions.get(partition)
    if (!state || seq > state.writtenHead.seq) return false
    const first = state.unacked[0]
    return !first || first.head.seq > seq
  }

  /** The head that is on disk; another may be on its way. */
  writtenHead(partition: PartitionId): PartitionHead {
    return this.#state(partition).writtenHead
  }

  /** The head that the batch being written brings; undefined when the partition is not in it. */
  writingHead(partition: PartitionId): PartitionHead | undefined {
    return this.#writing.findLast(commit => commit.partition === partition)?.head
  }

  /** Writes a commit that the partition's leader numbered, under this store's own generation. */
  copy(
    partition: PartitionId,
    operations: readonly CommitOperation[],
    head: PartitionHead,
    done: (error?: unknown) => void,
  ): void {
    const bytes = sizeOf(operations)
    const previous = { epoch: head.lastEpoch, seq: head.seq - 1 }
    const previousChain = head.chain
    this.#push({ partition, operations, previous, previousChain, head, bytes, state: undefined, done })
  }

  /** False while the queue is full or a failure is being repaired: commit nothing until `onReady`. */
  get isReady(): boolean {
    if (this.#queueBytes >= this.#options.queueBytesMax) {
      this.#wasFull = true
      return false
    }
    return !this.#isRecovering && !this.#isClosed
  }

  /** False while nothing may be committed to this partition, until `onReady`: others may have room. */
  isReadyFor(partition: PartitionId): boolean {
    if (!this.isReady) return false
    const state = this.#partitions.get(partition)
    const { partitionBytesMax = this.#options.queueBytesMax } = this.#options
    if (!state || state.waitingBytes < partitionBytesMax) return true
    state.wasFull = true
    return false
  }

  get queueBytes(): number {
    return this.#queueBytes
  }

  get counters(): { readonly commits: number; readonly groups: number } {
    return { commits: this.#commits, groups: this.#groups }
  }

  head(partition: PartitionId): PartitionHead {
    return this.#state(partition).head
  }

  keys(partition: PartitionId): PartitionKeys {
    return this.#state(partition).keys
  }

  /**
   * Queues a commit and numbers it. `digestChange` is what it adds to the partition's digest. Call only when `isReady`;
   * `done` is called exactly once, in the order of queueing.
   */
  enqueue(
    partition: PartitionId,
    operations: readonly CommitOperation[],
    digestChange: number,
    done: (error?: unknown) => void,
  ): void {
    const state = this.#state(partition)
    const before = state.head
    const previous = { epoch: before.lastEpoch, seq: before.seq }
    const { epoch } = before
    const seq = before.seq + 1
    const chain = chainAfter(before.chain, { epoch, seq }, operations)
    const digest = (before.digest + digestChange) >>> 0
    // Spelled out: building on a spread costs a microsecond a field, for every commit.
    state.head = { epoch, seq, lastEpoch: epoch, generation: before.generation, chain, digest }
    const bytes = sizeOf(operations)
    const previousChain = before.chain
    this.#push({ partition, operations, previous, previousChain, head: state.head, bytes, state, done })
  }

  /** Commits and resolves when it is on disk. Waits while the queue is full. Rejects with `unavailable`. */
  async commit(
    partition: PartitionId,
    operations: readonly CommitOperation[],
    digestChange = 0,
  ): Promise<void> {
    while (!this.isReady) {
      if (this.#isClosed) throw new AppError('unavailable')
      await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
    }
    await new Promise<void>((resolve, reject) => {
      this.enqueue(partition, operations, digestChange, error => {
        if (error === undefined) resolve()
        else reject(new AppError('unavailable', undefined, { cause: error }))
      })
    })
  }

  /** Resolves when anything was written or acknowledged since. */
  async progress(): Promise<void> {
    await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
  }

  /** Resolves when nothing is queued or being written. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#isWriting) {
      await new Promise<void>(resolve => this.#idleWaiters.push(resolve))
    }
  }

  /** Accepts nothing any more; what is queued is still written. */
  close(): void {
    this.#isClosed = true
    this.#wakeWaiters()
  }

  #push(commit: QueuedCommit): void {
    this.#queue.push(commit)
    this.#queueBytes += commit.bytes
    if (commit.state) commit.state.waitingBytes += commit.bytes
    this.#schedule()
  }

  #state(partition: PartitionId): PartitionState {
    const state = this.#partitions.get(partition)
    if (!state) throw new AppError('unavailable', 'This partition is not owned here.')
    return state
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isWriting || this.#isRecovering) return
    this.#isScheduled = true
    const { clock, replication } = this.#options
    const write = () => {
      this.#isScheduled = false
      if (!this.#isWriting && !this.#isRecovering && this.#queue.length > 0) void this.#writeGroup()
    }
    const isMany = this.#groupCommits >= manyCommits
    const turns = replication ? manyTurnsReplicated : manyTurns
    const writeLater = () => inTurns(turns, clock, clock.nowMs() + manyTurnsMsMax, write)
    const sinceMs = clock.nowMs() - this.#groupAtMs
    const intervalMs = isMany ? manyIntervalMs : groupIntervalMs
    const isTooSoon = replication && sinceMs >= 0 && sinceMs < intervalMs
    if (isTooSoon) clock.setTimer(intervalMs - sinceMs, isMany ? writeLater : write)
    else if (isMany) writeLater()
    // Everything that this turn of the event loop still decides goes into the same batch.
    else clock.soon(write)
  }

  async #writeGroup(): Promise<void> {
    this.#isWriting = true
    this.#groupAtMs = this.#options.clock.nowMs()
    const group = this.#takeGroup()
    this.#groupCommits = group.length
    this.#writing = group
    const { store, failurePoints, replication, sync } = this.#options
    try {
      if (failurePoints) await failurePoints.reach('commit.before-write')
      const written = store.write(this.#groupOperations(group), sync)
      if (replication) {
        const own = group.filter(commit => commit.state)
        if (own.length > 0) replication.send(own)
      }
      await written
      if (failurePoints) await failurePoints.reach('commit.after-write')
    } catch (error) {
      this.#fail(group, error)
      return
    }
    this.#isWriting = false
    this.#writing = []
    this.#groups += 1
    this.#commits += group.length
    const isSmall = !replication && group.length < manyCommits
    const isChained = isSmall && this.#queue.length > 0 && this.#idleWaiters.length === 0
    if (isChained) void this.#writeGroup()
    for (const commit of group) this.#written(commit)
    if (this.#queue.length > 0) this.#schedule()
    this.#announceReady()
    this.#wakeWaiters()
  }

  #written(commit: QueuedCommit): void {
    const { state } = commit
    if (!state) {
      this.#finish(commit)
      return
    }
    // Resigned meanwhile, and perhaps leading again: then this was another life.
    if (this.#partitions.get(commit.partition) !== state) {
      this.#finish(commit, new AppError('unavailable'))
      return
    }
    state.writtenHead = commit.head
    if (state.unacked.length === 0 && this.#ackedSeq(commit.partition) >= commit.head.seq)
      this.#finish(commit)
    else {
      state.unacked.push(commit)
      this.#release(state, this.#ackedSeq(commit.partition))
    }
  }

  #release(state: PartitionState, ackedSeq: number): void {
    let count = 0
    for (const commit of state.unacked) {
      if (commit.head.seq > ackedSeq) break
      count += 1
    }
    if (count > 0) for (const commit of state.unacked.splice(0, count)) this.#finish(commit)
  }

  #finish(commit: QueuedCommit, error?: unknown): void {
    this.#queueBytes -= commit.bytes
    const { state } = commit
    if (state) {
      const { partitionBytesMax = this.#options.queueBytesMax } = this.#options
      state.waitingBytes -= commit.bytes
      if (state.wasFull && state.waitingBytes < partitionBytesMax / 2) {
        state.wasFull = false
        this.#options.clock.soon(() => this.#options.onReady())
      }
    }
    commit.done(error)
  }

  #ackedSeq(partition: PartitionId): number {
    return this.#options.replication?.ackedSeq(partition) ?? Number.POSITIVE_INFINITY
  }

  #takeGroup(): QueuedCommit[] {
    let bytes = 0
    let count = 0
    for (const commit of this.#queue) {
      if (count > 0 && bytes + commit.bytes > groupBytesMax) break
      bytes += commit.bytes
      count += 1
    }
    if (count === this.#queue.length) {
      const all = this.#queue
      this.#queue = []
      return all
    }
    return this.#queue.splice(0, count)
  }

  #groupOperations(group: readonly QueuedCommit[]): DiskOperation[] {
    const operations: DiskOperation[] = []
    const heads = new Map<PartitionId, PartitionHead>()
    for (const commit of group) {
      for (const operation of commit.operations) operations.push(operation)
      heads.set(commit.partition, commit.head)
    }
    for (const [partition, head] of heads) operations.push(headOperation(partition, head))
    return operations
  }

  #fail(group: readonly QueuedCommit[], error: unknown): void {
    const failed = [...group, ...this.#queue]
    for (const state of this.#partitions.values()) failed.push(...state.unacked.splice(0))
    this.#queue = []
    this.#writing = []
    this.#isWriting = false
    this.#isRecovering = true
    const own = failed.filter(commit => commit.state)
    const partitions = new Set(own.map(commit => commit.partition))
    this.#options.log.error('commit.failed', { commits: failed.length, partitions: partitions.size, error })
    this.#options.onFailure(partitions, error)
    for (const commit of failed) this.#finish(commit, error)
    this.#wakeWaiters()
    void this.#recover([...partitions])
  }

  async #recover(partitions: readonly PartitionId[]): Promise<void> {
    for (let isRecovered = false; !isRecovered; ) {
      if (this.#isClosed) return
      try {
        await this.#reread(partitions)
        isRecovered = true
      } catch (error) {
        this.#options.log.warn('commit.recovery-failed', { error })
        await pause(this.#options.clock, recoveryDelayMs)
      }
    }
    this.#isRecovering = false
    this.#wasFull = false
    this.#options.onReady()
    // Copies have been queued meanwhile.
    if (this.#queue.length > 0) this.#schedule()
    this.#wakeWaiters()
  }

  async #reread(partitions: readonly PartitionId[]): Promise<void> {
    for (const partition of partitions) {
      const state = this.#partitions.get(partition)
      if (!state) continue
      const record = await this.#options.store.get(headKey(partition))
      const head = record ? parseHead(record.text) : firstHead
      // The failed numbers may have been written or seen by a replica: they are never used again.
      const epoch = Math.max(head.epoch, state.head.epoch) + 1
      state.head = { ...head, epoch }
      state.writtenHead = state.head
      state.keys = new PartitionKeys(partition, head.generation)
    }
    await this.#writeHeads(partitions.filter(partition => this.#partitions.has(partition)))
  }

  async #writeHeads(partitions: readonly PartitionId[]): Promise<void> {
    await this.#options.store.write(
      partitions.map(partition => headOperation(partition, this.#state(partition).head)),
      true,
    )
  }

  #announceReady(): void {
    if (!this.#wasFull || this.#queueBytes >= this.#options.queueBytesMax / 2) return
    this.#wasFull = false
    this.#options.onReady()
  }

  #wakeWaiters(): void {
    if (this.#idleWaiters.length === 0) return
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const wake of waiters) wake()
  }
}

function raised(head: PartitionHead): PartitionHead {
  return { ...head, epoch: head.epoch + 1 }
}

function headOperation(partition: PartitionId, head: PartitionHead): DiskOperation {
  const key = headKey(partition)
  return { type: 'put', key, value: sealRecord(key, formatHead(head)).bytes }
}

/** Runs `work` that many turns of the event loop later, or at the end of one when this time has come. */
function inTurns(turns: number, clock: Clock, untilMs: number, work: () => void): void {
  const isLast = turns === 0 || clock.nowMs() >= untilMs
  clock.soon(isLast ? work : () => inTurns(turns - 1, clock, untilMs, work))
}

function sizeOf(operations: readonly CommitOperation[]): number {
  let bytes = operationOverheadBytes
  for (const operation of operations) {
    bytes += operation.key.length + operationOverheadBytes
    if (operation.type === 'put') bytes += operation.value.length
  }
  return bytes
}
