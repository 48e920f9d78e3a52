/**
 * Moves partitions from this node to where they are placed, while they are worked on; all of them when it leaves.
 *
 * A hand-over holds new messages, waits until everything decided is on all copies and everything said has been heard,
 * and swaps the row: the follower leads from then on, and this store follows. Sessions come first: few are handed over at
 * once, one that does not drain in a moment is given up, and a partition does not go back to where it just came from.
 *
 * Invariant: a partition whose row may have changed answers nothing here until the row is known. What can go wrong: the
 * answer of the swap is lost. Then the partition is held until the rows were read.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import { heardMark, type StoreId } from './configuration.js'
import type { Evidence } from './evidence.js'
import type { Leadership } from './leadership.js'
import type { Places } from './places.js'
import type { LeaderReplication } from './replication.js'
import type { RowTable } from './row-table.js'
import type { Runtime } from './runtime.js'

export interface HandOversOptions {
  readonly self: { readonly nodeId: NodeId; readonly storeId: StoreId }
  readonly rows: RowTable
  readonly evidence: Evidence
  readonly places: Places
  readonly leadership: Leadership
  readonly replication: LeaderReplication
  readonly runtime: Pick<Runtime, 'committer' | 'hold' | 'release'>
  /** Resolves with true when nothing that this node has said as a partition's leader is on its way; false: something is. */
  readonly isHeard?: ((partition: PartitionId, msMax: number) => Promise<boolean>) | undefined
  isStopping(): boolean
  readonly clock: Clock
  readonly log: Log
}

/** What does not drain at once when its node leaves is given so long. */
const lastDrainMs = 1_000
/** After a hand-over that failed its partition is left alone for so long. */
const handAgainMs = 1_000
/** Between two questions for the rows while the database does not answer. */
const readAgainMs = 250
const handOversAtOnceMax = 2
/** Hand-overs of a node that is told to stop, which is not waited for for long. */
const leavesAtOnceMax = 4

export class HandOvers {
  readonly #options: HandOversOptions
  readonly #handing = new Set<PartitionId>()
  /** Partitions whose hand-over failed a moment ago. */
  readonly #handAgainAtMs = new Map<PartitionId, number>()

  constructor(options: HandOversOptions) {
    this.#options = options
  }

  /** Partitions whose members are being changed. */
  get count(): number {
    return this.#handing.size
  }

  isHanding(partition: PartitionId): boolean {
    return this.#handing.has(partition)
  }

