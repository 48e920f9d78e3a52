/**
 * What this node does and says as a holder of copies: takes what their leaders send, and tells where they stand.
 *
 * Whoever sends commits or asks whether it still leads is answered by the newest that is known here, from the rows and
 * from what this store has promised to an earlier leader; the promise is on the disk, so a restart forgets none. Where a
 * copy stands is said only when what was taken is written.
 *
 * Invariant: after an epoch was promised nothing of a lower one is taken. What can go wrong: somebody leads by a row that
 * is not known here yet. He is believed when his epoch is above everything known, and the rows are read.
 */
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { Member, PartitionId } from '../ring/index.js'
import { clusterTimes } from './cluster-times.js'
import type { Committer } from './committer.js'
import type { StoreId } from './configuration.js'
import { Copies, type CopyPosition, decodePage } from './copies.js'
import type { PartitionHead } from './position.js'
import type { ConfirmAnswer, ConfirmQuestion } from './replication.js'
import type { RowTable } from './row-table.js'
import type { RulesOff } from './rules.js'
import { snapshotIdBytes } from './snapshots.js'
import type { Store } from './store.js'
import type { StoreChannel } from './store-channel.js'

export interface FollowershipOptions {
  readonly store: Store
  readonly committer: Committer
  readonly rows: RowTable
  readonly channel: StoreChannel
  /** This node is about to lead the partition: it takes nothing from others any more. */
  isBeginning(partition: PartitionId): boolean
  readonly rulesOff?: RulesOff | undefined
  readonly log: Log
}

const empty = Buffer.alloc(0)

export class Followership {
  readonly #options: FollowershipOptions
  readonly #copies: Copies
  #isOpen = false

  constructor(options: FollowershipOptions) {
    this.#options = options
    this.#copies = new Copies({
      store: options.store,
      committer: options.committer,
      log: options.log.child('copies'),
      rulesOff: options.rulesOff,
      accepts: (partition, from, epoch) => this.accepts(partition, from, epoch),
    })
    const { channel } = options
    channel.onCall('append', (from, body) => this.copies.append(from.storeId, body))
    channel.onCall('confirm', (from, body) => this.#confirm(from, body))
    channel.onCall('positions', (_from, body) => this.#positions(body))
    channel.onCall('snapshot-begin', async (from, body) => {
      const { partition, asked, epoch } = JSON.parse(body.toString()) as {
        partition: PartitionId
        asked: string
        epoch: number
      }
      return Buffer.from(await this.copies.beginSnapshot(partition, asked, from.storeId, epoch))
    })
    channel.onCall('snapshot-page', async (_from, body) => {
      const id = body.toString('utf8', 2, 2 + snapshotIdBytes)
      const entries = decodePage(body.subarray(2 + snapshotIdBytes))
      await this.copies.takePage(body.readUInt16BE(0) as PartitionId, id, entries)
      return empty
    })
    channel.onCall('snapshot-end', async (from, body) => {
      const { partition, id, position } = JSON.parse(body.toString()) as {
        partition: PartitionId
        id: string
        position: Omit<PartitionHead, 'generation'>
      }
      await this.copies.endSnapshot(partition, id, from.storeId, position)
      return empty
    })
  }

  /** Takes over what the store holds, and removes what is left of copies that were cut short. Call it before `open`. */
  load(heads: ReadonlyMap<PartitionId, PartitionHead>): void {
    this.#copies.load(heads)
    this.#copies
      .sweep()
      .catch((error: unknown) => this.#options.log.warn('copy.leftovers-not-removed', { error }))
  }

  /**
   * From now on the others are answered. Nothing is taken before the store says whose it is, or a crash would leave
   * entities of an unknown cluster.
   */
  open(): void {
    this.#isOpen = true
  }

  /** Throws `unavailable` before `open`. */
  get copies(): Copies {
    if (!this.#isOpen) throw new AppError('unavailable')
    return this.#copies
  }

  /** The highest epoch known of a partition, and whether `from` leads it by that when it says that it does under `epoch`. */
  accepts(partition: PartitionId, from: string, epoch: number): { ok: boolean; epoch: number } {
    const { isBeginning, rows, rulesOff } = this.#options
    const row = rows.get(partition)
    const promised = this.copies.head(partition).epoch
    const known = Math.max(row?.epoch ?? 0, promised)
    // Also of one that leads by old rows: what this copy holds may be all there is of what came after them.
    if (isBeginning(partition) || rows.isSetBack(partition)) return { ok: false, epoch: known }
    if (rulesOff?.epochs) return { ok: true, epoch: known }
    const isLeader = row === undefined || row.owner === from
    // What this store has promised an epoch, it remembers across its restarts, also before it has read any row.
    const isNewest = isLeader ? epoch >= promised : epoch > known
    // What it said before somebody else led is late, although it leads again.
    const ok = isNewest && epoch > rows.ledByOthers(partition, from)
    // It has succeeded somebody, perhaps this node, by a row that is not known here yet.
    if (ok && !isLeader) rows.believe(partition, epoch, from)
    return { ok, epoch: known }
  }

  /** Where this store's copy of a partition stands, and what it has seen and promised. */
  position(partition: PartitionId): CopyPosition {
    const seen = this.#options.rows.seen.epoch(partition)
    const promised = this.copies.head(partition).epoch
    const seenEpoch = Math.max(seen, promised)
    return {
      ...this.copies.position(partition),
      seenEpoch,
      ...(promised > seen && { promisedEpoch: promised }),
    }
  }

  /** The same, of another store's copies. Rejects with an `AppError`. */
  async positionsAt(store: StoreId, partitions: readonly PartitionId[]): Promise<CopyPosition[]> {
    const body = Buffer.from(JSON.stringify(partitions))
    const answer = await this.#options.channel.call(store, 'positions', body, clusterTimes.positionsMs)
    return JSON.parse(answer.toString()) as CopyPosition[]
  }

  /** Whether a newer leader than the asking one is known, and where this copy stands when that is asked. */
  async #confirm(from: Member, body: Buffer): Promise<Buffer> {
    const questions = JSON.parse(body.toString()) as ConfirmQuestion[]
    const answers: ConfirmAnswer[] = []
    for (const [partition, epoch, isPositionWanted] of questions) {
      if (isPositionWanted) await this.copies.settled([partition])
      if (!this.accepts(partition, from.storeId, epoch).ok) answers.push({ partition, newer: true })
      else if (isPositionWanted) {
        const { chain, seq } = this.copies.position(partition)
        answers.push({ partition, seq, chain })
      } else answers.push({ partition })
    }
    return Buffer.from(JSON.stringify(answers))
  }

  async #positions(body: Buffer): Promise<Buffer> {
    const partitions = JSON.parse(body.toString()) as PartitionId[]
    await this.copies.settled(partitions)
    return Buffer.from(JSON.stringify(partitions.map(partition => this.position(partition))))
  }
}
