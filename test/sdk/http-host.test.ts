/**
 * Serverless hosts with the handlers of the real SDK (2.0.0) against a real node: registered, asked to declare
 * themselves, woken for runs and pages, away and back, refused where the operator has not allowed it.
 */
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { Directory } from '../../lib/clients/wire.js'
import { BrowserClient, refusal } from '../support/browser-client.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { TestHttpHost } from '../support/http-host.js'
import { freePort } from '../support/ports.js'
import type { Handler } from '../support/sdk-host.js'
import { sdkHost, sdkVersions } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'

t.setTimeout(300_000)
const server = await TestServer.start({ flags: ['--hosts:http:allow=127.0.0.0/8'] })
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const place = { organization: seeded.organization.slug, environment: 'production' }
const browser = await BrowserClient.connect(server.address, cookie)
const opened: TestHttpHost[] = []

t.teardown(async () => {
  browser.close()
  await Promise.all(opened.map(host => host.close()))
  await server.stop()
  // SDKs go on reconnecting for ever.
  setTimeout(() => process.exit(), 500).unref()
})

/** A platform that starts a function for each request, in a thread of its own, and can end it. */
class Platform {
  readonly url: string
  readonly #server: Server
  readonly #threads = new Set<Worker>()

  private constructor(port: number, server: Server) {
    this.url = `http://127.0.0.1:${port}/function`
    this.#server = server
  }

  static async start(slug: string): Promise<Platform> {
    const port = await freePort()
    const platform = new Platform(
      port,
      createServer((request, response) => {
        const chunks: Buffer[] = []
        request.on('data', (chunk: Buffer) => chunks.push(chunk))
        request.on('end', () => {
          const event = {
            requestContext: { http: { method: 'POST' } },
            body: Buffer.concat(chunks).toString(),
          }
          const config = { apiKey: seeded.liveKey, endpoint: server.endpoint, logLevel: 'quiet' }
          const worker = new Worker(functionCode, {
            eval: true,
            workerData: { from: import.meta.url, slug, config, event },
          })
          platform.#threads.add(worker)
          worker.once('message', ({ statusCode }: { statusCode: number }) => {
            response.writeHead(statusCode).end()
            void worker.terminate()
          })
          worker.once('exit', () => {
            platform.#threads.delete(worker)
            if (!response.headersSent) response.writeHead(502).end()
          })
        })
      }),
    )
    await new Promise<void>(resolve => platform.#server.listen(port, '127.0.0.1', resolve))
    return platform
  }

  /** Ends all functions that run. */
  async end(): Promise<void> {
    await Promise.all([...this.#threads].map(thread => thread.terminate()))
  }

  async close(): Promise<void> {
    await this.end()
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

const functionCode = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { from, slug, config, event } = workerData
  const { default: Interval } = require('node:module').createRequire(from)('@interval/sdk/dist/experimental')
  const routes = { [slug]: { handler: async io => { await io.input.text('Before the end') } } }
  const interval = new Interval({ ...config, routes })
  interval.lambdaRequestHandler(event).then(answer => parentPort.postMessage(answer))
`

interface Reply {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: bodies of several routes, each asserted where it is read
  readonly body: any
}

async function api(method: string, path: string, body?: object): Promise<Reply> {
  const response = await fetch(`${server.address}/api/v1/organizations/${place.organization}${path}`, {
    method,
    headers: { cookie, origin: server.address, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

async function httpHost(options: Partial<Parameters<typeof TestHttpHost.start>[0]>) {
  const host = await TestHttpHost.start({ endpoint: server.endpoint, apiKey: seeded.liveKey, ...options })
  opened.push(host)
  return host
}

async function register(host: TestHttpHost): Promise<{ id: string; secret: string }> {
  const { status, body } = await api('POST', '/http-hosts', { url: host.url })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body
}

const listed = (): Promise<Directory> => browser.ask('directory.watch', place)

async function online(slug: string, isOnline = true): Promise<void> {
  await eventually(async () => {
    const { actions, pages } = await listed()
    const found = [...actions, ...pages].find(entry => entry.slug === slug)
    if (found?.online !== isOnline) throw new Error(`${slug} is ${JSON.stringify(found)}`)
  })
}

async function start(slug: string): Promise<string> {
  const transactionId = randomUUID()
  await browser.ask('transaction.start', { ...place, transactionId, slug })
  return transactionId
}

const completed = async (transactionId: string) =>
  (await browser.event('transaction.completed', data => data.transactionId === transactionId)).result

const hello: Handler = async (io, ctx) => {
  const name = await io.input.text('Your name')
  await ctx.log('said', name)
  return { name, environment: ctx.environment }
}

t.test('it is registered, declares itself, and its requests are signed', async t => {
  const host = await httpHost({ actions: { http_hello: hello } })
  const { id, secret } = await register(host)
  await online('http_hello')
  const [asked] = host.asked
  t.same(JSON.parse(asked?.body ?? ''), { httpHostId: id })
  const signature = String(asked?.headers['interval-signature'])
  const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? []
  t.equal(createHmac('sha256', secret).update(`${seconds}.${asked?.body}`).digest('hex'), digest)
  t.ok(Math.abs(Number(seconds) - Date.now() / 1_000) < 60)
  const list = await eventually(async () => {
    const { body } = await api('GET', '/http-hosts')
    const [first] = body.httpHosts
    if (first?.status !== 'ONLINE' || first.sdkVersion === null) throw new Error(JSON.stringify(body))
    return body.httpHosts
  })
  t.match(list, [{ id, url: host.url, sdkName: '@interval/sdk', sdkVersion: '2.0.0' }])
  t.notOk('secret' in list[0])
})

t.test('slugs that are not valid and teams that do not exist are reported', async t => {
  const host = opened[0] as TestHttpHost
  const { body } = await api('GET', '/http-hosts')
  const response = await fetch(`${server.address}/api/hosts/declare`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${seeded.liveKey}` },
    body: JSON.stringify({
      httpHostId: body.httpHosts[0].id,
      actions: [{ slug: 'not valid' }, { slug: 'http_team', access: { teams: ['nobody'] } }],
      ...{ sdkName: '@interval/sdk', sdkVersion: '2.0.0' },
    }),
  })
  t.match(await response.json(), {
    type: 'success',
    invalidSlugs: ['not valid'],
    warnings: ['The team "nobody", named in an access rule, does not exist.'],
  })
  await api('POST', `/http-hosts/${body.httpHosts[0].id}/check`, {})
  await online('http_hello')
  t.ok(host.asked.length > 1)
})

