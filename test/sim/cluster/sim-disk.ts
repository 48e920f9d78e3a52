/**
 * A disk of a simulated node. Operations take time, concurrent ones may overtake each other; a crash loses writes that
 * were not synced, except perhaps the first of them, and decides at random about those under way.
 */
import type { Disk, DiskEntry, DiskOperation, DiskPages, RangeOptions } from '../../../lib/partitions/disk.js'
import type { KeyRange } from '../../../lib/partitions/keys.js'
import type { Life, World } from './world.js'

export class SimDisk implements Disk {
  /** Sees every write when it is on the medium. */
  onWritten: ((operations: readonly DiskOperation[]) => void) | undefined
  /** True while nothing can be written. */
  isFull: () => boolean = () => false
  readonly #world: World
  readonly #life: Life
  /** What is read. */
  readonly #current: Map<string, Buffer>
  /** What survives a crash. */
  readonly #durable: Map<string, Buffer>
  #keys: string[]
  #unsynced: (readonly DiskOperation[])[] = []
  readonly #underWay = new Set<readonly DiskOperation[]>()

  constructor(world: World, life: Life, content: ReadonlyMap<string, Buffer>) {
    this.#world = world
    this.#life = life
    this.#current = new Map(content)
    this.#durable = new Map(content)
    this.#keys = [...content.keys()].sort()
  }

  get durable(): ReadonlyMap<string, Buffer> {
    return this.#durable
  }

  get isWriting(): boolean {
    return this.#underWay.size > 0
  }

  async get(key: string): Promise<Buffer | undefined> {
    await this.#delay()
    return this.#current.get(key)
  }

  async some(keys: readonly string[]): Promise<DiskEntry[]> {
    await this.#delay()
    return keys.flatMap(key => {
      const bytes = this.#current.get(key)
      return bytes ? [{ key, bytes }] : []
    })
  }

  async range(options: RangeOptions): Promise<DiskEntry[]> {
    await this.#delay()
    const entries: DiskEntry[] = []
    let bytesLeft = options.bytesMax ?? Number.POSITIVE_INFINITY
    for (let at = firstAtLeast(this.#keys, options.gte); at < this.#keys.length; at += 1) {
      const key = this.#keys[at] ?? ''
      if (key >= options.lt || entries.length === options.limit || bytesLeft <= 0) break
      const bytes = this.#current.get(key) ?? Buffer.alloc(0)
      bytesLeft -= bytes.length
      entries.push({ key, bytes })
    }
    return entries
  }

  pages({ gte, lt }: KeyRange): DiskPages {
    const entries: DiskEntry[] = []
    for (let at = firstAtLeast(this.#keys, gte); at < this.#keys.length; at += 1) {
      const key = this.#keys[at] ?? ''
      if (key >= lt) break
      entries.push({ key, bytes: this.#current.get(key) ?? Buffer.alloc(0) })
    }
    return {
      next: async ({ limit }) => {
        await this.#delay()
        return entries.splice(0, limit)
      },
      end: async () => undefined,
    }
  }

  async write(operations: readonly DiskOperation[], sync: boolean): Promise<void> {
    if (this.#life.isDead) return await new Promise(() => undefined)
    this.#underWay.add(operations)
    await this.#delay()
    this.#underWay.delete(operations)
    if (this.isFull()) {
      this.#world.count('writes failed', 1)
      throw new Error('no space left on device')
    }
    this.#apply(operations)
    if (sync) {
      for (const earlier of this.#unsynced) apply(this.#durable, earlier)
      this.#unsynced = []
      apply(this.#durable, operations)
    } else this.#unsynced.push(operations)
    this.onWritten?.(operations)
    const { random } = this.#world
    await this.#world.wait(
      random.chance(0.01) && !this.#world.isCalm ? random.next() * 200 : random.next(),
      this.#life,
    )
  }

  async close(): Promise<void> {}

  /** Ends this life of the disk; what survives. */
  crash(): Map<string, Buffer> {
    const { random } = this.#world
    const waiting = [...this.#unsynced, ...[...this.#underWay].filter(() => random.chance(0.5))]
    const kept = random.below(waiting.length + 1)
    this.#world.count('writes lost', this.#unsynced.length + this.#underWay.size - kept)
    for (const operations of waiting.slice(0, kept)) {
      apply(this.#durable, operations)
      this.onWritten?.(operations)
    }
    return this.#durable
  }

  #apply(operations: readonly DiskOperation[]): void {
    for (const operation of operations) {
      const isKnown = this.#current.has(operation.key)
      if (isKnown === (operation.type === 'del')) {
        const at = firstAtLeast(this.#keys, operation.key)
        if (isKnown) this.#keys.splice(at, 1)
        else this.#keys.splice(at, 0, operation.key)
      }
      apply(this.#current, [operation])
    }
  }

  async #delay(): Promise<void> {
    await this.#world.wait(this.#world.random.next(), this.#life)
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
