import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import { systemClock } from '../../../lib/partitions/clock.js'
import { type Commit, Committer, type CommitterOptions } from '../../../lib/partitions/committer.js'
import { PartitionKeys } from '../../../lib/partitions/keys.js'
import {
  chainAfter,
  comparePositions,
  firstHead,
  formatHead,
  parseHead,
} from '../../../lib/partitions/position.js'
import { openRecord, sealRecord } from '../../../lib/partitions/record.js'
import { openStore, type Store } from '../../../lib/partitions/store.js'
import { allPartitions, type PartitionId, partitionOf, SingleNodeRing } from '../../../lib/ring/index.js'
import { codeOf } from './support.js'

const clock = systemClock()
const one = 1 as PartitionId
const two = 2 as PartitionId

async function memoryStore(): Promise<Store> {
  return await openStore({ backend: 'memdown', clock, log: silentLog, onFatal: () => undefined })
}

function committerOn(store: Store, options: Partial<CommitterOptions> = {}): Committer {
  return new Committer({
    store,
    clock,
    log: silentLog,
    sync: false,
    queueBytesMax: 1_000_000,
    onFailure: () => undefined,
    onReady: () => undefined,
    ...options,
  })
}

function putOperation(partition: PartitionId, name: string) {
  const key = new PartitionKeys(partition, 0).record('counter:x', name)
  const { bytes, crc } = sealRecord(key, JSON.stringify(name))
  return { type: 'put', key, value: bytes, crc } as const
}

t.test('commits are numbered and chained per partition, and share batches', async t => {
  const store = await memoryStore()
  const groups: Commit[][] = []
  const committer = committerOn(store, {
    replication: {
      send: commits => void groups.push([...commits]),
      ackedSeq: () => Number.POSITIVE_INFINITY,
    },
  })
  await committer.open([one, two])
  await Promise.all([
    committer.commit(one, [putOperation(one, 'a')]),
    committer.commit(two, [putOperation(two, 'b')]),
    committer.commit(one, [putOperation(one, 'c')]),
  ])
  t.same(
    groups.map(group =>
      group.map(commit => [commit.partition, commit.head.epoch, commit.head.seq, commit.previous.seq]),
    ),
    [
      [
        [1, 1, 1, 0],
        [2, 1, 1, 0],
        [1, 1, 2, 1],
      ],
    ],
  )
  const [first, , third] = groups[0] ?? []
  t.ok(first && third)
  if (first && third) t.same(third.head.chain, chainAfter(first.head.chain, third.head, third.operations))

  const reopened = committerOn(store)
  await reopened.open([one, two])
  t.equal(reopened.head(one).epoch, 2, 'a start raises the epoch')
  t.equal(reopened.head(one).seq, 2)
  t.same(reopened.head(one).chain, third?.head.chain)
})

t.test('the disk has the next batch before the last one is let out', async t => {
  const store = await memoryStore()
  let writes = 0
  const write = store.write.bind(store)
  store.write = (operations, sync) => {
    writes += 1
    return write(operations, sync)
  }
  const committer = committerOn(store)
  await committer.open([one])
  const before = writes
  const begunWhenDone: number[] = []
  const enqueue = (name: string) =>
    new Promise<void>(resolve => {
      committer.enqueue(one, [putOperation(one, name)], 0, () => {
        begunWhenDone.push(writes - before)
        resolve()
      })
    })
  const hasBegun = async (count: number) => {
    while (writes - before < count) await new Promise<void>(resolve => setImmediate(resolve))
  }
  const first = enqueue('a')
  await hasBegun(1)
  const others = [enqueue('b'), enqueue('c')]
  await first
  t.same(begunWhenDone, [2], 'the second batch began before the first was done')
  await Promise.all(others)
  t.same(begunWhenDone, [2, 2, 2], 'and took both')

  const fourth = enqueue('d')
  await hasBegun(3)
  const looked = committer.between(() => committer.writtenHead(one).seq)
  const fifth = enqueue('e')
  t.equal(await looked, 4, 'who wants to look between two batches is let in before the next')
  await Promise.all([fourth, fifth])
})

t.test('after a large batch, the next one takes what two more turns bring', async t => {
  const store = await memoryStore()
  /** Whoever waits for the end of this turn; turned by hand. */
  let waiting: (() => void)[] = []
  const turn = (): void => {
    const due = waiting
    waiting = []
    for (const fn of due) fn()
  }
  const sizes: number[] = []
  const write = store.write.bind(store)
  store.write = (operations, sync) => {
    // One of each batch is the head of the partition.
    sizes.push(operations.length - 1)
    return write(operations, sync)
  }
  const committer = committerOn(store, { clock: { ...clock, soon: fn => void waiting.push(fn) } })
  await committer.open([one])
  sizes.length = 0
  const commit = (count: number) =>
    Promise.all(Array.from({ length: count }, (_, at) => committer.commit(one, [putOperation(one, `${at}`)])))
  const small = commit(7)
  turn()
  await small
  const large = commit(8)
  turn()
  t.same(sizes, [7, 8], 'after a small one it begins at the end of the turn')
  await large
  const first = commit(1)
  turn()
  const second = commit(2)
  turn()
  const third = commit(3)
  t.same(sizes, [7, 8])
  turn()
  t.same(sizes, [7, 8, 6], 'after a large one two turns later')
  await Promise.all([first, second, third])
  const last = commit(1)
  turn()
  await last
  t.same(sizes, [7, 8, 6, 1])
})

