/**
 * Fault 18: floods. One host and one browser send as fast as they can, strangers connect by the hundred, and everybody
 * comes back at once after a kill. Limits act as documented, others wait hardly longer, and all who come back are in.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { limits } from '../../lib/limits.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { SteadyBrowser } from '../support/steady-browser.js'
import { inWords, Neighbours, socketsOf, unnoticed } from './neighbours.js'
import { message, RawHost, RawSocket, rawBrowser } from './raw-socket.js'

t.setTimeout(600_000)
const isLong = process.env.TEST_LONG !== undefined
const skip = !isLong && 'a part of npm run test:long'
const windows = isLong ? 5_000 : 300
const strangers = isLong ? 2_000 : 300
const floodSeconds = isLong ? 10 : 3
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const place = { organization: seeded.organization.slug, environment: 'production' }
t.teardown(() => server.stop())

t.test('row 18: a flood from one host is held, not refused', { skip }, async t => {
  const neighbours = await Neighbours.moveIn(server, seeded, cookie)
  const browser = await BrowserClient.connect(server.address, cookie)
  const host = await RawHost.connect(server, seeded.liveKey)
  t.teardown(() => {
    neighbours.moveOut()
    browser.close()
    host.raw.end()
  })
  await host.initialize(['flood'])
  const transactionId = randomUUID()
  await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'flood' }))
  const atRest = await neighbours.atRest()
  let sent = 0
  let answered = 0
  let refused = 0
  host.raw.socket.on('message', data => {
    const text = String(data)
    if (!text.includes('RESPONSE') || !text.includes('SEND_LOADING_CALL')) return
    if (/data\\":true/.test(text)) answered += 1
    else refused += 1
  })
  // Each is a change of its own; five times what a second may have, and never more than that unanswered.
  const backlogMax = limits.hostMessagesPerSecondMax * 5
  const startedMs = Date.now()
  const flood = async (): Promise<void> => {
    while (Date.now() - startedMs < floodSeconds * 1_000) {
      for (let count = 0; count < 200 && sent - answered - refused < backlogMax; count++) {
        sent += 1
        const data = { transactionId, title: `${sent}` }
        host.raw.send(
          message(JSON.stringify({ id: `f${sent}`, kind: 'CALL', methodName: 'SEND_LOADING_CALL', data })),
        )
      }
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }
  const waits = await neighbours.during(flood())
  const perSecond = answered / ((Date.now() - startedMs) / 1_000)
  t.ok(perSecond <= limits.hostMessagesPerSecondMax * 1.5, `${perSecond.toFixed(0)} were taken per second`)
  unnoticed(t, waits, atRest)
  await eventually(() => {
    if (answered + refused < sent) throw new Error(`${answered + refused} of ${sent} are answered`)
  }, 60_000)
  t.equal(refused, 0, 'none was refused')
  t.ok(host.raw.isOpen, 'it keeps its socket')
  t.comment(`${sent} calls of one host, ${perSecond.toFixed(0)} taken per second, all answered in the end`)
  t.comment(`others at rest: ${inWords(atRest)}; meanwhile: ${inWords(waits)}`)
})

t.test('row 18: a flood from one browser is told, then closed', async t => {
  const neighbours = await Neighbours.moveIn(server, seeded, cookie)
  t.teardown(() => neighbours.moveOut())
  const atRest = await neighbours.atRest()
  let sent = 0
  let told = 0
  const flood = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      const raw = await rawBrowser(server, cookie)
      raw.send(JSON.stringify({ id: 1, method: 'hello', data: { client: randomUUID(), protocol: 1 } }))
      while (raw.isOpen) {
        for (let count = 0; count < 40; count++) {
          sent += 1
          raw.send(JSON.stringify({ id: 2, method: 'ping', data: {} }))
        }
        await new Promise(resolve => setTimeout(resolve, 10))
      }
      t.equal((await raw.closed).code, 1008)
      told += raw.frames.filter(frame => frame.includes('too-many-requests')).length
    }
  }
  const waits = await neighbours.during(flood())
  t.ok(told > 0, 'it was told')
  unnoticed(t, waits, atRest)
  t.comment(`${sent} requests of three floods, ${told} told to slow down, each closed with 1008`)
  t.comment(`others at rest: ${inWords(atRest)}; meanwhile: ${inWords(waits)}`)
})

t.test('row 18: a flood of connections', { skip }, async t => {
  const neighbours = await Neighbours.moveIn(server, seeded, cookie)
  t.teardown(() => neighbours.moveOut())
  const atRest = await neighbours.atRest()
  const codes = new Map<number, number>()
  const flood = async (): Promise<void> => {
    for (let left = strangers; left > 0; left -= 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const headers: Record<string, string> =
            index % 2 === 0
              ? { origin: server.address, cookie: 'session=forged' }
              : { 'x-api-key': `live_${index}`, 'x-instance-id': randomUUID() }
          const { code } = await (await RawSocket.open(server, headers)).closed
          codes.set(code, (codes.get(code) ?? 0) + 1)
        }),
      )
    }
  }
  const waits = await neighbours.during(flood())
  t.same([...codes.keys()].sort(), [1008, 4401], 'each is told why')
  unnoticed(t, waits, atRest)
  t.comment(
    `${strangers} strangers, 20 at a time: ${[...codes].map(([code, count]) => `${count} closed with ${code}`).join(', ')}`,
  )
  t.comment(`others at rest: ${inWords(atRest)}; meanwhile: ${inWords(waits)}`)
})

t.test('row 18: everybody comes back at once', async t => {
  const browsers: SteadyBrowser[] = []
  t.teardown(() => {
    for (const browser of browsers) browser.stop()
  })
  for (let left = windows; left > 0; left -= 50) {
    const count = Math.min(50, left)
    browsers.push(
      ...(await Promise.all(
        Array.from({ length: count }, () => SteadyBrowser.connect(server.address, cookie)),
      )),
    )
  }
  t.equal(await socketsOf(server, 'browser'), windows)
  await server.kill()
  await server.run()
  const startedMs = Date.now()
  await eventually(() => {
    const away = browsers.filter(browser => !browser.isOpen).length
    if (away > 0) throw new Error(`${away} of ${windows} are not back`)
  }, 120_000)
  const tookMs = Date.now() - startedMs
  t.equal(await socketsOf(server, 'browser'), windows, 'all are back')
  const backMs = browsers.map(browser => (browser.openedAtMs.at(-1) ?? 0) - startedMs).sort((a, b) => a - b)
  t.comment(
    `${windows} windows lost their node at once; all were back ${tookMs} ms after it was ready, half after ${backMs[Math.floor(windows / 2)]} ms`,
  )
})
