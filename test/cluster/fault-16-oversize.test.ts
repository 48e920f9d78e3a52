/**
 * Fault 16: frames that are too large, too deep, or have a million elements. They are refused with the documented code
 * before they are buffered whole; the node's memory and the wait of others stay bounded.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { memoryMb, watch } from './measure.js'
import { message, RawHost, RawSocket, rawBrowser } from './raw-socket.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const browser = await BrowserClient.connect(server.address, cookie)
t.teardown(async () => {
  browser.close()
  await server.stop()
})

const mebibyte = 1_048_576
/** What a refused frame may cost others, in ms; two cores that also run the test. */
const stallMsMax = 500

/** Sends until everything is out or the socket is closed. */
async function pour(raw: RawSocket, bytes: number): Promise<void> {
  const piece = Buffer.alloc(mebibyte, 'a')
  for (let sent = 0; sent < bytes && raw.isOpen; sent += piece.length) {
    await new Promise<void>(resolve =>
      raw.socket.send(piece, { fin: sent + piece.length >= bytes, binary: false }, () => resolve()),
    )
  }
}

t.test('one frame over the limit of a browser is closed with 1009 at its header', async t => {
  const beforeMb = memoryMb(server)
  const measured = watch(server, browser)
  for (let count = 0; count < 4; count++) {
    const raw = await rawBrowser(server, cookie)
    raw.send(Buffer.alloc(60 * mebibyte, 'a'))
    t.equal((await raw.closed).code, 1009)
  }
  // How long others waited says nothing here: this process itself is busy with masking what it sends.
  const { memoryMbMax } = await measured.stop()
  t.ok(memoryMbMax - beforeMb < 60, `${beforeMb.toFixed(0)} MB before, ${memoryMbMax.toFixed(0)} MB at most`)
})

t.test('neither do many fragments get past it', async t => {
  const beforeMb = memoryMb(server)
  const measured = watch(server, browser)
  const raw = await rawBrowser(server, cookie)
  await pour(raw, 60 * mebibyte)
  t.equal((await raw.closed).code, 1009)
  const { memoryMbMax } = await measured.stop()
  t.ok(memoryMbMax - beforeMb < 60, `${beforeMb.toFixed(0)} MB before, ${memoryMbMax.toFixed(0)} MB at most`)
})

t.test('strangers are not listened to', async t => {
  const beforeMb = memoryMb(server)
  const measured = watch(server, browser)
  const doors: [Record<string, string>, number][] = [
    [{ origin: server.address }, 4401],
    [{ origin: 'https://evil.example', cookie }, 1008],
    [{ 'x-api-key': 'live_wrong', 'x-instance-id': randomUUID() }, 1008],
  ]
  for (const [headers, code] of doors) {
    const raws = await Promise.all(Array.from({ length: 10 }, () => RawSocket.open(server, headers)))
    for (const raw of raws) raw.send(Buffer.alloc(20 * mebibyte, 'a'))
    for (const raw of raws) {
      const closed = await raw.closed
      t.ok([code, 1006].includes(closed.code), `closed with ${closed.code}`)
    }
  }
  const { memoryMbMax } = await measured.stop()
  t.ok(memoryMbMax - beforeMb < 60, `${beforeMb.toFixed(0)} MB before, ${memoryMbMax.toFixed(0)} MB at most`)
})

t.test('a host is held to its own, larger limit', async t => {
  const beforeMb = memoryMb(server)
  const measured = watch(server, browser)
  const host = await RawHost.connect(server, seeded.liveKey)
  host.raw.send(Buffer.alloc(limits.hostFrameBytesMax + mebibyte, 'a'))
  t.equal((await host.raw.closed).code, 1009)
  const { memoryMbMax } = await measured.stop()
  t.ok(memoryMbMax - beforeMb < 60, `${beforeMb.toFixed(0)} MB before, ${memoryMbMax.toFixed(0)} MB at most`)
  const another = await RawHost.connect(server, seeded.liveKey)
  t.match(await another.initialize(['big']), { type: 'success' })
  const large = { transactionId: randomUUID(), ioCall: 'a'.repeat(8 * mebibyte) }
  t.match(await another.call('SEND_IO_CALL', large), { type: 'ERROR' }, 'what is below it is read')
  another.raw.end()
})

t.test('deep JSON, and a million elements', async t => {
  const measured = watch(server, browser)
  const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`
  const million = `[${'1,'.repeat(999_999)}1]`
  const inBrowser: [string, number | string][] = [
    [deep, 1007],
    [`{"id":1,"method":"ping","data":${deep}}`, 1007],
    [million, 1007],
    [`{"id":1,"method":"transaction.answer","data":{"values":${million}}}`, 'bad-request'],
    [`{"id":1,"method":"transaction.start","data":{"params":${million}}}`, 'bad-request'],
    [`{"id":1,"method":${JSON.stringify('x'.repeat(3_000_000))}}`, 'not-found'],
  ]
  for (const [frame, expected] of inBrowser) {
    const raw = await rawBrowser(server, cookie)
    raw.send(JSON.stringify({ id: 0, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
    raw.send(frame)
    if (typeof expected === 'number') t.equal((await raw.closed).code, expected)
    else {
      const reply = await eventually(() => {
        const found = raw.frames.find(text => text.startsWith('{"id":1,'))
        if (found === undefined) throw new Error('no reply')
        return found
      })
      t.match(JSON.parse(reply), { error: { code: expected } })
      t.ok(reply.length < 1_000, 'the reply does not repeat what was sent')
    }
    raw.end()
  }
  const inHost: [string, number | null][] = [
    [message(deep), 1007],
    [message(`{"id":"1","kind":"CALL","methodName":"SEND_LOG","data":${deep}}`), 1007],
    [message(million), 1007],
    [message(`{"id":"1","kind":"CALL","methodName":"SEND_LOG","data":${million}}`), null],
    [
      message(`{"id":"1","kind":"CALL","methodName":"NOTIFY","data":{"deliveryInstructions":${million}}}`),
      null,
    ],
  ]
  for (const [frame, expected] of inHost) {
    const host = await RawHost.connect(server, seeded.liveKey)
    await host.initialize(['big'])
    host.raw.send(frame)
    if (expected !== null) t.equal((await host.raw.closed).code, expected)
    else t.equal(await host.call('SEND_LOG', { transactionId: randomUUID(), data: 'x' }), false)
    host.raw.end()
  }
  const { slowestMs } = await measured.stop()
  t.ok(slowestMs < stallMsMax, `others waited ${slowestMs.toFixed(0)} ms at most`)
})
