/** WorkOS, against a stand-in: sign-on and Google through it, and directory sync by its webhooks. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { eventually } from '../../support/eventually.js'
import { Wanderer } from '../../support/oidc-server.js'
import { TestServer } from '../../support/server.js'
import { WorkOsServer } from '../../support/workos-server.js'

t.setTimeout(120_000)
const workos = await WorkOsServer.start()
t.teardown(() => workos.stop())
const server = await TestServer.start({ environment: workos.environment })
t.teardown(() => server.stop())
const acme = await server.seed('Ada Acme')
const other = await server.seed('Eve Evil')
await server.admin('verifyEmailDomain', { organizationId: acme.organization.id, domain: 'acme.test' })
await server.admin('connectWorkOs', {
  organizationId: acme.organization.id,
  workosOrganizationId: 'org_acme',
})
await server.admin('connectWorkOs', {
  organizationId: other.organization.id,
  workosOrganizationId: 'org_other',
})

interface Found {
  id: string
  email: string
  memberships: { organizationSlug: string; groupIds: string[] }[]
}
const findUser = (email: string) => server.admin<Found | null>('findUser', { email })

async function enter(path: string): Promise<{ at: URL; session: unknown }> {
  const wanderer = new Wanderer()
  const end = await wanderer.walk(
    server.address + path,
    '',
    next => next.origin === server.address && !next.pathname.startsWith('/api/'),
  )
  const cookie = wanderer.cookiesOf(server.address)
  const session = await fetch(`${server.address}/api/v1/session`, { headers: { cookie } })
  return { at: new URL(end), session: await session.json() }
}

await t.test('an organization signs in through WorkOS', async t => {
  workos.profile = {
    id: 'prof_1',
    organization_id: 'org_acme',
    connection_type: 'OktaSAML',
    email: 'grace@acme.test',
    first_name: 'Grace',
    last_name: 'Hopper',
  }
  const { at, session } = await enter('/api/auth/sso/auth?email=grace@acme.test')
  t.equal(at.pathname, '/')
  t.match(session, { user: { email: 'grace@acme.test' }, organizations: [{ slug: acme.organization.slug }] })
  t.equal(workos.asked.get('organization'), 'org_acme')
  t.equal(workos.asked.get('redirect_uri'), `${server.address}/api/auth/sso/callback`)

  const slug = acme.organization.slug
  workos.profile = { ...workos.profile, organization_id: 'org_other' }
  t.match(
    (await enter(`/api/auth/sso/auth?organization=${slug}`)).at.search,
    /failed/,
    'another’s connection',
  )
  const { organization_id: _, ...none } = workos.profile
  workos.profile = none
  t.match((await enter(`/api/auth/sso/auth?organization=${slug}`)).at.search, /failed/)
  workos.profile = { ...workos.profile, organization_id: 'org_other', email: 'grace@acme.test', id: 'prof_2' }
  const wrong = await enter(`/api/auth/sso/auth?organization=${other.organization.slug}`)
  t.match(wrong.at.search, /wrong-domain/, 'an address of a domain of others')
})

await t.test('Google', async t => {
  const google = '/api/auth/sso/sign-in-with-google'
  const profile = { id: 'g1', connection_type: 'GoogleOAuth', first_name: 'Gil', email: 'gil@gmail.com' }
  workos.profile = { ...profile, raw_attributes: { email_verified: false } }
  t.match((await enter(google)).at.search, /no-email/)
  workos.profile = { ...profile, email: acme.user.email, raw_attributes: { email_verified: true } }
  t.match((await enter(google)).at.search, /no-email/, 'Google does not answer for an address elsewhere')
  workos.profile = { ...profile, connection_type: 'OktaSAML', raw_attributes: { email_verified: true } }
  t.match((await enter(google)).at.search, /failed/, 'what is not Google is not Google')
  workos.profile = { ...profile, raw_attributes: { email_verified: true } }
  t.match((await enter(google)).session, {
    user: { email: 'gil@gmail.com' },
    organizations: [{ name: "Gil's organization" }],
  })
  t.equal(workos.asked.get('provider'), 'GoogleOAuth')
  const again = await enter(google)
  t.match(again.session, { organizations: { length: 1 } }, 'the same account')

  await server.admin('setGlobalFlag', { flag: 'USER_REGISTRATION_ENABLED', enabled: false })
  workos.profile = { ...profile, id: 'g2', email: 'new@gmail.com', raw_attributes: { email_verified: true } }
  t.match((await enter(google)).at.search, /no-account/)
  const invitation = await server.admin<{ id: string }>('createInvitation', {
    organizationId: acme.organization.id,
    email: 'new@gmail.com',
    permissions: ['ACTION_RUNNER'],
  })
  const invited = await server.admin<{ id: string }>('createInvitation', {
    organizationId: acme.organization.id,
    email: 'somebody@else.test',
    permissions: ['ADMIN'],
  })
  t.match(
    (await enter(`${google}?invitation=${invited.id}`)).at.search,
    /no-account/,
    'somebody else’s invitation',
  )
  t.match((await enter(`${google}?invitation=${invitation.id}`)).session, {
    organizations: [{ slug: acme.organization.slug, role: 'member' }],
  })
  t.match((await fetch(`${server.address}/api/v1/session`).then(answer => answer.json())) as object, {
    google: true,
  })
})

async function send(
  event: string,
  data: unknown,
  options: { id?: string; signature?: (body: string) => string; path?: string } = {},
): Promise<{ status: number; body: unknown }> {
  const body = JSON.stringify({ id: options.id ?? `event_${randomUUID()}`, event, data })
  const signature = (options.signature ?? (text => workos.signature(text)))(body)
  const response = await fetch(server.address + (options.path ?? '/api/webhooks/workos'), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(signature && { 'workos-signature': signature }) },
    body,
  })
  return { status: response.status, body: await response.json() }
}

const inDirectory = { directory_id: 'directory_1', organization_id: 'org_acme' }
const hedy = {
  ...inDirectory,
  id: 'directory_user_1',
  username: 'hedy@acme.test',
  emails: [{ primary: true, type: 'work', value: 'hedy@acme.test' }],
  first_name: 'Hedy',
  last_name: 'Lamarr',
  state: 'active',
}
const radio = { ...inDirectory, id: 'directory_group_1', name: 'Radio' }

await t.test('what is not signed by it is nothing', async t => {
  const minutes = (count: number) => (text: string) => workos.signature(text, Date.now() + count * 60_000)
  const forged = [
    () => '',
    () => 't=1, v1=00',
    (text: string) => workos.signature(text, Date.now(), 'another secret'),
    (text: string) => workos.signature(`${text} `),
    (text: string) => workos.signature(text).replace(/t=\d+/, `t=${Date.now() + 1}`),
    minutes(-4),
    minutes(4),
  ]
  for (const signature of forged) {
    t.match(await send('dsync.user.created', hedy, { signature }), { status: 403 }, String(signature))
  }
  t.equal(await findUser('hedy@acme.test'), null)
})

await t.test('people and groups follow the events', async t => {
  t.match(await send('dsync.user.created', hedy), { status: 200, body: { status: 'of no concern' } })
  const activated = { id: 'directory_1', organization_id: 'org_acme', name: 'Acme', state: 'active' }
  t.match(await send('dsync.activated', activated), { body: { status: 'taken' } })
  const stranger = { id: 'directory_9', organization_id: 'org_nobody' }
  t.match(await send('dsync.activated', stranger), { body: { status: 'of no concern' } })
  const id = 'event_of_hedy'
  t.match(await send('dsync.user.created', hedy, { id, path: '/api/webhooks/workos/dsync' }), {
    body: { status: 'taken' },
  })
  t.match(await send('dsync.user.created', hedy, { id }), { body: { status: 'taken before' } })
  t.match(await findUser('hedy@acme.test'), { memberships: [{ organizationSlug: acme.organization.slug }] })
  await send('dsync.user.updated', { ...hedy, first_name: 'Hedwig' })
  t.match(await findUser('hedy@acme.test'), { firstName: 'Hedwig' })

  const teams = async () => (await findUser('hedy@acme.test'))?.memberships[0]?.groupIds.length
  await send('dsync.group.user_added', { ...inDirectory, user: hedy, group: radio })
  t.equal(await teams(), 1, 'also when the group was not heard of before')
  await send('dsync.group.updated', { ...radio, name: 'Frequency Hopping' })
  await send('dsync.group.user_removed', { ...inDirectory, user: hedy, group: radio })
  t.equal(await teams(), 0)
  await send('dsync.group.user_added', { ...inDirectory, user: hedy, group: radio })
  t.match(await send('dsync.group.deleted', radio), { body: { status: 'taken' } })
  t.equal(await teams(), 0)

  const outsider = {
    ...hedy,
    id: 'directory_user_2',
    username: 'x',
    emails: [{ primary: true, value: other.user.email }],
  }
  t.match(await send('dsync.user.created', outsider), { status: 200, body: { status: 'of no concern' } })
  t.notMatch((await findUser(other.user.email))?.memberships, [{ organizationSlug: acme.organization.slug }])

  await send('dsync.user.updated', { ...hedy, state: 'inactive' })
  t.same((await findUser('hedy@acme.test'))?.memberships, [])
  workos.profile = {
    id: 'p',
    organization_id: 'org_acme',
    connection_type: 'OktaSAML',
    email: 'hedy@acme.test',
  }
  const refused = await enter('/api/auth/sso/auth?email=hedy@acme.test')
  t.match(refused.at.search, /deactivated/, 'whoever is switched off does not come back by signing in')
  await send('dsync.user.updated', hedy)
  t.equal((await findUser('hedy@acme.test'))?.memberships.length, 1)
  await send('dsync.user.deleted', hedy)
  t.same((await findUser('hedy@acme.test'))?.memberships, [])
  t.match(await send('dsync.deleted', { id: 'directory_1' }), { body: { status: 'taken' } })
  t.match(await send('dsync.user.created', hedy), { body: { status: 'of no concern' } })
  t.match(await send('dsync.user.created', { id: 1 }), { status: 400 })
  t.match(await send('user.created', {}), { status: 200, body: { status: 'of no concern' } })
  const cookie = await server.signIn(acme.user.email, acme.password)
  const path = `/api/v1/organizations/${acme.organization.slug}/audit`
  await eventually(async () => {
    const answer = await fetch(server.address + path, { headers: { cookie } })
    const { rows } = (await answer.json()) as { rows: { event: string }[] }
    const events = rows.map(({ event }) => event)
    for (const wanted of ['directory.opened', 'directory.closed', 'directory.user-added'])
      if (!events.includes(wanted)) throw new Error(`${wanted} is not in ${events.join(' ')}`)
  })
})
