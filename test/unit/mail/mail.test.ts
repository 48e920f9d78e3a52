/** Mails against a real mail server, a stand-in for Postmark's API, and a real database. */
import { createServer } from 'node:http'
import { createServer as createNetServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Database } from '../../../lib/database/index.js'
import type { OrganizationId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { Secret, silentLog } from '../../../lib/log.js'
import { enqueueMail, invitationLetter, Mailer, mailTransportOf } from '../../../lib/mail/index.js'
import { retryMs } from '../../../lib/mail/outbox.js'
import { systemClock } from '../../../lib/partitions/index.js'
import { testDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { MailServer } from '../../support/mail-server.js'
import { freePort } from '../../support/ports.js'

const letter = { subject: 'Grüße', text: 'Hello\nthere', html: '<p>Hello</p>' }
const account = { ...letter, organizationId: null, kind: 'account' } as const
const from = 'Interval <mail@sender.test>'

t.test('a mail comes with the transaction it is written in, once, and what it said is forgotten', async t => {
  const { database, mailer, server } = await rig(t)
  await database
    .transaction(async client => {
      await enqueueMail(client, { ...account, to: 'never@example.com' })
      throw new Error('rolled back')
    })
    .catch(() => undefined)
  const id = await database.transaction(client => enqueueMail(client, { ...account, to: 'ada@example.com' }))
  mailer().start()
  const mail = await server.received('ada@example.com')
  t.equal(mail.from, 'mail@sender.test')
  t.equal(mail.headers.get('subject'), 'Grüße')
  t.equal(mail.headers.get('message-id'), `<${id}@sender.test>`)
  t.match(mail.text, /Hello\r?\nthere/)
  t.match(mail.html, '<p>Hello</p>')
  const row = await eventually(async () => {
    const found = await rowOf(database, id)
    if (found?.status !== 'SENT') throw new Error(found?.status)
    return found
  })
  t.match(row, { text: null, html: null, next_attempt_at: null, attempts: 1 })
  t.equal(server.mails.length, 1, 'and nothing of what was rolled back')
})

t.test('two nodes on one outbox send each mail once', async t => {
  const { database, mailer, server } = await rig(t)
  const addresses = Array.from({ length: 60 }, (_, index) => `person${index}@example.com`)
  for (const to of addresses) await enqueueMail(database, { ...account, to })
  const both = [mailer(), mailer()]
  for (const each of both) each.start()
  await waiting(database, 0)
  t.same(server.mails.map(mail => mail.to[0]).sort(), [...addresses].sort())
})

t.test(
  'what is refused for good has failed; what is refused for now is tried again until its time is over',
  async t => {
    const { database, mailer, server } = await rig(t)
    server.refuse = to => (to.startsWith('gone') ? 550 : to.startsWith('busy') ? 451 : undefined)
    const gone = await enqueueMail(database, { ...account, to: 'gone@example.com' })
    const busy = await enqueueMail(database, { ...account, to: 'busy@example.com' })
    mailer().start()
    await eventually(async () => {
      const [one, other] = [await rowOf(database, gone), await rowOf(database, busy)]
      if (one?.status !== 'FAILED' || other?.error == null) throw new Error('not yet')
      t.match(one, { attempts: 1, next_attempt_at: null, error: /550/ })
      t.match(other, { status: 'WAITING', attempts: 1, error: /451/ })
    })
    const { rows } = await database.query<{ seconds: number }>(
      'select extract(epoch from next_attempt_at - now())::float8 as seconds from mails where id = $1',
      [busy],
    )
    t.ok((rows[0]?.seconds ?? 0) > 5 && (rows[0]?.seconds ?? 99) <= 15, 'in 15 s')
    await database.query(`update mails set next_attempt_at = now(), deadline_at = now() where id = $1`, [
      busy,
    ])
    await eventually(async () => {
      if ((await rowOf(database, busy))?.status !== 'FAILED') throw new Error('not yet')
    })
  },
)

t.test('a mail server that is down loses nothing', async t => {
  const { database, mailer, server } = await rig(t)
  await server.stop()
  const id = await enqueueMail(database, { ...account, to: 'ada@example.com' })
  mailer().start()
  await eventually(async () => {
    const row = await rowOf(database, id)
    if (row?.error == null) throw new Error('not yet')
    t.match(row, { status: 'WAITING', error: /ECONNREFUSED/ })
  })
})

t.test('what was given up is not sent later: the connection of a server that dawdles is cut', async t => {
  const server = await DawdlingServer.start(t)
  const smtp = { url: new Secret(`smtp://127.0.0.1:${server.port}`) }
  const transport = mailTransportOf({ from, postmark: null, smtp }, 400)
  t.teardown(() => transport?.close())
  const sent = Array.from({ length: 6 }, (_, index) =>
    transport?.send({ ...letter, id: `mail${index}`, to: 'ada@example.com' }),
  )
  for (const result of await Promise.all(sent))
    t.same(result, { is: 'later', reason: 'The mail server did not answer in time.' })
  server.isHelpful = true
  t.same(await transport?.send({ ...letter, id: 'the-next', to: 'ada@example.com' }), { is: 'sent' })
  await server.idle()
  t.same(server.ids, ['the-next'])
})

t.test('waits longer each time, an hour at most', async t => {
  t.same([1, 2, 3, 9, 200].map(retryMs), [15_000, 30_000, 60_000, 3_600_000, 3_600_000])
})

t.test('without a way to send, mails are kept', async t => {
  const database = await testDatabase(t, { isReal: true })
  const id = await enqueueMail(database, { ...account, to: 'ada@example.com' })
  const mailer = new Mailer({ database, transport: null, clock: systemClock(), log: silentLog, sweepMs: 20 })
  t.teardown(() => mailer.stop())
  mailer.start()
  await waiting(database, 0)
  t.match(await rowOf(database, id), { status: 'KEPT', text: letter.text })
})

t.test('an outbox has room for so many, each organization its own', async t => {
  const database = await testDatabase(t, { isReal: true })
  const organizationId = await organization(database)
  const mail = { ...letter, organizationId, kind: 'notification', to: 'ada@example.com' } as const
  await database.query(
    `insert into mails (id, organization_id, kind, recipient, subject, text, html, next_attempt_at, deadline_at)
     select 'mail' || number, $1, 'notification', 'a@b.c', '', '', '', now(), now() + interval '1 day'
     from generate_series(1, $2::integer) as number`,
    [organizationId, limits.mailsWaitingMax - 1],
  )
  await enqueueMail(database, mail)
  await t.rejects(enqueueMail(database, mail), { code: 'queue-full' })
  await t.resolves(enqueueMail(database, { ...account, to: 'ada@example.com' }))
})

t.test('nothing in a mail becomes a header, another recipient, or markup', async t => {
  const { database, mailer, server } = await rig(t)
  for (const to of ['a@b.c, d@e.f', 'x@y.z\r\nBcc: d@e.f', '"a b"@c.d', 'Ada <a@b.c>', 'ada', 'a@b.c;d@e.f'])
    await t.rejects(enqueueMail(database, { ...account, to }), { code: 'invalid-value' }, to)
  const content = invitationLetter({
    organization: 'A\r\nBcc: evil@example.com <b>&amp;</b>',
    inviter: '<script>alert(1)</script>',
    url: 'http://localhost:3000/signup?token=1&x="><script>',
    validDays: 30,
  })
  await enqueueMail(database, { ...content, organizationId: null, kind: 'invitation', to: 'ada@example.com' })
  mailer().start()
  const mail = await server.received('ada@example.com')
  t.same(mail.to, ['ada@example.com'])
  t.notOk(mail.headers.has('bcc'))
  t.equal(mail.headers.get('subject'), 'You are invited to join A Bcc: evil@example.com <b>&amp;</b>')
  t.notMatch(mail.html, /<script|<b>/)
  t.match(mail.html, '&lt;b&gt;&amp;amp;&lt;/b&gt;')
  const letterWith = (url: string) =>
    invitationLetter({ organization: 'A', inviter: null, url, validDays: 1 }).html
  t.notMatch(letterWith('javascript:alert(1)'), /javascript:/)
})

t.test('Postmark', async t => {
  const asked: { headers: Record<string, unknown>; body: Record<string, unknown> }[] = []
  let answer: { status: number; body: string } = { status: 200, body: '{"ErrorCode":0,"Message":"OK"}' }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      asked.push({ headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) })
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body)
    })
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const postmark = { key: new Secret('the key'), url: `http://127.0.0.1:${port}` }
  const transport = mailTransportOf({ from, postmark, smtp: null })
  const mail = { ...letter, id: 'mail1', to: 'ada@example.com' }
  t.same(await transport?.send(mail), { is: 'sent' })
  t.equal(asked[0]?.headers['x-postmark-server-token'], 'the key')
  t.match(asked[0]?.body, { From: from, To: mail.to, TextBody: mail.text, HtmlBody: mail.html })
  t.match(asked[0]?.body.Headers, [
    { Name: 'Message-ID', Value: '<mail1@sender.test>' },
    { Name: 'X-PM-KeepID' },
  ])

  answer = { status: 422, body: '{"ErrorCode":406,"Message":"Inactive recipient"}' }
  t.same(await transport?.send(mail), { is: 'refused', reason: 'Inactive recipient' })
  answer = { status: 401, body: '{"ErrorCode":10,"Message":"Bad token"}' }
  t.same(await transport?.send(mail), { is: 'later', reason: 'Bad token' }, 'a wrong token can be mended')
  answer = { status: 200, body: `{"ErrorCode":0,"Message":"OK","filler":"${'x'.repeat(1_000_000)}"}` }
  t.match(await transport?.send(mail), { is: 'later' }, 'an answer without end is not read')
  answer = { status: 500, body: 'oh no' }
  t.same(await transport?.send(mail), { is: 'later', reason: 'Postmark answered 500.' })
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  t.same(await transport?.send(mail), { is: 'later', reason: 'Postmark did not answer at all.' })
})

