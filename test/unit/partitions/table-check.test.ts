/** Tables of LevelDB: whole ones are taken for whole, compressed or not, and no byte can change unseen. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLevelDisk } from '../../../lib/partitions/disk.js'
import { isWholeTable } from '../../../lib/partitions/table-check.js'

t.test('every byte but the padding of the footer is guarded', async t => {
  const path = t.testdir()
  const open = () =>
    openLevelDisk({
      backend: 'leveldown',
      path,
      repairName: () => 'repair',
      onDamage: () => t.fail('damage'),
    })
  const disk = await open()
  for (let batch = 0; batch < 20; batch++) {
    const operations = Array.from({ length: 100 }, (_, index) => ({
      type: 'put' as const,
      key: `key/${batch}/${index}`,
      value: Buffer.from(`${batch} ${'text '.repeat(index)}`),
    }))
    await disk.write(operations, true)
  }
  await disk.close()
  // The log becomes a table at the next opening.
  await (await open()).close()
  const tables = readdirSync(path).filter(name => name.endsWith('.ldb'))
  t.ok(tables.length > 0)
  for (const name of tables) {
    const file = readFileSync(join(path, name))
    t.equal(isWholeTable(file), true, `${name}: ${file.length} bytes`)
    t.equal(isWholeTable(file.subarray(0, file.length - 1)), false, 'cut')
    t.equal(isWholeTable(file.subarray(0, file.length / 2)), false, 'cut in half')
    let unseen = 0
    const step = Math.max(1, Math.floor(file.length / 500))
    for (let at = 0; at < file.length - 48; at += step) {
      const changed = Buffer.from(file)
      changed[at] = (changed[at] ?? 0) ^ 0x10
      if (isWholeTable(changed)) unseen += 1
    }
    t.equal(unseen, 0)
  }
})
