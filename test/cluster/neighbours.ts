/**
 * Those who share a node with somebody who misbehaves: a host that logs and a window that asks, one after the other,
 * each a commit or a request like any other. How long they wait is what the other one may not change.
 */
import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Test } from 'tap'
import { RawHost } from '../bench/raw-host.js'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import type { Seeded, TestServer } from '../support/server.js'
import { memoryMb } from './measure.js'

export interface Waits {
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly memoryMbMax: number
}

/** Below this, a wait says nothing about the node. */
const unnoticedMs = 60

export class Neighbours {
  readonly #server: TestServer
  readonly #browser: BrowserClient
  readonly #host: RawHost
  readonly #transactionId: string
  #line = 0

  private constructor(server: TestServer, browser: BrowserClient, host: RawHost, transactionId: string) {
    this.#server = server
    this.#browser = browser
    this.#host = host
    this.#transactionId = transactionId
  }

  static async moveIn(server: TestServer, seeded: Seeded, cookie: string): Promise<Neighbours> {
    const browser = await BrowserClient.connect(server.address, cookie)
    const events = { started: () => undefined, answered: () => undefined }
    const host = await RawHost.connect(server.endpoint, seeded.liveKey, ['neighbour'], events)
    const transactionId = randomUUID()
    const place = { organization: seeded.organization.slug, environment: 'production' }
    await eventually(() => browser.ask('transaction.start', { ...place, transactionId, slug: 'neighbour' }))
    return new Neighbours(server, browser, host, transactionId)
  }

  /** Measures until `work` is over. */
  async during(work: Promise<unknown>): Promise<Waits> {
    const tookMs: number[] = []
    let memoryMbMax = 0
    let isOver = false
    const failed: unknown[] = []
    const over = work
      .catch((error: unknown) => failed.push(error))
      .finally(() => {
        isOver = true
      })
    while (!isOver) {
      const startedMs = performance.now()
      await this.#live()
      tookMs.push(performance.now() - startedMs)
      memoryMbMax = Math.max(memoryMbMax, memoryMb(this.#server))
      // Below what one window may ask in a second.
      await new Promise(resolve => setTimeout(resolve, 25))
    }
    await over
    if (failed.length > 0) throw failed[0]
    tookMs.sort((a, b) => a - b)
    const at = (part: number) => tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * part))] ?? 0
    return { count: tookMs.length, medianMs: at(0.5), p99Ms: at(0.99), memoryMbMax }
  }

  /** What they wait while nobody misbehaves. */
  atRest(ms = 2_000): Promise<Waits> {
    return this.during(new Promise(resolve => setTimeout(resolve, ms)))
  }

  moveOut(): void {
    this.#browser.close()
    this.#host.close()
  }

  /** A commit and a request. */
  async #live(): Promise<void> {
    const index = this.#line++
    const line = { transactionId: this.#transactionId, data: 'all is well', index, timestamp: index + 1 }
    const logged = await this.#host.call('SEND_LOG', line)
    if (logged !== true) throw new Error(`a line was not taken: ${String(logged)}`)
    await this.#browser.ask('ping', {})
  }
}

/**
 * They wait at most twice as long as at rest. It is asserted where this file has the machine to itself: beside other
 * tests, either time says more about those.
 */
export function unnoticed(t: Test, waits: Waits, atRest: Waits): void {
  const words = `p99 ${waits.p99Ms.toFixed(1)} ms, ${atRest.p99Ms.toFixed(1)} ms at rest`
  const skip = process.env.TEST_LONG === undefined && 'measured in npm run test:long'
  t.ok(waits.p99Ms <= Math.max(unnoticedMs, atRest.p99Ms * 2), words, { skip })
}

export function inWords({ count, medianMs, p99Ms, memoryMbMax }: Waits): string {
  return `${count} round trips, median ${medianMs.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${memoryMbMax.toFixed(0)} MB at most`
}

/** Open websockets of a kind, as the node counts them. */
export async function socketsOf(server: TestServer, kind: 'host' | 'browser'): Promise<number> {
  const text = await (await fetch(`${server.address}/metrics`)).text()
  return Number(new RegExp(`^interval_sockets\\{kind="${kind}"\\} (\\d+)`, 'm').exec(text)?.[1])
}
