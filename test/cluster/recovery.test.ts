/**
 * A node is killed as `kill -9` does: while a prompt waits, while answers are in flight, and exactly at each named
 * failure point. After its restart host and browser come back by themselves, the same prompt is there, every answer
 * has reached the action once, and nothing that was answered is shown again.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Step, TransactionResult, TransactionSnapshot } from '../../lib/clients/wire.js'
import { failurePointNames } from '../../lib/partitions/index.js'
import { BrowserClient, RequestRefused } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import type { SdkVersionName } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'
import { HostProcess } from './host-process.js'

type Checks = Pick<typeof t, 'match' | 'equal' | 'same' | 'ok'>

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const browser = await BrowserClient.connect(server.address, cookie)
const hosts = new Map<SdkVersionName, HostProcess>()
for (const version of ['2.0.0', '0.38.0'] as const) {
  const options = { version, endpoint: server.endpoint, apiKey: seeded.liveKey, prefix: prefixOf(version) }
  hosts.set(version, await HostProcess.start(options))
}
t.teardown(async () => {
  browser.close()
  for (const host of hosts.values()) host.kill()
  await server.stop()
})

function prefixOf(version: SdkVersionName): string {
  return `v${version.replaceAll('.', '_')}`
}

/** Failure points the next starts are given, one each. */
const points: string[] = []
const reached: string[] = []
let starts = 0

/** Starts the node again whenever it has died, with the next failure point, until it is told to stop. */
function keepAlive(): { stop(): Promise<void> } {
  let stopped = false
  let current = ''
  const revive = async (): Promise<void> => {
    while (!stopped) {
      if (!server.isRunning) {
        if (current !== '') reached.push(current)
        if (process.env.TEST_DEBUG) process.stderr.write(`died at ${current}, next ${points[0]}\n`)
        current = points.shift() ?? ''
        starts += 1
        // A node may reach its point while it is still starting.
        const up = await server.run(current === '' ? {} : { INTERVAL_FAILPOINT: current }).then(
          () => true,
          () => false,
        )
        if (up) await browser.open().catch(() => undefined)
      } else if (browser.closeCode !== null) await browser.open().catch(() => undefined)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  const running = revive()
  return {
    async stop() {
      stopped = true
      await running
    },
  }
}

/** One run as a window sees it, through any number of reconnects. */
class Run {
  readonly id = randomUUID()
  readonly #slug: string
  readonly #answered = new Set<string>()
  /** Starts of the node before this run. */
  readonly #startedAt = starts
  /** Steps that were shown as open after their answer had been acknowledged. */
  readonly shownAgain: string[] = []
  snapshot: TransactionSnapshot | null = null

  constructor(version: SdkVersionName, name: string) {
    this.#slug = `${prefixOf(version)}_${name}`
  }

  async start(): Promise<void> {
    await this.#persist(async () => {
      this.snapshot = await browser.ask('transaction.start', {
        organization: seeded.organization.slug,
        environment: 'production',
        transactionId: this.id,
        slug: this.#slug,
        params: { run: this.id },
      })
    })
  }

  /** Waits for the open step with this label, attaching again as a window does after each reconnect. */
  step(label: string): Promise<Step> {
    return eventually(
      async () => {
        const snapshot = await this.attach()
        const step = snapshot.steps.find(({ call }) => call.toRender.some(shown => shown.label === label))
        if (!step || step.answered) throw new Error(`"${label}" is not open: ${JSON.stringify(snapshot)}`)
        return step
      },
      60_000,
      50,
    )
  }

  async answer(label: string, value: unknown): Promise<void> {
    const step = await this.step(label)
    const requestId = randomUUID()
    const { inputGroupKey, id: renderId } = step.call
    const data = {
      transactionId: this.id,
      requestId,
      inputGroupKey,
      renderId,
      kind: 'RETURN' as const,
      values: [value],
    }
    await this.#persist(() => browser.ask('transaction.answer', data))
    this.#answered.add(label)
  }

  async attach(): Promise<TransactionSnapshot> {
    const snapshot = await withDeadline(browser.ask('transaction.attach', { transactionId: this.id }))
    this.snapshot = snapshot
    for (const { call, answered } of snapshot.steps) {
      const label = call.toRender[0]?.label ?? ''
      if (!answered && this.#answered.has(label)) this.shownAgain.push(label)
    }
    return snapshot
  }

  /**
   * How it ended; null when the action has returned and its completion was on its way when a node died: SDKs send that
   * once, so it is lost, and must never be called a success.
   */
  result(host: HostProcess | undefined): Promise<TransactionResult | null> {
    let doneAtMs: number | null = null
    return eventually(
      async () => {
        const { result, status } = await this.attach()
        if (result) return result
        if (host && host.count(this.id, 'sure') > 0) doneAtMs ??= Date.now()
        const isLost = doneAtMs !== null && Date.now() - doneAtMs > 5_000 && starts > this.#startedAt
        if (isLost && status === 'running') return null
        throw new Error(`it has not ended: ${status}`)
      },
      60_000,
      50,
    )
  }

  /** Repeats what was refused for a reason that passes. */
  async #persist(attempt: () => Promise<unknown>): Promise<void> {
    let refused: RequestRefused | null = null
    await eventually(
      async () => {
        try {
          await withDeadline(attempt())
        } catch (error) {
          if (!(error instanceof RequestRefused) || isPassing(error)) throw error
          refused = error
        }
      },
      60_000,
      50,
    )
    if (refused) throw refused
  }
}

