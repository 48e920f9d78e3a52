/** What a store that copies partitions leaves on its disk. */
import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import type { Committer } from '../../../lib/partitions/committer.js'
import { Copies } from '../../../lib/partitions/copies.js'
import { VirtualClock } from '../../../lib/partitions/index.js'
import { headKey, PartitionKeys, partitionsRange } from '../../../lib/partitions/keys.js'
import { firstHead, formatHead } from '../../../lib/partitions/position.js'
import { sealRecord } from '../../../lib/partitions/record.js'
import { openStore } from '../../../lib/partitions/store.js'
import type { PartitionId } from '../../../lib/ring/index.js'

t.test('generations that no head points to are removed at a start', async t => {
  const store = await openStore({
    backend: 'memdown',
    clock: new VirtualClock(),
    log: silentLog,
    onFatal: error => t.fail(String(error)),
  })
  t.teardown(() => store.close())
  const put = (key: string, text: string) => ({
    type: 'put' as const,
    key,
    value: sealRecord(key, text).bytes,
  })
  const [whole, cut, lost] = [7, 8, 9] as PartitionId[] as [PartitionId, PartitionId, PartitionId]
  const head = { ...firstHead, epoch: 3, seq: 4, lastEpoch: 3, generation: 2 }
  const keysOf = (partition: PartitionId, generation: number) =>
    Array.from({ length: 2_500 }, (_, index) =>
      new PartitionKeys(partition, generation).record('list:1', `r${String(index).padStart(5, '0')}`),
    )
  for (const [partition, generation] of [
    [whole, 2],
    [cut, 1],
    [cut, 2],
    [cut, 3],
    [cut, 0xffff],
    [lost, 1],
    [lost, 2],
  ] as const) {
    await store.write(
      keysOf(partition, generation).map(key => put(key, '1')),
      true,
    )
  }
  for (const partition of [whole, cut]) await store.write([put(headKey(partition), formatHead(head))], true)
  const copies = new Copies({
    store,
    committer: { leads: () => false } as unknown as Committer,
    log: silentLog,
    accepts: () => ({ ok: true, epoch: 3 }),
  })
  copies.load(new Map([whole, cut, lost].map(partition => [partition, head])))
  await copies.sweep()
  const { records } = await store.range(partitionsRange)
  t.same(
    records.map(record => record.key),
    [
      ...keysOf(whole, 2),
      ...keysOf(cut, 2),
      // Its head was rebuilt: nobody knows for sure which generation was its own.
      ...keysOf(lost, 1),
      ...keysOf(lost, 2),
    ],
  )
})
