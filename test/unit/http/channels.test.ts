/** The outbox and Slack over HTTP: who may read which mail, and what a stranger finds. */
import { request } from 'node:http'
import t from 'tap'
import { runAdminOperation } from '../../../lib/accounts/index.js'
import { Secret } from '../../../lib/log.js'
import { enqueueMail } from '../../../lib/mail/index.js'
import { keepWaiting } from '../../../lib/mail/outbox.js'
import { Slack } from '../../../lib/slack/index.js'
import { testAccounts } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { SlackServer } from '../../support/slack-server.js'
import { testServer } from './test-server.js'

const slack = await SlackServer.start(t)
const { accounts, database } = await testAccounts(t, {
  sendsMail: true,
  slack: new Slack({ clientId: 'the app', clientSecret: new Secret('the secret'), url: slack.url }),
})
const { ask, origin } = await testServer(t, accounts)
const admin = async <Result>(name: string, argument: unknown): Promise<Result> =>
  (await runAdminOperation(name, argument, { accounts })) as Result

const password = 'a good password'
async function person(email: string, memberships: readonly (readonly [string, string])[]): Promise<string> {
  const { id } = await admin<{ id: string }>('createUser', { email, password })
  for (const [organizationId, permission] of memberships) {
    await database.query(
      'insert into memberships (id, person_id, organization_id, permissions) values ($1, $2, $3, $4)',
      [`${id}-${organizationId}`.slice(0, 64), id, organizationId, [permission]],
    )
  }
  return (await ask('POST', '/api/v1/session', { body: { email, password } })).cookie ?? ''
}
const owned = async (slug: string, ownerEmail: string): Promise<string> =>
  (await admin<{ id: string }>('createOrganization', { slug, name: slug, ownerEmail })).id
const ours = await owned('ours', 'owner@example.com')
const theirs = await owned('theirs', 'stranger@example.com')
const cookieOf = async (email: string): Promise<string> => {
  const hash = await accounts.passwords.hash(password)
  await database.query('update people set password = $2 where email = $1', [email, hash])
  return (await ask('POST', '/api/v1/session', { body: { email, password } })).cookie ?? ''
}
const owner = await cookieOf('owner@example.com')
const stranger = await cookieOf('stranger@example.com')
const administrator = await person('administrator@example.com', [[ours, 'ADMIN']])
const developer = await person('developer@example.com', [[ours, 'DEVELOPER']])
const both = await person('both@example.com', [
  [ours, 'ACTION_RUNNER'],
  [theirs, 'ACTION_RUNNER'],
])
await person('member@example.com', [[ours, 'ACTION_RUNNER']])

const mail = { subject: 'Hello', text: 'http://app.test/reset?seal=secret', html: '<p></p>' }
const account = (to: string) =>
  enqueueMail(database, { ...mail, organizationId: null, kind: 'password-reset', to })
const of = (organizationId: string, to: string) =>
  enqueueMail(database, { ...mail, organizationId: organizationId as never, kind: 'notification', to })
const ids = {
  ours: await of(ours, 'far@example.com'),
  theirs: await of(theirs, 'far@example.com'),
  member: await account('member@example.com'),
  both: await account('both@example.com'),
  owner: await account('owner@example.com'),
  nobody: await account('nobody@example.com'),
}
await keepWaiting(database)
const waiting = await of(ours, 'later@example.com')

const mails = '/api/v1/organizations/ours/mails'
const listed = async (cookie: string, path = mails): Promise<string[]> => {
  const { body } = await ask('GET', path, { cookie })
  return ((body.mails ?? []) as { id: string }[]).map(({ id }) => id).sort()
}

t.test('mails of the organization, and of people who are in no other', async t => {
  t.same(await listed(administrator), [ids.ours, ids.member, waiting].sort())
  t.same(await listed(owner), [ids.ours, ids.member, ids.owner, waiting].sort(), 'the owner their own too')
  t.same(await listed(stranger, mails.replace('ours', 'theirs')), [ids.theirs])
  t.same(await listed(administrator, `${mails}?status=WAITING`), [waiting])
  t.equal((await ask('GET', `${mails}?status=ODD`, { cookie: owner })).status, 400)
  t.equal((await ask('GET', `${mails}?cursor=odd`, { cookie: owner })).status, 400)
})

