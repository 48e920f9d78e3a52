/**
 * What is old enough is forgotten: runs, notifications and audit rows that are older than somebody has set, a few rows to
 * a statement. Without a setting everything is kept.
 *
 * Invariant: nothing that goes on is removed: a run that has not ended, a notification of such a run (the run would write
 * it anew, and it would be sent once more), or one that still waits to be delivered.
 */
import type { Database, Queryable } from '../database/index.js'
import { limits } from '../limits.js'

/** Days for which each is kept; 0: for ever. */
export interface Kept {
  readonly historyDays: number
  readonly notificationDays: number
  readonly auditDays: number
}

/** How many rows were removed. */
export interface Forgotten {
  runs: number
  /** What actions were called, where no run is left that tells so. */
  names: number
  notifications: number
  auditRows: number
}

/** True for one of the nodes that ask, once in `everyMs`. */
export async function takeTurn(database: Queryable, name: string, everyMs: number): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into turns as turn (name, next_at) values ($1, now() + make_interval(secs => $2))
     on conflict (name) do update set next_at = excluded.next_at where turn.next_at <= now()`,
    [name, everyMs / 1_000],
  )
  return rowCount === 1
}

/** Removes what is too old, batch by batch, until nothing is left or `isStopped`. */
export async function forgetOld(
  database: Database,
  { auditDays, historyDays, notificationDays }: Kept,
  isStopped: () => boolean = () => false,
): Promise<Forgotten> {
  const forgotten: Forgotten = { runs: 0, names: 0, notifications: 0, auditRows: 0 }
  const inBatches = async (text: string, values: readonly unknown[]): Promise<number> => {
    let count = 0
    while (!isStopped()) {
      const { rowCount } = await database.query(text, [...values, limits.forgottenRowsMax])
      count += rowCount ?? 0
      if ((rowCount ?? 0) < limits.forgottenRowsMax) break
    }
    return count
  }
  const { rows: places } = await database.query<{ id: string; organization_id: string }>(
    'select id, organization_id from environments',
  )
  // Place by place: that is how an index has them by age.
  for (const { id, organization_id: organization } of places) {
    if (historyDays > 0) {
      forgotten.runs += await inBatches(
        `delete from transactions where id in (
           select id from transactions where organization_id = $1 and environment_id = $2
             and created_at < now() - make_interval(days => $3) and completed_at < now() - make_interval(days => $3)
           order by created_at, id limit $4 for update skip locked)`,
        [organization, id, historyDays],
      )
      forgotten.names += await forgetNames(database, organization, id, isStopped)
    }
    if (notificationDays > 0) {
      forgotten.notifications += await inBatches(
        `delete from notifications where id in (
           select id from notifications where organization_id = $1 and environment_id = $2
             and created_at < now() - make_interval(days => $3)
             and not exists (select from transactions where transactions.id = transaction_id and completed_at is null)
             and not exists (
               select from notification_deliveries where notification_id = notifications.id and status = 'PENDING')
           order by created_at limit $4 for update skip locked)`,
        [organization, id, notificationDays],
      )
    }
  }
  if (auditDays > 0) {
    forgotten.auditRows += await inBatches(
      `delete from audit_log where id in (
         select id from audit_log where at < now() - make_interval(days => $1) order by at limit $2
         for update skip locked)`,
      [auditDays],
    )
  }
  return forgotten
}

const nameIsUnused = `not exists (
  select from transactions where organization_id = $1 and environment_id = $2
    and action_slug = transaction_names.slug and action_name = transaction_names.name)`

/**
 * Removes the names of a place that none of its runs bears. They are kept apart from the runs for the history's list of
 * actions, so deleting runs leaves them behind.
 */
async function forgetNames(
  database: Database,
  organization: string,
  environment: string,
  isStopped: () => boolean,
): Promise<number> {
  let count = 0
  while (!isStopped()) {
    const { rows } = await database.query<{ slug: string; name: string }>(
      `select slug, name from transaction_names
       where organization_id = $1 and environment_id = $2 and ${nameIsUnused} limit $3`,
      [organization, environment, limits.forgottenNamesMax],
    )
    if (rows.length === 0) break
    const removed = await database.transaction(async client => {
      // Who writes a run whose name is there leaves it alone, and might do so right now: not while this is held.
      await client.query('lock table transaction_names in share row exclusive mode')
      const { rowCount } = await client.query(
        `delete from transaction_names where organization_id = $1 and environment_id = $2
           and (slug, name) in (select slug, name from jsonb_to_recordset($3) as gone (slug text, name text))
           and ${nameIsUnused}`,
        [organization, environment, JSON.stringify(rows)],
      )
      return rowCount ?? 0
    })
    count += removed
    if (removed < limits.forgottenNamesMax) break
  }
  return count
}
