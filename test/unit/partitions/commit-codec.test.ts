/** Commits as bytes between nodes: what comes out is what went in, and what is cut short is refused. */
import t from 'tap'
import { decodeCommits, encodeCommits } from '../../../lib/partitions/commit-codec.js'
import type { Commit } from '../../../lib/partitions/committer.js'
import { PartitionKeys } from '../../../lib/partitions/keys.js'
import { type CommitOperation, firstHead } from '../../../lib/partitions/position.js'
import { sealRecord } from '../../../lib/partitions/record.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const big = 2 ** 40 + 5

function commit(partition: number, operations: readonly CommitOperation[]): Commit {
  return {
    partition: partition as PartitionId,
    operations,
    previous: { epoch: 3, seq: big },
    previousChain: { high: 0xffffffff, low: 1 },
    head: { ...firstHead, epoch: big, seq: 8, chain: { high: 7, low: 0xfffffffe }, digest: 0x80000000 },
    bytes: 0,
  }
}

const keys = new PartitionKeys(9 as PartitionId, 513)
const put = (name: string, text: string): CommitOperation => {
  const key = keys.record('counter:é–1', name)
  return { type: 'put', key, value: sealRecord(key, text).bytes }
}
const commits = [
  commit(9, [
    put('', '[1]'),
    put('long', 'ü'.repeat(70_000)),
    { type: 'del', key: keys.mark('counter:é–1') },
  ]),
  commit(255, []),
  commit(0, [put('x', '')]),
]
const bytes = encodeCommits(commits)

t.test('what comes out is what went in', async t => {
  const decoded = decodeCommits(bytes)
  t.equal(decoded.length, commits.length)
  for (const [at, { head, operations, partition, previous, previousChain }] of commits.entries()) {
    t.same(decoded[at], {
      partition,
      previous,
      previousChain,
      position: { epoch: head.epoch, seq: head.seq },
      chain: head.chain,
      digest: head.digest,
      operations: operations.map(operation => ({
        ...operation,
        key: operation.key.slice(keys.prefix.length),
      })),
    })
  }
  t.same(decodeCommits(Buffer.alloc(0)), [])
})

t.test('what is cut short is refused, wherever it is cut', async t => {
  const short = encodeCommits([commit(9, [put('', '[1]'), put('name', '{}')])])
  t.equal(decodeCommits(short).length, 1)
  for (let length = 1; length < short.length; length += 1)
    t.throws(() => decodeCommits(short.subarray(0, length)), RangeError, `${length} of ${short.length} bytes`)
})
