/** Environments, settings, access and the audit log over HTTP: what administrators do with them, and what follows. */
import t from 'tap'
import type { ActionSettings, AuditLogRow, PageSettings } from '../../../lib/accounts/index.js'
import { csvOf } from '../../../lib/http/csv.js'
import { type Member, twoOrganizations } from './two-organizations.js'

const stage = await twoOrganizations(t)
const { accounts, call, clock, database, owner, administrator, developer, stranger, audited } = stage
const get = (who: Member, path: string) => call(who, { method: 'GET', path })

t.test('environments come, change and go with what lives in them', async t => {
  const made = await call(owner, {
    method: 'POST',
    path: 'ours/environments',
    body: { name: 'Quality Assurance', color: 'blue' },
  })
  t.match(made, { status: 201, body: { slug: 'quality-assurance', color: 'blue' } })
  const again = { method: 'POST', path: 'ours/environments', body: { name: 'Quality assurance' } }
  t.equal((await call(owner, again)).status, 409)
  const path = 'ours/environments/quality-assurance'
  t.equal((await call(owner, { method: 'PATCH', path, body: { name: 'QA', color: null } })).status, 200)
  const list = (await get(owner, 'ours/environments')).body.environments as { slug: string }[]
  t.match(
    list.find(({ slug }) => slug === 'quality-assurance'),
    { name: 'QA', color: null },
  )
  for (const fixed of ['production', 'development']) {
    const one = `ours/environments/${fixed}`
    t.equal((await call(owner, { method: 'PATCH', path: one, body: { name: 'Mine' } })).status, 409)
    t.equal((await call(owner, { method: 'DELETE', path: one })).status, 409)
  }

  const { body: key } = await call(owner, {
    method: 'POST',
    path: 'ours/keys',
    body: { kind: 'PRODUCTION', environment: 'quality-assurance' },
  })
  await accounts.authenticateKey(String(key.key))
  const revoked: string[] = []
  t.teardown(accounts.onRevoked(event => revoked.push(...event.keys)))
  t.ok(await accounts.actor(owner.id as never, 'ours', 'quality-assurance'))
  t.equal((await call(owner, { method: 'DELETE', path })).status, 200)
  t.same(revoked, [key.id], 'its hosts are told')
  await t.rejects(accounts.authenticateKey(String(key.key)), { code: 'invalid-api-key' })
  await t.rejects(accounts.actor(owner.id as never, 'ours', 'quality-assurance'), { code: 'not-found' })
  t.equal((await call(owner, { method: 'DELETE', path })).status, 404)
  t.equal((await call(owner, { method: 'PATCH', path, body: { name: 'x' } })).status, 404)
  t.equal((await get(owner, `${path}/settings`)).status, 404)
  t.equal((await get(owner, `${path}/transactions`)).status, 404)
  const anew = { kind: 'PRODUCTION', environment: 'quality-assurance' }
  t.equal((await call(owner, { method: 'POST', path: 'ours/keys', body: anew })).status, 404)
  const session = await stage.ask('GET', '/api/v1/session', { cookie: owner.cookie })
  t.notMatch(session.text, 'quality-assurance')
  t.equal((await call(owner, again)).status, 201, 'its slug is free again')
})

