/**
 * Round trips of an IO call: the host asks, the browser is shown the form, answers at once, the host has the answer and
 * asks again. 64 at a time, every step durable. The reference passes the same number of frames through a bare relay.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import type { Events } from '../../lib/clients/wire.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { pause, percentile, print, startPart } from './figures.js'
import { RawBrowser } from './raw-browser.js'
import { RawHost } from './raw-host.js'

const atOnce = 64
const hostCount = 16
const warmUpMs = 3_000
const measuredMs = 10_000

class Meter {
  readonly samplesMs: number[] = []
  #isMeasuring = false
  #startedAtMs = 0

  add(sampleMs: number): void {
    if (this.#isMeasuring) this.samplesMs.push(sampleMs)
  }

  async measure(): Promise<number> {
    await pause(warmUpMs)
    this.#isMeasuring = true
    this.#startedAtMs = performance.now()
    await pause(measuredMs)
    this.#isMeasuring = false
    return this.samplesMs.length / ((performance.now() - this.#startedAtMs) / 1_000)
  }
}

async function ours(): Promise<{ perSecond: number; p99Ms: number }> {
  const server = await TestServer.start()
  const { organization, user, password, liveKey } = await server.seed()
  const cookie = await server.signIn(user.email, password)
  const meter = new Meter()
  const askedAtMs = new Map<string, number>()
  let stopped = false
  const ask = (host: RawHost, transactionId: string): void => {
    if (stopped) return
    askedAtMs.set(transactionId, performance.now())
    void host.ask(transactionId, 'Your name')
  }
  const hosts = await Promise.all(
    Array.from({ length: hostCount }, () =>
      RawHost.connect(server.endpoint, liveKey, ['ask'], {
        started: ask,
        answered(host, transactionId) {
          meter.add(performance.now() - (askedAtMs.get(transactionId) ?? 0))
          ask(host, transactionId)
        },
      }),
    ),
  )
  const place = { organization: organization.slug, environment: 'production' }
  const browsers = await Promise.all(
    Array.from({ length: atOnce }, async () => {
      const browser = await RawBrowser.connect(server.address, cookie)
      browser.onEvent = (event, data) => {
        if (event !== 'transaction.render' || stopped) return
        const { transactionId, step } = data as Events['transaction.render']
        const { inputGroupKey, id: renderId } = step.call
        const answer = { transactionId, requestId: randomUUID(), inputGroupKey, renderId, kind: 'RETURN' }
        void browser.ask('transaction.answer', { ...answer, values: ['Ada Quill'], choice: 'continue' })
      }
      await browser.ask('transaction.start', { ...place, transactionId: randomUUID(), slug: 'ask' })
      return browser
    }),
  )
  const perSecond = await meter.measure()
  stopped = true
  for (const browser of browsers) browser.close()
  for (const host of hosts) host.close()
  await server.stop()
  return { perSecond, p99Ms: percentile(meter.samplesMs, 0.99) }
}

async function reference(): Promise<{ perSecond: number; p99Ms: number }> {
  const port = await freePort()
  const { child } = await startPart('relay.js', [String(port)])
  const meter = new Meter()
  const call = `C${JSON.stringify({ data: 'x'.repeat(900) })}`
  const answer = `A${JSON.stringify({ data: 'x'.repeat(400) })}`
  const open = (name: string): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${name}`, { perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
    })
  }
  const pairs = await Promise.all(
    Array.from({ length: atOnce }, async (_, index) => {
      const browser = await open(`b${index}`)
      const host = await open(`h${index}`)
      let askedAtMs = 0
      browser.on('message', data => {
        const text = String(data)
        if (text[0] !== 'C') return
        JSON.parse(text.slice(1))
        browser.send(answer)
      })
      host.on('message', data => {
        const text = String(data)
        if (text[0] === 'R') host.send('K')
        if (text[0] !== 'A') return
        JSON.parse(text.slice(1))
        host.send('K')
        host.send('R')
        meter.add(performance.now() - askedAtMs)
        askedAtMs = performance.now()
        host.send(call)
      })
      askedAtMs = performance.now()
      host.send(call)
      return { browser, host }
    }),
  )
  const perSecond = await meter.measure()
  for (const { browser, host } of pairs) {
    browser.terminate()
    host.terminate()
  }
  child.kill()
  return { perSecond, p99Ms: percentile(meter.samplesMs, 0.99) }
}

export async function ioRoundtrip(): Promise<void> {
  const relay = await reference()
  const node = await ours()
  print({
    name: 'io-roundtrip',
    value: node.perSecond,
    unit: 'round trips/s',
    reference: relay.perSecond,
    target: 'ratio >= 0.3',
  })
  print({
    name: 'io-roundtrip-p99',
    value: node.p99Ms,
    unit: 'ms',
    reference: relay.p99Ms,
    target: 'value <= 25',
  })
}
