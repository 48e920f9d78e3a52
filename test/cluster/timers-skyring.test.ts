/**
 * Skyring's HTTP API as its callers know it, against one node and against three (each request to another node), in
 * memory and on disk: every case of Skyring's own integration tests, and what its page says besides. After each of the
 * requests that are wrong in some way every node still answers, and fires.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { type TimerAnswer, TimerClient } from '../support/timer-client.js'
import { TimerReceiver } from '../support/timer-receiver.js'

t.setTimeout(600_000)

const timeoutText = 'timeout is required and must be a positive number'
const farText = 'timeout must be less than or equal to 2147483647 milliseconds'
const callbackText = 'callback is required and must be an object'
const uuidPath = /^\/timer\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Far enough away to be pending whatever happens here. */
const farMs = 3_600_000

/** A transport of the operator's, as a file: it calls the address with a mark of its own. */
const tapTransport = `
  const http = require('node:http')
  module.exports = class Tap {
    exec(method, uri, data, id, timers) {
      const call = http.request(uri, { method, headers: { 'x-tap': id } }, answer => {
        answer.resume()
        timers.success(id)
      })
      call.on('error', error => timers.failure(id, error))
      call.end('tap ' + data)
    }
  }
`

interface Rig {
  readonly client: TimerClient
  readonly receiver: TimerReceiver
  /** A path that nothing else uses, and the callback that leads there. */
  callback(method?: string): { path: string; callback: Callback }
  /** Asks that every node answers, and that timers made at every node fire. */
  isWell(t: Test, after: string): Promise<void>
}

interface Callback {
  transport: string
  uri: string
  method: string
}

const sizes = { 'one node': 1, 'three nodes': 3 } as const
/** Each size and each backend once; all of them together with TEST_LONG. */
const rare: ReadonlySet<string> = new Set(['one node, leveldown', 'three nodes, memdown'])
for (const [size, nodes] of Object.entries(sizes)) {
  for (const backend of ['memdown', 'leveldown']) {
    if (!process.env.TEST_LONG && rare.has(`${size}, ${backend}`)) continue
    t.test(`${size}, ${backend}`, async t => {
      const rig = await start(t, nodes, backend)
      await t.test('ping', t => ping(t, rig))
      await t.test('post', t => post(t, rig))
      await t.test('post, refused', t => postRefused(t, rig))
      await t.test('validation in order', t => validation(t, rig))
      await t.test('put', t => put(t, rig))
      await t.test('delete', t => cancel(t, rig))
      await t.test('custom transport', t => customTransport(t, rig))
      await t.test('the shape of a call', t => shape(t, rig))
      await t.test('x-timer-id', t => ownIds(t, rig))
      await t.test('created', t => created(t, rig))
      await t.test('paths and methods', t => paths(t, rig))
      await t.test('what ends a Skyring node disturbs nothing', t => hostile(t, rig))
    })
  }
}

async function start(t: Test, nodes: number, backend: string): Promise<Rig> {
  const folder = t.testdir({ 'tap.cjs': tapTransport })
  const flags = [
    `--storage:backend=${backend}`,
    '--timers:auth=open',
    '--timers:callbacks:allow=127.0.0.0/8',
    `--transport=${join(folder, 'tap.cjs')}`,
  ]
  const receiver = await TimerReceiver.start(call => (call.url.startsWith('/silent') ? null : 200))
  t.teardown(() => receiver.stop())
  const servers: TestServer[] = []
  if (nodes === 1) {
    const server = await TestServer.start({ flags })
    t.teardown(() => server.stop())
    servers.push(server)
  } else {
    const cluster = await TestCluster.start(nodes, flags)
    t.teardown(() => cluster.stop())
    servers.push(...cluster.servers)
  }
  const client = new TimerClient(servers.map(server => server.address))
  t.teardown(() => client.close())
  let paths = 0
  const callback = (method = 'post') => {
    paths += 1
    const path = `/cb/${paths}`
    return { path, callback: { transport: 'http', uri: `${receiver.address}${path}`, method } }
  }
  return {
    client,
    receiver,
    callback,
    async isWell(t, after) {
      const waiting = servers.map(async (server, node) => {
        const { path, callback: to } = callback()
        const pinged = await client.ask('GET', '/ping', { node })
        const made = await client.post({ timeout: 1, callback: to }, {}, node)
        await receiver.called(path)
        return [server.isRunning, pinged.status, made.status]
      })
      for (const answers of await Promise.all(waiting))
        t.same(answers, [true, 200, 201], `all is well after ${after}`)
    },
  }
}

