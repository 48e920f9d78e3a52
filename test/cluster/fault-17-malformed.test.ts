/**
 * Fault 17: malformed JSON, unknown methods, wrong types, prototype keys, invalid UTF-8, binary frames. Each is met as
 * documented: what breaks the protocol closes its socket with 1007, the rest is refused by code. No reply shows a
 * stack; a session beside them does not notice.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { watch } from './measure.js'
import { message, RawHost, rawBrowser } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const browser = await BrowserClient.connect(server.address, cookie)
const host = await RawHost.connect(server, seeded.liveKey)
await host.initialize(['action'])
t.teardown(async () => {
  browser.close()
  host.raw.end()
  await server.stop()
})

const place = { organization: seeded.organization.slug, environment: 'production' }
const transactionId = randomUUID()
await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
const measured = watch(server, browser)

/** Nothing of our insides is in what a peer is told. */
function showsNothing(frames: readonly string[]): boolean {
  return frames.every(frame => !/\.[jt]s:\d|node_modules|\\n\s+at |\/lib\/|TypeError|RangeError/.test(frame))
}

const brokenForAll: [string, string | Buffer, boolean?][] = [
  ['nothing', ''],
  ['garbage', 'hello'],
  ['half an object', '{"id":1,"method":"pi'],
  ['null', 'null'],
  ['a number', '42'],
  ['a list', '[]'],
  ['a text', '"{}"'],
  ['two objects', '{}{}'],
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x7d])],
  ['a lone continuation byte', Buffer.from([0x22, 0x80, 0x22])],
  ['a binary frame', Buffer.from('{"id":1,"method":"ping","data":{}}'), true],
]

