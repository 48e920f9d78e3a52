/**
 * A Postgres for tests of several nodes: the one that `TEST_DATABASE_URL` names (a fresh database in it), else a server
 * of this machine's `initdb`, else the embedded one, migrated and served to all nodes by a process of its own. Says which.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase, openDatabase } from '../../lib/database/index.js'
import { createLog } from '../../lib/log.js'
import { placeDatabase } from './database.js'
import { eventually } from './eventually.js'
import { freePort } from './ports.js'

export interface TestPostgres {
  readonly url: string
  /** Which of the three it is. */
  readonly kind: string
  /** Ends the server and starts it again on the same data; undefined where it is not ours to end. */
  readonly interruption?: { end(): Promise<void>; start(): Promise<void> }
  stop(): Promise<void>
}

export async function startPostgres(): Promise<TestPostgres> {
  return (await startRealPostgres()) ?? (await startEmbedded())
}

/** Null where only the embedded one is left. */
export async function startRealPostgres(): Promise<TestPostgres | null> {
  const given = process.env.TEST_DATABASE_URL
  if (given) {
    const url = new URL(given)
    url.pathname = `/interval_test_${process.pid}_${Date.now()}`
    await createDatabase(url.toString())
    return { url: url.toString(), kind: 'TEST_DATABASE_URL', stop: async () => undefined }
  }
  return startServer()
}

/** Postgres refuses to run as root: then it runs as the user `postgres`, where there is one. */
function postgresUser(): { uid: number; gid: number } | undefined | null {
  if (process.getuid?.() !== 0) return undefined
  try {
    const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim())
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return null
  }
}

async function startServer(): Promise<TestPostgres | null> {
  const user = postgresUser()
  if (user === null) return null
  const folder = mkdtempSync(join(tmpdir(), 'interval-postgres-'))
  chmodSync(folder, 0o700)
  if (user) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  try {
    execFileSync('initdb', ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8'], {
      ...user,
      cwd: folder,
      stdio: 'ignore',
    })
  } catch {
    rmSync(folder, { recursive: true, force: true })
    return null
  }
  const port = await freePort()
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  let child: ChildProcess | null = null
  const start = async (): Promise<void> => {
    child = spawn(
      'postgres',
      // Tests end processes, never the machine: what is written need not reach the disk.
      ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder].concat(
        ['max_connections=200', 'fsync=off'].flatMap(setting => ['-c', setting]),
      ),
      { ...user, cwd: folder, stdio: 'ignore' },
    )
    await eventually(async () => {
      const database = await openDatabase({ url, log: createLog('test') })
      await database.close()
    }, 20_000)
  }
  const end = async (): Promise<void> => {
    const running = child
    if (!running) return
    child = null
    const ended = new Promise(resolve => running.once('exit', resolve))
    running.kill('SIGINT')
    await ended
  }
  await start()
  return {
    url,
    kind: 'initdb',
    interruption: { end, start },
    async stop() {
      await end()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startEmbedded(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'interval-embedded-'))
  await placeDatabase(folder)
  const database = await openDatabase({ directory: folder, log: createLog('test') })
  return {
    url: database.url,
    kind: 'embedded',
    async stop() {
      await database.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