t.test('name, address and what is asked of members', async t => {
  t.match((await get(owner, 'ours/settings')).body, {
    slug: 'ours',
    requireSecondFactor: false,
    isOwner: true,
    ownsOthers: false,
    owner: { email: owner.email },
  })
  t.match((await get(developer, 'ours/settings')).body, { isOwner: false })
  const change = (body: unknown, slug = 'ours') =>
    call(administrator, { method: 'PATCH', path: `${slug}/settings`, body })
  t.match(await change({ slug: 'theirs' }), { status: 409, body: { fields: { slug: /another/i } } })
  t.match((await get(administrator, 'ours/settings/slug?slug=theirs')).body, { isFree: false })
  t.match((await get(administrator, 'ours/settings/slug?slug=ours')).body, { isFree: true })
  t.match((await get(administrator, 'ours/settings/slug?slug=new-place')).body, { isFree: true })
  t.equal((await get(administrator, 'ours/settings/slug?slug=a%2Bb')).status, 400)
  t.equal((await change({ name: ' ' })).status, 422)
  t.equal((await change({ slug: 'new-place', name: ' New Place ' })).status, 200)
  t.equal((await change({ name: 'x' })).status, 404, 'the old address leads nowhere, at once')
  t.match((await get(owner, 'new-place/settings')).body, { name: 'New Place' })
  t.equal((await change({ slug: 'ours', name: 'Ours' }, 'new-place')).status, 200)
  t.match(
    await change({ requireSecondFactor: true }),
    { status: 409, body: { fields: { requireSecondFactor: /of your own/ } } },
    'who asks for it has one',
  )
  await database.query(
    `insert into second_factors (id, person_id, kind, confirmed_at) values ('theirs', $1, 'EXTERNAL', now())`,
    [administrator.id],
  )
  accounts.identities.forgetRights()
  const asked = await change({ requireSecondFactor: true })
  t.equal(asked.status, 200, asked.text)
  t.match((await get(administrator, 'ours/settings')).body, { requireSecondFactor: true })
  t.match(await get(owner, 'ours/settings'), { status: 403, body: { code: 'second-factor-required' } })
  t.equal((await change({ requireSecondFactor: false })).status, 200)
})

t.test('two who want the same address at once: one gets it', async t => {
  const both = await Promise.all([
    call(owner, { method: 'PATCH', path: 'ours/settings', body: { slug: 'wanted' } }),
    call(stranger, { method: 'PATCH', path: 'theirs/settings', body: { slug: 'wanted' } }),
  ])
  t.same(both.map(({ status }) => status).sort(), [200, 409])
  const slug = both[0]?.status === 200 ? 'ours' : 'theirs'
  const winner = slug === 'ours' ? owner : stranger
  t.equal((await call(winner, { method: 'PATCH', path: 'wanted/settings', body: { slug } })).status, 200)
})

t.test('only the owner gives the organization away', async t => {
  const give = (who: Member, to: Member) =>
    call(who, { method: 'PUT', path: 'ours/owner', body: { id: to.id } })
  t.equal((await give(administrator, administrator)).status, 403)
  t.equal((await give(owner, stranger)).status, 404)
  t.equal((await give(owner, developer)).status, 200)
  t.match((await get(owner, 'ours/settings')).body, { isOwner: false, owner: { email: developer.email } })
  t.equal((await accounts.actor(developer.id as never, 'ours', 'production')).role, 'admin')
  t.equal((await give(owner, owner)).status, 403, 'not any more')
  t.equal((await give(developer, owner)).status, 200)
  const back = { method: 'PATCH', path: `ours/members/${developer.id}`, body: { role: 'DEVELOPER' } }
  t.equal((await call(owner, back)).status, 200)
  await database.query(`update organizations set owner_id = null where slug = 'ours'`)
  t.equal((await give(administrator, owner)).status, 200, 'what nobody owns an administrator gives')
})

const production = 'ours/environments/production/settings'
interface Settings {
  actions: ActionSettings[]
  pages: PageSettings[]
}
const settings = async (): Promise<Settings> => (await get(developer, production)).body as unknown as Settings
const action = async (slug: string): Promise<ActionSettings> => {
  const found = (await settings()).actions.find(one => one.slug === slug)
  if (!found) throw new Error(`${slug} is not listed`)
  return found
}

