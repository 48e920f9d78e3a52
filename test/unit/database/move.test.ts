import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { type Database, moveDatabase } from '../../../lib/database/index.js'
import { testAccounts } from '../../support/database.js'

t.setTimeout(300_000)

const person = (email: string) => ({
  email,
  firstName: 'Ada',
  lastName: 'Quill',
  password: 'a long enough password',
  createOrganization: true,
})

async function contents(database: Database): Promise<unknown> {
  const rows: unknown[] = []
  for (const table of [
    'people',
    'organizations',
    'environments',
    'memberships',
    'api_keys',
    'teams',
    'installation',
  ]) {
    const read = await database.query<{ row: unknown }>(
      `select to_jsonb(t) as row from ${table} t order by ${table === 'installation' ? 'only_row' : 'id'}`,
    )
    rows.push([table, read.rows.map(({ row }) => row)])
  }
  return rows
}

t.test('a database is brought into another one, once or twice, and never into a foreign one', async t => {
  const source = await testAccounts(t)
  const target = await testAccounts(t)
  const user = (await runAdminOperation('createUser', person('ada@example.com'), source)) as {
    id: string
    ownedOrganizations: { id: string; environments: { id: string; slug: string }[] }[]
  }
  const [organization] = user.ownedOrganizations
  const environment = organization?.environments.find(({ slug }) => slug === 'production')
  const key = {
    kind: 'PRODUCTION',
    organizationId: organization?.id,
    environmentId: environment?.id,
    userId: user.id,
    label: 'key',
  }
  await runAdminOperation('createApiKey', key, source)
  // Tables that refer to each other: neither can come first as a whole.
  await source.database.query("insert into promo_codes (code, organization_id) values ('early', $1)", [
    organization?.id,
  ])
  await source.database.query("update organizations set promo_code = 'early'")
  // More than one batch of one table.
  await source.database.query(
    `insert into audit_log (id, name) select 'event-' || n, 'test' from generate_series(1, 2500) n`,
  )
  const moved: string[] = []
  await moveDatabase(source.database, target.database, (table, rows) => moved.push(`${table} ${rows}`))
  t.ok(moved.includes('people 1'), moved.join(', '))
  t.same(await contents(target.database), await contents(source.database))
  const count = 'select count(*)::integer as n from audit_log'
  t.same((await target.database.query(count)).rows, (await source.database.query(count)).rows)

  await moveDatabase(source.database, target.database, () => undefined)
  t.same(await contents(target.database), await contents(source.database), 'run again it changes nothing')

  await runAdminOperation('createUser', person('grace@example.com'), target)
  await t.rejects(
    moveDatabase(source.database, target.database, () => undefined),
    { code: 'conflict' },
  )
})
