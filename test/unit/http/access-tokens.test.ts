/** Access tokens: what a script may do with one, and what never; the limits of the API; its description. */
import t from 'tap'
import { RateLimits } from '../../../lib/http/rate-limits.js'
import { limits } from '../../../lib/limits.js'
import { emptySignOn, testServer } from './test-server.js'
import { twoOrganizations } from './two-organizations.js'

const { accounts, ask, audited, call, clock, database, owner, runner, stranger } = await twoOrganizations(t)
const tokensPath = '/api/v1/access-tokens'
const keysPath = '/api/v1/organizations/ours/keys'
const dayMs = 86_400_000

type Made = { id: string; token: string; expiresAt: string; prefix: string }

async function make(who: { cookie: string }, scope: 'read' | 'write', days = 30): Promise<Made> {
  const body = { name: 'A script', scope, days }
  const made = await ask('POST', tokensPath, { cookie: who.cookie, body })
  t.equal(made.status, 201)
  return made.body as unknown as Made
}

const bearing = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

t.test('a token does what its person may, in the scope it was made for', async t => {
  const { token } = await make(owner, 'write')
  const made = await ask('POST', keysPath, { headers: bearing(token), body: { kind: 'PRODUCTION' } })
  t.equal(made.status, 201, 'an owner makes live keys, by a token too')
  t.equal((await ask('GET', keysPath, { headers: bearing(token) })).status, 200)

  const runners = await make(runner, 'write')
  const refused = await ask('POST', keysPath, {
    headers: bearing(runners.token),
    body: { kind: 'PRODUCTION' },
  })
  t.equal(refused.status, 403, 'a token gives nobody more than they have')
  t.equal((await ask('GET', '/api/v1/organizations/theirs/keys', { headers: bearing(token) })).status, 404)

  const reading = await make(owner, 'read')
  t.equal((await ask('GET', keysPath, { headers: bearing(reading.token) })).status, 200)
  const written = await ask('POST', keysPath, {
    headers: bearing(reading.token),
    body: { kind: 'PRODUCTION' },
  })
  t.match(written, { status: 403, body: { message: 'This access token may only read.' } })
})

t.test(
  'a token is not a session: it makes no tokens, ends no sessions, and a cookie beside it does not count',
  async t => {
    const { token } = await make(owner, 'write')
    const body = { name: 'Another', scope: 'write', days: 366 }
    t.equal((await ask('POST', tokensPath, { headers: bearing(token), body })).status, 403)
    t.equal((await ask('GET', tokensPath, { headers: bearing(token) })).status, 403)
    t.equal((await ask('GET', '/api/v1/sessions', { headers: bearing(token) })).status, 403)
    const session = await ask('GET', '/api/v1/session', { headers: bearing(token) })
    t.equal(session.status, 401)
    const wrong = `pat_${'x'.repeat(43)}`
    const both = await ask('GET', keysPath, { headers: bearing(wrong), cookie: owner.cookie })
    t.match(both, { status: 401, body: { message: 'This access token is wrong or has ended.' } })
  },
)

t.test('a token ends when it is revoked, at its time, and with the membership', async t => {
  const revoked = await make(owner, 'read')
  t.equal((await ask('GET', keysPath, { headers: bearing(revoked.token) })).status, 200)
  t.equal((await ask('DELETE', `${tokensPath}/${revoked.id}`, { cookie: stranger.cookie })).status, 404)
  t.equal((await ask('DELETE', `${tokensPath}/${revoked.id}`, { cookie: owner.cookie })).status, 200)
  t.equal((await ask('GET', keysPath, { headers: bearing(revoked.token) })).status, 401)

  const leaver = await make(stranger, 'read')
  const theirs = '/api/v1/organizations/theirs/keys'
  t.equal((await ask('GET', theirs, { headers: bearing(leaver.token) })).status, 200)
  await database.query('delete from memberships where person_id = $1', [stranger.id])
  accounts.identities.forgetRights()
  t.equal((await ask('GET', theirs, { headers: bearing(leaver.token) })).status, 404)

  const short = await make(owner, 'read', 1)
  clock.advance(dayMs - 1_000)
  const again = await accounts.authenticateToken(short.token)
  t.ok(again)
  clock.advance(2_000)
  t.equal(await accounts.authenticateToken(short.token), null)
  t.notMatch(await accounts.accessTokens(owner.id as never), [{ id: short.id }])
})

t.test('the text is told once, and is nowhere', async t => {
  const made = await make(runner, 'read')
  const { text } = await ask('GET', tokensPath, { cookie: runner.cookie })
  t.match(text, made.prefix)
  t.notMatch(text, made.token)
  const { rows } = await database.query<{ row: string }>(
    'select access_tokens::text as row from access_tokens',
  )
  t.notMatch(rows.map(({ row }) => row).join(), made.token.slice(8))
  const events = await audited('access-token.created')
  t.ok(events.length > 0)
  t.notMatch(JSON.stringify(events), 'pat_')
})

