/** Timers on real partitions, a virtual clock and transports that the test answers: when they are called, and how often. */
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { openPartitions, type Partitions, partitionOf, VirtualClock } from '../../../lib/partitions/index.js'
import { dataOf, type Firing, firingId, type Retry, Timers, timerKind } from '../../../lib/timers/index.js'
import { type TimerRecord, textOf } from '../../../lib/timers/timer.js'
import { keyOf } from '../../../lib/timers/timers.js'
import { codeOf, eventually as eventuallyNamed, temporaryDirectory } from '../partitions/support.js'

t.setTimeout(120_000)

const startMs = 1_700_000_000_000
const callback = { transport: 'test', uri: 'http://receiver.test/x', method: 'post' }

const eventually = (condition: () => boolean | Promise<boolean>): Promise<void> =>
  eventuallyNamed(condition, String(condition))

/** One life of a node: what it calls waits until the test answers it. */
class Life {
  readonly calls: { firing: Firing; answer: (error?: Error) => void; atMs: number }[] = []
  /** Answers at once, without being asked. */
  isQuick = true
  failWith: Error | undefined

  private constructor(
    readonly partitions: Partitions,
    readonly clock: VirtualClock,
    readonly timers: Timers,
  ) {}

  static async begin(options: { path?: string; nowMs?: number; isQuick?: boolean } = {}): Promise<Life> {
    const clock = new VirtualClock(options.nowMs ?? startMs)
    const { path } = options
    const partitions = await openPartitions({
      storage: path === undefined ? { backend: 'memdown' } : { backend: 'leveldown', path },
      clock,
      log: silentLog,
      onFatal: () => undefined,
    })
    partitions.register(timerKind)
    const life: { current?: Life } = {}
    const transport = {
      call: (firing: Firing): Promise<void> => life.current?.called(firing) ?? Promise.resolve(),
      receiverOf: (uri: string) => uri,
    }
    const transports = new Map([['test', transport]])
    const timers = new Timers({ runtime: partitions, clock, log: silentLog, transports })
    const begun = new Life(partitions, clock, timers)
    begun.isQuick = options.isQuick ?? true
    life.current = begun
    await partitions.start()
    return begun
  }

  called(firing: Firing): Promise<void> {
    return new Promise((resolve, reject) => {
      const answer = (error?: Error): void => (error ? reject(error) : resolve())
      this.calls.push({ firing, answer, atMs: this.clock.nowMs() })
      if (this.isQuick) answer(this.failWith)
    })
  }

  async create(
    timeoutMs: number,
    more: { id?: string; retry?: Retry; scope?: string } = {},
  ): Promise<string> {
    const { id = this.timers.newId(''), retry, scope = '' } = more
    const isNew = more.id === undefined
    await this.timers.create(scope, { timeoutMs, callback, ...(retry && { retry }) }, id, isNew)
    return id
  }

  /** Moves time on in small steps, so that what waits for the disk gets its turn. */
  async advance(ms: number, stepMs = ms): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passedMs))
      await this.settled()
    }
  }

  async settled(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }

  /** As a kill: nothing is tidied up, but the store is closed so that the next life may open it. */
  async end(): Promise<void> {
    await this.partitions.store.close()
  }
}

t.test('a timer is called once, not before its time, and is gone', async t => {
  const life = await Life.begin()
  const id = await life.create(5_000)
  await life.advance(5_000)
  t.equal(life.calls.length, 0, 'a clock that shows whole ms rounds down: 1 ms more')
  await life.advance(1)
  await eventually(() => life.calls.length === 1)
  t.equal(life.calls[0]?.firing.timer.id, id)
  t.equal(await eventuallyGone(life, id), 'not-found')
  await life.advance(120_000, 10_000)
  t.equal(life.calls.length, 1)
  await life.partitions.stop()
})

