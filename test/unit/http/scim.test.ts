/** SCIM 2.0 as programs of organizations speak it: what Okta and Entra ID send, what it does, and whom it does nothing to. */
import t from 'tap'
import { eventually } from '../../support/eventually.js'
import { sdkHost } from '../../support/sdk-host.js'
import { TestServer } from '../../support/server.js'

t.setTimeout(120_000)
const server = await TestServer.start()
t.teardown(async () => {
  await server.stop()
  // SDKs go on reconnecting for ever, some even after they were closed.
  setTimeout(() => process.exit(), 500).unref()
})

const acme = await server.seed('Ada Acme')
const evil = await server.seed('Eve Evil')
const admin = await server.signIn(acme.user.email, acme.password)
const attacker = await server.signIn(evil.user.email, evil.password)
await server.admin('verifyEmailDomain', { organizationId: acme.organization.id, domain: 'acme.test' })
await server.admin('verifyEmailDomain', { organizationId: acme.organization.id, domain: 'example.com' })

type Body = Record<string, unknown>

async function api(method: string, path: string, cookie: string, body?: unknown) {
  const response = await fetch(server.address + path, {
    method,
    headers: {
      origin: server.address,
      cookie,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Body }
}

const settings = (slug: string) => `/api/v1/organizations/${slug}/sso`
const open = async (slug: string, cookie: string): Promise<string> => {
  const { body } = await api('POST', `${settings(slug)}/directory`, cookie, { role: 'DEVELOPER' })
  return String(body.token)
}
const token = await open(acme.organization.slug, admin)
const evilToken = await open(evil.organization.slug, attacker)

async function scim(
  method: string,
  path: string,
  body?: unknown,
  options: { token?: string; organization?: string } = {},
): Promise<{ status: number; type: string | null; body: Body & { id: string; Resources: Body[] } }> {
  const organization = options.organization ?? acme.organization.id
  const response = await fetch(`${server.address}/scim/v2/${organization}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.token ?? token}`,
      ...(body !== undefined && { 'content-type': 'application/scim+json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    body: text === '' ? {} : JSON.parse(text),
  }
}

const patch = (...operations: unknown[]) => ({
  schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
  Operations: operations,
})
const grace = {
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  userName: 'grace@acme.test',
  externalId: '00u1',
  name: { givenName: 'Grace', familyName: 'Hopper' },
  displayName: 'Grace Hopper',
  emails: [{ primary: true, value: 'grace@acme.test', type: 'work' }],
  active: true,
}

interface Found {
  id: string
  firstName: string
  memberships: { organizationSlug: string; permissions: string[]; groupIds: string[] }[]
}
const findUser = (email: string) => server.admin<Found | null>('findUser', { email })

await t.test('the token is told once, and opens one organization', async t => {
  t.match(token, /^scim_[\w-]{43}$/)
  const stored = await api('GET', settings(acme.organization.slug), admin)
  t.match(stored.body, {
    directory: { kind: 'SCIM', hasToken: true, url: `${server.address}/scim/v2/${acme.organization.id}` },
  })
  t.notMatch(JSON.stringify(stored.body), token)
  t.equal((await scim('GET', '/Users')).status, 200)
  t.equal((await scim('GET', '/Users', undefined, { organization: acme.organization.slug })).status, 200)
  for (const wrong of [evilToken, 'scim_x', admin.split('=')[1] ?? '', acme.liveKey]) {
    const refused = await scim('GET', '/Users', undefined, { token: wrong })
    t.match(refused, { status: 401, type: 'application/scim+json', body: { status: '401', detail: String } })
  }
  const path = `${settings(acme.organization.slug)}/directory`
  t.equal((await api('POST', path, attacker, { role: 'DEVELOPER' })).status, 404)
  t.equal((await api('DELETE', path, attacker)).status, 404)
})

await t.test('what it offers', async t => {
  t.match((await scim('GET', '/ServiceProviderConfig')).body, {
    patch: { supported: true },
    bulk: { supported: false },
    filter: { supported: true },
  })
  t.equal((await scim('GET', '/ResourceTypes')).body.totalResults, 2)
  t.match((await scim('GET', '/ResourceTypes/User')).body, { endpoint: '/Users' })
  t.equal((await scim('GET', '/Schemas')).body.totalResults, 2)
  t.match((await scim('GET', '/Schemas/urn:ietf:params:scim:schemas:core:2.0:User')).body, { name: 'User' })
  t.equal((await scim('GET', '/Schemas/nothing')).status, 404)
})

let id = ''
await t.test('somebody comes', async t => {
  const absent = await scim('GET', `/Users?filter=${encodeURIComponent('userName eq "grace@acme.test"')}`)
  t.match(absent.body, { totalResults: 0, Resources: [] })
  const made = await scim('POST', '/Users', grace)
  t.match(made, { status: 201, body: { userName: 'grace@acme.test', active: true, name: grace.name } })
  id = made.body.id
  t.match(await findUser('grace@acme.test'), {
    firstName: 'Grace',
    memberships: [{ organizationSlug: acme.organization.slug, permissions: ['DEVELOPER'] }],
  })
  t.match(await scim('POST', '/Users', grace), { status: 409, body: { scimType: 'uniqueness' } })
  for (const filter of [
    'userName eq "GRACE@acme.test"',
    'externalId eq "00u1"',
    'displayName eq "grace hopper"',
    'emails.value eq "grace@acme.test"',
    'emails[type eq "work"].value eq "grace@acme.test"',
    `id eq "${id}"`,
  ]) {
    const { body } = await scim('GET', `/Users?filter=${encodeURIComponent(filter)}`)
    t.match(body, { totalResults: 1, Resources: [{ id }] }, filter)
  }
  for (const filter of ['userName sw "g"', 'password eq "x"', `x' or 1=1 --`, 'constructor eq "x"']) {
    const { status, body } = await scim('GET', `/Users?filter=${encodeURIComponent(filter)}`)
    t.match({ status, body }, { status: 400, body: { scimType: 'invalidFilter' } }, filter)
  }
  t.match(await scim('GET', `/Users/${id}`), { status: 200, body: { id } })
  t.equal((await scim('GET', '/Users/nobody')).status, 404)
})

await t.test('pages', async t => {
  for (const name of ['a', 'b', 'c']) {
    await scim('POST', '/Users', { ...grace, userName: `${name}@acme.test`, externalId: name, emails: [] })
  }
  const second = await scim('GET', '/Users?startIndex=2&count=2')
  t.match(second.body, { totalResults: 4, startIndex: 2, itemsPerPage: 2, Resources: { length: 2 } })
  t.match((await scim('GET', '/Users?count=0')).body, { totalResults: 4, Resources: { length: 0 } })
  t.match((await scim('GET', '/Users?startIndex=-3&count=1')).body, {
    startIndex: 1,
    Resources: { length: 1 },
  })
})

await t.test('changes as Okta and Entra ID send them', async t => {
  const change = (...operations: unknown[]) => scim('PATCH', `/Users/${id}`, patch(...operations))
  t.match(await change({ op: 'Replace', path: 'name.givenName', value: 'Amazing' }), {
    status: 200,
    body: { name: { givenName: 'Amazing', familyName: 'Hopper' } },
  })
  t.match(await change({ op: 'replace', value: { 'name.familyName': 'Grace', displayName: 'AG' } }), {
    body: { name: { familyName: 'Grace' }, displayName: 'AG' },
  })
  t.match(
    await change(
      { op: 'Add', path: 'emails[type eq "work"].value', value: 'amazing@acme.test' },
      { op: 'Replace', path: 'userName', value: 'amazing@acme.test' },
      {
        op: 'Add',
        path: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department',
        value: 'x',
      },
    ),
    { status: 200, body: { userName: 'amazing@acme.test', emails: [{ value: 'amazing@acme.test' }] } },
  )
  t.equal(await findUser('grace@acme.test'), null, 'the account follows')
  t.match(await findUser('amazing@acme.test'), { firstName: 'Amazing' })
  t.match(await change({ op: 'Replace', path: 'userName', value: 'a@acme.test' }), { status: 409 })
  t.match(await change({ op: 'explode' }), { status: 400, body: { scimType: 'invalidSyntax' } })
  t.match(await change({ op: 'replace', path: 'active', value: 'perhaps' }), { status: 400 })
  t.match(await scim('PUT', `/Users/${id}`, grace), { status: 200, body: { userName: 'grace@acme.test' } })
})

await t.test('only for addresses of proven domains, and no account that nobody confirmed', async t => {
  const other = (email: string) => ({
    ...grace,
    userName: email,
    emails: [{ value: email }],
    externalId: email,
  })
  for (const email of ['eve.evil@elsewhere.test', 'x@acme.test.evil.test', 'x@evil.test']) {
    t.match(
      await scim('POST', '/Users', other(email)),
      { status: 400, body: { scimType: 'invalidValue' } },
      email,
    )
  }
  const mail = [{ value: 'victim@evil.test' }]
  t.match(await scim('PATCH', `/Users/${id}`, patch({ op: 'replace', path: 'emails', value: mail })), {
    status: 400,
  })
  const stranger = { token: evilToken, organization: evil.organization.id }
  t.match(await scim('POST', '/Users', grace, stranger), { status: 400 }, 'nobody else’s people')
  t.equal((await scim('GET', `/Users/${id}`, undefined, stranger)).status, 404)
  t.equal((await scim('PATCH', `/Users/${id}`, patch(), stranger)).status, 404)
  t.equal((await scim('DELETE', `/Users/${id}`, undefined, stranger)).status, 404)
  await api('POST', '/api/v1/signup', '', {
    email: 'early@acme.test',
    firstName: 'Early',
    lastName: 'Bird',
    password: 'a long enough password',
    organizationName: 'Trap',
  })
  t.match(await scim('POST', '/Users', other('early@acme.test')), { status: 409 })
  const owner = await scim('POST', '/Users', other(acme.user.email))
  t.equal(owner.status, 201)
  const off = patch({ op: 'replace', value: { active: false } })
  t.match(await scim('PATCH', `/Users/${owner.body.id}`, off), { status: 409, body: { detail: /owner/ } })
  t.equal((await scim('DELETE', `/Users/${owner.body.id}`)).status, 409)
})

let group = ''
await t.test('groups are teams', async t => {
  const a = (await scim('GET', `/Users?filter=${encodeURIComponent('userName eq "a@acme.test"')}`)).body
    .Resources[0]?.id
  const made = await scim('POST', '/Groups', {
    displayName: 'Pay Roll',
    externalId: 'g1',
    members: [{ value: id }],
  })
  t.match(made, { status: 201, body: { displayName: 'Pay Roll', members: [{ value: id }] } })
  group = made.body.id
  const organization = await server.admin<{ groups: { id: string; slug: string; name: string }[] }>(
    'findOrganization',
    { id: acme.organization.id },
  )
  const team = organization.groups.find(({ slug }) => slug === 'pay-roll')
  t.equal(team?.name, 'Pay Roll')
  const teams = async (email: string) => (await findUser(email))?.memberships[0]?.groupIds ?? []
  t.same(await teams('grace@acme.test'), [team?.id])
  const change = (...operations: unknown[]) => scim('PATCH', `/Groups/${group}`, patch(...operations))
  t.equal((await change({ op: 'Add', path: 'members', value: [{ value: a }] })).status, 204)
  t.same(await teams('a@acme.test'), [team?.id])
  t.equal((await change({ op: 'Remove', path: 'members', value: [{ value: a }] })).status, 204, 'Entra ID')
  t.same(await teams('a@acme.test'), [])
  await change({ op: 'add', path: 'members', value: [{ value: a }] })
  t.equal((await change({ op: 'remove', path: `members[value eq "${a}"]` })).status, 204, 'Okta')
  t.same(await teams('a@acme.test'), [])
  t.equal((await change({ op: 'replace', value: { id: group, displayName: 'Payroll' } })).status, 204)
  t.match((await scim('GET', `/Groups/${group}`)).body, { displayName: 'Payroll', members: { length: 1 } })
  const without = await scim('GET', `/Groups/${group}?excludedAttributes=members`)
  t.notOk('members' in without.body)
  t.match((await scim('GET', `/Groups?filter=${encodeURIComponent('displayName eq "payroll"')}`)).body, {
    totalResults: 1,
  })
  t.match(await change({ op: 'add', path: 'members', value: [{ value: 'nobody' }] }), { status: 400 })
  t.match(await scim('POST', '/Groups', { displayName: 'payroll' }), { status: 409 })
  t.match((await scim('GET', `/Users/${id}`)).body, { groups: [{ value: group, display: 'Payroll' }] })
  const stranger = { token: evilToken, organization: evil.organization.id }
  t.equal((await scim('PATCH', `/Groups/${group}`, patch(), stranger)).status, 404)
  t.equal((await scim('DELETE', `/Groups/${group}`, undefined, stranger)).status, 404)
})

await t.test('whom the directory keeps is not removed by hand', async t => {
  const person = await findUser('grace@acme.test')
  const path = `/api/v1/organizations/${acme.organization.slug}/members/${person?.id}`
  t.match(await api('DELETE', path, admin), { status: 409, body: { message: /directory/ } })
})

await t.test('whoever is switched off is out at once', async t => {
  const person = await findUser('grace@acme.test')
  const environmentId = acme.organization.environments.find(({ slug }) => slug === 'development')?.id
  const { key } = await server.admin<{ key: string }>('createApiKey', {
    kind: 'DEVELOPMENT',
    organizationId: acme.organization.id,
    environmentId,
    userId: person?.id,
  })
  await server.admin('setUserMfa', { userId: person?.id, mfaId: null })
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: key,
    actions: { hello: async () => 'hi' },
  })
  t.teardown(() => host.close())
  await host.listen()
  const asHost = () =>
    fetch(`${server.address}/api/hosts/declare`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: '{}',
    })
  t.not((await asHost()).status, 403)
  t.match(await scim('PATCH', `/Users/${id}`, patch({ op: 'Replace', path: 'active', value: 'False' })), {
    status: 200,
    body: { active: false },
  })
  t.same((await findUser('grace@acme.test'))?.memberships, [])
  t.equal((await asHost()).status, 403, 'the key is refused with the very next request')
  await eventually(() => {
    if (host.isConnected) throw new Error('still connected')
  })
  t.match(await scim('PATCH', `/Users/${id}`, patch({ op: 'replace', value: { active: true } })), {
    body: { active: true },
  })
  t.match(
    (await findUser('grace@acme.test'))?.memberships,
    [{ groupIds: { length: 1 } }],
    'and back in their team',
  )
  t.equal((await asHost()).status, 403, 'the key stays revoked')
})

await t.test('sessions end too', async t => {
  const email = 'pass@example.com'
  const created = await server.admin<{ id: string }>('createUser', {
    email,
    password: 'a long enough password',
  })
  t.ok(created.id)
  const made = await scim('POST', '/Users', {
    ...grace,
    userName: email,
    emails: [{ value: email }],
    externalId: 'p',
  })
  t.equal(made.status, 201)
  const cookie = await server.signIn(email, 'a long enough password')
  t.match(await api('GET', '/api/v1/session', cookie), {
    status: 200,
    body: { organizations: [{ slug: acme.organization.slug }] },
  })
  t.equal((await scim('DELETE', `/Users/${made.body.id}`)).status, 204)
  t.equal((await api('GET', '/api/v1/session', cookie)).status, 401)
  t.same((await findUser(email))?.memberships, [])
})

await t.test('a new token ends the old one; a closed directory leaves people and teams', async t => {
  const next = await open(acme.organization.slug, admin)
  t.equal((await scim('GET', '/Users')).status, 401)
  t.equal((await scim('GET', '/Users', undefined, { token: next })).status, 200)
  t.equal((await api('DELETE', `${settings(acme.organization.slug)}/directory`, admin)).status, 200)
  t.equal((await scim('GET', '/Users', undefined, { token: next })).status, 401)
  t.match((await findUser('grace@acme.test'))?.memberships, [{ groupIds: { length: 1 } }])
  t.match((await api('GET', settings(acme.organization.slug), admin)).body, {
    directory: { kind: null },
    teams: [{ name: 'Payroll' }],
  })
})

await t.test('where WorkOS and Google are not set up, the answer says so', async t => {
  const response = await fetch(`${server.address}/api/webhooks/workos/dsync`, { method: 'POST', body: '{}' })
  t.equal(response.status, 404)
  t.match((await response.json()) as object, { message: /WORKOS_WEBHOOK_SECRET/ })
  const google = await fetch(`${server.address}/api/auth/sso/sign-in-with-google`, { redirect: 'manual' })
  t.equal(google.headers.get('location'), '/login?problem=not-set-up')
})
