import t from 'tap'
import type { HistoryRow } from '../../../lib/accounts/history.js'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { RecordedNotification } from '../../../lib/http/index.js'
import { testAccounts } from '../../support/database.js'
import { testServer } from './test-server.js'

const { accounts, database, clock } = await testAccounts(t)
const shown: RecordedNotification[] = []
const { ask } = await testServer(t, accounts, {
  sdk: {
    onNotification: notification => {
      shown.push(notification)
    },
    placeOfTransaction: async id => (id.startsWith('foreign') ? { organizationId: 'another' } : null),
  },
})

interface Member {
  id: string
  cookie: string | undefined
}
const admin = async <Result>(name: string, argument: unknown): Promise<Result> =>
  (await runAdminOperation(name, argument, { accounts })) as Result

const organization = await admin<{ id: string; environments: { id: string; slug: string }[] }>(
  'createOrganization',
  {
    slug: 'ours',
    name: 'Ours',
    ownerEmail: 'owner@example.com',
    environments: [{ slug: 'staging', name: 'Staging' }],
  },
)
await admin('createOrganization', { slug: 'theirs', name: 'Theirs', ownerEmail: 'stranger@example.com' })
const environmentId = (slug: string): string =>
  organization.environments.find(environment => environment.slug === slug)?.id ?? ''

async function member(email: string, permissions: string[] | null): Promise<Member> {
  const existing = await admin<{ id: string } | null>('findUser', { email })
  if (existing) {
    const hash = await accounts.passwords.hash('a good password')
    await database.query('update people set password = $2 where id = $1', [existing.id, hash])
  } else {
    await admin('createUser', {
      email,
      password: 'a good password',
      ...(permissions && { membership: { organizationId: organization.id, permissions } }),
    })
  }
  const answer = await ask('POST', '/api/v1/session', { body: { email, password: 'a good password' } })
  return { id: (answer.body.user as { id: string }).id, cookie: answer.cookie }
}
const owner = await member('owner@example.com', null)
const stranger = await member('stranger@example.com', null)
const developer = await member('developer@example.com', ['DEVELOPER'])
const runner = await member('runner@example.com', ['ACTION_RUNNER'])
const keysPath = '/api/v1/organizations/ours/keys'

t.test('keys are made by role, shown once, revoked', async t => {
  const live = await ask('POST', keysPath, {
    cookie: owner.cookie,
    body: { kind: 'PRODUCTION', environment: 'staging', label: 'ci' },
  })
  t.match(live, { status: 201, body: { kind: 'PRODUCTION', environment: 'staging', key: /^live_/ } })
  const dev = await ask('POST', keysPath, { cookie: developer.cookie, body: { kind: 'DEVELOPMENT' } })
  t.match(dev, { status: 201, body: { environment: 'development', key: /^dev_/ } })
  const refused = [
    [developer, { kind: 'PRODUCTION' }, 403],
    [runner, { kind: 'DEVELOPMENT' }, 403],
    [owner, { kind: 'PRODUCTION', environment: 'development' }, 422],
    [owner, { kind: 'DEVELOPMENT', environment: 'production' }, 422],
    [owner, { kind: 'PRODUCTION', environment: 'nowhere' }, 404],
    [owner, { kind: 'OTHER' }, 400],
    [stranger, { kind: 'DEVELOPMENT' }, 404],
  ] as const
  for (const [who, body, status] of refused) {
    t.equal((await ask('POST', keysPath, { cookie: who.cookie, body })).status, status, JSON.stringify(body))
  }
  t.equal(((await ask('GET', keysPath, { cookie: owner.cookie })).body.keys as unknown[]).length, 2)
  const own = await ask('GET', keysPath, { cookie: developer.cookie })
  t.match(own.body.keys, [{ kind: 'DEVELOPMENT', user: { email: 'developer@example.com' } }])
  t.notMatch(own.text, String(dev.body.key).slice(15), 'the list does not show the key')

  const text = String(live.body.key)
  const identity = await accounts.authenticateKey(text)
  t.match(identity, { environment: { slug: 'staging' }, user: { email: 'owner@example.com' } })
  const revoked: string[] = []
  const off = accounts.onRevoked(event => revoked.push(...event.keys))
  const path = `${keysPath}/${live.body.id}`
  t.equal((await ask('DELETE', path, { cookie: developer.cookie })).status, 404, "not somebody else's")
  t.equal((await ask('DELETE', path, { cookie: stranger.cookie })).status, 404)
  const elsewhere = `/api/v1/organizations/theirs/keys/${live.body.id}`
  t.equal((await ask('DELETE', elsewhere, { cookie: stranger.cookie })).status, 404, 'not through their own')
  t.equal((await ask('DELETE', path, { cookie: owner.cookie })).status, 200)
  t.same(revoked, [live.body.id])
  t.same(await accounts.revoked({ keys: [identity.apiKeyId], sessions: [] }), {
    keys: [identity.apiKeyId],
    sessions: [],
  })
  await t.rejects(accounts.authenticateKey(text), { code: 'invalid-api-key' })
  off()
})

