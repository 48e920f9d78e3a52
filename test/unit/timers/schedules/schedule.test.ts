/** The decisions of a schedule, one by one: which ticks become runs, which are skipped and why. */
import t from 'tap'
import { AppError } from '../../../../lib/errors.js'
import type { EntityKey, EnvironmentId, OrganizationId, UserId } from '../../../../lib/ids.js'
import type { Decision, Effect, Json, Signal } from '../../../../lib/partitions/entity.js'
import {
  type RunToStart,
  runIdOfTick,
  type ScheduleDefinition,
  type ScheduleMessage,
  type ScheduleRead,
  type ScheduleState,
  scheduleKind,
} from '../../../../lib/timers/schedules/index.js'

const key: EntityKey = 'schedule:schedule-1'
const startMs = Date.parse('2025-06-01T12:00:30Z')
const minuteMs = 60_000
const kind = scheduleKind()

/** A schedule that is told things, with its records as they are stored and the effects that are not confirmed. */
class Subject {
  records = new Map<string, Json>()
  nowMs = startMs
  alarmAtMs: number | null = null
  effects: Effect[] = []
  signals: Signal[] = []
  revision = 0
  definition: ScheduleDefinition

  constructor(part: Partial<ScheduleDefinition> = {}) {
    this.definition = {
      id: 'schedule-1',
      revision: 0,
      sinceMs: startMs,
      organizationId: 'organization-1' as OrganizationId,
      environmentId: 'environment-1' as EnvironmentId,
      place: { organization: 'acme', environment: 'production' },
      action: 'clean-up',
      params: {},
      runner: { userId: 'person-1' as UserId },
      times: { cron: '* * * * *', timeZone: 'Europe/Berlin' },
      missed: 'once',
      overlap: 'skip',
      paused: false,
      ...part,
    }
    this.set({})
  }

  tell(message: ScheduleMessage | { type: 'alarm'; dueAtMs: number }): unknown {
    // Read anew each time, as after a crash.
    const state: ScheduleState = kind.load(this.records, key)
    const context = { key, nowMs: this.nowMs, historyPending: false }
    const decision: Decision<ScheduleState, unknown> = kind.decide(state, message, context)
    if (decision.state === null) this.records.clear()
    else {
      for (const name of decision.del ?? []) this.records.delete(name)
      for (const [name, value] of decision.put ?? []) this.records.set(name, value as Json)
    }
    if (decision.alarmAtMs !== undefined) this.alarmAtMs = decision.alarmAtMs
    this.effects = this.effects.filter(({ id }) => !decision.dropEffects?.includes(id))
    this.effects.push(...(decision.effects ?? []))
    this.signals.push(...(decision.signals ?? []))
    return decision.reply
  }

  set(part: Partial<ScheduleDefinition>): void {
    this.revision += 1
    this.definition = { ...this.definition, revision: this.revision, sinceMs: this.nowMs, ...part }
    this.tell({ type: 'set', definition: this.definition })
  }

  /** Goes on to a time, delivering each alarm when it is due. */
  goTo(atMs: number): void {
    while (this.alarmAtMs !== null && this.alarmAtMs <= atMs) {
      this.nowMs = this.alarmAtMs
      this.tell({ type: 'alarm', dueAtMs: this.alarmAtMs })
    }
    this.nowMs = atMs
  }

  /** Nothing is there for so long; then the alarm comes late. */
  sleep(ms: number): void {
    this.nowMs += ms
    if (this.alarmAtMs !== null && this.alarmAtMs <= this.nowMs)
      this.tell({ type: 'alarm', dueAtMs: this.alarmAtMs })
  }

  /** Ids of the runs that are to be started. */
  starting(): string[] {
    return this.effects.map(({ payload }) => (payload as unknown as RunToStart).runId)
  }

  /** Starts what is to be started; returns the ids. */
  startAll(): string[] {
    const ids = this.starting()
    for (const runId of ids) this.tell({ type: 'run-started', runId })
    return ids
  }

  end(runId: string, status: 'SUCCESS' | 'FAILURE' | 'CANCELED' = 'SUCCESS'): void {
    this.tell({ type: 'run-ended', runId, status, details: status === 'FAILURE' ? 'It broke.' : null })
  }

  read(): ScheduleRead {
    const reply = this.tell({ type: 'read' }) as ScheduleRead | null
    if (!reply) throw new Error('there is no schedule')
    return reply
  }

  /** What became of the ticks, as `minute:status`, minutes after the start. */
  story(): string[] {
    return this.read().runs.map(run => {
      const minutes = (run.dueAtMs - startMs + 30_000) / minuteMs
      return `${minutes}${run.ticks > 1 ? `+${run.ticks - 1}` : ''}:${run.status}`
    })
  }
}

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return error instanceof AppError ? error.code : String(error)
  }
  return 'none'
}

