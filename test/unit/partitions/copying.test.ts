/** What a leader's side knows of a store that it copies to, when the copy fails late. Time is virtual. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import { silentLog } from '../../../lib/log.js'
import type { Committer } from '../../../lib/partitions/committer.js'
import type { StoreId } from '../../../lib/partitions/configuration.js'
import { VirtualClock } from '../../../lib/partitions/index.js'
import { firstHead } from '../../../lib/partitions/position.js'
import { LeaderReplication } from '../../../lib/partitions/replication.js'
import { sendSnapshot } from '../../../lib/partitions/snapshots.js'
import type { Store } from '../../../lib/partitions/store.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const settle = () => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve)))
const partition = 1 as PartitionId
const store = 'store-x' as StoreId
const head = { ...firstHead, epoch: 5, lastEpoch: 5, seq: 10, chain: { high: 1, low: 1 } }

function leader(named: ReadonlySet<StoreId>) {
  const committer = {
    head: () => head,
    writtenHead: () => head,
    unacked: () => [],
    leads: () => true,
    acked: () => undefined,
    between: async <Result>(look: () => Result) => look(),
  } as unknown as Committer
  const replication = new LeaderReplication({
    clock: new VirtualClock(),
    log: silentLog,
    committer: () => committer,
    call: async () => Buffer.from('[]'),
    outdated: () => undefined,
    diverged: () => undefined,
    mayName: (_partition, name) => named.has(name),
    fewSinceMs: () => undefined,
    isIsolated: () => false,
    isConnected: () => true,
  })
  return { committer, replication }
}

t.test('an old copy that fails late does not forget a follower that the row names since', async t => {
  const { committer, replication } = leader(new Set([store]))
  replication.lead(partition, [], head)
  let failPage: (error: unknown) => void = () => undefined
  const pages = {
    next: async () => [{ key: 'p/0001/0000/e/x', bytes: Buffer.alloc(1) }],
    end: async () => {},
  }
  const copied = sendSnapshot(
    {
      store: { pages: () => pages } as unknown as Store,
      committer,
      replication,
      call: (_to, kind) =>
        kind === 'snapshot-page'
          ? new Promise((_resolve, reject) => {
              failPage = reject
            })
          : Promise.resolve(Buffer.alloc(0)),
    },
    partition,
    store,
  )
  await settle()
  t.same(replication.following(partition), [], 'it is only copied to')
  // Another node took over, copied to it, named it and is gone: this one leads again, with the store as its follower.
  replication.resign(partition)
  replication.lead(partition, [store], head)
  failPage(new AppError('timeout'))
  await t.rejects(copied, { code: 'timeout' })
  t.same(replication.following(partition), [store])
  t.equal(replication.ackedSeq(partition), -1, 'nothing is acknowledged that it has not confirmed')
})

t.test('a copy that fails is forgotten', async t => {
  const { replication } = leader(new Set())
  replication.lead(partition, [], head)
  const copy = replication.beginCopy(partition, store)
  replication.abandonCopy(partition, copy)
  t.notOk(replication.endCopy(partition, copy, head), 'it does not come to follow any more')
  const again = replication.beginCopy(partition, store)
  t.notOk(replication.endCopy(partition, copy, head), 'nor in the place of a later one')
  t.ok(replication.endCopy(partition, again, head))
  t.same(replication.following(partition), [store])
})

t.test('who is waited for is not copied to, nor dropped while the row may name it', async t => {
  const named = new Set([store])
  const { replication } = leader(named)
  t.throws(() => replication.beginCopy(partition, store), { code: 'conflict' }, 'nothing is led')
  replication.lead(partition, [store], head)
  t.throws(() => replication.beginCopy(partition, store), { code: 'conflict' })
  replication.drop(partition, store)
  t.same(replication.following(partition), [store])
  named.clear()
  replication.drop(partition, store)
  t.same(replication.following(partition), [])
})
