/**
 * Ways to an account, or back into an organization, that go through what others may do: an administrator who sees the
 * invitations of their own organization, a directory whose domain has gone elsewhere, an invitation that was left behind.
 */
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import type { OrganizationId, UserId } from '../../../lib/ids.js'
import { testAccounts } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { linkIn } from '../../support/mail-server.js'
import { emptySignOn, testServer } from './test-server.js'

const { accounts, clock, database } = await testAccounts(t, { sendsMail: true })
const { ask } = await testServer(t, accounts, {
  signOn: emptySignOn,
})
const password = 'a good password'
const operate = <Result>(name: string, argument: unknown) =>
  runAdminOperation(name, argument, { accounts }) as Promise<Result>

interface Someone {
  readonly id: string
  readonly email: string
  readonly organization: { readonly id: string; readonly slug: string }
  readonly cookie: string
}

/** Somebody with an organization of their own, signed in. */
async function someone(name: string): Promise<Someone> {
  const email = `${name}@example.com`
  const made = await operate<{ id: string; ownedOrganizations: Someone['organization'][] }>('createUser', {
    email,
    password,
    createOrganization: true,
  })
  const [organization] = made.ownedOrganizations
  const { cookie } = await ask('POST', '/api/v1/session', { body: { email, password } })
  if (!organization || cookie === undefined) throw new Error('not made')
  return { id: made.id, email, organization, cookie }
}

const mailed = async (email: string): Promise<string> => {
  const { rows } = await database.query<{ text: string }>(
    'select text from mails where recipient = $1 order by created_at desc, ctid desc limit 1',
    [email],
  )
  return rows[0]?.text ?? ''
}
const tokenMailedTo = async (email: string): Promise<string> =>
  new URL(linkIn({ text: await mailed(email) })).searchParams.get('token') ?? ''
const invite = (who: Someone, email: string, role = 'ACTION_RUNNER') =>
  ask('POST', `/api/v1/organizations/${who.organization.slug}/invitations`, {
    cookie: who.cookie,
    body: { email, role },
  })
const isConfirmed = async (email: string): Promise<boolean> => {
  const { rows } = await database.query(
    'select from people where email = $1 and email_confirmed_at is not null',
    [email],
  )
  return rows.length === 1
}
const account = { firstName: 'A', lastName: 'B', password }

t.test('who invites an address proves nothing about it: only who reads the mail does', async t => {
  const evil = await someone('evil')
  const good = await someone('good')
  const made = await invite(evil, 'victim@example.com')
  const listed = await ask('GET', `/api/v1/organizations/${evil.organization.slug}/invitations`, {
    cookie: evil.cookie,
  })
  const [{ id } = { id: '' }] = listed.body.invitations as { id: string }[]
  t.equal(id, made.body.id)
  t.notMatch(
    listed.text + made.text,
    await tokenMailedTo('victim@example.com'),
    'what is in the mail is not told',
  )
  const taken = await ask('POST', `/api/v1/invitations/${id}/accept`, { body: account })
  t.equal(taken.status, 200, 'who hands the link over by hand may')
  t.notOk(await isConfirmed('victim@example.com'), 'but the address is not theirs by that')
  t.match(taken.body, { user: { emailConfirmed: false } })
  await invite(good, 'victim@example.com', 'ADMIN')
  const own = await ask('GET', '/api/v1/account', { cookie: taken.cookie })
  t.same(own.body.invitations, [], 'so they see nothing that is meant for it')

  await invite(evil, 'guest@example.com')
  const token = await tokenMailedTo('guest@example.com')
  for (const wrong of [`${token.slice(0, -1)}x`, `${token}x`, `${token.split('.')[0]}.`]) {
    const details = await ask('GET', `/api/v1/invitations/${encodeURIComponent(wrong)}`)
    t.ok([200, 404].includes(details.status))
  }
  const right = await ask('POST', `/api/v1/invitations/${token}/accept`, { body: account })
  t.match(
    right,
    { status: 200, body: { user: { emailConfirmed: true } } },
    'who reads the mail has proven it',
  )
})

t.test('nor does who is signed in under the address without having proven it', async t => {
  const inviter = await someone('inviter')
  const { cookie } = await ask('POST', '/api/v1/signup', {
    body: { ...account, email: 'squatter@example.com', organizationName: 'Squat' },
  })
  const made = await invite(inviter, 'squatter@example.com')
  t.equal((await ask('POST', `/api/v1/invitations/${made.body.id}/accept`, { cookie, body: {} })).status, 200)
  t.notOk(await isConfirmed('squatter@example.com'))
})

