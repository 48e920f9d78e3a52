import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { type Damage, openPartitions, type Partitions, partitionOf } from '../../../lib/partitions/index.js'
import { PartitionKeys } from '../../../lib/partitions/keys.js'
import { leveldown } from '../../../lib/partitions/leveldb.js'
import { openState, verify } from '../../../lib/partitions/state-tools.js'
import { type CounterState, codeOf, counterKind, temporaryDirectory } from './support.js'

async function open(path: string, damages: Damage[] = []): Promise<Partitions> {
  const partitions = await openPartitions({
    storage: { backend: 'leveldown', path },
    log: silentLog,
    onDamage: damage => damages.push(damage),
  })
  partitions.register(counterKind)
  await partitions.start()
  return partitions
}

// Many stores are opened one after the other, each with fsync: slow on a busy disk.
t.setTimeout(180_000)

const entityCount = 40

/** A store with entities of a few records, spread over several files. */
async function fill(path: string): Promise<void> {
  for (let boot = 0; boot < 3; boot += 1) {
    const partitions = await open(path)
    const writes = Array.from({ length: entityCount }, (_, index) => {
      const put = { a: `${index}`.repeat(500), b: boot, [`c${boot}`]: index }
      return partitions.send(`counter:${index}`, { type: 'write', put } as never)
    })
    await Promise.all(writes)
    await partitions.stop()
  }
}

/** Every entity either answers with all it had or is refused once as damaged; the node itself goes on. */
async function survey(partitions: Partitions): Promise<{ whole: number; damaged: number; lost: number }> {
  const counts = { whole: 0, damaged: 0, lost: 0 }
  for (let index = 0; index < entityCount; index += 1) {
    const key: EntityKey = `counter:${index}`
    const code = await codeOf(partitions.send(key, { type: 'read' }))
    if (code === 'damaged') {
      counts.damaged += 1
      continue
    }
    if (code !== 'none') throw new Error(`${key}: ${code}`)
    const { notes } = await partitions.send<CounterState>(key, { type: 'read' })
    if (Object.keys(notes).length === 0) counts.lost += 1
    else if (notes.a === `${index}`.repeat(500) && notes.b !== undefined && notes[`c${notes.b}`] === index) {
      counts.whole += 1
    } else throw new Error(`${key} is served in part`)
  }
  await partitions.send('counter:after', { type: 'add', amount: 1 } as never)
  return counts
}

async function filesOf(path: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(path)).filter(name => pattern.test(name)).map(name => join(path, name))
}

async function problemsOf(path: string): Promise<string[]> {
  const state = await openState(path)
  const problems: string[] = []
  for await (const problem of verify(state))
    problems.push(`${problem.severity} ${problem.what}: ${problem.reason}`)
  await state.close()
  return problems
}

/** Changes the raw value under a key, behind the store's back. */
async function tamper(
  path: string,
  key: string,
  change: (bytes: Buffer) => Buffer | undefined,
): Promise<void> {
  const level = leveldown(path)
  await new Promise<void>((resolve, reject) => level.open(error => (error ? reject(error) : resolve())))
  const bytes = await new Promise<Buffer>((resolve, reject) =>
    level.get(key, (error, value) => (error ? reject(error) : resolve(value as Buffer))),
  )
  const changed = change(bytes)
  await new Promise<void>((resolve, reject) => {
    const done = (error: Error | undefined) => (error ? reject(error) : resolve())
    if (changed) level.put(key, changed, done)
    else level.del(key, done)
  })
  await new Promise<void>((resolve, reject) => level.close(error => (error ? reject(error) : resolve())))
}

t.test('an untouched store verifies', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  await fill(path)
  t.same(await problemsOf(path), [])
  await t.rejects(openState(join(path, 'nowhere')), { message: /there is no store/ })
})

