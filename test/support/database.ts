/**
 * A migrated database for a test file, quickly: creating one takes seconds, so the first test on a machine makes a
 * template, named by what goes into it, and all others copy that.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AccountsOptions, type AccountsService, createAccounts } from '../../lib/accounts/index.js'
import { createDatabase, type Database, openDatabase, readMigrations } from '../../lib/database/index.js'
import { silentLog } from '../../lib/log.js'
import { packageRoot } from '../../lib/root.js'
import { startRealPostgres, type TestPostgres } from './postgres.js'

interface Teardown {
  teardown(work: () => unknown): unknown
}

/** A data directory whose embedded database is there and migrated. Removed after the test. */
export async function testDataDirectory(t: Teardown): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'interval-server-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  await placeDatabase(directory)
  return directory
}

/** Puts an embedded database that is migrated into a data directory that has none. */
export async function placeDatabase(directory: string): Promise<void> {
  cpSync(await databaseTemplate(), join(directory, 'postgres'), { recursive: true })
}

/**
 * An open, migrated, empty database of its own. Closed after the test. `isReal`: in a Postgres where there is one, since
 * the embedded database does one statement at a time and so hides races; with `TEST_DATABASE=postgres` all are.
 */
export async function testDatabase(t: Teardown, { isReal = false } = {}): Promise<Database> {
  const real = isReal ? await testPostgres.database(t) : await wantedPostgres(t)
  if (real) return real
  const directory = await testDataDirectory(t)
  const database = await openDatabase({ directory, log: silentLog })
  t.teardown(() => database.close())
  return database
}

/** The same in a Postgres where `TEST_DATABASE=postgres` asks for it and there is one, else null. */
export async function wantedPostgres(t: Teardown): Promise<Database | null> {
  return process.env.TEST_DATABASE === 'postgres' ? await testPostgres.database(t) : null
}

/** A clock that a test moves; it starts at a fixed moment. */
export class ManualClock {
  #nowMs = Date.UTC(2030, 0, 1)

  nowMs(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }
}

/** Accounts on a database of their own, with passwords that cost little. */
export async function testAccounts(
  t: Teardown,
  overrides: Partial<AccountsOptions> = {},
): Promise<{ accounts: AccountsService; database: Database; clock: ManualClock }> {
  const database = overrides.database ?? (await testDatabase(t))
  const clock = new ManualClock()
  const accounts = createAccounts({
    log: silentLog,
    clock,
    secret: 'a secret for tests only',
    appUrl: 'http://localhost:3000',
    signUp: true,
    passwordParameters: { cost: 2 ** 10, blockSize: 8, parallelization: 1 },
    ...overrides,
    database,
  })
  t.teardown(() => accounts.close())
  return { accounts, database, clock }
}

/** The server that the test databases of this process share, while there are any. */
const testPostgres = {
  running: null as Promise<TestPostgres | null> | null,
  users: 0,
  made: 0,

  /** Null where there is none. */
  async database(t: Teardown): Promise<Database | null> {
    this.users += 1
    this.running ??= this.start()
    const postgres = await this.running
    if (!postgres) return null
    this.made += 1
    const [template, own] = [beside(postgres, 'migrated'), beside(postgres, `${this.made}`)]
    const server = await openDatabase({ url: postgres.url, log: silentLog })
    await server.query(`create database ${own.name} template ${template.name}`).finally(() => server.close())
    const database = await openDatabase({ url: own.url, log: silentLog })
    t.teardown(async () => {
      await database.close()
      this.users -= 1
      if (this.users > 0) return
      this.running = null
      await postgres.stop()
    })
    return database
  },

  async start(): Promise<TestPostgres | null> {
    const postgres = await startRealPostgres()
    if (!postgres) return null
    const { url } = beside(postgres, 'migrated')
    await createDatabase(url)
    const database = await openDatabase({ url, log: silentLog })
    await database.migrate().finally(() => database.close())
    return postgres
  },
}

/** Another database on the same server. */
function beside({ url }: TestPostgres, what: string): { name: string; url: string } {
  const other = new URL(url)
  other.pathname += `_${what}`
  return { name: other.pathname.slice(1), url: other.toString() }
}

async function databaseTemplate(): Promise<string> {
  const hash = createHash('sha256')
  for (const migration of readMigrations()) hash.update(migration.checksum)
  const cache = join(packageRoot, 'node_modules', '.cache', 'interval-server')
  const template = join(cache, `postgres-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(template)) return template
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(tmpdir(), 'interval-server-template-'))
  try {
    const database = await openDatabase({ directory, log: silentLog })
    await database.migrate()
    await database.close()
    const copy = `${template}.${process.pid}`
    cpSync(join(directory, 'postgres'), copy, { recursive: true })
    try {
      renameSync(copy, template)
    } catch {
      // Another test file was faster; its template is as good.
      rmSync(copy, { recursive: true, force: true })
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return template
}
