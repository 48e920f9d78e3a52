/** What people do about their own account: profile, address, password, second factor, organizations. */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { codeOfStep } from '../../../lib/accounts/one-time-codes.js'
import { limits } from '../../../lib/limits.js'
import { testAccounts } from '../../support/database.js'
import { linkIn } from '../../support/mail-server.js'
import { bytesOf } from '../../support/one-time-codes.js'
import { type Answer, testServer } from './test-server.js'

const { accounts, database, clock } = await testAccounts(t, { sendsMail: true })
const { ask } = await testServer(t, accounts)
const password = 'a good password'

interface Made {
  readonly id: string
  readonly email: string
  readonly organization: { id: string; slug: string }
}

async function made(name: string): Promise<Made> {
  const email = `${name}@example.com`
  const user = (await runAdminOperation(
    'createUser',
    { email, firstName: name, password, createOrganization: true },
    { accounts },
  )) as { id: string; ownedOrganizations: { id: string; slug: string }[] }
  const [organization] = user.ownedOrganizations
  if (!organization) throw new Error('no organization')
  return { id: user.id, email, organization }
}

async function signedIn(email: string, secret = password): Promise<string> {
  const { cookie } = await ask('POST', '/api/v1/session', { body: { email, password: secret } })
  return cookie ?? ''
}

/** Newest first. */
async function mailsTo(email: string): Promise<{ subject: string; text: string }[]> {
  await accounts.passwordResetsDone()
  const { rows } = await database.query<{ subject: string; text: string }>(
    'select subject, text from mails where recipient = $1 order by created_at desc, ctid desc',
    [email],
  )
  return rows
}

const sealIn = (mail: { text: string } | undefined): string =>
  new URL(linkIn({ text: mail?.text ?? '' })).searchParams.get('seal') ?? ''

const call =
  (cookie: string) =>
  (method: string, path: string, body?: unknown): Promise<Answer> =>
    ask(method, `/api/v1${path}`, { cookie, ...(body !== undefined && { body }) })

t.test('profile', async t => {
  const { email } = await made('ann')
  const as = call(await signedIn(email))
  t.match((await as('GET', '/account')).body, {
    email,
    firstName: 'ann',
    timeZone: null,
    notificationMethod: 'EMAIL',
    emailConfirmed: true,
    pendingEmail: null,
    hasPassword: true,
    secondFactor: null,
    ownedOrganizations: ['ann'],
    invitations: [],
  })
  const changes = {
    firstName: ' Ann ',
    lastName: 'Quill',
    timeZone: 'Europe/Berlin',
    notificationMethod: 'SLACK',
  }
  t.equal((await as('PATCH', '/account', changes)).status, 200)
  t.match((await as('GET', '/account')).body, { ...changes, firstName: 'Ann' })
  t.match((await as('GET', '/session')).body, { user: { timeZone: 'Europe/Berlin' } })
  t.match(await as('PATCH', '/account', { timeZone: 'Mars/Crater' }), {
    status: 422,
    body: { fields: { timeZone: /no such/ } },
  })
  for (const wrong of [{ firstName: '' }, { notificationMethod: 'PIGEON' }, { firstName: 'x'.repeat(101) }])
    t.equal((await as('PATCH', '/account', wrong)).status, 400)
  t.equal((await ask('GET', '/api/v1/account')).status, 401)
})

