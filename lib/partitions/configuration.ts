/**
 * Who leads a partition and who holds copies: one row per partition, changed only by compare-and-swap on its epoch.
 * The rows live outside the nodes (in Postgres), so that a majority of nothing but the truth decides.
 *
 * Invariant: a row's epochs grow, by one unless a member has promised more, and whoever becomes owner was a member of the row before. What can go wrong:
 * the answer of a swap is lost. Each swap therefore carries a nonce: whoever reads a row with the nonce of a swap of its
 * own knows that it came through.
 *
 * Source: the configuration manager of PacificA (Lin, Yang, Zhang, Zhou: MSR-TR-2008-25, §2.2).
 */
import type { Branded, NodeId } from '../ids.js'
import type { PartitionId } from '../ring/index.js'

/** The id inside a store: a wiped or copied directory is another store, and so another member. */
export type StoreId = Branded<'store'>

export interface Configuration {
  readonly partition: PartitionId
  readonly epoch: number
  readonly owner: StoreId
  /** Members beside the owner: each has every commit that was acknowledged. */
  readonly replicas: readonly StoreId[]
  /** Made anew by each change; says who has missed what (`nonce`). */
  readonly nonce: string
}

/** A node as the others may find it, also when gossip does not know it. */
export interface RegisteredNode {
  readonly nodeId: NodeId
  readonly storeId: StoreId
  readonly boot: number
  readonly channelAddress: string
  readonly forwardAddress: string
  /** Stores that it had before, as the registry knows them: none of them is ever heard of again. */
  readonly formerStores?: readonly StoreId[]
}

export interface Configurations {
  /** Id of the cluster; null before it was founded. */
  cluster(): Promise<string | null>
  /**
   * Registers this process life. The first node of an empty table founds the cluster: every partition is its own, with
   * the epochs given. Resolves with the id of the cluster; with null when the store was ever registered with the same or a
   * later boot, also by a node that has left: this is an older copy of it.
   */
  register(node: RegisteredNode, founding: ReadonlyMap<PartitionId, number>): Promise<string | null>
  /** All rows. */
  read(): Promise<readonly Configuration[]>
  nodes(): Promise<readonly RegisteredNode[]>
  /** Takes this life of a node out of those who count, after it left. Which boots its store has had stays known. */
  forget(node: Pick<RegisteredNode, 'nodeId' | 'storeId' | 'boot'>): Promise<void>
  /**
   * Changes rows whose epoch is one below the given one (or `fromEpoch`), all of them in one statement. Resolves with the rows of these
   * partitions as they stand afterwards, changed or not. Rejects when that is unknown.
   */
  swap(changes: readonly Change[]): Promise<readonly Configuration[]>
}

/** A row as it is to be. */
export interface Change extends Configuration {
  /** The row's epoch before, when the owner begins to lead with this one: such a row may leap, above a promise. */
  readonly fromEpoch?: number
}

/** A change whose nonce is made when it is asked for. */
export interface WantedChange extends Omit<Change, 'nonce'> {
  /** Nothing that the leader before has said is still on its way: the nonce tells the others. */
  readonly isHeard?: boolean
}

/** True when `storeId` is owner or replica. */
export function isMember(configuration: Configuration, storeId: StoreId): boolean {
  return configuration.owner === storeId || configuration.replicas.includes(storeId)
}
