/**
 * The history outbox: which entities have changes that Postgres does not know yet.
 *
 * A mark per entity is committed with the change; the writer is given the entity's current records with their position,
 * and the mark is dropped afterwards unless the entity changed again meanwhile. Many changes become one write.
 *
 * Invariant: a mark exists from the commit of a change until a write that contained it. What can go wrong: Postgres is
 * away, and marks pile up. Their number is bounded: `isFull` tells the rooms to refuse new work, and it is one mark per
 * entity however often it changes.
 */
import type { EntityKey } from '../ids.js'
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock, Timer } from './clock.js'
import type { Json } from './entity.js'
import { parseEntityHead } from './entity-head.js'
import type { FailurePoints } from './failure-points.js'
import { type PartitionKeys, parsePartitionKey } from './keys.js'
import type { LazyDrops } from './lazy-drops.js'
import { comparePositions, type Position } from './position.js'
import type { Store } from './store.js'

/** An entity as it is written to history. */
export interface HistoryItem {
  readonly key: EntityKey
  /** Grows with every change of the entity: write only what is newer than what is there. */
  readonly version: Position
  readonly records: ReadonlyMap<string, Json>
}

export interface HistoryWriter {
  /** Resolves when all items are stored. Rejects when they are not (yet); the same entities are given again then. */
  write(batch: readonly HistoryItem[]): Promise<void>
}

export interface OutboxOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly drops: LazyDrops
  readonly keys: (partition: PartitionId) => PartitionKeys
  /** False once another node leads a partition: its marks are no concern of this one any more. */
  readonly leads: (partition: PartitionId) => boolean
  /** False while the replicas may lack a commit that is on disk: another leader may not have it. */
  readonly isAcked: (partition: PartitionId, seq: number) => boolean
  /** Marks beyond which `isFull` is true. */
  readonly rowsMax: number
  readonly failurePoints?: FailurePoints | undefined
}

interface Mark {
  readonly partition: PartitionId
  /** Position of the latest commit that set it. */
  readonly position: Position
  /** That commit is on disk. */
  isDurable: boolean
}

const batchItemsMax = 200
const batchBytesMax = 8 * 1024 * 1024
/** Changes of one entity within it become one row. */
const gatherMs = 100
const retryMsMin = 250
const retryMsMax = 15_000
const readsAtOnceMax = 16

export class Outbox {
  readonly #options: OutboxOptions
  readonly #marks = new Map<EntityKey, Mark>()
  #writer: HistoryWriter | undefined
  #timer: Timer | undefined
  #isStarted = false
  #writing: Promise<void> | undefined
  #failures = 0

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get rows(): number {
    return this.#marks.size
  }

  get isFull(): boolean {
    return this.#marks.size >= this.#options.rowsMax
  }

  register(writer: HistoryWriter): void {
    this.#writer = writer
    this.#failures = 0
    this.#schedule(gatherMs)
  }

  /** Reads the marks that are stored; they alone, not the entities. */
  async start(
    partitions: readonly PartitionId[],
    isEmpty: (partition: PartitionId) => boolean,
  ): Promise<void> {
    const stored = partitions.filter(partition => !isEmpty(partition))
    const worker = async () => {
      for (let next = stored.pop(); next !== undefined; next = stored.pop()) await this.#readMarks(next)
    }
    await Promise.all(Array.from({ length: readsAtOnceMax }, worker))
    this.#isStarted = true
    this.#schedule(gatherMs)
  }

  has(key: EntityKey): boolean {
    return this.#marks.has(key)
  }

  /** A commit at `position` that marks the entity was queued. */
  mark(partition: PartitionId, key: EntityKey, position: Position): void {
    this.#marks.set(key, { partition, position, isDurable: false })
    this.#schedule(gatherMs)
  }

  /** The commit at `position` is on disk. */
  committed(key: EntityKey, position: Position): void {
    const mark = this.#marks.get(key)
    if (mark && mark.position.seq === position.seq && mark.position.epoch === position.epoch)
      mark.isDurable = true
  }

