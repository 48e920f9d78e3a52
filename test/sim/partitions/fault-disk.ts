/**
 * A disk that fails on command. Operations take a few turns of the event loop; a write may fail before or after it took
 * effect; a crash makes everything that is under way never answer and drops writes that were not synced.
 */
import type { Disk, DiskEntry, DiskOperation, DiskPages, RangeOptions } from '../../../lib/partitions/disk.js'

export interface FaultPlan {
  readonly random: () => number
  /** Probability that a write fails. */
  writeFailure: number
  /** Probability that a read fails. */
  readFailure: number
  /** A read has failed at some time. */
  readFailed: boolean
}

export class FaultDisk implements Disk {
  /** What would be there after a crash. */
  readonly durable: Map<string, Buffer>
  readonly #current: Map<string, Buffer>
  readonly #plan: FaultPlan
  #unsynced: (readonly DiskOperation[])[] = []
  #isCrashed = false
  #sorted: string[] | undefined

  constructor(plan: FaultPlan, content: ReadonlyMap<string, Buffer> = new Map()) {
    this.#plan = plan
    this.durable = new Map(content)
    this.#current = new Map(content)
  }

  async get(key: string): Promise<Buffer | undefined> {
    await this.#step(this.#plan.readFailure)
    return this.#current.get(key)
  }

  async some(keys: readonly string[]): Promise<DiskEntry[]> {
    await this.#step(this.#plan.readFailure)
    return keys.flatMap(key => {
      const bytes = this.#current.get(key)
      return bytes ? [{ key, bytes }] : []
    })
  }

  async range(options: RangeOptions): Promise<DiskEntry[]> {
    await this.#step(this.#plan.readFailure)
    this.#sorted ??= [...this.#current.keys()].sort()
    const entries: DiskEntry[] = []
    let bytesLeft = options.bytesMax ?? Number.POSITIVE_INFINITY
    for (let at = firstAtLeast(this.#sorted, options.gte); at < this.#sorted.length; at += 1) {
      const key = this.#sorted[at] ?? ''
      if (key >= options.lt || entries.length === options.limit || bytesLeft <= 0) break
      const bytes = this.#current.get(key) ?? Buffer.alloc(0)
      bytesLeft -= bytes.length
      entries.push({ key, bytes })
    }
    await this.#step(0)
    return entries
  }

  pages(range: { readonly gte: string; readonly lt: string }): DiskPages {
    const entries = [...this.#current]
      .filter(([key]) => key >= range.gte && key < range.lt)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, bytes]) => ({ key, bytes }))
    return {
      next: async ({ limit }) => {
        await this.#step(this.#plan.readFailure)
        return entries.splice(0, limit)
      },
      end: async () => undefined,
    }
  }

  async write(operations: readonly DiskOperation[], sync: boolean): Promise<void> {
    await this.#step(0)
    const dice = this.#plan.random()
    if (dice < this.#plan.writeFailure / 2) throw new Error('write failed before it took effect')
    apply(this.#current, operations)
    this.#sorted = undefined
    if (sync) {
      for (const earlier of this.#unsynced) apply(this.durable, earlier)
      this.#unsynced = []
      apply(this.durable, operations)
    } else this.#unsynced.push(operations)
    if (dice < this.#plan.writeFailure) throw new Error('write failed after it took effect')
    await this.#step(0)
  }

  async close(): Promise<void> {}

  /** Ends this life of the disk; what survives, possibly with some writes that were not synced. */
  crash(): Map<string, Buffer> {
    this.#isCrashed = true
    const survivors = Math.floor(this.#plan.random() * (this.#unsynced.length + 1))
    for (const operations of this.#unsynced.slice(0, survivors)) apply(this.durable, operations)
    return this.durable
  }

  async #step(failure: number): Promise<void> {
    const turns = Math.floor(this.#plan.random() * 3)
    for (let turn = 0; turn < turns; turn += 1) await new Promise(resolve => setImmediate(resolve))
    // A dead process hears of nothing any more.
    if (this.#isCrashed) await new Promise(() => undefined)
    if (failure === 0 || this.#plan.random() >= failure) return
    this.#plan.readFailed = true
    throw new Error('read failed')
  }
}

function apply(content: Map<string, Buffer>, operations: readonly DiskOperation[]): void {
  for (const operation of operations) {
    if (operation.type === 'put') content.set(operation.key, Buffer.from(operation.value))
    else content.delete(operation.key)
  }
}

function firstAtLeast(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