t.test('a run: woken, answered, ended, and nothing of it is left', async t => {
  const host = opened[0] as TestHttpHost
  const transactionId = await start('http_hello')
  const step = await browser.step('Your name', transactionId)
  t.equal(host.runs.length, 1)
  await browser.answer(transactionId, step, ['Ada'])
  t.match(await completed(transactionId), {
    status: 'SUCCESS',
    data: { name: 'Ada', environment: 'production' },
  })
  await eventuallyTrue('the request is answered 200', () => host.runs[0]?.status === 200)
  const away = browser.all('transaction.host').filter(data => data.transactionId === transactionId)
  t.same(
    away.filter(data => !data.hostConnected),
    [],
    'nobody was told that the host is away',
  )
})

t.test('a window that comes late, and a failure', async t => {
  const host = await httpHost({
    actions: {
      http_fail: async io => {
        await io.input.text('Before it fails')
        throw new RangeError('on purpose')
      },
    },
  })
  await register(host)
  await online('http_fail')
  const transactionId = await start('http_fail')
  const step = await browser.step('Before it fails', transactionId)
  const other = await BrowserClient.connect(server.address, cookie)
  t.teardown(() => other.close())
  const snapshot = await other.ask('transaction.attach', { transactionId })
  t.equal(snapshot.hostConnected, true)
  await other.answer(transactionId, step, ['x'])
  const { result } = await other.event('transaction.completed')
  t.match(result, { status: 'FAILURE', data: { error: 'RangeError', message: 'on purpose' } })
})

t.test('a run that is cancelled: the host hears of it, and its socket is not left behind', async t => {
  const host = opened[0] as TestHttpHost
  const before = host.runs.length
  const transactionId = await start('http_hello')
  await browser.step('Your name', transactionId)
  await browser.ask('transaction.cancel', { transactionId })
  t.match(await completed(transactionId), { status: 'CANCELED' })
  await eventuallyTrue('the request is answered', () => host.runs[before]?.status === 200)
})