t.test('another address counts once it is proven, and the old one is told', async t => {
  const { email } = await made('bea')
  const cookie = await signedIn(email)
  const as = call(cookie)
  const wanted = 'bea.new@example.com'
  t.match(await as('POST', '/account/email', { email: wanted, password: 'wrong' }), {
    status: 401,
    body: { fields: { password: /wrong/ } },
  })
  t.match(await as('POST', '/account/email', { email: wanted }), { status: 422 })
  t.match(await as('POST', '/account/email', { email: 'no address', password }), {
    status: 422,
    body: { fields: { email: /not an email/ } },
  })
  t.match((await as('POST', '/account/email', { email: wanted, password })).body, { status: 'sent' })
  t.match((await as('GET', '/account')).body, { email, pendingEmail: wanted })
  const seal = sealIn((await mailsTo(wanted))[0])
  const stranger = call(await signedIn((await made('eve')).email))
  t.equal((await stranger('POST', '/email-confirmation', { seal })).status, 404, 'not for others')
  t.match((await as('POST', '/email-confirmation', { seal })).body, { status: 'confirmed' })
  t.match((await as('GET', '/account')).body, { email: wanted, pendingEmail: null, emailConfirmed: true })
  t.match((await mailsTo(email))[0], { subject: /changed/, text: /bea\.new@example\.com/ })
  t.ok(await signedIn(wanted))
  t.equal(await signedIn(email), '', 'the old address opens nothing')

  t.comment('an address of somebody else: the same answer, another mail, and no link')
  t.match((await as('POST', '/account/email', { email: 'eve@example.com', password })).body, {
    status: 'sent',
  })
  t.match((await as('GET', '/account')).body, { pendingEmail: 'eve@example.com' })
  const [told] = await mailsTo('eve@example.com')
  t.notMatch(told?.text, /seal=/)
  t.equal((await as('DELETE', '/account/email')).status, 200)
  t.match((await as('GET', '/account')).body, { pendingEmail: null })
})

t.test('a new account proves its address; late links bring new ones, in bounds', async t => {
  const account = {
    email: 'new@example.com',
    firstName: 'N',
    lastName: 'W',
    password,
    organizationName: 'New',
  }
  const { cookie = '' } = await ask('POST', '/api/v1/signup', { body: account })
  const as = call(cookie)
  t.match((await as('GET', '/session')).body, { user: { emailConfirmed: false } })
  const live = { kind: 'PRODUCTION', label: 'x' }
  t.match(await as('POST', '/organizations/new/keys', live), { status: 403, body: { message: /Confirm/ } })
  t.equal((await as('POST', '/organizations/new/keys', { kind: 'DEVELOPMENT' })).status, 201)
  const first = sealIn((await mailsTo(account.email))[0])
  clock.advance(30 * 60_000)
  t.match((await as('POST', '/email-confirmation', { seal: first })).body, { status: 'expired' })
  const second = sealIn((await mailsTo(account.email))[0])
  t.not(second, first)
  t.match(await as('POST', '/account/email-confirmation', {}), { status: 200 })
  t.match((await as('POST', '/email-confirmation', { seal: second })).body, { status: 'confirmed' })
  t.equal((await as('POST', '/organizations/new/keys', live)).status, 201)
  t.match((await as('POST', '/email-confirmation', { seal: second })).body, { status: 'confirmed' }, 'again')
  const sent = (await mailsTo(account.email)).length
  await as('POST', '/account/email-confirmation', {})
  t.equal((await mailsTo(account.email)).length, sent, 'nothing to prove any more')
  const statuses: number[] = []
  for (let count = 0; count < 12; count += 1)
    statuses.push((await as('POST', '/email-confirmation', { seal: first })).status)
  t.ok(
    statuses.includes(429) && (await mailsTo(account.email)).length <= sent + 10,
    'a late link floods nobody',
  )
})

