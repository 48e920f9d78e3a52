/** `db-init` and `doctor` as processes, on the embedded database and over an address. */
import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { openDataDirectory } from '../../../lib/config/index.js'
import { openDatabase } from '../../../lib/database/index.js'
import { silentLog } from '../../../lib/log.js'
import { freePort } from '../../support/ports.js'
import { command } from './command-process.js'

interface Check {
  readonly name: string
  readonly status: string
  readonly text: string
}

function checksOf(output: string): Map<string, Check[]> {
  const checks = new Map<string, Check[]>()
  for (const check of JSON.parse(output) as Check[]) {
    checks.set(check.name, [...(checks.get(check.name) ?? []), check])
  }
  return checks
}

t.test('before the first start everything is ready', async t => {
  const folder = t.testdir()
  const environment = { PORT: String(await freePort()), CHANNEL__PORT: '0' }
  const { code, output } = await command(['doctor'], { folder, environment })
  t.equal(code, 0, output)
  for (const name of [
    'configuration',
    'secrets',
    'port',
    'disk',
    'database',
    'clock',
    'descriptors',
    'peers',
  ]) {
    t.match(output, new RegExp(`^(ok|warn) +${name} `, 'm'))
  }
})

t.test('what is wrong fails, and says what to do', async t => {
  const folder = t.testdir({ data: { 'secrets.json': '{}' } })
  chmodSync(join(folder, 'data', 'secrets.json'), 0o644)
  const port = await freePort()
  const taken = createServer().listen(port, '127.0.0.1')
  t.teardown(() => taken.close())
  const environment = {
    PORT: String(port),
    CHANNEL__PORT: '0',
    DATABASE_URL: 'postgres://me:hush@127.0.0.1:1/x',
    SECRET: 'hush',
    STORAGE__BACKEND: 'memdown',
    GHOST_MODE: '1',
  }
  const { code, output } = await command(['doctor', '--json'], { folder, environment })
  t.equal(code, 1)
  const checks = checksOf(output)
  t.match(checks.get('port'), [{ status: 'fail', text: /EADDRINUSE/, advice: /--port/ }])
  t.match(checks.get('database'), [{ status: 'fail', text: /ECONNREFUSED/, advice: /DATABASE_URL/ }])
  t.ok(checks.get('secrets')?.some(check => check.status === 'fail' && check.text.includes('read by others')))
  t.ok(checks.get('configuration')?.some(check => check.text.startsWith('GHOST_MODE has no effect')))
  t.ok(checks.get('configuration')?.some(check => check.text.startsWith('storage:backend = memdown')))
  t.notMatch(output, 'hush')

  const mistaken = await command(['doctor', '--json'], { folder, environment: { PORT: 'x' } })
  t.equal(mistaken.code, 1)
  t.match(JSON.parse(mistaken.output), [{ name: 'configuration', status: 'fail', text: /^port = "x"/ }])
})

t.test('db-init makes the embedded database, and doctor reads it', { timeout: 90_000 }, async t => {
  const folder = t.testdir()
  const environment = { PORT: String(await freePort()), CHANNEL__PORT: '0' }
  const path = join(folder, 'data')
  const first = await command(['db-init'], { folder, environment })
  t.equal(first.code, 0, first.errors)
  t.match(first.output, /^applied 0001-/m)
  t.match(first.output, /the schema is up to date\n$/)

  const again = await command(['db-init', '--skip-create'], { folder, environment })
  t.equal(again.code, 0)
  t.match(again.output, /the schema was up to date\n$/)

  const directory = await openDataDirectory(path, {
    secrets: { server: null, nodes: null, cookie: null },
    command: 'run',
    address: 'http://127.0.0.1:1',
  })
  t.teardown(() => directory.close())
  const refused = await command(['state', 'list'], { folder, environment })
  t.equal(refused.code, 1)
  t.match(refused.errors, new RegExp(`in use by a node at http://127.0.0.1:1 \\(pid ${process.pid} `))
  const running = checksOf((await command(['doctor', '--json'], { folder, environment })).output)
  t.match(running.get('database'), [{ status: 'ok', text: /in use/ }])

  const database = await openDatabase({ directory: path, log: silentLog })
  t.teardown(() => database.close())
  const remote = { ...environment, DATABASE_URL: database.url }
  const overAddress = await command(['db-init'], { folder, environment: remote })
  t.match(overAddress, { code: 0, output: /database postgres: exists\nthe schema was up to date\n$/ })
  const healthy = await command(['doctor', '--json'], { folder, environment: remote })
  t.equal(healthy.code, 0, healthy.output)
  t.match(checksOf(healthy.output).get('database'), [
    { text: /Postgres \d+.* answers/ },
    { text: /schema up to date/ },
  ])
  t.match(checksOf(healthy.output).get('clock'), [{ status: 'ok', text: /the database/ }])

  await database.query("insert into migrations (number, name, checksum) values (999, '0999-future', 'x')")
  const newer = await command(['doctor', '--json'], { folder, environment: remote })
  t.equal(newer.code, 1)
  t.ok(
    checksOf(newer.output)
      .get('database')
      ?.some(check => check.text.includes('0999-future')),
  )
  const refusedNewer = await command(['db-init'], { folder, environment: remote })
  t.equal(refusedNewer.code, 1)
  t.match(refusedNewer.errors, /^interval-server: .*newer version[^\n]*\n$/)
})
