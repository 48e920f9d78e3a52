/**
 * Weaknesses of the original that show in a whole node only, each tried against one: promises that nobody awaited (W10),
 * versions compared as text (W15), a serverless host that is introduced once and never again (W16), a database that is
 * changed to fit at each start (W19).
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, symlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { createDatabase, openDatabase, readMigrations } from '../../lib/database/index.js'
import { silentLog } from '../../lib/log.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { startRealPostgres } from '../support/postgres.js'
import { TestServer } from '../support/server.js'
import { command } from '../unit/cli/command-process.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(180_000)
const server = await TestServer.start({ flags: ['--hosts:http:allow=127.0.0.0/8'] })
const ours = await server.seed()
const theirs = await server.seed('Some Stranger')
const cookies = {
  ours: await server.signIn(ours.user.email, ours.password),
  theirs: await server.signIn(theirs.user.email, theirs.password),
}
t.teardown(() => server.stop())

async function ask(method: string, path: string, body?: object, cookie = cookies.ours) {
  const response = await fetch(`${server.address}/api/v1${path}`, {
    method,
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

t.test('W10: a slug that is taken is taken, and a flag that is off is off', async t => {
  const { slug } = ours.organization
  const settings = (organization: string, slug: string, cookie?: string) =>
    ask('PATCH', `/organizations/${organization}/settings`, { slug }, cookie)
  t.match(await settings(theirs.organization.slug, slug, cookies.theirs), {
    status: 409,
    body: { code: 'conflict' },
  })
  t.match(await ask('GET', `/organizations/${slug}/settings`), { status: 200, body: { slug } })
  t.equal((await ask('GET', `/organizations/${slug}/settings`, undefined, cookies.theirs)).status, 404)

  const made = await Promise.all(
    Array.from({ length: 8 }, () => ask('POST', '/organizations', { name: 'Test Runner' })),
  )
  const slugs = made.filter(({ status }) => status === 201).map(({ body }) => body.slug)
  t.ok(slugs.length > 0)
  t.same(
    made.filter(({ status }) => status !== 201 && status !== 409),
    [],
  )
  t.equal(new Set([...slugs, slug]).size, slugs.length + 1, 'of one name, each at an address of its own')
  const wanted = await Promise.all(slugs.map(one => settings(String(one), 'wanted-by-all')))
  t.equal(wanted.filter(({ status }) => status === 200).length, 1, 'of all who want an address one gets it')
  t.equal(wanted.filter(({ status }) => status === 409).length, slugs.length - 1)

  let count = 0
  const signUp = async () =>
    (
      await ask(
        'POST',
        '/signup',
        {
          email: `new${count++}@example.com`,
          firstName: 'New',
          lastName: 'Comer',
          password: ours.password,
          organizationName: `New ${count}`,
        },
        '',
      )
    ).status
  const flag = (enabled: boolean) =>
    server.admin('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled })
  for (const isOn of [false, true, false]) {
    await flag(isOn)
    t.equal(await signUp(), isOn ? 200 : 403)
  }
})

t.test('W15: 0.100.0 is newer than 0.38.1, and 0.9.0 older', async t => {
  // Old SDKs know only `live`, and refuse to start when they hear the name of an environment.
  for (const [sdkVersion, environment] of [
    ['0.100.0', 'production'],
    ['10.0.0', 'production'],
    ['0.38.1', 'production'],
    ['0.38.0', 'live'],
    ['0.9.0', 'live'],
    ['0.4.10', 'live'],
  ] as const) {
    const host = await RawHost.connect(server, ours.liveKey)
    t.match(await host.initialize(['versions'], { sdkVersion }), { type: 'success', environment }, sdkVersion)
    host.raw.end()
  }
})

t.test('W16: a serverless host may be introduced again on the same socket', async t => {
  let woken: RawHost | null = null
  const answers: unknown[] = []
  const answerDeclaration = async (httpHostId: string) =>
    await fetch(`${server.address}/api/hosts/declare`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ours.liveKey}` },
      body: JSON.stringify({
        httpHostId,
        actions: [{ slug: 'twice' }],
        ...{ sdkName: '@interval/sdk', sdkVersion: '2.0.0' },
      }),
    })
  const end: { run?: () => void } = {}
  const receive = async (request: IncomingMessage, response: ServerResponse) => {
    let text = ''
    for await (const part of request) text += String(part)
    const { httpHostId, requestId } = JSON.parse(text) as { httpHostId: string; requestId?: string }
    if (requestId === undefined) await answerDeclaration(httpHostId)
    else {
      const ended = new Promise<void>(resolve => {
        end.run = resolve
      })
      woken = await RawHost.connect(server, ours.liveKey)
      for (const more of [{ requestId }, { requestId }, {}]) {
        answers.push(await woken.initialize(['twice'], { ...more, timestamp: Date.now() + answers.length }))
      }
      await ended
    }
    response.end('{}')
  }
  const port = await freePort()
  const http = createServer((request, response) => void receive(request, response))
  await new Promise<void>(resolve => http.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    http.closeAllConnections()
    http.close()
    woken?.raw.end()
  })
  const { slug } = ours.organization
  const registered = await ask('POST', `/organizations/${slug}/http-hosts`, {
    url: `http://127.0.0.1:${port}/`,
  })
  t.equal(registered.status, 201)
  const browser = await BrowserClient.connect(server.address, cookies.ours)
  t.teardown(() => browser.close())
  const place = { organization: slug, environment: 'production' }
  await eventually(async () => {
    const { actions } = await browser.ask('directory.watch', place)
    if (actions.find(action => action.slug === 'twice')?.online !== true)
      throw new Error('it is not online yet')
  })
  const transactionId = randomUUID()
  await browser.ask('transaction.start', { ...place, transactionId, slug: 'twice' })
  await eventually(() => {
    if (answers.length < 3) throw new Error(`${answers.length} introductions were answered`)
  })
  for (const answer of answers) t.match(answer, { type: 'success', environment: 'production' })
  await eventually(() => {
    if (!woken?.raw.frames.some(frame => frame.includes('START_TRANSACTION')))
      throw new Error('the run has not reached it')
  })
  const result = { transactionId, resultStatus: 'SUCCESS', result: '{"status":"SUCCESS","data":"ran"}' }
  t.equal(await (woken as RawHost | null)?.call('MARK_TRANSACTION_COMPLETE', result), true)
  t.match(await browser.event('transaction.completed', data => data.transactionId === transactionId), {
    result: { status: 'SUCCESS', data: 'ran' },
  })
  end.run?.()
})

t.test('W19: the schema comes in steps that are kept, offline, whoever starts at the same time', async t => {
  const postgres = await startRealPostgres()
  if (!postgres) return t.comment('there is no Postgres here; its parts are tried by test/unit/database')
  const address = new URL(postgres.url)
  address.pathname = `/weaknesses_${process.pid}`
  await createDatabase(address.toString())
  // Node and nothing else: what would have to be fetched cannot be.
  const folder = t.testdir()
  const path = join(folder, 'path')
  mkdirSync(path)
  symlinkSync(process.execPath, join(path, 'node'))
  symlinkSync(execFileSync('which', ['env'], { encoding: 'utf8' }).trim(), join(path, 'env'))
  const environment = {
    DATABASE_URL: address.toString(),
    PATH: path,
    npm_config_registry: 'http://127.0.0.1:1/',
  }
  const starts = await Promise.all(
    ['one', 'two', 'three'].map(name => {
      mkdirSync(join(folder, name))
      return command(['db-init'], { folder: join(folder, name), environment })
    }),
  )
  for (const { code, errors } of starts) t.same([code, errors], [0, ''])
  const applied = starts.flatMap(({ output }) =>
    [...output.matchAll(/^applied (\S+)$/gm)].map(([, one]) => one),
  )
  t.same(
    applied.sort(),
    readMigrations().map(({ name }) => name),
    'each step once',
  )

  const node = await TestServer.start({ environment })
  t.teardown(async () => {
    await node.stop()
    await database.close()
    await postgres.stop()
  })
  const { organization } = await node.seed()
  await node.kill('SIGTERM')
  const database = await openDatabase({ url: address.toString(), log: silentLog })
  const shape = async () =>
    (
      await database.query(
        `select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
         where table_schema = 'public' order by 1, 2`,
      )
    ).rows
  // What a start that makes the database fit would undo, and take the people's data with it.
  await database.query('alter table organizations add column of_its_owner text')
  await database.query(`update organizations set of_its_owner = 'kept'`)
  const before = await shape()
  await node.run()
  await node.kill('SIGTERM')
  t.same(await shape(), before, 'a start changes nothing that it has not to')
  const kept = await database.query('select id, of_its_owner from organizations')
  t.same(kept.rows, [{ id: organization.id, of_its_owner: 'kept' }])

  for (const [change, undo, expected] of [
    [
      `update migrations set checksum = 'other' where number = 2`,
      `update migrations set checksum = '${readMigrations()[1]?.checksum}' where number = 2`,
      /0002-\S+ was changed after it had been applied/,
    ],
    [
      `insert into migrations (number, name, checksum) values (9999, '9999-later', 'x')`,
      'delete from migrations where number = 9999',
      /migrated by a newer version \(9999-later\)/,
    ],
  ] as const) {
    await database.query(change)
    await t.rejects(node.run(), { message: expected })
    t.same(await shape(), before, 'nothing was changed')
    await database.query(undo)
  }
  await node.run()
})
