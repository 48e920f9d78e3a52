/**
 * What strangers and half-strangers try with accounts: finding out who has one, guessing, fixing a session, using a link
 * twice, coming in by an address that is not theirs.
 */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { testAccounts } from '../../support/database.js'
import { linkIn } from '../../support/mail-server.js'
import { codeAt } from '../../support/one-time-codes.js'
import { type Answer, testServer } from './test-server.js'

const password = 'a good password'

async function server(
  t: { teardown(work: () => unknown): unknown },
  overrides: Parameters<typeof testAccounts>[1] = {},
) {
  const { accounts, database, clock } = await testAccounts(t, { sendsMail: true, ...overrides })
  const { ask, origin } = await testServer(t, accounts)
  const operate = <Result>(name: string, argument: unknown) =>
    runAdminOperation(name, argument, { accounts }) as Promise<Result>
  const person = (email: string) =>
    operate<{ id: string; ownedOrganizations: { id: string; slug: string }[] }>('createUser', {
      email,
      password,
      createOrganization: true,
    })
  const signIn = (email: string, text = password, cookie?: string) =>
    ask('POST', '/api/v1/session', { body: { email, password: text }, cookie })
  const mailed = async (email: string): Promise<string[]> => {
    await accounts.passwordResetsDone()
    const { rows } = await database.query<{ text: string }>(
      'select text from mails where recipient = $1 order by created_at desc, ctid desc',
      [email],
    )
    return rows.map(({ text }) => text)
  }
  const sealFor = async (email: string): Promise<string> =>
    new URL(linkIn({ text: (await mailed(email))[0] ?? '' })).searchParams.get('seal') ?? ''
  return { accounts, database, clock, ask, origin, operate, person, signIn, mailed, sealFor }
}

const shared = await server(t)