  /** Hands partitions over to where they are placed, and lets surplus copies go. Does not wait for that. */
  moveToPlace(): void {
    const { clock, log, places, replication, rows, self } = this.#options
    const wantedOf = places.wanted()
    for (const partition of rows.led()) {
      const row = rows.get(partition)
      if (!row || row.owner !== self.storeId || this.#handing.has(partition)) continue
      // What waits for copies cannot drain.
      if (rows.fewSinceMs(partition) !== undefined) continue
      const wanted = wantedOf(partition)
      const [first] = wanted
      if (!first) continue
      const following = replication.following(partition)
      if (first === self.storeId) {
        this.#dropSurplus(partition, wanted)
        continue
      }
      const before = rows.before(partition)
      if (before?.owner === first && clock.nowMs() - before.untilMs < clusterTimes.restMs) continue
      if (this.#handing.size >= handOversAtOnceMax || !following.includes(first)) continue
      if ((this.#handAgainAtMs.get(partition) ?? 0) > clock.nowMs()) continue
      this.#handOver(partition, first, clusterTimes.drainMs).catch((error: unknown) => {
        this.#handAgainAtMs.set(partition, clock.nowMs() + handAgainMs)
        log.warn('hand-over.failed', { partition, error: error instanceof Error ? error.message : error })
      })
    }
  }

  /** Copies where none is wanted go when all that are wanted are there. */
  #dropSurplus(partition: PartitionId, wanted: readonly StoreId[]): void {
    const { leadership, rows, self } = this.#options
    const row = rows.get(partition)
    if (!row) return
    const owner = self.storeId
    const surplus = row.replicas.filter(store => !wanted.includes(store))
    const isFull = wanted.every(store => store === owner || row.replicas.includes(store))
    if (surplus.length === 0 || !isFull) return
    this.#handing.add(partition)
    const replicas = row.replicas.filter(store => wanted.includes(store))
    rows
      .swap([{ partition, epoch: row.epoch + 1, owner, replicas }])
      .then(() => leadership.dropUnnamed(partition))
      .catch(() => undefined)
      .finally(() => this.#handing.delete(partition))
  }

  /** Hands everything this node leads over to its followers, until `untilMs` at most. */
  async leave(untilMs: number): Promise<void> {
    const { clock, evidence, places, replication, rows, runtime, self } = this.#options
    const wantedOf = places.wanted(nodeId => nodeId !== self.nodeId)
    const tried = new Set<PartitionId>()
    const waiting = rows.led().filter(partition => replication.following(partition).length > 0)
    const worker = async () => {
      for (let next = waiting.pop(); next !== undefined && clock.nowMs() < untilMs; next = waiting.pop()) {
        const following = replication.following(next).filter(store => evidence.isConnected(store))
        const [wanted] = wantedOf(next)
        const to = wanted && following.includes(wanted) ? wanted : following[0]
        // What does not drain at once is given longer: this node does not stay.
        const drainMs = tried.has(next) ? lastDrainMs : clusterTimes.drainMs
        if (to && !this.#handing.has(next)) await this.#handOver(next, to, drainMs).catch(() => undefined)
        if (!runtime.committer.leads(next)) continue
        // It could not drain, or the rows could not be changed: perhaps in a moment.
        waiting.unshift(next)
        tried.add(next)
        await pause(clock, clusterTimes.stepMs)
      }
    }
    await Promise.all(Array.from({ length: leavesAtOnceMax }, worker))
  }

  /** Makes a follower the leader, without losing or refusing anything: messages wait meanwhile. */
  async #handOver(partition: PartitionId, to: StoreId, drainMs: number): Promise<void> {
    const { clock, isHeard, rows, runtime, self } = this.#options
    const row = rows.get(partition)
    if (!row || row.owner !== self.storeId || !row.replicas.includes(to)) return
    this.#handing.add(partition)
    let isAsked = false
    try {
      const untilMs = clock.nowMs() + drainMs
      await this.#drained(partition, drainMs)
      const leftMs = untilMs - clock.nowMs()
      const mark = (await isHeard?.(partition, leftMs)) ? heardMark : ''
      const replicas = [self.storeId, ...row.replicas.filter(store => store !== to)]
      isAsked = true
      const changed = await rows.swap([{ partition, epoch: row.epoch + 1, owner: to, replicas }], mark)
      if (changed.length === 0) runtime.release(partition)
    } catch (error) {
      // Whether it came through is seen when the rows are read; until then nobody is answered.
      if (isAsked) await this.#readAgain()
      // It may have changed in another way meanwhile.
      if (rows.get(partition)?.owner === self.storeId) runtime.release(partition)
      throw error
    } finally {
      this.#handing.delete(partition)
    }
  }

  /** Rejects when that takes too long. */
  async #drained(partition: PartitionId, drainMs: number): Promise<void> {
    const { clock, runtime } = this.#options
    await new Promise<void>((resolve, reject) => {
      const timer = clock.setTimer(drainMs, () => reject(new AppError('timeout')))
      runtime
        .hold(partition)
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }

  /** Resolves when the rows were read by a question that was asked after this; or when this node stops. */
  async #readAgain(): Promise<void> {
    const { clock, isStopping, rows } = this.#options
    while (!isStopping()) {
      const isRead = await rows.read().then(
        () => true,
        () => false,
      )
      if (isRead) return
      await pause(clock, readAgainMs)
    }
  }
}
