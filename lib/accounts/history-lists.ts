/**
 * The history as people look through it: lists, counts, what they can be narrowed down to, exports, and one run.
 *
 * Invariant: who may see which run is one condition, in the same statement that counts, orders and cuts into pages:
 * nothing of a run reaches somebody who may not open it, not even that there is one.
 * What can go wrong: a history is long, and somebody looks for what is rare or not there. A condition that does not
 * apply is not in the statement, so that an index of each other one can be used; what is searched for is found in the
 * names that ever were and among the members first, and only then in the runs.
 */
import { type Queryable, storableText } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, TransactionId, UserId } from '../ids.js'
import { limits } from '../limits.js'
import type { Actor } from './contract.js'
import type { HistoryInput, HistoryLogLine, HistoryRow, HistoryStatus } from './history.js'

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
/** So many names or people may be found by what is searched for; with more, every run is looked at, and soon enough fits. */
const foundMax = 300
/** The newest of the runs of somebody who sees only those, which tell what their list can be narrowed down to. */
const facetRunsMax = 10_000

const ownerColumn = `case when people.id is not null then jsonb_build_object('id', people.id, 'email', people.email,
  'firstName', people.first_name, 'lastName', people.last_name) end as owner`

/** The conditions of a statement, with their values. */
class Where {
  readonly values: unknown[] = []
  readonly #conditions: string[] = []

  /** The placeholder of a value. */
  value(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }

  and(condition: string): void {
    this.#conditions.push(condition)
  }

  get text(): string {
    return this.#conditions.join(' and ')
  }
}

/**
 * The actions that a team of the actor's administers: by a rule of their own, or, where they have none, by that of the
 * nearest page above that has one. $1 is the organization, $2 the environment, $3 the slugs of teams.
 */
const administered = `
  select action_access.action_id from action_access join teams on teams.id = action_access.team_id
    join action_metadata on action_metadata.action_id = action_access.action_id and availability = 'GROUPS'
    where action_access.level = 'ADMINISTRATOR' and teams.organization_id = $1 and teams.slug = any($3)
  union all
  select below.id from action_group_access join teams on teams.id = action_group_access.team_id
    join action_group_metadata as rule on rule.action_group_id = action_group_access.action_group_id
      and rule.availability = 'GROUPS'
    join action_groups as page on page.id = rule.action_group_id
    join actions as below on below.organization_id = page.organization_id
      and below.environment_id = page.environment_id and below.developer_id is null
      and starts_with(below.slug, page.slug || '/')
    where action_group_access.level = 'ADMINISTRATOR' and teams.organization_id = $1 and teams.slug = any($3)
      and page.environment_id = $2 and page.developer_id is null
      and not exists (select from action_metadata where action_id = below.id and availability is not null)
      and not exists (
        select from action_groups as nearer join action_group_metadata on action_group_id = nearer.id
        where nearer.organization_id = page.organization_id and nearer.environment_id = page.environment_id
          and nearer.developer_id is null and availability is not null
          and starts_with(nearer.slug, page.slug || '/') and starts_with(below.slug, nearer.slug || '/'))`

/**
 * What an actor may see of a place: in development their own; elsewhere their own, those of actions a team of theirs
 * administers, or all with READ_ORG_PROD_TRANSACTIONS.
 */
async function visibleTo(database: Queryable, actor: Actor, isMine = false): Promise<Where> {
  const where = new Where()
  where.and(`transactions.organization_id = ${where.value(actor.organization.id)}`)
  where.and(`environment_id = ${where.value(actor.environment.id)}`)
  if (isConsole(actor)) {
    const own = where.value(actor.user.id)
    where.and(`owner_id = ${own} and developer_id = ${own}`)
    return where
  }
  where.and('developer_id is null')
  if (!isMine && seesAll(actor)) return where
  const own = `owner_id = ${where.value(actor.user.id)}`
  const actions = isMine ? [] : await administeredActions(database, actor)
  where.and(actions.length === 0 ? own : `(${own} or action_id = any(${where.value(actions)}))`)
  return where
}

function isConsole({ environment }: Pick<Actor, 'environment'>): boolean {
  return environment.slug === 'development'
}

function seesAll(actor: Pick<Actor, 'permissions'>): boolean {
  return actor.permissions.has('READ_ORG_PROD_TRANSACTIONS')
}

