/**
 * Moves partitions from this node to where they are placed, while they are worked on; all of them when it leaves.
 *
 * A hand-over lets work on alarms come to its end first, then holds new messages, waits until everything decided is on all copies and everything said has been heard,
 * and swaps the row: the follower leads from then on, and this store follows. Sessions come first: a few are handed over
 * together, with a rest before the next; one that does not drain in a moment is given up, and a partition does not go
 * back to where it just came from.
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
import type { StoreId, WantedChange } from './configuration.js'
import type { Evidence } from './evidence.js'
import type { Leadership } from './leadership.js'
import type { Pace } from './pace.js'
import type { Places, Wanted } from './places.js'
import type { LeaderReplication } from './replication.js'
import type { RowTable } from './row-table.js'
import type { RulesOff } from './rules.js'
import type { Runtime } from './runtime.js'

export interface HandOversOptions {
  readonly self: { readonly nodeId: NodeId; readonly storeId: StoreId }
  /** Copies of each partition, the leader's included. */
  readonly factor: number
  readonly rows: RowTable
  readonly evidence: Evidence
  readonly places: Places
  readonly leadership: Leadership
  /** Of hand-overs to where partitions are placed. */
  readonly pace: Pace
  readonly replication: LeaderReplication
  readonly runtime: Pick<Runtime, 'committer' | 'hold' | 'quiesce' | 'release'>
  /** Resolves with true when nothing that this node has said as a partition's leader is on its way; false: something is. */
  readonly isHeard?: ((partition: PartitionId, msMax: number) => Promise<boolean>) | undefined
  isStopping(): boolean
  readonly rulesOff?: RulesOff | undefined
  readonly clock: Clock
  readonly log: Log
}

/** What does not drain at once when its node leaves is given so long. */
const lastDrainMs = 1_000
/** After a hand-over that failed its partition is left alone for so long. */
const handAgainMs = 1_000
/** Between two questions for the rows while the database does not answer. */
const readAgainMs = 250
/** Partitions that are handed over by one change of rows: each change is written and looked at by every node. */
const togetherMax = 4

interface HandOverTimes {
  /** What does not drain within so long stays. */
  readonly drainMs: number
  /** So long is waited for work on alarms. */
  readonly quiesceMs: number
}

export class HandOvers {
  readonly #options: HandOversOptions
  readonly #handing = new Set<PartitionId>()
  /** Partitions whose work on alarms comes to its end first: their copies may still change. */
  readonly #quiescing = new Set<PartitionId>()
  /** Partitions whose hand-over failed a moment ago. */
  readonly #handAgainAtMs = new Map<PartitionId, number>()

  constructor(options: HandOversOptions) {
    this.#options = options
  }

  /** Partitions whose members are being changed, or will be in a moment. */
  get count(): number {
    return this.#handing.size + this.#quiescing.size
  }

  isHanding(partition: PartitionId): boolean {
    return this.#handing.has(partition)
  }