t.test('nobody sees another organization', async t => {
  const paths = [
    keysPath,
    '/api/v1/organizations/ours/environments',
    '/api/v1/organizations/ours/environments/production/transactions',
  ]
  for (const path of paths) {
    t.equal((await ask('GET', path, { cookie: stranger.cookie })).status, 404, path)
    t.equal((await ask('GET', path)).status, 401, path)
    t.equal((await ask('GET', path, { cookie: owner.cookie })).status, 200, path)
  }
})

const row = (id: string, ownerId: string, more: Partial<HistoryRow> = {}): HistoryRow =>
  ({
    id,
    organizationId: organization.id,
    environmentId: environmentId('production'),
    developerId: null,
    ownerId,
    slug: 'greet',
    name: 'Greet',
    hostId: null,
    status: 'RUNNING',
    resultStatus: null,
    resultData: null,
    backgroundable: true,
    createdAtMs: clock.nowMs(),
    updatedAtMs: clock.nowMs(),
    completedAtMs: null,
    epoch: 1,
    seq: 1,
    logs: [],
    ...more,
  }) as HistoryRow

t.test('the history of runs', async t => {
  const rows = [1, 2, 3, 4, 5].map(number =>
    row(`run-000${number}`, number % 2 ? runner.id : developer.id, {
      createdAtMs: clock.nowMs() + number,
      ...(number === 1 && { status: 'COMPLETED', resultStatus: 'SUCCESS', completedAtMs: clock.nowMs() + 9 }),
    }),
  )
  rows.push(
    row('run-dev-1', developer.id, {
      environmentId: environmentId('development') as never,
      developerId: developer.id as never,
    }),
  )
  await accounts.writeHistory(rows)
  const list = async (who: Member, query: string, env = 'production'): Promise<string[]> => {
    const path = `/api/v1/organizations/ours/environments/${env}/transactions${query}`
    const answer = await ask('GET', path, { cookie: who.cookie })
    t.equal(answer.status, 200, path)
    return (answer.body.transactions as { id: string }[]).map(({ id }) => id)
  }
  t.same(await list(owner, ''), ['run-0005', 'run-0004', 'run-0003', 'run-0002', 'run-0001'])
  t.same(await list(owner, '?mine=1'), [])
  t.same(await list(runner, ''), ['run-0005', 'run-0003', 'run-0001'], 'a runner sees their own')
  t.same(await list(runner, '?mine=1&open=1'), ['run-0005', 'run-0003'])
  t.same(await list(developer, '', 'development'), ['run-dev-1'])
  t.same(await list(owner, '', 'development'), [], "nobody sees another developer's console")

  const path = '/api/v1/organizations/ours/environments/production/transactions'
  const page = await ask('GET', `${path}?limit=2`, { cookie: owner.cookie })
  const next = encodeURIComponent(String(page.body.next))
  t.same(await list(owner, `?limit=2&cursor=${next}`), ['run-0003', 'run-0002'])
  t.equal((await ask('GET', `${path}?cursor=x`, { cookie: owner.cookie })).status, 400)
  t.equal((await ask('GET', `${path}?limit=1000`, { cookie: owner.cookie })).status, 400)
})

