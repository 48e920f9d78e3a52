/**
 * The newest configuration that this store has seen of each partition, remembered across restarts.
 *
 * The rows only ever go forward, by one nonce each. A database that shows less was set back, by a restore or a standby
 * that lagged: nobody can say any more who has changed what since, and whoever follows it leads without what was
 * acknowledged. Such a partition stands still until an operator has adopted it, also when its row has gone past again
 * what was seen: another node may have followed the old rows.
 *
 * Every row after an adoption carries the adoption's epoch in its nonce, so that a node which was away when it happened
 * sees that it did. Invariant: a partition is led only when its row is in the note on this disk. What can go wrong: all
 * disks that have seen the newest rows are away while the others start; they know nothing better than the database.
 */
import type { PartitionId } from '../ring/index.js'
import type { Configuration } from './configuration.js'
import { adoptedAt } from './nonce.js'
import type { Store } from './store.js'

/** What is compared and remembered of a row. */
export type SeenRow = readonly [partition: PartitionId, epoch: number, nonce: string]

interface Note {
  /** Rows of another cluster say nothing. */
  readonly cluster: string
  readonly rows: readonly SeenRow[]
  readonly setBack: readonly PartitionId[]
}

const noteName = 'rows'

export class SeenRows {
  readonly #store: Pick<Store, 'note' | 'noted'>
  readonly #rows = new Map<PartitionId, SeenRow>()
  /** Partitions whose rows were set back, with the epoch that the database shows. */
  readonly #setBack = new Map<PartitionId, number>()
  #cluster = ''
  #changes = 0
  #savedChanges = 0
  #saving: Promise<void> | undefined

  constructor(store: Pick<Store, 'note' | 'noted'>) {
    this.#store = store
  }

  async load(cluster: string): Promise<void> {
    this.#cluster = cluster
    const text = await this.#store.noted(noteName)
    const note = text === undefined ? undefined : (JSON.parse(text) as Note)
    if (note?.cluster !== cluster) return
    for (const row of note.rows) this.#rows.set(row[0], row)
    for (const partition of note.setBack) this.#setBack.set(partition, 0)
  }

  /** What is seen now. */
  all(): readonly SeenRow[] {
    return [...this.#rows.values()]
  }

  epoch(partition: PartitionId): number {
    return this.#rows.get(partition)?.[1] ?? 0
  }

  /** Takes note of a row of which this node or another has heard. An adopted one ends the stand of its partition. */
  see(row: SeenRow): void {
    const [partition, epoch, nonce] = row
    const known = this.epoch(partition)
    if (epoch <= known) return
    if (adoptedAt({ nonce }) > known) this.#setBack.delete(partition)
    // Of one that stands the line is in doubt: an adoption has to be above it, but it is not what was seen before.
    this.#rows.set(partition, this.#setBack.has(partition) ? [partition, epoch, ''] : row)
    this.#changes += 1
  }

  /**
   * Compares the rows as the database shows them with what was seen before it was asked. Returns the partitions that
   * were set back, and were not known to be.
   */
  compare(rows: readonly Configuration[], before: readonly SeenRow[]): PartitionId[] {
    const seen = new Map(before.map(row => [row[0], row]))
    const found: PartitionId[] = []
    for (const { epoch, nonce, partition } of rows) {
      const [, seenEpoch, seenNonce] = seen.get(partition) ?? [partition, 0, '']
      const isSame = epoch === seenEpoch && nonce === seenNonce
      if (this.#setBack.has(partition)) {
        // Set right again, or adopted; else it stands, however far the rows have come.
        const isOver = isSame || adoptedAt({ nonce }) > seenEpoch
        if (isOver) this.#setBack.delete(partition)
        else this.#setBack.set(partition, epoch)
        if (isOver) this.#changes += 1
      } else if (epoch < seenEpoch || (epoch === seenEpoch && !isSame)) {
        this.#setBack.set(partition, epoch)
        this.#changes += 1
        found.push(partition)
      }
    }
    return found
  }

  isSetBack(partition: PartitionId): boolean {
    return this.#setBack.has(partition)
  }

  /** Epoch of a row that was set back, in the database. */
  databaseEpoch(partition: PartitionId): number | undefined {
    return this.#setBack.get(partition)
  }

  /** What others have to know: rows that the database does not show any more. */
  lost(): SeenRow[] {
    return this.all().filter(([partition]) => this.#setBack.has(partition))
  }

  get setBackCount(): number {
    return this.#setBack.size
  }

  /** Resolves when everything seen until now is on the disk. Many at once are one or two writes. */
  async save(): Promise<void> {
    const wanted = this.#changes
    while (this.#savedChanges < wanted) {
      this.#saving ??= this.#write().finally(() => {
        this.#saving = undefined
      })
      await this.#saving
    }
  }

  async #write(): Promise<void> {
    const changes = this.#changes
    const note: Note = { cluster: this.#cluster, rows: this.all(), setBack: [...this.#setBack.keys()] }
    await this.#store.note(noteName, JSON.stringify(note))
    this.#savedChanges = changes
  }
}
