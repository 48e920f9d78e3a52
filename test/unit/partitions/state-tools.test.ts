import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../lib/log.js'
import { openPartitions } from '../../../lib/partitions/index.js'
import {
  exportState,
  importState,
  listEntities,
  openState,
  showEntity,
  verify,
} from '../../../lib/partitions/state-tools.js'
import { type CounterState, collect, counterKind, temporaryDirectory } from './support.js'

// fsync is slow on a busy disk.
t.setTimeout(180_000)

async function open(path: string) {
  const partitions = await openPartitions({ storage: { backend: 'leveldown', path }, log: silentLog })
  partitions.register(counterKind)
  return partitions
}

async function* linesOf(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines
}

t.test('a stopped node is listed, shown, checked, carried out and brought back', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  const from = join(path, 'from')
  const node = await open(from)
  await node.start()
  for (let index = 0; index < 20; index += 1) {
    await node.send(`counter:${index}`, { type: 'add', amount: index } as never)
  }
  await node.send('counter:3', { type: 'wake', atMs: 5_000_000_000_000 } as never)
  await node.send('counter:3', { type: 'tell', to: 'nobody', target: 'x', ids: ['z', 'a'] } as never)
  await node.send('counter:4', { type: 'record' })
  await t.rejects(openState(from), { message: /another process has the store open/ })
  await node.stop()

  const state = await openState(from)
  const listed = await collect(listEntities(state))
  t.equal(listed.length, 20)
  t.ok(listed.every(entity => entity.kind === 'counter' && entity.status === 'whole' && entity.records === 1))
  const shown = await showEntity(state, 'counter:3')
  t.same(shown?.values, { total: 3 })
  t.equal(shown?.alarmAtMs, 5_000_000_000_000)
  t.same(
    shown?.effects.map(effect => effect.id),
    ['z', 'a'],
  )
  t.equal((await showEntity(state, 'counter:4'))?.isMarked, true)
  t.equal(await showEntity(state, 'counter:none'), undefined)
  t.same(await collect(verify(state)), [])
  const exported = await collect(exportState(state))
  t.equal(exported.length, 22)
  await state.close()

  const to = join(path, 'to')
  const target = await openState(to, { readOnly: false })
  for (const [what, lines, message] of [
    ['cut', exported.slice(0, -1), /ends too early/],
    ['short', [...exported.slice(0, 5), ...exported.slice(-1)], /cut/],
    ['changed', exported.map(line => line.replace('"total":3}', '"total":4}')), /changed/],
    ['no export', ['{"type":"other"}\n'], /not an exported state/],
    ['no JSON', [...exported.slice(0, 3), 'hello\n'], /line 4: this is not JSON/],
    [
      'no entity',
      [...exported.slice(0, 3), '{"type":"entity","key":"__proto__"}\n'],
      /line 4: this is not an entity/,
    ],
  ] as const) {
    await t.rejects(
      importState(target, () => linesOf(lines)),
      { message },
      what,
    )
  }
  t.same(await importState(target, () => linesOf(exported)), { imported: 20, replaced: 0 })
  await target.close()

  const again = await openState(to, { readOnly: false })
  t.same(await collect(verify(again)), [])
  await t.rejects(
    importState(again, () => linesOf(exported)),
    { message: /20 entities exist already/ },
  )
  t.same(await importState(again, () => linesOf(exported), { overwrite: true }), {
    imported: 20,
    replaced: 20,
  })
  await again.close()

  const copy = await open(to)
  const sent: string[] = []
  copy.onEffect('nobody', {
    async dispatch(effect) {
      sent.push(effect.id)
    },
  })
  await copy.start()
  t.equal((await copy.send<CounterState>('counter:19', { type: 'read' })).total, 19)
  t.equal(copy.outboxRows, 1)
  t.same(sent, ['z', 'a'])
  await copy.stop()
  const last = await openState(to)
  t.same(await collect(verify(last)), [])
  await last.close()
})
