/**
 * A ring of one: this node owns every partition. Placement still goes through ringpop's consistent hash, so that the
 * ring of many differs in its members only.
 */
import farmhash from 'farmhash'
import HashRing from 'ringpop/lib/ring/index.js'
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import {
  allPartitions,
  type ForwardRequest,
  type InboundHandler,
  type PartitionId,
  partitionCount,
  type Ring,
} from './index.js'

export class SingleNodeRing implements Ring {
  readonly self: NodeId
  readonly #hash = new HashRing({ hashFunc: farmhash.fingerprint32 })
  /** By partition; placement is asked for on every message. */
  readonly #owners: NodeId[] = []

  constructor(self: NodeId) {
    this.self = self
    this.#hash.addServer(self)
    for (const partition of allPartitions()) this.#owners.push(this.#place(partition))
  }

  members(): readonly NodeId[] {
    return [this.self]
  }

  ownerOf(partition: PartitionId): NodeId {
    const owner = this.#owners[partition]
    if (owner === undefined) throw new Error(`partition ${partition} is outside 0..${partitionCount - 1}`)
    return owner
  }

  /** This node leads everything: what is forwarded cannot be brought anywhere. */
  async forward(_request: ForwardRequest): Promise<unknown> {
    throw new AppError('unavailable')
  }

  /** Nobody forwards to a node alone. */
  onInbound(_handler: InboundHandler): void {}

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  #place(partition: PartitionId): NodeId {
    const owner = this.#hash.lookup(`partition-${partition}`)
    if (owner === undefined) throw new Error('the hash ring is empty')
    return owner as NodeId
  }
}