t.test('each tick is one run, under the id that follows from schedule and tick', async t => {
  const subject = new Subject()
  t.equal(subject.alarmAtMs, startMs + 30_000)
  subject.goTo(startMs + 30_000)
  const [id] = subject.starting()
  t.equal(id, runIdOfTick('schedule-1', startMs + 30_000))
  t.match(
    id,
    /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    'a UUID that SDKs take',
  )
  t.match(subject.effects[0], { to: 'schedule-run', target: 'environment-1' })
  subject.tell({ type: 'alarm', dueAtMs: startMs + 30_000 })
  t.equal(subject.starting().length, 1, 'a repeated alarm takes no tick twice')
  subject.startAll()
  t.equal(subject.starting().length, 0)
  subject.end(id ?? '')
  subject.end(id ?? '', 'FAILURE')
  t.same(subject.story(), ['1:SUCCESS'], 'the first result stays')
  subject.goTo(startMs + 90_000)
  t.same(subject.story(), ['1:SUCCESS', '2:STARTING'])
})

t.test('overlap skip: what comes while a run goes on is skipped, one entry for all', async t => {
  const subject = new Subject()
  subject.goTo(startMs + 30_000)
  const [id = ''] = subject.startAll()
  subject.goTo(startMs + 30_000 + 5 * minuteMs)
  t.same(subject.story(), ['1:RUNNING', '2+4:SKIPPED'])
  t.match(subject.read().runs[1], { details: /still going on/, lastDueAtMs: startMs + 30_000 + 5 * minuteMs })
  subject.end(id)
  subject.goTo(startMs + 30_000 + 6 * minuteMs)
  t.same(subject.story(), ['1:SUCCESS', '2+4:SKIPPED', '7:STARTING'])
})

t.test('overlap queue-one: one waits and runs afterwards', async t => {
  const subject = new Subject({ overlap: 'queue-one' })
  subject.goTo(startMs + 30_000)
  const [id = ''] = subject.startAll()
  subject.goTo(startMs + 30_000 + 3 * minuteMs)
  t.same(subject.story(), ['1:RUNNING', '2:WAITING', '3+1:SKIPPED'])
  subject.end(id, 'CANCELED')
  t.same(subject.story(), ['1:FAILURE', '2:STARTING', '3+1:SKIPPED'])
  t.equal(subject.starting()[0], runIdOfTick('schedule-1', startMs + 30_000 + minuteMs))
})

t.test('overlap allow: runs go on side by side, boundedly many', async t => {
  const subject = new Subject({ overlap: 'allow' })
  subject.goTo(startMs + 30_000 + 104 * minuteMs)
  const runs = subject.read().runs
  t.equal(runs.filter(run => run.status === 'STARTING').length, 100)
  t.match(runs.at(-1), { status: 'SKIPPED', ticks: 5 })
})

t.test('missed once: the last of what was missed is run', async t => {
  const subject = new Subject()
  subject.sleep(5 * minuteMs)
  t.same(subject.story(), ['1+2:SKIPPED', '4:STARTING', '5:SKIPPED'])
  t.same(
    subject.read().runs.map(run => run.cause),
    ['missed', 'missed', 'tick'],
    'the last minute was not missed but skipped, because a run goes on',
  )
})

t.test('missed skip: none is run, but what is not late is', async t => {
  const subject = new Subject({ missed: 'skip' })
  subject.sleep(5 * minuteMs)
  t.same(subject.story(), ['1+3:SKIPPED', '5:STARTING'])
})

t.test('missed all: one after the other, or side by side', async t => {
  const subject = new Subject({ missed: 'all', overlap: 'queue-one' })
  subject.sleep(4 * minuteMs)
  t.same(subject.story(), ['1:STARTING', '2:WAITING', '3:WAITING', '4:SKIPPED'])
  for (let count = 0; count < 3; count += 1) for (const id of subject.startAll()) subject.end(id)
  t.same(subject.story(), ['1:SUCCESS', '2:SUCCESS', '3:SUCCESS', '4:SKIPPED'])
  const many = new Subject({ missed: 'all', overlap: 'allow' })
  many.sleep(4 * minuteMs)
  t.equal(many.starting().length, 4)
})

t.test('missed all is bounded: the last hundred', async t => {
  const subject = new Subject({ missed: 'all', overlap: 'allow' })
  subject.sleep(1_000 * minuteMs)
  const runs = subject.read().runs
  t.match(runs[0], { status: 'SKIPPED', dueAtMs: startMs + 30_000, details: /More than 100/ })
  t.equal(runs.filter(run => run.status === 'STARTING').length, 100)
  t.equal(subject.alarmAtMs, startMs + 30_000 + 1_000 * minuteMs, 'and goes on')
})

