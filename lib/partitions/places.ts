/**
 * Which stores should hold a partition: the placement over the nodes that this one can reach.
 *
 * Gossip says who is a member; whoever does not answer gets nothing, and whoever is not in the registry has no store that
 * a row could name. Invariant: equal members give equal places at every node. What can go wrong: nodes see different
 * members for a moment. Then a partition moves twice; who may lead is for its row to say.
 */
import type { NodeId } from '../ids.js'
import { type PartitionId, type Peers, place } from '../ring/index.js'
import type { StoreId } from './configuration.js'
import type { Evidence } from './evidence.js'

export interface PlacesOptions {
  readonly peers: Pick<Peers, 'self' | 'members' | 'condition'>
  readonly evidence: Evidence
  /** Copies of each partition, the leader's included. */
  readonly factor: number
  /** Takes the place of the placement: for tests. */
  readonly place?: typeof place | undefined
}

/** Stores that should hold a partition, the leader-to-be first. */
export type Wanted = (partition: PartitionId) => StoreId[]

export class Places {
  readonly #options: PlacesOptions
  /** Where partitions should live among these members: computed anew only when they change. */
  #placed: { readonly names: string; readonly placement: readonly (readonly NodeId[])[] } | undefined

  constructor(options: PlacesOptions) {
    this.#options = options
  }

  /** Where partitions should live as things are now, on those nodes that count. */
  wanted(counts: (nodeId: NodeId) => boolean = () => true): Wanted {
    const placement = this.#placement(counts)
    const stores = this.#storesByNode()
    return partition => (placement[partition] ?? []).flatMap(nodeId => stores.get(nodeId) ?? [])
  }

  #placement(counts: (nodeId: NodeId) => boolean): readonly (readonly NodeId[])[] {
    const { factor, peers } = this.#options
    const members = peers
      .members()
      .map(member => member.nodeId)
      .filter(nodeId => nodeId === peers.self.nodeId || peers.condition(nodeId).kind === 'connected')
      .filter(counts)
    if (members.length === 0) return []
    const names = members.join()
    if (this.#placed?.names !== names) {
      this.#placed = { names, placement: (this.#options.place ?? place)(members, { factor }) }
    }
    return this.#placed.placement
  }

  /** The store of every member that is registered. */
  #storesByNode(): Map<NodeId, StoreId> {
    const { evidence, peers } = this.#options
    const stores = new Map<NodeId, StoreId>()
    for (const { nodeId, storeId } of peers.members()) {
      const store = storeId as StoreId
      if (evidence.nodeOf(store) && !evidence.isReplaced(store)) stores.set(nodeId, store)
    }
    return stores
  }
}
