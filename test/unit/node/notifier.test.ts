/** Notifications on their way: by mail, by Slack, once, again, and not too many. */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { SlackConnections } from '../../../lib/accounts/index.js'
import { recordNotification } from '../../../lib/accounts/notifications.js'
import type { Database } from '../../../lib/database/index.js'
import { AppError } from '../../../lib/errors.js'
import { limits } from '../../../lib/limits.js'
import { Secret, silentLog } from '../../../lib/log.js'
import { Notifier, type NotifierOptions } from '../../../lib/node/notifier.js'
import { systemClock } from '../../../lib/partitions/index.js'
import { Slack } from '../../../lib/slack/index.js'
import { testDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { SlackServer } from '../../support/slack-server.js'

const database = await testDatabase(t, { isReal: true })

t.test('a mail goes into the outbox, once, whichever of two nodes takes it', async t => {
  const { database, notifier, notify } = await rig(t)
  for (let count = 0; count < 40; count += 1) {
    await notify({ message: `Number ${count} <b>`, to: `person${count}@example.com` })
  }
  for (const each of [notifier(), notifier()]) each.start()
  await settled(database)
  const { rows } = await database.query('select recipient, kind, subject, text, html from mails')
  t.equal(rows.length, 40)
  t.equal(new Set(rows.map(({ recipient }) => recipient)).size, 40)
  t.match(rows[0], { kind: 'notification', subject: 'News', text: /http:\/\/app\.test\/dashboard\/ours/ })
  t.match(rows[0]?.html, '&lt;b&gt;')
})

t.test('by Slack: to a person, to a channel, and what Slack says', async t => {
  const { connect, database, notifier, notify, slack } = await rig(t)
  await connect()
  await notify({ to: 'ada@example.com', method: 'SLACK', message: 'Look <http://evil|here> & there' })
  await notify({ to: '#ops', method: null })
  await notify({ to: 'nobody@example.com', method: 'SLACK' })
  notifier().start()
  t.same(await settled(database), [
    ['#ops', 'DELIVERED', null],
    ['ada@example.com', 'DELIVERED', null],
    ['nobody@example.com', 'FAILED', 'Nobody in Slack has this address.'],
  ])
  t.same(slack.posts.map(({ channel }) => channel).sort(), ['#ops', 'U-ada'])
  const post = slack.posts.find(({ channel }) => channel === 'U-ada')
  t.match(post?.text, '*News*\nLook &lt;http://evil|here&gt; &amp; there\n<http://app.test/dashboard/ours|')
  t.ok(slack.calls.every(({ token }) => token === 'xoxb-the-token'))
  const { rows } = await database.query('select token from slack_connections')
  t.notMatch(JSON.stringify(rows), /xoxb/, 'the token is sealed')
})

t.test('what Slack cannot take now is tried again; a workspace that is gone is disconnected', async t => {
  const { connect, connections, database, notifier, notify, slack } = await rig(t)
  await connect()
  slack.answer = ({ parameters }) => (parameters.channel === '#busy' ? { status: 429 } : undefined)
  await notify({ to: '#busy', method: null })
  notifier().start()
  await eventually(async () => {
    const { rows } = await database.query(
      'select status, attempts, error, next_attempt_at > now() as waits from notification_deliveries',
    )
    if (rows[0]?.error === null) throw new Error('not yet')
    t.match(rows, [{ status: 'PENDING', attempts: 1, error: /ratelimited/, waits: true }])
  })
  slack.answer = () => undefined
  await database.query('update notification_deliveries set next_attempt_at = now()')
  t.match(await settled(database), [['#busy', 'DELIVERED', null]])

  slack.answer = () => ({ error: 'token_revoked' })
  await notify({ to: '#ops', method: null })
  t.match(await settled(database), [['#busy'], ['#ops', 'FAILED', /not connected any more/]])
  t.equal(await connections.find('org1' as never), null)
})

t.test('without Slack: who prefers it gets a mail, who can only be reached there does not', async t => {
  const { database, notifier, notify } = await rig(t)
  await database.query(
    `insert into people (id, email, default_notification_method) values ('p1', 'ada@example.com', 'SLACK')`,
  )
  await database.query(`insert into memberships (id, person_id, organization_id) values ('m1', 'p1', 'org1')`)
  await notify({ to: 'Ada@example.com', method: null })
  await notify({ to: '#ops', method: null })
  await notify({ to: 'not an address', method: 'EMAIL' })
  notifier().start()
  t.match(await settled(database), [
    ['#ops', 'FAILED', /Slack is not connected/],
    ['Ada@example.com', 'DELIVERED', null],
    ['not an address', 'FAILED', /not an email address/],
  ])
})

t.test('mails go while Slack hangs', async t => {
  const { connect, database, notifier, notify, slack } = await rig(t)
  await connect()
  const hold = held()
  slack.answers = hold.until
  for (let count = 0; count < 20; count += 1) await notify({ to: `#channel${count}`, method: null })
  for (let count = 0; count < 20; count += 1) await notify({ to: `person${count}@example.com` })
  notifier().start()
  await eventually(async () => {
    const { rows } = await database.query<{ count: number }>('select count(*)::integer as count from mails')
    if (rows[0]?.count !== 20) throw new Error(`${rows[0]?.count} mails`)
  })
  // Mails may be quicker than the first of these.
  await eventually(() => {
    if (slack.calls.length < 8) throw new Error(`${slack.calls.length} calls`)
  })
  t.equal(slack.calls.length, 8, 'as many as are asked at once')
  hold.release()
  await settled(database)
  t.equal(slack.posts.length, 20)
})

t.test('who prefers Slack and is not there gets a mail', async t => {
  const { connect, database, notifier, notify, slack } = await rig(t)
  await connect()
  await database.query(
    `insert into people (id, email, default_notification_method) values ('p1', 'nobody@example.com', 'SLACK')`,
  )
  await database.query(`insert into memberships (id, person_id, organization_id) values ('m1', 'p1', 'org1')`)
  await notify({ to: 'nobody@example.com', method: null })
  notifier().start()
  t.same(await settled(database), [['nobody@example.com', 'DELIVERED', null]])
  t.match((await database.query('select recipient from mails')).rows, [{ recipient: 'nobody@example.com' }])
  t.equal(slack.posts.length, 0)
})

t.test('an answer about an old token does not disconnect the workspace that was connected since', async t => {
  const { connect, connections, database, notifier, notify, slack } = await rig(t)
  await connect()
  const hold = held()
  slack.answers = hold.until
  slack.answer = () => ({ error: 'token_revoked' })
  await notify({ to: '#ops', method: null })
  notifier().start()
  await eventually(() => {
    if (slack.posts.length === 0) throw new Error('not asked yet')
  })
  await connect('xoxb-a-newer-token')
  hold.release()
  t.match(await settled(database), [['#ops', 'FAILED', /not connected any more/]])
  t.match(await connections.find('org1' as never), { workspace: 'Quill' })
})

t.test('what Slack has is written down, also when the database was away for a moment', async t => {
  const { connect, database, notifier, notify, slack } = await rig(t)
  await connect()
  await notify({ to: '#ops', method: null })
  let failures = 1
  const flaky: Database = {
    ...database,
    query: (text, values) => {
      if (!text.includes(`'DELIVERED', error`) || failures === 0) return database.query(text, values)
      failures -= 1
      return Promise.reject(new AppError('unavailable'))
    },
  }
  notifier({ database: flaky }).start()
  t.same(await settled(database), [['#ops', 'DELIVERED', null]], 'long before the lease ends')
  t.equal(slack.posts.length, 1)
})

t.test('one that breaks this server every time does so for a day only, and keeps no other', async t => {
  const { connections, database, notifier, notify } = await rig(t)
  await notify({ to: '#ops', method: null })
  await notify({ to: 'ada@example.com' })
  const broken = Object.assign(Object.create(connections), {
    token: () => Promise.reject(new TypeError('it broke')),
  }) as SlackConnections
  notifier({ connections: broken }).start()
  await eventually(async () => {
    const { rows } = await database.query(
      'select recipient, status, error, next_attempt_at > now() as waits from notification_deliveries order by recipient',
    )
    if (rows[0]?.error === null || rows[1]?.status === 'PENDING') throw new Error('not yet')
    t.match(rows, [{ status: 'PENDING', error: /on this server/, waits: true }, { status: 'DELIVERED' }])
  })
  await database.query(
    `update notification_deliveries set next_attempt_at = now(), created_at = now() - interval '25 hours'`,
  )
  t.match(await settled(database), [['#ops', 'FAILED', /on this server/], ['ada@example.com']])
})

t.test('an answer without end is not read to its end', async t => {
  const { connect, database, notifier, notify, slack } = await rig(t)
  await connect()
  slack.answer = () => ({ filler: 'x'.repeat(2_000_000) })
  await notify({ to: '#ops', method: null })
  notifier().start()
  await eventually(async () => {
    const { rows } = await database.query('select error from notification_deliveries')
    if (rows[0]?.error === null) throw new Error('not yet')
    t.match(rows, [{ error: 'Slack did not answer.' }])
  })
})

t.test('an action in a loop is stopped', async t => {
  const { database, notifier, notify } = await rig(t)
  for (let count = 0; count < limits.notificationsPerHourMax + 20; count += 1)
    await notify({ to: 'ada@example.com', method: 'EMAIL' })
  notifier().start()
  const ends = await settled(database)
  const delivered = ends.filter(([, status]) => status === 'DELIVERED').length
  // Those taken together are counted together.
  t.ok(
    delivered >= limits.notificationsPerHourMax && delivered < limits.notificationsPerHourMax + 8,
    `${delivered}`,
  )
})

t.test('a nonce of a round trip over Slack opens once, for who took it', async t => {
  const { connections, database } = await rig(t)
  await database.query(`insert into people (id, email) values ('p1', 'a@b.c'), ('p2', 'd@e.f')`)
  const organizationId = 'org1' as never
  const nonce = await connections.begin({ userId: 'p1' as never, organizationId })
  t.equal(await connections.claim(nonce, 'p2' as never), null, 'another person')
  t.equal(await connections.claim('something else', 'p1' as never), null)
  t.match(await connections.claim(nonce, 'p1' as never), { slug: 'ours' })
  t.equal(await connections.claim(nonce, 'p1' as never), null, 'a second time')
  const late = await connections.begin({ userId: 'p1' as never, organizationId })
  await database.query(`update slack_requests set expires_at = now() - interval '1 second'`)
  t.equal(await connections.claim(late, 'p1' as never), null, 'too late')
})

async function rig(t: Test) {
  const slack = await SlackServer.start(t)
  // Opening one takes longer than all that a test does with it.
  await database.query('delete from organizations')
  await database.query('delete from people')
  await database.query(`insert into organizations (id, slug, name) values ('org1', 'ours', 'Ours')`)
  await database.query(
    `insert into environments (id, organization_id, slug, name) values ('env1', 'org1', 'production', 'Production')`,
  )
  const connections = new SlackConnections(database, 'a secret for tests only')
  await database.query(`insert into people (id, email) values ('admin', 'admin@example.com')`)
  return {
    database,
    slack,
    connections,
    connect: (token = 'xoxb-the-token') =>
      connections.connect('org1' as never, {
        token,
        workspace: 'Quill',
        userId: 'admin' as never,
      }),
    notifier(overrides: Partial<NotifierOptions> = {}): Notifier {
      const made = new Notifier({
        database,
        slack: new Slack({ clientId: 'id', clientSecret: new Secret('the secret'), url: slack.url }),
        connections,
        clock: systemClock(),
        log: silentLog,
        appUrl: 'http://app.test',
        sweepMs: 20,
        ...overrides,
      })
      t.teardown(() => made.stop())
      return made
    },
    notify: ({ to, method = null, message = 'Something happened' }: NotifyOptions) =>
      recordNotification(database, {
        organizationId: 'org1' as never,
        environmentId: 'env1',
        senderId: null,
        transactionId: null,
        title: 'News',
        message,
        deliveries: [{ to, method }],
        idempotencyKey: randomUUID(),
        createdAtMs: Date.now(),
      }),
  }
}

/** A promise that the test resolves. */
function held(): { until: Promise<void>; release: () => void } {
  let release: () => void = () => undefined
  const until = new Promise<void>(resolve => {
    release = resolve
  })
  return { until, release }
}

interface NotifyOptions {
  readonly to: string
  readonly method?: 'EMAIL' | 'SLACK' | null
  readonly message?: string
}

/** Waits until nothing waits, and returns how all ended. */
async function settled(database: Database): Promise<[string, string, string | null][]> {
  return await eventually(async () => {
    const { rows } = await database.query<{ recipient: string; status: string; error: string | null }>(
      'select recipient, status, error from notification_deliveries order by recipient collate "C"',
    )
    if (rows.some(({ status }) => status === 'PENDING')) throw new Error('something waits')
    return rows.map(({ recipient, status, error }) => [recipient, status, error])
  }, 20_000)
}
