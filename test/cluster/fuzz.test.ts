/**
 * Hostile frames against the live socket, as host and as browser, while a real session runs beside them and completes:
 * 100,000, or 1,000,000 with TEST_LONG=1. Repeat a run with the seed it prints: `TEST_SEED=…`.
 *
 * A frame that breaks the protocol costs its connection, so most of those are left out here (the parsers meet all of
 * them in test/unit/sdk/fuzz.test.ts); each connection ends with one.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { HostRpc } from '../../lib/sdk/index.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import {
  hostileFrame,
  hostileValue,
  pick,
  type Random,
  runSeed,
  seededRandom,
} from '../support/hostile-frames.js'
import { TestServer } from '../support/server.js'
import { watch } from './measure.js'
import { RawHost, type RawSocket, rawBrowser } from './raw-socket.js'

type Checks = Pick<typeof t, 'equal'>

const total = process.env.TEST_LONG ? 1_000_000 : 100_000
const browserShare = 0.1
const perConnection = 1_000
/** Over the rate of a browser everything is answered alike, so each connection sends few. */
const perBrowserConnection = 50
t.setTimeout(process.env.TEST_LONG ? 1_200_000 : 300_000)

const seed = runSeed()
t.comment(`TEST_SEED=${seed}`)
const random = seededRandom(seed)
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

/** True when the frame costs its connection. */
function isFatal(frame: string | Buffer): boolean {
  if (typeof frame !== 'string') return true
  const rpc = new HostRpc({
    sendText: () => undefined,
    onCall: () => Promise.resolve(true),
    after: () => () => undefined,
  })
  try {
    rpc.onText(frame)
    return false
  } catch {
    return true
  } finally {
    rpc.close()
  }
}

const methods = [
  'hello',
  'ping',
  'directory.watch',
  'directory.unwatch',
  'transaction.start',
  'transaction.attach',
  'transaction.answer',
  'transaction.cancel',
  'transaction.leave',
  'page.open',
  'page.setState',
  'page.leave',
  '__proto__',
]

function hostileRequest(from: Random, id: number): string {
  return JSON.stringify({ id, method: pick(from, methods), data: hostileValue(from) })
}

/** Waits until the node has taken what was sent, or has closed the socket. */
function taken(raw: RawSocket): Promise<unknown> {
  const answered = new Promise(resolve => raw.socket.once('pong', resolve))
  if (raw.isOpen) raw.socket.ping()
  return Promise.race([answered, raw.closed])
}

async function asHost(count: number): Promise<void> {
  const hostile = await RawHost.connect(server, seeded.liveKey)
  if (random() < 0.5) await hostile.initialize(['hostile'])
  let fatal: string | Buffer = 'x'
  for (let sent = 0; sent < count; ) {
    const frame = hostileFrame(random)
    if (isFatal(frame)) fatal = frame
    else {
      hostile.raw.send(frame)
      sent += 1
    }
  }
  await taken(hostile.raw)
  hostile.raw.send(fatal)
  await hostile.raw.closed
}

async function asBrowser(count: number): Promise<void> {
  const raw = await rawBrowser(server, cookie)
  raw.send(JSON.stringify({ id: 0, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
  for (let sent = 1; sent < count; sent++) raw.send(hostileRequest(random, sent))
  await taken(raw)
  raw.send('{')
  await raw.closed
}

async function session(t: Checks): Promise<void> {
  const transactionId = randomUUID()
  const place = { organization: seeded.organization.slug, environment: 'production' }
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }))
  const ioCall = JSON.stringify({
    id: randomUUID(),
    inputGroupKey: randomUUID(),
    kind: 'RENDER',
    toRender: [{ methodName: 'INPUT_TEXT', label: 'Name', props: {}, isStateful: false, isOptional: false }],
  })
  t.equal(await host.call('SEND_IO_CALL', { transactionId, ioCall }), true)
  await browser.answer(transactionId, await browser.step('Name', transactionId), ['Ada'])
  const end = { transactionId, resultStatus: 'SUCCESS', result: '{"status":"SUCCESS","data":"done"}' }
  t.equal(await host.call('MARK_TRANSACTION_COMPLETE', end), true)
  await browser.event('transaction.completed', data => data.transactionId === transactionId)
}

t.test('hostile frames beside a session', async t => {
  const measured = watch(server, browser, 50)
  let sent = 0
  let sessions = 0
  const work = async (): Promise<void> => {
    while (sent < total) {
      const isBrowser = random() < browserShare / (perBrowserConnection / perConnection)
      const count = isBrowser ? perBrowserConnection : perConnection
      sent += count
      await (isBrowser ? asBrowser(count) : asHost(count))
    }
  }
  const beside = async (): Promise<void> => {
    while (sent < total) {
      await session(t)
      sessions += 1
      await new Promise(resolve => setTimeout(resolve, 200))
    }
  }
  await Promise.all([work(), work(), work(), work(), beside()])
  await session(t)
  const { slowestMs, medianMs, memoryMbMax } = await measured.stop()
  t.ok(server.isRunning)
  t.ok(sessions > 0, `${sent} frames, ${sessions} sessions completed beside them`)
  t.ok(memoryMbMax < 700, `${memoryMbMax.toFixed(0)} MB at most`)
  t.comment(`others waited ${medianMs.toFixed(1)} ms (median), ${slowestMs.toFixed(0)} ms at most`)
  t.notMatch(server.output, /\n\s+at .*\.js/, 'nothing was thrown that nobody caught')
})
