/** Checks of the database: reachable, how far its schema is, and whether its clock agrees with ours. */
import { existsSync } from 'node:fs'
import { type Config, errorCode, type LockHolder, openDataDirectory } from '../config/index.js'
import { type Database, openDatabase, readMigrations } from '../database/index.js'
import { silentLog } from '../log.js'
import { describe } from './describe.js'
import type { Check } from './doctor-machine.js'

const databaseMsMax = 15_000
/** Apart from this, sessions and links still expire about when they should. */
const clockOffsetMsGood = 1_000
const clockOffsetMsMax = 60_000
/** No system is older than this program. */
const earliestMs = Date.UTC(2026, 0, 1)

const name = 'database'

export interface DatabaseReport {
  readonly checks: readonly Check[]
  /** Its clock minus ours, in ms; null when it was not asked. */
  readonly clockOffsetMs: number | null
}

export async function checkDatabase(config: Config, running: LockHolder | null): Promise<DatabaseReport> {
  if (config.database.url !== null) {
    const url = config.database.url.reveal()
    return await examine(
      () => openDatabase({ url, log: silentLog }),
      'check DATABASE_URL and that the server runs; `interval-server db-init` creates a missing database',
    )
  }
  const path = config.storage.path
  if (running !== null) {
    return {
      checks: [{ name, status: 'ok', text: 'embedded, in use by the running process' }],
      clockOffsetMs: null,
    }
  }
  if (!existsSync(`${path}/postgres`)) {
    return {
      checks: [{ name, status: 'ok', text: 'embedded, made at the first start' }],
      clockOffsetMs: null,
    }
  }
  const directory = await openDataDirectory(path, { secrets: config.secrets, command: 'doctor' }).catch(
    (error: unknown) => describe(error),
  )
  if (typeof directory === 'string') {
    return { checks: [{ name, status: 'fail', text: directory }], clockOffsetMs: null }
  }
  try {
    return await examine(() => openDatabase({ directory: path, log: silentLog }), 'restore it from a copy')
  } finally {
    directory.close()
  }
}

async function examine(open: () => Promise<Database>, advice: string): Promise<DatabaseReport> {
  const opening = open()
  let database: Database
  try {
    database = await withDeadline(opening)
  } catch (error) {
    // Should it open after all, it must not stay open.
    void opening.then(late => late.close()).catch(() => {})
    return { checks: [{ name, status: 'fail', text: reasonOf(error), advice }], clockOffsetMs: null }
  }
  try {
    const beforeMs = Date.now()
    const { rows } = await withDeadline(
      database.query<{ now: string; version: string }>(
        "select extract(epoch from clock_timestamp()) * 1000 as now, current_setting('server_version') as version",
      ),
    )
    const middleMs = (beforeMs + Date.now()) / 2
    const clockOffsetMs = Number(rows[0]?.now) - middleMs
    const kind = database.embedded ? 'embedded Postgres' : 'Postgres'
    return {
      checks: [
        { name, status: 'ok', text: `${kind} ${rows[0]?.version ?? ''} answers` },
        await withDeadline(checkSchema(database)),
      ],
      clockOffsetMs: database.embedded ? null : clockOffsetMs,
    }
  } catch (error) {
    return { checks: [{ name, status: 'fail', text: describe(error), advice }], clockOffsetMs: null }
  } finally {
    await database.close()
  }
}

/** With the code of what is behind it, e.g. ECONNREFUSED; its message may hold more than should be shown. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause === undefined ? describe(error) : `${describe(error)} (${errorCode(cause)})`
}

/** Reads only: `doctor` never changes the database. */
async function checkSchema(database: Database): Promise<Check> {
  const known = readMigrations()
  const { rows: tables } = await database.query<{ found: string | null }>(
    "select to_regclass('migrations')::text as found",
  )
  const applied =
    (tables[0]?.found ?? null) === null
      ? []
      : (
          await database.query<{ number: number; name: string }>(
            'select number, name from migrations order by number',
          )
        ).rows
  const newer = applied.find(row => row.number > known.length)
  if (newer !== undefined) {
    return {
      name,
      status: 'fail',
      text: `migrated by a newer version (${newer.name}; this one knows ${known.length} migrations)`,
      advice: 'install the newer version',
    }
  }
  const missing = known.length - applied.length
  return missing === 0
    ? { name, status: 'ok', text: `schema up to date (${known.length} migrations)` }
    : {
        name,
        status: 'warn',
        text: `${missing} migrations not applied yet`,
        advice: 'the next start applies them, or `interval-server db-init`',
      }
}

export function checkClock(nowMs: number, offsetMs: number | null): Check {
  const advice = 'synchronise the clock (NTP)'
  if (nowMs < earliestMs) {
    return { name: 'clock', status: 'fail', text: `it says ${new Date(nowMs).toISOString()}`, advice }
  }
  if (offsetMs === null) return { name: 'clock', status: 'ok', text: new Date(nowMs).toISOString() }
  const text = `${Math.abs(offsetMs / 1_000).toFixed(1)} s ${offsetMs > 0 ? 'behind' : 'ahead of'} the database`
  if (Math.abs(offsetMs) > clockOffsetMsMax) return { name: 'clock', status: 'fail', text, advice }
  if (Math.abs(offsetMs) > clockOffsetMsGood) return { name: 'clock', status: 'warn', text, advice }
  return { name: 'clock', status: 'ok', text }
}

async function withDeadline<Value>(promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${databaseMsMax / 1_000} s`)), databaseMsMax)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