async function ping(t: Test, { client }: Rig): Promise<void> {
  for (const _ of client.addresses)
    t.match(await client.ask('GET', '/ping'), { status: 200, body: '' }, 'GET /ping')
}

async function post(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const text = callback()
  const none = callback()
  const object = callback()
  const data = { a: [1, { b: 'ü' }], c: null }
  const made = await Promise.all([
    client.post({ timeout: 1_000, data: 'hello', callback: text.callback }),
    client.post({ timeout: 2_000, callback: none.callback }),
    client.post({ timeout: '500', data, callback: object.callback }),
    client.post({ timeout: [500], data: null, callback: callback().callback }),
  ])
  for (const answer of made) {
    t.match(answer, { status: 201, body: '', headers: { location: uuidPath } })
    t.equal(answer.headers['x-skyring-reason'], undefined)
  }
  for (const [{ path }, index, timeoutMs, body] of [
    [text, 0, 1_000, 'hello'],
    [none, 1, 2_000, ''],
    [object, 2, 500, JSON.stringify(data)],
  ] as const) {
    const call = await receiver.called(path)
    t.match(call, { method: 'POST', body })
    const afterMs = call.atMs - (made[index]?.askedAtMs ?? 0)
    t.ok(afterMs >= timeoutMs && afterMs < timeoutMs + 1_000, `${timeoutMs} ms: after ${afterMs} ms`)
  }
  t.equal(receiver.at(text.path).length, 1)
}

async function postRefused(t: Test, rig: Rig): Promise<void> {
  const { client } = rig
  const { callback } = rig.callback()
  const { uri: _uri, ...withoutUri } = callback
  const { transport: _transport, ...withoutTransport } = callback
  const cases: [string, unknown, string | RegExp][] = [
    ['no timeout', { data: 'x', callback }, timeoutText],
    ['timeout 2^31', { timeout: 2 ** 31, data: 'x', callback }, farText],
    ['timeout, uri and transport missing', { data: 'x', callback: { method: 'post' } }, timeoutText],
    ['no callback', { timeout: 1_000, data: 'x' }, callbackText],
    [
      'no uri',
      { timeout: 1_000, data: 'x', callback: withoutUri },
      'callback.uri is required and must be a string. Got string',
    ],
    [
      'no transport',
      { timeout: 1_000, data: 'x', callback: withoutTransport },
      'callback.transport is required and must be a string. Got string',
    ],
    ['invalid JSON', '{"timeout": 1000', /./],
    ['no body', undefined, timeoutText],
  ]
  for (const [name, body, reason] of cases) {
    const answer = await client.post(body)
    t.match(answer, { status: 400, body: '', reason }, name)
  }
  await rig.isWell(t, 'bodies that are refused')
}