t.test('copies that come while a failed batch is repaired are written when it is', async t => {
  const store = await memoryStore()
  const write = store.write.bind(store)
  let copied: Promise<void> | undefined
  const committer = committerOn(store, {
    onFailure() {
      copied = new Promise((resolve, reject) => {
        const head = { ...firstHead, epoch: 1, seq: 1, lastEpoch: 1 }
        committer.copy(two, [putOperation(two, 'b')], head, error => (error ? reject(error) : resolve()))
      })
    },
  })
  await committer.open([one])
  store.write = () => Promise.reject(new Error('the disk is gone'))
  const failed = committer.commit(one, [putOperation(one, 'a')])
  await t.rejects(failed)
  store.write = write
  await copied
  t.ok(await store.get(putOperation(two, 'b').key))
})

t.test('a commit waits for its replicas without holding up other partitions', async t => {
  const store = await memoryStore()
  const acked = new Map<PartitionId, number>()
  const committer = committerOn(store, {
    replication: {
      send: () => undefined,
      ackedSeq: partition => acked.get(partition) ?? Number.POSITIVE_INFINITY,
    },
  })
  await committer.open([one, two])
  acked.set(one, 0)
  const done: string[] = []
  const first = committer.commit(one, [putOperation(one, 'a')]).then(() => done.push('one a'))
  const second = committer.commit(one, [putOperation(one, 'b')]).then(() => done.push('one b'))
  await committer.commit(two, [putOperation(two, 'a')])
  t.same(done, [], 'what the replica lacks is not acknowledged')
  t.same(
    committer.unacked(one).map(commit => commit.head.seq),
    [1, 2],
  )
  acked.set(one, 1)
  committer.acked(one)
  await first
  t.same(done, ['one a'])
  acked.delete(one)
  committer.acked(one)
  await second
  t.same(committer.unacked(one), [], 'a replica that is removed is waited for no longer')
})

t.test(
  'who resigns acknowledges nothing that waits, and numbers nothing twice when leading again',
  async t => {
    const store = await memoryStore()
    const committer = committerOn(store, {
      replication: { send: () => undefined, ackedSeq: () => 0 },
    })
    await committer.open([one])
    const waiting = codeOf(committer.commit(one, [putOperation(one, 'a')]))
    await committer.between(() => undefined)
    committer.resign(new Set([one]))
    t.equal(await waiting, 'unavailable')
    t.equal(committer.queueBytes, 0)
    t.notOk(committer.leads(one))
    await committer.open([one])
    t.ok(committer.head(one).epoch >= 2)
  },
)

t.test('writers wait while the queue is full', async t => {
  const store = await memoryStore()
  const committer = committerOn(store, {
    queueBytesMax: 300,
  })
  await committer.open([one])
  const commits = Array.from({ length: 20 }, (_, index) =>
    committer.commit(one, [putOperation(one, `n${index}`)]),
  )
  t.ok(committer.queueBytes < 700)
  t.notOk(committer.isReady)
  await Promise.all(commits)
  t.equal(committer.head(one).seq, 20)
  await committer.idle()
  t.equal(committer.queueBytes, 0)
})

t.test('a partition that waits for its replica stops itself alone', async t => {
  const store = await memoryStore()
  const acked = new Map([[one, 0]])
  let ready = 0
  const committer = committerOn(store, {
    queueBytesMax: 10_000,
    partitionBytesMax: 300,
    replication: {
      send: () => undefined,
      ackedSeq: partition => acked.get(partition) ?? Number.POSITIVE_INFINITY,
    },
    onReady: () => {
      ready += 1
    },
  })
  await committer.open([one, two])
  const waiting = ['a', 'b', 'c'].map(name => committer.commit(one, [putOperation(one, name)]))
  await committer.between(() => undefined)
  t.notOk(committer.isReadyFor(one))
  t.ok(committer.isReadyFor(two))
  t.ok(committer.isReady)
  await committer.commit(two, [putOperation(two, 'a')])
  acked.delete(one)
  committer.acked(one)
  await Promise.all(waiting)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(ready, 1, 'and is told when there is room')
  t.ok(committer.isReadyFor(one))
})

t.test('a record is bound to its key, not to its generation', async t => {
  const key = new PartitionKeys(one, 0).record('counter:x', 'a')
  const { bytes } = sealRecord(key, '"é"')
  t.equal(openRecord(key, bytes)?.text, '"é"')
  t.equal(openRecord(new PartitionKeys(one, 3).record('counter:x', 'a'), bytes)?.text, '"é"')
  t.equal(openRecord(new PartitionKeys(one, 0).record('counter:x', 'b'), bytes), undefined)
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    t.equal(openRecord(key, damaged), undefined, `byte ${at}`)
  }
  t.equal(openRecord(key, bytes.subarray(0, 3)), undefined)
})

t.test('positions are ordered and heads survive their text', async t => {
  t.ok(comparePositions({ epoch: 1, seq: 9 }, { epoch: 2, seq: 1 }) < 0)
  t.ok(comparePositions({ epoch: 2, seq: 2 }, { epoch: 2, seq: 1 }) > 0)
  const head = {
    epoch: 3,
    seq: 4,
    lastEpoch: 2,
    generation: 1,
    chain: { high: 0xffffffff, low: 5 },
    digest: 6,
  }
  t.same(parseHead(formatHead(head)), head)
  t.throws(() => parseHead('[1]'), /malformed/)
})

t.test('every key has one partition and one owner', async t => {
  const ring = new SingleNodeRing('node-under-test' as never)
  t.same(ring.members(), ['node-under-test'])
  for (const partition of allPartitions()) t.equal(ring.ownerOf(partition), ring.self)
  t.equal(partitionOf('transaction:1'), partitionOf('transaction:1'))
  const used = new Set(Array.from({ length: 5_000 }, (_, index) => partitionOf(`transaction:${index}`)))
  t.equal(used.size, 256)
  t.equal(await codeOf(ring.forward({ partition: one, key: 'a:b', message: { type: 'x' } })), 'unavailable')
})
