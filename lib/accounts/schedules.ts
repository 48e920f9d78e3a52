/**
 * Schedules as people have set them, and the history of their runs. The rows are the truth of what is wanted; what runs is
 * an entity for each, which follows them: `applied_revision` says how far.
 *
 * Invariant: a change raises the revision, and no revision has two contents. What can go wrong: the entity cannot be
 * reached. Then the row waits, and is brought to it later.
 */
import { type Queryable, storable } from '../database/index.js'
import { AppError } from '../errors.js'
import { type EnvironmentId, newId, type OrganizationId, type UserId } from '../ids.js'
import { limits } from '../limits.js'

/** What may be set. Times are a cron text, or an interval with its unit and anchor. */
export interface ScheduleSettings {
  readonly cron: string | null
  readonly every: number | null
  readonly unit: 'minutes' | 'hours' | 'days' | null
  readonly anchorMs: number | null
  readonly timeZone: string
  readonly params: Readonly<Record<string, string | number | boolean | null>>
  readonly runnerId: UserId | null
  readonly runsAsOwner: boolean
  readonly missed: 'once' | 'all' | 'skip'
  readonly overlap: 'skip' | 'queue-one' | 'allow'
  readonly enabled: boolean
  /** Who it runs as hears of success too, not only of what went wrong. */
  readonly notifyOnSuccess: boolean
}