async function validation(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const { path, callback: good } = callback()
  /** Mended one after the other, so that the next mistake is the first. */
  const body: Record<string, unknown> = { timeout: 'soon', data: 7, callback: 'there' }
  const refused = async (reason: string): Promise<void> => {
    const own = randomUUID()
    const posted = await client.post(body, { 'x-timer-id': own })
    t.match(posted, { status: 400, body: '', reason, headers: { location: `/timer/${own}` } }, reason)
    const put = await client.ask('PUT', `/timer/${own}`, { body })
    t.match(put, { status: 400, reason, headers: { location: `/timer/${own}` } }, `PUT: ${reason}`)
  }
  for (const timeout of ['soon', undefined, null, 0, -1, 0.5, {}, false, [1, 2]]) {
    body.timeout = timeout
    await refused(timeoutText)
  }
  for (const timeout of [2_147_483_648, '2147483648', 1e300]) {
    body.timeout = timeout
    await refused(farText)
  }
  body.timeout = 20
  for (const data of [7, true]) {
    body.data = data
    await refused(`data is required and must be a string or object. Got ${typeof data}`)
  }
  for (const [data, type] of [
    ['text', 'string'],
    [{}, 'object'],
    [undefined, 'undefined'],
  ] as const) {
    body.data = data
    body.callback = undefined
    await refused(callbackText)
    for (const field of ['transport', 'uri', 'method'] as const) {
      // The fields before it are right, those after it are not.
      const before = { transport: ['transport'], uri: ['transport'], method: ['transport', 'uri'] }[field]
      const callbackBody: Record<string, unknown> = { transport: 1, uri: {}, method: null }
      for (const name of before) if (name !== field) callbackBody[name] = good[name as keyof Callback]
      body.callback = callbackBody
      await refused(`callback.${field} is required and must be a string. Got ${type}`)
    }
  }
  body.callback = { ...good, more: 'unknown keys are taken' }
  t.match(await client.post({ ...body, more: 1 }), { status: 201 })
  await receiver.called(path)
  const { path: longest, callback: longestCallback } = callback()
  const answer = await client.post({ timeout: 2_147_483_647, callback: longestCallback })
  t.match(answer, { status: 201 })
  t.match(await client.ask('DELETE', String(answer.headers.location)), { status: 202 })
  t.equal(receiver.at(longest).length, 0)
}

async function put(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const first = callback()
  const second = callback()
  const made = await client.post({ timeout: 3_000, data: 'post 1', callback: first.callback })
  const location = String(made.headers.location)
  const replaced = await client.ask('PUT', location, {
    body: { timeout: 250, data: 'put 1', callback: second.callback },
  })
  t.match(replaced, { status: 200, body: '', headers: { location } })
  const call = await receiver.called(second.path)
  t.equal(call.body, 'put 1')
  t.ok(call.atMs - replaced.askedAtMs >= 250, `after ${call.atMs - replaced.askedAtMs} ms`)

  const again = callback()
  const restarted = await client.post({ timeout: 3_000, data: 'a', callback: again.callback })
  const put = await client.ask('PUT', String(restarted.headers.location), {
    body: { timeout: 3_600, data: 'b', callback: again.callback },
  })
  // When this one is called, the time of what was replaced is over.
  const late = await receiver.called(again.path)
  t.ok(late.atMs - put.askedAtMs >= 3_600, 'the clock starts anew')
  t.equal(late.body, 'b')
  t.equal(receiver.at(first.path).length, 0, 'what was replaced is never called')
  t.equal(receiver.at(second.path).length, 1)
  t.equal(receiver.at(again.path).length, 1)

  const unknown = await client.ask('PUT', `/timer/${randomUUID()}`, {
    body: { timeout: 250, data: 'x', callback: second.callback },
  })
  t.match(unknown, { status: 404, body: '' })
  await eventually(async () => {
    const fired = await client.ask('PUT', location, { body: { timeout: 250, callback: second.callback } })
    if (fired.status !== 404) throw new Error(`a timer that was called answers ${fired.status}`)
  })
}

async function cancel(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const cancelled = callback()
  const marker = callback()
  const made = await client.post({ timeout: 3_000, data: 'x', callback: cancelled.callback })
  const location = String(made.headers.location)
  t.match(await client.ask('DELETE', location), { status: 202, body: '', headers: { location } })
  t.match(await client.ask('DELETE', location), { status: 404, body: '', headers: { location } })
  // When this one has been called, the other's time is over.
  await client.post({ timeout: 3_200, callback: marker.callback })
  t.match(await client.ask('DELETE', `/timer/${randomUUID()}`), { status: 404, body: '' })
  await receiver.called(marker.path)
  t.equal(receiver.at(cancelled.path).length, 0)
}

