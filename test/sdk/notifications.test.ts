/** Notifications of a real host, through a real node, to a real mail server: what actions say, and what runs say. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { linkIn, MailServer } from '../support/mail-server.js'
import { sdkHost } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'

t.setTimeout(300_000)
const mails = await MailServer.start(t)
const server = await TestServer.start({
  environment: { SMTP_URL: mails.url, EMAIL_FROM: 'mail@sender.test' },
})
const seeded = await server.seed()
const me = seeded.user.email
const cookie = await server.signIn(me, seeded.password)
const browser = await BrowserClient.connect(server.address, cookie)
t.teardown(async () => {
  browser.close()
  await server.stop()
  // SDKs go on reconnecting for ever, some even after they were closed.
  setTimeout(() => process.exit(), 500).unref()
})

/** What the action waits for before it asks, and before it ends: nothing, unless a test says so. */
const gates = { question: Promise.resolve(), end: Promise.resolve() }

const actions = {
  says: async (_io: unknown, ctx: { notify(options: object): Promise<void> }) => {
    await ctx.notify({ title: 'News', message: 'it is done', delivery: [{ to: 'far@example.com' }] })
  },
  cleans: async () => 'clean',
  asks: async (io: { input: { text(label: string): Promise<string> } }) => {
    await gates.question
    const answer = await io.input.text('Well?')
    await gates.end
    if (answer === 'break') throw new Error('it broke')
    return answer
  },
}
for (const apiKey of [seeded.liveKey, seeded.developmentKey]) {
  const host = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey,
    actions: actions as never,
    backgroundable: ['asks', 'cleans'],
  })
  await host.listen()
}
const place = { organization: seeded.organization.slug, environment: 'production' }
const start = async (slug: string, where = place): Promise<string> => {
  const transactionId = randomUUID()
  await browser.ask('transaction.start', { ...where, slug, transactionId })
  return transactionId
}
const to = (address: string) => mails.mails.filter(mail => mail.to.includes(address))

t.test('what an action says arrives once, with a link to its run', async t => {
  const id = await start('says')
  const mail = await mails.received('far@example.com')
  t.equal(mail.headers.get('subject'), 'News')
  t.match(mail.text, 'it is done')
  t.match(mail.text, '"says" at Test Runner')
  t.match(new URL(linkIn(mail)).pathname, `/dashboard/test-runner/transactions/${id}`)
})

t.test('what is said before the history knows of the run names its action too', async t => {
  // Each of them was a race, which the history lost in one of six.
  const others = 24
  for (let count = 3; count <= others; count += 3) {
    await Promise.all(Array.from({ length: 3 }, () => start('says')))
    await mails.received('far@example.com', 1 + count)
  }
  const nameless = to('far@example.com').filter(mail => !mail.text.includes('"says" at Test Runner'))
  t.equal(nameless.length, 0, `of ${others}`)
})

t.test('a console shows, and sends nothing', async t => {
  await start('says', { ...place, environment: 'development' })
  await start('says')
  await mails.received('far@example.com', 26)
  t.equal(to('far@example.com').length, 26)
})

t.test('a run in the background says that it waits, and how it ended, to who does not look', async t => {
  const subjects = (): (string | undefined)[] => to(me).map(mail => mail.headers.get('subject'))
  const answer = async (transactionId: string, value: string): Promise<void> => {
    const step = await eventually(async () => {
      const { steps } = await browser.ask('transaction.attach', { transactionId })
      if (!steps[0]) throw new Error('no question yet')
      return steps[0]
    })
    await browser.ask('transaction.answer', {
      transactionId,
      requestId: randomUUID(),
      inputGroupKey: step.call.inputGroupKey,
      renderId: step.call.id,
      kind: 'RETURN',
      values: [value],
    })
  }
  const looked = await start('asks')
  await answer(looked, 'yes')
  await eventually(async () => {
    const { result } = await browser.ask('transaction.attach', { transactionId: looked })
    if (result === null) throw new Error('it has not ended')
  })

  for (const [value, end] of [
    ['yes', '"asks" has completed'],
    ['break', '"asks" has failed'],
  ] as const) {
    const before = to(me).length
    const openGates: (() => void)[] = []
    const gate = () => new Promise<void>(resolve => openGates.push(resolve))
    gates.question = gate()
    gates.end = gate()
    const transactionId = await start('asks')
    await browser.ask('transaction.leave', { transactionId })
    openGates[0]?.()
    await mails.received(me, before + 1)
    await answer(transactionId, value)
    await browser.ask('transaction.leave', { transactionId })
    openGates[1]?.()
    const last = await mails.received(me, before + 2)
    t.same(subjects().slice(before), ['"asks" waits for you', end])
    if (value === 'break') t.match(last.text, 'it broke')
  }
  t.equal(to(me).length, 4, 'who looked on was told nothing')
  gates.question = Promise.resolve()
  gates.end = Promise.resolve()
})

