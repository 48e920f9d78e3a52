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
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Actor } from './contract.js'
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

/** A transaction as lists show it. */
export interface TransactionListing {
  readonly id: TransactionId
  readonly slug: string
  readonly name: string
  readonly status: HistoryStatus
  readonly resultStatus: HistoryRow['resultStatus']
  readonly backgroundable: boolean
  readonly owner: { id: UserId; email: string; firstName: string | null; lastName: string | null } | null
  readonly createdAt: string
  readonly completedAt: string | null
}

export interface TransactionFilter {
  /** Only the asker's own. */
  readonly mine?: boolean
  /** Only those that have not ended. */
  readonly open?: boolean
  /** Full path of the action. */
  readonly action?: string | undefined
  /** E-mail address of who started it. */
  readonly person?: string | undefined
  readonly status?: 'OPEN' | NonNullable<HistoryRow['resultStatus']> | undefined
  /** Started at this time or later, and before that one. */
  readonly fromMs?: number | undefined
  readonly untilMs?: number | undefined
  /** Part of the name of an action or a person, or the id of a run. */
  readonly search?: string | undefined
  /** 1 to 100. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly cursor?: string | undefined
}

const pageMax = 100
const pageDefault = 50
const facetsMax = 500

const ownerColumn = `case when people.id is not null then jsonb_build_object('id', people.id, 'email', people.email,
  'firstName', people.first_name, 'lastName', people.last_name) end as owner`

/** Writes versions, in one statement. Rejects with `unavailable` when the database is away; then nothing is written. */
export async function writeHistory(
  database: Queryable,
  rows: readonly HistoryRow[],
  log: Log,
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
    (row.notifications ?? []).map(({ id, title, message, deliveries }) => ({
      id,
      transaction: row.id,
      title: title === null ? null : storableText(title),
      message: storableText(message),
      deliveries: deliveries.map(({ to, method }, index) => ({
        id: `${id}.${index}`,
        to: storableText(to),
        method,
      })),
      at: new Date(row.updatedAtMs).toISOString(),
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

/**
 * The actions that a team of the actor's administers: by a rule of their own, or, where they have none, by that of the
 * nearest page above that has one. Values as in `visible`.
 */
const administered = `
  select action_access.action_id from action_access join teams on teams.id = action_access.team_id
    join action_metadata on action_metadata.action_id = action_access.action_id and availability = 'GROUPS'
    where action_access.level = 'ADMINISTRATOR' and teams.organization_id = $1 and teams.slug = any($7)
  union all
  select below.id from action_group_access join teams on teams.id = action_group_access.team_id
    join action_group_metadata as rule on rule.action_group_id = action_group_access.action_group_id
      and rule.availability = 'GROUPS'
    join action_groups as page on page.id = rule.action_group_id
    join actions as below on below.organization_id = page.organization_id
      and below.environment_id = page.environment_id and below.developer_id is null
      and starts_with(below.slug, page.slug || '/')
    where action_group_access.level = 'ADMINISTRATOR' and teams.organization_id = $1 and teams.slug = any($7)
      and page.environment_id = $2 and page.developer_id is null
      and not exists (select from action_metadata where action_id = below.id and availability is not null)
      and not exists (
        select from action_groups as nearer join action_group_metadata on action_group_id = nearer.id
        where nearer.organization_id = page.organization_id and nearer.environment_id = page.environment_id
          and nearer.developer_id is null and availability is not null
          and starts_with(nearer.slug, page.slug || '/') and starts_with(below.slug, nearer.slug || '/'))`

/**
 * What an actor may see of a place, one condition for lists and single runs: in development their own; elsewhere their
 * own, those of actions a team of theirs administers, or all with READ_ORG_PROD_TRANSACTIONS. Values are $1 to $7.
 */
const visible = `transactions.organization_id = $1 and transactions.environment_id = $2
  and (owner_id = $3 or (not $4 and not $5 and ($6 or action_id in (${administered}))))
  and ($4 = (developer_id is not null)) and ($4 = false or developer_id = $3)`

function visibleValues(actor: Actor, mine: boolean): unknown[] {
  return [
    actor.organization.id,
    actor.environment.id,
    actor.user.id,
    actor.environment.slug === 'development',
    mine,
    actor.permissions.has('READ_ORG_PROD_TRANSACTIONS'),
    actor.teams,
  ]
}

/** True when the actor may read the runs of their place at all, their own at least. */
export function mayReadTransactions(actor: Pick<Actor, 'permissions' | 'environment'>): boolean {
  const isConsole = actor.environment.slug === 'development'
  return actor.permissions.has(isConsole ? 'READ_DEV_TRANSACTIONS' : 'READ_USER_PROD_TRANSACTIONS')
}

/** What is looked for among what is visible. Values are $8 to $15. */
const matching = `(not $8 or completed_at is null)
  and ($9::text is null or action_slug = $9)
  and ($10::text is null or owner_id = (select id from people where lower(email) = lower($10)))
  and ($11::text is null or coalesce(result_status, 'OPEN') = $11)
  and ($12::timestamptz is null or transactions.created_at >= $12)
  and ($13::timestamptz is null or transactions.created_at < $13)
  and ($14::text is null or transactions.id = $15 or action_slug ilike $14 or action_name ilike $14 or owner_id in (
    select id from people where (email ilike $14 or concat_ws(' ', first_name, last_name) ilike $14)
      and exists (select from memberships where person_id = people.id and organization_id = $1)))`

function matchingValues(filter: TransactionFilter): unknown[] {
  const timeOf = (atMs: number | undefined) => (atMs === undefined ? null : new Date(atMs))
  const search = filter.search === undefined ? null : storableText(filter.search)
  return [
    filter.open ?? false,
    filter.action ?? null,
    filter.person ?? null,
    filter.status ?? null,
    timeOf(filter.fromMs),
    timeOf(filter.untilMs),
    search === null ? null : `%${search.replace(/[\\%_]/g, '\\$&')}%`,
    search,
  ]
}

interface ListedRow {
  readonly id: TransactionId
  readonly action_slug: string
  readonly action_name: string
  readonly status: HistoryStatus
  readonly result_status: HistoryRow['resultStatus']
  readonly backgroundable: boolean
  readonly created_at: Date
  readonly completed_at: Date | null
  readonly owner: TransactionListing['owner']
}

/** Transactions of the actor's place that they may see, newest first. */
export async function listTransactions(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
): Promise<{ transactions: TransactionListing[]; next: string | null }> {
  const { rows, next } = await pageOfRows<ListedRow>(
    database,
    actor,
    filter,
    `transactions.id, action_slug, action_name, status, result_status, backgroundable, transactions.created_at,
       completed_at, ${ownerColumn}`,
  )
  return { transactions: rows.map(listingOf), next }
}

/** How many there are on all pages, counted up to a bound: what is beyond it is only told. */
export async function countTransactions(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
): Promise<{ count: number; isMore: boolean }> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from transactions where ${visible} and ${matching} limit $16) as counted`,
    [...visibleValues(actor, filter.mine ?? false), ...matchingValues(filter), limits.historyCountMax + 1],
  )
  const count = rows[0]?.count ?? 0
  return { count: Math.min(count, limits.historyCountMax), isMore: count > limits.historyCountMax }
}

/** A run with everything in it but its log, for an export. */
export interface ExportedTransaction extends TransactionListing {
  readonly hostId: string | null
  readonly params: unknown
  readonly inputs: readonly HistoryInput[]
  readonly resultData: unknown
}

/** The same list whole, page after page; it ends at a bound. */
export async function* exportTransactions(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
): AsyncGenerator<readonly ExportedTransaction[]> {
  let cursor: string | null = filter.cursor ?? null
  for (let count = 0; count < limits.historyExportRowsMax; ) {
    const page: { rows: (ListedRow & StoredTransaction)[]; next: string | null } = await pageOfRows(
      database,
      actor,
      { ...filter, limit: pageMax, ...(cursor !== null && { cursor }) },
      `transactions.*, ${ownerColumn}`,
    )
    yield page.rows.map(row => ({
      ...listingOf(row),
      hostId: row.host_id,
      params: row.params,
      inputs: row.inputs,
      resultData: row.result_data,
    }))
    count += page.rows.length
    cursor = page.next
    if (cursor === null) return
  }
}

async function pageOfRows<Row extends ListedRow>(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
  columns: string,
): Promise<{ rows: Row[]; next: string | null }> {
  const limit = Math.max(1, Math.min(filter.limit ?? pageDefault, pageMax))
  const after = filter.cursor === undefined ? null : decodeCursor(filter.cursor)
  const { rows } = await database.query<Row & Record<string, unknown>>(
    `select ${columns} from transactions left join people on people.id = transactions.owner_id
     where ${visible} and ${matching}
       and ($16::timestamptz is null or (transactions.created_at, transactions.id) < ($16, $17))
     order by transactions.created_at desc, transactions.id desc limit $18`,
    [
      ...visibleValues(actor, filter.mine ?? false),
      ...matchingValues(filter),
      after?.createdAt ?? null,
      after?.id ?? null,
      limit + 1,
    ],
  )
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { rows: page, next: rows.length > limit && last ? encodeCursor(last.created_at, last.id) : null }
}

function listingOf(row: ListedRow): TransactionListing {
  return {
    id: row.id,
    slug: row.action_slug,
    name: row.action_name,
    status: row.status,
    resultStatus: row.result_status,
    backgroundable: row.backgroundable,
    owner: row.owner,
    createdAt: row.created_at.toISOString(),
    completedAt: row.completed_at?.toISOString() ?? null,
  }
}

/** What a list can be narrowed down to: actions of the place, and, for who may see their runs, its people. */
export async function transactionFacets(
  database: Queryable,
  actor: Actor,
): Promise<{ actions: { slug: string; name: string | null }[]; people: { email: string; name: string }[] }> {
  const isConsole = actor.environment.slug === 'development'
  const actions = await database.query<{ slug: string; name: string | null }>(
    `select slug, name from actions where organization_id = $1 and environment_id = $2
       and developer_id is not distinct from $3 order by slug limit $4`,
    [actor.organization.id, actor.environment.id, isConsole ? actor.user.id : null, facetsMax],
  )
  if (isConsole || !actor.permissions.has('READ_ORG_PROD_TRANSACTIONS'))
    return { actions: actions.rows, people: [] }
  const people = await database.query<{ email: string; name: string }>(
    `select email, concat_ws(' ', first_name, last_name) as name from people
     join memberships on memberships.person_id = people.id
     where memberships.organization_id = $1 order by lower(email) limit $2`,
    [actor.organization.id, facetsMax],
  )
  return { actions: actions.rows, people: people.rows }
}

export interface TransactionPlace {
  readonly organizationId: OrganizationId
  readonly organizationSlug: string
  readonly environmentSlug: string
  readonly ownerId: UserId | null
}

/** Where a transaction is and whose, as far as the history knows; null when it does not know it. */
export async function placeOfTransaction(database: Queryable, id: string): Promise<TransactionPlace | null> {
  const { rows } = await database.query<{
    organization_id: OrganizationId
    organization_slug: string
    environment_slug: string
    owner_id: UserId | null
  }>(
    `select transactions.organization_id, organizations.slug as organization_slug,
       environments.slug as environment_slug, transactions.owner_id
     from transactions join environments on environments.id = environment_id
     join organizations on organizations.id = transactions.organization_id where transactions.id = $1`,
    [id],
  )
  const row = rows[0]
  if (!row) return null
  return {
    organizationId: row.organization_id,
    organizationSlug: row.organization_slug,
    environmentSlug: row.environment_slug,
    ownerId: row.owner_id,
  }
}

/** One run with its result and the lines it has logged, for when no partition holds it any more. */
export interface StoredRun extends TransactionListing {
  readonly resultData: unknown
  readonly resultMeta: unknown
  readonly params: unknown
  readonly inputs: readonly HistoryInput[]
  readonly hostId: string | null
  readonly epoch: number
  readonly seq: number
  readonly logs: readonly HistoryLogLine[]
}

/** A transaction of the actor's place; null when there is none that they may see. */
export async function readTransaction(
  database: Queryable,
  actor: Actor,
  id: string,
): Promise<StoredRun | null> {
  const { rows } = await database.query<Record<string, never> & StoredTransaction>(
    `select transactions.*, ${ownerColumn}
     from transactions left join people on people.id = transactions.owner_id
     where ${visible} and transactions.id = $8`,
    [...visibleValues(actor, false), id],
  )
  const row = rows[0]
  if (!row) return null
  const lines = await database.query<{ index: number; text: string; at: Date }>(
    'select index, text, at from transaction_logs where transaction_id = $1 order by index limit $2',
    [id, limits.logLinesPerTransactionMax],
  )
  return {
    id: row.id,
    slug: row.action_slug,
    name: row.action_name,
    status: row.status,
    resultStatus: row.result_status,
    resultData: row.result_data,
    resultMeta: row.result_meta,
    params: row.params,
    inputs: row.inputs,
    hostId: row.host_id,
    backgroundable: row.backgroundable,
    owner: row.owner,
    createdAt: row.created_at.toISOString(),
    completedAt: row.completed_at?.toISOString() ?? null,
    epoch: Number(row.epoch),
    seq: Number(row.seq),
    logs: lines.rows.map(line => ({ index: line.index, text: line.text, atMs: line.at.getTime() })),
  }
}

interface StoredTransaction {
  readonly id: TransactionId
  readonly action_slug: string
  readonly action_name: string
  readonly status: HistoryStatus
  readonly result_status: HistoryRow['resultStatus']
  readonly result_data: unknown
  readonly result_meta: unknown
  readonly params: unknown
  readonly inputs: readonly HistoryInput[]
  readonly host_id: string | null
  readonly backgroundable: boolean
  readonly owner: TransactionListing['owner']
  readonly created_at: Date
  readonly completed_at: Date | null
  readonly epoch: string
  readonly seq: string
}

function encodeCursor(createdAt: Date, id: string): string {
  return Buffer.from(`${createdAt.toISOString()} ${id}`).toString('base64url')
}

function decodeCursor(cursor: string): { createdAt: Date; id: string } {
  const [at = '', id] = Buffer.from(cursor, 'base64url').toString('utf8').split(' ')
  const createdAt = new Date(at)
  if (id === undefined || Number.isNaN(createdAt.getTime())) {
    throw new AppError('bad-request', 'The cursor is not valid.', { fields: { cursor: 'not valid' } })
  }
  return { createdAt, id }
}
