/** What a node remembers of keys, rights and access rules, and how soon it forgets what changed, here or elsewhere. */
import t from 'tap'
import { keyHash } from '../../../lib/accounts/api-keys.js'
import { Cache } from '../../../lib/accounts/cache.js'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { Database, Queryable } from '../../../lib/database/index.js'
import { AppError } from '../../../lib/errors.js'
import { ManualClock, testAccounts, testDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { rejectsWith } from './rejects-with.js'

const real = await testDatabase(t, { isReal: true })
let away = false
let statements = 0
const query: Queryable['query'] = (text, values) => {
  statements += 1
  return away ? Promise.reject(new AppError('unavailable')) : real.query(text, values)
}
const database: Database = { ...real, query }
/** Two nodes on one database; `there` makes the changes that `here` must notice. */
const { accounts: here, clock } = await testAccounts(t, { database })
const { accounts: there } = await testAccounts(t, { database: real })
const origin = { address: '192.0.2.1', userAgent: 'test' }
const person = { firstName: 'Ann', lastName: 'Ode', password: 'a good password', organizationName: 'Ours' }
const ann = await there.signUp({ ...person, email: 'ann@example.com' }, origin)
const actor = await here.actor(ann.user.id, 'ours', 'production')
const place = {
  organizationId: actor.organization.id,
  environmentId: actor.environment.id,
  developerId: null,
}
const nothing = { keys: [], sessions: [] }
const action = {
  slug: 'pay',
  name: 'Pay',
  description: null,
  backgroundable: false,
  warnOnClose: true,
  unlisted: false,
}
await there.recordDeclarations(place, [action], [])
const team = (await runAdminOperation(
  'createGroup',
  { organizationId: actor.organization.id, slug: 'finance', name: 'Finance' },
  { accounts: there },
)) as { id: string }

/** As the dashboard of another node does it. */
async function setRule(availability: 'ORGANIZATION' | 'GROUPS' | null): Promise<void> {
  await real.query(
    `insert into action_metadata (action_id, availability) select id, $1 from actions where slug = 'pay'
     on conflict (action_id) do update set availability = excluded.availability`,
    [availability],
  )
}

t.test('rules that were never read are not open while the database is away', async t => {
  away = true
  await rejectsWith(t, here.accessRules(actor), 'unavailable')
  away = false
  t.equal((await here.accessRules(actor)).actions.size, 0)
})

t.test('a rule that another node has set counts after the next look, and nobody waits for it', async t => {
  await here.revoked(nothing)
  await here.accessRules(actor)
  const told: (readonly string[] | null)[] = []
  t.teardown(here.onRightsChanged(organizations => told.push(organizations && [...organizations])))
  await setRule('GROUPS')
  await real.query(
    `insert into action_access (action_id, team_id, level) select id, $1, 'RUNNER' from actions where slug = 'pay'`,
    [team.id],
  )
  statements = 0
  clock.advance(1_000)
  t.equal((await here.accessRules(actor)).actions.size, 0, 'remembered')
  t.equal(statements, 0, 'without asking')
  await here.revoked(nothing)
  t.same(told, [[actor.organization.id]])
  const finance = { availability: 'GROUPS', teams: { finance: 'RUNNER' } }
  t.same((await here.accessRules(actor)).actions.get('pay'), { inCode: false, rule: finance })
  await here.revoked(nothing)
  t.equal(told.length, 1, 'a change is noticed once')
  await real.query('delete from teams where id = $1', [team.id])
  await here.revoked(nothing)
  const nobody = { availability: 'GROUPS', teams: {} }
  t.same(
    (await here.accessRules(actor)).actions.get('pay')?.rule,
    nobody,
    'a team that is gone opens nothing',
  )
})

t.test('rules that are known go on while the database is away or slow', async t => {
  away = true
  clock.advance(60_000)
  t.equal((await here.accessRules(actor)).actions.size, 1)
  t.same(await here.revoked(nothing), nothing)
  clock.advance(600_000)
  await rejectsWith(t, here.accessRules(actor), 'unavailable', /./)
  away = false
  t.equal((await here.accessRules(actor)).actions.size, 1)
  const console = { ...actor, environment: { ...actor.environment, slug: 'development' } }
  t.equal((await here.accessRules(console)).actions.size, 0, 'a console has none')
})

t.test(
  'a key revoked by another node opens nothing after the next look, though no socket uses it',
  async t => {
    const { id, key } = await there.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
    t.equal((await here.authenticateKey(key)).apiKeyId, id)
    await here.revoked(nothing)
    t.equal((await here.authenticateKey(key)).apiKeyId, id)
    statements = 0
    t.ok(await here.authenticateKey(key))
    t.equal(statements, 0, 'remembered')
    await there.revokeKey(ann.user.id, 'ours', id, origin)
    await rejectsWith(t, there.authenticateKey(key), 'invalid-api-key')
    await here.revoked(nothing)
    await rejectsWith(t, here.authenticateKey(key), 'invalid-api-key')
  },
)

t.test('a key that is revoked while it is looked up is not accepted', async t => {
  const { id, key } = await here.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
  let revoked: Promise<void> | null = null
  const slow: Database = {
    ...real,
    async query(text, values) {
      const result = await real.query(text, values)
      const isLookUp = (values?.[0] as Buffer | undefined)?.equals?.(keyHash(key))
      // Found, but not yet told: now it is revoked.
      if (isLookUp) revoked ??= slowAccounts.revokeKey(ann.user.id, 'ours', id, origin)
      if (isLookUp) await revoked
      return result as never
    },
  }
  const { accounts: slowAccounts } = await testAccounts(t, { database: slow })
  await rejectsWith(t, slowAccounts.authenticateKey(key), 'invalid-api-key')
})

t.test('rights that were taken away elsewhere are gone after the next look', async t => {
  const { key } = await there.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
  t.ok(await here.authenticateKey(key))
  t.ok((await here.actor(ann.user.id, 'ours', 'production')).permissions.has('RUN_PROD_ACTIONS'))
  await real.query(`update memberships set permissions = '{READONLY_VIEWER}'`)
  await here.revoked(nothing)
  t.notOk((await here.actor(ann.user.id, 'ours', 'production')).permissions.has('RUN_PROD_ACTIONS'))
  await real.query('delete from memberships')
  await here.revoked(nothing)
  await rejectsWith(t, here.actor(ann.user.id, 'ours', 'production'), 'not-found')
  await rejectsWith(t, here.authenticateKey(key), 'invalid-api-key')
})

t.test('a node that could not look for long counts everything as changed', async t => {
  await here.revoked(nothing)
  const told: unknown[] = []
  t.teardown(here.onRightsChanged(organizations => told.push(organizations)))
  clock.advance(3_600_000)
  await here.revoked(nothing)
  t.same(told, [null])
  await real.query(`update changes set at = now() - interval '2 hours'`)
  clock.advance(3_600_000)
  await here.revoked(nothing)
  // Nobody waits for it.
  await eventually(async () => {
    const { rows } = await real.query('select from changes')
    if (rows.length > 0) throw new Error(`${rows.length} old rows are not deleted`)
  })
})

t.test('a cache that refreshes in the background gives the old answer at once', async t => {
  const clock = new ManualClock()
  const cache = new Cache<string>({ clock, freshMs: 10, staleMs: 100, entriesMax: 10, refresh: 'background' })
  let value = 'first'
  const load = () => Promise.resolve(value)
  const never = () => Promise.reject(new AppError('unavailable'))
  t.equal(await cache.get('a', load), 'first')
  value = 'second'
  clock.advance(20)
  t.equal(await cache.get('a', load), 'first', 'old')
  await eventually(async () => {
    if ((await cache.get('a', never)) !== 'second') throw new Error('never refreshed')
  })
  cache.drop()
  await rejectsWith(t, cache.get('a', never), 'unavailable')
  t.equal(await cache.get('a', load), 'second')
  value = 'third'
  clock.advance(200)
  t.equal(await cache.get('a', load), 'third', 'too old to be given')
})
