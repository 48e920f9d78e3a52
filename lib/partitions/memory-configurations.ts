/** Configurations in the memory of one process: for tests and the simulation, where nodes share one of these. */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { PartitionId } from '../ring/index.js'
import type { Change, Configuration, Configurations, RegisteredNode } from './configuration.js'

export class MemoryConfigurations implements Configurations {
  readonly rows = new Map<PartitionId, Configuration>()
  readonly registry = new Map<NodeId, RegisteredNode>()

  async cluster(): Promise<string | null> {
    return this.rows.size > 0 ? 'memory' : null
  }

  async register(node: RegisteredNode, founding: ReadonlyMap<PartitionId, number>): Promise<string> {
    const known = this.registry.get(node.nodeId)
    if (known?.storeId === node.storeId && known.boot >= node.boot) {
      throw new AppError('conflict', 'Another process runs on a copy of this store.')
    }
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
    return [...this.registry.values()]
  }

  async forget(nodeId: NodeId): Promise<void> {
    this.registry.delete(nodeId)
  }

  async swap(changes: readonly Change[]): Promise<readonly Configuration[]> {
    return changes.flatMap(({ fromEpoch, ...change }) => {
      const row = this.rows.get(change.partition)
      if (row?.epoch === (fromEpoch ?? change.epoch - 1)) this.rows.set(change.partition, change)
      return this.rows.get(change.partition) ?? []
    })
  }
}