for (const [name, change, reason] of [
  ['a damaged record', (bytes: Buffer) => Buffer.from(bytes).fill(0x41, 20, 21), /a record of it is damaged/],
  ['a lost record', () => undefined, /it has 4 records in place of 5/],
] as const) {
  t.test(`${name} is never served and takes its entity aside, nothing else`, async t => {
    const { path, remove } = await temporaryDirectory()
    t.teardown(remove)
    await fill(path)
    const keys = new PartitionKeys(partitionOf('counter:7'), 0)
    await tamper(path, keys.record('counter:7', 'a'), change)
    t.ok((await problemsOf(path)).some(problem => reason.test(problem)))
    const damages: Damage[] = []
    const partitions = await open(path, damages)
    t.same(await survey(partitions), { whole: entityCount - 1, damaged: 1, lost: 0 })
    t.ok(
      damages.some(
        damage => damage.kind === 'entity' && damage.what === 'counter:7' && reason.test(damage.reason),
      ),
    )
    t.same(
      (await partitions.send<CounterState>('counter:7', { type: 'read' })).notes,
      {},
      'it can begin anew',
    )
    await partitions.stop()
    const after = await problemsOf(path)
    t.equal(after.length, 1)
    t.match(after[0], /note quarantine/)
  })
}

t.test('an older copy of an entity is not taken for the latest', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  await fill(path)
  const keys = new PartitionKeys(partitionOf('counter:7'), 0)
  let old: Buffer | undefined
  await tamper(path, keys.record('counter:7', 'b'), bytes => {
    old = bytes
    return bytes
  })
  const partitions = await open(path)
  await partitions.send('counter:7', { type: 'write', put: { b: 99 } } as never)
  await partitions.stop()
  await tamper(path, keys.record('counter:7', 'b'), () => old)
  const again = await open(path)
  t.equal(await codeOf(again.send('counter:7', { type: 'read' })), 'damaged')
  await again.stop()
})

t.test('a lost entity is found by its partition', async t => {
  const { path, remove } = await temporaryDirectory()
  t.teardown(remove)
  await fill(path)
  const keys = new PartitionKeys(partitionOf('counter:7'), 0)
  for (const name of ['', 'a', 'b', 'c0', 'c1', 'c2'])
    await tamper(path, keys.record('counter:7', name), () => undefined)
  const problems = await problemsOf(path)
  t.equal(problems.length, 1)
  t.match(problems[0], /partition \d+: an entity is missing/)
})

const fileDamages: readonly [string, (path: string) => Promise<void>][] = [
  [
    'flipped bytes in a table',
    async path => {
      for (const file of (await filesOf(path, /\.ldb$/)).slice(0, 1)) {
        const bytes = await readFile(file)
        const middle = Math.floor(bytes.length / 2)
        for (let at = middle; at < middle + 30; at += 1) bytes[at] = (bytes[at] ?? 0) ^ 0xff
        await writeFile(file, bytes)
      }
    },
  ],
  [
    'a table cut short',
    async path => {
      for (const file of (await filesOf(path, /\.ldb$/)).slice(0, 1)) {
        await truncate(file, Math.floor((await readFile(file)).length / 2))
      }
    },
  ],
  ['a missing table', async path => rm((await filesOf(path, /\.ldb$/))[0] ?? '')],
  [
    'a damaged manifest',
    async path => {
      for (const file of await filesOf(path, /^MANIFEST/)) await writeFile(file, Buffer.alloc(300, 0x5a))
    },
  ],
  ['a missing CURRENT', async path => rm(join(path, 'CURRENT'))],
  [
    'a log cut short',
    async path => {
      for (const file of await filesOf(path, /\.log$/)) {
        await truncate(file, Math.floor((await readFile(file)).length / 2))
      }
    },
  ],
  [
    'flipped bytes in the log',
    async path => {
      for (const file of await filesOf(path, /\.log$/)) {
        const bytes = await readFile(file)
        for (let at = 50; at < bytes.length; at += 4_001) bytes[at] = (bytes[at] ?? 0) ^ 0xff
        await writeFile(file, bytes)
      }
    },
  ],
]

for (const [name, damage] of fileDamages) {
  t.test(`${name} is not fatal: what is left is whole, what is not is reported`, async t => {
    const { path, remove } = await temporaryDirectory()
    t.teardown(remove)
    await fill(path)
    await damage(path)
    const damages: Damage[] = []
    const partitions = await open(path, damages)
    const counts = await survey(partitions)
    t.comment(`${JSON.stringify(counts)}, ${damages.length} reports, first: ${damages[0]?.reason}`)
    t.equal(counts.whole + counts.damaged + counts.lost, entityCount)
    if (name === 'flipped bytes in the log') t.match(damages[0]?.reason, /dropping \d+ bytes/)
    if (counts.damaged > 0) t.ok(damages.some(report => report.kind === 'entity'))
    await partitions.stop()
    const again = await open(path)
    t.equal((await survey(again)).damaged, 0, 'set aside once, and for good')
    await again.stop()
  })
}
