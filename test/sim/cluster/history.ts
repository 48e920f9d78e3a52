/**
 * What clients were told, held against each other and against what is there in the end.
 *
 * Every list only grows, so that an answer says how much of the list its node knew. An operation must see everything
 * that was answered before it began; what was answered once must be at the same place for ever.
 */
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { AppendMessage, ListState } from './list-kind.js'
import type { SimCluster } from './sim-cluster.js'

interface KeyHistory {
  /** Place by operation, as acknowledged. */
  readonly acked: Map<string, number>
  readonly sent: Map<string, AppendMessage>
  readonly reads: (readonly string[])[]
  /** Entries of the list that somebody was told of. */
  known: number
}

export class History {
  acked = 0
  read = 0
  /** Of everything that was answered, in order: equal when a run is repeated. */
  digest = 0
  readonly #cluster: SimCluster
  readonly #keys = new Map<EntityKey, KeyHistory>()

  constructor(cluster: SimCluster, keys: readonly EntityKey[]) {
    this.#cluster = cluster
    for (const key of keys) this.#keys.set(key, { acked: new Map(), sent: new Map(), reads: [], known: 0 })
  }

  /** How much of the list must be known to whoever is asked from now on. */
  floor(key: EntityKey): number {
    return this.#of(key).known
  }

  sent(key: EntityKey, message: AppendMessage): void {
    this.#of(key).sent.set(message.id, message)
  }

  appended(key: EntityKey, id: string, index: number, via: string): void {
    const history = this.#of(key)
    this.acked += 1
    this.#mix(`${key} ${id} ${index}`)
    this.#cluster.world.trace('client', 'acknowledged', { key, id, index, via })
    const before = history.acked.get(id)
    if (before !== undefined && before !== index) {
      this.#problem(`${key} ${id} was acknowledged at ${before}, then at ${index} by ${via}`)
    }
    history.acked.set(id, index)
    history.known = Math.max(history.known, index + 1)
    this.#checkMembers(key, id, via)
  }

  was(key: EntityKey, state: ListState, floor: number, via: string): void {
    const history = this.#of(key)
    this.read += 1
    this.#mix(`${key} ${state.ids.length}`)
    if (state.ids.length < floor) {
      this.#problem(
        `${key} was read by ${via} with ${state.ids.length} entries, when ${floor} had been told of before`,
      )
    }
    history.reads.push(state.ids)
    history.known = Math.max(history.known, state.ids.length)
  }

  /** Holds everything against the lists as they are in the end. */
  check(final: ReadonlyMap<EntityKey, readonly string[]>): void {
    for (const [key, history] of this.#keys) {
      const ids = final.get(key)
      if (!ids) continue
      if (new Set(ids).size !== ids.length) this.#problem(`${key} holds an operation twice: ${ids.join()}`)
      for (const [id, index] of history.acked) {
        if (ids[index] !== id)
          this.#problem(`${key} lost ${id}, acknowledged at ${index}: there is ${ids[index]}`)
      }
      for (const read of history.reads) {
        const at = read.findIndex((id, index) => ids[index] !== id)
        if (at >= 0)
          this.#problem(`${key} was read with ${read[at]} at ${at}, in the end there is ${ids[at]}`)
      }
      for (const [index, id] of ids.entries()) {
        if (id.startsWith('alarm-')) continue
        const heard = this.#cluster.heard.get(id)
        if (heard !== index)
          this.#problem(`the effect of ${key} ${id} at ${index} was heard with index ${heard}`)
        const other = history.sent.get(id)?.other
        const count = other && final.get(other)?.filter(child => child === `child-${id}`).length
        if (count !== undefined && count !== 1) this.#problem(`${other} has child-${id} ${count} times`)
        if (!history.sent.has(id) && !id.startsWith('child-')) this.#problem(`${key} invented ${id}`)
      }
      const rows = this.#cluster.history.get(key)
      if (ids.length > 0 && rows?.ids.join() !== ids.join()) {
        this.#problem(`I8: the history of ${key} has ${rows?.ids.length} entries, the list ${ids.length}`)
      }
    }
    const places = new Set([...final.values()].flatMap(ids => ids.map((id, index) => `${id} ${index}`)))
    for (const [id, index] of this.#cluster.heard) {
      if (!places.has(`${id} ${index}`))
        this.#problem(`an effect of ${id} at ${index} was heard, which is in no list`)
    }
  }

  /** I2, I10: whoever may lead after this moment has it on disk. */
  #checkMembers(key: EntityKey, id: string, via: string): void {
    const row = this.#cluster.configurations.newest(partitionOf(key))
    if (!row) return
    for (const store of [row.owner, ...row.replicas]) {
      const node = this.#cluster.nodeOf(store)
      if (node && !this.#cluster.stored(node, key).includes(id)) {
        this.#problem(
          `I2: ${key} ${id} was acknowledged by ${via}, but ${node.id}, a member in epoch ${row.epoch}, lacks it`,
        )
      }
    }
  }

  #of(key: EntityKey): KeyHistory {
    const history = this.#keys.get(key)
    if (!history) throw new Error(`${key} is none of the run's keys`)
    return history
  }

  #mix(text: string): void {
    for (let at = 0; at < text.length; at += 1) {
      this.digest = (Math.imul(this.digest ^ text.charCodeAt(at), 0x01000193) + 1) >>> 0
    }
    this.digest = (this.digest ^ Math.floor(this.#cluster.world.nowMs * 1_000)) >>> 0
  }

  #problem(text: string): void {
    this.#cluster.world.problem(text)
  }
}