async function administeredActions(database: Queryable, actor: Actor): Promise<string[]> {
  if (actor.teams.length === 0) return []
  const { rows } = await database.query<{ action_id: string }>(administered, [
    actor.organization.id,
    actor.environment.id,
    actor.teams,
  ])
  return rows.map(row => row.action_id)
}

/** True when the actor may read the runs of their place at all, their own at least. */
export function mayReadTransactions(actor: Pick<Actor, 'permissions' | 'environment'>): boolean {
  const isConsole = actor.environment.slug === 'development'
  return actor.permissions.has(isConsole ? 'READ_DEV_TRANSACTIONS' : 'READ_USER_PROD_TRANSACTIONS')
}

/** What is looked for among what is visible. */
async function narrowDown(
  where: Where,
  database: Queryable,
  actor: Actor,
  { action, fromMs, open, person, search, status, untilMs }: TransactionFilter,
): Promise<void> {
  if (open) where.and('completed_at is null')
  if (action !== undefined) where.and(`action_slug = ${where.value(action)}`)
  if (person !== undefined)
    where.and(`owner_id = (select id from people where lower(email) = lower(${where.value(person)}))`)
  if (status === 'OPEN') where.and('result_status is null')
  else if (status !== undefined) where.and(`result_status = ${where.value(status)}`)
  if (fromMs !== undefined) where.and(`transactions.created_at >= ${where.value(new Date(fromMs))}`)
  if (untilMs !== undefined) where.and(`transactions.created_at < ${where.value(new Date(untilMs))}`)
  if (search !== undefined) where.and(await searched(where, database, actor, storableText(search)))
}

