/**
 * Fault 10: the disk is full. Below the reserve a node takes nothing new and says so with a code; what is there can be
 * read, a run can be cancelled, hosts keep their sockets and their calls are held, not refused. When there is room it
 * goes on by itself. When another program takes the last byte too, the process may end; everything acknowledged is there
 * after the next start, and nothing is half written.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { startPostgres } from '../support/postgres.js'
import { TestServer } from '../support/server.js'
import { SmallDisk } from '../support/small-disk.js'
import { command } from '../unit/cli/command-process.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(300_000)
const disk = SmallDisk.mount(192)

function ioCall(label: string): string {
  return JSON.stringify({
    id: randomUUID(),
    inputGroupKey: randomUUID(),
    kind: 'RENDER',
    toRender: [{ methodName: 'INPUT_TEXT', label, props: {}, isStateful: false, isOptional: false }],
  })
}

t.test('row 10: a full disk', { skip: disk instanceof SmallDisk ? false : disk.reason }, async t => {
  if (!(disk instanceof SmallDisk)) return
  const postgres = await startPostgres()
  const before = process.env.TMPDIR
  process.env.TMPDIR = disk.path
  const server = await TestServer.start({ environment: { DATABASE_URL: postgres.url } })
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  t.teardown(async () => {
    await server.stop()
    await postgres.stop()
    disk.unmount()
  })
  const seeded = await server.seed()
  const cookie = await server.signIn(seeded.user.email, seeded.password)
  const place = { organization: seeded.organization.slug, environment: 'production' }
  const browser = await BrowserClient.connect(server.address, cookie)
  const instanceId = randomUUID()
  let host = await RawHost.connect(server, seeded.liveKey, instanceId)
  await host.initialize(['action'])
  t.teardown(() => {
    browser.close()
    host.raw.end()
  })
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
  t.equal(await host.call('SEND_IO_CALL', { transactionId, ioCall: ioCall('First') }), true)
  const first = await browser.step('First', transactionId)
  const isFull = async (): Promise<boolean> =>
    /^interval_disk_full 1$/m.test(await (await fetch(`${server.address}/metrics`)).text())
  const until = (full: boolean) =>
    eventually(async () => {
      if ((await isFull()) !== full) throw new Error(`disk_full is not ${full}`)
    })

  for (let round = 1; round <= 3; round++) {
    disk.fill(limits.diskFreeBytesMin / 2)
    await until(true)
    const start = browser.ask('transaction.start', { ...place, transactionId: randomUUID(), slug: 'action' })
    t.match(await refusal(start), { code: 'storage-full', message: /disk of this node is full/ })
    if (round === 1) {
      const answer = browser.answer(transactionId, first, ['Ada'])
      t.equal((await refusal(answer)).code, 'storage-full', 'an answer is not taken')
      const snapshot = await browser.ask('transaction.attach', { transactionId })
      t.match(snapshot, { status: 'awaiting-input', steps: [{ answered: false }] }, 'and is not half there')
    }
    await browser.drop()
    await browser.reopen()
    const snapshot = await browser.ask('transaction.attach', { transactionId })
    t.equal(snapshot.transactionId, transactionId, 'a window that comes back reads everything')
    t.equal((await fetch(`${server.address}/health/ready`)).status, 200)
    // Held, not refused: `false` would kill the action.
    const log = host.call(
      'SEND_LOG',
      { transactionId, data: `round ${round}`, index: round, timestamp: round },
      60_000,
    )
    const isSettled = await Promise.race([
      log.then(() => true),
      new Promise(resolve => setTimeout(resolve, 1_000, false)),
    ])
    t.equal(isSettled, false, 'a call of the host waits')
    t.ok(host.raw.isOpen)
    disk.empty()
    await until(false)
    t.equal(await log, true, 'and is taken when there is room')
  }
  const now = (await browser.ask('transaction.attach', { transactionId })).steps.at(-1)
  if (!now) throw new Error('the step is gone')
  await browser.answer(transactionId, now, ['Ada'])
  const lines = (await browser.ask('transaction.attach', { transactionId })).logs.map(line => line.text)
  t.same(lines, ['round 1', 'round 2', 'round 3'])
  t.comment(
    'the reserve was touched 3 times: 4 writes refused with storage-full, 3 calls of a host held, all taken later',
  )

  // To the last byte, while work is under way: every acknowledged line is kept.
  const acknowledged: string[] = []
  let ends = 0
  for (let round = 0; round < 2; round++) {
    let isFilled = false
    const work = (async () => {
      for (let index = 0; index < 2_000 && server.isRunning; index++) {
        const data = `${round}-${index} ${'x'.repeat(200)}`
        const line = { transactionId, data, index: 100 + round * 10_000 + index, timestamp: index + 1 }
        const taken = await host.call('SEND_LOG', line, isFilled ? 1_500 : 10_000).catch(() => false)
        if (taken === true) acknowledged.push(data)
        else return
      }
    })()
    await eventually(() => {
      if (acknowledged.length < 20 * (round + 1)) throw new Error('hardly begun')
    })
    disk.fill(0)
    isFilled = true
    await work
    if (!server.isRunning) ends += 1
    else await server.kill()
    if (round === 0) {
      const words = ['run', '-p', String(server.port), '--storage:path', server.folder]
      const refused = await command(words, {
        folder: t.testdir(),
        environment: { DATABASE_URL: postgres.url },
      })
      t.equal(refused.code, 1)
      t.match(refused.errors, /interval-server: [^\n]+ full[^\n]*\n$/, refused.errors)
    }
    disk.empty()
    await server.run()
    t.notMatch(server.output, /damaged/, 'nothing is half written')
    host.raw.end()
    host = await RawHost.connect(server, seeded.liveKey, instanceId)
    await host.initialize(['action'])
    await browser.reopen()
    const kept = new Set(
      (await eventually(() => browser.ask('transaction.attach', { transactionId }))).logs.map(
        line => line.text,
      ),
    )
    t.same(
      acknowledged.filter(line => !kept.has(line)),
      [],
      'every acknowledged line is there',
    )
  }
  await server.kill('SIGTERM')
  const verified = await command(['state', 'verify', '--storage:path', server.folder], {
    folder: t.testdir(),
  })
  t.match(verified.output, /nothing is damaged/)
  t.comment(
    `0 bytes were left twice under load: ${acknowledged.length} lines acknowledged, none lost; the process ended by itself ${ends} times`,
  )
})