async function customTransport(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const { path, callback: to } = callback('put')
  const made = await client.post({ timeout: 100, data: 'data', callback: { ...to, transport: 'tap' } })
  t.equal(made.status, 201)
  const call = await receiver.called(path)
  t.match(call, { method: 'PUT', body: 'tap data' })
  t.equal(`/timer/${call.headers['x-tap']}`, made.headers.location)
}

async function shape(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  const form = 'application/x-www-form-urlencoded'
  for (const [method, data, body, type, query] of [
    ['post', { a: 1 }, '{"a":1}', 'application/json', ''],
    ['PUT', 'a=b', 'a=b', form, ''],
    ['Patch', undefined, '', undefined, ''],
    ['delete', 'x', 'x', form, ''],
    ['options', undefined, '', undefined, ''],
    ['get', { a: 1, b: 'c d' }, '', undefined, '?a=1&b=c+d'],
    ['head', undefined, '', undefined, ''],
  ] as const) {
    const { path, callback: to } = callback(method)
    const made = await client.post({ timeout: 1, callback: to, ...(data !== undefined && { data }) })
    t.equal(made.status, 201, method)
    const call = await receiver.called(path)
    t.match(call, { method: method.toUpperCase(), body, headers: { 'user-agent': /^skyring\/\d/ } }, method)
    t.equal(call.headers['content-type'], type, `${method}: content-type`)
    t.equal(call.url.replaceAll('%20', '+'), `${path}${query}`)
    t.match(call.headers['x-timer-firing'], /./, 'a name by which a repeat is known')
  }
  // A method that is none, a receiver that is not there, one that says no: forgotten after one attempt, as there.
  const wrong = callback('unknown')
  const failing = [
    wrong.callback,
    { ...wrong.callback, method: 'post', uri: 'http://127.0.0.1:1/' },
    { ...wrong.callback, method: 'post', uri: 'http://no.such.name.invalid/' },
  ]
  for (const to of failing) {
    const made = await client.post({ timeout: 1, callback: to })
    t.equal(made.status, 201, `${to.method} ${to.uri}`)
    await eventually(async () => {
      const { status } = await client.ask('DELETE', `${made.headers.location}`)
      // It may be cancelled before it was due; then nothing more is to be seen.
      if (status !== 404 && status !== 202) throw new Error(`it answers ${status}`)
    })
  }
  t.equal(receiver.at(wrong.path).length, 0)
}

async function ownIds(t: Test, rig: Rig): Promise<void> {
  const { callback, client, receiver } = rig
  const body = { timeout: farMs, data: 'x', callback: callback().callback }
  for (const id of [`order-${randomUUID()}`, randomUUID(), `a b:${randomUUID()}~%C3%BC`]) {
    const headers = { 'x-timer-id': id }
    const made = await client.post(body, headers)
    t.match(made, { status: 201, headers: { location: `/timer/${id}` } }, id)
    const twice = await client.post(body, headers)
    t.match(
      twice,
      { status: 409, body: '', reason: /./, headers: { location: `/timer/${id}` } },
      'pending id',
    )
    const encoded = id.replaceAll(' ', '%20')
    if (encoded === id) {
      t.match(await client.ask('PUT', `/timer/${id}`, { body }), { status: 200 })
      t.match(await client.ask('DELETE', `/timer/${id}`), { status: 202 })
      t.match(await client.ask('DELETE', `/timer/${id}`), { status: 404 })
      t.match(await client.post(body, headers), { status: 201 }, 'free again')
    }
  }
  const { path, callback: to } = callback()
  const headers = { 'x-timer-id': `again-${path}` }
  const again = () => client.post({ timeout: 1, callback: to }, headers)
  t.equal((await again()).status, 201)
  await receiver.called(path)
  await eventually(async () => {
    const { status } = await again()
    if (status !== 201) throw new Error(`an id that was called answers ${status}`)
  })
  await eventually(() => {
    if (receiver.at(path).length < 2) throw new Error('not called twice')
  })
  await rig.isWell(t, 'ids that are pending')
}