t.test('what an administrator reads of an invitation that was not sent proves nothing either', async t => {
  const reader = await someone('reader')
  await invite(reader, 'bounced@example.com')
  const full = await tokenMailedTo('bounced@example.com')
  await database.query(`update mails set status = 'FAILED', next_attempt_at = null where recipient = $1`, [
    'bounced@example.com',
  ])
  const path = `/api/v1/organizations/${reader.organization.slug}/mails`
  const list = await ask('GET', path, { cookie: reader.cookie })
  const [mail] = list.body.mails as { id: string }[]
  const read = await ask('GET', `${path}/${mail?.id}`, { cookie: reader.cookie })
  const text = String(read.body.text)
  t.notMatch(text, full)
  const token = new URL(linkIn({ text })).searchParams.get('token') ?? ''
  t.match(await ask('GET', `/api/v1/invitations/${token}`), { status: 200 }, 'the link works')
  t.equal((await ask('POST', `/api/v1/invitations/${token}/accept`, { body: account })).status, 200)
  t.notOk(await isConfirmed('bounced@example.com'))
})

t.test('an invitation takes nothing from who is in already', async t => {
  const boss = await someone('boss')
  const { id } = await operate<{ id: string }>('createInvitation', {
    organizationId: boss.organization.id,
    email: boss.email,
    permissions: ['ACTION_RUNNER'],
    groupIds: [],
  })
  await ask('POST', `/api/v1/invitations/${id}/accept`, { cookie: boss.cookie, body: {} })
  const session = await ask('GET', '/api/v1/session', { cookie: boss.cookie })
  t.match(
    session.body.organizations,
    [{ slug: boss.organization.slug, role: 'admin' }],
    'the owner administers',
  )
})

t.test('who was removed does not come back with an invitation that was left over', async t => {
  const keeper = await someone('keeper')
  const leaver = await someone('leaver')
  const left = await operate<{ id: string }>('createInvitation', {
    organizationId: keeper.organization.id,
    email: leaver.email,
    permissions: ['ADMIN'],
    groupIds: [],
  })
  await database.query(
    `insert into memberships (id, person_id, organization_id, permissions) values ('m1', $1, $2, '{DEVELOPER}')`,
    [leaver.id, keeper.organization.id],
  )
  const gone = await ask('DELETE', `/api/v1/organizations/${keeper.organization.slug}/members/${leaver.id}`, {
    cookie: keeper.cookie,
  })
  t.equal(gone.status, 200)
  const back = await ask('POST', `/api/v1/invitations/${left.id}/accept`, { cookie: leaver.cookie, body: {} })
  t.equal(back.status, 404)
  const fresh = await invite(keeper, leaver.email)
  t.equal(fresh.status, 201, 'unless they are invited anew')
})

t.test('directories', async t => {
  const keeper = await someone('director')
  const { slug } = keeper.organization
  await operate('verifyEmailDomain', { organizationId: keeper.organization.id, domain: 'corp.example' })
  const opened = await ask('POST', `/api/v1/organizations/${slug}/sso/directory`, {
    cookie: keeper.cookie,
    body: { role: 'ACTION_RUNNER' },
  })
  const authorization = `Bearer ${opened.body.token}`
  const scim = (method: string, path: string, body?: unknown) =>
    ask(method, `/scim/v2/${slug}${path}`, {
      headers: { authorization },
      ...(body !== undefined && { body }),
    })
  const personOf = async (email: string) =>
    (await database.query<{ id: string }>('select id from people where email = $1', [email])).rows[0]?.id

  await t.test('who is switched off does not come back with an invitation, old or new', async t => {
    const email = 'eve@corp.example'
    const user = await scim('POST', '/Users', { userName: email })
    t.equal(user.status, 201)
    const old = await operate<{ id: string }>('createInvitation', {
      organizationId: keeper.organization.id,
      email,
      permissions: ['ADMIN'],
      groupIds: [],
    })
    const off = { Operations: [{ op: 'replace', path: 'active', value: false }] }
    t.equal((await scim('PATCH', `/Users/${user.body.id}`, off)).status, 200)
    await database.query('update people set password = $2 where email = $1', [
      email,
      await accounts.passwords.hash(password),
    ])
    const { cookie } = await ask('POST', '/api/v1/session', { body: { email, password } })
    t.equal((await ask('POST', `/api/v1/invitations/${old.id}/accept`, { cookie, body: {} })).status, 404)
    const made = await invite(keeper, email)
    const again = await ask('POST', `/api/v1/invitations/${made.body.id}/accept`, { cookie, body: {} })
    t.match(again, { status: 403, body: { message: /directory/ } })
    const on = { Operations: [{ op: 'replace', path: 'active', value: true }] }
    t.equal((await scim('PATCH', `/Users/${user.body.id}`, on)).status, 200, 'the directory decides')
  })

  await t.test('a domain that has gone elsewhere takes its accounts along', async t => {
    const email = 'alice@corp.example'
    const user = await scim('POST', '/Users', { userName: email })
    const person = await personOf(email)
    await database.query(`delete from email_domains where domain = 'corp.example'`)
    await operate('verifyEmailDomain', { organizationId: keeper.organization.id, domain: 'evil.example' })
    const moved = await scim('PUT', `/Users/${user.body.id}`, {
      userName: 'thief@evil.example',
      emails: [{ value: 'thief@evil.example', primary: true }],
    })
    t.ok([200, 400, 409].includes(moved.status))
    t.equal(await personOf(email), person, 'the account keeps its address')
    t.equal(await personOf('thief@evil.example'), undefined)
  })
})

