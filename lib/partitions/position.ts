/**
 * Where a partition stands: the number of its last commit and the hash of the chain that led there.
 *
 * Invariant: (epoch, seq) is never used for two contents. The epoch is raised, on disk, before the first commit after
 * a start or a failure; the seq grows by one per commit. Each commit's hash covers its predecessor's, so two copies
 * with the same position and hash have the same history.
 */
import type { DiskOperation } from './disk.js'
import { keyChecksum } from './key-checksum.js'
import { sealedFrom } from './keys.js'
import { recordChecksum } from './record.js'

export interface Position {
  readonly epoch: number
  readonly seq: number
}

/** A 64-bit hash in two halves, so that no big integer is needed per commit. */
export interface ChainHash {
  readonly high: number
  readonly low: number
}

export interface PartitionHead extends Position {
  /** Epoch of the last commit: `epoch` is raised beyond it at a start or after a failure. */
  readonly lastEpoch: number
  /** Which key generation of the partition is in use. */
  readonly generation: number
  readonly chain: ChainHash
  /** Sum, modulo 2^32, of the checksums of all entity heads: tells when an entity is missing or older than it was. */
  readonly digest: number
}

export const firstHead: PartitionHead = {
  epoch: 0,
  seq: 0,
  lastEpoch: 0,
  generation: 0,
  chain: { high: 0, low: 0 },
  digest: 0,
}

/** One operation of a commit; a put carries the checksum its record was sealed with. */
export type CommitOperation = DiskOperation & { readonly crc?: number }

/** Positions in order: negative when `a` is before `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq
}

/**
 * The hash after a commit of `operations` at `position` whose predecessor has the hash `previous`. It is the same on
 * every store, whatever generation the keys are stored under.
 */
export function chainAfter(
  previous: ChainHash,
  position: Position,
  operations: readonly CommitOperation[],
): ChainHash {
  let high = mix(previous.high, position.epoch, 0x85ebca6b)
  let low = mix(previous.low, position.seq, 0xc2b2ae35)
  for (const operation of operations) {
    if (operation.type === 'put') {
      // The record's checksum covers its key and text.
      const crc = operation.crc ?? recordChecksum(operation.value)
      high = mix(high, crc, 0x85ebca6b)
      low = mix(low, crc ^ operation.value.length, 0xc2b2ae35)
    } else {
      const from = sealedFrom(operation.key)
      const crc = keyChecksum(operation.key, from)
      high = mix(high, ~crc, 0x85ebca6b)
      low = mix(low, ~crc ^ (operation.key.length - from), 0xc2b2ae35)
    }
  }
  return { high, low }
}

export function formatHead(head: PartitionHead): string {
  const { chain, digest, epoch, generation, lastEpoch, seq } = head
  return `[${generation},${epoch},${seq},${chain.high},${chain.low},${digest},${lastEpoch}]`
}

/** @throws Error when the text is none that `formatHead` makes */
export function parseHead(text: string): PartitionHead {
  const parts: unknown = JSON.parse(text)
  if (!Array.isArray(parts) || parts.length !== 7 || !parts.every(part => Number.isSafeInteger(part))) {
    throw new Error('the head of a partition is malformed')
  }
  const [generation, epoch, seq, high, low, digest, lastEpoch] = parts as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { generation, epoch, seq, lastEpoch, chain: { high, low }, digest }
}

function mix(hash: number, value: number, multiplier: number): number {
  const mixed = Math.imul(hash ^ value ^ (value >>> 16), multiplier)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