async function created(t: Test, { callback, client, receiver }: Rig): Promise<void> {
  // The caller's clock counts, which nodes that have agreed on a time know with an error of half a round trip.
  const errorMs = client.addresses.length > 1 ? 50 : 0
  const past = callback()
  const overdue = await client.post({
    timeout: 60_000,
    created: Date.now() - 120_000,
    callback: past.callback,
  })
  t.equal(overdue.status, 201)
  const call = await receiver.called(past.path, 5_000)
  t.ok(call.atMs - overdue.askedAtMs < 2_000, `after ${call.atMs - overdue.askedAtMs} ms`)

  const half = callback()
  const startedAtMs = Date.now() - 1_500
  await client.post({ timeout: 2_500, created: startedAtMs, callback: half.callback })
  const moved = await receiver.called(half.path)
  const afterMs = moved.atMs - startedAtMs
  t.ok(afterMs >= 2_500 - errorMs && afterMs < 3_500, `after ${afterMs} ms`)

  const ahead = callback()
  const beginsAtMs = Date.now() + 500
  await client.post({ timeout: 300, created: beginsAtMs, callback: ahead.callback })
  const sinceMs = (await receiver.called(ahead.path)).atMs - beginsAtMs
  t.ok(sinceMs >= 300 - errorMs, `after ${sinceMs} ms`)
  for (const odd of ['text', {}, null, true, Number.MAX_VALUE]) {
    const { status } = await client.post({ timeout: farMs, created: odd, callback: callback().callback })
    t.ok(status === 201 || status === 400, `created ${JSON.stringify(odd)}: ${status}`)
  }
}

async function paths(t: Test, rig: Rig): Promise<void> {
  const { callback, client } = rig
  const body = { timeout: farMs, callback: callback().callback }
  const made = await client.ask('POST', '/timer/', { body })
  t.match(made, { status: 201, headers: { location: uuidPath } }, 'POST with a slash at the end')
  const location = String(made.headers.location)
  t.match(await client.ask('PUT', `${location}/`, { body }), { status: 200 }, 'PUT with a slash at the end')
  t.match(await client.ask('DELETE', `${location}/`), { status: 202 }, 'DELETE with a slash at the end')
  const queried = await client.ask('POST', '/timer?a=b', { body })
  t.match(queried, { status: 201 }, 'a query is ignored')
  t.match(await client.ask('DELETE', `${queried.headers.location}?a=b`), { status: 202 })
  t.match(await client.ask('POST', '/timer', { body, headers: { 'content-type': 'text/plain' } }), {
    status: 201,
  })
  for (const [method, path] of [
    ['GET', '/timer'],
    ['GET', '/timer/'],
    ['PUT', '/timer'],
    ['DELETE', '/timer'],
    ['PATCH', `/timer/${randomUUID()}`],
    ['POST', `/timer/${randomUUID()}`],
    ['POST', '/ping'],
    ['PUT', '/ping'],
    ['DELETE', '/ping'],
    ['GET', '/timers'],
    ['GET', '/pong'],
    ['DELETE', '/timer/a/b'],
  ] as const) {
    const answer = await client.ask(method, path, { headers: { accept: '*/*' } })
    t.match(answer, { status: 404, headers: { 'content-type': /^application\/json/ } }, `${method} ${path}`)
    t.match(JSON.parse(answer.body), { message: 'Not Found' }, `${method} ${path}`)
  }
  t.match(await client.ask('HEAD', '/ping'), { status: 404, body: '' })
  t.match(await client.ask('HEAD', `/timer/${randomUUID()}`), { status: 404, body: '' })
  t.match(await client.ask('GET', `/timer/${randomUUID()}`), { status: 404 })
}