t.test('access: set, inherited, read-only where code says it', async t => {
  const declared = (slug: string, more: object = {}) => ({
    slug,
    name: null,
    description: 'From code',
    backgroundable: false,
    warnOnClose: true,
    unlisted: false,
    ...more,
  })
  const page = (slug: string, more: object = {}) => ({
    slug,
    name: slug.toUpperCase(),
    description: null,
    unlisted: false,
    hasHandler: true,
    ...more,
  })
  const { id: team } = (await call(owner, { method: 'POST', path: 'ours/teams', body: { name: 'Finance' } }))
    .body
  await accounts.recordDeclarations(
    {
      organizationId: stage.organizationId,
      environmentId: stage.environmentIds.production as never,
      developerId: null,
    },
    [
      declared('free'),
      declared('a/b/c/deep'),
      declared('a/near'),
      declared('coded', { access: { teams: ['finance'] } }),
    ],
    [page('a'), page('a/b'), page('a/b/c')],
  )
  t.match(await action('coded'), {
    availability: 'GROUPS',
    inCode: true,
    teams: [{ id: team, level: 'RUNNER' }],
  })
  t.match(await action('a/b/c/deep'), { availability: null, inheritsFrom: null, inCode: false })
  const { pages } = await settings()
  const idOf = (slug: string) => pages.find(one => one.slug === slug)?.id
  const set = (path: string, body: unknown) =>
    call(developer, { method: 'PUT', path: `${production}/${path}/access`, body })
  const groups = { availability: 'GROUPS', teams: [{ id: team, level: 'ADMINISTRATOR' }] }
  t.equal((await set(`pages/${idOf('a')}`, groups)).status, 200)
  t.match(await action('a/b/c/deep'), { inheritsFrom: 'a' }, 'from the nearest that says something')
  t.equal((await set(`pages/${idOf('a/b')}`, { availability: 'ORGANIZATION' })).status, 200)
  t.match(await action('a/b/c/deep'), { inheritsFrom: 'a/b' })
  t.match(await action('a/near'), { inheritsFrom: 'a' })
  const coded = await action('coded')
  t.equal(
    (await set(`actions/${coded.id}`, { availability: 'ORGANIZATION' })).status,
    409,
    'code says who may',
  )
  const rules = await accounts.accessRules(await accounts.actor(owner.id as never, 'ours', 'production'))
  t.match(rules.pages.get('a')?.rule, { availability: 'GROUPS', teams: { finance: 'ADMINISTRATOR' } })
  t.equal((await set(`pages/${idOf('a')}`, { availability: null })).status, 200)
  t.match(await action('a/near'), { inheritsFrom: null })
  t.equal(
    (await accounts.accessRules(await accounts.actor(owner.id as never, 'ours', 'production'))).pages.get(
      'a',
    ),
    undefined,
    'no rule any more',
  )
  t.equal((await get(developer, 'ours/environments/development/settings')).status, 404, 'a console has none')
  t.ok((await audited('access.changed')).some(row => row.details.slug === 'a' && row.details.teams === 1))
})

t.test('an action is named otherwise, archived, and offered again', async t => {
  const { id } = await action('free')
  const change = (body: unknown) =>
    call(developer, { method: 'PATCH', path: `${production}/actions/${id}`, body })
  const notifications = [{ to: 'ops@example.com', method: 'EMAIL' }]
  t.equal((await change({ name: ' Free for all ', backgroundable: true, notifications })).status, 200)
  t.match(await action('free'), {
    description: 'From code',
    backgroundable: false,
    overrides: { name: 'Free for all', description: null, backgroundable: true },
    notifications,
    isArchived: false,
  })
  t.equal((await change({ isArchived: true })).status, 200)
  t.match(await action('free'), { isArchived: true, overrides: { name: 'Free for all' } }, 'the rest stays')
  const overrides = async () =>
    (await accounts.accessRules(await accounts.actor(owner.id as never, 'ours', 'production'))).overrides
  t.match((await overrides()).get('free'), { name: 'Free for all', isArchived: true, backgroundable: true })
  t.equal((await change({ isArchived: false, name: '', backgroundable: null })).status, 200)
  t.equal((await overrides()).get('free'), undefined)
})