t.test('without a recipient it is the action’s own list, else who has started it', async t => {
  const settings = `${server.address}/api/v1/organizations/test-runner/environments/production/settings`
  const headers = { cookie, 'content-type': 'application/json', origin: server.address }
  const { actions: known } = (await (await fetch(settings, { headers })).json()) as {
    actions: { id: string; slug: string }[]
  }
  const action = known.find(({ slug }) => slug === 'asks')
  const notify = async (transactionId: string) =>
    await fetch(`${server.address}/api/notify`, {
      method: 'POST',
      headers: { authorization: `Bearer ${seeded.liveKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ transactionId, message: 'to whom?', deliveryInstructions: [] }),
    })
  const id = await start('asks')
  const before = to(me).length
  t.equal((await notify(id)).status, 200)
  t.match((await mails.received(me, before + 1)).text, 'to whom?')
  const changed = await fetch(`${settings}/actions/${action?.id}`, {
    method: 'PATCH',
    headers,
    body: JSON.stringify({ notifications: [{ to: 'list@example.com', method: 'EMAIL' }] }),
  })
  t.equal(changed.status, 200)
  t.equal((await notify(id)).status, 200)
  t.match((await mails.received('list@example.com')).text, 'to whom?')
  t.equal(to(me).length, before + 1)
})

t.test('what was sent to somebody is in their dashboard too', async t => {
  const list = async () => {
    const url = `${server.address}/api/v1/organizations/test-runner/notifications`
    const body = (await (await fetch(url, { headers: { cookie } })).json()) as {
      notifications: { arrivedAt: string }[]
    }
    return body.notifications
  }
  t.match(await list(), [{ message: 'to whom?', environment: 'production', isNew: true }])
  const [newest] = await list()
  await fetch(`${server.address}/api/v1/organizations/test-runner/notifications/seen`, {
    method: 'POST',
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    body: JSON.stringify({ until: newest?.arrivedAt }),
  })
  t.match(await list(), [{ isNew: false }])
})

t.test('who a schedule runs as hears of success where that is wanted', async t => {
  const headers = { cookie, origin: server.address, 'content-type': 'application/json' }
  const schedule = async (notifyOnSuccess: boolean): Promise<string> => {
    const response = await fetch(`${server.address}/api/v1/schedules`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ...place, action: 'cleans', cron: '0 0 1 1 *', notifyOnSuccess }),
    })
    const body = (await response.json()) as { id: string }
    t.match(body, { notifyOnSuccess })
    return `${server.address}/api/v1/schedules/${body.id}`
  }
  const [quiet, told] = [await schedule(false), await schedule(false)]
  // That alone is a change too.
  const body = JSON.stringify({ notifyOnSuccess: true })
  t.match(await (await fetch(told, { method: 'PATCH', headers, body })).json(), { notifyOnSuccess: true })
  const before = to(me).length
  for (const url of [quiet, told]) {
    t.equal((await fetch(`${url}/run`, { method: 'POST', headers, body: '{}' })).status, 202)
    await eventually(async () => {
      const { runs } = (await (await fetch(url, { headers: { cookie } })).json()) as {
        runs: { status: string }[]
      }
      if (runs[0]?.status !== 'SUCCESS') throw new Error(`${runs[0]?.status}`)
    }, 30_000)
  }
  const mail = await mails.received(me, before + 1)
  t.equal(mail.headers.get('subject'), '"cleans" has completed')
  t.equal(to(me).length, before + 1, 'and nothing of the other')
})

t.test('what was sent and what waits can be measured', async t => {
  const valueIn = (text: string, name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1])
  // That it was sent is written a moment after the mail server has it.
  const text = await eventually(async () => {
    const said = await (await fetch(`${server.address}/metrics`)).text()
    if (valueIn(said, 'interval_mails_sent_total') < mails.mails.length) throw new Error(said)
    if (!/^interval_waiting\{for="mail"\} 0$/m.test(said)) throw new Error(said)
    return said
  })
  const value = (name: string) => valueIn(text, name)
  t.equal(value('interval_mails_sent_total'), mails.mails.length)
  t.equal(value('interval_notifications_delivered_total'), mails.mails.length)
  for (const name of ['mails_failed_total', 'mails_retried_total', 'notifications_failed_total'])
    t.equal(value(`interval_${name}`), 0, name)
  t.match(text, /^interval_waiting\{for="notification"\} 0$/m)
})