/** The server of this file, with the guesses of the test before forgotten. */
function fresh(): typeof shared {
  shared.clock.advance(600_001)
  return shared
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

t.test('nobody finds out who has an account, by words', async t => {
  const { ask, operate, person, signIn } = fresh()
  await person('known@example.com')
  await operate('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: false })
  const same = async (what: string, ask: (email: string) => Promise<Answer>): Promise<void> => {
    const [known, unknown] = [await ask('known@example.com'), await ask('unknown@example.com')]
    t.same([known.status, known.text], [unknown.status, unknown.text], what)
    const names = ({ headers }: Answer) => [...headers.keys()].sort()
    t.same(names(known), names(unknown), `${what}: headers`)
  }
  await same('first step', email => ask('POST', '/api/v1/session/check', { body: { email } }))
  await same('sign-in', email => signIn(email, 'wrong'))
  await same('sign-in as the original', email =>
    ask('POST', '/api/auth/login', { body: { email, password: 'wrong' } }),
  )
  await same('password reset', email => ask('POST', '/api/v1/password-reset', { body: { email } }))
  await same('sign-up check', email => ask('GET', `/api/v1/signup/check?email=${email}`))
  await same('sign-up', email =>
    ask('POST', '/api/v1/signup', {
      body: { email, firstName: 'A', lastName: 'B', password, organizationName: 'C' },
    }),
  )
  for (let count = 0; count < 15; count += 1) {
    await ask('POST', '/api/v1/password-reset', { body: { email: 'known@example.com' } })
    await ask('POST', '/api/v1/password-reset', { body: { email: 'unknown@example.com' } })
  }
  await same('password reset, when there were too many', email =>
    ask('POST', '/api/v1/password-reset', { body: { email } }),
  )
  await operate('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: true })
})

t.test('nor by time', async t => {
  // Costly enough to be seen.
  const { accounts, ask, person, signIn } = await server(t, {
    passwordParameters: { cost: 2 ** 13, blockSize: 8, parallelization: 1 },
  })
  await person('known@example.com')
  const times = { known: [] as number[], unknown: [] as number[] }
  const timed = async (who: 'known' | 'unknown', work: () => Promise<unknown>): Promise<void> => {
    const startedAtMs = performance.now()
    await work()
    times[who].push(performance.now() - startedAtMs)
  }
  for (let count = 0; count < 9; count += 1) {
    for (const who of ['known', 'unknown'] as const)
      await timed(who, () => signIn(`${who}@example.com`, 'wrong'))
  }
  const ratio = median(times.known) / median(times.unknown)
  t.comment(
    `sign-in: ${median(times.known).toFixed(1)} ms known, ${median(times.unknown).toFixed(1)} ms unknown`,
  )
  t.ok(ratio > 0.5 && ratio < 2, `sign-in takes as long for who exists: ${ratio.toFixed(2)}`)
  // Answered before anything is looked up.
  await accounts.passwordResetsDone()
  const answered = await ask('POST', '/api/v1/password-reset', { body: { email: 'known@example.com' } })
  t.equal(answered.status, 202)
})

t.test('whoever goes through a list of addresses is stopped', async t => {
  const { ask, person } = fresh()
  const statuses: number[] = []
  for (let count = 0; count < 52; count += 1) {
    const email = `p${count}@example.com`
    if (count === 0) await person(email)
    statuses.push((await ask('POST', '/api/v1/password-reset', { body: { email } })).status)
  }
  t.equal(statuses.at(-1), 429)
})

t.test('a session somebody else chose is never taken over, and each step has a token of its own', async t => {
  const { ask, clock, operate, person, signIn } = fresh()
  await person('fix@example.com')
  const planted = `interval_session=${'A'.repeat(43)}`
  const first = await signIn('fix@example.com', password, planted)
  t.not(first.cookie, planted)
  t.equal((await ask('GET', '/api/v1/session', { cookie: planted })).status, 401)
  const attacker = await signIn('fix@example.com')
  const again = await signIn('fix@example.com', password, attacker.cookie)
  t.equal(
    (await ask('GET', '/api/v1/session', { cookie: attacker.cookie })).status,
    401,
    'the older has ended',
  )
  t.equal((await ask('GET', '/api/v1/session', { cookie: again.cookie })).status, 200)
  const { secret } = await operate<{ secret: string }>('enrollMfa', { email: 'fix@example.com' })
  t.equal((await ask('GET', '/api/v1/account', { cookie: again.cookie })).status, 401, 'it waits for a code')
  const half = await signIn('fix@example.com')
  const body = { code: codeAt(secret, clock.nowMs()) }
  const whole = await ask('POST', '/api/v1/session/second-factor', { cookie: half.cookie, body })
  t.equal(whole.status, 200)
  t.not(whole.cookie, half.cookie)
  t.equal((await ask('GET', '/api/v1/session', { cookie: half.cookie })).status, 401)
})

t.test('half a sign-in opens nothing', async t => {
  const { ask, operate, person, signIn } = fresh()
  await person('half@example.com')
  await operate('enrollMfa', { email: 'half@example.com' })
  const { cookie } = await signIn('half@example.com')
  const tried: [string, string, object?][] = [
    ['GET', '/account'],
    ['PATCH', '/account', { firstName: 'X' }],
    ['POST', '/account/email', { email: 'x@example.com', password }],
    ['POST', '/account/second-factor', { password }],
    ['POST', '/account/second-factor/finish', { code: '000000' }],
    ['POST', '/account/second-factor/remove', { password }],
    ['POST', '/account/second-factor/recovery-codes', { password }],
    ['GET', '/session/identity'],
    ['POST', '/session/identity', { password }],
    ['POST', '/password', { current: password, password: 'another good one' }],
    ['GET', '/sessions'],
    ['POST', '/organizations', { name: 'X' }],
    ['POST', '/organizations/half/leave', {}],
    ['POST', '/email-confirmation', { seal: 'x' }],
    ['POST', '/invitations/unknown-invitation/decline', {}],
  ]
  for (const [method, path, body] of tried) {
    for (const who of [cookie, undefined]) {
      const answer = await ask(method, `/api/v1${path}`, { cookie: who, ...(body && { body }) })
      t.equal(answer.status, 401, `${method} ${path} ${who ? 'half' : 'not'} signed in`)
    }
  }
  const foreign = { origin: 'https://evil.example' }
  for (const [method, path, body] of tried.filter(([method]) => method !== 'GET')) {
    const answer = await ask(method, `/api/v1${path}`, { cookie, headers: foreign, ...(body && { body }) })
    t.equal(answer.status, 403, `${method} ${path} from another site`)
  }
})

t.test('codes and passwords are not guessed in an open session either', async t => {
  const { ask, person, signIn } = fresh()
  await person('open@example.com')
  const { cookie } = await signIn('open@example.com')
  const ways: [string, object][] = [
    ['/session/identity', { password: 'wrong' }],
    ['/account/second-factor', { password: 'wrong' }],
    ['/account/email', { email: 'x@example.com', password: 'wrong' }],
    ['/password', { current: 'wrong', password: 'another good one' }],
  ]
  let refused = 0
  for (let count = 0; count < 12; count += 1) {
    const [path, body] = ways[count % ways.length] ?? ['', {}]
    const { status } = await ask('POST', `/api/v1${path}`, { cookie, body })
    if (status === 429) refused += 1
    else t.equal(status, 401)
  }
  t.ok(refused >= 2, 'ten in all, whichever way')
  const right = await ask('POST', '/api/v1/session/identity', { cookie, body: { password } })
  t.equal(right.status, 429, 'then the right one does not help')
})

t.test('W5: equal passwords are stored as different texts, and no secret in clear', async t => {
  const { ask, database, operate, person, signIn } = fresh()
  await person('one@example.com')
  await person('two@example.com')
  const { secret } = await operate<{ secret: string }>('enrollMfa', { email: 'two@example.com' })
  const { cookie = '' } = await signIn('one@example.com')
  await ask('POST', '/api/v1/account/second-factor', { cookie, body: { password } })
  await ask('POST', '/api/v1/password-reset', { body: { email: 'one@example.com' } })
  const made = await ask('POST', '/api/v1/organizations/one/keys', { cookie, body: { kind: 'DEVELOPMENT' } })
  const { rows } = await database.query<{ password: string }>(
    `select password from people where email in ('one@example.com', 'two@example.com')`,
  )
  t.equal(new Set(rows.map(row => row.password)).size, 2)
  const tables = [
    'people',
    'sessions',
    'second_factors',
    'second_factor_enrolments',
    'password_resets',
    'api_keys',
  ]
  for (const table of tables) {
    const text = JSON.stringify((await database.query(`select * from ${table}`)).rows)
    for (const plain of [password, secret, cookie.split('=')[1] ?? '?', String(made.body.key)])
      t.notOk(text.includes(plain), table)
  }
})

t.test('W6: a password change needs the present one and ends the others; who is gone stays gone', async t => {
  const { accounts, ask, operate, person, signIn } = fresh()
  const { id } = await person('gone@example.com')
  const { cookie } = await signIn('gone@example.com')
  const other = await signIn('gone@example.com')
  const wanted = { password: 'another good one' }
  t.equal((await ask('POST', '/api/v1/password', { cookie, body: wanted })).status, 400)
  t.equal(
    (await ask('POST', '/api/v1/password', { cookie, body: { ...wanted, current: 'wrong' } })).status,
    401,
  )
  t.equal(
    (await ask('POST', '/api/v1/password', { cookie, body: { ...wanted, current: password } })).status,
    200,
  )
  t.equal((await ask('GET', '/api/v1/session', { cookie: other.cookie })).status, 401)
  t.equal((await signIn('gone@example.com')).status, 401)
  await operate('deleteUsers', { ids: [id], emails: [] })
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 401)
  t.equal((await signIn('gone@example.com', wanted.password)).status, 401)
  t.ok(accounts)
})

t.test('an unproven address opens no organization', async t => {
  const { ask, database, operate, person } = fresh()
  const owner = await person('owner@example.com')
  await operate('createInvitation', {
    organizationId: owner.ownedOrganizations[0]?.id,
    email: 'invited@example.com',
    permissions: ['ADMIN'],
    groupIds: [],
  })
  const account = { firstName: 'A', lastName: 'B', password, organizationName: 'Mine' }
  const { cookie } = await ask('POST', '/api/v1/signup', {
    body: { ...account, email: 'invited@example.com' },
  })
  const own = await ask('GET', '/api/v1/account', { cookie })
  t.same(own.body.invitations, [], 'whoever has not proven the address is shown no invitation')
  const session = await ask('GET', '/api/v1/session', { cookie })
  t.match(session.body.organizations, [{ slug: 'mine' }])
  await database.query(`update people set email_confirmed_at = now() where email = 'invited@example.com'`)
  t.equal(((await ask('GET', '/api/v1/account', { cookie })).body.invitations as unknown[]).length, 1)
})

t.test('an account made for somebody else is theirs entirely once they prove the address', async t => {
  const { accounts, ask, clock, sealFor, signIn } = fresh()
  const email = 'victim@example.com'
  const account = { email, firstName: 'A', lastName: 'B', password, organizationName: 'Trap' }
  const { cookie } = await ask('POST', '/api/v1/signup', { body: account })
  const begun = await ask('POST', '/api/v1/account/second-factor', { cookie, body: { password } })
  const code = codeAt(String(begun.body.secret), clock.nowMs())
  const finished = await ask('POST', '/api/v1/account/second-factor/finish', { cookie, body: { code } })
  t.equal(finished.status, 200)
  const [recovery] = finished.body.recoveryCodes as string[]
  const made = await ask('POST', '/api/v1/organizations/trap/keys', { cookie, body: { kind: 'DEVELOPMENT' } })
  t.equal(made.status, 201)
  const token = await ask('POST', '/api/v1/access-tokens', {
    cookie,
    body: { name: 'way back', scope: 'write', days: 30 },
  })
  t.equal(token.status, 201)
  await ask('POST', '/api/v1/account/email', { cookie, body: { email: 'evil@example.com', code: recovery } })
  const back = await sealFor('evil@example.com')

  await ask('POST', '/api/v1/password-reset', { body: { email } })
  const body = { seal: await sealFor(email), password: 'the password of the victim' }
  t.equal((await ask('POST', '/api/v1/password-reset/complete', { body })).status, 200)
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 401, 'the sessions')
  const own = await signIn(email, body.password)
  t.match(own, { status: 200, body: { user: { email, emailConfirmed: true } } }, 'the second factor')
  await t.rejects(accounts.authenticateKey(String(made.body.key)), { code: 'invalid-api-key' }, 'the keys')
  t.equal(await accounts.authenticateToken(String(token.body.token)), null, 'the access tokens')
  const stolen = await ask('POST', '/api/v1/email-confirmation', { cookie: own.cookie, body: { seal: back } })
  t.equal(stolen.status, 404, 'the other address')
})

t.test('a link for a new password is nobody elses, and ends with the address', async t => {
  const { ask, clock, person, sealFor, signIn } = fresh()
  await person('moves@example.com')
  await ask('POST', '/api/v1/password-reset', { body: { email: 'moves@example.com' } })
  const seal = await sealFor('moves@example.com')
  const { cookie } = await signIn('moves@example.com')
  await ask('POST', '/api/v1/account/email', { cookie, body: { email: 'moved@example.com', password } })
  const proof = await sealFor('moved@example.com')
  t.equal((await ask('POST', '/api/v1/email-confirmation', { cookie, body: { seal: proof } })).status, 200)
  const late = await ask('POST', '/api/v1/password-reset/complete', {
    body: { seal, password: 'from the old mailbox' },
  })
  t.equal(late.status, 404)
  for (const wrong of ['', 'x', 'A'.repeat(43), `${seal}.`, '../../etc/passwd', "' or 1=1 --"]) {
    const answer = await ask('POST', '/api/v1/password-reset/complete', {
      body: { seal: wrong, password: 'a good password' },
    })
    t.ok([400, 404].includes(answer.status), JSON.stringify(wrong))
  }
  t.ok(clock)
})
