/**
 * Deletions nobody waits for: confirmed effects, written history marks, alarm entries that lost their entity.
 *
 * They travel in the next commit of their partition, before its own operations, or in a commit of their own when none
 * comes. Invariant: a drop never overtakes or follows a later put of the same key: whatever is committed to a partition
 * takes all waiting drops of that partition with it, first.
 */
import { PassingMap } from '../passing.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock, Timer } from './clock.js'

/** How long a drop waits for a commit to travel with. */
const delayMs = 25

export class LazyDrops {
  readonly #clock: Clock
  /** Commits the waiting drops of one partition. */
  readonly #flush: (partition: PartitionId) => void
  readonly #waiting = new PassingMap<PartitionId, Set<string>>()
  #timer: Timer | undefined

  constructor(clock: Clock, flush: (partition: PartitionId) => void) {
    this.#clock = clock
    this.#flush = flush
  }

  add(partition: PartitionId, storageKey: string): void {
    const keys = this.#waiting.get(partition)
    if (keys) keys.add(storageKey)
    else this.#waiting.set(partition, new Set([storageKey]))
    this.#timer ??= this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined
      this.flush()
    })
  }

  has(partition: PartitionId, storageKey: string): boolean {
    return this.#waiting.get(partition)?.has(storageKey) === true
  }

  /** The waiting drops of a partition, which its next commit must carry first. */
  take(partition: PartitionId): ReadonlySet<string> | undefined {
    const keys = this.#waiting.get(partition)
    if (keys) this.#waiting.delete(partition)
    return keys
  }

  /** Commits everything that waits. */
  flush(): void {
    for (const partition of [...this.#waiting.keys()]) this.#flush(partition)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