t.test('a forgotten password', async t => {
  const { email } = await made('cec')
  const cookie = await signedIn(email)
  const known = await ask('POST', '/api/v1/password-reset', { body: { email: email.toUpperCase() } })
  const unknown = await ask('POST', '/api/v1/password-reset', { body: { email: 'nobody@example.com' } })
  t.equal(known.status, 202)
  t.same([known.status, known.text], [unknown.status, unknown.text])
  t.same(await mailsTo('nobody@example.com'), [])
  const seal = sealIn((await mailsTo(email))[0])
  const { rows } = await database.query<{ text: string }>(
    'select password_resets::text as text from password_resets',
  )
  t.notOk(
    rows.some(({ text }) => text.includes(seal)),
    'only a digest is kept',
  )
  const complete = (body: object) => ask('POST', '/api/v1/password-reset/complete', { body })
  t.equal((await ask('POST', '/api/v1/password-reset/check', { body: { seal } })).status, 200)
  t.match(await complete({ seal, password: 'short' }), { status: 422, body: { fields: { password: /8/ } } })
  t.match(await complete({ seal: `${seal.slice(0, -1)}~`, password: 'a new password' }), { status: 404 })
  const both = await Promise.all([
    complete({ seal, password: 'a new password' }),
    complete({ seal, password: 'another password' }),
  ])
  t.same(both.map(({ status }) => status).sort(), [200, 404], 'it works once, also at the same moment')
  t.equal((await complete({ seal, password: 'a third password' })).status, 404)
  t.equal((await ask('GET', '/api/v1/session', { cookie })).status, 401, 'sessions have ended')
  t.equal(await signedIn(email), '')
  t.match((await mailsTo(email))[0], { subject: 'Your password was changed' })

  t.comment('too late, and too many')
  await ask('POST', '/api/v1/password-reset', { body: { email } })
  const late = sealIn((await mailsTo(email))[0])
  clock.advance(30 * 60_000)
  t.equal((await complete({ seal: late, password: 'a new password' })).status, 404)
  const before = (await mailsTo(email)).length
  const statuses: number[] = []
  for (let count = 0; count < 12; count += 1)
    statuses.push((await ask('POST', '/api/v1/password-reset', { body: { email } })).status)
  t.ok(statuses.includes(429))
  t.equal((await mailsTo(email)).length, before + 3, 'three open links are enough')
})