t.test('one run of the history, for who may see it', async t => {
  await accounts.writeHistory([
    row('run-ended', runner.id, {
      seq: 2,
      status: 'COMPLETED',
      resultStatus: 'SUCCESS',
      resultData: { paid: '12' },
      resultMeta: { values: { paid: ['bigint'] } },
      completedAtMs: clock.nowMs() + 5,
      logs: [{ index: 0, text: 'looking', atMs: clock.nowMs() }],
    }),
  ])
  const read = (who: Member | null, id: string) =>
    ask('GET', `/api/v1/transactions/${id}`, who ? { cookie: who.cookie } : {})
  const mine = await read(runner, 'run-ended')
  t.match(mine, {
    status: 200,
    body: {
      transactionId: 'run-ended',
      place: { organization: 'ours', environment: 'production' },
      status: 'completed',
      completedAtMs: clock.nowMs() + 5,
      result: { status: 'SUCCESS', data: { paid: '12' }, meta: { values: { paid: ['bigint'] } } },
      logs: [{ text: 'looking' }],
      owner: { email: 'runner@example.com' },
    },
  })
  t.equal((await read(owner, 'run-ended')).status, 200, 'who may see all of the organization')
  t.match((await read(owner, 'run-0002')).body, { status: 'running', result: null })
  t.equal((await read(null, 'run-ended')).status, 401)
  for (const [who, id] of [
    [stranger, 'run-ended'],
    [developer, 'run-ended'],
    [owner, 'run-dev-1'],
  ] as const) {
    t.equal((await read(who, id)).status, 404, id)
  }
  for (const id of ['run-unknown', '..', 'x'.repeat(100)]) t.equal((await read(runner, id)).status, 404)
  await accounts.audits.flush()
  const denied = (await accounts.audits.list({ name: 'access.denied' })).flatMap(({ userId, details }) =>
    details.what === 'transaction.read' ? [`${userId} ${details.transaction}`] : [],
  )
  const expected = [`${stranger.id} run-ended`, `${developer.id} run-ended`, `${owner.id} run-dev-1`]
  t.same(denied.sort(), expected.sort(), 'what exists and was denied, nothing else')
})

t.test('notifications from hosts', async t => {
  const made = await ask('POST', keysPath, { cookie: owner.cookie, body: { kind: 'PRODUCTION' } })
  const dev = await ask('POST', keysPath, { cookie: developer.cookie, body: { kind: 'DEVELOPMENT' } })
  const bearer = (key: unknown): Record<string, string> => ({ authorization: `Bearer ${key}` })
  const headers = bearer(made.body.key)
  const body = {
    message: 'Done',
    title: 'Report',
    deliveryInstructions: [{ to: 'runner@example.com', method: 'EMAIL' }, { to: '#ops' }],
    createdAt: '2030-01-01T00:00:00.000Z',
    idempotencyKey: 'once',
    transactionId: 'run-0001',
  }
  t.match(await ask('POST', '/api/notify', { body }), { status: 401, body: { type: 'error' } })
  t.match(await ask('POST', '/api/notify', { body, headers: bearer('live_wrong') }), {
    status: 403,
    body: { type: 'error', message: /Invalid API key/ },
  })
  t.match(await ask('POST', '/api/notify', { body: {}, headers }), { status: 400, body: { type: 'error' } })
  for (let count = 0; count < 2; count += 1) {
    t.same((await ask('POST', '/api/notify', { body, headers })).body, { type: 'success' })
  }
  t.equal(shown.length, 1, 'the same idempotency key is shown once')
  t.match(shown[0], { transactionId: 'run-0001', message: 'Done', host: { organization: { slug: 'ours' } } })
  const deliveries = await database.query(
    'select recipient, method, status, person_id from notification_deliveries',
  )
  t.same(deliveries.rows, [
    { recipient: 'runner@example.com', method: 'EMAIL', status: 'PENDING', person_id: runner.id },
    { recipient: '#ops', method: null, status: 'PENDING', person_id: null },
  ])
  for (const transactionId of ['foreign-0001', 'unknown-0001']) {
    const foreign = await ask('POST', '/api/notify', { body: { ...body, transactionId }, headers })
    t.match(foreign, { status: 403, body: { type: 'error' } })
  }
  const inDevelopment = await ask('POST', '/api/notify', {
    body: { message: 'Hello' },
    headers: bearer(dev.body.key),
  })
  t.equal(inDevelopment.status, 200)
  t.equal(shown.length, 2)
  t.equal((await database.query('select from notification_deliveries')).rowCount, 2, 'none in development')

  t.same((await ask('GET', '/api/ice-config', { headers })).body, { iceServers: [] })
  t.equal((await ask('GET', '/api/ice-config')).status, 401)
  t.match(await ask('POST', '/api/auth/ghost/create'), { status: 404, body: { type: 'error' } })
})
