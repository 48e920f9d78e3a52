/**
 * How this node comes to lead partitions, and how it ceases to.
 *
 * It leads what a row gives it: after a hand-over, at its start when no other member has more, or by taking over from a
 * leader that died, when it asks every member it can reach where it stands and swaps the row to the highest. As a leader
 * it removes followers that died or hold something else, and waits for them until a row without them is known.
 *
 * Invariant: this node leads a partition only under a row that names it, with a position no member of the row before
 * exceeds. What can go wrong: two swap at once. The row of one comes through, the other reads it and follows. Or the
 * answer is lost: then the row is read, and whoever it names leads.
 *
 * Source: reconfiguration of PacificA (MSR-TR-2008-25, §2.3), with a fresh copy in place of log repair.
 */
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import type { Configuration, StoreId, WantedChange } from './configuration.js'
import type { CopyPosition } from './copies.js'
import type { Evidence } from './evidence.js'
import type { Followership } from './followership.js'
import { ledSince } from './nonce.js'
import type { PartitionHead } from './position.js'
import type { LeaderReplication } from './replication.js'
import type { RowTable } from './row-table.js'
import type { RulesOff } from './rules.js'
import type { Runtime } from './runtime.js'
import { type HeardPositions, successionOf } from './succession.js'

export interface LeadershipOptions {
  readonly self: StoreId
  readonly rows: RowTable
  readonly evidence: Evidence
  readonly followership: Followership
  readonly replication: LeaderReplication
  readonly runtime: Pick<Runtime, 'committer' | 'lead' | 'resign'>
  /** The store is being sent a copy of the partition. */
  isCopying(partition: PartitionId, store: StoreId): boolean
  isStopping(): boolean
  readonly rulesOff?: RulesOff | undefined
  readonly clock: Clock
  readonly log: Log
}

export class Leadership {
  readonly #options: LeadershipOptions
  /** Partitions that are about to be led. */
  readonly #beginning = new Set<PartitionId>()
  /** Partitions that were given up, and since when their rows said then that they were led. */
  readonly #givenUp = new Map<PartitionId, number>()
  /** Followers that hold something else than this leader, by partition and store: to be removed. */
  readonly #diverged = new Set<string>()

  constructor(options: LeadershipOptions) {
    this.#options = options
  }

  /** Partitions that are about to be led. */
  get beginningCount(): number {
    return this.#beginning.size
  }

  isBeginning(partition: PartitionId): boolean {
    return this.#beginning.has(partition)
  }

  // --- beginning and ending ---

  /** Rows that name this node, and that it does not lead yet: after a hand-over, a nomination or a lost answer. */
  async leadOwn(): Promise<void> {
    const { rows, runtime, self } = this.#options
    const named = rows
      .all()
      .filter(
        row =>
          row.owner === self &&
          !rows.isSetBack(row.partition) &&
          !runtime.committer.leads(row.partition) &&
          !this.#beginning.has(row.partition),
      )
    await this.#lead(named)
  }

  /**
   * Leads a partition anew, by a row of a higher epoch, and nothing meanwhile: what the others are told from the moment
   * they can see that row is said under it.
   */
  async leadAnew(
    { owner, partition, replicas, epoch: fromEpoch }: Configuration,
    epoch: number,
  ): Promise<void> {
    this.resign(new Set([partition]))
    this.#beginning.add(partition)
    try {
      await this.#options.rows.swap([{ partition, fromEpoch, epoch, owner, replicas }])
    } finally {
      this.#beginning.delete(partition)
    }
    await this.leadOwn()
  }