t.test('what a mail says is read while it was not sent, and that leaves a row', async t => {
  const read = (id: string, cookie: string) => ask('GET', `${mails}/${id}`, { cookie })
  t.match(await read(ids.member, administrator), { status: 200, body: { text: mail.text } })
  t.match(await read(waiting, administrator), { status: 200, body: { text: null } }, 'it is on its way')
  for (const id of [ids.theirs, ids.both, ids.owner, ids.nobody, 'nothing-at-all'])
    t.equal((await read(id, administrator)).status, 404, id)
  t.equal((await read(ids.member, developer)).status, 403)
  t.equal((await read(ids.member, stranger)).status, 404)
  t.equal((await ask('GET', mails)).status, 401)
  await accounts.audits.flush()
  const rows = await accounts.audits.list({ organizationId: ours, name: 'mail.read' })
  t.equal(rows.length, 1)
  t.ok((await accounts.audits.list({ organizationId: ours, name: 'access.denied' })).length > 0)
})

t.test('one that was kept is sent after all, others are not', async t => {
  const send = (id: string, cookie: string) => ask('POST', `${mails}/${id}/send`, { cookie, body: {} })
  t.equal((await send(ids.member, developer)).status, 403)
  t.equal((await send(ids.theirs, administrator)).status, 404)
  t.equal((await send(waiting, administrator)).status, 409)
  t.equal((await send(ids.member, administrator)).status, 200)
  const { rows } = await database.query('select status from mails where id = $1', [ids.member])
  t.same(rows, [{ status: 'WAITING' }])
})

t.test('what did not arrive is told to who may read the outbox', async t => {
  for (const [organizationId, id, status, daysAgo] of [
    [ours, 'before', 'FAILED', 2],
    [ours, 'failed', 'FAILED', 0],
    [ours, 'long ago', 'FAILED', 3],
    [ours, 'arrived', 'DELIVERED', 0],
    [theirs, 'elsewhere', 'FAILED', 0],
  ] as const) {
    await database.query(
      `with noted as (
         insert into notifications (id, organization_id, environment_id, title, message)
         select $2, $1, id, 'News', 'a secret' from environments where organization_id = $1 and slug = 'production')
       insert into notification_deliveries (id, notification_id, recipient, method, status, error, created_at)
       values ($2, $2, '#ops', 'SLACK', $3, 'Slack answered: channel_not_found', now() - make_interval(days => $4))`,
      [organizationId, id, status, daysAgo],
    )
  }
  const failed = '/api/v1/organizations/ours/failed-deliveries'
  const { body, text } = await ask('GET', failed, { cookie: administrator })
  t.match(body.deliveries, [
    {
      id: 'failed',
      to: '#ops',
      method: 'SLACK',
      title: 'News',
      environment: 'production',
      error: /channel_not_found/,
    },
    { id: 'before' },
    { id: 'long ago' },
  ])
  t.equal((body.deliveries as unknown[]).length, 3)
  t.notMatch(text, /secret/, 'but not what they said')
  t.equal((await ask('GET', failed, { cookie: developer })).status, 403)
  t.equal((await ask('GET', failed, { cookie: stranger })).status, 404)
  t.equal((await ask('GET', failed)).status, 401)
})

t.test('Slack is connected by who may, and by who began it', async t => {
  const begin = (cookie: string, org = 'ours') =>
    ask('POST', `/api/v1/organizations/${org}/slack`, { cookie, body: {} })
  t.equal((await begin(developer)).status, 403)
  t.equal((await begin(stranger)).status, 404)
  const begun = await begin(administrator)
  const url = new URL(String(begun.body.url))
  t.equal(url.searchParams.get('redirect_uri'), 'http://localhost:3000/api/auth/oauth/slack')
  const state = url.searchParams.get('state') ?? ''
  const back = (cookie: string, code = 'the code', given = state) =>
    ask('GET', `/api/auth/oauth/slack?${new URLSearchParams({ code, state: given })}`, { cookie })
  t.equal((await back(stranger)).status, 403, 'who did not begin it')
  t.equal((await ask('GET', `/api/auth/oauth/slack?code=x&state=${state}`)).status, 401)
  t.equal((await back(administrator, 'the code', 'made up')).status, 403)
  t.match(await back(administrator), { status: 303 })
  t.equal((await back(administrator)).status, 403, 'a second time')
  t.match((await ask('GET', '/api/v1/organizations/ours/channels', { cookie: owner })).body, {
    slack: { isOffered: true, connection: { workspace: 'Quill & Sons' } },
  })

  const other = new URL(String((await begin(administrator)).body.url)).searchParams.get('state') ?? ''
  t.equal((await back(administrator, 'another code', other)).status, 503, 'Slack does not know the code')
  const late = new URL(String((await begin(administrator)).body.url)).searchParams.get('state') ?? ''
  await database.query(`update memberships set permissions = '{DEVELOPER}' where permissions = '{ADMIN}'
    and person_id = (select id from people where email = 'administrator@example.com')`)
  accounts.identities.forgetRights()
  t.equal((await back(administrator, 'the code', late)).status, 403, 'who has lost the right meanwhile')
})