function isPassing(error: RequestRefused): boolean {
  return ['host-not-found', 'unavailable', 'draining', 'timeout', 'queue-full'].includes(error.body.code)
}

/** Frames that were lost with their connection are sent again on the next one, so this only has to be patient. */
async function withDeadline<Result>(request: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no reply within 20 s')), 20_000)
  })
  return Promise.race([request, late]).finally(() => clearTimeout(timer))
}

/** Completions that were on their way when a node died. */
let completionsLost = 0

const answers = { first: 'Ada', second: 42, sure: true }

async function complete(run: Run, version: SdkVersionName): Promise<TransactionResult | null> {
  await run.answer('First', answers.first)
  await run.answer('Second', answers.second)
  await run.answer('Sure?', answers.sure)
  return run.result(hosts.get(version))
}

/** What must hold of every run, whatever was killed meanwhile. */
function checkRun(t: Checks, run: Run, result: TransactionResult | null, version: SdkVersionName): void {
  if (result === null) completionsLost += 1
  else t.match(result, { status: 'SUCCESS', data: answers })
  const host = hosts.get(version)
  for (const what of ['started', 'first', 'second', 'sure']) {
    t.equal(host?.count(run.id, what), 1, `the action got "${what}" once`)
  }
  t.same(run.shownAgain, [], 'nothing is shown again after its answer')
  checkLines(t, run, ['line 0', 'line 1', 'line 2'], 3)
}

/**
 * A line that is on its way when the node dies is lost: the host was told that its frame had arrived, and is answered
 * `true` later so that it does not wait for ever. None comes twice, and none in another order.
 */
function checkLines(t: Checks, run: Run, expected: string[], lostMax: number): void {
  const lines = run.snapshot?.logs.map(line => line.text) ?? []
  t.same(
    lines,
    expected.filter(line => lines.includes(line)),
    'lines come once and in order',
  )
  t.ok(lines.length >= expected.length - lostMax, `${lines.length} of ${expected.length} lines`)
}

t.test('killed while a prompt waits', async t => {
  for (const version of hosts.keys()) {
    const run = new Run(version, 'steps')
    await run.start()
    const before = await run.step('First')
    await server.kill()
    const alive = keepAlive()
    try {
      const after = await run.step('First')
      t.equal(after.call.id, before.call.id, 'the same prompt is there')
      t.equal(after.call.inputGroupKey, before.call.inputGroupKey)
      checkRun(t, run, await complete(run, version), version)
    } finally {
      await alive.stop()
    }
  }
})

t.test('killed while an answer is in flight', async t => {
  const alive = keepAlive()
  try {
    for (const afterMs of [0, 1, 3, 8]) {
      const run = new Run('2.0.0', 'steps')
      await run.start()
      await run.step('First')
      const answered = run.answer('First', answers.first)
      await new Promise(resolve => setTimeout(resolve, afterMs))
      await server.kill()
      await answered
      await run.answer('Second', answers.second)
      await run.answer('Sure?', answers.sure)
      checkRun(t, run, await run.result(hosts.get('2.0.0')), '2.0.0')
    }
  } finally {
    await alive.stop()
  }
})

t.test('killed while logs, displays and loading states are in flight: nothing hangs', async t => {
  const alive = keepAlive()
  try {
    const run = new Run('2.0.0', 'chatty')
    await run.start()
    for (const _ of [1, 2]) {
      const seen = (await run.attach()).logs.length
      await eventually(async () => {
        const { logs } = await run.attach()
        if (logs.length < seen + 5) throw new Error(`only ${logs.length} lines`)
      }, 30_000)
      await server.kill()
      await eventually(() => run.attach(), 30_000)
    }
    t.match(await run.result(undefined), { status: 'SUCCESS', data: 'done' })
    t.equal(hosts.get('2.0.0')?.count(run.id, 'done'), 1)
    const expected = Array.from({ length: 60 }, (_, round) => `round ${round}`)
    checkLines(t, run, expected, 2)
  } finally {
    await alive.stop()
  }
})

t.test('killed at every failure point', async t => {
  // Counts spread over the connects of the hosts, the start, the renders, the answers and the completion of a run.
  const counts: Record<string, number[]> = {
    'commit.before-write': [3, 13],
    'commit.after-write': [4, 18],
    'decision.after-decide': [7],
    'reply.before-send': [6, 26],
  }
  const planned = failurePointNames.flatMap(name => (counts[name] ?? [1]).map(count => `${name}:${count}`))
  points.push(...planned)
  reached.length = 0
  await server.kill()
  const alive = keepAlive()
  try {
    for (let turn = 0; (points.length > 0 || reached.length < planned.length) && turn < 20; turn++) {
      const version = turn % 4 === 3 ? '0.38.0' : '2.0.0'
      const run = new Run(version, 'steps')
      await run.start()
      checkRun(t, run, await complete(run, version), version)
    }
  } finally {
    await alive.stop()
  }
  t.same(points, [], 'every point was given to a node')
  t.ok(completionsLost <= reached.length / 2, `${completionsLost} completions were lost on the way`)
  t.comment(`killed at ${reached.join(', ')}; ${starts} starts`)
  for (const name of failurePointNames) {
    t.ok(
      reached.some(point => point.startsWith(`${name}:`)),
      `a node was killed at ${name}`,
    )
  }
})

t.test('the hosts are well', async t => {
  for (const host of hosts.values()) {
    t.same(
      host.notes.filter(note => note.what === 'unhandled'),
      [],
    )
  }
})