t.test('what is wrong is named, and nobody has more than there may be', async t => {
  for (const body of [
    { name: '', scope: 'read', days: 1 },
    { name: 'a', scope: 'all', days: 1 },
    { name: 'a', scope: 'read', days: 400 },
  ]) {
    const { body: problem, headers, status } = await ask('POST', tokensPath, { cookie: runner.cookie, body })
    t.equal(status, 400)
    t.match(problem, { code: 'bad-request', title: 'Bad Request', status: 400, fields: {} })
    t.equal(headers.get('content-type'), 'application/problem+json')
  }
  const { body } = await ask('GET', tokensPath, { cookie: runner.cookie })
  const there = (body.tokens as unknown[]).length
  for (let count = there; count < limits.accessTokensPerPersonMax; count += 1) await make(runner, 'read')
  const over = await ask('POST', tokensPath, {
    cookie: runner.cookie,
    body: { name: 'one more', scope: 'read', days: 1 },
  })
  t.equal(over.status, 409)
})

t.test('callers have a share each, and are told when they have used it', async t => {
  const small = await testServer(t, accounts, {
    limits: { ...limits, apiRequestsPerMinuteMax: 5, apiRequestsPerAddressPerMinuteMax: 12 },
  })
  const { token } = await make(owner, 'read')
  const asked = (headers: Record<string, string>) => small.ask('GET', keysPath, { headers })
  const statuses: number[] = []
  for (let count = 0; count < 7; count += 1) statuses.push((await asked(bearing(token))).status)
  t.same(statuses, [200, 200, 200, 200, 200, 429, 429])
  const refused = await asked(bearing(token))
  t.match(refused.body, { code: 'too-many-requests' })
  t.ok(Number(refused.headers.get('retry-after')) >= 1)
  t.match(refused.headers.get('ratelimit-policy'), 'q=5')
  t.equal((await asked({ cookie: owner.cookie })).status, 200, 'another caller is not meant')
  const open = await small.ask('GET', '/health/live')
  t.equal(open.status, 200)
  for (let count = 0; count < 12; count += 1)
    await asked({ cookie: `interval_session=${'y'.repeat(42)}${count}` })
  t.equal((await asked({ cookie: owner.cookie })).status, 429, 'nor does a new name for each request help')
})

const few = await testServer(t, accounts, {
  limits: { ...limits, apiRequestsPerMinuteMax: 5 },
  signOn: emptySignOn,
})

t.test('what cannot be a token has no share of its own, and is not remembered', async t => {
  const statuses: number[] = []
  for (let count = 0; count < 6; count += 1) {
    const cookie = `interval_session=${String(count).repeat(2_000)}`
    statuses.push((await few.ask('GET', keysPath, { cookie })).status)
  }
  t.same(statuses, [401, 401, 401, 401, 401, 429])
})

t.test('routes that are open and cost something are counted with it', async t => {
  const paths = [
    '/scim/v2/ours/Users',
    '/api/auth/sso/auth',
    '/api/auth/sso/callback',
    '/api/webhooks/workos',
  ]
  for (const path of paths)
    t.equal((await few.ask(path.includes('webhooks') ? 'POST' : 'GET', path)).status, 429, path)
  t.equal((await few.ask('GET', '/health/live')).status, 200)
})

t.test('whoever keeps to the limit is never refused', async t => {
  let nowMs = 1_000
  const rates = new RateLimits({ perMinuteMax: 60, callersMax: 3, nowMs: () => nowMs })
  for (let count = 0; count < 60; count += 1) t.equal(rates.take('a').left, 59 - count)
  t.match(rates.take('a'), { isAllowed: false, waitSeconds: 1 })
  for (let count = 0; count < 200; count += 1) {
    nowMs += 1_000
    t.ok(rates.take('a').isAllowed)
  }
  for (const name of ['b', 'c', 'd']) rates.take(name)
  t.equal(rates.take('a').left, 59, 'the longest quiet is forgotten')
})

t.test('the description says what the routes take', async t => {
  const { body, status } = await ask('GET', '/api/v1/openapi.json')
  t.equal(status, 200)
  t.equal(body.openapi, '3.1.0')
  const paths = body.paths as Record<string, Record<string, Record<string, unknown>>>
  const post = paths['/api/v1/organizations/{org}/keys']?.post
  t.match(post, {
    operationId: 'postOrganizationsOrgKeys',
    parameters: [{ name: 'org', in: 'path', required: true }],
    requestBody: {
      content: {
        'application/json': { schema: { properties: { kind: { enum: ['PRODUCTION', 'DEVELOPMENT'] } } } },
      },
    },
    responses: { 201: {}, 400: {}, 401: {}, 403: {}, 404: {}, 422: {}, 429: {} },
  })
  const ids = Object.values(paths).flatMap(methods =>
    Object.values(methods).map(({ operationId }) => operationId),
  )
  t.equal(new Set(ids).size, ids.length, 'operation ids are unique')
  t.same(paths['/api/v1/access-tokens']?.post?.security, [{ session: [] }], 'what is left to people says so')
  t.same(paths['/api/v1/session']?.post?.security, [], 'and what nobody needs to be somebody for')
  t.equal(post?.security, undefined)
})

t.test('whoever calls in nobody’s name is not counted', async t => {
  const answer = await call(owner, { method: 'GET', path: 'ours/keys' })
  t.ok(answer.headers.get('ratelimit'))
})
