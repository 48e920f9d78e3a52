/**
 * What a person sees when a node cannot start: one line that names what was wrong, where, and what would be right, an
 * exit code that is not 0, and nothing left behind that was not there. What can be lived with (a damaged store) is said
 * in a line as well, and the node starts. A node with a wrong secret starts, is let in nowhere, and the others say so.
 */
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { TestCluster } from '../support/cluster.js'
import { testDataDirectory } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { startPostgres } from '../support/postgres.js'
import { TestServer } from '../support/server.js'
import { SmallDisk } from '../support/small-disk.js'
import { command, type Outcome, startCommand } from '../unit/cli/command-process.js'

t.setTimeout(300_000)

const secret = (): string => randomBytes(32).toString('base64url')
const secrets = { SECRET: secret(), WSS_API_SECRET: secret(), AUTH_COOKIE_SECRET: secret() }
const password = 'very-secret-password'

function run(
  folder: string,
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<Outcome> {
  return command(['run', ...words], { folder, environment })
}

/** One line that says why; notices about settings without effect may stand before it. */
function theLine(t: Test, what: string, outcome: Outcome, code: number, expected: RegExp): void {
  const lines = outcome.errors.split('\n').filter(line => line !== '' && !line.endsWith('has no effect yet.'))
  t.equal(lines.length, 1, `${what}: one line, not ${JSON.stringify(lines)}`)
  t.match(lines[0], expected, what)
  t.match(lines[0], /^interval-server: /)
  t.notMatch(outcome.errors + outcome.output, /\n\s+at |very-secret/, 'no stack, no secret')
  t.notMatch(outcome.output, /Interval is ready/)
  t.equal(outcome.code, code, `${what}: exit code`)
  t.comment(lines[0])
}

t.test('settings: bad seeds, half a ring, ports that are the same', async t => {
  const folder = t.testdir()
  const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/x', ...secrets }
  const port = String(await freePort())
  for (const seed of ['two words', ':3455', 'host:99999', 'host:abc', 'http://host:3455', '[::1']) {
    const outcome = await run(folder, ['-p', port, '-s', seed], environment)
    theLine(
      t,
      `seed ${seed}`,
      outcome,
      2,
      /seeds = .+ \(from -s\) must be a list of host or host:port, with commas\./,
    )
    t.ok(outcome.errors.includes(seed), 'the seed is named')
  }
  theLine(
    t,
    'no database',
    await run(folder, ['-s', 'a:1'], secrets),
    2,
    /needs database:url \(DATABASE_URL\)/,
  )
  const { WSS_API_SECRET: _, ...twoSecrets } = secrets
  const half = await run(folder, ['-s', 'a:1'], { ...twoSecrets, DATABASE_URL: environment.DATABASE_URL })
  theLine(
    t,
    'a missing secret',
    half,
    2,
    /secrets:nodes \(WSS_API_SECRET\) is missing: .+ Make one with: node -p/,
  )
  const same = await run(folder, ['-p', port, '--channel:port', port])
  theLine(t, 'one port twice', same, 2, /channel:port = \d+ is also port: each needs a port of its own/)
  t.notOk(existsSync(join(folder, 'data')), 'nothing was made')
})

t.test('an unreachable database is named by its place, never with its password', async t => {
  const folder = t.testdir()
  const words = ['-p', String(await freePort())]
  const attempts: [string, string, RegExp, number][] = [
    [
      'nothing listens',
      `postgres://ada:${password}@127.0.0.1:1/x`,
      /at 127\.0\.0\.1:1\/x: nothing listens there\. Start it/,
      1,
    ],
    [
      'no such host',
      `postgres://ada:${password}@nowhere.invalid/x`,
      /at nowhere\.invalid:5432\/x: .+\. Start it, or correct/,
      1,
    ],
    [
      'no address',
      `mysql://ada:${password}@a/b`,
      /database:url = \*\*\* .+ must be an address like postgres:\/\//,
      2,
    ],
  ]
  for (const [what, url, expected, code] of attempts)
    theLine(t, what, await run(folder, words, { DATABASE_URL: url }), code, expected)
})

t.test('data directories that are none', async t => {
  const folder = t.testdir({ file: 'x', 'part-of-path': 'x' })
  const words = ['-p', String(await freePort()), '--storage:path']
  const attempts: [string, string, RegExp][] = [
    ['a file', join(folder, 'file'), /storage:path = .+file is not a folder/],
    [
      'below a file',
      join(folder, 'part-of-path', 'data'),
      /data cannot be used: a part of the path is a file/,
    ],
    ['a name that is too long', join(folder, 'x'.repeat(300)), /cannot be used: the path is too long/],
  ]
  if (process.platform === 'linux') {
    attempts.push([
      'below /proc',
      '/proc/interval',
      /\/proc\/interval cannot be used: .+ give another --storage:path/,
    ])
    attempts.push(['/proc itself', '/proc', /\/proc cannot be used: .+ give another --storage:path/])
    attempts.push([
      'below /sys',
      '/sys/interval',
      /\/sys\/interval cannot be used: .+ give another --storage:path/,
    ])
  }
  for (const [what, path, expected] of attempts)
    theLine(t, what, await run(folder, [...words, path]), 1, expected)
})

t.test('taken ports, before a database is made', async t => {
  const folder = t.testdir()
  const port = await freePort()
  const taken = createServer().listen(port, '127.0.0.1')
  await new Promise(resolve => taken.once('listening', resolve))
  t.teardown(() => taken.close())
  const refused = await run(folder, ['-p', String(port)])
  theLine(
    t,
    'port',
    refused,
    1,
    new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use\\. .+ another one with --port`),
  )
  t.notMatch(refused.output, /creating the database/)
  t.notOk(existsSync(join(folder, 'data', 'postgres')), 'no database was made')
  t.notOk(existsSync(join(folder, 'data', 'lock')), 'no lock is left')
  for (const setting of ['channel:port', 'forward:port']) {
    const words = ['-p', String(await freePort()), '-s', '127.0.0.1:1', '--channel:host=127.0.0.1']
    if (setting !== 'channel:port') words.push('--channel:port', String(await freePort()))
    words.push(`--${setting}`, String(port))
    const outcome = await run(folder, words, { DATABASE_URL: 'postgres://127.0.0.1:1/x', ...secrets })
    theLine(t, setting, outcome, 1, new RegExp(`Port ${port} .+ is in use\\. .+ with --${setting}\\.`))
  }
  const elsewhere = await run(folder, ['-p', '21000', '--host', '192.0.2.1'])
  theLine(
    t,
    'an address of another machine',
    elsewhere,
    1,
    /Cannot listen on 192\.0\.2\.1:21000: .+ Correct --host/,
  )
})

t.test('a full disk, from nothing and with a database', async t => {
  const disk = SmallDisk.mount(96)
  if (!(disk instanceof SmallDisk)) {
    t.comment(disk.reason)
    return
  }
  t.teardown(() => disk.unmount())
  const folder = t.testdir()
  const words = ['-p', String(await freePort()), '--storage:path', join(disk.path, 'data')]
  const expected =
    /The disk of the data directory .+data is full: .+ MB are free, a start needs \d.* MB\. Make room/
  disk.fill(32 * 1_048_576)
  const half = await run(folder, words)
  theLine(t, '32 MB free', half, 1, expected)
  t.notMatch(half.output, /creating the database/)
  disk.fill(0)
  theLine(t, '0 bytes free', await run(folder, words), 1, /is full|the disk is full/)
  disk.empty()
  cpSync(await testDataDirectory(t), join(disk.path, 'data'), { recursive: true })
  const started = startCommand(['run', ...words], { folder })
  await new Promise<void>(resolve =>
    started.child.stdout?.on('data', (text: string) => text.includes('ready') && resolve()),
  )
  started.child.kill('SIGTERM')
  t.equal((await started.ended).code, 0, 'with room it starts')
  disk.fill(2 * 1_048_576)
  theLine(t, '2 MB free, a database is there', await run(folder, words), 1, expected)
})

t.test('damaged files: the line, and whether the node starts', async t => {
  const folder = t.testdir()
  const postgres = await startPostgres()
  const environment = { DATABASE_URL: postgres.url }
  const server = await TestServer.start({ environment })
  await server.kill('SIGTERM')
  t.teardown(async () => {
    await server.stop()
    await postgres.stop()
  })
  const data = server.folder
  const whole = join(folder, 'whole')
  cpSync(data, whole, { recursive: true })
  const words = ['-p', String(server.port), '--storage:path', data]
  const inStore = (pattern: RegExp): string =>
    join(data, 'entities', readdirSync(join(data, 'entities')).find(name => pattern.test(name)) ?? '')
  const fatal: [string, () => void, RegExp][] = [
    [
      'node-id',
      () => writeFileSync(join(data, 'node-id'), 'x'),
      /node-id does not hold a node id\. Restore it/,
    ],
    ['an empty node-id', () => writeFileSync(join(data, 'node-id'), ''), /node-id does not hold a node id/],
    [
      'secrets',
      () => writeFileSync(join(data, 'secrets.json'), '{'),
      /secrets\.json is damaged: .+ Restore it/,
    ],
    [
      'a store that is a file',
      () => {
        rmSync(join(data, 'entities'), { recursive: true })
        writeFileSync(join(data, 'entities'), 'x')
      },
      /The store .+entities is not a folder/,
    ],
    [
      'a lock of the store that is a folder',
      () => {
        rmSync(join(data, 'entities', 'LOCK'), { force: true })
        mkdirSync(join(data, 'entities', 'LOCK'))
      },
      /The store .+entities cannot be opened: /,
    ],
  ]
  const repaired: [string, () => void, RegExp][] = [
    ['no CURRENT', () => rmSync(inStore(/^CURRENT$/)), /CURRENT is missing/],
    [
      'a CURRENT of garbage',
      () => writeFileSync(inStore(/^CURRENT$/), randomBytes(20)),
      /CURRENT names no manifest/,
    ],
    ['an empty manifest', () => truncateSync(inStore(/^MANIFEST/), 0), /Corruption/],
    ['a manifest of garbage', () => writeFileSync(inStore(/^MANIFEST/), randomBytes(200)), /Corruption/],
  ]
  const restore = (): void => {
    rmSync(data, { recursive: true })
    cpSync(whole, data, { recursive: true })
  }
  for (const [what, damage, expected] of fatal) {
    restore()
    damage()
    theLine(t, what, await run(folder, words, environment), 1, expected)
  }
  for (const [what, damage, expected] of repaired) {
    restore()
    damage()
    await server.run()
    const lines = server.output.split('\n').filter(line => line.includes('damage'))
    t.equal(lines.length, 1, `${what}: ${lines.join(' | ')}`)
    t.match(lines[0], expected, what)
    t.match(lines[0], /^damaged data was set aside: .+ see .+quarantine/)
    t.comment(lines[0])
    await server.kill('SIGTERM')
  }
  restore()
  writeFileSync(join(data, 'lock'), 'x')
  await server.run()
  t.pass('a lock that lost its content holds nobody up')
  const second = await run(folder, words, environment)
  theLine(
    t,
    'the same command twice',
    second,
    1,
    /in use by a node at .+ Stop it first, or give this one its own --storage:path/,
  )
  const other = await run(folder, ['-p', String(server.port), '--storage:path', join(folder, 'other')])
  theLine(t, 'the same port twice', other, 1, /Port \d+ .+ is in use/)
  t.equal((await fetch(`${server.address}/health/ready`)).status, 200, 'the first goes on')
})

t.test('a damaged embedded database is named, and never replaced by an empty one', async t => {
  const damages: [string, (postgres: string) => void, RegExp][] = [
    ['no PG_VERSION', path => rmSync(join(path, 'PG_VERSION')), /postgres is damaged: PG_VERSION is missing/],
    [
      'an empty pg_control',
      path => truncateSync(join(path, 'global', 'pg_control'), 0),
      /postgres cannot be opened .+ restore it from a copy/,
    ],
  ]
  for (const [what, damage, expected] of damages) {
    const data = await testDataDirectory(t)
    damage(join(data, 'postgres'))
    const outcome = await run(data, ['-p', String(await freePort()), '--storage:path', data])
    theLine(t, what, outcome, 1, expected)
  }
})

t.test('a wrong cluster secret: let in nowhere, logged once, counted, the others unharmed', async t => {
  const cluster = await TestCluster.start(2)
  t.teardown(() => cluster.stop())
  const { nodes } = await cluster.node(0).admin<{ nodes: { address: string }[] }>('clusterStatus', {})
  const before = cluster.node(0).output.length
  const words = ['run', '-p', String(await freePort()), '-s', nodes.map(node => node.address).join(',')]
  words.push('--channel:host=127.0.0.1', `--channel:port=${await freePort()}`)
  const environment = { ...secrets, DATABASE_URL: cluster.postgres.url }
  const stranger = startCommand(words, { folder: t.testdir(), environment })
  t.teardown(() => stranger.child.kill('SIGKILL'))
  const refusedBy = async (index: number): Promise<number> => {
    const text = await (await fetch(`${cluster.node(index).address}/metrics`)).text()
    return Number(/^interval_peer_connections_refused_total (\d+)/m.exec(text)?.[1])
  }
  await eventually(async () => {
    for (const index of [0, 1]) if ((await refusedBy(index)) < 3) throw new Error('hardly refused yet')
  }, 60_000)
  for (const index of [0, 1]) {
    const lines = cluster
      .node(index)
      .output.slice(before)
      .split('\n')
      .filter(line => line.includes('not proved'))
    t.equal(lines.length, 1, `logged once: ${lines.join(' | ')}`)
    t.match(lines[0], /connection refused: it has not proved the cluster secret .*WSS_API_SECRET/)
    t.comment(`${await refusedBy(index)} connections refused; ${lines[0]}`)
    const status = await cluster.status(index)
    t.equal(status.members.length, 2)
    t.same(status.notReady, [])
  }
  await cluster.covered()
  stranger.child.kill('SIGTERM')
  const { errors } = await stranger.ended
  t.match(errors, /connection refused: .+ must be equal on all nodes/, 'it says what may be wrong')
  t.notMatch(errors, /\n\s+at /)
  for (const value of Object.values(secrets)) t.notOk(errors.includes(value))
})
