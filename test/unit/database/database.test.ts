import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { startEmbedded } from '../../../lib/database/embedded.js'
import { migrate, openDatabase, readMigrations } from '../../../lib/database/index.js'
import { AppError } from '../../../lib/errors.js'
import { silentLog } from '../../../lib/log.js'
import { testDataDirectory } from '../../support/database.js'

const opener = fileURLToPath(new URL('./child-opens.js', import.meta.url))

async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error(`never: ${what}`)
    await sleep(50)
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // An orphan that has ended keeps its number until it is reaped.
  return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

t.setTimeout(300_000)

t.test('from nothing, and migrated by two processes at once', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'interval-server-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const progress: string[] = []
  const database = await openDatabase({ directory, log: silentLog, onProgress: text => progress.push(text) })
  t.teardown(() => database.close())
  t.same(progress, ['creating the database …', 'opening the database …'])

  const run = promisify(execFile)
  const results = await Promise.all(
    [1, 2].map(() => run(process.execPath, [opener, database.url, 'migrate'])),
  )
  const applied = results.flatMap(result => JSON.parse(result.stdout) as string[])
  const names = readMigrations().map(migration => migration.name)
  t.same(applied.sort(), names, 'each migration ran once')
  t.same(await database.migrate(), { applied: [] })

  // As a Postgres fails whoever is a moment too late, and as it fails when something else is wrong.
  const failing = (isEmpty: boolean): Parameters<typeof migrate>[0] => {
    let hasFailed = false
    return async work => {
      if (!hasFailed) {
        hasFailed = true
        throw Object.assign(new Error('type "migrations" already exists'), { code: '42710' })
      }
      return await database.transaction(client =>
        work(isEmpty ? { query: async () => ({ rows: [] }) as never } : client),
      )
    }
  }
  t.same(await migrate(failing(false)), { applied: [] }, 'the table is there: another one has made it')
  await t.rejects(migrate(failing(true)), { code: '42710' })

  const migrations = readMigrations()
  const edited = migrations.map(one => (one.number === 2 ? { ...one, checksum: 'other' } : one))
  await t.rejects(migrate(database.transaction, edited), {
    code: 'conflict',
    message: /0002-runs was changed/,
  })
  await t.rejects(migrate(database.transaction, migrations.slice(0, 1)), {
    code: 'conflict',
    message: /newer version \(0002-runs\)/,
  })
  const broken = {
    number: 3,
    name: '0003-broken',
    sql: 'create table half (id text); nonsense',
    checksum: 'x',
  }
  await t.rejects(migrate(database.transaction, [...migrations, broken]))
  const half = await database.query(`select to_regclass('half') as half`)
  t.same(half.rows, [{ half: null }], 'a migration is applied wholly or not at all')

  const indexes = await database.query(
    `select constraints.conrelid::regclass::text as "table", constraints.conname as name from pg_constraint constraints
     where constraints.contype = 'f' and not exists (
       select from pg_index where pg_index.indrelid = constraints.conrelid
         and pg_index.indkey[0] = any(constraints.conkey))`,
  )
  t.same(indexes.rows, [], 'every foreign key has an index')
})

t.test('clients do not disturb each other', async t => {
  const directory = await testDataDirectory(t)
  const database = await openDatabase({ directory, log: silentLog })
  t.teardown(() => database.close())
  // Larger than a packet, so that its messages arrive apart from each other.
  const long = 'x'.repeat(200_000)
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const { rows } = await database.query<{ index: number; length: number }>(
        index % 2
          ? 'select $1::int as index, length($2::text) as length'
          : 'select length($2::text) as length, $1::int as index',
        [index, index % 3 ? long : 'short'],
      )
      return rows[0]?.index === index && rows[0].length === (index % 3 ? long.length : 5)
    }),
  )
  t.equal(answers.filter(right => right).length, 40)

  await database.query('create table counts (id int primary key, value int)')
  await database.query('insert into counts values (1, 0)')
  await Promise.all(
    Array.from({ length: 10 }, () =>
      database.transaction(async client => {
        const { rows } = await client.query<{ value: number }>(
          'select value from counts where id = 1 for update',
        )
        await client.query('update counts set value = $1 where id = 1', [(rows[0]?.value ?? 0) + 1])
      }),
    ),
  )
  t.same((await database.query('select value from counts')).rows, [{ value: 10 }])
  await t.rejects(
    database.transaction(async client => {
      await client.query('update counts set value = 99')
      throw new AppError('forbidden')
    }),
    { code: 'forbidden' },
  )
  await t.rejects(database.query('insert into counts values (1, 1)'), { code: 'conflict' })
  t.same((await database.query('select value from counts')).rows, [{ value: 10 }], 'rolled back')
  for (const [text, value] of [
    ['select $1::text', 'a\0b'],
    ['select $1::jsonb', '{"a":"\\u0000"}'],
  ] as const)
    await t.rejects(
      database.query(text, [value]),
      { code: 'bad-request' },
      'zero characters are nobody’s fault but theirs',
    )
})

t.test('an address where no database answers is named by its setting, never with its password', async t => {
  const url = 'postgres://somebody:hunter2@127.0.0.1:1/interval'
  const error: Error = await openDatabase({ url, log: silentLog }).then(
    () => new Error('it opened'),
    (reason: Error) => reason,
  )
  t.match(error, {
    code: 'unavailable',
    message: /database:url \(DATABASE_URL\) .+ at 127\.0\.0\.1:1\/interval: nothing listens there\. /,
  })
  t.notMatch(error.message, 'hunter2')
})

t.test('a database without its mark is damaged, and not taken for a new one', async t => {
  const directory = await testDataDirectory(t)
  rmSync(join(directory, 'postgres', 'PG_VERSION'))
  await t.rejects(openDatabase({ directory, log: silentLog }), {
    code: 'unavailable',
    message: /is damaged: PG_VERSION is missing/,
  })
  t.notOk(existsSync(join(directory, 'postgres', 'PG_VERSION')), 'nothing was made')
})

t.test('the embedded database comes back when it dies', async t => {
  const directory = await testDataDirectory(t)
  const embedded = await startEmbedded({ directory, log: silentLog })
  t.teardown(() => embedded.close())
  const url = `postgresql://postgres@localhost:5432/postgres?host=${encodeURIComponent(embedded.socketDirectory)}`
  const database = await openDatabase({ url, log: silentLog })
  t.teardown(() => database.close())
  await database.query('create table kept (id int)')
  const pid = embedded.pid()
  if (pid === undefined) throw new Error('no process')
  process.kill(pid, 'SIGKILL')
  await eventually('it dies', () => !runs(pid))
  await eventually('it is back', () => database.healthy())
  t.not(embedded.pid(), pid)
  t.same((await database.query('select * from kept')).rows, [])
})

t.test('it ends with its parent, even a killed one, and the next one waits for that', async t => {
  const directory = await testDataDirectory(t)
  const parent = spawn(process.execPath, [opener, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = await new Promise<number>(fulfil =>
    parent.stdout.once('data', (data: Buffer) => fulfil(Number(data.toString()))),
  )
  t.ok(runs(pid))
  parent.kill('SIGKILL')
  const database = await openDatabase({ directory, log: silentLog })
  t.notOk(runs(pid), 'the other one has ended before this one opened')
  t.ok(await database.healthy())
  await database.close()
  t.notOk(await database.healthy())
})