t.test('cancelled, replaced, of another scope, in use', async t => {
  const life = await Life.begin()
  const one = await life.create(5_000)
  await life.timers.cancel('', one)
  t.equal(await codeOf(life.timers.cancel('', one)), 'not-found')
  const two = await life.create(5_000)
  await life.advance(3_000)
  await life.timers.replace('', two, { timeoutMs: 5_000, data: dataOf('new'), callback })
  await life.advance(3_000)
  t.equal(life.calls.length, 0, 'the clock started anew, and what was cancelled stays so')
  await life.advance(2_001)
  await eventually(() => life.calls.length === 1)
  t.equal(life.calls[0]?.firing.timer.data?.text, 'new')

  const mine = await life.create(60_000, { scope: 'one', id: 'chosen' })
  t.equal(mine, 'chosen')
  t.equal(await codeOf(life.create(60_000, { scope: 'one', id: 'chosen' })), 'conflict')
  t.equal(await codeOf(life.timers.read('two', 'chosen')), 'not-found', 'another scope has other ids')
  await life.create(60_000, { scope: 'two', id: 'chosen' })
  const ours = await life.create(60_000, { scope: 'one' })
  t.equal(await codeOf(life.timers.read('two', ours)), 'not-found')
  t.equal(await codeOf(life.timers.cancel('two', ours)), 'not-found')
  t.equal((await life.timers.read('one', ours)).id, ours)
  await life.partitions.stop()
})

t.test('a call that was not reported is made again by the next life, under the same id', async t => {
  const directory = await temporaryDirectory()
  t.teardown(directory.remove)
  const path = join(directory.path, 'entities')
  const first = await Life.begin({ path, isQuick: false })
  await first.create(1_000)
  const early = await first.create(50_000)
  await first.advance(1_001)
  await eventually(() => first.calls.length === 1)
  await first.end()
  const second = await Life.begin({ path, nowMs: startMs + 2_000 })
  await eventually(() => second.calls.length === 1)
  const [before, after] = [first.calls[0]?.firing, second.calls[0]?.firing]
  t.ok(before && after && firingId(before) === firingId(after))
  await second.settled()
  await second.advance(47_000, 10_000)
  t.equal(second.calls.length, 1)
  await second.advance(1_001)
  await eventually(() => second.calls.length === 2)
  t.equal(second.calls[1]?.firing.timer.id, early, 'the far one came in its time')
  await second.partitions.stop()
})

t.test(
  'without retries a call that fails is the last; with them there are so many, farther and farther apart',
  async t => {
    const life = await Life.begin()
    life.failWith = new Error('no')
    const plain = await life.create(1_000)
    await life.advance(1_001)
    t.equal(await eventuallyGone(life, plain), 'not-found')

    const retry: Retry = { attempts: 3, backoffMs: 1_000, backoffMsMax: 60_000 }
    const stubborn = await life.create(1_000, { retry })
    await life.advance(5_000, 100)
    await eventually(async () => (await life.timers.read('', stubborn)).failedAtMs !== undefined)
    const calls = life.calls.filter(({ firing }) => firing.timer.id === stubborn)
    t.same(
      calls.map(({ firing }) => firing.attempt),
      [1, 2, 3],
    )
    const gaps = calls.slice(1).map(({ atMs }, at) => atMs - (calls[at]?.atMs ?? 0))
    t.ok(gaps[0] && gaps[0] >= 1_000 && gaps[0] < 1_500, `${gaps[0]} ms`)
    t.ok(gaps[1] && gaps[1] >= 2_000 && gaps[1] < 2_500, `${gaps[1]} ms`)
    t.match(await life.timers.read('', stubborn), { lastError: 'no', failures: 3 })
    t.equal(await codeOf(life.timers.cancel('', stubborn)), 'not-found', 'for Skyring it is over')

    life.failWith = undefined
    await life.timers.revive('', stubborn)
    await life.advance(10)
    await eventually(() => life.calls.length === calls.length + 2)
    t.equal(await eventuallyGone(life, stubborn), 'not-found')

    life.failWith = new Error('no')
    const forgotten = await life.create(1_000, { retry: { ...retry, attempts: 1 } })
    await life.advance(1_001)
    await eventually(async () => (await life.timers.read('', forgotten)).failedAtMs !== undefined)
    await life.advance(7 * 86_400_000, 86_400_000)
    await life.advance(60_000, 1_000)
    t.equal(await eventuallyGone(life, forgotten), 'not-found', 'after a week it is forgotten')
    await life.partitions.stop()
  },
)

