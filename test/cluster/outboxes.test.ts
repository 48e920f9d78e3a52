/** Two nodes on one Postgres, each with its own connections: every mail is sent once, every notification delivered once. */
import t, { type Test } from 'tap'
import { SlackConnections } from '../../lib/accounts/index.js'
import { recordNotification } from '../../lib/accounts/notifications.js'
import { type Database, openDatabase } from '../../lib/database/index.js'
import { Secret, silentLog } from '../../lib/log.js'
import { enqueueMail, Mailer, mailTransportOf } from '../../lib/mail/index.js'
import { Notifier } from '../../lib/node/notifier.js'
import { systemClock } from '../../lib/partitions/index.js'
import { Slack } from '../../lib/slack/index.js'
import { eventually } from '../support/eventually.js'
import { MailServer } from '../support/mail-server.js'
import { startPostgres } from '../support/postgres.js'
import { SlackServer } from '../support/slack-server.js'

const count = 150

t.test('two nodes share the work and do none of it twice', async t => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.stop())
  t.comment(postgres.kind)
  const [mails, slack] = [await MailServer.start(t), await SlackServer.start(t)]
  const nodes = [await node(t, postgres.url), await node(t, postgres.url)]
  const [first] = nodes
  if (!first) throw new Error('no node')
  await first.migrate()
  await first.query(`insert into organizations (id, slug, name) values ('org1', 'ours', 'Ours')`)
  await first.query(
    `insert into environments (id, organization_id, slug, name) values ('env1', 'org1', 'production', 'Production')`,
  )
  await first.query(`insert into people (id, email) values ('p1', 'admin@example.com')`)
  const secret = 'a secret for tests only'
  await new SlackConnections(first, secret).connect('org1' as never, {
    token: 'xoxb-the-token',
    workspace: 'Quill',
    userId: 'p1' as never,
  })
  for (let index = 0; index < count; index += 1) {
    await enqueueMail(first, {
      organizationId: null,
      kind: 'account',
      to: `direct${index}@example.com`,
      subject: 'Hello',
      text: 'Hello',
      html: 'Hello',
    })
    await recordNotification(first, {
      organizationId: 'org1' as never,
      environmentId: 'env1',
      senderId: null,
      transactionId: null,
      title: null,
      message: `Number ${index}`,
      deliveries: [
        { to: `noted${index}@example.com`, method: null },
        { to: `#channel${index}`, method: null },
      ],
      idempotencyKey: null,
      createdAtMs: Date.now(),
    })
  }
  for (const database of nodes) {
    const common = { database, clock: systemClock(), log: silentLog, sweepMs: 20 }
    const transport = mailTransportOf({
      from: 'a@sender.test',
      postmark: null,
      smtp: { url: new Secret(mails.url) },
    })
    const mailer = new Mailer({ ...common, transport })
    const notifier = new Notifier({
      ...common,
      slack: new Slack({ clientId: 'id', clientSecret: new Secret('x'), url: slack.url }),
      connections: new SlackConnections(database, secret),
      appUrl: 'http://app.test',
    })
    t.teardown(() => Promise.all([mailer.stop(), notifier.stop()]))
    mailer.start()
    notifier.start()
  }
  await eventually(async () => {
    const { rows } = await first.query<{ waiting: number }>(
      `select (select count(*) from mails where status <> 'SENT')::integer
         + (select count(*) from notification_deliveries where status <> 'DELIVERED')::integer as waiting`,
    )
    if (rows[0]?.waiting !== 0) throw new Error(`${rows[0]?.waiting} wait`)
  }, 40_000)
  const sent = mails.mails.map(({ to }) => to[0])
  t.equal(sent.length, 2 * count)
  t.equal(new Set(sent).size, 2 * count)
  t.equal(slack.posts.length, count)
  t.equal(new Set(slack.posts.map(({ channel }) => channel)).size, count)
})

async function node(t: Test, url: string): Promise<Database> {
  const database = await openDatabase({ url, log: silentLog })
  t.teardown(() => database.close())
  return database
}