t.test('notifications are one’s own', async t => {
  t.match(await ask('GET', '/api/v1/organizations/ours/notifications', { cookie: developer }), {
    status: 200,
    body: { notifications: [] },
  })
  t.equal((await ask('GET', '/api/v1/organizations/ours/notifications', { cookie: stranger })).status, 404)
})

t.test('what one has looked at is news no more: until then, and in that organization', async t => {
  const say = async (organizationId: string, message: string, more: object = {}): Promise<void> => {
    const { rows } = await database.query<{ id: string }>(
      `select id from environments where organization_id = $1 and slug = 'production'`,
      [organizationId],
    )
    await accounts.recordNotification({
      organizationId: organizationId as never,
      environmentId: rows[0]?.id ?? '',
      senderId: null,
      transactionId: null,
      title: null,
      message,
      // Twice to the same person is one in their list.
      deliveries: [
        { to: 'both@example.com', method: 'EMAIL' },
        { to: 'Both@example.com', method: 'SLACK' },
      ],
      idempotencyKey: null,
      createdAtMs: accounts.clock.nowMs(),
      ...more,
    })
  }
  interface Told {
    readonly message: string
    readonly arrivedAt: string
    readonly isNew: boolean
  }
  const list = async (slug: string): Promise<Told[]> =>
    (await ask('GET', `/api/v1/organizations/${slug}/notifications`, { cookie: both })).body
      .notifications as Told[]
  const told = async (slug: string) => (await list(slug)).map(({ isNew, message }) => [message, isNew])
  const see = async (slug: string, until: string | undefined) =>
    (
      await ask('POST', `/api/v1/organizations/${slug}/notifications/seen`, {
        cookie: both,
        headers: { origin },
        body: { until },
      })
    ).status
  await say(ours, 'one')
  await say(theirs, 'elsewhere')
  const [shown] = await list('ours')
  // It comes while they look at the first; that it was said long ago changes nothing.
  await say(ours, 'two', { createdAtMs: 0 })
  t.equal(await see('ours', shown?.arrivedAt), 200)
  t.same(await told('ours'), [
    ['two', true],
    ['one', false],
  ])
  t.same(await told('theirs'), [['elsewhere', true]])
  t.equal(await see('ours', '9999-01-01T00:00:00Z'), 200)
  await say(ours, 'three')
  t.same((await told('ours'))[0], ['three', true], 'nobody looks into the future')
  t.equal(await see('ours', shown?.arrivedAt), 200)
  t.same((await told('ours'))[1], ['two', false], 'nor does an answer that comes late undo it')
  t.equal(await see('ours', undefined), 400)
  t.equal((await ask('GET', '/api/v1/organizations/ours/notifications', { cookie: stranger })).status, 404)
})

t.test('pages of the outbox hold everything once, also what was written in the same moment', async t => {
  await database.query(
    `insert into mails (id, organization_id, kind, recipient, subject, status, deadline_at, created_at)
     select 'page' || lpad(i::text, 4, '0'), $1, 'notification', 'far@example.com', 'Page', 'FAILED', now(),
       timestamptz '2020-01-01 00:00:00Z' + (i / 7) * interval '1 microsecond'
     from generate_series(1, 120) i`,
    [ours],
  )
  const seen: string[] = []
  let cursor: string | null = ''
  for (let pages = 0; cursor !== null; pages += 1) {
    t.ok(pages < 10)
    const { body } = await ask(
      'GET',
      `/api/v1/organizations/ours/mails?status=FAILED${cursor && `&cursor=${cursor}`}`,
      { cookie: owner },
    )
    const { mails, next } = body as unknown as { mails: { id: string }[]; next: string | null }
    seen.push(...mails.map(({ id }) => id).filter(id => id.startsWith('page')))
    cursor = next
  }
  t.equal(seen.length, 120)
  t.same(seen, [...new Set(seen)].sort().reverse())
})

t.test('links in mails lead to this server, whatever a request says it is called', async t => {
  const { port } = new URL(origin)
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'content-type': 'application/json',
    }
    const asked = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/api/v1/password-reset',
      headers,
    })
    asked.on('response', answer => resolve(answer.resume().statusCode))
    asked.on('error', reject)
    asked.end(JSON.stringify({ email: 'developer@example.com' }))
  })
  t.ok(status === 200 || status === 202 || status === 204, `${status}`)
  await eventually(async () => {
    const { rows } = await database.query<{ text: string; html: string }>(
      `select text, html from mails where recipient = 'developer@example.com' and kind = 'password-reset'`,
    )
    if (rows.length === 0) throw new Error('no mail yet')
    t.match(rows[0]?.text, 'http://localhost:3000/reset-password?')
    t.notMatch(JSON.stringify(rows), /evil/)
  })
})
