/**
 * Brings copies of what this node leads to the stores that should have one, and names them in the rows.
 *
 * A store is sent a snapshot and what was written meanwhile, then every commit waits for it, and only then the row says
 * so. Copies that are missing are made many at a time; those that are only wanted elsewhere at a pace that leaves room
 * for sessions.
 *
 * Invariant: a row never names a store that lacks what was acknowledged. What can go wrong: a copy is cut short anywhere.
 * It is begun anew after a moment; one that has everything already is only named again.
 */
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import type { Committer } from './committer.js'
import type { StoreId, WantedChange } from './configuration.js'
import type { Evidence } from './evidence.js'
import type { Followership } from './followership.js'
import type { HandOvers } from './hand-overs.js'
import type { Leadership } from './leadership.js'
import type { Pace } from './pace.js'
import type { Places } from './places.js'
import type { LeaderReplication } from './replication.js'
import type { RowTable } from './row-table.js'
import type { RulesOff } from './rules.js'
import { sendSnapshot } from './snapshots.js'
import type { Store } from './store.js'
import type { StoreChannel } from './store-channel.js'

export interface CopierOptions {
  readonly self: StoreId
  /** Copies of each partition, the leader's included. */
  readonly factor: number
  readonly store: Store
  readonly committer: Committer
  readonly rows: RowTable
  readonly evidence: Evidence
  readonly places: Places
  readonly channel: StoreChannel
  readonly followership: Followership
  readonly leadership: Leadership
  readonly handOvers: HandOvers
  /** Of copies of partitions that have all they need, for another place. */
  readonly pace: Pace
  readonly replication: LeaderReplication
  /** Something has changed: the next step is due now. */
  wake(): void
  readonly rulesOff?: RulesOff | undefined
  readonly clock: Clock
  readonly log: Log
}

const copiesAtOnceMax = 16
/** Copies of partitions that have all they need, for another place. */
const movesTogetherMax = 4
/** After a copy that failed its partition and store are left alone for so long. */
const copyAgainMs = 200

export class Copier {
  readonly #options: CopierOptions
  /** By partition and store. */
  readonly #copying = new Map<string, Promise<void>>()
  /** Copies that rows are to name. */
  readonly #toName: { readonly partition: PartitionId; readonly store: StoreId }[] = []
  #naming: Promise<void> | undefined

  constructor(options: CopierOptions) {
    this.#options = options
  }

  /** Copies that are being made. */
  get count(): number {
    return this.#copying.size
  }

  isCopying(partition: PartitionId, store: StoreId): boolean {
    return this.#copying.has(`${partition} ${store}`)
  }

  /** Begins the copies that are missing, as many as may be under way at once. Does not wait for them. */
  copyWhereMissing(): void {
    const { evidence, factor, handOvers, pace, places, rows, rulesOff, self } = this.#options
    const wantedOf = places.wanted()
    const moves: Promise<void>[] = []
    for (const partition of rows.led()) {
      if (this.#copying.size >= copiesAtOnceMax) break
      const row = rows.get(partition)
      const isMove = row && row.replicas.length + 1 >= factor
      if (rulesOff?.restored && !isMove) continue
      if (isMove && (!pace.hasRoom || moves.length >= movesTogetherMax)) continue
      if (!row || row.owner !== self || handOvers.isHanding(partition)) continue
      const missing = wantedOf(partition).find(
        store =>
          store !== self &&
          !row.replicas.includes(store) &&
          !this.isCopying(partition, store) &&
          evidence.isConnected(store),
      )
      if (!missing || rows.isSwapping(partition)) continue
      const done = this.#copyTo(partition, missing)
      if (isMove) moves.push(done)
    }
    if (moves.length > 0) pace.add(Promise.all(moves))
  }

  #copyTo(partition: PartitionId, to: StoreId): Promise<void> {
    const { channel, clock, committer, log, replication, rulesOff, store, wake } = this.#options
    const id = `${partition} ${to}`
    // One that has everything, and may even be named by a change of which nothing was heard, is only named again.
    const isFollowing = replication.following(partition).includes(to)
    const copied = isFollowing
      ? replication.caughtUp(partition, to)
      : sendSnapshot(
          {
            store,
            committer,
            replication,
            rulesOff,
            call: (target, kind, body) => channel.call(target, kind, body),
          },
          partition,
          to,
        )
    const done = copied
      .then(() => this.#join(partition, to))
      .catch((error: unknown) => {
        log.warn('copy.failed', { partition, to, error: error instanceof Error ? error.message : error })
        // Begun anew, after a moment.
        const moment = pause(clock, copyAgainMs)
        if (!(error instanceof AppError && error.code === 'conflict')) return moment
        return this.#exceedPromise(partition, to)
          .catch(() => undefined)
          .then(() => moment)
      })
      .finally(() => {
        this.#copying.delete(id)
        wake()
      })
    this.#copying.set(id, done)
    return done
  }

  /** It has everything, and every commit waits for it: now the row says so. */
  async #join(partition: PartitionId, store: StoreId): Promise<void> {
    this.#toName.push({ partition, store })
    this.#naming ??= this.#nameAll().finally(() => {
      this.#toName.length = 0
      this.#naming = undefined
    })
    await this.#naming
  }

  /** One change of rows after the other, each with all that have come up meanwhile. */
  async #nameAll(): Promise<void> {
    const { replication, rows, self } = this.#options
    while (this.#toName.length > 0) {
      const changes = new Map<PartitionId, WantedChange>()
      for (const { partition, store } of this.#toName.splice(0)) {
        const row = rows.get(partition)
        if (row?.owner !== self || row.replicas.includes(store)) continue
        // Dropped while it waited: it begins anew.
        if (!replication.following(partition).includes(store)) continue
        const replicas = [...(changes.get(partition) ?? row).replicas, store]
        changes.set(partition, { partition, epoch: row.epoch + 1, owner: self, replicas })
      }
      // When another change comes first they go on to follow, and are named by the next.
      await rows.swap([...changes.values()])
    }
  }

  /**
   * A store that has promised more than the row says takes nothing from here: the row goes above that, and this node leads
   * by the new one. What is on its way is asked for again, as after any change of leadership.
   */
  async #exceedPromise(partition: PartitionId, store: StoreId): Promise<void> {
    const { committer, followership, handOvers, leadership, rows, self } = this.#options
    const [position] = await followership.positionsAt(store, [partition])
    const promised = position?.promisedEpoch ?? 0
    // Given up while Postgres is away, the partition would be led by nobody.
    await rows.read()
    const row = rows.get(partition)
    if (row?.owner !== self || !committer.leads(partition) || promised <= row.epoch) return
    if (rows.isSetBack(partition) || handOvers.isHanding(partition)) return
    await leadership.leadAnew(row, promised + 1)
  }
}