/** A mail server that takes mails, or says something about every command now and then and never comes to an end. */
class DawdlingServer {
  isHelpful = false
  /** Of the mails that were taken. */
  readonly ids: string[] = []
  readonly #server = createNetServer(socket => this.#serve(socket))
  readonly #sockets = new Set<Socket>()

  private constructor(readonly port: number) {}

  static async start(t: Test): Promise<DawdlingServer> {
    const server = new DawdlingServer(await freePort())
    await new Promise<void>(resolve => server.#server.listen(server.port, '127.0.0.1', resolve))
    t.teardown(() => {
      for (const socket of server.#sockets) socket.destroy()
      server.#server.close()
    })
    return server
  }

  /** Waits until nobody but the newest is connected. */
  async idle(): Promise<void> {
    await eventually(() => {
      if (this.#sockets.size > 1) throw new Error(`${this.#sockets.size} connections`)
    })
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.write('220 hello\r\n')
    let mail: string | null = null
    let dawdling: NodeJS.Timeout | undefined
    const end = () => {
      // What it was doing when it became helpful, it does now.
      if (!this.isHelpful) return
      clearInterval(dawdling)
      dawdling = undefined
      socket.write('250 done\r\n')
    }
    socket.on('close', () => {
      clearInterval(dawdling)
      this.#sockets.delete(socket)
    })
    socket.on('data', chunk => {
      const text = chunk.toString()
      if (mail !== null) {
        mail += text
        if (!mail.endsWith('\r\n.\r\n')) return
        this.ids.push(/^message-id: <([^@]+)/im.exec(mail)?.[1] ?? '?')
        mail = null
        socket.write('250 taken\r\n')
      } else if (/^data/i.test(text)) {
        mail = ''
        socket.write('354 go on\r\n')
      } else if (this.isHelpful || /^(ehlo|mail)/i.test(text)) socket.write('250 done\r\n')
      else {
        dawdling = setInterval(() => {
          socket.write('250-wait\r\n')
          end()
        }, 50)
      }
    })
  }
}

async function rig(t: Test) {
  const [database, server] = [await testDatabase(t), await MailServer.start(t)]
  const mailer = (): Mailer => {
    const transport = mailTransportOf({ from, postmark: null, smtp: { url: new Secret(server.url) } })
    const made = new Mailer({ database, transport, clock: systemClock(), log: silentLog, sweepMs: 20 })
    t.teardown(() => made.stop())
    return made
  }
  return { database, server, mailer }
}

interface Row {
  readonly status: string
  readonly attempts: number
  readonly error: string | null
  readonly text: string | null
}

async function rowOf(database: Database, id: string): Promise<Row | undefined> {
  return (await database.query<Row & Record<string, unknown>>('select * from mails where id = $1', [id]))
    .rows[0]
}

async function waiting(database: Database, count: number): Promise<void> {
  await eventually(async () => {
    const { rows } = await database.query<{ count: number }>(
      `select count(*)::integer as count from mails where status = 'WAITING'`,
    )
    if (rows[0]?.count !== count) throw new Error(`${rows[0]?.count} waiting`)
  }, 20_000)
}

async function organization(database: Database): Promise<OrganizationId> {
  await database.query(`insert into organizations (id, slug, name) values ('org1', 'org', 'Org')`)
  return 'org1' as OrganizationId
}