export interface StoredSchedule extends ScheduleSettings {
  readonly id: string
  readonly revision: number
  readonly sinceMs: number
  readonly organizationId: OrganizationId
  readonly organizationSlug: string
  readonly environmentId: EnvironmentId
  readonly environmentSlug: string
  /** Slug of the action. */
  readonly action: string
  readonly runnerEmail: string | null
  readonly isDeleted: boolean
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** One row of the history. */
export interface StoredScheduleRun {
  readonly id: string
  readonly scheduleId: string
  readonly status: 'WAITING' | 'STARTING' | 'RUNNING' | 'SUCCESS' | 'FAILURE' | 'SKIPPED'
  readonly cause: 'tick' | 'missed' | 'manual'
  readonly transactionId: string | null
  readonly details: string | null
  readonly dueAtMs: number
  readonly ticks: number
  readonly lastDueAtMs: number
  readonly endedAtMs: number | null
}

const listMax = 1_000
const pruneRowsMax = 10_000

const selected = `select schedules.id, schedules.revision, since_at, cron, every, unit, anchor_at, schedules.time_zone, params,
    runner_id, runs_as_owner, missed, overlap, enabled, notify_on_success, schedules.deleted_at, schedules.created_at, schedules.updated_at,
    actions.slug as action, actions.organization_id, actions.environment_id, organizations.slug as organization_slug,
    environments.slug as environment_slug, people.email as runner_email
  from schedules join actions on actions.id = action_id
  join organizations on organizations.id = actions.organization_id
  join environments on environments.id = actions.environment_id
  left join people on people.id = runner_id`

interface Row {
  readonly id: string
  readonly revision: number
  readonly since_at: Date
  readonly cron: string | null
  readonly every: number | null
  readonly unit: ScheduleSettings['unit']
  readonly anchor_at: Date | null
  readonly time_zone: string
  readonly params: ScheduleSettings['params']
  readonly runner_id: UserId | null
  readonly runs_as_owner: boolean
  readonly missed: ScheduleSettings['missed']
  readonly overlap: ScheduleSettings['overlap']
  readonly enabled: boolean
  readonly notify_on_success: boolean
  readonly deleted_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
  readonly action: string
  readonly organization_id: OrganizationId
  readonly environment_id: EnvironmentId
  readonly organization_slug: string
  readonly environment_slug: string
  readonly runner_email: string | null
}

function scheduleOf(row: Row): StoredSchedule {
  return {
    id: row.id,
    revision: row.revision,
    sinceMs: row.since_at.getTime(),
    organizationId: row.organization_id,
    organizationSlug: row.organization_slug,
    environmentId: row.environment_id,
    environmentSlug: row.environment_slug,
    action: row.action,
    cron: row.cron,
    every: row.every,
    unit: row.unit,
    anchorMs: row.anchor_at?.getTime() ?? null,
    timeZone: row.time_zone,
    params: row.params,
    runnerId: row.runner_id,
    runnerEmail: row.runner_email,
    runsAsOwner: row.runs_as_owner,
    missed: row.missed,
    overlap: row.overlap,
    enabled: row.enabled,
    notifyOnSuccess: row.notify_on_success,
    isDeleted: row.deleted_at !== null,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  }
}

function values(settings: ScheduleSettings, sinceMs: number): unknown[] {
  return [
    settings.cron,
    settings.every,
    settings.unit,
    settings.anchorMs === null ? null : new Date(settings.anchorMs),
    settings.timeZone,
    storable(settings.params),
    settings.runnerId,
    settings.runsAsOwner,
    settings.missed,
    settings.overlap,
    settings.enabled,
    new Date(sinceMs),
    settings.notifyOnSuccess,
  ]
}

/**
 * Makes a schedule for an action that hosts have declared. Rejects with `invalid-value` (field `action`) when there is none
 * of that slug, `too-many-requests` when it has too many already. Run it in a transaction.
 */
export async function insertSchedule(
  client: Queryable,
  place: { readonly organizationId: OrganizationId; readonly environmentId: EnvironmentId },
  action: string,
  settings: ScheduleSettings,
  sinceMs: number,
): Promise<StoredSchedule> {
  // Locked, so that two at once do not count the same.
  const { rows } = await client.query<{ id: string }>(
    `select id from actions where organization_id = $1 and environment_id = $2 and developer_id is null and slug = $3
     for update`,
    [place.organizationId, place.environmentId, action],
  )
  const actionId = rows[0]?.id
  if (actionId === undefined) {
    const message = 'no host has declared an action of this name here'
    throw new AppError('invalid-value', `action: ${message}`, { fields: { action: message } })
  }
  const counted = await client.query<{ count: string }>(
    'select count(*) from schedules where action_id = $1 and deleted_at is null',
    [actionId],
  )
  if (Number(counted.rows[0]?.count) >= limits.schedulesPerActionMax)
    throw new AppError(
      'too-many-requests',
      `An action has ${limits.schedulesPerActionMax} schedules at most.`,
    )
  const id = newId<string>()
  await client.query(
    `insert into schedules (cron, every, unit, anchor_at, time_zone, params, runner_id, runs_as_owner, missed, overlap,
       enabled, since_at, notify_on_success, id, action_id)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    [...values(settings, sinceMs), id, actionId],
  )
  return await readSchedule(client, id)
}

/** Rejects with `not-found`, also for one that was deleted. */
export async function readSchedule(client: Queryable, id: string): Promise<StoredSchedule> {
  const { rows } = await client.query<Row & Record<string, unknown>>(
    `${selected} where schedules.id = $1 and schedules.deleted_at is null`,
    [id],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found', 'There is no such schedule.')
  return scheduleOf(row)
}

/** Changes a schedule; `change` is given what is there. Rejects with `not-found`. Run it in a transaction. */
export async function updateSchedule(
  client: Queryable,
  id: string,
  change: (schedule: StoredSchedule) => ScheduleSettings,
  sinceMs: number,
): Promise<StoredSchedule> {
  await client.query('select id from schedules where id = $1 for update', [id])
  const settings = change(await readSchedule(client, id))
  await client.query(
    `update schedules set cron = $1, every = $2, unit = $3, anchor_at = $4, time_zone = $5, params = $6, runner_id = $7,
       runs_as_owner = $8, missed = $9, overlap = $10, enabled = $11, since_at = $12, notify_on_success = $13,
       revision = revision + 1, updated_at = now()
     where id = $14`,
    [...values(settings, sinceMs), id],
  )
  return await readSchedule(client, id)
}

/** Marks it as deleted; its history stays. Rejects with `not-found`. */
export async function deleteSchedule(client: Queryable, id: string): Promise<number> {
  const { rows } = await client.query<{ revision: number }>(
    `update schedules set deleted_at = now(), revision = revision + 1, updated_at = now()
     where id = $1 and deleted_at is null returning revision`,
    [id],
  )
  if (!rows[0]) throw new AppError('not-found', 'There is no such schedule.')
  return rows[0].revision
}

/** Schedules of an environment, of one action if its slug is given; the oldest first. */
export async function listSchedules(
  client: Queryable,
  place: { readonly organizationId: OrganizationId; readonly environmentId: EnvironmentId },
  action: string | null,
): Promise<StoredSchedule[]> {
  const { rows } = await client.query<Row & Record<string, unknown>>(
    `${selected} where actions.organization_id = $1 and actions.environment_id = $2
       and ($3::text is null or actions.slug = $3) and schedules.deleted_at is null
     order by schedules.created_at, schedules.id limit $4`,
    [place.organizationId, place.environmentId, action, listMax],
  )
  return rows.map(scheduleOf)
}

/** Changes, deletions among them, that the entities have not taken yet. */
export async function unappliedSchedules(client: Queryable, limit: number): Promise<StoredSchedule[]> {
  const { rows } = await client.query<Row & Record<string, unknown>>(
    `${selected} where applied_revision < schedules.revision order by schedules.updated_at limit $1`,
    [limit],
  )
  return rows.map(scheduleOf)
}

/** All schedules that are wanted, a page at a time, by id. */
export async function wantedSchedules(
  client: Queryable,
  after: string,
  limit: number,
): Promise<StoredSchedule[]> {
  const { rows } = await client.query<Row & Record<string, unknown>>(
    `${selected} where schedules.deleted_at is null and schedules.id > $1 order by schedules.id limit $2`,
    [after, limit],
  )
  return rows.map(scheduleOf)
}

/** The entity has taken this revision. */
export async function noteApplied(client: Queryable, id: string, revision: number): Promise<void> {
  await client.query('update schedules set applied_revision = $2 where id = $1 and applied_revision < $2', [
    id,
    revision,
  ])
}

/** Who owns the organization now; null when nobody does. */
export async function ownerOfOrganization(
  client: Queryable,
  organizationId: OrganizationId,
): Promise<UserId | null> {
  const { rows } = await client.query<{ owner_id: UserId | null }>(
    'select owner_id from organizations where id = $1',
    [organizationId],
  )
  return rows[0]?.owner_id ?? null
}

/** Writes runs, in one statement. A run that has ended is replaced only by what ended later. */
export async function writeScheduleRuns(
  client: Queryable,
  runs: readonly StoredScheduleRun[],
): Promise<void> {
  if (runs.length === 0) return
  const unique = [...new Map(runs.map(run => [run.id, run])).values()]
  await client.query(
    `insert into schedule_runs as old (id, schedule_id, status, cause, transaction_id, details, due_at, ticks, last_due_at,
       ended_at)
     select given.id, schedules.id, given.status, given.cause, given."transactionId", given.details,
       to_timestamp(given."dueAtMs" / 1000.0), given.ticks, to_timestamp(given."lastDueAtMs" / 1000.0),
       to_timestamp(given."endedAtMs" / 1000.0)
     from jsonb_to_recordset($1::jsonb) as given(id text, "scheduleId" text, status text, cause text,
       "transactionId" text, details text, "dueAtMs" bigint, ticks integer, "lastDueAtMs" bigint, "endedAtMs" bigint)
     join schedules on schedules.id = given."scheduleId"
     on conflict (id) do update set status = excluded.status, transaction_id = excluded.transaction_id,
       details = excluded.details, ticks = excluded.ticks, last_due_at = excluded.last_due_at, ended_at = excluded.ended_at
     where old.ended_at is null or excluded.ended_at > old.ended_at`,
    [storable(unique)],
  )
  const refused = unique.filter(({ status, transactionId }) => status === 'FAILURE' && transactionId === null)
  if (refused.length > 0) await tellOfRefused(client, refused)
}

/**
 * A run that could not even begin has no transaction to tell of it: whoever it would have run as is told, or the owner
 * where that is nobody any more. Written again, it is one notification.
 */
async function tellOfRefused(client: Queryable, runs: readonly StoredScheduleRun[]): Promise<void> {
  await client.query(
    `with refused as (
       select given.id || '.end' as id, given.details, actions.organization_id, actions.environment_id, actions.slug,
         case when exists (
           select from memberships where person_id = schedules.runner_id
             and memberships.organization_id = actions.organization_id
         ) then schedules.runner_id else organizations.owner_id end as person_id
       from jsonb_to_recordset($1::jsonb) as given(id text, "scheduleId" text, details text)
       join schedules on schedules.id = given."scheduleId"
       join actions on actions.id = schedules.action_id
       join organizations on organizations.id = actions.organization_id
     ), told as (
       insert into notifications (id, organization_id, environment_id, title, message)
       select id, organization_id, environment_id, '"' || slug || '" could not run as scheduled',
         coalesce(details, 'It says nothing about why.')
       from refused order by id on conflict (id) do nothing returning id
     )
     insert into notification_deliveries (id, notification_id, recipient, person_id)
     select told.id || '.0', told.id, people.email, people.id
     from told join refused on refused.id = told.id join people on people.id = refused.person_id`,
    [storable(runs.map(({ id, scheduleId, details }) => ({ id, scheduleId, details })))],
  )
}

/** Runs of a schedule, the newest first, those due before a time if it is given. */
export async function listScheduleRuns(
  client: Queryable,
  scheduleId: string,
  page: { readonly beforeMs: number | null; readonly limit: number },
): Promise<StoredScheduleRun[]> {
  const { rows } = await client.query<{
    id: string
    status: StoredScheduleRun['status']
    cause: StoredScheduleRun['cause']
    transaction_id: string | null
    details: string | null
    due_at: Date
    ticks: number
    last_due_at: Date | null
    ended_at: Date | null
  }>(
    `select id, status, cause, transaction_id, details, due_at, ticks, last_due_at, ended_at from schedule_runs
     where schedule_id = $1 and ($2::timestamptz is null or due_at < $2) order by due_at desc limit $3`,
    [scheduleId, page.beforeMs === null ? null : new Date(page.beforeMs), page.limit],
  )
  return rows.map(row => ({
    id: row.id,
    scheduleId,
    status: row.status,
    cause: row.cause,
    transactionId: row.transaction_id,
    details: row.details,
    dueAtMs: row.due_at.getTime(),
    ticks: row.ticks,
    lastDueAtMs: (row.last_due_at ?? row.due_at).getTime(),
    endedAtMs: row.ended_at?.getTime() ?? null,
  }))
}

/** Deletes old history, boundedly much at a time. */
export async function pruneScheduleRuns(client: Queryable): Promise<void> {
  await client.query(
    `delete from schedule_runs where id in (
       select id from schedule_runs where created_at < now() - $1 * interval '1 day' limit $2)`,
    [limits.scheduleHistoryDays, pruneRowsMax],
  )
}