/** Runs of this id, of an action or a person with this in the name. */
async function searched(where: Where, database: Queryable, actor: Actor, search: string): Promise<string> {
  const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
  const { rows } = await database.query<{ slug: string | null; person: string | null }>(
    `(select distinct slug, null as person from transaction_names
      where environment_id = $2 and organization_id = $1 and (slug ilike $3 or name ilike $3) limit $4)
     union all
     (select null, people.id from memberships join people on people.id = memberships.person_id
      where memberships.organization_id = $1 and (email ilike $3 or concat_ws(' ', first_name, last_name) ilike $3)
      limit $4)`,
    [actor.organization.id, actor.environment.id, pattern, foundMax + 1],
  )
  const slugs = rows.map(({ slug }) => slug).filter(slug => slug !== null)
  const people = rows.map(({ person }) => person).filter(person => person !== null)
  const either = [`transactions.id = ${where.value(search)}`]
  if (slugs.length > 0) {
    const like = where.value(pattern)
    const named = `(action_slug ilike ${like} or action_name ilike ${like})`
    either.push(slugs.length > foundMax ? named : `(action_slug = any(${where.value(slugs)}) and ${named})`)
  }
  if (people.length > foundMax) {
    const like = where.value(pattern)
    either.push(`owner_id in (
      select people.id from memberships join people on people.id = memberships.person_id
      where memberships.organization_id = ${where.value(actor.organization.id)}
        and (email ilike ${like} or concat_ws(' ', first_name, last_name) ilike ${like}))`)
  } else if (people.length > 0) either.push(`owner_id = any(${where.value(people)})`)
  return `(${either.join(' or ')})`
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
  const where = await visibleTo(database, actor, filter.mine)
  await narrowDown(where, database, actor, filter)
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from transactions where ${where.text} limit ${where.value(limits.historyCountMax + 1)}) as counted`,
    where.values,
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

export interface TransactionExport {
  readonly pages: AsyncGenerator<readonly ExportedTransaction[]>
  /** There are more than it has: it ends at a bound, with the oldest left out. */
  readonly isCut: boolean
}

/** The same list whole, page after page, up to `rowsMax`. */
export async function exportTransactions(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
  rowsMax: number = limits.historyExportRowsMax,
): Promise<TransactionExport> {
  const where = await whereOf(database, actor, filter)
  const { rowCount } = await database.query(
    `select from transactions where ${where.text} limit 1 offset ${where.value(rowsMax)}`,
    where.values,
  )
  return { pages: exportedPages(database, actor, filter, rowsMax), isCut: (rowCount ?? 0) > 0 }
}

async function* exportedPages(
  database: Queryable,
  actor: Actor,
  filter: TransactionFilter,
  rowsMax: number,
): AsyncGenerator<readonly ExportedTransaction[]> {
  let cursor: string | null = filter.cursor ?? null
  for (let count = 0; count < rowsMax; ) {
    const page: { rows: (ListedRow & StoredTransaction)[]; next: string | null } = await pageOfRows(
      database,
      actor,
      { ...filter, limit: Math.min(pageMax, rowsMax - count), ...(cursor !== null && { cursor }) },
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
  const where = await whereOf(database, actor, filter)
  const { rows } = await database.query<Row & Record<string, unknown>>(
    `select ${columns} from transactions left join people on people.id = transactions.owner_id
     where ${where.text}
     order by transactions.created_at desc, transactions.id desc limit ${where.value(limit + 1)}`,
    where.values,
  )
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { rows: page, next: rows.length > limit && last ? encodeCursor(last.created_at, last.id) : null }
}

/** What the actor may see of what is asked for, from where the page begins. */
async function whereOf(database: Queryable, actor: Actor, filter: TransactionFilter): Promise<Where> {
  const after = filter.cursor === undefined ? null : decodeCursor(filter.cursor)
  const where = await visibleTo(database, actor, filter.mine)
  await narrowDown(where, database, actor, filter)
  if (after) {
    const place = `(${where.value(after.createdAt)}, ${where.value(after.id)})`
    where.and(`(transactions.created_at, transactions.id) < ${place}`)
  }
  return where
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

/**
 * What a list can be narrowed down to: for who sees all runs of a place, its actions and its people; for anybody else,
 * the actions that they see runs of, and no more, since the others' names are nothing to them.
 */
export async function transactionFacets(
  database: Queryable,
  actor: Actor,
): Promise<{ actions: { slug: string; name: string | null }[]; people: { email: string; name: string }[] }> {
  if (isConsole(actor) || !seesAll(actor))
    return { actions: await actionsOfRuns(database, actor), people: [] }
  const actions = await database.query<{ slug: string; name: string | null }>(
    `select slug, name from actions where organization_id = $1 and environment_id = $2 and developer_id is null
     order by slug limit $3`,
    [actor.organization.id, actor.environment.id, facetsMax],
  )
  const people = await database.query<{ email: string; name: string }>(
    `select email, concat_ws(' ', first_name, last_name) as name from people
     join memberships on memberships.person_id = people.id
     where memberships.organization_id = $1 order by lower(email) limit $2`,
    [actor.organization.id, facetsMax],
  )
  return { actions: actions.rows, people: people.rows }
}

async function actionsOfRuns(
  database: Queryable,
  actor: Actor,
): Promise<{ slug: string; name: string | null }[]> {
  const where = await visibleTo(database, actor)
  const { rows } = await database.query<{ slug: string; name: string | null }>(
    `select action_slug as slug, (array_agg(action_name order by created_at desc))[1] as name from (
       select action_slug, action_name, created_at from transactions where ${where.text}
       order by transactions.created_at desc limit ${where.value(facetRunsMax)}) as newest
     group by action_slug order by action_slug limit ${where.value(facetsMax)}`,
    where.values,
  )
  return rows
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
  const where = await visibleTo(database, actor)
  const { rows } = await database.query<Record<string, never> & StoredTransaction>(
    `select transactions.*, ${ownerColumn}
     from transactions left join people on people.id = transactions.owner_id
     where ${where.text} and transactions.id = ${where.value(id)}`,
    where.values,
  )
  const row = rows[0]
  if (!row) return null
  const lines = await database.query<{ index: number; text: string; at: Date }>(
    'select index, text, at from transaction_logs where transaction_id = $1 order by index limit $2',
    [id, limits.logLinesPerTransactionMax],
  )
  return {
    ...listingOf(row),
    resultData: row.result_data,
    resultMeta: row.result_meta,
    params: row.params,
    inputs: row.inputs,
    hostId: row.host_id,
    epoch: Number(row.epoch),
    seq: Number(row.seq),
    logs: lines.rows.map(line => ({ index: line.index, text: line.text, atMs: line.at.getTime() })),
  }
}

interface StoredTransaction extends ListedRow {
  readonly result_data: unknown
  readonly result_meta: unknown
  readonly params: unknown
  readonly inputs: readonly HistoryInput[]
  readonly host_id: string | null
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
