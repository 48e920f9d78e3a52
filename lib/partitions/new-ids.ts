/**
 * Ids for entities that nobody has named: of entities that this node leads, so that it asks no other node but the replicas
 * while the ring stays as it is, and one partition's after the other. A batch on disk holds the head of each partition in
 * it, and is a message to the replicas of each: what comes together is cheaper in one partition than in as many as it is.
 *
 * Ids are random. Some wait here, sorted by the partition that they happen to fall into; those of the partition that has
 * most go first, all of them. What can go wrong: this node leads a partition no more. Then what waits for it is dropped,
 * and the few that were being given out are forwarded like any other.
 */
import { randomUUID } from 'node:crypto'
import type { EntityKey } from '../ids.js'
import { type PartitionId, partitionOf } from '../ring/index.js'

/** The keys of such entities, and who leads them. */
export interface NewIdsOptions {
  keyOf(id: string): EntityKey
  leads(key: EntityKey): boolean
}

/** Ids that wait, some 80 bytes each: on a node alone 16 for each partition, and twice as many for the fullest. */
const waitingMax = 4_096
/** Gathered for each that is given out, until enough wait. */
const gatheredAtOnce = 2
/** One in as many as there are nodes is led here: of ten, 19 in 20 find one. */
const triesMax = 30

export class NewIds {
  readonly #options: NewIdsOptions
  readonly #waiting = new Map<PartitionId, string[]>()
  #waitingCount = 0
  /** Of one partition: given out now. */
  #current: string[] = []

  constructor(options: NewIdsOptions) {
    this.#options = options
  }

  /** An id that nobody has used; of an entity that this node leads, if such a one is found soon. */
  take(): string {
    for (let count = 0; count < gatheredAtOnce && this.#waitingCount < waitingMax; count++) this.#gather()
    if (this.#current.length === 0) this.#current = this.#takeMost()
    return this.#current.pop() ?? randomUUID()
  }

  #gather(): void {
    const { keyOf, leads } = this.#options
    for (let tries = 0; tries < triesMax; tries++) {
      const id = randomUUID()
      const key = keyOf(id)
      if (!leads(key)) continue
      const partition = partitionOf(key)
      const ids = this.#waiting.get(partition)
      if (ids) ids.push(id)
      else this.#waiting.set(partition, [id])
      this.#waitingCount += 1
      return
    }
  }

  /** All that wait for the partition that has most of those that are led here still. */
  #takeMost(): string[] {
    for (;;) {
      let most: PartitionId | undefined
      let ids: string[] = []
      for (const [partition, waiting] of this.#waiting) {
        if (waiting.length <= ids.length) continue
        most = partition
        ids = waiting
      }
      const [first] = ids
      if (most === undefined || first === undefined) return []
      this.#waiting.delete(most)
      this.#waitingCount -= ids.length
      if (this.#options.leads(this.#options.keyOf(first))) return ids
    }
  }
}
