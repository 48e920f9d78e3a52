import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { testAccounts } from '../../support/database.js'
import { testServer } from './test-server.js'

const { accounts, database, clock } = await testAccounts(t, { signUp: false })
const { ask, origin } = await testServer(t, accounts)

const first = {
  email: 'first@example.com',
  firstName: 'Fay',
  lastName: 'First',
  password: 'a good password',
  organizationName: 'First & Co',
}

t.test('before anybody has an account', async t => {
  const answer = await ask('GET', '/api/v1/session')
  t.equal(answer.status, 401)
  t.match(answer.body, { code: 'not-signed-in', setupNeeded: true, signUpEnabled: false })
})

t.test('set-up is done once, however many ask at once', async t => {
  const weak = await ask('POST', '/api/v1/setup', { body: { ...first, password: 'password1' } })
  t.equal(weak.status, 422)
  t.match(weak.body, { code: 'invalid-value', fields: { password: /common/ } })
  const missing = await ask('POST', '/api/v1/setup', { body: { email: 'x@example.com' } })
  t.match(missing.body, { code: 'bad-request', fields: { firstName: String, organizationName: String } })

  const answers = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(number =>
      ask('POST', '/api/v1/setup', { body: { ...first, email: `p${number}@example.com` } }),
    ),
  )
  t.same(answers.map(answer => answer.status).sort(), [200, 403, 403, 403, 403, 403])
  const { rows } = await database.query('select id from people')
  t.equal(rows.length, 1)
  await database.query('update people set email = $1', [first.email])
  const winner = answers.find(answer => answer.status === 200)
  t.match(winner?.body, { organization: 'first-co', organizations: [{ slug: 'first-co', role: 'admin' }] })
  t.equal((await ask('POST', '/api/v1/setup', { body: first })).status, 403)
  t.match((await ask('GET', '/api/v1/session')).body, { setupNeeded: false })
})

t.test('signing in and out', async t => {
  const { email, password } = first
  t.same((await ask('POST', '/api/v1/session/check', { body: { email } })).body, { next: 'password' })
  t.same((await ask('POST', '/api/v1/session/check', { body: { email: 'nobody@example.com' } })).body, {
    next: 'password',
  })
  const wrong = await ask('POST', '/api/v1/session', { body: { email, password: 'wrong password' } })
  const unknown = await ask('POST', '/api/v1/session', { body: { email: 'nobody@example.com', password } })
  t.equal(wrong.status, 401)
  t.same(wrong.body, unknown.body, 'a wrong password and an unknown address look the same')

  const answer = await ask('POST', '/api/v1/session', { body: { email: 'FIRST@example.com', password } })
  t.equal(answer.status, 200)
  const set = answer.headers.get('set-cookie') ?? ''
  t.match(set, /^interval_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=7776000$/)
  t.match(answer.body, {
    user: { email, firstName: 'Fay', emailConfirmed: true },
    organizations: [
      {
        slug: 'first-co',
        name: 'First & Co',
        environments: [{ slug: 'production' }, { slug: 'development' }],
      },
    ],
  })
  const { cookie } = answer
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 200)

  const again = await ask('POST', '/api/v1/session', { body: { email, password }, cookie })
  t.not(again.cookie, cookie, 'the token is a new one')
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 401, 'the old one has ended')

  const other = await ask('POST', '/api/v1/session', { body: { email, password } })
  const list = await ask('GET', '/api/v1/sessions', { cookie: again.cookie })
  const sessions = list.body.sessions as { id: string; current: boolean }[]
  t.equal(sessions.filter(session => session.current).length, 1)
  const revoked: string[] = []
  const off = accounts.onRevoked(event => revoked.push(...event.sessions))
  for (const session of sessions.filter(session => !session.current)) {
    t.equal((await ask('DELETE', `/api/v1/sessions/${session.id}`, { cookie: again.cookie })).status, 200)
    t.ok(revoked.includes(session.id))
  }
  off()
  t.equal((await ask('GET', '/api/v1/session', { cookie: other.cookie })).status, 401)
  t.equal((await ask('DELETE', '/api/v1/sessions/unknown', { cookie: again.cookie })).status, 404)

  const out = await ask('DELETE', '/api/v1/session', { cookie: again.cookie })
  t.match(out.headers.get('set-cookie'), /Max-Age=0/)
  t.equal((await ask('GET', '/api/v1/session', { cookie: again.cookie })).status, 401)
})

