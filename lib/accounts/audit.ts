/**
 * The audit log: who signed in, who was refused, who changed what. Append-only.
 *
 * Invariant: writing never holds up nor fails what is being told. Rows wait in memory while the database is away, and
 * carry their id from the start, so that writing one twice is harmless. What can go wrong: the database stays away for
 * so long that the memory's bound is reached. Then the newest are dropped and counted, and a row tells how many. Or
 * somebody is refused all the time: refusal-limits.ts.
 */
import { randomUUID } from 'node:crypto'
import { type Queryable, storable } from '../database/index.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock } from './clock.js'
import type { AuditEvent } from './contract.js'
import { RefusalLimits } from './refusal-limits.js'

const waitingMax = 10_000
const batchMax = 500
const retryMsMin = 200
const retryMsMax = 5_000
const textCharactersMax = 1_000

export interface AuditRow {
  readonly id: string
  readonly at: string
  readonly name: string
  readonly organizationId: string | null
  readonly userId: string | null
  readonly address: string | null
  readonly details: Readonly<Record<string, string | number | boolean | null>>
}

export interface Audit {
  record(event: AuditEvent): void
  /** Newest first. */
  list(filter: { organizationId?: string; name?: string; limit?: number }): Promise<AuditRow[]>
  /** Rows not yet in the database. */
  waiting(): number
  /** Resolves when everything recorded so far is written, or rejects when the database is away. */
  flush(): Promise<void>
  /** Makes one last attempt. */
  close(): Promise<void>
}

export function createAudit(options: { database: Queryable; log: Log; clock: Clock }): Audit {
  const refused = new RefusalLimits(limits.refusalRowsPerMinuteMax)
  let waiting: AuditRow[] = []
  let lost = 0
  let writing: Promise<void> | undefined
  let retryTimer: NodeJS.Timeout | undefined
  let retryMs = retryMsMin
  let closed = false

  const add = (event: AuditEvent): void => {
    waiting.push({
      id: randomUUID(),
      at: new Date(options.clock.nowMs()).toISOString(),
      name: event.name,
      organizationId: event.organizationId ?? null,
      userId: event.userId ?? null,
      address: event.address ?? null,
      details: event.details ?? {},
    })
  }

  /** Writes it soon, unless too much waits already. */
  const put = (event: AuditEvent): void => {
    if (waiting.length >= waitingMax) {
      if (lost === 0) options.log.error('audit.full', { waitingMax })
      lost += 1
      return
    }
    add(event)
    writeSoon()
  }

  const write = async (): Promise<void> => {
    while (waiting.length > 0 || lost > 0) {
      if (lost > 0 && waiting.length < waitingMax) {
        add({ name: 'audit.lost', details: { count: lost } })
        lost = 0
      }
      const batch = waiting.slice(0, batchMax)
      await insert(options.database, batch)
      waiting = waiting.slice(batch.length)
    }
  }

  const writeSoon = (): void => {
    if (writing || retryTimer) return
    writing = write().then(
      () => {
        writing = undefined
        retryMs = retryMsMin
        // Something may have come between the last look and now.
        if (waiting.length > 0) writeSoon()
      },
      (error: unknown) => {
        writing = undefined
        if (closed) return
        options.log.warn('audit.not-written', { waiting: waiting.length, error })
        retryTimer = setTimeout(() => {
          retryTimer = undefined
          writeSoon()
        }, retryMs)
        retryTimer.unref()
        retryMs = Math.min(retryMs * 2, retryMsMax)
      },
    )
  }

  const flush = async (): Promise<void> => {
    clearTimeout(retryTimer)
    retryTimer = undefined
    await writing
    await write()
  }

  return {
    record(event) {
      for (const summary of refused.summaries(options.clock.nowMs())) put(summary)
      if (refused.take(event)) put(event)
    },
    async list(filter) {
      const { rows } = await options.database.query<{
        id: string
        at: Date
        name: string
        organization_id: string | null
        person_id: string | null
        address: string | null
        details: AuditRow['details']
      }>(
        `select id, at, name, organization_id, person_id, address, details from audit_log
         where ($1::text is null or organization_id = $1) and ($2::text is null or name = $2)
         order by at desc, id limit $3`,
        [filter.organizationId ?? null, filter.name ?? null, Math.min(filter.limit ?? 100, 1_000)],
      )
      return rows.map(row => ({
        id: row.id,
        at: row.at.toISOString(),
        name: row.name,
        organizationId: row.organization_id,
        userId: row.person_id,
        address: row.address,
        details: row.details,
      }))
    },
    waiting: () => waiting.length,
    flush,
    async close() {
      closed = true
      for (const summary of refused.rest()) put(summary)
      await flush().catch(() => options.log.error('audit.lost-at-stop', { waiting: waiting.length }))
    },
  }
}

async function insert(database: Queryable, rows: readonly AuditRow[]): Promise<void> {
  const plain = rows.map(row => ({ ...row, details: cut(row.details) }))
  await database.query(
    `insert into audit_log (id, at, name, organization_id, person_id, address, details)
     select id, at, name, "organizationId", "userId", address, details
     from jsonb_to_recordset($1::jsonb) as row(id text, at timestamptz, name text, "organizationId" text,
       "userId" text, address text, details jsonb)
     on conflict (id) do nothing`,
    [storable(plain)],
  )
}

function cut(details: AuditRow['details']): AuditRow['details'] {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      typeof value === 'string' ? value.slice(0, textCharactersMax) : value,
    ]),
  )
}
