/** A kind with one record has it in the head of its entity: whatever happens to the entity, it is there or damaged. */
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import { openLevelDisk } from '../../../lib/partitions/disk.js'
import { parseEntityHead } from '../../../lib/partitions/entity-head.js'
import { openPartitions, partitionOf } from '../../../lib/partitions/index.js'
import { partitionsRange } from '../../../lib/partitions/keys.js'
import { openRecord } from '../../../lib/partitions/record.js'
import {
  exportState,
  importState,
  listEntities,
  openState,
  showEntity,
  verify,
} from '../../../lib/partitions/state-tools.js'
import { codeOf, collect, counterKind, temporaryDirectory } from './support.js'

t.setTimeout(180_000)

const kind = { ...counterKind, name: 'single', recordNames: ['total'] }
const key = 'single:one'

async function open(path: string) {
  const partitions = await openPartitions({ storage: { backend: 'leveldown', path }, log: silentLog })
  partitions.register(kind)
  await partitions.start()
  return partitions
}

const openDisk = (path: string) =>
  openLevelDisk({ backend: 'leveldown', path, repairName: () => 'never', onDamage: () => t.fail('damage') })

/** Class and rest of the keys of all that is on disk of entities and alarms. */
async function keysOn(path: string): Promise<string[]> {
  const disk = await openDisk(path)
  const entries = await disk.range(partitionsRange)
  await disk.close()
  return entries.map(entry => entry.key.slice('p00000000/'.length).replace(/^a\/[0-9a-f]+/, 'a/due'))
}

t.test('one key for the entity, through all that can happen to it', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  const store = join(path, 'store')
  let node = await open(store)
  await node.send(key, { type: 'add', amount: 2 } as never)
  await node.send('single:other', { type: 'add', amount: 7 } as never)
  await node.send('single:other', { type: 'delete' })
  await node.stop()
  t.same(await keysOn(store), [`e/${key}\0`])

  node = await open(store)
  // Nothing but the alarm changes, before the state was ever asked for.
  await node.send(key, { type: 'wake', atMs: 5_000_000_000_000 } as never)
  await node.stop()
  t.same(await keysOn(store), [`a/due/${key}`, `e/${key}\0`])

  node = await open(store)
  t.equal((await node.send<{ total: number }>(key, { type: 'read' })).total, 2)
  t.equal(await node.send(key, { type: 'add', amount: 3 } as never), 5)
  t.same(await node.list('single', partitionOf(key), { after: '', limit: 10 }), {
    entities: [{ key, records: { total: 5 } }],
    hasMore: false,
  })
  t.equal(await node.send(key, { type: 'write', put: {}, del: ['total'] } as never), true)
  await node.stop()

  node = await open(store)
  t.equal((await node.send<{ total: number }>(key, { type: 'read' })).total, 0)
  await node.send(key, { type: 'add', amount: 1 } as never)
  await node.send(key, { type: 'delete' })
  await node.stop()
  t.same(await keysOn(store), [])
})

t.test('operators see it, check it, carry it out and bring it back', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  const [from, to] = [join(path, 'from'), join(path, 'to')]
  const node = await open(from)
  await node.send(key, { type: 'add', amount: 4 } as never)
  await node.stop()

  const state = await openState(from)
  t.match(await collect(listEntities(state)), [{ key, records: 1, status: 'whole' }])
  t.same((await showEntity(state, key))?.values, { total: 4 })
  t.same(await collect(verify(state)), [])
  const exported = await collect(exportState(state))
  await state.close()

  async function* lines(): AsyncGenerator<string> {
    yield* exported
  }
  const target = await openState(to, { readOnly: false })
  t.same(await importState(target, lines), { imported: 1, replaced: 0 })
  await target.close()
  // Whoever imports knows no kinds: records lie beside the head, as they did before.
  t.same(await keysOn(to), [`e/${key}\0`, `e/${key}\0total`])

  const copy = await open(to)
  t.equal((await copy.send<{ total: number }>(key, { type: 'read' })).total, 4)
  t.equal(await copy.send(key, { type: 'add', amount: 1 } as never), 5)
  await copy.stop()
  t.same(await keysOn(to), [`e/${key}\0`])
  const last = await openState(to)
  t.same(await collect(verify(last)), [])
  await last.close()
})

t.test('what is damaged is set aside, not served', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  const store = join(path, 'store')
  let node = await open(store)
  // What is read first anyway, to see whether there is anything.
  let first = 0
  while (partitionOf(`single:${first}`) !== partitionOf(key)) first += 1
  await node.send(`single:${first}`, { type: 'add', amount: 1 } as never)
  await node.send(key, { type: 'add', amount: 4 } as never)
  await node.stop()
  const disk = await openDisk(store)
  const [, entry] = await disk.range(partitionsRange)
  const bytes = Buffer.from(entry?.bytes ?? '')
  t.match(parseEntityHead(openRecord(entry?.key ?? '', bytes)?.text ?? ''), {
    records: 0,
    only: { name: 'total', text: '4' },
  })
  bytes[bytes.length - 1] = 0x39
  await disk.write([{ type: 'put', key: entry?.key ?? '', value: bytes }], true)
  await disk.close()

  node = await open(store)
  t.equal(await codeOf(node.send(key, { type: 'read' })), 'damaged')
  await node.stop()
  t.same(await keysOn(store), [`e/single:${first}\0`])
})

t.test('heads that no version writes are none', async t => {
  for (const text of ['[0,0,null,1,2]total', '[0,0,null,1,2]\0{}', '[0,0,null,1]total\0{}', 'total\0{}', ''])
    t.equal(parseEntityHead(text), undefined, JSON.stringify(text))
})