  /** Commits of a partition failed: a mark too many is harmless, one whose entity never came to be is dropped. */
  failed(partition: PartitionId): void {
    for (const [key, mark] of this.#marks) {
      if (mark.partition !== partition) continue
      // Whatever the disk holds now is the latest; what was read before is not taken for it.
      this.#marks.set(key, { partition, position: { epoch: 0, seq: 0 }, isDurable: true })
    }
    // Marks whose deletion failed are still there.
    this.#readMarks(partition).then(
      () => this.#schedule(gatherMs),
      error => this.#options.log.warn('marks.not-read', { partition, error }),
    )
  }

  /** Forgets partitions that another node leads now: it writes their history. */
  end(partitions: ReadonlySet<PartitionId>): void {
    for (const [key, mark] of this.#marks) if (partitions.has(mark.partition)) this.#marks.delete(key)
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#isStarted = false
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#writing) return
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.setTimer(deadlineMs, resolve)
      void this.#writing?.finally(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  async #readMarks(partition: PartitionId): Promise<void> {
    const { keys, leads, store } = this.#options
    if (!leads(partition)) return
    const { records } = await store.range(keys(partition).classRange('o'))
    if (!leads(partition)) return
    for (const record of records) {
      const parsed = parsePartitionKey(record.key)
      if (parsed && !this.#marks.has(parsed.key)) {
        this.#marks.set(parsed.key, { partition, position: { epoch: 0, seq: 0 }, isDurable: true })
      }
    }
  }

  #schedule(delayMs: number): void {
    if (!this.#isStarted || !this.#writer || this.#timer || this.#writing || this.#marks.size === 0) return
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined
        const retryMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(this.#failures - 1, 10))
        this.#schedule(this.#failures > 0 ? retryMs : this.#marks.size >= batchItemsMax ? 0 : gatherMs)
      })
    })
  }

  async #write(): Promise<void> {
    const { failurePoints, log } = this.#options
    const writer = this.#writer
    if (!writer) return
    try {
      const read = await this.#read()
      if (read.length > 0) await writer.write(read.map(({ item }) => item))
      if (failurePoints) await failurePoints.reach('history.after-write')
      for (const { item, mark } of read) this.#forget(item, mark)
      this.#failures = 0
    } catch (error) {
      this.#failures += 1
      log.warn('history.not-written', {
        rows: this.#marks.size,
        failures: this.#failures,
        error: error instanceof Error ? error.message : String(error),
      })
    }
  }

  async #read(): Promise<{ item: HistoryItem; mark: Mark }[]> {
    const waiting = [...this.#firstMarks()]
    const items: { item: HistoryItem; mark: Mark }[] = []
    let bytesLeft = batchBytesMax
    const worker = async () => {
      for (let next = waiting.shift(); next && bytesLeft > 0; next = waiting.shift()) {
        const [key, mark] = next
        if (this.#marks.get(key) !== mark) continue
        if (!this.#options.leads(mark.partition)) {
          this.#marks.delete(key)
          continue
        }
        // Asked before the read: an entity that comes to be meanwhile is not gone.
        const wasDurable = mark.isDurable
        const { item, bytes } = await this.#readEntity(key, mark)
        bytesLeft -= bytes
        if (item && !this.#options.isAcked(mark.partition, item.version.seq)) continue
        if (item) items.push({ item, mark })
        else if (this.#marks.get(key) === mark && wasDurable) this.#drop(key, mark)
      }
    }
    await Promise.all(Array.from({ length: readsAtOnceMax }, worker))
    return items
  }

  *#firstMarks(): Generator<[EntityKey, Mark]> {
    let left = batchItemsMax
    for (const entry of this.#marks) {
      if (left === 0) return
      left -= 1
      yield entry
    }
  }

  async #readEntity(key: EntityKey, mark: Mark): Promise<{ item: HistoryItem | undefined; bytes: number }> {
    const keys = this.#options.keys(mark.partition)
    const { records, damaged } = await this.#options.store.range(keys.entityRange(key))
    const head =
      records[0] && records[0].key === keys.entityHead(key) ? parseEntityHead(records[0].text) : undefined
    let bytes = 0
    // Damaged or gone: there is nothing true to write. The entity is set aside when it is activated.
    if (!head || damaged.length > 0 || head.records !== records.length - 1) return { item: undefined, bytes }
    const values = new Map<string, Json>()
    if (head.only) values.set(head.only.name, JSON.parse(head.only.text) as Json)
    for (const record of records.slice(1)) {
      bytes += record.bytes.length
      values.set(parsePartitionKey(record.key)?.rest ?? '', JSON.parse(record.text) as Json)
    }
    return { item: { key, version: { epoch: head.epoch, seq: head.seq }, records: values }, bytes }
  }

  #forget(item: HistoryItem, readMark: Mark): void {
    const mark = this.#marks.get(item.key)
    if (!mark) return
    if (mark === readMark && comparePositions(mark.position, item.version) <= 0) this.#drop(item.key, mark)
    else {
      // Changed again: behind the others, so that a busy entity does not hold them up.
      this.#marks.delete(item.key)
      this.#marks.set(item.key, mark)
    }
  }

  #drop(key: EntityKey, mark: Mark): void {
    this.#marks.delete(key)
    this.#options.drops.add(mark.partition, this.#options.keys(mark.partition).mark(key))
  }
}