t.test('a page', async t => {
  const host = await httpHost({
    pages: { http_page: async display => ({ title: 'Woken', children: [display.heading('On the page')] }) },
  })
  await register(host)
  await online('http_page')
  const pageKey = randomUUID()
  await browser.ask('page.open', { ...place, pageKey, slug: 'http_page' })
  const { layout } = await browser.event(
    'page.render',
    data => data.pageKey === pageKey && data.layout?.children !== undefined,
  )
  t.equal(layout?.title, 'Woken')
  t.equal(host.runs.length, 1)
  await browser.ask('page.leave', { pageKey })
  await eventuallyTrue('the request is answered when the page is left', () => host.runs[0]?.status === 200)
})

for (const version of sdkVersions.filter(name => name !== '2.0.0')) {
  t.test(`the handlers of SDK ${version}`, async t => {
    for (const isLambda of [false, true]) {
      const slug = `v${version.replaceAll('.', '_')}_${isLambda ? 'lambda' : 'http'}`
      const host = await httpHost({ version, isLambda, actions: { [slug]: hello } })
      await register(host)
      await online(slug)
      const transactionId = await start(slug)
      await browser.answer(transactionId, await browser.step('Your name', transactionId), ['Old'])
      t.match(await completed(transactionId), { status: 'SUCCESS', data: { name: 'Old' } })
      await eventuallyTrue('the request is answered 200', () => host.runs[0]?.status === 200)
      const canceled = await start(slug)
      await browser.step('Your name', canceled)
      await browser.ask('transaction.cancel', { transactionId: canceled })
      t.match(await completed(canceled), { status: 'CANCELED' })
    }
  })
}

t.test('the handler for Lambda', async t => {
  const host = await httpHost({ isLambda: true, actions: { lambda_hello: hello } })
  await register(host)
  await online('lambda_hello')
  const transactionId = await start('lambda_hello')
  await browser.answer(transactionId, await browser.step('Your name', transactionId), ['Grace'])
  t.match(await completed(transactionId), { status: 'SUCCESS', data: { name: 'Grace' } })
  await eventuallyTrue('the request is answered 200', () => host.runs[0]?.status === 200)
})

