/**
 * Who may see, start and open what: what code says, what is set in the database, and what neither says, against a real
 * node; and that what is merely gone leaves no row in the audit log.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { query } from './measure.js'
import { RawHost } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const ours = await server.seed('Ada Ours')
const organizationId = ours.organization.id
const place = { organization: ours.organization.slug, environment: 'production' }
const password = 'a long enough password'
const team = await server.admin<{ id: string }>('createGroup', {
  organizationId,
  slug: 'finance',
  name: 'Finance',
})
const member = await server.admin<{ id: string }>('createUser', {
  email: 'fin@example.com',
  password,
  membership: { organizationId, permissions: ['ACTION_RUNNER'] },
})
await server.admin('addGroupMember', { organizationId, userId: member.id, groupId: team.id })
const outside = await BrowserClient.connect(
  server.address,
  await server.signIn(ours.user.email, ours.password),
)
const inside = await BrowserClient.connect(server.address, await server.signIn('fin@example.com', password))
const host = await RawHost.connect(server, ours.liveKey)
const folder = (slug: string, more: object = {}) => ({ slug, name: slug, hasHandler: false, ...more })
await host.call('INITIALIZE_HOST', {
  actions: [
    { slug: 'free' },
    { slug: 'pay' },
    { slug: 'look', groupSlug: 'books' },
    { slug: 'all', groupSlug: 'books', access: 'entire-organization' },
    { slug: 'coded', access: 'entire-organization' },
  ],
  groups: [folder('books', { hasHandler: true })],
  sdkName: '@interval/sdk',
  sdkVersion: '2.0.0',
  timestamp: Date.now(),
})
t.teardown(async () => {
  outside.close()
  inside.close()
  host.raw.end()
  await server.stop()
})

const list = async (browser: BrowserClient): Promise<string[]> =>
  (await browser.ask('directory.watch', place)).actions.map(action => action.slug).sort()
const newest = (browser: BrowserClient): string[] | undefined =>
  browser
    .all('directory')
    .at(-1)
    ?.directory.actions.map(action => action.slug)
    .sort()
const start = (browser: BrowserClient, slug: string) =>
  browser.ask('transaction.start', { ...place, transactionId: randomUUID(), slug })
const everything = ['books/all', 'books/look', 'coded', 'free', 'pay']

/** As another node's dashboard does it: nothing but the database knows. */
async function restrict(kind: 'action' | 'action_group', slug: string): Promise<void> {
  const things = kind === 'action' ? 'actions' : 'action_groups'
  await eventually(async () => {
    const known = await query(server, `select id from ${things} where slug = $1`, [slug])
    if (known.length === 0) throw new Error(`${slug} is not recorded yet`)
  })
  // In one statement: a node that looked between the two would see a rule that lets nobody in.
  await query(
    server,
    `with metadata as (
       insert into ${kind}_metadata (${kind}_id, availability) select id, 'GROUPS' from ${things} where slug = $1
       on conflict (${kind}_id) do update set availability = 'GROUPS' returning ${kind}_id
     ), access as (
       insert into ${kind}_access (${kind}_id, team_id, level) select ${kind}_id, $2, 'RUNNER' from metadata
       on conflict do nothing
     ) select from metadata`,
    [slug, team.id],
  )
}

async function denials(what: string): Promise<unknown[]> {
  return query(server, `select from audit_log where name = 'access.denied' and details->>'what' = $1`, [what])
}

t.test('without rules everything is open', async t => {
  t.same(await list(outside), everything)
  t.same(await list(inside), everything)
})

t.test(
  'a rule set in the database closes open lists, starts and pages, for everybody outside the team',
  async t => {
    await restrict('action', 'pay')
    await restrict('action_group', 'books')
    await restrict('action', 'coded')
    const setMs = Date.now()
    await eventually(() => {
      if (newest(outside)?.join() !== 'books/all,coded,free')
        throw new Error(`the open list: ${newest(outside)}`)
    })
    t.ok(Date.now() - setMs < 5_000, 'within 5 s, though nobody asked')
    t.same(
      await list(outside),
      ['books/all', 'coded', 'free'],
      'what the code says of an action counts first',
    )
    for (const slug of ['pay', 'books/look']) {
      t.equal(
        (await refusal(start(outside, slug))).code,
        'not-found',
        `${slug}, an administrator of the organization`,
      )
      t.equal((await start(inside, slug)).status, 'running', slug)
    }
    t.equal((await start(outside, 'books/all')).status, 'running')
    const page = { ...place, pageKey: randomUUID(), slug: 'books' }
    t.equal((await refusal(outside.ask('page.open', page))).code, 'not-found')
    const books = (await outside.ask('directory.watch', place)).pages.find(({ slug }) => slug === 'books')
    t.match(books, { mayOpen: false }, 'the folder of what is allowed')
    t.same(await list(inside), everything)
    await eventually(async () => {
      if ((await denials('transaction.start')).length !== 2)
        throw new Error('starts are not in the audit log')
      if ((await denials('page.open')).length !== 1) throw new Error('the page is not in the audit log')
    })
  },
)

t.test('what is not there is nobody’s offence', async t => {
  t.equal((await refusal(start(outside, 'never-declared'))).code, 'not-found')
  t.equal(
    (await refusal(outside.ask('page.open', { ...place, pageKey: randomUUID(), slug: 'no-page' }))).code,
    'not-found',
  )
  const gone = randomUUID()
  t.equal((await refusal(outside.ask('transaction.attach', { transactionId: gone }))).code, 'not-found')
  t.equal((await refusal(outside.ask('transaction.leave', { transactionId: gone }))).code, 'not-found')
  t.equal((await refusal(outside.ask('page.leave', { pageKey: randomUUID() }))).code, 'not-found')
  const foreign = { organization: 'elsewhere', environment: 'production' }
  t.equal((await refusal(outside.ask('directory.watch', foreign))).code, 'not-found')
  await eventually(async () => {
    if ((await denials('directory.watch')).length === 0) throw new Error('rows are still being written')
  })
  t.equal((await denials('transaction.attach')).length + (await denials('transaction.leave')).length, 0)
  t.equal((await denials('transaction.start')).length, 2, 'as before')
  t.equal((await denials('page.open')).length, 1, 'as before')
})

t.test('a key revoked elsewhere opens no new connection after 5 s, though no socket uses it', async t => {
  const environmentId = ours.organization.environments.find(({ slug }) => slug === 'production')?.id
  const wanted = {
    kind: 'PRODUCTION',
    organizationId,
    environmentId,
    userId: ours.user.id,
    label: 'once used',
  }
  const { key } = await server.admin<{ key: string }>('createApiKey', wanted)
  const notify = () =>
    fetch(`${server.address}/api/notify`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'x', deliveryInstructions: [] }),
    })
  t.equal((await notify()).status, 200)
  await query(server, `update api_keys set revoked_at = now() where label = 'once used'`)
  const revokedMs = Date.now()
  await eventually(async () => {
    const { status } = await notify()
    if (status !== 403) throw new Error(`answered ${status}`)
  }, 10_000)
  t.ok(Date.now() - revokedMs < 5_000, `${Date.now() - revokedMs} ms`)
})
