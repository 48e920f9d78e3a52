/** What a node says about itself while it starts, runs, drains, and has lost its database; and how it stops. */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { command } from '../unit/cli/command-process.js'
import { RawHost, rawBrowser } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const place = { organization: seeded.organization.slug, environment: 'production' }
t.teardown(() => server.stop())

async function ask(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${server.address}${path}`, { signal: AbortSignal.timeout(5_000) })
  return { status: response.status, text: await response.text() }
}

t.test('ready', async t => {
  t.match(await ask('/health/live'), { status: 200 })
  t.same(JSON.parse((await ask('/health/ready')).text), { ready: true, reasons: [] })
  t.match(await ask('/health-check/app'), { status: 200, text: /OK/ })
  t.match(JSON.parse((await ask('/health-check')).text), { app: true, db: true, wss: true })
})

t.test('the database is away: said, and live sessions go on', async t => {
  const host = await RawHost.connect(server, seeded.liveKey)
  await host.initialize(['action'])
  const browser = await BrowserClient.connect(server.address, cookie)
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
  // The embedded database is a process of its own.
  const children = await childrenOf(server.pid)
  t.equal(children.length, 1)
  const [database = 0] = children
  // Rights that were just noticed to have changed are not remembered: they are read once more before the database goes.
  await browser.ask('transaction.attach', { transactionId })
  process.kill(database, 'SIGSTOP')
  try {
    t.match(await ask('/health/live'), { status: 200 })
    const health = await ask('/health-check')
    t.equal(health.status, 503)
    t.match(JSON.parse(health.text), { app: true, db: false })
    t.match(await ask('/health/ready'), { status: 200 }, 'what runs goes on, so work may be sent here')
    t.equal(await host.call('SEND_LOG', { transactionId, data: 'while away', index: 0, timestamp: 1 }), true)
    t.match((await browser.ask('transaction.attach', { transactionId })).logs, [{ text: 'while away' }])
  } finally {
    process.kill(database, 'SIGCONT')
  }
  await eventually(async () => {
    if ((await ask('/health-check')).status !== 200) throw new Error('the database is not back')
  })
  browser.close()
  host.raw.end()
})

t.test('a second node on the same data is refused and names the first', async t => {
  const folder = t.testdir()
  const words = ['run', '--port', String(await freePort()), '--storage:path', server.folder]
  const second = await command(words, { folder })
  t.equal(second.code, 1)
  t.match(second.errors, new RegExp(`in use by a node at ${server.address} \\(pid ${server.pid}`))
  t.match(await ask('/health/ready'), { status: 200 }, 'the first goes on')
})

t.test('a taken port: one line, and no lock is left', async t => {
  const folder = t.testdir()
  const data = join(folder, 'data')
  const words = ['run', '--port', String(server.port), '--storage:path', data]
  const refused = await command(words, { folder })
  t.equal(refused.code, 1)
  t.match(refused.errors, /^interval-server: Port \d+ on 127\.0\.0\.1 is in use\. [^\n]+\n$/m)
  t.notMatch(refused.errors, /\n\s+at /)
  t.notOk(existsSync(join(data, 'lock')))
})

t.test('drains: says so, closes sockets with 1012, loses nothing', async t => {
  const host = await RawHost.connect(server, seeded.liveKey)
  await host.initialize(['action'])
  const raw = await rawBrowser(server, cookie)
  const browser = await BrowserClient.connect(server.address, cookie)
  t.teardown(() => browser.close())
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
  const lines = Array.from({ length: 40 }, (_, index) => index)
  const logged: number[] = []
  const logging = Promise.all(
    lines.map(async index => {
      const data = { transactionId, data: `line ${index}`, index, timestamp: index + 1 }
      if (await host.call('SEND_LOG', data, 1_500).catch(() => false)) logged.push(index)
    }),
  )
  // Sent on a connection that is already there, so it is answered before the node is gone.
  const between: number[] = []
  const stopped = server.kill('SIGTERM')
  while (server.isRunning) {
    const status = await ask('/health/ready').then(
      answer => answer.status,
      () => 0,
    )
    between.push(status)
  }
  await stopped
  t.ok(
    between.every(status => [200, 503, 0].includes(status)),
    `asked while it stopped: ${between.join(' ')}`,
  )
  t.equal((await host.raw.closed).code, 1012)
  t.equal((await raw.closed).code, 1012)
  await eventuallyTrue('the browser is told', () => browser.closeCode === 1012)
  // What it wrote last may come after its end.
  await eventually(() => {
    if (!/stopping …\nstopped\n$/.test(server.output)) throw new Error(server.output)
  })
  await logging

  const starting: number[] = []
  const running = server.run()
  for (let up = false; !up; ) {
    const status = await ask('/health/ready').then(
      answer => answer.status,
      () => 0,
    )
    starting.push(status)
    up = status === 200
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await running
  t.ok(
    starting.every(status => [0, 503, 200].includes(status)),
    'not ready before it is',
  )
  await browser.reopen()
  const { logs } = await browser.ask('transaction.attach', { transactionId })
  for (const index of logged)
    t.ok(
      logs.some(line => line.text === `line ${index}`),
      `line ${index} was acknowledged and is there`,
    )
})

t.test('without operators: what to set is said when it starts', async t => {
  await server.seed('Another One')
  await server.admin('deleteOrganization', { slug: place.organization })
  await server.kill('SIGTERM')
  await server.run()
  await eventually(() => {
    const line = server.output.split('\n').find(text => text.includes('operators.none'))
    if (!line) throw new Error(server.output)
    t.match(line, /the organization that was made first is deleted/)
    t.match(line, /accounts:operators/)
  })
})

/** Children of a process, by their numbers. */
async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises')
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}
