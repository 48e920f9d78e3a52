/** How alarms are read: while their partition is being changed, and from a disk that fails once. */
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
function rig(stored: readonly { key: EntityKey; dueAtMs: number }[]) {
  const clock = new VirtualClock()
  const delivered: string[] = []
  const reads: { answer(): void; fail(): void }[] = []
  const store = {
    range: ({ gte, lt }: { gte: string; lt: string }) =>
      new Promise<RangeResult>((resolve, reject) => {
        const records = stored
          .map(({ dueAtMs, key }) => ({
            key: keys.alarm(dueAtMs, key),
            text: '',
            crc: 0,
            bytes: Buffer.alloc(0),
          }))
          .filter(({ key }) => key >= gte && key < lt)
        reads.push({
          answer: () => resolve({ records, damaged: [], lastKey: undefined, hasMore: false }),
          fail: () => reject(new Error('EIO')),
        })
      }),
  } as unknown as Store
  const alarms = new Alarms({
    store,
    clock,
    log: silentLog,
    keys: () => keys,
    alarmsMax: 1_000,
    deliver: async (_partition, key, dueAtMs) => {
      delivered.push(`${key} ${dueAtMs - 1_700_000_000_000}`)
      return 'delivered'
    },
  })
  return { clock, delivered, reads, alarms, nowMs: clock.nowMs() }
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
    const { alarms, clock, delivered, reads } = rig(stored)
    void alarms.start([partition], () => false)
    await settled()
    alarms.set(partition, 'timer:moved', atMs(5_000))
    alarms.set(partition, 'timer:gone', null)
    for (let number = 0; number < 100; number += 1)
      alarms.set(partition, `timer:far${number}`, atMs(10_000_000))
    t.equal(reads.length, 1)
    t.equal(alarms.count, 1, 'what is far away takes no memory')
    reads[0]?.answer()
    await settled()
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
  const { alarms, clock, delivered, reads } = rig([{ key: 'timer:old', dueAtMs: atMs(-3_600_000) }])
  void alarms.start([partition], () => false)
  await settled()
  reads[0]?.fail()
  await settled()
  clock.advance(2_000)
  await settled()
  t.equal(reads.length, 2)
  reads[1]?.answer()
  await settled()
  clock.advance(1)
  await settled()
  t.same(delivered, ['timer:old -3600000'])
  alarms.stop()
})
