/** What waits for a change of the rows: requests for a leader that is away ask again several times a second, for hours. */
import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import { type Clock, VirtualClock } from '../../../lib/partitions/clock.js'
import { RowTable, type RowTableOptions } from '../../../lib/partitions/row-table.js'

t.test('whoever has waited in vain is forgotten, and the others are woken', async t => {
  const time = new VirtualClock()
  let woken = 0
  const clock: Clock = {
    nowMs: () => time.nowMs(),
    setTimer(ms, fn) {
      const timer = time.setTimer(ms, fn)
      return {
        cancel() {
          woken += 1
          timer.cancel()
        },
      }
    },
    soon: fn => time.soon(fn),
  }
  const peers = { self: { storeId: 'store-1' }, onCall: () => undefined }
  const rows = new RowTable({ peers, clock, log: silentLog } as unknown as RowTableOptions)
  for (let times = 0; times < 1_000; times += 1) {
    const changed = rows.changed(10)
    time.advance(10)
    await changed
  }
  const waits = rows.changed(10)
  rows.wakeWaiters()
  await waits
  t.equal(woken, 1)
})
