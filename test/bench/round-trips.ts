/**
 * A load of round trips of an IO call: the host asks, the browser is shown the form, answers at once, the host has the
 * answer and asks again. 64 at a time.
 */
import { randomUUID } from 'node:crypto'
import type { Events } from '../../lib/clients/wire.js'
import type { Seeded, TestServer } from '../support/server.js'
import { pause, percentile, processorMs } from './figures.js'
import { RawBrowser } from './raw-browser.js'
import { RawHost, type RawHostEvents } from './raw-host.js'

const atOnce = 64
/** Each with a window of its own. They take turns, since a window may not press a button more than 50 times a second. */
export const transactionCount = 256
/** Steps of one transaction that follow each other. */
const stepsInARow = 16
const hostCount = 16
const turns = 5
/** Turns that are not measured: the engine compiles what it meets often for many seconds. */
const warmUpTurns = 3
const warmUpMs = 1_000
const measuredMs = 2_500

/** Keeps `atOnce` round trips going while it is its turn, those that waited longest first, and measures them. */
export class Load {
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

  /** A turn that is not measured. */
  async warmUp(): Promise<void> {
    this.#isRunning = true
    this.#fill()
    await pause(warmUpMs + measuredMs)
    this.#isRunning = false
    await pause(200)
  }

  /** One turn; `pids` are the processes that do the work. */
  async turn(pids: readonly number[]): Promise<void> {
    this.#isRunning = true
    this.#fill()
    await pause(warmUpMs)
    const used = () => pids.reduce((sum, pid) => sum + processorMs(pid), 0)
    const usedMs = used()
    const startedAtMs = performance.now()
    this.#isMeasuring = true
    await pause(measuredMs)
    this.#isMeasuring = false
    this.#seconds += (performance.now() - startedAtMs) / 1_000
    this.#processorMs += used() - usedMs
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

/** One of two things that take turns. */
export interface Side {
  readonly load: Load
  /** Processes that do the work. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

/** Lets the sides take turns, so that whatever else the machine does slows all alike. Ends them. */
export async function takeTurns(...sides: readonly Side[]): Promise<void> {
  for (let turn = 0; turn < warmUpTurns; turn += 1) for (const { load } of sides) await load.warmUp()
  for (let turn = 0; turn < turns; turn += 1) for (const { load, pids } of sides) await load.turn(pids)
  for (const side of sides) await side.stop()
}

/** Where a load goes: hosts and browsers may be connected to different nodes. */
export interface Place {
  readonly hostsAt: TestServer
  readonly browsersAt: TestServer
  readonly seeded: Seeded
}

/** Hosts that take turns with what is started. */
export async function connectHosts(place: Place, events: RawHostEvents): Promise<RawHost[]> {
  const { hostsAt, seeded } = place
  const connect = () => RawHost.connect(hostsAt.endpoint, seeded.liveKey, ['ask'], events)
  return await Promise.all(Array.from({ length: hostCount }, connect))
}

/**
 * Whose ids transactions begin under: those that windows are `given`, as in the dashboard, which the windows' node leads;
 * or any, `made` by whoever starts them: led by all nodes.
 */
export type Ids = 'given' | 'made'

/** Windows, each with `runsEach` transactions of the action, one after the other. */
export async function startRuns(
  place: Place,
  windows: number,
  runsEach: number,
  onEvent: (browser: RawBrowser, event: string, data: unknown) => void = () => undefined,
  ids: Ids = 'made',
): Promise<RawBrowser[]> {
  const { browsersAt, seeded } = place
  const cookie = await browsersAt.signIn(seeded.user.email, seeded.password)
  const action = { organization: seeded.organization.slug, environment: 'production', slug: 'ask' }
  return await Promise.all(
    Array.from({ length: windows }, async () => {
      const browser = await RawBrowser.connect(browsersAt.address, cookie)
      browser.onEvent = (event, data) => onEvent(browser, event, data)
      for (let run = 0; run < runsEach; run += 1) {
        // A window may not ask more than 50 times a second.
        if (run > 0) await pause(25)
        const transactionId = ids === 'given' ? browser.newId : randomUUID()
        await browser.ask('transaction.start', { ...action, transactionId })
      }
      return browser
    }),
  )
}

/** Answers what a window is shown, at once. */
export function answerRender(browser: RawBrowser, event: string, data: unknown): void {
  if (event !== 'transaction.render') return
  const { transactionId, step } = data as Events['transaction.render']
  const { inputGroupKey, id: renderId } = step.call
  const answer = { transactionId, requestId: randomUUID(), inputGroupKey, renderId, kind: 'RETURN' }
  void browser.ask('transaction.answer', { ...answer, values: ['Ada Quill'], choice: 'continue' })
}

/** Round trips through interval-server. */
export async function roundTrips(place: Place, rest: Omit<Side, 'load'>, ids: Ids): Promise<Side> {
  const load = new Load()
  const trips = new Map<string, { count: number; askedAtMs: number }>()
  const ask = (host: RawHost, transactionId: string): void => {
    const count = (trips.get(transactionId)?.count ?? 0) + 1
    trips.set(transactionId, { count, askedAtMs: performance.now() })
    void host.ask(transactionId, 'Your name')
  }
  const hosts = await connectHosts(place, {
    started: (host, transactionId) => load.first(() => ask(host, transactionId)),
    answered(host, transactionId) {
      const { count = 0, askedAtMs = 0 } = trips.get(transactionId) ?? {}
      load.next(count, performance.now() - askedAtMs, () => ask(host, transactionId))
    },
  })
  const browsers = await startRuns(place, transactionCount, 1, answerRender, ids)
  return sideOf(load, hosts, browsers, rest)
}

/** Calls of a host that are one commit each: how far it is. Confirmed when the commit is on every copy. */
export async function commits(place: Place, rest: Omit<Side, 'load'>, ids: Ids): Promise<Side> {
  const load = new Load()
  const counts = new Map<string, number>()
  const say = async (host: RawHost, transactionId: string): Promise<void> => {
    const itemsCompleted = (counts.get(transactionId) ?? 0) + 1
    counts.set(transactionId, itemsCompleted)
    const saidAtMs = performance.now()
    await host.call('SEND_LOADING_CALL', { transactionId, label: 'On the way', itemsCompleted })
    load.next(itemsCompleted, performance.now() - saidAtMs, () => void say(host, transactionId))
  }
  const hosts = await connectHosts(place, {
    started: (host, transactionId) => load.first(() => void say(host, transactionId)),
    answered: () => undefined,
  })
  const browsers = await startRuns(place, transactionCount, 1, () => undefined, ids)
  return sideOf(load, hosts, browsers, rest)
}

function sideOf(
  load: Load,
  hosts: readonly RawHost[],
  browsers: readonly RawBrowser[],
  rest: Omit<Side, 'load'>,
): Side {
  return {
    load,
    pids: rest.pids,
    async stop() {
      for (const browser of browsers) browser.close()
      for (const host of hosts) host.close()
      await rest.stop()
    },
  }
}
