/**
 * Signing in through a provider, against a real one: who gets in as whom, and everything by which somebody might get in
 * as somebody else.
 */
import t from 'tap'
import { OidcServer, Wanderer } from '../../support/oidc-server.js'
import { TestServer } from '../../support/server.js'

t.setTimeout(120_000)
const server = await TestServer.start({ flags: ['--sso:allow', '127.0.0.1'] })
t.teardown(() => server.stop())
const callback = `${server.address}/api/auth/sso/callback`
const provider = await OidcServer.start([callback])
t.teardown(() => provider.stop())
// The same provider stands for Google too.
await server.kill('SIGTERM')
await server.run({
  GOOGLE_CLIENT_ID: provider.clientId,
  GOOGLE_CLIENT_SECRET: provider.clientSecret,
  GOOGLE__ISSUER: provider.issuer,
})

interface Team {
  id: string
  slug: string
}

/** A request in a browser's name. */
async function ask(
  method: string,
  path: string,
  cookie?: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(server.address + path, {
    method,
    headers: {
      origin: server.address,
      ...(cookie && { cookie }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const acme = await server.seed('Ada Acme')
const evil = await server.seed('Eve Evil')
let admin = await server.signIn(acme.user.email, acme.password)
const attacker = await server.signIn(evil.user.email, evil.password)
const sso = (slug: string) => `/api/v1/organizations/${slug}/sso`
const acmeSso = sso(acme.organization.slug)
const team = async (name: string) =>
  await server.admin<Team>('createGroup', {
    organizationId: acme.organization.id,
    slug: name.toLowerCase(),
    name,
  })
const payroll = await team('Payroll')
const support = await team('Support')

const settings = {
  provider: {
    issuer: provider.issuer,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
  },
  role: 'ACTION_RUNNER',
  groupClaim: 'groups',
  groups: [
    { value: 'pay', teamId: payroll.id },
    { value: 'help', teamId: support.id },
  ],
  isRequired: false,
}

provider.people.set('grace', {
  email: 'grace@acme.test',
  email_verified: true,
  given_name: 'Grace',
  family_name: 'Hopper',
  groups: ['pay', 'others'],
})

/** Through the provider of an organization; where the browser ends, and its session. */
async function enter(
  login: string,
  options: { organization?: string; from?: string; wanderer?: Wanderer } = {},
): Promise<{ at: URL; wanderer: Wanderer; cookie: string }> {
  const wanderer = options.wanderer ?? new Wanderer()
  const query = new URLSearchParams({
    organization: options.organization ?? acme.organization.slug,
    ...(options.from !== undefined && { from: options.from }),
  })
  const end = await wanderer.walk(
    `${server.address}/api/auth/sso/auth?${query}`,
    login,
    next => next.origin === server.address && !next.pathname.startsWith('/api/'),
  )
  return { at: new URL(end), wanderer, cookie: wanderer.cookiesOf(server.address) }
}

async function who(cookie: string) {
  const { status, body } = await ask('GET', '/api/v1/session', cookie)
  const { user, organizations } = body as {
    user?: { id: string; email: string; emailConfirmed: boolean }
    organizations?: { slug: string; role: string }[]
  }
  return { status, user, organizations }
}

/** Switches a second factor on for somebody, and signs them in with a recovery code. */
async function withFactor(email: string, password: string): Promise<string> {
  const { recoveryCodes } = await server.admin<{ recoveryCodes: string[] }>('enrollMfa', { email })
  const due = await server.signIn(email, password)
  const response = await fetch(`${server.address}/api/v1/session/second-factor`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: server.address, cookie: due },
    body: JSON.stringify({ code: recoveryCodes[0] }),
  })
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
}

await t.test('settings are for administrators; the secret is told to nobody', async t => {
  t.match(await ask('GET', acmeSso, admin), {
    status: 200,
    body: { provider: null, domains: [], redirectUri: callback, isRequired: false },
  })
  t.equal((await ask('GET', acmeSso, attacker)).status, 404, 'another organization is not there')
  t.equal((await ask('PUT', acmeSso, attacker, settings)).status, 404)
  t.equal((await ask('GET', acmeSso)).status, 401)
  const developer = await server.admin<{ id: string }>('createUser', {
    email: 'dev@example.com',
    password: 'a long enough password',
    membership: { organizationId: acme.organization.id, permissions: ['DEVELOPER'] },
  })
  t.ok(developer.id)
  const low = await server.signIn('dev@example.com', 'a long enough password')
  t.equal((await ask('GET', acmeSso, low)).status, 403)
  t.equal((await ask('PUT', acmeSso, low, settings)).status, 403)

  const noSecret = { ...settings, provider: { issuer: provider.issuer, clientId: provider.clientId } }
  t.match(await ask('PUT', acmeSso, admin, noSecret), {
    status: 422,
    body: { fields: { clientSecret: String } },
  })
  t.match(await ask('PUT', acmeSso, admin, { ...settings, isRequired: true }), {
    status: 422,
    body: { fields: { isRequired: /domain/ } },
  })
  t.equal(
    (await ask('PUT', acmeSso, admin, { ...settings, role: 'ADMIN' })).status,
    400,
    'nobody joins as one',
  )
  const foreign = await server.admin<Team>('createGroup', {
    organizationId: evil.organization.id,
    slug: 'foreign',
    name: 'Foreign',
  })
  t.equal(
    (await ask('PUT', acmeSso, admin, { ...settings, groups: [{ value: 'x', teamId: foreign.id }] })).status,
    404,
  )
  t.match(await ask('PUT', acmeSso, admin, settings), { status: 200 })
  const stored = await ask('GET', acmeSso, admin)
  t.match(stored.body, {
    provider: { issuer: provider.issuer, clientId: provider.clientId },
    groups: { length: 2 },
  })
  t.notMatch(JSON.stringify(stored.body), provider.clientSecret)
  t.match(await ask('PUT', acmeSso, admin, noSecret), { status: 200 }, 'the stored secret is kept')
})

await t.test('an issuer inside of our network is not asked', async t => {
  for (const issuer of [
    'http://169.254.169.254',
    'http://10.0.0.1',
    'https://[::1]',
    'http://example.com',
    'file:///etc/passwd',
    'http://localhost:1',
  ]) {
    const wanted = { ...settings, provider: { ...settings.provider, issuer } }
    const refused = await ask('PUT', acmeSso, admin, wanted)
    t.match(refused, { status: 422, body: { fields: { 'provider.issuer': String } } }, issuer)
  }
  const own = { ...settings, provider: { ...settings.provider, issuer: server.address } }
  t.match(
    await ask('PUT', acmeSso, admin, own),
    { status: 422 },
    'what answers with something else is no issuer',
  )
})

await t.test('a domain counts once it is proven, and belongs to one organization', async t => {
  t.match((await enter('grace')).at.search, /problem=wrong-domain/)
  const claimed = await ask('POST', `${acmeSso}/domains`, admin, { domain: 'Acme.test' })
  t.equal(claimed.status, 201)
  t.match((await enter('grace')).at.search, /problem=wrong-domain/, 'a claim is worth nothing')
  t.match(await ask('POST', `${acmeSso}/domains/${claimed.body.id}/check`, admin, {}), { status: 409 })
  t.match(await ask('POST', `${acmeSso}/domains`, admin, { domain: 'gmail.com' }), { status: 422 })
  t.match(await ask('POST', `${acmeSso}/domains`, admin, { domain: 'no domain' }), { status: 422 })
  await server.admin('verifyEmailDomain', { organizationId: acme.organization.id, domain: 'acme.test' })
  await t.rejects(
    server.admin('verifyEmailDomain', { organizationId: evil.organization.id, domain: 'acme.test' }),
    /Another organization/,
  )
  const evilSso = sso(evil.organization.slug)
  t.equal((await ask('DELETE', `${evilSso}/domains/${claimed.body.id}`, attacker)).status, 404)
  t.equal((await ask('POST', `${evilSso}/domains/${claimed.body.id}/check`, attacker, {})).status, 404)
})

await t.test('somebody comes for the first time, and again', async t => {
  const { at, cookie } = await enter('grace', { from: `/dashboard/${acme.organization.slug}/actions/x?a=1` })
  t.equal(at.pathname + at.search, `/dashboard/${acme.organization.slug}/actions/x?a=1`)
  const first = await who(cookie)
  t.match(first, {
    user: { email: 'grace@acme.test', firstName: 'Grace', lastName: 'Hopper', emailConfirmed: true },
    organizations: [{ slug: acme.organization.slug, role: 'member' }],
  })
  const described = async () =>
    await server.admin<{ memberships: { groupIds: string[] }[] }>('findUser', { email: 'grace@acme.test' })
  t.same((await described()).memberships[0]?.groupIds, [payroll.id], 'in the team of her group')
  provider.people.set('grace', { ...provider.people.get('grace'), groups: ['help'] })
  const again = await who((await enter('grace')).cookie)
  t.equal(again.user?.id, first.user?.id)
  t.same((await described()).memberships[0]?.groupIds, [support.id], 'teams follow the groups')
  for (const from of ['//evil.example', '/\\evil.example', 'https://evil.example', '/api/v1/session']) {
    const there = (await enter('grace', { from })).at
    t.equal(there.origin + there.pathname, `${server.address}/`, `${from} leads nowhere`)
  }
})

await t.test('the session is a new one', async t => {
  const wanderer = new Wanderer()
  wanderer.setCookie(server.address, 'interval_session', attacker.split('=')[1] ?? '')
  const fixed = 'A'.repeat(43)
  wanderer.setCookie(server.address, 'interval_session', fixed)
  await enter('grace', { wanderer })
  const token = wanderer.cookie(server.address, 'interval_session')
  t.not(token, fixed)
  t.equal((await who(`interval_session=${fixed}`)).status, 401)
  t.equal((await who(`interval_session=${token}`)).status, 200)
})

await t.test('an account is linked by a confirmed address only', async t => {
  await server.admin('createUser', { email: 'known@acme.test', password: 'a long enough password' })
  provider.people.set('known', { email: 'Known@Acme.test', email_verified: true })
  t.match(await who((await enter('known')).cookie), { user: { email: 'known@acme.test' } })

  const signedUp = await ask('POST', '/api/v1/signup', undefined, {
    email: 'early@acme.test',
    firstName: 'Early',
    lastName: 'Bird',
    password: 'a long enough password',
    organizationName: 'Trap',
  })
  t.match(
    signedUp,
    { status: 200, body: { organizations: { length: 1 } } },
    'signing up joins nothing by domain',
  )
  provider.people.set('early', { email: 'early@acme.test', email_verified: true })
  t.match((await enter('early')).at.search, /problem=unconfirmed/, 'somebody else may have made it')

  for (const said of [false, 'false', undefined]) {
    provider.people.set('unsure', { email: 'unsure@acme.test', email_verified: said })
    t.match((await enter('unsure')).at.search, /problem=no-email/, `verified: ${said}`)
  }
  provider.people.set('nobody', {})
  t.match((await enter('nobody')).at.search, /problem=no-email/)
})

await t.test('a provider speaks for nobody else’s addresses', async t => {
  const evilSettings = { ...settings, groups: [] }
  t.match(await ask('PUT', sso(evil.organization.slug), attacker, evilSettings), { status: 200 })
  await server.admin('verifyEmailDomain', { organizationId: evil.organization.id, domain: 'evil.test' })
  provider.people.set('mallory', { email: 'grace@acme.test', email_verified: true })
  const organization = evil.organization.slug
  t.match((await enter('mallory', { organization })).at.search, /problem=wrong-domain/)
  provider.people.set('mallory', { email: acme.user.email, email_verified: true })
  t.match((await enter('mallory', { organization })).at.search, /problem=wrong-domain/)
  // Known there under an address of the domain, and an account that has moved away since.
  provider.people.set('mallory', { email: 'mallory@evil.test', email_verified: true })
  t.equal((await enter('mallory', { organization })).at.search, '')
  provider.people.set('mallory', { email: 'grace@acme.test', email_verified: true })
  t.match((await enter('mallory', { organization })).at.search, /problem=wrong-domain/)
})

await t.test('the way back is for the browser that left, once, for that organization', async t => {
  const victim = new Wanderer()
  const start = `${server.address}/api/auth/sso/auth?organization=${acme.organization.slug}`
  const arrived = await victim.walk(start, 'grace', next => next.pathname === '/api/auth/sso/callback')
  const problem = async (wanderer: Wanderer, url: string) =>
    new URL((await wanderer.ask(url)).headers.get('location') ?? '', server.address).searchParams.get(
      'problem',
    )

  t.equal(await problem(new Wanderer(), arrived), 'cancelled', 'another browser has nothing of it')
  const other = new Wanderer()
  await other.walk(start, 'grace', next => next.origin === provider.issuer)
  t.equal(await problem(other, arrived), 'cancelled', 'nor one that left on its own')
  const changed = new URL(arrived)
  changed.searchParams.set('state', 'x'.repeat(43))
  const way = victim.cookie(server.address, 'interval_sign_on') ?? ''
  t.equal(await problem(victim, changed.href), 'cancelled', 'nor with another state')

  victim.setCookie(server.address, 'interval_sign_on', way)
  t.equal(await problem(victim, arrived), null, 'the right one gets in')
  t.equal((await who(victim.cookiesOf(server.address))).user?.email, 'grace@acme.test')
  const replay = new Wanderer()
  replay.setCookie(server.address, 'interval_sign_on', way)
  t.equal(await problem(replay, arrived), 'cancelled', 'a way is used up, even with its cookie')

  // A code that was given for one organization's way, put into another's.
  const code = new URL(
    await new Wanderer().walk(start, 'grace', next => next.pathname === '/api/auth/sso/callback'),
  ).searchParams.get('code')
  const thief = new Wanderer()
  const theirs = `${server.address}/api/auth/sso/auth?organization=${evil.organization.slug}`
  const thiefs = new URL(
    await thief.walk(theirs, 'mallory', next => next.pathname === '/api/auth/sso/callback'),
  )
  thiefs.searchParams.set('code', code ?? '')
  t.equal(await problem(thief, thiefs.href), 'failed', 'PKCE and nonce are of another way')

  const tampered = new Wanderer()
  tampered.setCookie(server.address, 'interval_sign_on', `${way.slice(0, -2)}AA`)
  t.equal(await problem(tampered, arrived), 'cancelled')
  const refused = `${callback}?error=access_denied&state=x`
  t.equal(await problem(new Wanderer(), refused), 'cancelled')
  const head = await fetch(arrived, { method: 'HEAD', redirect: 'manual' })
  t.equal(head.status, 405, 'looking ahead uses nothing up')
})

await t.test('where single sign-on is required, passwords are closed, except for the owner', async t => {
  const email = 'known@acme.test'
  const password = 'a long enough password'
  const signIn = (address: string, word: string) =>
    ask('POST', '/api/v1/session', undefined, { email: address, password: word })
  const check = (address: string) => ask('POST', '/api/v1/session/check', undefined, { email: address })
  t.match((await check('anybody@acme.test')).body, { singleSignOn: { required: false } })
  t.same((await check('anybody@else.test')).body, { next: 'password' })

  await server.admin('verifyEmailDomain', { organizationId: acme.organization.id, domain: 'example.com' })
  const open = await server.signIn(email, password)
  const through = (await enter('known')).cookie
  const required = { ...settings, provider: { ...settings.provider, clientSecret: '' }, isRequired: true }
  t.match(await ask('PUT', acmeSso, admin, required), { status: 200 })
  t.match((await check(email)).body, { singleSignOn: { required: true } })
  t.equal((await who(open)).status, 401, 'sessions that began with a password end')
  t.equal((await who(through)).status, 200, 'others go on')
  t.match(await signIn(email, password), { status: 403, body: { message: /single sign-on/ } })
  t.match(await signIn(email, 'wrong'), { status: 401 }, 'a wrong password learns nothing')
  t.match(await signIn(acme.user.email, acme.password), { status: 200 }, 'the owner gets in')
  const account = { firstName: 'A', lastName: 'B', password, organizationName: 'Sneaky' }
  t.match(await ask('POST', '/api/v1/signup', undefined, { ...account, email: 'sneaky@acme.test' }), {
    status: 403,
    body: { message: /single sign-on/ },
  })
  t.match(await ask('GET', '/api/v1/signup/check?email=sneaky@acme.test'), { status: 403 })
  const invitation = await server.admin<{ id: string }>('createInvitation', {
    organizationId: acme.organization.id,
    email: 'invited@acme.test',
    permissions: ['DEVELOPER'],
    groupIds: [support.id],
  })
  t.match(await ask('POST', `/api/v1/invitations/${invitation.id}/accept`, undefined, account), {
    status: 403,
  })
  provider.people.set('invited', { email: 'invited@acme.test', email_verified: true })
  t.match(await who((await enter('invited')).cookie), {
    organizations: [{ slug: acme.organization.slug, role: 'developer' }],
  })
  t.equal((await enter('known')).at.search, '')
})

await t.test('it counts as a second factor where it is required, and nowhere else', async t => {
  const people = `/api/v1/organizations/${acme.organization.slug}/environments`
  const { cookie } = await enter('known')
  const requireIn = (slug: string, cookie: string) =>
    ask('PATCH', `/api/v1/organizations/${slug}/settings`, cookie, { requireSecondFactor: true })
  admin = await withFactor(acme.user.email, acme.password)
  t.match(await requireIn(acme.organization.slug, admin), { status: 200 })
  t.match(await ask('GET', people, cookie), { status: 200 }, 'whose passwords are closed')
  const password = 'a long enough password'
  await server.admin('createUser', {
    email: 'outside@else.test',
    password,
    membership: { organizationId: acme.organization.id, permissions: ['DEVELOPER'] },
  })
  await server.admin('createUser', { email: 'strict@else.test', password })
  const outside = await server.signIn('outside@else.test', password)
  t.match(await ask('GET', people, outside), { status: 403, body: { code: 'second-factor-required' } })

  const due = async (): Promise<unknown> =>
    (await ask('GET', '/api/v1/session', (await enter('known')).cookie)).body
  await server.admin('enrollMfa', { email: 'known@acme.test' })
  t.match(await due(), { user: { email: 'known@acme.test' } }, 'its own organization asks for no code')
  const strict = await server.admin<{ id: string; slug: string }>('createOrganization', {
    slug: 'strict',
    name: 'Strict',
    ownerEmail: 'strict@else.test',
    members: [
      {
        userId: (await server.admin<{ id: string }>('findUser', { email: 'known@acme.test' })).id,
        permissions: ['ADMIN'],
      },
    ],
  })
  t.match(
    await due(),
    { secondFactorNeeded: true },
    'another one is not open to who administers the provider of this one',
  )
  t.match(await requireIn(strict.slug, await withFactor('strict@else.test', password)), { status: 200 })
  t.match(await due(), { secondFactorNeeded: true })
})

await t.test('Google, by OpenID Connect', async t => {
  const enterGoogle = async (login: string) => {
    const wanderer = new Wanderer()
    const end = await wanderer.walk(
      `${server.address}/api/auth/sso/sign-in-with-google`,
      login,
      next => next.origin === server.address && !next.pathname.startsWith('/api/'),
    )
    return {
      at: new URL(end),
      session: (await ask('GET', '/api/v1/session', wanderer.cookiesOf(server.address))).body,
    }
  }
  provider.people.set('gil', { email: 'gil@gmail.com', email_verified: true, given_name: 'Gil' })
  t.match((await enterGoogle('gil')).session, {
    user: { email: 'gil@gmail.com' },
    organizations: { length: 1 },
  })
  provider.people.set('ida', { email: 'ida@kept.test', email_verified: true, hd: 'kept.test' })
  t.match((await enterGoogle('ida')).session, { user: { email: 'ida@kept.test' } })
  for (const said of [
    { email: 'jo@kept.test', email_verified: true },
    { email: 'jo@kept.test', email_verified: true, hd: 'elsewhere.test' },
    { email: 'jo@gmail.com', email_verified: false },
  ]) {
    provider.people.set('jo', said)
    t.match((await enterGoogle('jo')).at.search, /problem=no-email/, JSON.stringify(said))
  }
  provider.people.set('known-at-google', { email: 'known@acme.test', email_verified: true, hd: 'acme.test' })
  t.match(
    (await enterGoogle('known-at-google')).at.search,
    /problem=single-sign-on/,
    'no way around what is required',
  )
})

await t.test('a provider that is not there, or not set up', async t => {
  const at = (path: string) => fetch(server.address + path, { redirect: 'manual' })
  for (const path of [
    '/api/auth/sso/auth',
    '/api/auth/sso/auth?organization=nowhere',
    '/api/auth/sso/auth?email=x@nowhere.test',
  ]) {
    const response = await at(path)
    t.equal(response.status, 303)
    t.equal(response.headers.get('location'), '/login?problem=not-set-up', path)
  }
  await provider.stop()
  const gone = { ...settings, provider: { ...settings.provider, clientId: 'another' } }
  t.match(await ask('PUT', acmeSso, admin, gone), {
    status: 422,
    body: { fields: { 'provider.issuer': String } },
  })
})