t.test('a schedule wakes it, with nobody there', async t => {
  const seen: Record<string, unknown>[] = []
  const handler: Handler = async (_io, ctx) => {
    seen.push(ctx.params)
    return 'done'
  }
  const host = await httpHost({ actions: { by_schedule: handler }, backgroundable: ['by_schedule'] })
  await register(host)
  await online('by_schedule')
  const ask = async (path: string, body?: object) => {
    const response = await fetch(`${server.address}/api/v1/schedules${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { cookie, origin: server.address, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    return (await response.json()) as { id: string; runs: { status: string }[] }
  }
  const schedule = { ...place, action: 'by_schedule', cron: '0 0 1 1 *', params: { from: 'schedule' } }
  const { id } = await ask('', schedule)
  await ask(`/${id}/run`, {})
  await eventually(async () => {
    const { runs } = await ask(`/${id}/runs`)
    if (runs?.[0]?.status !== 'SUCCESS') throw new Error(JSON.stringify(runs))
  })
  t.same(seen, [{ from: 'schedule' }])
})

t.test('a function that its platform ends in the middle', async t => {
  const platform = await Platform.start('platform_ends')
  t.teardown(() => platform.close())
  await api('POST', '/http-hosts', { url: platform.url })
  await online('platform_ends')
  const transactionId = await start('platform_ends')
  await browser.step('Before the end', transactionId)
  const endedAtMs = Date.now()
  await platform.end()
  const { result } = await eventually(async () => {
    const snapshot = await browser.ask('transaction.attach', { transactionId })
    if (snapshot.result === null) throw new Error('it goes on')
    return snapshot
  }, 30_000)
  t.match(result, { status: 'FAILURE', data: { error: 'HostLost' } })
  t.ok(Date.now() - endedAtMs < 20_000, 'long before the grace is over')
})

t.test('a connected host is preferred, and one HTTP host stands in for another', async t => {
  const who = (name: string): Record<string, Handler> => ({ who: async () => name })
  const [one, two] = [await httpHost({ actions: who('one') }), await httpHost({ actions: who('two') })]
  const { hosts } = await listed()
  await register(one)
  await register(two)
  await online('who')
  await eventually(async () => {
    if ((await listed()).hosts !== hosts + 2) throw new Error('not both are listed')
  })
  await one.close()
  for (let run = 0; run < 3; run++)
    t.match(await completed(await start('who')), { status: 'SUCCESS', data: 'two' })

  const socket = sdkHost('2.0.0', {
    endpoint: server.endpoint,
    apiKey: seeded.liveKey,
    actions: { who: async () => 'socket' },
  })
  t.teardown(() => socket.close())
  await socket.listen()
  await eventually(async () => {
    const result = await completed(await start('who'))
    if (result.status !== 'SUCCESS' || result.data !== 'socket') throw new Error(JSON.stringify(result))
  })
})

t.test('away and back', async t => {
  const host = await httpHost({ actions: { sometimes: async () => 'here' } })
  const { id } = await register(host)
  await online('sometimes')
  await host.close()
  const transactionId = await start('sometimes')
  t.match(await completed(transactionId), {
    status: 'FAILURE',
    data: { error: 'HostUnreachable', message: 'The HTTP host cannot be reached.' },
  })
  await online('sometimes', false)
  t.match(await refusal(start('sometimes')), { code: 'host-not-found' })
  t.match((await api('POST', `/http-hosts/${id}/check`, {})).body, { status: 'UNREACHABLE' })
  await host.open()
  host.answersWith = 500
  t.match((await api('POST', `/http-hosts/${id}/check`, {})).body, { status: 'UNREACHABLE' })
  host.answersWith = null
  t.match(await server.admin('checkHttpHost', { id }), { status: 'ONLINE' })
  await online('sometimes')
  t.match(await completed(await start('sometimes')), { status: 'SUCCESS', data: 'here' })
  host.answersWith = 403
  t.match(await completed(await start('sometimes')), {
    status: 'FAILURE',
    data: { message: 'The HTTP host answered with status 403.' },
  })
})

const isLong = process.env.TEST_LONG !== undefined
t.test('it comes back by itself', { skip: !isLong && 'it takes half a minute: TEST_LONG=1' }, async t => {
  const host = await httpHost({ actions: { by_itself: async () => 'here' } })
  await register(host)
  await online('by_itself')
  await host.close()
  t.match(await completed(await start('by_itself')), { status: 'FAILURE' })
  await online('by_itself', false)
  const before = host.asked.length
  await host.open()
  await eventuallyTrue('it is asked again', () => host.asked.length > before, 40_000)
  await online('by_itself')
  t.match(await completed(await start('by_itself')), { status: 'SUCCESS', data: 'here' })
})

t.test('a request id is good once, and for its own organization', async t => {
  const host = await httpHost({ actions: { http_once: hello } })
  await register(host)
  await online('http_once')
  const transactionId = await start('http_once')
  await browser.step('Your name', transactionId)
  const again = await fetch(host.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: host.runs[0]?.body ?? '',
  })
  t.equal(again.status, 500, 'the SDK was told that the request is not valid')
  await browser.ask('transaction.cancel', { transactionId })
  const directory = await listed()
  t.equal(directory.actions.filter(({ slug }) => slug === 'http_once').length, 1)
})

t.test('an instance of another organization gets nothing', async t => {
  const there = await server.seed('Some Stranger')
  const actions = { http_guarded: hello }
  const host = await httpHost({ actions })
  const stranger = await httpHost({ actions, apiKey: there.liveKey })
  const developer = await httpHost({ actions, apiKey: seeded.developmentKey })
  await register(host)
  await online('http_guarded')
  let open: () => void = () => undefined
  host.gate = new Promise(resolve => {
    open = resolve
  })
  const transactionId = await start('http_guarded')
  await eventuallyTrue('it is asked', () => host.runs.length === 1)
  for (const other of [stranger, developer]) {
    const { status } = await fetch(other.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: host.runs[0]?.body ?? '',
    })
    t.equal(status, 500)
  }
  open()
  await browser.answer(transactionId, await browser.step('Your name', transactionId), ['the right one'])
  t.match(await completed(transactionId), { status: 'SUCCESS', data: { name: 'the right one' } })
})

t.test('it is removed, and comes back under its address', async t => {
  const host = await httpHost({ actions: { removed: async () => 'x' } })
  const { id } = await register(host)
  await online('removed')
  t.equal((await api('DELETE', `/http-hosts/${id}`)).status, 200)
  await eventually(async () => {
    const { actions } = await listed()
    if (actions.some(({ slug }) => slug === 'removed')) throw new Error('still listed')
  })
  t.equal((await api('DELETE', `/http-hosts/${id}`)).status, 404)
  t.equal((await api('POST', `/http-hosts/${id}/check`, {})).status, 404)
  t.equal((await register(host)).id, id)
  await online('removed')
  await server.admin('removeHttpHost', { organizationId: seeded.organization.id, url: host.url })
  await eventually(async () => {
    const { actions } = await listed()
    if (actions.some(({ slug }) => slug === 'removed')) throw new Error('still listed')
  })
})

t.test('what is not allowed', async t => {
  const declare = async (key: string | null, httpHostId: string) => {
    const response = await fetch(`${server.address}/api/hosts/declare`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ httpHostId, actions: [], sdkName: '@interval/sdk', sdkVersion: '2.0.0' }),
    })
    return { status: response.status, ...((await response.json()) as object) }
  }
  const { body } = await api('GET', '/http-hosts')
  const wrong = await fetch(`${server.address}/api/hosts/declare`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${seeded.liveKey}` },
    body: JSON.stringify({ httpHostId: body.httpHosts[0].id, actions: 'none' }),
  })
  t.match({ status: wrong.status, ...((await wrong.json()) as object) }, { status: 400, type: 'error' })
  const id = body.httpHosts[0].id as string
  t.match(await declare(null, id), { status: 401, type: 'error' })
  t.match(await declare('live_wrong', id), { status: 403, type: 'error' })
  t.match(await declare(seeded.developmentKey, id), { status: 403, type: 'error' })
  t.match(await declare(seeded.liveKey, randomUUID()), { status: 404, type: 'error' })
  const others = await server.seed('Other Person')
  t.match(await declare(others.liveKey, id), { status: 404, type: 'error' }, 'of another organization')
  const otherCookie = await server.signIn(others.user.email, others.password)
  for (const [method, path] of [
    ['GET', ''],
    ['POST', ''],
    ['DELETE', `/${id}`],
    ['POST', `/${id}/check`],
  ] as const) {
    const address = `${server.address}/api/v1/organizations/${place.organization}/http-hosts${path}`
    const response = await fetch(address, {
      method,
      headers: { cookie: otherCookie, origin: server.address, 'content-type': 'application/json' },
      ...(method === 'POST' && { body: JSON.stringify({ url: 'https://example.com' }) }),
    })
    t.equal(response.status, 404, `${method} ${path} of another organization`)
  }
  for (const url of ['ftp://example.com', 'http://10.0.0.1/', 'http://169.254.169.254/latest', 'no url']) {
    const { status, body } = await api('POST', '/http-hosts', { url })
    t.ok(status === 400 || status === 422, `${url}: ${JSON.stringify(body)}`)
  }
})