t.test('the audit log: filtered, paged, exported', async t => {
  await accounts.audits.flush()
  const rowsOf = async (query: string): Promise<AuditLogRow[]> =>
    (await get(owner, `ours/audit${query}`)).body.rows as AuditLogRow[]
  const all = await rowsOf('?limit=100')
  t.ok(all.length > 15)
  t.same(
    all.map(({ at }) => at),
    all.map(({ at }) => at).sort((one, other) => (one < other ? 1 : -1)),
    'newest first',
  )
  const seen: string[] = []
  let next = ''
  do {
    const page = await get(owner, `ours/audit?limit=7${next}`)
    seen.push(...(page.body.rows as AuditLogRow[]).map(({ id }) => id))
    next = page.body.next === null ? '' : `&cursor=${page.body.next}`
  } while (next !== '')
  t.same(seen.sort(), all.map(({ id }) => id).sort(), 'each row on one page')
  const archived = await rowsOf('?event=action.changed&person=DEVELOPER@')
  t.ok(archived.length >= 3 && archived.every(({ person }) => person?.email === developer.email))
  t.same(await rowsOf('?person=%25'), [], 'no pattern')
  const future = new Date(clock.nowMs() + 1_000).toISOString()
  t.same(await rowsOf(`?from=${future}`), [])
  t.equal((await rowsOf(`?to=${future}&limit=100`)).length, all.length)
  t.match((await get(owner, 'ours/audit/events')).body.events, ['access.changed'])

  const csv = await get(owner, 'ours/audit/export?format=csv&event=action.changed')
  t.match(csv.headers.get('content-disposition'), 'attachment; filename="audit-ours.csv"')
  t.equal(csv.text.split('\r\n')[0], 'time,event,person,address,details')
  t.equal(csv.text.trim().split('\r\n').length, (await rowsOf('?event=action.changed')).length + 1)
  const json = await get(owner, 'ours/audit/export?format=json')
  await accounts.audits.flush()
  t.equal((JSON.parse(json.text) as unknown[]).length, (await rowsOf('?limit=100')).length - 1)
  t.ok((await audited('audit.exported')).length === 2, 'who takes it along is in it')
  t.equal((await get(stranger, 'theirs/audit?limit=100')).text.includes('action.changed'), false)
})

t.test('a file is harmless to the programs it is opened with', async t => {
  const text = csvOf(
    ['a', 'b'],
    [
      ['=1+1', 'say "hi", you'],
      ['+x', '-y'],
      ['plain', 'two\nlines'],
      ['a;=1+1', 'a;-1; @x'],
      ['\n=1', '＝1'],
    ],
  )
  t.equal(
    text,
    `a,b\r\n'=1+1,"say ""hi"", you"\r\n'+x,'-y\r\nplain,"two\nlines"\r\na;'=1+1,a;-1; @x\r\n"\n'=1",'＝1\r\n`,
  )
})

t.test('only the owner ends the organization, and nobody is in it then', async t => {
  const end = (who: Member, query: string) => call(who, { method: 'DELETE', path: `ours${query}` })
  const { body: key } = await call(owner, { method: 'POST', path: 'ours/keys', body: { kind: 'PRODUCTION' } })
  await accounts.authenticateKey(String(key.key))
  await accounts.addHttpHost(
    { userId: owner.id as never, organization: 'ours', origin: { address: '192.0.2.1', userAgent: null } },
    'https://host.example',
  )
  t.equal((await end(administrator, '?slug=ours')).status, 403)
  t.equal((await end(owner, '')).status, 422, 'it is the only one they own')
  t.equal((await end(owner, '?slug=other')).status, 422)
  t.equal((await get(owner, 'ours/settings')).status, 200, 'it is still there')
  t.equal((await end(owner, '?slug=ours')).status, 200)
  for (const who of [owner, administrator, developer]) t.equal((await get(who, 'ours/settings')).status, 404)
  await t.rejects(accounts.authenticateKey(String(key.key)), { code: 'invalid-api-key' })
  const hosts = []
  for await (const host of accounts.registeredHttpHosts()) hosts.push(host)
  t.same(hosts, [], 'its serverless hosts are not asked any more')
  const session = await stage.ask('GET', '/api/v1/session', { cookie: owner.cookie })
  t.same(session.body.organizations, [])
  t.equal(await stage.admin('findOrganization', { slug: 'ours' }), null)
  t.ok(
    await stage.admin('createOrganization', { slug: 'ours', name: 'Ours', ownerEmail: owner.email }),
    'its address is free again',
  )
})