t.test('a proof of identity at the provider of one organization is none for another', async t => {
  const who = await someone('prover')
  const other = await someone('elsewhere')
  await database.query(
    `insert into external_identities (provider, issuer, subject, person_id, organization_id)
     values ('organization:' || $1, 'https://idp.example', 'prover', $2, $1)`,
    [who.organization.id, who.id],
  )
  const identity = await accounts.authenticateSession(who.cookie.split('=')[1])
  if (!identity) throw new Error('not signed in')
  const origin = { address: '192.0.2.1', userAgent: null }
  const claims = {
    issuer: 'https://idp.example',
    subject: 'prover',
    email: who.email,
    emailVerified: true,
    firstName: null,
    lastName: null,
    groups: null,
  }
  const proofFor = ({ organization }: Someone) =>
    accounts.lastProof(identity.sessionId, 'run/step', organization.id as OrganizationId)
  t.equal(await proofFor(who), null)
  await accounts.confirmThrough(identity, who.organization.id as OrganizationId, claims, 'run/step', origin)
  t.match(await proofFor(who), { isForStep: true })
  t.equal(await proofFor(other), null)
  await accounts.confirmIdentity(identity, { password }, 'run/step', origin)
  t.match(await proofFor(other), { isForStep: true }, 'one’s own password is one for all')
})

t.test('another site leads nobody to a provider', async t => {
  for (const path of ['/api/auth/sso/auth?organization=x', '/api/auth/sso/sign-in-with-google?x']) {
    for (const site of ['cross-site', 'same-site']) {
      const led = await ask('GET', `${path}&from=/dashboard/x`, { headers: { 'sec-fetch-site': site } })
      t.equal(led.status, 303)
      t.equal(led.headers.get('location'), '/login?from=%2Fdashboard%2Fx', `${site} ${path}`)
    }
    const own = await ask('GET', path, { headers: { 'sec-fetch-site': 'same-origin' } })
    t.match(own.headers.get('location'), 'problem=not-set-up')
  }
})

t.test('who is in several organizations comes back to the one they looked at last', async t => {
  const one = await someone('several')
  for (const name of ['Second', 'Third'])
    await ask('POST', '/api/v1/organizations', { cookie: one.cookie, body: { name } })
  const slugs = async (): Promise<string[]> => {
    const { body } = await ask('GET', '/api/v1/session', { cookie: one.cookie })
    return (body.organizations as { slug: string }[]).map(({ slug }) => slug)
  }
  t.same(await slugs(), ['several', 'second', 'third'], 'in the order they joined')
  for (const slug of ['third', 'second']) {
    accounts.lookedAt(await accounts.actor(one.id as UserId, slug, 'production'))
    await eventually(async () => {
      const [first] = await slugs()
      if (first !== slug) throw new Error(`first is ${first}`)
    })
  }
  t.same(await slugs(), ['second', 'several', 'third'])
  await operate('deleteOrganization', { slug: 'second' })
  t.same(await slugs(), ['several', 'third'])
})

t.test('an address of the installation is no id of another organization', async t => {
  const one = await someone('one')
  const other = await someone('other')
  await operate('verifyEmailDomain', { organizationId: one.organization.id, domain: 'one.example' })
  for (const { organization, issuer } of [
    { ...one, issuer: 'https://one.example' },
    { ...other, issuer: 'https://other.example' },
  ]) {
    await database.query(
      `insert into single_sign_on (organization_id, workos_organization_id, permissions) values ($1, $2, '{}')`,
      [organization.id, issuer],
    )
  }
  const taken = await ask('PATCH', `/api/v1/organizations/${other.organization.slug}/settings`, {
    cookie: other.cookie,
    body: { slug: one.organization.id },
  })
  t.equal(taken.status, 200)
  const found = await accounts.providerOfOrganization(one.organization.id)
  t.equal(found?.organizationId, one.organization.id, 'the id goes first')
  t.ok(clock)
})