t.test('who may do what in the organization', async t => {
  const { body } = await api('GET', '/http-hosts')
  const id = body.httpHosts[0].id as string
  const asks = [
    ['GET', ''],
    ['POST', `/${id}/check`],
    ['POST', ''],
    ['DELETE', `/${id}`],
  ] as const
  const expected = { DEVELOPER: [200, 200, 403, 403], ACTION_RUNNER: [403, 403, 403, 403] }
  for (const [permission, statuses] of Object.entries(expected)) {
    const email = `${permission.toLowerCase()}@example.com`
    const membership = { organizationId: seeded.organization.id, permissions: [permission] }
    await server.admin('createUser', { email, password: seeded.password, membership })
    const signedIn = await server.signIn(email, seeded.password)
    const seen: number[] = []
    for (const [method, path] of asks) {
      const url = `${server.address}/api/v1/organizations/${place.organization}/http-hosts${path}`
      const response = await fetch(url, {
        method,
        headers: { cookie: signedIn, origin: server.address, 'content-type': 'application/json' },
        ...(method === 'POST' && { body: JSON.stringify({ url: 'https://example.com' }) }),
      })
      seen.push(response.status)
    }
    t.same(seen, statuses, permission)
  }
})

t.test('without the allow-list nothing on this machine is asked', async t => {
  const strict = await TestServer.start()
  t.teardown(() => strict.stop())
  const there = await strict.seed()
  const host = await httpHost({ actions: { never: async () => 'x' } })
  const organizationId = there.organization.id
  const { id } = await strict.admin<{ id: string }>('upsertHttpHost', { organizationId, url: host.url })
  t.match(await strict.admin('checkHttpHost', { id }), { status: 'UNREACHABLE' })
  const signedIn = await strict.signIn(there.user.email, there.password)
  const path = `/api/v1/organizations/${there.organization.slug}/http-hosts`
  const response = await fetch(`${strict.address}${path}`, {
    method: 'POST',
    headers: { cookie: signedIn, origin: strict.address, 'content-type': 'application/json' },
    body: JSON.stringify({ url: host.url }),
  })
  t.equal(response.status, 422)
  t.equal(host.asked.length, 0)
})