t.test('browsers', async t => {
  const broken: typeof brokenForAll = [
    ...brokenForAll,
    ['no id', '{"method":"ping"}'],
    ['an id that is text', '{"id":"1","method":"ping"}'],
    ['an id that is no integer', '{"id":1e400,"method":"ping"}'],
    ['a method that is a list', '{"id":1,"method":["ping"]}'],
    ['a prototype key', '{"id":1,"method":"ping","__proto__":{"polluted":true}}'],
    ['an escaped prototype key', '{"id":1,"method":"ping","data":{"\\u005f_proto__":{"polluted":true}}}'],
  ]
  for (const [what, frame, binary] of broken) {
    const raw = await rawBrowser(server, cookie)
    raw.send(typeof frame === 'string' ? Buffer.from(frame) : frame, binary)
    const { code, reason } = await raw.closed
    t.equal(code, 1007, `${what}: ${reason}`)
    t.ok(showsNothing([...raw.frames, reason]))
  }

  const id = randomUUID()
  const refused: [string, unknown, string][] = [
    ['no.such.method', {}, 'not-found'],
    ['__proto__', {}, 'not-found'],
    ['constructor', {}, 'not-found'],
    ['toString', {}, 'not-found'],
    ['', {}, 'not-found'],
    ['hello', { client: 'x', protocol: 1 }, 'bad-request'],
    ['hello', { client: id, protocol: 99 }, 'bad-request'],
    ['directory.watch', null, 'bad-request'],
    ['directory.watch', [], 'bad-request'],
    ['directory.watch', { organization: 1, environment: {} }, 'bad-request'],
    ['directory.watch', { organization: 'constructor', environment: 'production' }, 'not-found'],
    ['directory.watch', { ...place, environment: '__proto__' }, 'not-found'],
    ['transaction.start', { ...place, transactionId: '../x', slug: 'action' }, 'bad-request'],
    ['transaction.start', { ...place, transactionId: id, slug: 'constructor' }, 'not-found'],
    ['transaction.start', { ...place, transactionId: id, slug: 'action', params: { a: {} } }, 'bad-request'],
    ['transaction.attach', { transactionId: 'x'.repeat(100) }, 'bad-request'],
    ['transaction.attach', { transactionId: id }, 'not-found'],
    ['transaction.answer', { transactionId, requestId: id, kind: 'DROP', values: [] }, 'bad-request'],
    [
      'transaction.answer',
      {
        transactionId,
        requestId: id,
        inputGroupKey: 'x',
        renderId: 'constructor',
        kind: 'RETURN',
        values: [],
      },
      'call-superseded|client-usurped',
    ],
    ['page.open', { ...place, pageKey: id, slug: '__proto__' }, 'not-found'],
    ['page.leave', { pageKey: id }, 'not-found'],
  ]
  const raw = await rawBrowser(server, cookie)
  raw.send(JSON.stringify({ id: 0, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
  for (const [index, [method, data, code]] of refused.entries()) {
    raw.send(JSON.stringify({ id: index + 1, method, data }))
    const reply = await eventually(() => {
      const found = raw.frames.find(frame => frame.startsWith(`{"id":${index + 1},`))
      if (found === undefined) throw new Error(`no reply to ${method}`)
      return found
    })
    t.match(JSON.parse(reply), { error: { code: new RegExp(`^(${code})$`) } }, `${method}: ${reply}`)
  }
  t.ok(raw.isOpen, 'the socket stays open')
  t.ok(showsNothing(raw.frames))
  raw.end()

  const early = await rawBrowser(server, cookie)
  early.send(JSON.stringify({ id: 1, method: 'transaction.attach', data: { transactionId } }))
  await eventually(() => t.match(JSON.parse(early.frames[0] ?? ''), { error: { code: 'bad-request' } }))
  early.end()
})

t.test('hosts', async t => {
  const call = (methodName: unknown, data: unknown, id: unknown = '9') =>
    message(JSON.stringify({ id, kind: 'CALL', methodName, data }))
  const broken: typeof brokenForAll = [
    ...brokenForAll,
    ['no id', '{"type":"MESSAGE","data":"x"}'],
    ['an id with a quote', '{"type":"ACK","id":"\\""}'],
    ['an unknown type', `{"type":"NACK","id":"${randomUUID()}"}`],
    ['data that is no text', `{"type":"MESSAGE","id":"${randomUUID()}","data":{}}`],
    ['a prototype key', `{"type":"ACK","id":"${randomUUID()}","__proto__":{"polluted":true}}`],
    ['a message that is no JSON', message('x')],
    ['a message that is a list', message('[]')],
    ['a call without an id', call('SEND_LOG', {}, '')],
    ['a call whose method is a number', call(7, {})],
    [
      'a prototype key inside',
      message('{"id":"9","kind":"CALL","methodName":"SEND_LOG","data":{"__proto__":1}}'),
    ],
  ]
  for (const [what, frame, binary] of broken) {
    const other = await RawHost.connect(server, seeded.liveKey)
    other.raw.send(typeof frame === 'string' ? Buffer.from(frame) : frame, binary)
    const { code, reason } = await other.raw.closed
    t.equal(code, 1007, `${what}: ${reason}`)
    t.ok(showsNothing([...other.raw.frames, reason]))
  }

  const other = await RawHost.connect(server, seeded.liveKey)
  await other.initialize(['other'])
  for (const method of ['no.such.method', '__proto__', 'constructor', 'toString', 'START_TRANSACTION'])
    other.raw.send(call(method, {}))
  for (const data of [null, [], 42, 'text', { transactionId: {} }, { transactionId: 'x', ioCall: 7 }]) {
    t.equal(await other.call('SEND_LOG', data), false)
    t.equal(await other.call('MARK_TRANSACTION_COMPLETE', data), false)
    t.match(await other.call('SEND_IO_CALL', data), /^(false|\[object Object\])$/)
  }
  t.equal(await other.call('SEND_LOG', { transactionId: '../../x', data: 'x' }), false)
  t.equal(await other.call('SEND_LOG', { transactionId: '__proto__', data: 'x' }), false)
  t.ok(other.raw.isOpen, 'the socket stays open')
  t.ok(showsNothing(other.raw.frames))
  other.raw.end()
})

t.test('the session beside them', async t => {
  const ioCall = JSON.stringify({
    id: randomUUID(),
    inputGroupKey: randomUUID(),
    kind: 'RENDER',
    toRender: [{ methodName: 'INPUT_TEXT', label: 'Name', props: {}, isStateful: false, isOptional: false }],
  })
  t.equal(await host.call('SEND_IO_CALL', { transactionId, ioCall }), true)
  await browser.ask('transaction.attach', { transactionId })
  await browser.answer(transactionId, await browser.step('Name', transactionId), ['Ada'])
  await eventually(() => {
    if (!host.raw.frames.some(frame => frame.includes('IO_RESPONSE')))
      throw new Error('the host has no answer')
  })
  const end = { transactionId, resultStatus: 'SUCCESS', result: '{"status":"SUCCESS","data":"done"}' }
  t.equal(await host.call('MARK_TRANSACTION_COMPLETE', end), true)
  await browser.event('transaction.completed', data => data.transactionId === transactionId)
  const { slowestMs } = await measured.stop()
  t.ok(slowestMs < 500, `it waited ${slowestMs.toFixed(0)} ms at most`)
  t.notMatch(server.output, /\n\s+at .*\.js/, 'nothing was thrown that nobody caught')
})