t.test('a receiver that answers nobody holds up no other, and calls are bounded', async t => {
  const life = await Life.begin({ isQuick: false })
  const slow = { ...callback, uri: 'http://slow.test/' }
  await Promise.all(
    Array.from({ length: 300 }, () =>
      life.timers.create('', { timeoutMs: 1_000, callback: slow }, life.timers.newId(''), true),
    ),
  )
  await life.create(1_000)
  await life.advance(1_001)
  await life.advance(50, 1)
  await eventually(() => life.calls.some(({ firing }) => firing.timer.callback.uri === callback.uri))
  const slowCalls = () => life.calls.filter(({ firing }) => firing.timer.callback.uri === slow.uri)
  t.equal(slowCalls().length, 128)
  for (const call of life.calls) call.answer()
  life.isQuick = true
  await eventually(() => slowCalls().length === 300)
  await life.settled()
  const ids = new Set(life.calls.map(({ firing }) => firing.timer.id))
  t.equal(ids.size, 301)
  t.equal(life.calls.length, 301, 'each once')
  await life.partitions.stop()
})

t.test(
  'one that takes the place of another while that is called is called too, also at the same time',
  async t => {
    const life = await Life.begin({ isQuick: false })
    const dueAtMs = startMs + 1_000
    const of = (text: string) => ({ timeoutMs: 0, dueAtMs, data: dataOf(text), callback })
    await life.timers.create('', of('old'), 'chosen')
    await life.advance(1_001)
    await eventually(() => life.calls.length === 1)
    await life.timers.replace('', 'chosen', of('new'))
    life.calls[0]?.answer()
    await life.settled()
    await life.advance(1_000, 100)
    await eventually(() => life.calls.length === 2)
    t.same(
      life.calls.map(({ firing }) => firing.timer.data?.text),
      ['old', 'new'],
    )
    life.calls[1]?.answer()
    t.equal(await eventuallyGone(life, 'chosen'), 'not-found')

    const uuid = life.timers.newId('')
    await life.create(60_000, { scope: 'one', id: uuid })
    await life.create(60_000, { scope: 'two', id: uuid })
    await life.timers.cancel('one', uuid)
    t.equal((await life.timers.read('two', uuid)).scope, 'two', 'ids are those of their organization')
    await life.partitions.stop()
  },
)

t.test('a new id is one of those led here, where there is one', async t => {
  const life = await Life.begin()
  const isEven = (key: string): boolean => partitionOf(key as EntityKey) % 2 === 0
  const transports = new Map()
  const made = (leads: (key: string) => boolean): Timers => {
    // Everything else is that of the node.
    const runtime = Object.create(life.partitions, {
      leads: { value: leads },
      alarmWork: { value: () => null },
    })
    return new Timers({ runtime, clock: life.clock, log: silentLog, transports })
  }
  const half = made(isEven)
  for (const scope of ['', 'one']) {
    const ids = Array.from({ length: 200 }, () => half.newId(scope))
    t.ok(
      ids.every(id => isEven(keyOf(scope, id))),
      scope,
    )
    t.equal(new Set(ids).size, 200)
  }
  t.equal(new Set(Array.from({ length: 20 }, () => made(() => false).newId(''))).size, 20)
  await life.partitions.stop()
})

t.test('a timer a hundred years away is no different', async t => {
  const life = await Life.begin()
  const id = await life.create(100 * 365 * 86_400_000)
  t.match(await life.timers.read('', id), { failures: 0 })
  t.equal(await codeOf(life.create(2 ** 48)), 'bad-request')
  t.equal(life.partitions.stats().entitiesInMemory, 0, 'and takes no memory')
  await life.partitions.stop()
})

async function eventuallyGone(life: Life, id: string): Promise<string> {
  let code = ''
  await eventually(async () => {
    try {
      await life.timers.read('', id)
      return false
    } catch (error) {
      code = error instanceof AppError ? error.code : String(error)
      return true
    }
  })
  return code
}

t.test('the text of a record is JSON of it', async t => {
  const plain: TimerRecord = {
    id: 'a"\\\u2028\ud83d',
    scope: '',
    createdAtMs: 1_700_000_000_000.5,
    version: -0,
    timeoutMs: 1e21,
    dueAtMs: 1,
    nextAtMs: 2,
    failures: 3,
    callback: { transport: 't"', uri: 'http://x.test/"\n', method: 'post' },
  }
  const failed = {
    data: { text: '{"a":"\\""}', isJson: true },
    responseMs: 5,
    lastError: '"\t',
    failedAtMs: 7,
  }
  const retry = { attempts: 2, backoffMs: 1, backoffMsMax: 9 }
  for (const timer of [plain, { ...plain, ...failed }, { ...plain, retry }, { ...plain, ...failed, retry }])
    t.same(JSON.parse(textOf(timer)), JSON.parse(JSON.stringify(timer)))
})
