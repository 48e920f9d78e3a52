/** How a run is started: once, when there is a host, in time, and never again once it was. */
import t from 'tap'
import { AppError } from '../../../../lib/errors.js'
import type { EntityKey } from '../../../../lib/ids.js'
import { silentLog } from '../../../../lib/log.js'
import {
  type Effect,
  type EffectDispatcher,
  type EntityRuntime,
  type Signal,
  VirtualClock,
} from '../../../../lib/partitions/index.js'
import { type Prepared, type RunToStart, ScheduleRuns } from '../../../../lib/timers/schedules/index.js'
import type { TransactionStart } from '../../../../lib/transactions/index.js'
import { startOf } from '../../../sim/transaction-model.js'

const key: EntityKey = 'schedule:schedule-1'
const minutesMs = 60_000

/** Everything around the runs, by hand. */
class Stage {
  /** Node time. */
  readonly clock = new VirtualClock()
  readonly started = new Set<string>()
  readonly history = new Set<string>()
  /** What the schedule was told. */
  readonly told: { type: string; details?: string }[] = []
  prepared: Prepared | Error = { start: startOf() as TransactionStart }
  isScheduleAway = false
  /** Whether its row is there; undefined while nobody can look. */
  isWanted: boolean | undefined = true
  readonly #dispatcher: EffectDispatcher
  #check: (signal: Signal, key: EntityKey) => void = () => undefined
  readonly run: RunToStart

  constructor(part: Partial<RunToStart> = {}) {
    const runtime = {
      nowMs: () => this.clock.nowMs(),
      onEffect: () => undefined,
      onSignal: (_to: string, handler: (signal: Signal, key: EntityKey) => void) => {
        this.#check = handler
      },
      send: async (to: EntityKey, message: { type: string }) => {
        if (message.type === 'locate') return this.started.has(to) ? {} : null
        if (message.type === 'start') return void this.started.add(to)
        if (this.isScheduleAway) throw new AppError('unavailable')
        this.told.push(message)
        return {}
      },
    }
    this.#dispatcher = this.#node(runtime as unknown as EntityRuntime)
    this.run = {
      scheduleId: 'schedule-1',
      runId: 'run-1' as RunToStart['runId'],
      organizationId: 'organization-1' as RunToStart['organizationId'],
      environmentId: 'environment-1' as RunToStart['environmentId'],
      place: { organization: 'acme', environment: 'production' },
      action: 'clean-up',
      params: {},
      runner: 'owner',
      startByMs: this.clock.nowMs() + 10 * minutesMs,
      isLateWanted: true,
      ...part,
    }
  }

  #node(runtime: EntityRuntime): ScheduleRuns {
    return new ScheduleRuns({
      runtime,
      log: silentLog,
      prepare: async () => {
        if (this.prepared instanceof Error) throw this.prepared
        return this.prepared
      },
      isInHistory: async id => this.history.has(id),
      isWanted: async () => {
        if (this.isWanted === undefined) throw new AppError('unavailable')
        return this.isWanted
      },
    })
  }

  /** Tries once; the code of the error if it is to be tried again. */
  async try(): Promise<string> {
    const effect: Effect = {
      id: 'run-1:start',
      to: 'schedule-run',
      target: 'environment-1',
      payload: this.run as never,
    }
    try {
      await this.#dispatcher.dispatch(effect, key, new AbortController().signal)
      return 'done'
    } catch (error) {
      return error instanceof AppError ? error.code : String(error)
    }
  }

  check(runId: string): void {
    this.#check({ to: 'schedule-check', target: runId, payload: null }, key)
  }
}

t.test('a run is started and its schedule hears so', async t => {
  const stage = new Stage()
  t.equal(await stage.try(), 'done')
  t.same([...stage.started], ['transaction:run-1'])
  t.match(stage.told, [{ type: 'run-started' }])
})

t.test('without a host it waits, and has failed when its time is over', async t => {
  const stage = new Stage()
  stage.prepared = { waiting: 'No host is connected.' }
  t.equal(await stage.try(), 'host-not-found')
  stage.clock.advance(9 * minutesMs)
  t.equal(await stage.try(), 'host-not-found')
  stage.clock.advance(2 * minutesMs)
  t.equal(await stage.try(), 'done')
  t.match(stage.told, [{ type: 'run-failed', details: 'No host is connected.' }])
  t.equal(stage.started.size, 0)
})

t.test('what is refused has failed at once, with the reason', async t => {
  const stage = new Stage()
  stage.prepared = { refused: 'Not backgroundable.' }
  t.equal(await stage.try(), 'done')
  stage.prepared = new AppError('forbidden')
  t.equal(await stage.try(), 'done')
  t.match(stage.told, [{ details: 'Not backgroundable.' }, { type: 'run-failed' }])
  stage.prepared = new AppError('unavailable')
  t.equal(await stage.try(), 'host-not-found', 'what may succeed later is tried again')
})

t.test('a schedule whose row is gone is deleted when a run of it fails', async t => {
  const told = async (isWanted: boolean | undefined, prepared: Prepared) => {
    const stage = new Stage({ startByMs: 0, isLateWanted: false })
    Object.assign(stage, { isWanted, prepared })
    t.equal(await stage.try(), 'done')
    return stage.told.map(({ type }) => type)
  }
  const refused = { refused: 'The person it runs as is not in the organization any more.' }
  t.same(await told(false, refused), ['delete', 'run-failed'])
  t.same(await told(false, { waiting: 'No host is connected.' }), ['delete', 'run-failed'])
  t.same(await told(true, refused), ['run-failed'])
  t.same(await told(undefined, refused), ['run-failed'], 'not while nobody can look')
})

t.test('what was started is not started again, however late', async t => {
  const stage = new Stage()
  stage.isScheduleAway = true
  t.equal(await stage.try(), 'unavailable')
  stage.isScheduleAway = false
  stage.clock.advance(24 * 60 * minutesMs)
  t.equal(await stage.try(), 'done')
  t.match(stage.told, [{ type: 'run-started' }])
  const gone = new Stage()
  gone.history.add('run-1')
  gone.clock.advance(24 * 60 * minutesMs)
  t.equal(await gone.try(), 'done')
  t.equal(gone.started.size, 0, 'the history knows it')
  t.match(gone.told, [{ type: 'run-started' }])
})

t.test('found late because everything was down: started, unless that is not wanted', async t => {
  const wanted = new Stage()
  wanted.clock.advance(60 * minutesMs)
  t.equal(await wanted.try(), 'done')
  t.equal(wanted.started.size, 1)
  const waiting = new Stage()
  waiting.clock.advance(60 * minutesMs)
  waiting.prepared = { waiting: 'No host is connected.' }
  t.equal(await waiting.try(), 'host-not-found', 'hosts come back after the nodes')
  waiting.clock.advance(2 * minutesMs)
  t.equal(await waiting.try(), 'done')
  t.match(waiting.told, [{ type: 'run-failed' }])
  const unwanted = new Stage({ isLateWanted: false })
  unwanted.clock.advance(60 * minutesMs)
  t.equal(await unwanted.try(), 'done')
  t.match(unwanted.told, [{ type: 'run-failed', details: 'It could not be started in time.' }])
})

t.test('a run that is looked for and is not there is gone', async t => {
  const stage = new Stage()
  await stage.try()
  stage.check('run-1')
  stage.check('run-2')
  await new Promise(resolve => setImmediate(resolve))
  t.match(stage.told, [{ type: 'run-started' }, { type: 'run-gone', runId: 'run-2' }])
})
