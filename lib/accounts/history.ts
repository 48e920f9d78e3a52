/**
 * The history of runs in Postgres. The runs themselves live in the partitions; their rows come here through an outbox,
 * at least once, late, and after a change of owner perhaps in the wrong order.
 *
 * Invariant: a row holds the newest version that arrived, by (epoch, seq); writing a version again changes nothing.
 * What can go wrong: a row refers to something that was deleted meanwhile, or holds what Postgres refuses. Neither may
 * stop the rows behind it: the first is dropped with its organization, the second is reported and left out.
 */
import { type Queryable, storable, storableText } from '../database/index.js'
import { AppError } from '../errors.js'
import type { EnvironmentId, OrganizationId, TransactionId, UserId } from '../ids.js'
import type { Log } from '../log.js'
import type { NotificationMethod } from './notifications.js'

export type HistoryStatus =
  | 'PENDING'
  | 'RUNNING'
  | 'AWAITING_INPUT'
  | 'COMPLETED'
  | 'HOST_CONNECTION_DROPPED'
  | 'CLIENT_CONNECTION_DROPPED'

export interface HistoryLogLine {
  readonly index: number
  readonly text: string
  readonly atMs: number
}

/** What a run has sent somebody. */
export interface HistoryNotification {
  readonly id: string
  /** When it was said; else it is as old as the run. */
  readonly atMs?: number
  readonly title: string | null
  readonly message: string
  readonly deliveries: readonly { readonly to: string; readonly method: NotificationMethod | null }[]
}

/** What was entered in one step. */
export interface HistoryInput {
  readonly order: number
  readonly atMs: number
  readonly choice: string | null
  readonly fields: readonly { readonly label: string; readonly method: string; readonly value: unknown }[]
}

/** One version of one transaction. */
export interface HistoryRow {
  readonly id: TransactionId
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  /** Set for a run in a development console. */
  readonly developerId: UserId | null
  readonly ownerId: UserId
  readonly slug: string
  readonly name: string
  readonly hostId: string | null
  readonly status: HistoryStatus
  readonly resultStatus: 'SUCCESS' | 'FAILURE' | 'CANCELED' | 'REDIRECTED' | null
  readonly resultData: unknown
  readonly resultMeta?: unknown
  /** Secrets are masked in both. */
  readonly inputs?: readonly HistoryInput[]
  readonly params?: unknown
  readonly backgroundable: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly completedAtMs: number | null
  readonly epoch: number
  readonly seq: number
  /** Lines that may be new; those already written are recognised by their index. */
  readonly logs: readonly HistoryLogLine[]
  /** Those that may be new; those already written, by whichever way, are recognised by their id. */
  readonly notifications?: readonly HistoryNotification[]
}

/** Writes versions, in one statement. Rejects with `unavailable` when the database is away; then nothing is written. */
export async function writeHistory(
  database: Queryable,
  rows: readonly HistoryRow[],
  log: Log,
  isSecondTry = false,
): Promise<void> {
  const newest = new Map<string, HistoryRow>()
  for (const row of rows) {
    const other = newest.get(row.id)
    if (!other) newest.set(row.id, row)
    else newest.set(row.id, merged(other, row))
  }
  const distinct = [...newest.values()]
  if (distinct.length === 0) return
  try {
    await insert(database, distinct)
  } catch (error) {
    if (error instanceof AppError && error.kind.retryable) throw error
    if (distinct.length === 1) {
      // What it refers to was deleted in that moment; it is seen to be gone now.
      if (!isSecondTry && error instanceof AppError && error.code === 'not-found')
        return await writeHistory(database, distinct, log, true)
      log.error('history.row-refused', { transaction: distinct[0]?.id, error })
      return
    }
    // One of them is refused: find it, write the others.
    for (const row of distinct) await writeHistory(database, [row], log)
  }
}

