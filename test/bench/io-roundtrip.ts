/**
 * Round trips of an IO call: the host asks, the browser is shown the form, answers at once, the host has the answer and
 * asks again. 64 at a time, every step durable. The reference passes the same number of frames through a bare relay.
 *
 * Ours and the reference take turns of a few seconds: what else the machine does then slows both alike.
 */
import { randomUUID } from 'node:crypto'
import { WebSocket } from 'ws'
import type { Events } from '../../lib/clients/wire.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { pause, percentile, print, processorMs, startPart } from './figures.js'
import { RawBrowser } from './raw-browser.js'
import { RawHost } from './raw-host.js'

const atOnce = 64
/** Each with a window of its own. They take turns, since a window may not press a button more than 50 times a second. */
const transactionCount = 256
/** Steps of one transaction that follow each other. */
const stepsInARow = 16
const hostCount = 16
const turns = 5
const warmUpMs = 1_000
const measuredMs = 2_500

/** Keeps `atOnce` round trips going while it is its turn, those that waited longest first, and measures them. */
class Load {
  readonly samplesMs: number[] = []
  #seconds = 0
  #processorMs = 0
  #isRunning = false
  #isMeasuring = false
  readonly #waiting: (() => void)[] = []
  #open = 0

  /** Begins the first round trip of a transaction as soon as there is room for it. */
  first(begin: () => void): void {
    this.#waiting.push(begin)
    this.#fill()
  }

  /** The `count`th round trip of a transaction is over; `begin` begins its next. */
  next(count: number, sampleMs: number, begin: () => void): void {
    if (this.#isMeasuring) this.samplesMs.push(sampleMs)
    if (this.#isRunning && count % stepsInARow > 0) {
      begin()
      return
    }
    this.#open -= 1
    this.first(begin)
  }

  #fill(): void {
    while (this.#isRunning && this.#open < atOnce) {
      const begin = this.#waiting.shift()
      if (!begin) return
      this.#open += 1
      begin()
    }
  }

  /** One turn; `pid` is the process that does the work. */
  async turn(pid: number): Promise<void> {
    this.#isRunning = true
    this.#fill()
    await pause(warmUpMs)
    const usedMs = processorMs(pid)
    const startedAtMs = performance.now()
    this.#isMeasuring = true
    await pause(measuredMs)
    this.#isMeasuring = false
    this.#seconds += (performance.now() - startedAtMs) / 1_000
    this.#processorMs += processorMs(pid) - usedMs
    this.#isRunning = false
    await pause(200)
  }

  get perSecond(): number {
    return this.samplesMs.length / this.#seconds
  }

  get p99Ms(): number {
    return percentile(this.samplesMs, 0.99)
  }

  /** Processor time of all threads for each round trip. */
  get processorUs(): number {
    return (this.#processorMs * 1_000) / this.samplesMs.length
  }
}

interface Side {
  readonly load: Load
  readonly pid: number
  stop(): Promise<void>
}

async function ours(): Promise<Side> {
  const server = await TestServer.start()
  const { organization, user, password, liveKey } = await server.seed()
  const cookie = await server.signIn(user.email, password)
  const load = new Load()
  const trips = new Map<string, { count: number; askedAtMs: number }>()
  const ask = (host: RawHost, transactionId: string): void => {
    const count = (trips.get(transactionId)?.count ?? 0) + 1
    trips.set(transactionId, { count, askedAtMs: performance.now() })
    void host.ask(transactionId, 'Your name')
  }
  const hosts = await Promise.all(
    Array.from({ length: hostCount }, () =>
      RawHost.connect(server.endpoint, liveKey, ['ask'], {
        started: (host, transactionId) => load.first(() => ask(host, transactionId)),
        answered(host, transactionId) {
          const { count = 0, askedAtMs = 0 } = trips.get(transactionId) ?? {}
          load.next(count, performance.now() - askedAtMs, () => ask(host, transactionId))
        },
      }),
    ),
  )
  const place = { organization: organization.slug, environment: 'production' }
  const browsers = await Promise.all(
    Array.from({ length: transactionCount }, async () => {
      const browser = await RawBrowser.connect(server.address, cookie)
      browser.onEvent = (event, data) => {
        if (event !== 'transaction.render') return
        const { transactionId, step } = data as Events['transaction.render']
        const { inputGroupKey, id: renderId } = step.call
        const answer = { transactionId, requestId: randomUUID(), inputGroupKey, renderId, kind: 'RETURN' }
        void browser.ask('transaction.answer', { ...answer, values: ['Ada Quill'], choice: 'continue' })
      }
      await browser.ask('transaction.start', { ...place, transactionId: randomUUID(), slug: 'ask' })
      return browser
    }),
  )
  return {
    load,
    pid: server.pid,
    async stop() {
      for (const browser of browsers) browser.close()
      for (const host of hosts) host.close()
      await server.stop()
    },
  }
}

async function reference(): Promise<Side> {
  const port = await freePort()
  const { child } = await startPart('relay.js', [String(port)])
  const load = new Load()
  const call = `C${JSON.stringify({ data: 'x'.repeat(900) })}`
  const answer = `A${JSON.stringify({ data: 'x'.repeat(400) })}`
  const open = (name: string): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${name}`, { perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
    })
  }
  const sockets = await Promise.all(
    Array.from({ length: transactionCount }, async (_, index) => {
      const browser = await open(`b${index}`)
      const host = await open(`h${index}`)
      let askedAtMs = 0
      let count = 0
      const ask = (): void => {
        askedAtMs = performance.now()
        count += 1
        host.send(call)
      }
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
        load.next(count, performance.now() - askedAtMs, ask)
      })
      load.first(ask)
      return [browser, host]
    }),
  )
  return {
    load,
    pid: child.pid ?? 0,
    async stop() {
      for (const socket of sockets.flat()) socket.terminate()
      child.kill()
    },
  }
}

export async function ioRoundtrip(): Promise<void> {
  const relay = await reference()
  const node = await ours()
  for (let turn = 0; turn < turns; turn += 1) {
    await relay.load.turn(relay.pid)
    await node.load.turn(node.pid)
  }
  await relay.stop()
  await node.stop()
  const figure = (name: string, unit: string, read: (load: Load) => number, target: string) =>
    print({ name, value: read(node.load), unit, reference: read(relay.load), target })
  figure('io-roundtrip', 'round trips/s', load => load.perSecond, 'ratio >= 0.3')
  figure('io-roundtrip-p99', 'ms', load => load.p99Ms, 'value <= 25')
  figure('io-roundtrip-cpu', 'us each', load => load.processorUs, 'none')
}
