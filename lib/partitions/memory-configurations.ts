/** Configurations in the memory of one process: for tests and the simulation, where nodes share one of these. */
import type { NodeId } from '../ids.js'
import type { PartitionId } from '../ring/index.js'
import type { Change, Configuration, Configurations, RegisteredNode, StoreId } from './configuration.js'

export class MemoryConfigurations implements Configurations {
  readonly rows = new Map<PartitionId, Configuration>()
  readonly registry = new Map<NodeId, RegisteredNode>()
  /** The node and the last boot of every store that was ever registered. */
  readonly stores = new Map<StoreId, Pick<RegisteredNode, 'nodeId' | 'boot'>>()

  async cluster(): Promise<string | null> {
    return this.rows.size > 0 ? 'memory' : null
  }

  async register(node: RegisteredNode, founding: ReadonlyMap<PartitionId, number>): Promise<string | null> {
    if ((this.stores.get(node.storeId)?.boot ?? 0) >= node.boot) return null
    this.stores.set(node.storeId, { nodeId: node.nodeId, boot: node.boot })
    this.registry.set(node.nodeId, node)
    if (this.rows.size > 0) return 'memory'
    for (const [partition, epoch] of founding) {
      this.rows.set(partition, { partition, epoch, owner: node.storeId, replicas: [], nonce: 'founding' })
    }
    return 'memory'
  }

  async read(): Promise<readonly Configuration[]> {
    return [...this.rows.values()]
  }

  async nodes(): Promise<readonly RegisteredNode[]> {
    return [...this.registry.values()].map(node => {
      const known = [...this.stores].filter(
        ([id, { nodeId }]) => nodeId === node.nodeId && id !== node.storeId,
      )
      return { ...node, formerStores: known.map(([id]) => id) }
    })
  }

  async forget({ boot, nodeId, storeId }: Parameters<Configurations['forget']>[0]): Promise<void> {
    const known = this.registry.get(nodeId)
    if (known?.storeId === storeId && known.boot === boot) this.registry.delete(nodeId)
  }

  async swap(changes: readonly Change[]): Promise<readonly Configuration[]> {
    return changes.flatMap(({ fromEpoch, ...change }) => {
      const row = this.rows.get(change.partition)
      if (row?.epoch === (fromEpoch ?? change.epoch - 1)) this.rows.set(change.partition, change)
      return this.rows.get(change.partition) ?? []
    })
  }
}
