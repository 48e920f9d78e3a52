/** The state of the cluster is for operators alone: administrators of the organization that runs the installation. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { ClusterStatus, EntityPlace } from '../../../lib/http/index.js'
import { testAccounts } from '../../support/database.js'
import { testServer } from './test-server.js'

const { accounts, database } = await testAccounts(t)
const status: ClusterStatus = {
  node: 'a',
  isCluster: false,
  factor: 1,
  nodes: [],
  partitions: [],
  degraded: 0,
  copiesMissing: 0,
  unserved: 0,
  problems: [],
}
const place: EntityPlace = { partition: 7, epoch: 2, node: 'a', address: null, replicas: [] }
const asked: string[] = []
const options = {
  cluster: {
    status: async () => status,
    placeOf: (key: string) => {
      asked.push(key)
      return place
    },
  },
}
const { ask } = await testServer(t, accounts, options)
const organization = (await runAdminOperation(
  'createOrganization',
  { slug: 'ours', name: 'Ours', ownerEmail: 'owner@example.com' },
  { accounts },
)) as { id: string }

async function signedIn(email: string, permissions: string[]): Promise<string | undefined> {
  const membership = { organizationId: organization.id, permissions }
  await runAdminOperation('createUser', { email, password: 'a good password', membership }, { accounts })
  return (await ask('POST', '/api/v1/session', { body: { email, password: 'a good password' } })).cookie
}

t.test('administrators see it, others do not', async t => {
  const id = randomUUID()
  const paths = ['/api/v1/cluster', `/api/v1/cluster/transactions/${id}`]
  const cookie = await signedIn('admin@example.com', ['ADMIN'])
  const [whole, one] = await Promise.all(paths.map(path => ask('GET', path, { cookie })))
  t.same(whole?.body, status)
  t.same(one?.body, place)
  t.same(asked, [`transaction:${id}`])
  t.equal((await ask('GET', '/api/v1/cluster/transactions/..%2f', { cookie })).status, 404)

  const developer = await signedIn('developer@example.com', ['DEVELOPER'])
  for (const path of paths) {
    t.equal((await ask('GET', path, { cookie: developer })).status, 403, 'not for developers')
    t.equal((await ask('GET', path)).status, 401, 'not for strangers')
  }
  t.equal(asked.length, 1)
})

t.test('who administers another organization is a stranger here', async t => {
  const body = { email: 'eve@example.com', password: 'a good password' }
  const account = { ...body, firstName: 'Eve', lastName: 'Evil', organizationName: 'Theirs' }
  const { cookie } = await ask('POST', '/api/v1/signup', { body: account })
  const isOperator = async (who: string | undefined, at = ask): Promise<unknown> =>
    (await at('GET', '/api/v1/session', { cookie: who })).body.isOperator
  t.match((await ask('GET', '/api/v1/session', { cookie })).body, { organizations: [{ role: 'admin' }] })
  t.equal(await isOperator(cookie), false, 'nor does the menu offer it')
  t.equal((await ask('GET', '/api/v1/cluster', { cookie })).status, 403)
  t.equal((await ask('GET', `/api/v1/cluster/transactions/${randomUUID()}`, { cookie })).status, 403)
  const own = (await ask('POST', '/api/v1/session', { body: { ...body, email: 'admin@example.com' } })).cookie
  t.equal(await isOperator(own), true)
  await accounts.audits.flush()
  const denied = await accounts.audits.list({ name: 'access.denied' })
  t.ok(
    denied.some(({ details }) => details?.what === 'cluster' && details.path === '/api/v1/cluster'),
    'the audit log tells who tries',
  )

  const asks = (isAsked: boolean) =>
    database.query(`update organizations set require_second_factor = $1 where slug = 'ours'`, [isAsked])
  await asks(true)
  t.equal(await isOperator(own), false, 'nor does who lacks the second factor that is asked for')
  t.equal((await ask('GET', '/api/v1/cluster', { cookie: own })).status, 403)
  await asks(false)

  t.comment('another organization may be named')
  const named = await testAccounts(t, { database, operators: 'theirs' })
  const there = await testServer(t, named.accounts, options)
  t.equal(await isOperator(cookie, there.ask), true)
  t.equal((await there.ask('GET', '/api/v1/cluster', { cookie })).status, 200)
  t.equal(await isOperator(own, there.ask), false)
  t.equal((await there.ask('GET', '/api/v1/cluster', { cookie: own })).status, 403)

  t.comment('the first one is gone: nobody inherits it')
  await database.query(`update organizations set deleted_at = now() where slug = 'ours'`)
  t.equal(await isOperator(cookie), false)
  t.equal(await isOperator(own), false)
})

t.test('what is left when the first organization is deleted for good is nobody’s inheritance', async t => {
  const { accounts: own } = await testAccounts(t, { signUp: true })
  const { ask: at } = await testServer(t, own, options)
  const account = (name: string) => ({
    email: `${name}@example.com`,
    password: 'a good password',
    firstName: name,
    lastName: 'Smith',
    organizationName: `Of ${name}`,
  })
  const isOperator = async (who: string | undefined): Promise<unknown> =>
    (await at('GET', '/api/v1/session', { cookie: who })).body.isOperator
  const operate = (operation: string, argument: unknown) =>
    runAdminOperation(operation, argument, { accounts: own })
  t.equal(await own.hasOperators(), true, 'set-up makes some')
  const ada = (await at('POST', '/api/v1/setup', { body: account('ada') })).cookie
  const eve = (await at('POST', '/api/v1/signup', { body: account('eve') })).cookie
  t.same([await isOperator(ada), await isOperator(eve)], [true, false])
  t.equal(await own.hasOperators(), true)

  await operate('deleteOrganization', { slug: 'of-ada' })
  t.equal(await isOperator(eve), false, 'not the second one')
  t.equal((await at('GET', '/api/v1/cluster', { cookie: eve })).status, 403)
  t.equal(await own.hasOperators(), false, 'which is said when a node starts')
  await operate('deleteUsers', { emails: ['ada@example.com'] })
  t.equal(await isOperator(eve), false)

  const named = await testAccounts(t, { database: own.database, operators: 'of-eve' })
  t.equal(await named.accounts.hasOperators(), true)
  const other = await testAccounts(t, { database: own.database, operators: 'of-nobody' })
  t.equal(await other.accounts.hasOperators(), false)

  await operate('deleteUsers', { emails: ['eve@example.com'] })
  t.equal(await own.hasOperators(), true, 'nobody is there: set-up is next')
  const bob = (await at('POST', '/api/v1/setup', { body: account('bob') })).cookie
  t.equal(await isOperator(bob), true, 'who sets the installation up anew may')
})

t.test('nobody makes themselves an operator by taking the slug that is named', async t => {
  const named = await testAccounts(t, { signUp: true, operators: 'running-this' })
  const there = await testServer(t, named.accounts, options)
  const password = 'a good password'
  const isOperator = async (who: string | undefined): Promise<unknown> =>
    (await there.ask('GET', '/api/v1/session', { cookie: who })).body.isOperator
  const account = (name: string, organizationName: string) => ({
    email: `${name}@example.com`,
    password,
    firstName: name,
    lastName: 'Smith',
    organizationName,
  })
  const slugOf = (body: Record<string, unknown>): unknown =>
    (body.organizations as { slug: string }[] | undefined)?.[0]?.slug
  const ada = (await there.ask('POST', '/api/v1/setup', { body: account('ada', 'Running this') })).cookie
  t.equal(await isOperator(ada), true, 'who sets the installation up may')
  const away = await there.ask('PATCH', '/api/v1/organizations/running-this/settings', {
    cookie: ada,
    body: { slug: 'moved' },
  })
  t.equal(away.status, 200)
  t.equal(await isOperator(ada), false, 'it has moved away from it')

  const eve = (await there.ask('POST', '/api/v1/signup', { body: account('eve', 'Running this') })).cookie
  t.equal(slugOf((await there.ask('GET', '/api/v1/session', { cookie: eve })).body), 'running-this-2')
  t.equal(await isOperator(eve), false, 'not by signing up')
  const second = await there.ask('POST', '/api/v1/organizations', {
    cookie: eve,
    body: { name: 'Running: this' },
  })
  t.equal(second.body.slug, 'running-this-3', 'nor by another organization')
  const settings = '/api/v1/organizations/running-this-2/settings'
  const renamed = await there.ask('PATCH', settings, { cookie: eve, body: { slug: 'running-this' } })
  t.match(renamed, { status: 409, body: { fields: { slug: /Another organization/ } } }, 'nor by a new name')
  const free = await there.ask('GET', `${settings}/slug?slug=running-this`, { cookie: eve })
  t.match(free.body, { isFree: false })
  t.equal((await there.ask('PATCH', settings, { cookie: eve, body: { name: 'Same' } })).status, 200)
  t.equal(await isOperator(eve), false)

  await runAdminOperation(
    'createOrganization',
    { slug: 'running-this', name: 'Back', ownerEmail: 'ada@example.com' },
    { accounts: named.accounts },
  )
  t.equal(await isOperator(ada), true, 'whoever has the machine may')
  const kept = await there.ask('PATCH', '/api/v1/organizations/running-this/settings', {
    cookie: ada,
    body: { slug: 'running-this', name: 'Back again' },
  })
  t.equal(kept.status, 200, 'and it keeps its slug')
})
