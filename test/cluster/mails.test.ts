/** Mails and `kill -9`: what was committed is sent, and what was being sent is sent again under the same name. */
import t from 'tap'
import { type Database, openDatabase } from '../../lib/database/index.js'
import { silentLog } from '../../lib/log.js'
import { enqueueMail } from '../../lib/mail/index.js'
import { eventually } from '../support/eventually.js'
import { MailServer } from '../support/mail-server.js'
import { TestServer } from '../support/server.js'
import { query } from './measure.js'

const mail = {
  organizationId: null,
  kind: 'account',
  to: 'ada@example.com',
  subject: 'Hello',
  text: 'Hello',
  html: '<p>Hello</p>',
} as const

t.test(
  'what was committed is sent after a kill; what was being sent is sent again, with the same Message-ID',
  async t => {
    const { mails, server } = await rig(t)
    await server.kill()
    const id = await inDatabase(server, database => enqueueMail(database, mail))
    let confirm: () => void = () => undefined
    mails.confirms = new Promise(resolve => {
      confirm = resolve
    })
    await server.run()
    t.match((await mails.received(mail.to)).headers.get('message-id'), id, 'sent after the kill')
    t.equal(mails.mails.length, 1)

    // The mail server has it, and has not said so.
    await server.kill()
    confirm()
    await inDatabase(server, async database => {
      const { rows } = await database.query(
        'select status, attempts, next_attempt_at > now() as held from mails',
      )
      t.match(rows, [{ status: 'WAITING', attempts: 1, held: true }])
      // As if the lease were over: two minutes.
      await database.query('update mails set next_attempt_at = now()')
      await database.query(
        `insert into audit_log (id, name, at) values ('ancient', 'a', now() - interval '9 days')`,
      )
      await database.query('update turns set next_at = now()')
    })
    await server.run()
    t.match((await mails.received(mail.to, 2)).headers.get('message-id'), id, 'sent twice, under one name')
    await eventually(async () => {
      const old = await query(server, `select from audit_log where id = 'ancient'`)
      if (old.length > 0) throw new Error('what is old is not forgotten yet')
    })
    await server.kill('SIGTERM')
    t.equal(mails.mails.length, 2)
    await inDatabase(server, async database => {
      t.match((await database.query('select status, text from mails')).rows, [{ status: 'SENT', text: null }])
    })
  },
)

async function rig(t: Teardown): Promise<{ mails: MailServer; server: TestServer }> {
  const mails = await MailServer.start(t)
  const server = await TestServer.start({
    environment: { SMTP_URL: mails.url, EMAIL_FROM: 'a@sender.test', AUDIT__KEPT_DAYS: '7' },
  })
  t.teardown(() => server.stop())
  return { mails, server }
}

interface Teardown {
  teardown(work: () => unknown): unknown
}

/** Works on the embedded database of a node that does not run. */
async function inDatabase<T>(server: TestServer, work: (database: Database) => Promise<T>): Promise<T> {
  const database = await eventually(() => openDatabase({ directory: server.folder, log: silentLog }), 30_000)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}
