/** How alarms are read: no more often than they must, while their partition is being changed, from a disk that fails once. */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { Alarms } from '../../../lib/partitions/alarms.js'
import { VirtualClock } from '../../../lib/partitions/index.js'
import { PartitionKeys } from '../../../lib/partitions/keys.js'
import type { RangeResult, Store } from '../../../lib/partitions/store.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const partition = 0 as PartitionId
const keys = new PartitionKeys(partition, 0)
const settled = () => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve)))

/** Alarms over a store whose reads the test answers. */
function rig(stored: { key: EntityKey; dueAtMs: number }[], partitions = 1) {
  const clock = new VirtualClock()
  const delivered: string[] = []
  const reads: { answer(): void; fail(): void }[] = []
  const store = {
    range: ({ gte, lt, limit }: { gte: string; lt: string; limit?: number }) =>
      new Promise<RangeResult>((resolve, reject) => {
        const records = stored
          .map(({ dueAtMs, key }) => ({
            key: keys.alarm(dueAtMs, key),
            text: '',
            crc: 0,
            bytes: Buffer.alloc(0),
          }))
          .filter(({ key }) => key >= gte && key < lt)
          .sort((a, b) => (a.key < b.key ? -1 : 1))
          .slice(0, limit)
        reads.push({
          answer: () =>
            resolve({ records, damaged: [], lastKey: undefined, hasMore: records.length === limit }),
          fail: () => reject(new Error('EIO')),
        })
      }),
  } as unknown as Store
  const all = Array.from({ length: partitions }, (_, id) => new PartitionKeys(id as PartitionId, 0))
  /** Answers what is asked now, and what is asked then. */
  const answer = async (): Promise<number> => {
    let answered = 0
    for (await settled(); reads.length > 0; await settled()) {
      answered += reads.length
      for (const read of reads.splice(0)) read.answer()
    }
    return answered
  }
  const alarms = new Alarms({
    store,
    clock,
    log: silentLog,
    keys: partition => all[partition] ?? keys,
    alarmsMax: 1_000,
    deliver: async (_partition, key, dueAtMs) => {
      delivered.push(`${key} ${dueAtMs - 1_700_000_000_000}`)
      return 'delivered'
    },
  })
  return { answer, clock, delivered, reads, alarms, nowMs: clock.nowMs() }
}

const atMs = (ms: number): number => 1_700_000_000_000 + ms

t.test(
  'a read that takes long is not begun anew by what changes meanwhile, which is taken as it is now',
  async t => {
    const stored = [
      { key: 'timer:overdue' as EntityKey, dueAtMs: atMs(-3_600_000) },
      { key: 'timer:moved' as EntityKey, dueAtMs: atMs(-1_000) },
      { key: 'timer:gone' as EntityKey, dueAtMs: atMs(-1_000) },
    ]
    const { alarms, answer, clock, delivered, reads } = rig(stored)
    void alarms.start([partition], () => false)
    await settled()
    alarms.set(partition, 'timer:moved', atMs(5_000))
    alarms.set(partition, 'timer:gone', null)
    for (let number = 0; number < 100; number += 1)
      alarms.set(partition, `timer:far${number}`, atMs(10_000_000))
    t.equal(reads.length, 1)
    t.equal(alarms.count, 1, 'what is far away takes no memory')
    await answer()
    clock.advance(1)
    await settled()
    t.same(delivered, ['timer:overdue -3600000'])
    clock.advance(5_000)
    await settled()
    t.same(delivered.slice(1), ['timer:moved 5000'])
    alarms.stop()
  },
)

t.test('what a disk did not read once is read again, however long it is overdue', async t => {
  const { alarms, answer, clock, delivered, reads } = rig([{ key: 'timer:old', dueAtMs: atMs(-3_600_000) }])
  void alarms.start([partition], () => false)
  await settled()
  reads.shift()?.fail()
  await settled()
  clock.advance(2_000)
  await settled()
  t.equal(reads.length, 1)
  await answer()
  clock.advance(1)
  await settled()
  t.same(delivered, ['timer:old -3600000'])
  alarms.stop()
})