t.test('a second factor: set up, used, renewed, removed', async t => {
  const { email } = await made('dan')
  const cookie = await signedIn(email)
  const other = await signedIn(email)
  const as = call(cookie)
  t.equal((await as('POST', '/account/second-factor', { password: 'wrong' })).status, 401)
  const begun = await as('POST', '/account/second-factor', { password })
  t.match(begun.body, { secret: /^[A-Z2-7]{32}$/, url: /^otpauth:\/\/totp\// })
  const secret = bytesOf(String(begun.body.secret))
  const codeNow = () => codeOfStep(secret, Math.floor(clock.nowMs() / 30_000))
  t.match((await as('GET', '/account')).body, { secondFactor: null }, 'not before the first code')
  t.match(await as('POST', '/account/second-factor/finish', { code: '000000' }), {
    status: 422,
    body: { fields: { code: /wrong/ } },
  })
  const used = codeNow()
  const done = await as('POST', '/account/second-factor/finish', { code: used })
  const codes = done.body.recoveryCodes as string[]
  t.equal(new Set(codes).size, 10)
  t.match((await as('GET', '/account')).body, { secondFactor: { kind: 'TOTP', recoveryCodesLeft: 10 } })
  t.match((await ask('GET', '/api/v1/session', { cookie: other })).body, { secondFactorNeeded: true })
  t.match((await mailsTo(email))[0], { subject: /second factor was switched on/ })
  const half = await ask('POST', '/api/v1/session', { body: { email, password } })
  const second = (code: string) =>
    ask('POST', '/api/v1/session/second-factor', { cookie: half.cookie, body: { code } })
  t.equal((await second(used)).status, 401, 'the first code is used up')
  clock.advance(30_000)
  t.equal((await second(codeNow())).status, 200)

  t.match((await as('GET', '/session/identity')).body, { proof: 'code' })
  t.equal((await as('POST', '/session/identity', { password })).status, 422, 'the password is not enough now')
  t.comment('who has the password alone neither takes it away nor puts another one in its place')
  for (const path of ['', '/recovery-codes', '/remove']) {
    const refused = await as('POST', `/account/second-factor${path}`, { password })
    t.match(refused, { status: 422, body: { fields: { code: /Enter a code/ } } }, `second-factor${path}`)
  }
  const moved = await as('POST', '/account/email', { email: 'taken-over@example.com', password })
  t.match(moved, { status: 422, body: { fields: { code: /Enter a code/ } } })
  const renewed = await as('POST', '/account/second-factor/recovery-codes', { code: codes[0] })
  t.equal((renewed.body.recoveryCodes as string[]).length, 10)
  t.equal((await as('POST', '/account/second-factor/remove', { code: codes[1] })).status, 401, 'an old one')
  t.equal((await as('POST', '/account/second-factor/remove', {})).status, 422)
  const [recovery] = renewed.body.recoveryCodes as string[]
  t.equal((await as('POST', '/account/second-factor/remove', { code: recovery })).status, 200)
  t.match((await as('GET', '/account')).body, { secondFactor: null })
  t.ok(await accounts.authenticateSession((await signedIn(email)).split('=')[1]))

  t.comment('guessing ends what was begun')
  await as('POST', '/account/second-factor', { password })
  for (let count = 0; count < 10; count += 1)
    t.equal((await as('POST', '/account/second-factor/finish', { code: '000000' })).status, 422)
  t.equal((await as('POST', '/account/second-factor/finish', { code: '000000' })).status, 404)
})

t.test('a new password ends access tokens when that is wanted, one by mail always', async t => {
  const { email } = await made('tom')
  const as = call(await signedIn(email))
  const make = async (): Promise<string> =>
    String((await as('POST', '/access-tokens', { name: 'A script', scope: 'read', days: 30 })).body.token)
  const works = async (token: string): Promise<boolean> => {
    // Remembered for a moment.
    clock.advance(3_001)
    const headers = { authorization: `Bearer ${token}` }
    return (await ask('GET', '/api/v1/organizations/tom/keys', { headers })).status === 200
  }
  const mail = async (): Promise<string> => (await mailsTo(email))[0]?.text ?? ''
  const token = await make()
  const second = 'a second password'
  t.equal((await as('POST', '/password', { current: password, password: second })).status, 200)
  t.ok(await works(token), 'scripts go on')
  t.match(await mail(), /Your access tokens go on/)
  const third = 'a third password'
  const body = { current: second, password: third, endsTokens: true }
  t.equal((await as('POST', '/password', body)).status, 200)
  t.notOk(await works(token))
  t.match(await mail(), /So have your access tokens/)
  const another = await make()
  t.ok(await works(another))
  await ask('POST', '/api/v1/password-reset', { body: { email } })
  const seal = sealIn((await mailsTo(email))[0])
  const complete = { seal, password: 'a fourth password' }
  t.equal((await ask('POST', '/api/v1/password-reset/complete', { body: complete })).status, 200)
  t.notOk(await works(another), 'whoever needs a link may have lost more than a password')
})

t.test('an organization that asks for a second factor is closed until there is one', async t => {
  const owner = await made('fay')
  const cookie = await signedIn(owner.email)
  const as = call(cookie)
  const keys = `/organizations/${owner.organization.slug}/keys`
  t.equal((await as('GET', keys)).status, 200)
  await database.query('update organizations set require_second_factor = true where id = $1', [
    owner.organization.id,
  ])
  await accounts.revoked({ keys: [], sessions: [] })
  t.match(await as('GET', keys), { status: 403, body: { code: 'second-factor-required' } })
  t.match((await as('GET', '/session')).body, { organizations: [{ lacksSecondFactor: true }] })
  t.ok(
    await accounts.unattendedActor(owner.id as never, owner.organization.slug, 'production'),
    'schedules go on',
  )
  const { secret } = (await as('POST', '/account/second-factor', { password })).body
  const code = codeOfStep(bytesOf(String(secret)), Math.floor(clock.nowMs() / 30_000))
  const { body } = await as('POST', '/account/second-factor/finish', { code })
  t.equal((await as('GET', keys)).status, 200)
  const [recovery] = body.recoveryCodes as string[]
  await as('POST', '/account/second-factor/remove', { code: recovery })
  t.equal((await as('GET', keys)).status, 403, 'and closed again without')
})

t.test('organizations: made, joined, declined, left', async t => {
  const owner = await made('gil')
  const { email, id } = await made('hal')
  const as = call(await signedIn(email))
  t.match((await as('POST', '/organizations', { name: 'Second Home' })).body, { slug: 'second-home' })
  t.equal((await as('POST', '/organizations', { name: ' ' })).status, 400)
  t.match((await as('GET', '/account')).body, { ownedOrganizations: ['hal', 'second-home'] })
  const invite = () =>
    runAdminOperation(
      'createInvitation',
      { organizationId: owner.organization.id, email, permissions: ['ADMIN'], groupIds: [] },
      { accounts },
    ) as Promise<{ id: string }>
  const first = await invite()
  t.match((await as('GET', '/account')).body, {
    invitations: [{ id: first.id.split('.')[0], organization: { name: 'gil' } }],
  })
  const stranger = call(await signedIn((await made('ida')).email))
  t.equal((await stranger('POST', `/invitations/${first.id}/decline`, {})).status, 404)
  t.equal((await as('POST', `/invitations/${first.id}/decline`, {})).status, 200)
  t.match((await as('GET', '/account')).body, { invitations: [] })
  const second = await invite()
  t.equal((await as('POST', `/invitations/${second.id}/accept`, {})).status, 200)
  const made1 = await as('POST', '/organizations/gil/keys', { kind: 'PRODUCTION' })
  t.equal(made1.status, 201)
  t.ok(await accounts.authenticateKey(String(made1.body.key)))
  t.match(await as('POST', '/organizations/hal/leave', {}), { status: 409, body: { message: /own/ } })
  t.equal((await as('POST', '/organizations/gil/leave', {})).status, 200)
  t.equal((await as('POST', '/organizations/gil/leave', {})).status, 404)
  t.equal((await as('GET', '/organizations/gil/keys')).status, 404)
  await t.rejects(accounts.authenticateKey(String(made1.body.key)), { code: 'invalid-api-key' })

  t.comment('the last administrator stays')
  await database.query('update organizations set owner_id = null where id = $1', [owner.organization.id])
  const last = call(await signedIn(owner.email))
  t.match(await last('POST', '/organizations/gil/leave', {}), { status: 409, body: { message: /last/ } })
  await database.query(`insert into global_flags (flag, enabled) values ('USER_REGISTRATION_ENABLED', false)`)
  await database.query(`update memberships set permissions = '{ACTION_RUNNER}' where person_id = $1`, [id])
  t.equal((await as('POST', '/organizations', { name: 'Third' })).status, 403)
  t.match((await as('GET', '/account')).body, { mayCreateOrganizations: false })
})

t.test('where no mails are sent, nothing waits for one', async t => {
  const { accounts, database } = await testAccounts(t, { sendsMail: false })
  const { ask } = await testServer(t, accounts)
  const account = { firstName: 'N', lastName: 'M', password, organizationName: 'Quiet' }
  const { cookie } = await ask('POST', '/api/v1/signup', { body: { ...account, email: 'quiet@example.com' } })
  const live = { kind: 'PRODUCTION', label: 'x' }
  t.equal((await ask('POST', '/api/v1/organizations/quiet/keys', { cookie, body: live })).status, 201)
  const change = (email: string) =>
    ask('POST', '/api/v1/account/email', { cookie, body: { email, password } })
  t.match((await change('new.quiet@example.com')).body, { status: 'changed' })
  t.match((await ask('GET', '/api/v1/account', { cookie })).body, {
    email: 'new.quiet@example.com',
    emailConfirmed: false,
  })
  await ask('POST', '/api/v1/signup', {
    body: { ...account, email: 'other@example.com', organizationName: 'O' },
  })
  for (let count = 0; count < limits.loginFailuresPerAccountMax; count += 1)
    t.match(await change('other@example.com'), { status: 409, body: { fields: { email: /already exists/ } } })
  t.equal((await change('other@example.com')).status, 429, 'it tells who has an account, so it is limited')
  await ask('POST', '/api/v1/password-reset', { body: { email: 'other@example.com' } })
  await accounts.passwordResetsDone()
  const { rows } = await database.query(`select from mails where kind = 'password-reset'`)
  t.equal(rows.length, 1, 'it lies in the outbox, for an administrator to read')
})
