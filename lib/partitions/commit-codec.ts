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

const headBytes = 2 + 4 * 6 + 5 * 4 + 4
const put = 1
const del = 0

/** Bytes that `encodeCommits` makes of one commit, roughly: for bounding messages. */
export function encodedBytes(commit: Commit): number {
  return commit.bytes + headBytes
}

export function encodeCommits(commits: readonly Commit[]): Buffer {
  const parts: Buffer[] = []
  for (const commit of commits) {
    const { head, operations, partition, previous, previousChain } = commit
    const bytes = Buffer.allocUnsafe(headBytes)
    let at = bytes.writeUInt16BE(partition, 0)
    for (const number of [previous.epoch, previous.seq, head.epoch, head.seq])
      at = bytes.writeUIntBE(number, at, 6)
    const { chain, digest } = head
    for (const number of [previousChain.high, previousChain.low, chain.high, chain.low, digest]) {
      at = bytes.writeUInt32BE(number, at)
    }
    bytes.writeUInt32BE(operations.length, at)
    parts.push(bytes)
    for (const operation of operations) {
      const key = Buffer.from(operation.key.slice(sealedFrom(operation.key)))
      const isPut = operation.type === 'put'
      const opening = Buffer.allocUnsafe(7)
      opening[0] = isPut ? put : del
      opening.writeUInt16BE(key.length, 1)
      opening.writeUInt32BE(isPut ? operation.value.length : 0, 3)
      parts.push(opening, key)
      if (isPut) parts.push(operation.value)
    }
  }
  return Buffer.concat(parts)
}

/** @throws RangeError when the bytes are none that `encodeCommits` makes */
export function decodeCommits(bytes: Buffer): SentCommit[] {
  const commits: SentCommit[] = []
  let at = 0
  const number = (size: number): number => {
    const value = bytes.readUIntBE(at, size)
    at += size
    return value
  }
  const slice = (size: number): Buffer => {
    if (at + size > bytes.length) throw new RangeError('a commit is cut short')
    at += size
    return bytes.subarray(at - size, at)
  }
  while (at < bytes.length) {
    const partition = number(2) as PartitionId
    const previous = { epoch: number(6), seq: number(6) }
    const position = { epoch: number(6), seq: number(6) }
    const previousChain = { high: number(4), low: number(4) }
    const chain = { high: number(4), low: number(4) }
    const digest = number(4)
    const operations: CommitOperation[] = []
    for (let left = number(4); left > 0; left -= 1) {
      const isPut = number(1) === put
      const keyLength = number(2)
      const valueLength = number(4)
      const key = slice(keyLength).toString()
      if (isPut) operations.push({ type: 'put', key, value: slice(valueLength) })
      else operations.push({ type: 'del', key })
    }
    commits.push({ partition, previous, previousChain, position, chain, digest, operations })
  }
  return commits
}