t.test('the original addresses', async t => {
  const { email, password } = first
  const login = await ask('POST', '/api/auth/login', { body: { email, password } })
  t.equal(login.text, 'true')
  t.equal((await ask('GET', '/api/auth/session', { cookie: login.cookie })).text, 'true')
  t.equal((await ask('POST', '/api/auth/logout', { cookie: login.cookie, body: {} })).text, 'true')
  t.equal((await ask('GET', '/api/auth/session', { cookie: login.cookie })).status, 401)
  t.equal((await ask('POST', '/api/auth/login', { body: { email, password: 'no' } })).status, 401)
  t.equal((await ask('POST', '/api/auth/login', { body: {} })).status, 400)
})

t.test('a session ends when it is not used, and in any case', async t => {
  const { email, password } = first
  const { cookie } = await ask('POST', '/api/v1/session', { body: { email, password } })
  const day = 24 * 3_600_000
  for (let used = 0; used < 7; used += 1) {
    clock.advance(13 * day - 60_000)
    t.equal(
      (await ask('GET', '/api/v1/session', { cookie })).status,
      used < 6 ? 200 : 401,
      `after ${13 * (used + 1)} days`,
    )
  }
  const idle = await ask('POST', '/api/v1/session', { body: { email, password } })
  clock.advance(14 * day)
  t.equal((await ask('GET', '/api/v1/session', { cookie: idle.cookie })).status, 401)
})

t.test('another site cannot act in the name of the browser', async t => {
  const { email, password } = first
  const { cookie } = await ask('POST', '/api/v1/session', { body: { email, password } })
  const attacks: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of attacks) {
    const answer = await ask('DELETE', '/api/v1/session', { cookie, headers })
    t.match(answer, { status: 403, body: { code: 'cross-origin' } }, JSON.stringify(headers))
  }
  const form = await ask('POST', '/api/v1/session', {
    raw: 'email=a',
    cookie,
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
  })
  t.equal(form.status, 400)
  const bare = await ask('POST', '/api/auth/logout', { cookie })
  t.equal(bare.status, 400, 'no body, no origin, but a cookie')
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 200)
  const own = await ask('DELETE', '/api/v1/session', { cookie, headers: { origin } })
  t.equal(own.status, 200)
  await accounts.audits.flush()
  t.ok((await accounts.audits.list({ name: 'access.denied' })).length >= attacks.length)
})

t.test('sign-up, when it is on', async t => {
  const account = { ...first, email: 'second@example.com', organizationName: 'Second' }
  t.equal((await ask('POST', '/api/v1/signup', { body: account })).status, 403)
  t.equal((await ask('GET', '/api/v1/signup/check?email=first@example.com')).status, 403)
  await database.query(`insert into global_flags (flag, enabled) values ('USER_REGISTRATION_ENABLED', true)`)
  const taken = await ask('GET', '/api/v1/signup/check?email=first@example.com')
  t.match(taken, { status: 409, body: { message: /already exists/ } })
  t.equal((await ask('GET', '/api/v1/signup/check?email=second@example.com')).status, 200)
  const wrong = await ask('POST', '/api/v1/signup', { body: { ...account, organizationPromoCode: 'NO' } })
  t.match(wrong, { status: 422, body: { fields: { organizationPromoCode: 'Invalid promo code' } } })
  const organization = await database.query<{ id: string }>('select id from organizations')
  await database.query(`insert into promo_codes (code, organization_id) values ('YES', $1)`, [
    organization.rows[0]?.id,
  ])
  const answer = await ask('POST', '/api/v1/signup', { body: { ...account, organizationPromoCode: 'YES' } })
  t.match(answer, { status: 200, body: { organization: 'second', user: { emailConfirmed: false } } })
  t.equal((await ask('POST', '/api/v1/signup', { body: account })).status, 409)
})