t.test('paused ticks are not missed', async t => {
  const subject = new Subject({ missed: 'all', overlap: 'queue-one' })
  subject.goTo(startMs + 30_000 + minuteMs)
  t.same(subject.story(), ['1:STARTING', '2:WAITING'])
  subject.set({ paused: true })
  t.equal(subject.read().nextTickMs, null)
  t.same(subject.story(), ['1:STARTING', '2:SKIPPED'])
  subject.sleep(10 * minuteMs)
  subject.set({ paused: false })
  t.equal(subject.read().nextTickMs, startMs + 30_000 + 12 * minuteMs)
  t.same(subject.story(), ['1:STARTING', '2:SKIPPED'])
})

t.test('a change takes what was due before under the old times, and nothing twice', async t => {
  const subject = new Subject()
  subject.nowMs = startMs + 40_000
  subject.set({ times: { cron: '*/10 * * * *', timeZone: 'Europe/Berlin' } })
  t.same(subject.story(), ['1:STARTING'])
  t.equal(subject.read().nextTickMs, startMs - 30_000 + 10 * minuteMs)
  const before = subject.read()
  subject.tell({ type: 'set', definition: { ...subject.definition, revision: 1, paused: true } })
  t.same(subject.read(), before, 'an older change changes nothing')
  t.equal(
    codeOf(() => subject.set({ times: { cron: 'nonsense', timeZone: 'Europe/Berlin' } })),
    'invalid-value',
  )
})

t.test('run now is one run for each request, and not beside another one', async t => {
  const subject = new Subject()
  const run = subject.tell({ type: 'run-now', requestId: 'request-1' })
  t.match(run, { cause: 'manual', status: 'STARTING' })
  t.match(subject.tell({ type: 'run-now', requestId: 'request-1' }), { id: (run as { id: string }).id })
  t.equal(subject.starting().length, 1)
  t.equal(
    codeOf(() => subject.tell({ type: 'run-now', requestId: 'request-2' })),
    'conflict',
  )
  t.equal(
    codeOf(() => subject.set({ paused: true })),
    'none',
  )
})

t.test('a run that could not be started has failed, unless it has run after all', async t => {
  const subject = new Subject()
  subject.goTo(startMs + 30_000)
  const [runId = ''] = subject.starting()
  subject.tell({ type: 'run-failed', runId, details: 'No host.' })
  t.same(subject.starting(), [])
  t.match(subject.read().runs, [{ status: 'FAILURE', details: 'No host.' }])
  subject.tell({ type: 'run-started', runId })
  t.same(subject.story(), ['1:FAILURE'])
  subject.end(runId)
  t.same(subject.story(), ['1:SUCCESS'], 'what its transaction says counts')
})

t.test('runs that go on for long are looked for', async t => {
  const subject = new Subject({ times: { cron: '0 0 1 1 *', timeZone: 'Europe/Berlin' } })
  subject.tell({ type: 'run-now', requestId: 'request-1' })
  const [runId = ''] = subject.startAll()
  subject.goTo(startMs + 10 * minuteMs)
  t.match(subject.signals, [{ to: 'schedule-check', target: runId }])
  subject.tell({ type: 'run-gone', runId })
  t.match(subject.read().runs, [{ status: 'FAILURE', details: /unknown/ }])
  t.equal(subject.alarmAtMs, subject.read().nextTickMs)
})

t.test('what is deleted stays deleted for a day, then it is gone', async t => {
  const subject = new Subject()
  subject.goTo(startMs + 30_000)
  const [runId = ''] = subject.startAll()
  subject.tell({ type: 'delete' })
  t.equal(subject.tell({ type: 'read' }), null)
  t.equal(
    codeOf(() => subject.set({})),
    'not-found',
  )
  subject.goTo(startMs + 86_400_000 * 2)
  t.ok(subject.records.size > 0, 'a run goes on')
  subject.end(runId)
  subject.goTo(startMs + 86_400_000 * 4)
  t.equal(subject.records.size, 0)
  t.equal(subject.alarmAtMs, null)
  subject.end(runId)
  t.equal(subject.records.size, 0, 'late news bring nothing back')
})

t.test('ended runs are remembered boundedly', async t => {
  const subject = new Subject()
  for (let minute = 0; minute < 120; minute += 1) {
    subject.goTo(startMs + 30_000 + minute * minuteMs)
    for (const id of subject.startAll()) subject.end(id)
  }
  t.equal(subject.read().runs.length, 50)
  t.equal([...subject.records.keys()].filter(name => name.startsWith('run/')).length, 50)
})

t.test('a schedule that was lost and set again does not run again what it ran', async t => {
  const subject = new Subject()
  subject.records.clear()
  subject.nowMs += 100 * minuteMs
  subject.tell({ type: 'set', definition: subject.definition })
  t.same(subject.read().runs, [])
  t.equal(subject.read().nextTickMs, subject.nowMs - 30_000, 'but the last minute counts')
})
