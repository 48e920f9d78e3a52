/** What is old is forgotten where that is set, a few rows to a statement, and nothing that goes on. */
import t from 'tap'
import { forgetOld, takeTurn } from '../../../lib/accounts/index.js'
import { limits } from '../../../lib/limits.js'
import { testDatabase } from '../../support/database.js'

const database = await testDatabase(t)
await database.query(`insert into organizations (id, slug, name) values ('org1', 'ours', 'Ours')`)
for (const environment of ['production', 'staging'])
  await database.query(
    `insert into environments (id, organization_id, slug, name) values ($1, 'org1', $1, 'Environment')`,
    [environment],
  )
await database.query(`insert into people (id, email) values ('p1', 'ada@example.com')`)

const never = { historyDays: 0, notificationDays: 0, auditDays: 0 }
const ids = async (table: string): Promise<unknown[]> =>
  (await database.query(`select id from ${table} order by id`)).rows.map(({ id }) => id)

async function run(id: string, daysAgo: number, endedDaysAgo: number | null, environment = 'production') {
  await database.query(
    `insert into transactions (id, organization_id, environment_id, owner_id, action_slug, action_name, status, created_at,
       updated_at, completed_at, epoch, seq)
     values ($1, 'org1', $2, 'p1', 'pay', 'Pay', 'COMPLETED', now() - make_interval(days => $3), now(),
       now() - make_interval(days => $4), 1, 1)`,
    [id, environment, daysAgo, endedDaysAgo],
  )
  await database.query(
    `insert into transaction_logs (transaction_id, index, text, at, epoch, seq) values ($1, 0, 'hello', now(), 1, 1)`,
    [id],
  )
}

async function note(id: string, daysAgo: number, status: string, transaction: string | null = null) {
  await database.query(
    `insert into notifications (id, organization_id, environment_id, transaction_id, message, created_at)
     values ($1, 'org1', 'production', $2, 'hello', now() - make_interval(days => $3))`,
    [id, transaction, daysAgo],
  )
  await database.query(
    `insert into notification_deliveries (id, notification_id, recipient, status) values ($1, $1, 'ada@example.com', $2)`,
    [id, status],
  )
}

t.test('without a setting everything is kept', async t => {
  await run('ancient', 4_000, 4_000)
  await note('ancient-note', 4_000, 'DELIVERED')
  await database.query(
    `insert into audit_log (id, name, at) values ('ancient-row', 'a', now() - interval '9 years')`,
  )
  t.same(await forgetOld(database, never), { runs: 0, names: 0, notifications: 0, auditRows: 0 })
  t.same(await ids('transactions'), ['ancient'])
})

t.test('runs that ended long ago go, with what they logged', async t => {
  await run('old', 31, 31)
  await run('elsewhere', 31, 31, 'staging')
  await run('long', 31, 2)
  await run('open', 31, null)
  await run('young', 29, 29)
  t.same(await forgetOld(database, { ...never, historyDays: 30 }), {
    runs: 3,
    names: 0,
    notifications: 0,
    auditRows: 0,
  })
  t.same(await ids('transactions'), ['long', 'open', 'young'])
  t.equal((await database.query('select from transaction_logs')).rowCount, 3)
})

t.test('what an action was called is forgotten with the last run that was called so', async t => {
  const names = async () =>
    (await database.query('select name from transaction_names order by name')).rows.map(({ name }) => name)
  await database.query(
    `insert into transaction_names (organization_id, environment_id, slug, name)
     select 'org1', 'production', 'pay', name from unnest($1::text[]) as name
     union all select 'org1', 'staging', 'pay', 'Pay'
     union all select 'org1', 'production', 'gone', 'Gone ' || i from generate_series(1, $2::integer) i`,
    [['Pay', 'Payment'], limits.forgottenNamesMax + 3],
  )
  t.match(await forgetOld(database, never), { names: 0 })
  t.match(await forgetOld(database, { ...never, historyDays: 30 }), {
    runs: 0,
    names: limits.forgottenNamesMax + 5,
  })
  t.same(await names(), ['Pay'], 'in the one place where there are runs of it')
})

t.test('notifications go, but not what waits, nor what a run that goes on would write anew', async t => {
  await note('delivered', 31, 'DELIVERED')
  await note('failed', 31, 'FAILED', 'long')
  await note('waits', 31, 'PENDING')
  await note('of-open', 31, 'DELIVERED', 'open')
  await note('recent', 29, 'DELIVERED')
  const forgotten = await forgetOld(database, { ...never, notificationDays: 30 })
  t.same(forgotten, { runs: 0, names: 0, notifications: 3, auditRows: 0 })
  t.same(await ids('notifications'), ['of-open', 'recent', 'waits'])
  t.same(await ids('notification_deliveries'), ['of-open', 'recent', 'waits'])
})

t.test('many go in batches, and not once somebody says stop', async t => {
  const count = limits.forgottenRowsMax * 2 + 10
  await database.query(
    `insert into audit_log (id, name, at)
     select 'row' || i, 'a', now() - interval '100 days' from generate_series(1, $1::integer) i`,
    [count],
  )
  let asked = 0
  const stopping = await forgetOld(database, { ...never, auditDays: 90 }, () => {
    asked += 1
    return asked > 1
  })
  t.same(stopping, { runs: 0, names: 0, notifications: 0, auditRows: limits.forgottenRowsMax }, 'one batch')
  t.match(await forgetOld(database, { ...never, auditDays: 90 }), {
    auditRows: count + 1 - limits.forgottenRowsMax,
  })
  t.same(await ids('audit_log'), [])
})

t.test('one of the nodes has the turn', async t => {
  const turns = await Promise.all(Array.from({ length: 5 }, () => takeTurn(database, 'forget', 60_000)))
  t.equal(turns.filter(has => has).length, 1)
  t.equal(await takeTurn(database, 'something else', 60_000), true)
  await database.query('update turns set next_at = now()')
  t.equal(await takeTurn(database, 'forget', 60_000), true)
  t.equal(await takeTurn(database, 'forget', 60_000), false)
})
