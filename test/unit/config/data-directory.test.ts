/** One process on a data directory, secrets made once, and clear words for everything that is wrong with it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, linkSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { prepareSocketFolder } from '../../../lib/config/data-directory.js'
import {
  adminSocketPathFor,
  type DataDirectoryOptions,
  lockHolderOf,
  openDataDirectory,
  type Processes,
  systemProcesses,
} from '../../../lib/config/index.js'
import { Secret } from '../../../lib/log.js'

const options: DataDirectoryOptions = { secrets: { server: null, nodes: null, cookie: null }, command: 'run' }
const holderScript = fileURLToPath(new URL('./hold-directory.js', import.meta.url))

/** Starts a second process on the directory; resolves with it and its first line. */
async function hold(path: string, command = 'run'): Promise<{ child: ChildProcess; line: string }> {
  const child = fork(holderScript, [path, command], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  let text = ''
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  while (!text.includes('\n') && child.stdout) await once(child.stdout, 'data')
  return { child, line: text.trim() }
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

t.test('the first opening makes identity and secrets, the next finds them', async t => {
  const path = join(t.testdir(), 'deep', 'data')
  const first = await openDataDirectory(path, options)
  t.equal(statSync(path).mode & 0o777, 0o700)
  t.equal(statSync(join(path, 'secrets.json')).mode & 0o777, 0o600)
  t.match(first.nodeId, /^[0-9a-f-]{36}$/)
  t.ok(first.secrets.cookie.reveal().length >= 32)
  t.notMatch(JSON.stringify(first), first.secrets.server.reveal())
  t.ok(first.isHeld())
  first.close()
  t.notOk(first.isHeld())
  t.notOk(existsSync(join(path, 'lock')))

  const second = await openDataDirectory(path, { ...options, create: false })
  t.equal(second.nodeId, first.nodeId)
  for (const name of ['server', 'nodes', 'cookie'] as const) {
    t.equal(second.secrets[name].reveal(), first.secrets[name].reveal(), name)
  }
  second.close()
})

t.test('configured secrets win, and only the missing ones are made', async t => {
  const path = t.testdir()
  const given = new Secret('given '.repeat(8))
  const directory = await openDataDirectory(path, {
    ...options,
    secrets: { server: given, nodes: null, cookie: given },
  })
  t.equal(directory.secrets.server.reveal(), given.reveal())
  t.same(Object.keys(JSON.parse(readFileSync(join(path, 'secrets.json'), 'utf8'))), ['WSS_API_SECRET'])
  directory.close()
})

t.test('a second process is refused and told who the first is', async t => {
  const path = t.testdir()
  const { child, line } = await hold(path)
  t.equal(line, 'held')
  t.equal(lockHolderOf(path, systemProcesses())?.pid, child.pid)
  await t.rejects(openDataDirectory(path, options), {
    code: 'conflict',
    message: new RegExp(
      `in use by a node at http://127\\.0\\.0\\.1:3000 \\(pid ${child.pid} on .+, since 20`,
    ),
  })
  await kill(child)
  t.ok(existsSync(join(path, 'lock')), 'kill -9 leaves the file')
  t.equal(lockHolderOf(path, systemProcesses()), null, 'and it counts for nothing')
  const next = await openDataDirectory(path, options)
  t.ok(next.isHeld())
  next.close()
})

t.test('a short-lived command is waited for', async t => {
  const path = t.testdir()
  const { child } = await hold(path, 'admin')
  await t.rejects(openDataDirectory(path, options), { code: 'conflict', message: /in use by `admin`/ })
  const opening = openDataDirectory(path, { ...options, waitMs: 20_000 })
  child.send('release')
  const directory = await opening
  t.ok(directory.isHeld())
  directory.close()
})

t.test('of many that start at once, also over a lock left behind, one gets it', async t => {
  const path = t.testdir()
  const { child } = await hold(path)
  await kill(child)
  const results = await Promise.all([hold(path), hold(path), hold(path), hold(path)])
  const held = results.filter(({ line }) => line === 'held')
  t.equal(held.length, 1)
  for (const { line } of results) if (line !== 'held') t.match(line, /^refused: .*in use by a node/)
  for (const { child } of results) if (child.exitCode === null) await kill(child)
})

t.test('a pid that another process has now does not count', async t => {
  const path = t.testdir()
  const own = systemProcesses().own
  const holder = { ...own, token: 'old', command: 'run', address: null, since: 'then', adminSocket: 'x' }
  for (const change of [{ startTicks: '1' }, { bootId: 'another boot' }]) {
    writeFileSync(join(path, 'lock'), JSON.stringify({ ...holder, ...change }))
    const directory = await openDataDirectory(path, options)
    t.ok(directory.isHeld(), JSON.stringify(change))
    directory.close()
  }
  writeFileSync(join(path, 'lock'), '')
  const directory = await openDataDirectory(path, options)
  t.ok(directory.isHeld(), 'a lock file that a power failure emptied')
  directory.close()
})

t.test('a holder in another container is judged by whether it still touches its file', async t => {
  const path = t.testdir()
  const own = systemProcesses().own
  const elsewhere: Processes = { own, livenessOf: () => 'elsewhere' }
  const lock = join(path, 'lock')
  const write = (): void =>
    writeFileSync(
      lock,
      JSON.stringify({
        ...own,
        hostname: 'other',
        token: 'x',
        command: 'run',
        address: null,
        since: 'then',
        adminSocket: '',
      }),
    )
  write()
  let nowMs = 1_000_000
  const silent = await openDataDirectory(path, {
    ...options,
    processes: elsewhere,
    nowMs: () => {
      nowMs += 4_000
      return nowMs
    },
  })
  t.ok(silent.isHeld(), 'it was silent for over 10 s')
  silent.close()

  write()
  let touches = 0
  await t.rejects(
    openDataDirectory(path, {
      ...options,
      processes: {
        own,
        livenessOf: () => {
          touches += 1
          utimesSync(lock, 1_000 + touches, 1_000 + touches)
          return 'elsewhere'
        },
      },
    }),
    { code: 'conflict' },
    'it is alive',
  )
})

t.test('a lock that was replaced is no longer held', async t => {
  const path = t.testdir()
  const directory = await openDataDirectory(path, options)
  const lock = join(path, 'lock')
  linkSync(lock, `${lock}.copy`)
  writeFileSync(lock, JSON.stringify({ ...systemProcesses().own, token: 'other', command: 'run' }))
  t.notOk(directory.isHeld())
  directory.close()
  t.ok(existsSync(lock), 'and not removed by the one that lost it')
})

t.test('secrets that others can read, or that are damaged, stop the start and stay as they are', async t => {
  const path = t.testdir()
  const file = join(path, 'secrets.json')
  ;(await openDataDirectory(path, options)).close()
  chmodSync(file, 0o640)
  await t.rejects(openDataDirectory(path, options), { code: 'forbidden', message: /mode 640.*chmod 600/ })
  t.equal(lockHolderOf(path, systemProcesses()), null, 'the lock is given free')
  for (const damaged of ['', '{', '[]', '{"SECRET":5}', '{"SECRET":"short"}']) {
    writeFileSync(file, damaged)
    chmodSync(file, 0o600)
    await t.rejects(openDataDirectory(path, options), { code: 'damaged' }, JSON.stringify(damaged))
    t.equal(readFileSync(file, 'utf8'), damaged)
  }
})

t.test('a damaged node id is reported, never replaced', async t => {
  const path = t.testdir({ 'node-id': 'nonsense' })
  await t.rejects(openDataDirectory(path, options), { code: 'damaged', message: /node-id does not hold/ })
})

t.test('a path that cannot be a data directory is refused in one sentence', async t => {
  const path = t.testdir({ file: 'x', locked: {} })
  await t.rejects(openDataDirectory(join(path, 'file'), options), { message: /is a file|not a folder/ })
  await t.rejects(openDataDirectory(join(path, 'file', 'below'), options), {
    message: /part of the path is a file/,
  })
  await t.rejects(openDataDirectory(join(path, 'none'), { ...options, create: false }), { code: 'not-found' })
  if (process.getuid?.() !== 0) {
    chmodSync(join(path, 'locked'), 0o500)
    await t.rejects(openDataDirectory(join(path, 'locked'), options), { message: /may not read and write/ })
    chmodSync(join(path, 'locked'), 0o700)
  }
})

t.test('the admin socket moves to a private folder when the path is too long for one', async t => {
  const short = join('/srv', 'data')
  t.equal(adminSocketPathFor(short), join(short, 'admin.sock'))
  const long = join('/srv', 'x'.repeat(120))
  const temporary = t.testdir()
  const moved = adminSocketPathFor(long, '/tmp')
  t.match(moved, /^\/tmp\/interval-\d+-[0-9a-f]{16}\/admin\.sock$/)
  t.equal(adminSocketPathFor(long, '/tmp'), moved, 'always the same')
  const folder = join(temporary, 'private')
  prepareSocketFolder(folder)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  chmodSync(folder, 0o777)
  t.throws(() => prepareSocketFolder(folder), { code: 'conflict' })

  const directory = await openDataDirectory(join(temporary, 'x'.repeat(120)), options)
  const outside = dirname(directory.adminSocketPath)
  t.ok(existsSync(outside))
  directory.close()
  t.notOk(existsSync(outside), 'and takes it along')
})
