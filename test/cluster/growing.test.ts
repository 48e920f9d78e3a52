/** A node alone, with its embedded database and a run that waits for an answer, becomes the first of three. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { TransactionSnapshot } from '../../lib/clients/wire.js'
import { packageRoot } from '../../lib/root.js'
import { RawBrowser } from '../bench/raw-browser.js'
import { RawHost } from '../bench/raw-host.js'
import type { RingStatus } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { startPostgres } from '../support/postgres.js'
import { TestServer } from '../support/server.js'

t.test('from one node to three without losing a run', { timeout: 280_000 }, async t => {
  const first = await TestServer.start()
  t.teardown(() => first.stop())
  const { organization, user, password, liveKey } = await first.seed()
  const place = { organization: organization.slug, environment: 'production' }
  const ids = Array.from({ length: 12 }, () => randomUUID())
  const connect = (server: TestServer) =>
    RawHost.connect(server.endpoint, liveKey, ['ask'], {
      started: (self, transactionId) => void self.ask(transactionId, 'Your name'),
      answered: () => undefined,
    })
  const host = await connect(first)
  const cookie = await first.signIn(user.email, password)
  const browser = await RawBrowser.connect(first.address, cookie)
  const attach = async (window: RawBrowser, transactionId: string) =>
    ((await window.ask('transaction.attach', { transactionId })) as { result: TransactionSnapshot }).result
  for (const transactionId of ids)
    await browser.ask('transaction.start', { ...place, transactionId, slug: 'ask' })
  const before = await eventually(async () => {
    const found = await Promise.all(ids.map(id => attach(browser, id)))
    if (found.some(run => run.steps.length !== 1)) throw new Error('not every run asks yet')
    return found.map(run => run.steps)
  })
  browser.close()
  host.close()
  await first.kill('SIGTERM')

  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  t.comment(`Postgres: ${postgres.kind}`)
  const secrets = JSON.parse(readFileSync(join(first.folder, 'secrets.json'), 'utf8')) as Record<
    string,
    string
  >
  const environment = { DATABASE_URL: postgres.url, ...secrets }
  const moved = await promisify(execFile)(
    process.execPath,
    [join(packageRoot, 'bin/interval-server'), 'db-init', '--from', first.folder],
    { env: { PATH: process.env.PATH ?? '', ...environment } },
  )
  t.match(moved.stdout, /people: 1/)

  const channel = await freePort()
  const seed = ['-s', `127.0.0.1:${channel}`, '--channel:host=127.0.0.1']
  await first.run(environment, [...seed, `--channel:port=${channel}`])
  const others = await Promise.all(
    [1, 2].map(() => TestServer.start({ flags: [...seed, '--channel:port=0'], environment })),
  )
  for (const server of others) t.teardown(() => server.stop())
  await eventually(
    async () => {
      const status = await first.admin<RingStatus>('ringStatus', {})
      const owners = new Set(status.partitions.map(partition => partition.owner))
      if (owners.size !== 3 || status.partitions.some(partition => partition.replicas.length !== 1)) {
        throw new Error(`${owners.size} nodes lead`)
      }
    },
    60_000,
    100,
  )
  // Where it all began goes away: everything it had must be elsewhere by now.
  await first.kill('SIGKILL')
  const [second] = others
  if (!second) throw new Error('no node is left')
  const window = await RawBrowser.connect(second.address, await second.signIn(user.email, password))
  t.teardown(() => window.close())
  for (const [index, transactionId] of ids.entries()) {
    const { status, steps } = await attach(window, transactionId)
    t.equal(status, 'awaiting-input')
    t.same(steps, before[index], 'the same step waits')
  }
})
