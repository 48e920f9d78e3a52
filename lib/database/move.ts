/**
 * Brings what one database holds into another: a node that outgrows its embedded database takes its people, keys and
 * history along.
 *
 * Both have the schema of this version. Tables are copied in the order of their references, a batch at a time, each row
 * as JSON, which Postgres turns back into the row by itself. Rows that are there already stay, so that a move that was
 * interrupted is simply run again. What can go wrong: the target is somebody else's. It is refused when it holds a person
 * that the source does not know.
 */
import { AppError } from '../errors.js'
import type { Database } from './database.js'

/** What belongs to a database rather than to its content. */
const leftBehind = new Set([
  'migrations',
  'changes',
  'cluster',
  'cluster_nodes',
  'cluster_stores',
  'partition_configurations',
])
/** Its one row is there with the schema, and says nothing yet. */
const replaced = 'installation'
const batchRowsMax = 1_000

/** Copies every table; calls `progress` with each one that had rows. Rejects with `conflict` on a foreign target. */
export async function moveDatabase(
  from: Database,
  to: Database,
  progress: (table: string, rows: number) => void,
): Promise<void> {
  await refuseForeign(from, to)
  const { order, later } = await plan(from)
  for (const table of order) {
    if (table === replaced) await to.query(`delete from ${table}`)
    const left = later.filter(reference => reference.table === table).map(({ column }) => column)
    const rows = await copy(from, table, content => insert(to, table, content, left))
    if (rows > 0) progress(table, rows)
  }
  for (const { table, column } of later) {
    await copy(from, table, content => fill(to, table, content, column))
  }
}

async function refuseForeign(from: Database, to: Database): Promise<void> {
  const known = await from.query<{ id: string }>('select id from people')
  const { rows } = await to.query('select 1 from people where id <> all($1) limit 1', [
    known.rows.map(row => row.id),
  ])
  if (rows.length === 0) return
  throw new AppError(
    'conflict',
    'The database holds other people already. Move into one that is empty, or was filled by this same move.',
  )
}

interface Reference {
  readonly table: string
  readonly column: string
  readonly target: string
  /** It may be empty at first. */
  readonly optional: boolean
}

/** Tables, each after those it must refer to, and the optional references that point forward: they are filled in last. */
async function plan(database: Database): Promise<{ order: string[]; later: Reference[] }> {
  const tables = await database.query<{ name: string }>(
    'select tablename as name from pg_tables where schemaname = current_schema() order by tablename',
  )
  const references = await database.query<{
    table: string
    column: string
    target: string
    optional: boolean
  }>(
    `select c.conrelid::regclass::text as table, a.attname as column, c.confrelid::regclass::text as target,
       not a.attnotnull as optional
     from pg_constraint c
     join pg_namespace n on n.oid = c.connamespace
     join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
     where c.contype = 'f' and n.nspname = current_schema() and c.conrelid <> c.confrelid`,
  )
  const waiting = new Set(tables.rows.map(row => row.name).filter(name => !leftBehind.has(name)))
  const order: string[] = []
  const needs = (name: string, isNeeded: (reference: Reference) => boolean) =>
    references.rows.some(row => row.table === name && waiting.has(row.target) && isNeeded(row))
  while (waiting.size > 0) {
    // One at a time when something is left for later, so that as little as possible is.
    const free = [...waiting].filter(name => !needs(name, () => true))
    const next =
      free.length > 0 ? free : [...waiting].filter(name => !needs(name, row => !row.optional)).slice(0, 1)
    if (next.length === 0)
      throw new Error(`tables refer to each other in a circle: ${[...waiting].join(', ')}`)
    for (const name of next) waiting.delete(name)
    order.push(...next)
  }
  const place = new Map(order.map((name, index) => [name, index]))
  const later = references.rows.filter(
    row => row.optional && (place.get(row.table) ?? 0) < (place.get(row.target) ?? 0),
  )
  return { order, later }
}

/** Gives a table to `take` in batches, as JSON. `table` is a name from the catalog, never from outside. */
async function copy(
  from: Database,
  table: string,
  take: (content: string) => Promise<unknown>,
): Promise<number> {
  let copied = 0
  // The physical place of a row: nothing else writes to the source meanwhile.
  let after = '(0,0)'
  for (;;) {
    const { rows } = await from.query<{ place: string; content: string }>(
      `select ctid::text as place, to_jsonb(t)::text as content from ${table} t where ctid > $1::tid
       order by ctid limit ${batchRowsMax}`,
      [after],
    )
    const last = rows.at(-1)
    if (!last) return copied
    after = last.place
    await take(`[${rows.map(row => row.content).join(',')}]`)
    copied += rows.length
  }
}

async function insert(to: Database, table: string, content: string, left: readonly string[]): Promise<void> {
  await to.query(
    `insert into ${table} overriding system value
     select r.* from jsonb_array_elements($1::jsonb) e, jsonb_populate_record(null::${table}, e - $2::text[]) r
     on conflict do nothing`,
    [content, left],
  )
}

/** Fills a reference that was left empty. Tables with such have an `id`. */
async function fill(to: Database, table: string, content: string, column: string): Promise<void> {
  await to.query(
    `update ${table} t set ${column} = r.${column} from jsonb_populate_recordset(null::${table}, $1::jsonb) r
     where t.id = r.id and t.${column} is null and r.${column} is not null`,
    [content],
  )
}