t.test('invitations', async t => {
  const { rows } = await database.query<{ id: string; organization_id: string }>(
    `select organization_id, id from environments where slug = 'production' limit 1`,
  )
  const { insertInvitation } = await import('../../../lib/accounts/invitations.js')
  const invite = (email: string): Promise<{ id: string }> =>
    insertInvitation(database, {
      organizationId: rows[0]?.organization_id ?? '',
      email,
      permissions: ['ACTION_RUNNER'],
      teamIds: [],
      nowMs: clock.nowMs(),
    })
  const person = { firstName: 'In', lastName: 'Vited', password: 'another good one' }
  const invitation = await invite('invited@example.com')
  const path = `/api/v1/invitations/${invitation.id}`
  t.match((await ask('GET', path)).body, { email: 'invited@example.com', organization: { slug: String } })
  const accepted = await ask('POST', `${path}/accept`, { body: person })
  t.match(accepted, { status: 200, body: { organizations: [{ role: 'member' }] } })
  t.equal((await ask('GET', path)).status, 404, 'it is used up')
  t.equal((await ask('POST', `${path}/accept`, { body: person })).status, 404)

  const foreign = await invite('third@example.com')
  const refused = await ask('POST', `/api/v1/invitations/${foreign.id}/accept`, {
    cookie: accepted.cookie,
    body: {},
  })
  t.equal(refused.status, 403, 'it is for another address')
  clock.advance(31 * 24 * 3_600_000)
  t.equal((await ask('GET', `/api/v1/invitations/${foreign.id}`)).status, 404, 'it has expired')
})

t.test('changing the password ends the other sessions', async t => {
  const { email, password } = first
  const one = await ask('POST', '/api/v1/session', { body: { email, password } })
  const two = await ask('POST', '/api/v1/session', { body: { email, password } })
  const body = { current: password, password: 'an even better one' }
  t.equal(
    (await ask('POST', '/api/v1/password', { cookie: one.cookie, body: { ...body, current: 'x' } })).status,
    401,
  )
  t.equal((await ask('POST', '/api/v1/password', { cookie: one.cookie, body })).status, 200)
  t.equal((await ask('GET', '/api/v1/session', { cookie: one.cookie })).status, 200)
  t.equal((await ask('GET', '/api/v1/session', { cookie: two.cookie })).status, 401)
  t.equal((await ask('POST', '/api/v1/session', { body: { email, password } })).status, 401)
})

t.test('a second factor is a second step', async t => {
  const [email, password] = ['careful@example.com', 'a good password']
  await runAdminOperation('createUser', { email, password, createOrganization: true }, { accounts })
  const factor = (await runAdminOperation('enrollMfa', { email }, { accounts })) as {
    recoveryCodes: string[]
  }
  const half = await ask('POST', '/api/v1/session', { body: { email, password } })
  t.equal(half.status, 200)
  t.same(half.body, { next: 'second-factor' }, 'nothing is told about the person yet')
  t.match(half.headers.get('set-cookie'), /Max-Age=600$/)
  const { cookie } = half
  const asked = await ask('GET', '/api/v1/session', { cookie })
  t.match(asked, {
    status: 401,
    body: { code: 'not-signed-in', secondFactorNeeded: true },
    cookie: undefined,
  })
  t.match(await ask('GET', '/api/auth/session', { cookie }), { status: 401, body: { code: 'NEEDS_MFA' } })
  t.equal((await ask('GET', '/api/v1/sessions', { cookie })).status, 401)
  const path = '/api/v1/session/second-factor'
  t.match(await ask('POST', path, { cookie, body: { code: '000000' } }), {
    status: 401,
    body: { code: 'bad-credentials' },
  })
  t.equal((await ask('POST', path, { body: { code: '000000' } })).body.code, 'not-signed-in')
  t.equal((await ask('POST', path, { cookie, body: {} })).status, 400)
  const foreign = { origin: 'https://evil.example' }
  t.equal((await ask('POST', path, { cookie, body: { code: '000000' }, headers: foreign })).status, 403)
  const done = await ask('POST', path, { cookie, body: { code: factor.recoveryCodes[0] } })
  t.match(done, { status: 200, body: { user: { email } } })
  t.not(done.cookie, cookie)
  t.equal((await ask('GET', '/api/v1/session', { cookie: done.cookie })).status, 200)
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 401)
  const login = await ask('POST', '/api/auth/login', { body: { email, password } })
  t.equal((await ask('GET', '/api/auth/session', { cookie: login.cookie })).status, 401)
})