async function hostile(t: Test, rig: Rig): Promise<void> {
  const { callback, client, receiver } = rig
  const { path, callback: to } = callback()
  const timer = { timeout: farMs, data: 'x', callback: to }
  const pending = await client.post(timer)
  const location = String(pending.headers.location)
  const refused: [string, number, () => Promise<TimerAnswer>][] = [
    ['a body of 2 MiB', 413, () => client.post({ ...timer, data: 'x'.repeat(2_097_152) })],
    ['a body of 2 MiB for PUT', 413, () => client.ask('PUT', location, { body: 'x'.repeat(2_097_152) })],
    ['null', 400, () => client.post('null')],
    ['null for PUT', 400, () => client.ask('PUT', location, { body: 'null' })],
    ['a number', 400, () => client.post('7')],
    ['an array', 400, () => client.post('[]')],
    ['a prototype', 400, () => client.post('{"__proto__":{"timeout":1}}')],
    ['deep JSON', 400, () => client.post(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)],
    ['an unknown transport', 400, () => client.post({ ...timer, callback: { ...to, transport: 'nope' } })],
    [
      'a transport of every object',
      400,
      () => client.post({ ...timer, callback: { ...to, transport: 'constructor' } }),
    ],
    [
      'an unknown transport for PUT',
      400,
      () => client.ask('PUT', location, { body: { ...timer, callback: { ...to, transport: 'nope' } } }),
    ],
    ['get with text', 400, () => client.post({ ...timer, callback: { ...to, method: 'get' } })],
    ['invalid JSON on DELETE', 400, () => client.ask('DELETE', location, { body: '{' })],
    ['bad percent-encoding', 404, () => client.ask('DELETE', '/timer/%')],
  ]
  for (const [name, status, ask] of refused) {
    const answer = await ask()
    t.match(answer, { status }, name)
    if (status !== 404) t.match(answer, { body: '', reason: /./ }, `${name}: ${answer.reason}`)
    await rig.isWell(t, name)
  }
  t.ok((await client.ask('GET', '/%')).status < 500)
  t.match(await client.ask('DELETE', location), { status: 202 }, 'and the pending one is as it was')

  // Taken as Skyring takes them. Which of them are called, and how, is theirs to see.
  const silent = { ...to, uri: `${receiver.address}/silent` }
  for (const [name, odd] of [
    ['a receiver that never answers', silent],
    ['ftp', { ...to, uri: 'ftp://127.0.0.1/' }],
    ['an empty uri', { ...to, uri: '' }],
    ['a uri that is none', { ...to, uri: 'nowhere' }],
    ['a uri with a line break', { ...to, uri: `${receiver.address}/a\r\nx: y` }],
    ['an address that is not allowed', { ...to, uri: 'http://169.254.169.254/' }],
    ['a verb with a line break', { ...to, method: 'post\r\nx: y' }],
  ] as const) {
    t.match(await client.post({ timeout: 1, callback: odd }), { status: 201 }, name)
    await rig.isWell(t, name)
  }
  await receiver.called('/silent')
  const foreign = { ...to, uri: `${receiver.address}/grüße/日本?a=ü` }
  t.match(await client.post({ timeout: 1, callback: foreign }), { status: 201 }, 'a uri beyond ASCII')
  const call = await receiver.called(encodeURI('/grüße/日本'))
  t.equal(call.url, encodeURI('/grüße/日本?a=ü'))
  await rig.isWell(t, 'a uri beyond ASCII')
  t.equal(receiver.at(path).length, 0, 'nothing was called that was refused')

  for (const text of ['POST /timer HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{', 'nonsense\r\n\r\n']) {
    for (const address of client.addresses) {
      const socket = connect(Number(new URL(address).port), '127.0.0.1')
      await once(socket, 'connect')
      socket.on('error', () => undefined)
      await new Promise<void>(written => socket.write(text, () => written()))
      socket.destroy()
    }
    await rig.isWell(t, JSON.stringify(text))
  }
}
