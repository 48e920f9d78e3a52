/**
 * Commits on their way to a replica, as bytes. Keys travel without partition and generation, which every store has
 * its own of. Numbers are big-endian; seqs and epochs are 6 bytes, far beyond what a partition will see.
 */
import type { PartitionId } from '../ring/index.js'
import type { Commit } from './committer.js'
import { sealedFrom } from './keys.js'
import type { ChainHash, CommitOperation, Position } from './position.js'

/** A commit as it was sent: keys begin behind the generation. */
export interface SentCommit {
  readonly partition: PartitionId
  readonly previous: Position
  readonly previousChain: ChainHash
  readonly position: Position
  readonly chain: ChainHash
  readonly digest: number
  readonly operations: readonly CommitOperation[]
}

/** Partition; previous and own position; previous and own hash; digest; number of operations. */
const headBytes = 2 + 2 * 12 + 2 * 8 + 4 + 4
/** Put or not; lengths of key and value. */
const openingBytes = 1 + 2 + 4
const put = 1
const del = 0

/** Bytes that `encodeCommits` makes of one commit, roughly: for bounding messages. */
export function encodedBytes(commit: Commit): number {
  return commit.bytes + headBytes
}

export function encodeCommits(commits: readonly Commit[]): Buffer {
  let size = 0
  for (const { operations } of commits) {
    size += headBytes
    for (const operation of operations) {
      size += openingBytes + Buffer.byteLength(operation.key) - sealedFrom(operation.key)
      if (operation.type === 'put') size += operation.value.length
    }
  }
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const { head, operations, partition, previous, previousChain } of commits) {
    at = bytes.writeUInt16BE(partition, at)
    at = bytes.writeUIntBE(previous.epoch, at, 6)
    at = bytes.writeUIntBE(previous.seq, at, 6)
    at = bytes.writeUIntBE(head.epoch, at, 6)
    at = bytes.writeUIntBE(head.seq, at, 6)
    at = bytes.writeUInt32BE(previousChain.high, at)
    at = bytes.writeUInt32BE(previousChain.low, at)
    at = bytes.writeUInt32BE(head.chain.high, at)
    at = bytes.writeUInt32BE(head.chain.low, at)
    at = bytes.writeUInt32BE(head.digest, at)
    at = bytes.writeUInt32BE(operations.length, at)
    for (const operation of operations) {
      const keyLength = bytes.write(operation.key.slice(sealedFrom(operation.key)), at + openingBytes)
      const isPut = operation.type === 'put'
      at = bytes.writeUInt8(isPut ? put : del, at)
      at = bytes.writeUInt16BE(keyLength, at)
      at = bytes.writeUInt32BE(isPut ? operation.value.length : 0, at) + keyLength
      if (!isPut) continue
      bytes.set(operation.value, at)
      at += operation.value.length
    }
  }
  // Anything else would send bytes of somebody's.
  if (at !== size) throw new Error('a commit was encoded in part')
  return bytes
}

/** @throws RangeError when the bytes are none that `encodeCommits` makes */
export function decodeCommits(bytes: Buffer): SentCommit[] {
  const commits: SentCommit[] = []
  let at = 0
  const take = (size: number): number => {
    if (at + size > bytes.length) throw new RangeError('a commit is cut short')
    at += size
    return at - size
  }
  while (at < bytes.length) {
    const from = take(headBytes)
    const operations: CommitOperation[] = []
    for (let left = bytes.readUInt32BE(from + headBytes - 4); left > 0; left -= 1) {
      const opening = take(openingBytes)
      const isPut = bytes[opening] === put
      const keyLength = bytes.readUInt16BE(opening + 1)
      const valueLength = bytes.readUInt32BE(opening + 3)
      const keyFrom = take(keyLength)
      const key = bytes.toString('utf8', keyFrom, at)
      if (isPut) operations.push({ type: 'put', key, value: bytes.subarray(take(valueLength), at) })
      else operations.push({ type: 'del', key })
    }
    commits.push({
      partition: bytes.readUInt16BE(from) as PartitionId,
      previous: positionAt(bytes, from + 2),
      position: positionAt(bytes, from + 14),
      previousChain: chainAt(bytes, from + 26),
      chain: chainAt(bytes, from + 34),
      digest: bytes.readUInt32BE(from + 42),
      operations,
    })
  }
  return commits
}

function positionAt(bytes: Buffer, at: number): Position {
  return { epoch: bytes.readUIntBE(at, 6), seq: bytes.readUIntBE(at + 6, 6) }
}

function chainAt(bytes: Buffer, at: number): ChainHash {
  return { high: bytes.readUInt32BE(at), low: bytes.readUInt32BE(at + 4) }
}