async function insert(database: Queryable, rows: readonly HistoryRow[]): Promise<void> {
  const transactions = rows.map(({ logs, notifications, ...row }) => row)
  const lines = rows.flatMap(row =>
    row.logs.map(line => ({
      id: row.id,
      index: line.index,
      text: storableText(line.text),
      at: new Date(line.atMs).toISOString(),
      epoch: row.epoch,
      seq: row.seq,
    })),
  )
  const notifications = rows.flatMap(row =>
    (row.notifications ?? []).map(({ id, atMs, title, message, deliveries }) => ({
      id,
      transaction: row.id,
      title: title === null ? null : storableText(title),
      message: storableText(message),
      deliveries: deliveries.map(({ to, method }, index) => ({
        id: `${id}.${index}`,
        to: storableText(to),
        method,
      })),
      at: new Date(atMs ?? row.updatedAtMs).toISOString(),
    })),
  )
  await database.query(
    `with given as (
       select row.*, environments.id as known from jsonb_to_recordset($1::jsonb) as row(id text, "organizationId" text,
         "environmentId" text, "developerId" text, "ownerId" text, slug text, name text, "hostId" text, status text,
         "resultStatus" text, "resultData" jsonb, "resultMeta" jsonb, inputs jsonb, params jsonb, backgroundable boolean, "createdAtMs" float8,
         "updatedAtMs" float8, "completedAtMs" float8, epoch bigint, seq bigint)
       join environments on environments.id = row."environmentId"
         and environments.organization_id = row."organizationId"
       where row."developerId" is null or exists (select from people where people.id = row."developerId")
     ), written as (
       insert into transactions as old (id, organization_id, environment_id, developer_id, owner_id, action_id,
         action_slug, action_name, host_id, status, result_status, result_data, result_meta, inputs, params, backgroundable,
         created_at, updated_at, completed_at, epoch, seq)
       select given.id, "organizationId", "environmentId", "developerId", people.id,
         (select actions.id from actions where actions.organization_id = "organizationId"
           and actions.environment_id = "environmentId" and coalesce(actions.developer_id, '') = coalesce("developerId", '')
           and actions.slug = given.slug),
         given.slug, given.name, "hostId", status, "resultStatus", "resultData", "resultMeta",
         coalesce(given.inputs, '[]'), coalesce(given.params, '{}'), given.backgroundable,
         to_timestamp("createdAtMs" / 1000), to_timestamp("updatedAtMs" / 1000), to_timestamp("completedAtMs" / 1000),
         epoch, seq
       from given left join people on people.id = given."ownerId"
       order by given.id
       on conflict (id) do update set owner_id = excluded.owner_id, action_id = coalesce(excluded.action_id, old.action_id),
         action_name = excluded.action_name, host_id = excluded.host_id, status = excluded.status,
         result_status = excluded.result_status, result_data = excluded.result_data, result_meta = excluded.result_meta,
         inputs = excluded.inputs, params = excluded.params, updated_at = excluded.updated_at, completed_at = excluded.completed_at, epoch = excluded.epoch, seq = excluded.seq
       where (old.epoch, old.seq) < (excluded.epoch, excluded.seq)
     ), notified as (
       insert into notifications (id, organization_id, environment_id, transaction_id, title, message, created_at)
       select note.id, "organizationId", "environmentId", given.id, note.title, note.message, note.at
       from jsonb_to_recordset($3::jsonb) as note(id text, transaction text, title text, message text, at timestamptz)
       join given on given.id = note.transaction
       order by note.id
       on conflict (id) do nothing
       returning id, organization_id, environment_id
     ), delivered as (
       -- In development they are shown, never sent.
       insert into notification_deliveries (id, notification_id, recipient, method, person_id)
       select delivery.id, notified.id, delivery."to", delivery.method, people.id
       from notified join environments on environments.id = notified.environment_id and environments.slug <> 'development'
       join jsonb_to_recordset($3::jsonb) as note(id text, deliveries jsonb) on note.id = notified.id
       cross join jsonb_to_recordset(note.deliveries) as delivery(id text, "to" text, method text)
       left join people on lower(people.email) = lower(delivery."to") and exists (
         select from memberships where person_id = people.id and memberships.organization_id = notified.organization_id)
       on conflict (id) do nothing
     ), named as (
       insert into transaction_names (organization_id, environment_id, slug, name)
       select distinct "organizationId", "environmentId", slug, name from given
       order by "organizationId", "environmentId", slug, name
       on conflict (environment_id, md5(slug || chr(10) || name)) do nothing
     )
     insert into transaction_logs as old (transaction_id, index, text, at, epoch, seq)
     select line.id, line.index, line.text, line.at, line.epoch, line.seq
     from jsonb_to_recordset($2::jsonb) as line(id text, index integer, text text, at timestamptz, epoch bigint, seq bigint)
     join given on given.id = line.id
     order by line.id, line.index
     on conflict (transaction_id, index) do update set text = excluded.text, at = excluded.at, epoch = excluded.epoch,
       seq = excluded.seq
     where (old.epoch, old.seq) < (excluded.epoch, excluded.seq) and old.text <> excluded.text`,
    [storable(transactions), storable(lines), storable(notifications)],
  )
}

/** The newer version, with the lines and notifications of both. */
function merged(one: HistoryRow, other: HistoryRow): HistoryRow {
  const otherIsNewer = other.epoch > one.epoch || (other.epoch === one.epoch && other.seq >= one.seq)
  const [older, newer] = otherIsNewer ? [one, other] : [other, one]
  const lines = new Map([...older.logs, ...newer.logs].map(line => [line.index, line]))
  const notifications = new Map(
    [...(older.notifications ?? []), ...(newer.notifications ?? [])].map(note => [note.id, note]),
  )
  return { ...newer, logs: [...lines.values()], notifications: [...notifications.values()] }
}
