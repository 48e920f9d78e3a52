/** What is asked of a disk that is being closed: an error, where LevelDB itself would end the process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import { type Disk, type DiskOperation, openLevelDisk } from '../../../lib/partitions/disk.js'
import { systemClock } from '../../../lib/partitions/index.js'
import { openStore } from '../../../lib/partitions/store.js'
import { rejectsWith } from '../accounts/rejects-with.js'

const put = (key: string): DiskOperation => ({ type: 'put', key, value: Buffer.from(key) })
const everything = { gte: 'a', lt: 'z' }

for (const backend of ['leveldown', 'memdown'] as const)
  t.test(`${backend}: what was begun before a close is done, what comes after is refused`, async t => {
    const path = mkdtempSync(join(tmpdir(), 'interval-disk-'))
    t.teardown(() => rmSync(path, { recursive: true, force: true }))
    const open = (): Promise<Disk> =>
      openLevelDisk({ backend, path, repairName: () => 'never', onDamage: damage => t.fail(damage.error) })
    const disk = await open()
    await disk.write([put('a')], true)
    const begun = Promise.all(Array.from({ length: 20 }, (_, at) => disk.write([put(`b${at}`)], true)))
    const pages = disk.pages(everything)
    const closed = disk.close()
    const late = [
      () => disk.write([put('c')], true),
      () => disk.get('a'),
      () => disk.some(['a']),
      () => disk.range(everything),
      async () => void disk.pages(everything),
    ]
    for (const ask of late) await rejectsWith(t, ask(), 'unavailable')
    await pages.end()
    await Promise.all([begun, closed])
    for (const ask of late) await rejectsWith(t, ask(), 'unavailable')
    if (backend === 'memdown') return
    const again = await open()
    t.equal((await again.range(everything)).length, 21)
    await again.close()
  })

t.test('a note that comes too late is no failure of the disk', async t => {
  const store = await openStore({
    backend: 'memdown',
    clock: systemClock(),
    log: silentLog,
    onFatal: error => t.fail(String(error)),
  })
  await store.note('one', 'text')
  t.equal(await store.noted('one'), 'text')
  await store.close()
  await rejectsWith(t, store.note('one', 'other'), 'unavailable')
})