t.test('a partition that has nothing further is not read again', async t => {
  const { alarms, answer, clock, delivered, reads } = rig([{ key: 'timer:near', dueAtMs: atMs(1_000) }])
  void alarms.start([partition], () => false)
  t.equal(await answer(), 2, 'what is near, and whether there is more')
  for (let hour = 0; hour < 24; hour += 1) {
    clock.advance(3_600_000)
    await settled()
  }
  t.same(delivered, ['timer:near 1000'])
  t.equal(reads.length, 0)
  alarms.stop()
})

t.test('what is far is read when its time comes near, and once', async t => {
  const stored = [{ key: 'timer:stored' as EntityKey, dueAtMs: atMs(7_200_000) }]
  const { alarms, answer, clock, delivered } = rig(stored)
  void alarms.start([partition], () => false)
  await answer()
  stored.push({ key: 'timer:set', dueAtMs: atMs(3_600_000) })
  alarms.set(partition, 'timer:set', atMs(3_600_000))
  t.equal(alarms.count, 0)
  clock.advance(3_500_000)
  t.equal(await answer(), 0, 'not yet')
  clock.advance(90_000)
  t.equal(await answer(), 2)
  t.equal(alarms.count, 1)
  clock.advance(10_000)
  await settled()
  stored.pop()
  t.same(delivered, ['timer:set 3600000'])
  for (let minute = 0; minute < 70; minute += 1) {
    clock.advance(60_000)
    await answer()
  }
  t.same(delivered, ['timer:set 3600000', 'timer:stored 7200000'])
  alarms.stop()
})

t.test('what is set far away while a partition is read is not forgotten', async t => {
  const stored: { key: EntityKey; dueAtMs: number }[] = []
  const { alarms, answer, clock, delivered, reads } = rig(stored)
  void alarms.start([partition], () => false)
  await settled()
  // Asked for what is near.
  for (const read of reads.splice(0)) read.answer()
  await settled()
  // Asked for what comes next: it sees nothing, and is answered after this was written.
  stored.push({ key: 'timer:late', dueAtMs: atMs(600_000) })
  alarms.set(partition, 'timer:late', atMs(600_000))
  await answer()
  for (let minute = 0; minute < 11; minute += 1) {
    clock.advance(60_000)
    await answer()
  }
  t.same(delivered, ['timer:late 600000'])
  alarms.stop()
})

t.test('many partitions whose time comes near together are read a few at a time, and all', async t => {
  const stored: { key: EntityKey; dueAtMs: number }[] = []
  const { alarms, answer, clock, reads } = rig(stored, 100)
  const ids = Array.from({ length: 100 }, (_, id) => id as PartitionId)
  void alarms.start(ids, () => true)
  await settled()
  t.equal(reads.length, 0, 'they are known to be empty')
  for (const id of ids) alarms.set(id, `timer:${id}`, atMs(3_600_000))
  clock.advance(3_590_000)
  await settled()
  t.equal(reads.length, 4)
  let all = 0
  for (let round = 0; round < 200 && all < 200; round += 1) {
    all += await answer()
    clock.advance(1)
  }
  t.equal(all, 200)
  t.equal(await answer(), 0)
  alarms.stop()
})

t.test('alarms sort by their due time, from 1970 to the last one there may be', t => {
  const keys = new PartitionKeys(3 as PartitionId, 1)
  const times = [0, 1, 2 ** 24 - 1, 2 ** 24, 1_795_351_600_768, 1_795_351_600_769, 2 ** 47, 2 ** 48 - 1]
  const written = times.map(dueAtMs => keys.alarm(dueAtMs, 'timer:one'))
  t.same(
    written,
    times.map(dueAtMs => `p00030001/a/${dueAtMs.toString(16).padStart(12, '0')}/timer:one`),
  )
  t.same([...written].sort(), written)
  t.end()
})
