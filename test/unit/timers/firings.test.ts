/** Calls that are not made, and outcomes that cannot be told: each alarm comes again, and nothing is forgotten. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { Outbound } from '../../../lib/outbound/index.js'
import {
  type AlarmWorker,
  type EntityRuntime,
  partitionOf,
  VirtualClock,
} from '../../../lib/partitions/index.js'
import { type Firing, Firings } from '../../../lib/timers/index.js'

const key: EntityKey = 'timer:one'
const callback = { transport: 'test', uri: 'http://receiver.test/', method: 'post' }
const times = { createdAtMs: 0, timeoutMs: 1, dueAtMs: 1, nextAtMs: 1, failures: 0, version: 1 }
const firing: Firing = { timer: { id: 'one', scope: '', callback, ...times }, dueAtMs: 1, attempt: 1 }
const settled = () => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve)))

/** Firings on a runtime that the test plays. */
function rig() {
  const clock = new VirtualClock()
  const state = { leads: true, confirms: true, takes: true, calls: 0, again: [] as number[], reports: 0 }
  let worker: AlarmWorker | undefined
  let signal: ((signal: { payload: unknown }, key: EntityKey) => void) | undefined
  const runtime = {
    alarmWork: (_kind: string, given: AlarmWorker) => {
      worker = given
      return {
        resume: () => undefined,
        confirm: () => (state.confirms ? Promise.resolve() : Promise.reject(new AppError('unavailable'))),
        again: (_key: EntityKey, dueAtMs: number) => state.again.push(dueAtMs),
      }
    },
    leads: () => state.leads,
    onSignal: (_to: string, handler: typeof signal) => {
      signal = handler
    },
    send: () => {
      state.reports += 1
      return state.takes ? Promise.resolve({}) : Promise.reject(new AppError('unavailable'))
    },
  } as unknown as EntityRuntime
  const call = async ({ timer }: Firing) => {
    state.calls += 1
    // Some receivers never answer.
    if (timer.callback.uri.toLowerCase().includes('silent')) await new Promise(() => undefined)
  }
  const outbound = new Outbound({ allow: [] })
  const transport = { call, receiverOf: (uri: string) => outbound.originOf(uri) ?? uri }
  const firings = new Firings({ runtime, clock, log: silentLog, transports: new Map([['test', transport]]) })
  return {
    clock,
    state,
    firings,
    worker: worker as AlarmWorker,
    due: () => signal?.({ payload: firing }, key),
    /** One of many. */
    dueTo(uri: string, scope: string, number: number, text = '') {
      const data = { text, isJson: false }
      const timer = { ...firing.timer, id: `${scope}${number}`, scope, callback: { ...callback, uri }, data }
      signal?.({ payload: { ...firing, timer } }, `timer:${scope}${number}`)
    },
  }
}

t.test('a call is made and told', async t => {
  const { due, state } = rig()
  due()
  due()
  await settled()
  t.match(state, { calls: 1, reports: 1, again: [] }, 'once, however often its alarm is read')
})

t.test('while a partition is handed over nothing of it is called, and all of it comes again', async t => {
  const { due, state, worker } = rig()
  const held = worker.quiesce(partitionOf(key), 1_000)
  due()
  await settled()
  await held
  t.match(state, { calls: 0, again: [1] })
  worker.release(partitionOf(key))
  state.leads = false
  due()
  await settled()
  t.match(state, { calls: 0, again: [1, 1] }, 'also when it was held after the call had begun to wait')
  state.leads = true
  due()
  await settled()
  t.match(state, { calls: 1, reports: 1 })
})

t.test('a hand-over waits until calls of its partition are over and told, as long as it may', async t => {
  const { clock, dueTo, due, state, worker } = rig()
  const partition = partitionOf(key)
  /** Whether it has ended when so much time has passed. */
  const endsWithin = async (held: Promise<void>, ms: number): Promise<boolean> => {
    let isOver = false
    void held.then(() => {
      isOver = true
    })
    for (let passedMs = 0; passedMs < ms && !isOver; passedMs += 10) {
      await settled()
      clock.advance(10)
    }
    await settled()
    return isOver
  }
  state.takes = false
  due()
  await settled()
  const held = worker.quiesce(partition, 1_000)
  t.notOk(await endsWithin(held, 500), 'it is made, but not told')
  state.takes = true
  t.ok(await endsWithin(held, 500))
  t.equal(state.calls, 1)
  worker.release(partition)

  let number = 0
  while (partitionOf(`timer:one${number}`) !== partition) number += 1
  dueTo('http://silent.test/', 'one', number)
  await settled()
  const heldAgain = worker.quiesce(partition, 1_000)
  t.notOk(await endsWithin(heldAgain, 900))
  t.ok(await endsWithin(heldAgain, 200), 'but not for ever')
})

t.test('an outcome that nobody takes is told again; when that is hopeless its alarm comes again', async t => {
  const { clock, due, state } = rig()
  state.takes = false
  due()
  for (let seconds = 0; seconds < 70; seconds += 1) {
    await settled()
    clock.advance(1_000)
  }
  await settled()
  t.equal(state.calls, 1)
  t.ok(state.reports > 10, `told ${state.reports} times`)
  t.same(state.again, [1])
})

t.test('a stop does not wait for calls that were not begun', async t => {
  const { firings, due, state } = rig()
  t.equal(firings.inFlight, 0)
  await firings.stop(60_000)
  due()
  await settled()
  t.match(state, { calls: 0, again: [] }, 'whoever leads it next calls')
})

t.test('a receiver that never answers delays no other organization, however it is written', async t => {
  for (const uriOf of [() => 'http://silent.test/', (number: number) => `http://SILENT.test?${number}`]) {
    const { dueTo, state } = rig()
    for (let number = 0; number < 4_600; number += 1) dueTo(uriOf(number), 'one', number)
    await settled()
    t.equal(state.calls, 128, 'at once to one receiver')
    t.equal(state.again.length, 4_600 - 128 - 1_024, 'what is more stays in its index')
    dueTo('http://other.test/', 'two', 1)
    await settled()
    t.equal(state.calls, 129)
  }
})

t.test('an organization takes no more than half of what there is', async t => {
  const { dueTo, state, worker } = rig()
  for (let number = 0; number < 6_000; number += 1) dueTo(`http://silent${number % 60}.test/`, 'one', number)
  await settled()
  t.equal(state.calls, 512)
  t.equal(state.again.length, 6_000 - 512 - 2_048)
  t.ok(worker.hasRoom())
  dueTo('http://other.test/', 'two', 1)
  await settled()
  t.equal(state.calls, 513)
})

t.test('what waits is bounded in bytes', async t => {
  const { dueTo, worker } = rig()
  const megabyte = 'x'.repeat(1_048_576)
  for (let number = 0; number < 60; number += 1) dueTo('http://silent.test/', '', number, megabyte)
  t.ok(worker.hasRoom())
  for (let number = 60; number < 70; number += 1) dueTo('http://silent.test/', '', number, megabyte)
  t.notOk(worker.hasRoom())
})

t.test('one id in two organizations is two timers', async t => {
  const { dueTo, state } = rig()
  dueTo('http://other.test/', 'one', 1)
  dueTo('http://other.test/', 'two', 1)
  await settled()
  t.equal(state.calls, 2)
})
