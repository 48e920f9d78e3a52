/**
 * Lists of a long history on a real Postgres: each question reads about as many runs as it shows, whatever is looked
 * for and whoever asks, since an index leads there. Reading all of them is what this finds.
 */
import t from 'tap'
import {
  countTransactions,
  exportTransactions,
  listTransactions,
  transactionFacets,
} from '../../../lib/accounts/history-lists.js'
import type { Actor, TransactionFilter } from '../../../lib/accounts/index.js'
import { openDatabase, type Queryable } from '../../../lib/database/index.js'
import { silentLog } from '../../../lib/log.js'
import { startPostgres } from '../../support/postgres.js'

const runs = 30_000
const postgres = await startPostgres()
const database = await openDatabase({ url: postgres.url, log: silentLog })
t.teardown(async () => {
  await database.close()
  await postgres.stop()
})
t.comment(postgres.kind)
await database.migrate()
await database.query(`insert into organizations (id, slug, name) values ('org1', 'ours', 'Ours')`)
await database.query(
  `insert into environments (id, organization_id, slug, name) values ('env1', 'org1', 'production', 'Production')`,
)
await database.query(
  `insert into people (id, email) select 'p' || i, 'person' || i || '@example.com' from generate_series(1, 200) i`,
)
await database.query(
  `insert into memberships (id, person_id, organization_id) select 'm' || i, 'p' || i, 'org1' from generate_series(1, 200) i`,
)
await database.query(
  `insert into actions (id, organization_id, environment_id, slug, name)
   select 'a' || i, 'org1', 'env1', 'page/action' || i, 'Action ' || i from generate_series(1, 300) i`,
)
await database.query(
  `insert into teams (id, organization_id, name, slug) values ('t1', 'org1', 'Ops', 'ops')`,
)
await database.query(`insert into action_metadata (action_id, availability) values ('a9', 'GROUPS')`)
await database.query(
  `insert into action_access (action_id, team_id, level) values ('a9', 't1', 'ADMINISTRATOR')`,
)
await database.query(
  `insert into transactions (id, organization_id, environment_id, owner_id, action_id, action_slug, action_name, status,
     result_status, created_at, updated_at, completed_at, epoch, seq)
   select 'run' || i, 'org1', 'env1', 'p' || (1 + i % 200), 'a' || (1 + i % 300), 'page/action' || (1 + i % 300),
     'Action ' || (1 + i % 300), case when i % 1000 = 0 then 'RUNNING' else 'COMPLETED' end,
     case when i % 1000 = 0 then null when i % 100 = 1 then 'FAILURE' else 'SUCCESS' end,
     now() - i * interval '1 minute', now(), case when i % 1000 <> 0 then now() end, 1, 1
   from generate_series(1, $1::integer) i`,
  [runs],
)
await database.query(
  `insert into transaction_names select distinct organization_id, environment_id, action_slug, action_name from transactions`,
)
await database.query('analyze')

const actor = (permission: string, teams: string[] = []): Actor =>
  ({
    organization: { id: 'org1', slug: 'ours' },
    environment: { id: 'env1', slug: 'production' },
    user: { id: 'p10' },
    permissions: new Set([permission]),
    teams,
  }) as unknown as Actor
const everything = actor('READ_ORG_PROD_TRANSACTIONS')
const own = actor('READ_USER_PROD_TRANSACTIONS')
const team = actor('READ_USER_PROD_TRANSACTIONS', ['ops'])

interface PlanNode {
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly PlanNode[]
}

/** Runs that a plan has looked at. */
function looked(node: PlanNode): number {
  const own =
    node['Relation Name'] === 'transactions'
      ? (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
      : 0
  return own + (node.Plans ?? []).map(looked).reduce((sum, rows) => sum + rows, 0)
}

/** What a question reads: it is asked, and each of its statements explained. */
async function reads(ask: (database: Queryable) => Promise<unknown>): Promise<number> {
  let sum = 0
  await ask({
    async query(text, values) {
      const { rows } = await database.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
        `explain (analyze, format json) ${text}`,
        values,
      )
      const plan = rows[0]?.['QUERY PLAN'][0].Plan
      if (plan) sum += looked(plan)
      return await database.query(text, values)
    },
  })
  return sum
}

const questions: readonly (readonly [string, Actor, TransactionFilter, number])[] = [
  ['everything', everything, {}, runs],
  ['what is their own', own, {}, 150],
  ['their own and what their team administers', team, {}, 250],
  ['their own of one action', own, { action: 'page/action10' }, 50],
  ['an action', everything, { action: 'page/action7' }, 100],
  ['a person', everything, { person: 'person9@example.com' }, 150],
  ['nobody', everything, { person: 'nobody@example.com' }, 0],
  ['errors', everything, { status: 'FAILURE' }, 300],
  ['what never came', everything, { status: 'CANCELED' }, 0],
  ['what has not ended', everything, { status: 'OPEN' }, 30],
  ['a name', everything, { search: 'Action 77' }, 100],
  ['a person by a part of the address', everything, { search: 'person177@' }, 150],
  ['an id', everything, { search: 'run77' }, 1],
  ['what is not there', everything, { search: 'nothing of the kind' }, 0],
  ['what is not there, among their own', own, { search: 'nothing of the kind' }, 0],
]

for (const [name, who, filter, count] of questions) {
  t.test(`looking for ${name}`, async t => {
    t.match(await countTransactions(database, who, filter), { count: Math.min(count, 10_000) })
    const page = await listTransactions(database, who, filter)
    t.equal(page.transactions.length, Math.min(count, 50))
    const read = await reads(spied => listTransactions(spied, who, filter))
    t.ok(read <= 1_000, `the list reads ${read} runs`)
    const counted = await reads(spied => countTransactions(spied, who, filter))
    t.ok(counted <= Math.min(count, 10_001) + 1_000, `the count reads ${counted} runs`)
  })
}

t.test('what a list can be narrowed down to', async t => {
  const { actions } = await transactionFacets(database, team)
  t.equal(actions.length, 4, 'three of their own, one of their team')
  t.ok((await reads(spied => transactionFacets(spied, team))) <= 1_000)
})

t.test('an export ends at its bound, and says whether there is more', async t => {
  const failed = { status: 'FAILURE' } as const
  const { count } = await countTransactions(database, everything, failed)
  for (const [rowsMax, exported, isCut] of [
    [count - 1, count - 1, true],
    [count, count, false],
    [count + 1, count, false],
    [150, 150, true],
  ] as const) {
    const found = await exportTransactions(database, everything, failed, rowsMax)
    const ids: string[] = []
    for await (const page of found.pages) ids.push(...page.map(({ id }) => id))
    t.same([ids.length, new Set(ids).size, found.isCut], [exported, exported, isCut], `up to ${rowsMax}`)
  }
})