  /** Leads partitions under rows that name this node; what their followers have is found out afterwards. */
  async #lead(named: readonly Configuration[]): Promise<void> {
    const { followership, log, replication, rows, runtime } = this.#options
    const begun = named.filter(row => !this.#beginning.has(row.partition))
    if (begun.length === 0) return
    for (const row of begun) this.#beginning.add(row.partition)
    try {
      // Nothing is taken from an earlier leader from here on; what was taken before is part of the history.
      await followership.copies.settled(begun.map(row => row.partition))
      // Whoever starts after all have died must know that this row was there.
      const isNoted = rows.seen.save()
      isNoted.catch(() => undefined)
      const heads = new Map<PartitionId, PartitionHead>()
      const again = new Set<PartitionId>()
      for (const { epoch, nonce, partition, replicas } of begun) {
        if (rows.get(partition)?.epoch !== epoch || runtime.committer.leads(partition)) continue
        if (rows.isSetBack(partition)) continue
        const head = followership.copies.head(partition)
        heads.set(partition, { ...head, epoch: Math.max(epoch, head.epoch) })
        if (this.#givenUp.get(partition) === ledSince({ nonce })) again.add(partition)
        this.#givenUp.delete(partition)
        replication.lead(partition, replicas, head)
      }
      if (heads.size === 0) return
      await runtime.lead(heads, isNoted)
      log.info('partitions.led', { count: heads.size })
      // The rows do not show that they were given up in between.
      if (again.size > 0) rows.ledAgain(again)
    } finally {
      for (const row of begun) this.#beginning.delete(row.partition)
    }
    rows.wakeWaiters()
  }

  /** Leads these no more, since a newer row says so or may not be known. */
  resign(partitions: ReadonlySet<PartitionId>): void {
    const { followership, log, replication, rows, runtime } = this.#options
    const { committer } = runtime
    log.info('partitions.resigned', { count: partitions.size })
    for (const partition of partitions) {
      const row = rows.get(partition)
      if (row) this.#givenUp.set(partition, ledSince(row))
      // What is not on every follower is not part of the history that goes on: this copy is compared before it counts.
      followership.copies.set(partition, committer.writtenHead(partition))
      const onItsWay = committer.writingHead(partition)
      if (onItsWay) {
        followership.copies.expect(
          partition,
          onItsWay,
          committer.between(() => undefined),
        )
      }
      replication.resign(partition)
    }
    runtime.resign(partitions)
  }

  // --- succeeding ---

  /** At a start: keeps what no other member has more of, and names the one that has more. Leads nothing before `isTimed`. */
  async claim(isTimed: Promise<void>): Promise<void> {
    const { clock, evidence, rows, rulesOff, self } = this.#options
    const own = rows.all().filter(row => row.owner === self && !rows.isSetBack(row.partition))
    if (own.length === 0) return
    if (rulesOff?.raisedEpoch) {
      await isTimed
      return await this.#lead(own)
    }
    const others = new Set(own.flatMap(row => row.replicas).filter(store => !evidence.isReplaced(store)))
    const heard = new Map<StoreId, Map<PartitionId, CopyPosition>>()
    const untilMs = rulesOff?.asksAtStart ? clock.nowMs() : clock.nowMs() + clusterTimes.startMs
    while (heard.size < others.size && clock.nowMs() < untilMs) {
      await Promise.all(
        [...others].map(async store => {
          if (heard.has(store) || !evidence.isConnected(store)) return
          const partitions = own.filter(row => row.replicas.includes(store)).map(row => row.partition)
          try {
            const positions = await this.#options.followership.positionsAt(store, partitions)
            heard.set(store, new Map(positions.map(position => [position.partition, position])))
          } catch {
            // It is asked again until the time is over.
          }
        }),
      )
      if (heard.size === others.size) break
      await rows.changed(clusterTimes.stepMs)
      // Where all have left and start again, a member may be registered only after this node has looked.
      if (rows.isReadDue) await rows.read().catch(() => undefined)
    }
    await isTimed
    const mine = await this.#swapUntilKnown(() =>
      own
        .filter(row => rows.get(row.partition)?.epoch === row.epoch && !rows.isSetBack(row.partition))
        .map(row => this.#succession(row, this.#reached(heard))),
    )
    await this.#lead(mine.filter(row => row.owner === self))
  }

  /** Leaders that died: succeeded by the highest position among the members that can be reached. */
  async takeOver(): Promise<void> {
    const { evidence, followership, log, rows, self } = this.#options
    const left = rows
      .all()
      .filter(
        row =>
          row.owner !== self &&
          !rows.isSetBack(row.partition) &&
          row.replicas.includes(self) &&
          evidence.isDead(row.owner, clusterTimes.takeOverAfterMs),
      )
    if (left.length === 0) return
    await rows.read()
    const still = left.filter(
      row =>
        rows.get(row.partition)?.epoch === row.epoch &&
        evidence.isDead(row.owner, clusterTimes.takeOverAfterMs),
    )
    if (still.length === 0) return
    // What the old leader sent and what is not on disk yet counts.
    await followership.copies.settled(still.map(row => row.partition))
    const heard = new Map<StoreId, Map<PartitionId, CopyPosition>>()
    const others = new Set(still.flatMap(row => row.replicas).filter(store => store !== self))
    for (const store of others) {
      if (evidence.isDead(store, clusterTimes.takeOverAfterMs)) continue
      const partitions = still.filter(row => row.replicas.includes(store)).map(row => row.partition)
      const positions = await followership.positionsAt(store, partitions)
      heard.set(store, new Map(positions.map(position => [position.partition, position])))
    }
    // The questions have taken their time: this node may have been cut off from the others meanwhile.
    if (!evidence.mayChange()) return
    const mine = await rows.swap(still.map(row => this.#succession(row, heard)))
    log.info('partitions.taken-over', { asked: still.length, won: mine.length })
    await this.#lead(mine.filter(row => row.owner === self))
  }

  #succession(row: Configuration, heard: HeardPositions): WantedChange {
    const { followership, rulesOff, self } = this.#options
    return successionOf(row, self, followership.position(row.partition), heard, rulesOff)
  }

  /** Whoever has answered and died since leads nothing: the database may have been away for long. */
  #reached(heard: HeardPositions): HeardPositions {
    return new Map([...heard].filter(([store]) => this.#options.evidence.isConnected(store)))
  }

  async #swapUntilKnown(changes: () => WantedChange[]): Promise<Configuration[]> {
    const { isStopping, rows } = this.#options
    for (;;) {
      try {
        // They may have been read long ago, and a node have another store by now.
        await rows.read()
        return await rows.swap(changes())
      } catch {
        if (isStopping()) return []
        await rows.changed(clusterTimes.pollMs)
      }
    }
  }

  // --- losing followers ---

  /** A follower holds something else than this leader. Returns false when that is known. */
  noteDiverged(partition: PartitionId, store: StoreId): boolean {
    // Each of its answers says so again, until a row without it is known.
    const id = `${partition} ${store}`
    if (this.#diverged.has(id)) return false
    this.#diverged.add(id)
    this.#options.log.error('copy.diverged', { partition, store })
    return true
  }

  /** Followers that died: removed from all rows at once, and waited for until that is known. */
  async removeDead(): Promise<void> {
    const { evidence, replication, rows, rulesOff, self } = this.#options
    const changes: WantedChange[] = []
    const found: (readonly [PartitionId, StoreId])[] = []
    const led = rows.led()
    this.#forgetDiverged(led)
    for (const partition of led) {
      const row = rows.get(partition)
      if (!row || row.owner !== self) continue
      const isDead = (store: StoreId) =>
        evidence.isDead(store, clusterTimes.removeAfterMs) || this.#diverged.has(`${partition} ${store}`)
      const replicas = row.replicas.filter(store => !isDead(store))
      const dead = replication.following(partition).filter(isDead)
      for (const store of dead) found.push([partition, store])
      // Also one that joined by a change that was not answered: a row without it must be known before it is forgotten.
      const isNamed = dead.some(store => rows.mayName(partition, store))
      if (replicas.length < row.replicas.length || isNamed) {
        changes.push({ partition, epoch: row.epoch + 1, owner: self, replicas })
        if (!rulesOff?.removalKnown) continue
      }
      for (const store of dead) replication.drop(partition, store)
    }
    for (const row of await rows.swap(changes)) this.dropUnnamed(row.partition)
    for (const [partition, store] of found) replication.drop(partition, store)
    this.#forgetDiverged(led)
  }

  /** Followers that a row which is known leaves out. */
  dropUnnamed(partition: PartitionId): void {
    const { isCopying, replication, rows } = this.#options
    for (const store of replication.following(partition)) {
      if (!rows.mayName(partition, store) && !isCopying(partition, store)) replication.drop(partition, store)
    }
  }

  /** Those that follow no more: a copy made afresh is another one. */
  #forgetDiverged(led: readonly PartitionId[]): void {
    if (this.#diverged.size === 0) return
    const { replication } = this.#options
    const following = led.flatMap(partition =>
      replication.following(partition).map(store => `${partition} ${store}`),
    )
    const current = new Set(following)
    for (const id of this.#diverged) if (!current.has(id)) this.#diverged.delete(id)
  }
}