  #isBusy(partition: PartitionId): boolean {
    return this.#handing.has(partition) || this.#quiescing.has(partition)
  }

  /** Hands partitions over to where they are placed, and lets surplus copies go. Does not wait for that. */
  moveToPlace(): void {
    const { factor, pace, places, rows, self } = this.#options
    const wantedOf = places.wanted()
    const surplus: WantedChange[] = []
    const moves: PartitionId[] = []
    let to: StoreId | undefined
    for (const partition of rows.led()) {
      const row = rows.get(partition)
      if (!row || row.owner !== self.storeId || this.#isBusy(partition)) continue
      // What waits for copies cannot drain.
      if (rows.fewSinceMs(partition) !== undefined) continue
      const wanted = wantedOf(partition)
      const [first] = wanted
      if (!first) continue
      if (first === self.storeId) {
        const replicas = row.replicas.filter(store => wanted.includes(store))
        const isFull = replicas.length + 1 >= factor
        if (isFull && replicas.length < row.replicas.length)
          surplus.push({ partition, epoch: row.epoch + 1, owner: self.storeId, replicas })
      } else if (pace.hasRoom && moves.length < togetherMax && this.#mayMove(partition, first)) {
        to ??= first
        if (first === to) moves.push(partition)
      }
    }
    if (surplus.length > 0) this.#drop(surplus)
    if (to && moves.length > 0) pace.add(this.#handOver(moves, to, clusterTimes, wantedOf))
  }

  #mayMove(partition: PartitionId, to: StoreId): boolean {
    const { clock, replication, rows } = this.#options
    const before = rows.before(partition)
    if (before?.owner === to && clock.nowMs() - before.untilMs < clusterTimes.restMs) return false
    if ((this.#handAgainAtMs.get(partition) ?? 0) > clock.nowMs()) return false
    return replication.following(partition).includes(to)
  }

  /** Copies where none is wanted go when there are as many as there should be without them. */
  #drop(changes: readonly WantedChange[]): void {
    const { leadership, rows } = this.#options
    for (const { partition } of changes) this.#handing.add(partition)
    rows
      .swap(changes)
      .then(() => {
        for (const { partition } of changes) leadership.dropUnnamed(partition)
      })
      .catch(() => undefined)
      .finally(() => {
        for (const { partition } of changes) this.#handing.delete(partition)
      })
  }

  /** Hands everything this node leads over to its followers, until `untilMs` at most. */
  async leave(untilMs: number): Promise<void> {
    const { clock, evidence, places, replication, rows, runtime, self } = this.#options
    const wantedOf = places.wanted(nodeId => nodeId !== self.nodeId)
    const targetOf = (partition: PartitionId): StoreId | undefined => {
      const following = replication.following(partition).filter(store => evidence.isConnected(store))
      const [wanted] = wantedOf(partition)
      return wanted && following.includes(wanted) ? wanted : following[0]
    }
    let waiting = rows.led().filter(partition => replication.following(partition).length > 0)
    // What does not drain at once is given longer: this node does not stay.
    let drainMs: number = clusterTimes.drainMs
    // Slow calls of one partition after the other would take all the time there is.
    const quietAtMs = clock.nowMs() + clusterTimes.quiesceMs
    while (waiting.length > 0 && clock.nowMs() < untilMs) {
      const byTarget = new Map<StoreId, PartitionId[]>()
      for (const partition of waiting) {
        const to = targetOf(partition)
        if (to && !this.#isBusy(partition)) byTarget.set(to, [...(byTarget.get(to) ?? []), partition])
      }
      const leave = async ([to, partitions]: [StoreId, PartitionId[]]) => {
        for (let at = 0; at < partitions.length && clock.nowMs() < untilMs; at += togetherMax) {
          const quiesceMs = Math.max(0, quietAtMs - clock.nowMs())
          await this.#handOver(partitions.slice(at, at + togetherMax), to, { drainMs, quiesceMs })
        }
      }
      await Promise.all([...byTarget].map(leave))
      waiting = waiting.filter(partition => runtime.committer.leads(partition))
      drainMs = lastDrainMs
      // They could not drain, or the rows could not be changed: perhaps in a moment.
      if (waiting.length > 0) await pause(clock, clusterTimes.stepMs)
    }
  }

  /**
   * Makes a follower the leader of some partitions at once, without losing or refusing anything: messages wait meanwhile.
   * Those that do not drain stay. This store goes on as a copy, unless there are all that `wantedOf` wants.
   */
  async #handOver(
    partitions: readonly PartitionId[],
    to: StoreId,
    { drainMs, quiesceMs }: HandOverTimes,
    wantedOf?: Wanted,
  ): Promise<void> {
    const { clock, log, rows, runtime, self } = this.#options
    for (const partition of partitions) this.#quiescing.add(partition)
    await Promise.all(partitions.map(partition => runtime.quiesce(partition, quiesceMs)))
    for (const partition of partitions) {
      this.#quiescing.delete(partition)
      this.#handing.add(partition)
    }
    const kept = new Set(partitions)
    try {
      const untilMs = clock.nowMs() + drainMs
      const drained = await Promise.all(
        partitions.map(partition => this.#drained(partition, to, untilMs, wantedOf)),
      )
      const changes = drained.filter(change => change !== undefined)
      // Those that stay need not wait for the others.
      const going = new Set(changes.map(({ partition }) => partition))
      for (const partition of partitions) if (!going.has(partition)) runtime.release(partition)
      for (const { partition } of await rows.swap(changes)) kept.delete(partition)
    } catch (error) {
      log.warn('hand-over.failed', { partitions, error: error instanceof Error ? error.message : error })
      // Whether they came through is seen when the rows are read; until then nobody is answered.
      await this.#readAgain()
    } finally {
      for (const partition of kept) {
        this.#handAgainAtMs.set(partition, clock.nowMs() + handAgainMs)
        // It may have changed in another way meanwhile.
        if (rows.get(partition)?.owner === self.storeId) runtime.release(partition)
      }
      for (const partition of partitions) this.#handing.delete(partition)
    }
  }

  /** Holds a partition until everything decided is on all copies. Resolves with its next row; undefined: it stays. */
  async #drained(
    partition: PartitionId,
    to: StoreId,
    untilMs: number,
    wantedOf?: Wanted,
  ): Promise<WantedChange | undefined> {
    const { clock, factor, isHeard, log, replication, rows, rulesOff, runtime, self } = this.#options
    const row = rows.get(partition)
    if (!row || row.owner !== self.storeId || !row.replicas.includes(to)) return undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = clock.setTimer(untilMs - clock.nowMs(), () => reject(new AppError('timeout')))
        const held = rulesOff?.drained ? Promise.resolve() : runtime.hold(partition)
        held.then(resolve, reject).finally(() => timer.cancel())
      })
    } catch (error) {
      log.info('hand-over.not-drained', { partition, error: error instanceof Error ? error.message : error })
      return undefined
    }
    // Without a commit since this node leads nothing has waited for what its followers have.
    if (!replication.isConfirmed(partition, to)) {
      log.info('hand-over.not-confirmed', { partition, to })
      return undefined
    }
    const heard = (await isHeard?.(partition, untilMs - clock.nowMs())) === true
    const members = [self.storeId, ...row.replicas]
    // With fewer than there should be, whoever is not wanted now was perhaps only not heard for a moment.
    const wanted = wantedOf?.(partition) ?? []
    const isFull = wanted.length >= factor && wanted.every(store => members.includes(store))
    const replicas = (isFull ? wanted : members).filter(store => store !== to)
    return { partition, epoch: row.epoch + 1, owner: to, replicas, isHeard: heard }
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
