/**
 * Work that waits: put in and taken out by a real SDK, seen and started by those it is for, over a real node; it expires,
 * and people are reminded of it, also when the node was killed meanwhile.
 */
import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import t from 'tap'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import type { TestContext, TestIo } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'

t.setTimeout(300_000)

interface Queued {
  readonly id: string
  readonly assignee?: string
  readonly params?: Record<string, unknown>
}

interface SdkInterval {
  listen(): Promise<void>
  enqueue(slug: string, options?: { assignee?: string; params?: Record<string, unknown> }): Promise<Queued>
  dequeue(id: string): Promise<Queued>
}

const { default: Interval } = createRequire(import.meta.url)('@interval/sdk') as {
  default: new (config: object) => SdkInterval
}

const server = await TestServer.start()
const seeded = await server.seed()
await server.admin('createUser', {
  email: 'other@example.com',
  password: seeded.password,
  membership: { organizationId: seeded.organization.id, permissions: ['ACTION_RUNNER'] },
})
const [mine, theirs] = await Promise.all(
  [seeded.user.email, 'other@example.com'].map(async email => {
    const cookie = await server.signIn(email, seeded.password)
    return { cookie, browser: await BrowserClient.connect(server.address, cookie) }
  }),
)
if (!mine || !theirs) throw new Error('nobody is signed in')
t.teardown(async () => {
  mine.browser.close()
  theirs.browser.close()
  await server.stop()
  // SDKs go on reconnecting for ever, some even after they were closed.
  setTimeout(() => process.exit(), 500).unref()
})

const seen: Record<string, unknown>[] = []
const interval = new Interval({
  apiKey: seeded.liveKey,
  endpoint: server.endpoint,
  logLevel: 'quiet',
  routes: {
    waits: async (_io: TestIo, ctx: TestContext) => {
      seen.push(ctx.params)
      return ctx.params
    },
  },
})
await interval.listen()
const place = { organization: seeded.organization.slug, environment: 'production' }
const list = async (browser: BrowserClient) => (await browser.ask('queue.list', place)).items

t.test('what was put in is started with its parameters, once, by whom it is for', async t => {
  const at = new Date('2026-02-03T04:05:06.789Z')
  const params = { text: 'ö "quoted"', number: 1.5, yes: true, nothing: null, missing: undefined, at }
  const { id } = await interval.enqueue('waits', { assignee: seeded.user.email, params })
  t.match(await list(mine.browser), [{ id, slug: 'waits', mine: true, expiresAt: null }])
  t.same(await list(theirs.browser), [], 'not theirs to see')
  const start = { ...place, slug: 'waits', queueItemId: id }
  const denied = await refusal(
    theirs.browser.ask('transaction.start', { ...start, transactionId: randomUUID() }),
  )
  t.equal(denied.code, 'not-found')
  const transactionId = randomUUID()
  await mine.browser.ask('transaction.start', { ...start, transactionId })
  await mine.browser.event('transaction.completed', data => data.transactionId === transactionId)
  t.same(seen, [params])
  t.same(await list(mine.browser), [])
  await mine.browser.ask('transaction.start', { ...start, transactionId })
  t.equal(seen.length, 1, 'asked for again it is the same run')
  const again = await refusal(
    mine.browser.ask('transaction.start', { ...start, transactionId: randomUUID() }),
  )
  t.equal(again.code, 'conflict')
  await t.rejects(interval.dequeue(id), 'it was started')
})

t.test('what is for nobody in particular is for all; the host takes it out again', async t => {
  const { id } = await interval.enqueue('waits', { params: { n: 2 } })
  t.match(await list(mine.browser), [{ id, mine: false }])
  t.match(await list(theirs.browser), [{ id, mine: false }])
  t.match(await interval.dequeue(id), { id, params: { n: 2 } })
  t.same(await list(mine.browser), [])
  await t.rejects(interval.dequeue(id))
})

t.test('what is wrong is refused: key, action, assignee, parameters', async t => {
  const ask = async (body: unknown, key: string | null = seeded.liveKey) => {
    const response = await fetch(`${server.address}/api/actions/enqueue`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as { type: string; message: string } }
  }
  t.match(await ask({ slug: 'waits' }, null), { status: 401, body: { type: 'error' } })
  t.match(await ask({ slug: 'waits' }, 'live_wrong'), { status: 403, body: { type: 'error' } })
  t.match(await ask({ slug: 'unknown' }), { status: 404, body: { message: /no such action/ } })
  t.match(await ask({ slug: 'waits', assignee: 'x@example.com' }), {
    status: 404,
    body: { message: /member/ },
  })
  t.match(await ask({ slug: 'waits', params: 'text' }), { status: 400, body: { message: /params/ } })
  t.match(await ask({ slug: 'waits', expiresAt: 'soon' }), { status: 400, body: { message: /expiresAt/ } })
  t.match(await ask({ slug: 'waits' }, seeded.developmentKey), { status: 404 }, 'another environment')
})

t.test('given to somebody else and thrown away, by those who may', async t => {
  const { id } = await interval.enqueue('waits')
  const path = `/api/v1/organizations/${place.organization}/environments/production/queue/${id}`
  const change = async (method: string, cookie: string, body?: object): Promise<number> => {
    const headers = { cookie, origin: server.address, 'content-type': 'application/json' }
    const response = await fetch(`${server.address}${path}`, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) }),
    })
    return response.status
  }
  t.equal(await change('PATCH', theirs.cookie, { assignee: 'other@example.com' }), 403)
  t.equal(await change('DELETE', theirs.cookie), 403)
  t.equal(await change('PATCH', mine.cookie, { assignee: 'nobody@example.com' }), 404)
  t.equal(await change('PATCH', mine.cookie, { assignee: 'other@example.com' }), 200)
  t.match(await list(mine.browser), [{ id, mine: false, others: 'other@example.com' }], 'who decides sees it')
  t.match(await list(theirs.browser), [{ id, mine: true }])
  t.equal(await change('DELETE', mine.cookie), 200)
  t.equal(await change('DELETE', mine.cookie), 404)
  t.same(await list(theirs.browser), [])
})

t.test(
  'it expires, and people are reminded, whether the node lives or has been killed meanwhile',
  async t => {
    const soon = (ms: number): string => new Date(Date.now() + ms).toISOString()
    const ask = async (body: object): Promise<string> => {
      const response = await fetch(`${server.address}/api/actions/enqueue`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${seeded.liveKey}` },
        body: JSON.stringify({ slug: 'waits', ...body }),
      })
      return ((await response.json()) as { id: string }).id
    }
    const short = await ask({ expiresAt: soon(500) })
    await eventually(async () => {
      if ((await list(mine.browser)).some(({ id }) => id === short)) throw new Error('it is still there')
    })
    const reminded = await ask({
      assignee: 'other@example.com',
      remindAt: soon(2_000),
      expiresAt: soon(3_600_000),
    })
    const late = await ask({ expiresAt: soon(2_000) })
    await server.kill()
    mine.browser.drop()
    await server.run()
    await mine.browser.reopen()
    await eventually(async () => {
      const ids = (await list(mine.browser)).map(({ id }) => id)
      if (ids.includes(late)) throw new Error('it is still there')
    })
    theirs.browser.drop()
    await theirs.browser.reopen()
    t.match(await list(theirs.browser), [{ id: reminded }], 'a reminder leaves it where it is')
  },
)
