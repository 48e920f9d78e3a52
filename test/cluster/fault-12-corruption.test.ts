/**
 * Fault 12: bits that turn around and ends that are missing, in each kind of file of one node's store. Three nodes, two
 * copies of everything: the damage is found when the store is opened or read, what is damaged is set aside, the copies
 * are made whole again by the others, and nothing that was acknowledged is lost, also when the node next to it is
 * killed afterwards, so that what was damaged has to serve.
 */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(900_000)
const isLong = process.env.TEST_LONG !== undefined
const skip = !isLong && 'a part of npm run test:long'
const runCount = 24

/** Turns one bit around at each of these places, given as parts of the file's length. */
function flip(path: string, places: readonly number[] = [0.5]): void {
  const file = openSync(path, 'r+')
  const size = statSync(path).size
  for (const place of places) {
    const at = Math.min(size - 1, Math.floor(size * place))
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ 0x10
    writeSync(file, byte, 0, 1, at)
  }
  closeSync(file)
}

function cut(path: string): void {
  truncateSync(path, Math.floor(statSync(path).size / 2))
}

const everyDamage: [string, RegExp, (path: string) => void][] = [
  ['bits turned in a table', /\.ldb$/, path => flip(path, [0.1, 0.3, 0.5, 0.7, 0.9])],
  ['a log cut in half', /\.log$/, cut],
  ['bits turned in the log', /\.log$/, path => flip(path, [0.2, 0.5, 0.8])],
  ['a table cut in half', /\.ldb$/, cut],
  ['a bit turned in the manifest', /^MANIFEST/, path => flip(path)],
  ['a manifest cut in half', /^MANIFEST/, cut],
  ['a bit turned in CURRENT', /^CURRENT$/, path => flip(path)],
  ['no CURRENT', /^CURRENT$/, path => rmSync(path)],
]

t.test('row 12: a corrupt minority loses nothing', { skip }, async t => {
  const cluster = await TestCluster.start(3)
  t.teardown(() => cluster.stop())
  const seeded = await cluster.seed()
  const edge = cluster.node(0)
  const cookie = await edge.signIn(seeded.user.email, seeded.password)
  const place = { organization: seeded.organization.slug, environment: 'production' }
  const browser = await BrowserClient.connect(edge.address, cookie)
  const host = await RawHost.connect(edge, seeded.liveKey)
  await host.initialize(['action'])
  t.teardown(() => {
    browser.close()
    host.raw.end()
  })
  const acknowledged = new Map<string, string[]>()
  for (let run = 0; run < runCount; run++) {
    const transactionId = randomUUID()
    await eventually(
      () => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }),
      30_000,
    )
    acknowledged.set(transactionId, [])
  }
  let written = 0
  const write = async (count: number): Promise<void> => {
    for (let turn = 0; turn < count; turn++) {
      await Promise.all(
        [...acknowledged].map(async ([transactionId, lines]) => {
          const data = `line ${written++} ${'x'.repeat(500)}`
          const line = { transactionId, data, index: lines.length, timestamp: lines.length + 1 }
          if ((await host.call('SEND_LOG', line, 60_000)) !== true) throw new Error('a line was refused')
          lines.push(data)
        }),
      )
    }
  }
  const check = async (what: string): Promise<void> => {
    for (const [transactionId, lines] of acknowledged) {
      const snapshot = await eventually(() => browser.ask('transaction.attach', { transactionId }), 60_000)
      t.same(
        snapshot.logs.map(log => log.text),
        lines,
        `${what}: every line of a run, once and in order`,
      )
    }
  }
  await write(5)
  const seen: string[] = []
  for (const [index, [what, pattern, damage]] of everyDamage.entries()) {
    const victim = 1 + (index % 2)
    const server = cluster.node(victim)
    // Opening a store writes its log into a table.
    if (index === 0) {
      await server.kill()
      await server.run()
      await cluster.covered()
    }
    await write(3)
    await server.kill()
    const store = join(server.folder, 'entities')
    const names = readdirSync(store).filter(
      name => pattern.test(name) && statSync(join(store, name)).size > 0,
    )
    t.ok(names.length > 0, `${what}: there is one`)
    for (const name of names) damage(join(store, name))
    await write(1)
    await server.run()
    await cluster.covered(2, 120_000)
    const lines = server.output.split('\n').filter(line => /damage/.test(line))
    seen.push(
      `${what} (${names.join(' ')}): ${lines.length} reports, ${lines[0]?.slice(0, 160) ?? 'recopied'}`,
    )
    await check(what)
    await write(1)
    // Now what was damaged has to serve.
    const other = cluster.node(3 - victim)
    await other.kill()
    await check(`${what}, then its neighbour killed`)
    await other.run()
    await cluster.covered(2, 120_000)
  }
  for (const line of seen) t.comment(line)
  t.comment(`${everyDamage.length} damages, ${written} lines acknowledged, none lost, none doubled`)
})
