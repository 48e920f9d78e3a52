/**
 * The ring: who is a member, which member should run a partition, and how a request reaches it.
 *
 * A key belongs to a partition for ever (`partitionOf`); a partition belongs to a member for a while (`ownerOf`).
 * Callers never ask who owns a key for any other purpose than to send to it, so that adding members changes no caller.
 * What can go wrong: two members disagree for a moment about an owner. The receiver therefore checks that it owns what
 * it is asked for, and a request makes one hop at most.
 */
import farmhash from 'farmhash'
import type { Branded, NodeId } from '../ids.js'
import type { ClusterPeers, ClusterPeersOptions } from './cluster-peers.js'

declare const partitionBrand: unique symbol
/** A slice of the key space: 0 to 255. */
export type PartitionId = number & { readonly [partitionBrand]: true }

/** Fixed: changing it on a cluster with data would move every key. */
export const partitionCount = 256

let lastKey = ''
let lastPartition = 0 as PartitionId

/**
 * The partition that `key` belongs to: FarmHash fingerprint32 (equal on all platforms) modulo the number of partitions.
 * Whoever handles a message asks several times in a row, and the hash is native code: the last answer is kept.
 */
export function partitionOf(key: string): PartitionId {
  if (key !== lastKey) {
    lastPartition = (farmhash.fingerprint32(key) % partitionCount) as PartitionId
    lastKey = key
  }
  return lastPartition
}

/** All partitions, in order. */
export function allPartitions(): PartitionId[] {
  return Array.from({ length: partitionCount }, (_, index) => index as PartitionId)
}

export type RequestId = Branded<'ring request'>

/** A message for an entity of `partition`, on its way to the partition's owner. Must survive JSON. */
export interface ForwardRequest {
  readonly partition: PartitionId
  readonly key: string
  readonly message: { readonly type: string }
  readonly deadlineMs?: number
  /** Refused with a code, not held, while it would have to wait for copies that do not answer. */
  readonly isRefusable?: boolean
  /** Nothing is stored under this key: its id has just been made. */
  readonly isNew?: boolean
}

/** Handles what other members forward to this one. Rejects with an `AppError`. */
export type InboundHandler = (request: ForwardRequest) => Promise<unknown>

export interface Ring {
  readonly self: NodeId
  members(): readonly NodeId[]
  ownerOf(partition: PartitionId): NodeId
  /**
   * Brings a request to its partition's leader, and resolves with the reply. While there is none it waits, up to the
   * deadline. Rejects with an `AppError`.
   */
  forward(request: ForwardRequest): Promise<unknown>
  /** Given once, before `start`. */
  onInbound(handler: InboundHandler): void
  start(): Promise<void>
  stop(): Promise<void>
}

export { type Address, formatAddress, parseAddress } from './addresses.js'
export type { RingClock } from './clock.js'
export type { ClusterPeers, ClusterPeersOptions } from './cluster-peers.js'
export type {
  CallHandler,
  Member,
  PeerCondition,
  PeerCounters,
  PeerIdentity,
  Peers,
} from './peers.js'
export { ownersMax, type PlacementOptions, place } from './placement.js'
export { SingleNodeRing } from './single-node.js'
export { parseRingSwitches } from './switches.js'

/** The peers of a node in a cluster. Loads gossip only now: a node alone and most commands never need it. */
export async function createClusterPeers(options: ClusterPeersOptions): Promise<ClusterPeers> {
  const { ClusterPeers } = await import('./cluster-peers.js')
  return new ClusterPeers(options)
}
