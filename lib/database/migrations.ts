/**
 * Migrations: numbered files of SQL, forward only, each applied once and in order, each in one transaction.
 *
 * Invariant: what is in the table `migrations` is exactly what was run, file by file, with its digest. Several nodes
 * may start at once: each step locks the table first, so that one of them runs it and the others find it done.
 * What can go wrong: an applied file was edited, or the database was used by a newer version. Both are refused.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { packageRoot } from '../root.js'
import type { Queryable } from './database.js'

export interface Migration {
  readonly number: number
  /** File name without extension, e.g. `0001-accounts`. */
  readonly name: string
  readonly sql: string
  /** SHA-256 of the file in hex. */
  readonly checksum: string
}

export interface MigrationResult {
  /** Names of the migrations that this call applied. */
  readonly applied: readonly string[]
}

type Transaction = <T>(work: (client: Queryable) => Promise<T>) => Promise<T>

const fileName = /^(\d{4})-[a-z0-9-]+\.sql$/

/** Reads the migrations of this version, by number. Throws when numbers are missing or doubled. */
export function readMigrations(directory = join(packageRoot, 'lib', 'database', 'migrations')): Migration[] {
  const files = readdirSync(directory)
    .filter(file => file.endsWith('.sql'))
    .sort()
  return files.map((file, index) => {
    const number = Number(fileName.exec(file)?.[1])
    if (number !== index + 1) {
      throw new Error(`${file}: expected a name like ${String(index + 1).padStart(4, '0')}-noun.sql`)
    }
    const sql = readFileSync(join(directory, file), 'utf8')
    return {
      number,
      name: file.slice(0, -'.sql'.length),
      sql,
      checksum: createHash('sha256').update(sql).digest('hex'),
    }
  })
}

/** Applies what is missing. Rejects with `conflict` when database and code do not fit together. */
export async function migrate(
  transaction: Transaction,
  migrations: readonly Migration[] = readMigrations(),
): Promise<MigrationResult> {
  await createTable(transaction)
  const applied: string[] = []
  for (;;) {
    const name = await transaction(client => step(client, migrations))
    if (name === null) return { applied }
    applied.push(name)
  }
}

/**
 * "If not exists" does not hold between those who create it in the same moment: all but one fail, in several ways, once
 * that one is done.
 */
async function createTable(transaction: Transaction): Promise<void> {
  const create = (client: Queryable): Promise<unknown> =>
    client.query(`create table if not exists migrations (
      number integer primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`)
  const isThere = async (client: Queryable): Promise<boolean> =>
    (await client.query(`select 1 where to_regclass('migrations') is not null`)).rows.length > 0
  try {
    await transaction(create)
  } catch (error) {
    if (!(await transaction(isThere).catch(() => false))) throw error
  }
}

/** Runs the next migration in the given transaction; null when there is none. */
async function step(client: Queryable, migrations: readonly Migration[]): Promise<string | null> {
  await client.query('lock table migrations in access exclusive mode')
  const { rows } = await client.query<{ number: number; name: string; checksum: string }>(
    'select number, name, checksum from migrations order by number',
  )
  for (const row of rows) {
    const known = migrations[row.number - 1]
    if (!known) {
      throw new AppError(
        'conflict',
        `The database was migrated by a newer version (${row.name}); this version knows ${migrations.length} migrations. Install the newer version.`,
      )
    }
    if (known.checksum !== row.checksum) {
      throw new AppError(
        'conflict',
        `Migration ${known.name} was changed after it had been applied. Restore the file; changes go into a new migration.`,
      )
    }
  }
  const next = migrations[rows.length]
  if (!next) return null
  await client.query(next.sql)
  await client.query('insert into migrations (number, name, checksum) values ($1, $2, $3)', [
    next.number,
    next.name,
    next.checksum,
  ])
  return next.name
}
