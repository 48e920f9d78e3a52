/**
 * The schedule: which ticks are due, and what becomes of each. A pure function like the transaction: its alarm is the
 * next tick, and what it decides is committed before anything starts.
 *
 * Invariant: each tick is taken once, in order, and becomes one run or one that was skipped, with the reason. The run's
 * transaction id follows from schedule and tick, so that starting it twice is starting it once. What can go wrong:
 *
 * - Everything was down. Ticks that are taken more than a minute late were missed, and `missed` says what to do.
 * - No host is there. The run waits, ten minutes at most, and has failed then. That is no longer than an ended
 *   transaction stays on its owner: whoever starts a run again within that time finds it (`runs.ts`).
 * - The news that a run has ended is lost with its transaction. The alarm has the runs that go on looked for.
 */
import { AppError } from '../../errors.js'
import { limits } from '../../limits.js'
import type {
  AlarmMessage,
  Decision,
  DecisionContext,
  Effect,
  EntityKind,
  Json,
  Signal,
} from '../../partitions/entity.js'
import type { Calendar } from './calendar.js'
import { Calendars } from './calendars.js'
import {
  type RunCause,
  type RunStatus,
  type RunToStart,
  runIdOfRequest,
  runIdOfTick,
  type ScheduleDefinition,
  type ScheduleRun,
} from './definition.js'

export interface ScheduleState {
  readonly definition: ScheduleDefinition | null
  readonly now: ScheduleNow
  /** In order. */
  readonly runs: readonly ScheduleRun[]
}

interface ScheduleNow {
  readonly nextTickMs: number | null
  /** The last tick that was taken; no tick up to it is taken again. */
  readonly takenMs: number
  readonly nextOrder: number
  /** When the runs that go on are looked for. */
  readonly checkAtMs: number | null
  readonly deletedAtMs: number | null
}

export type ScheduleMessage =
  /** Creates or changes it; pausing and resuming are changes too. */
  | { readonly type: 'set'; readonly definition: ScheduleDefinition }
  | { readonly type: 'delete' }
  /** Replied to with the run. The same request id is the same run. */
  | { readonly type: 'run-now'; readonly requestId: string }
  | { readonly type: 'run-started'; readonly runId: string }
  | { readonly type: 'run-failed'; readonly runId: string; readonly details: string }
  /** Its transaction is not there any more, and has not said how it ended. */
  | { readonly type: 'run-gone'; readonly runId: string }
  | RunEnded
  | { readonly type: 'read' }

/** What a transaction says when it has ended. */
export interface RunEnded {
  readonly type: 'run-ended'
  readonly runId: string
  readonly status: 'SUCCESS' | 'FAILURE' | 'CANCELED' | 'REDIRECTED'
  readonly details: string | null
}

/** Reply to `read`; null when there is no such schedule. */
export interface ScheduleRead {
  readonly definition: ScheduleDefinition
  readonly nextTickMs: number | null
  readonly runs: readonly ScheduleRun[]
}

/** How often runs that go on are looked for, in ms. */
const checkEveryMs = 600_000
/** One whose next tick is later has nothing to do in memory, in ms. */
const dormantMs = 15_000
/** A deleted schedule stays known for so long, in ms: an older change that comes late must not bring it back. */
const tombstoneMs = 86_400_000
const detailsMax = 500

const nowAtFirst: ScheduleNow = {
  nextTickMs: null,
  takenMs: 0,
  nextOrder: 0,
  checkAtMs: null,
  deletedAtMs: null,
}

/** Name of the effect that starts a run. */
const startEffect = (runId: string): string => `${runId}:start`
const runRecord = (order: number): string => `run/${order}`

/** The kind, with a memory of calendars of its own. */
export function scheduleKind(): EntityKind<ScheduleState, ScheduleMessage> {
  const calendars = new Calendars()
  return {
    name: 'schedule',
    load(records) {
      const runs: ScheduleRun[] = []
      for (const [name, value] of records)
        if (name.startsWith('run/')) runs.push(value as unknown as ScheduleRun)
      runs.sort((one, other) => one.order - other.order)
      return {
        definition: (records.get('definition') as unknown as ScheduleDefinition | undefined) ?? null,
        now: (records.get('now') as unknown as ScheduleNow | undefined) ?? nowAtFirst,
        runs,
      }
    },
    isDormant: ({ now, runs }, nowMs) =>
      (now.nextTickMs ?? Number.POSITIVE_INFINITY) > nowMs + dormantMs && runs.every(isOver),
    brings: message => message.type === 'set' || message.type === 'run-now',
    decide: (state, message, context) => decide(state, message, context, calendars),
  }
}

function decide(
  state: ScheduleState,
  message: ScheduleMessage | AlarmMessage,
  context: DecisionContext,
  calendars: Calendars,
): Decision<ScheduleState, unknown> {
  if (message.type === 'read') return { state, reply: readable(state) }
  const change = new ScheduleChange(state, context, calendars)
  if (message.type === 'set') return change.set(message.definition)
  if (!state.definition) {
    if (message.type === 'run-now') throw new AppError('not-found', 'There is no such schedule.')
    return { state: null, reply: {} }
  }
  switch (message.type) {
    case 'delete':
      return change.delete()
    case 'run-now':
      return change.runNow(message.requestId)
    case 'run-started':
      change.started(message.runId)
      return change.done({})
    case 'run-failed':
      change.ended(message.runId, 'FAILURE', message.details, false)
      return change.done({})
    case 'run-gone':
      change.ended(message.runId, 'FAILURE', 'The run is gone. Whether it finished is unknown.', false)
      return change.done({})
    case 'run-ended': {
      const isGood = message.status === 'SUCCESS' || message.status === 'REDIRECTED'
      const details = message.status === 'CANCELED' ? 'It was cancelled.' : message.details
      change.ended(message.runId, isGood ? 'SUCCESS' : 'FAILURE', details, true)
      return change.done({})
    }
    case 'alarm':
      return change.alarm(Math.max(context.nowMs, message.dueAtMs))
  }
}

function readable({ definition, now, runs }: ScheduleState): ScheduleRead | null {
  if (!definition || now.deletedAtMs !== null) return null
  return { definition, nextTickMs: now.nextTickMs, runs }
}

/** The runs in the records of a schedule, for the history; null where there is none. */
export function runsIn(
  records: ReadonlyMap<string, Json>,
): { readonly scheduleId: string; readonly runs: readonly ScheduleRun[] } | null {
  const { definition, runs } = scheduleKind().load(records, 'schedule:any')
  return definition && { scheduleId: definition.id, runs }
}

const isActive = ({ status }: ScheduleRun): boolean => status === 'STARTING' || status === 'RUNNING'
const isOver = ({ status }: ScheduleRun): boolean =>
  status === 'SUCCESS' || status === 'FAILURE' || status === 'SKIPPED'

/** Collects what one message changes. */
class ScheduleChange {
  readonly #before: ScheduleState
  readonly #context: DecisionContext
  readonly #calendars: Calendars
  #definition: ScheduleDefinition | null
  #now: ScheduleNow
  #runs: ScheduleRun[]
  readonly #effects: Effect[] = []
  readonly #dropEffects: string[] = []
  readonly #signals: Signal[] = []

  constructor(state: ScheduleState, context: DecisionContext, calendars: Calendars) {
    this.#before = state
    this.#context = context
    this.#calendars = calendars
    this.#definition = state.definition
    this.#now = state.now
    this.#runs = [...state.runs]
  }

  set(definition: ScheduleDefinition): Decision<ScheduleState, unknown> {
    const known = this.#definition
    if (this.#now.deletedAtMs !== null) throw new AppError('not-found', 'There is no such schedule.')
    if (known && known.revision >= definition.revision) return this.done({})
    // Parsed before anything changes: what cannot be understood is refused.
    const calendar = this.#calendars.of(definition.times)
    const { nowMs } = this.#context
    // One that is not known at all was made a moment ago, or lost: what it ran then is not run again.
    const sinceMs = known
      ? definition.sinceMs
      : Math.max(definition.sinceMs, nowMs - limits.scheduleTickLateMsMax)
    if (known) this.#takeDue(Math.min(nowMs, sinceMs))
    this.#definition = definition
    const isSame = known && !known.paused && JSON.stringify(known.times) === JSON.stringify(definition.times)
    if (definition.paused) {
      this.#now = { ...this.#now, nextTickMs: null }
      this.#skipWaiting('It was paused.')
    } else if (!isSame) this.#waitFor(calendar, Math.max(sinceMs, this.#now.takenMs))
    return this.done({})
  }

  delete(): Decision<ScheduleState, unknown> {
    if (this.#now.deletedAtMs !== null) return this.done({})
    this.#takeDue(this.#context.nowMs)
    this.#now = { ...this.#now, nextTickMs: null, deletedAtMs: this.#context.nowMs }
    this.#skipWaiting('The schedule was deleted.')
    return this.done({})
  }

  runNow(requestId: string): Decision<ScheduleState, unknown> {
    const definition = this.#existing()
    if (this.#now.deletedAtMs !== null) throw new AppError('not-found', 'There is no such schedule.')
    const id = runIdOfRequest(definition.id, requestId)
    const known = this.#runs.find(run => run.id === id)
    if (known) return this.done(known)
    const isBusy = this.#runs.some(run => !isOver(run))
    if (definition.overlap !== 'allow' && isBusy)
      throw new AppError('conflict', 'A run of this schedule is going on.')
    if (this.#activeCount() >= limits.scheduleRunsMax)
      throw new AppError('queue-full', 'Too many runs are going on.')
    const run = this.#add({ id, dueAtMs: this.#context.nowMs, cause: 'manual', status: 'WAITING' })
    return this.done(this.#start(run))
  }

  started(runId: string): void {
    const run = this.#runs.find(({ id }) => id === runId)
    this.#dropEffects.push(startEffect(runId))
    if (run?.status === 'STARTING') this.#replace({ ...run, status: 'RUNNING' })
  }

  ended(runId: string, status: 'SUCCESS' | 'FAILURE', details: string | null, isResult: boolean): void {
    const run = this.#runs.find(({ id }) => id === runId)
    this.#dropEffects.push(startEffect(runId))
    if (!run || run.isResult || (isOver(run) && !isResult)) return
    const endedAtMs = this.#context.nowMs
    this.#replace({ ...run, status, details: details?.slice(0, detailsMax) ?? null, endedAtMs, isResult })
    this.#startNext()
  }

  alarm(nowMs: number): Decision<ScheduleState, unknown> {
    const { deletedAtMs } = this.#now
    if (deletedAtMs !== null && deletedAtMs + tombstoneMs <= nowMs && this.#activeCount() === 0)
      return { state: null, alarmAtMs: null, reply: {} }
    this.#takeDue(nowMs)
    if (this.#now.checkAtMs !== null && this.#now.checkAtMs <= nowMs) {
      for (const run of this.#runs)
        if (run.status === 'RUNNING')
          this.#signals.push({ to: 'schedule-check', target: run.id, payload: null })
      this.#now = { ...this.#now, checkAtMs: null }
    }
    return this.done({})
  }

  done<Reply>(reply: Reply): Decision<ScheduleState, Reply> {
    const del = this.#forgetOldest()
    const isActiveAny = this.#activeCount() > 0
    const checkAtMs = isActiveAny ? (this.#now.checkAtMs ?? this.#context.nowMs + checkEveryMs) : null
    if (checkAtMs !== this.#now.checkAtMs) this.#now = { ...this.#now, checkAtMs }
    const put = new Map<string, Json>()
    if (this.#definition !== this.#before.definition) put.set('definition', asJson(this.#definition))
    if (this.#now !== this.#before.now) put.set('now', asJson(this.#now))
    const known = new Set(this.#before.runs)
    let isHistory = false
    for (const run of this.#runs) {
      if (known.has(run)) continue
      put.set(runRecord(run.order), asJson(run))
      isHistory = true
    }
    const { nextTickMs, deletedAtMs } = this.#now
    const goneAtMs = deletedAtMs === null || isActiveAny ? null : deletedAtMs + tombstoneMs
    const alarms = [nextTickMs, checkAtMs, goneAtMs].filter(atMs => atMs !== null)
    return {
      state: { definition: this.#definition, now: this.#now, runs: this.#runs },
      put,
      del,
      alarmAtMs: alarms.length > 0 ? Math.min(...alarms) : null,
      effects: this.#effects,
      dropEffects: this.#dropEffects,
      signals: this.#signals,
      history: isHistory,
      reply,
    }
  }

  /** Takes each tick up to a time, in order. */
  #takeDue(untilMs: number): void {
    const definition = this.#existing()
    const { nextTickMs } = this.#now
    if (nextTickMs === null || nextTickMs > untilMs) return
    const calendar = this.#calendars.of(definition.times)
    const { ticks, isMore } = calendar.latest(nextTickMs - 1, untilMs, limits.scheduleRunsMax)
    const missedMs = this.#context.nowMs - limits.scheduleTickLateMsMax
    const missed = ticks.filter(tick => tick < missedMs)
    if (isMore && nextTickMs < missedMs)
      this.#skip(
        nextTickMs,
        'missed',
        `More than ${limits.scheduleRunsMax} ticks were missed; these are the first of them.`,
      )
    for (const tick of missed) {
      const isRun = definition.missed === 'all' || (definition.missed === 'once' && tick === missed.at(-1))
      if (isRun) this.#missed(tick, definition)
      else this.#skip(tick, 'missed', 'Missed: nothing was there to run it.')
    }
    for (const tick of ticks.slice(missed.length)) this.#due(tick, definition)
    this.#now = { ...this.#now, takenMs: ticks.at(-1) ?? nextTickMs }
    this.#waitFor(calendar, Math.max(this.#now.takenMs, untilMs))
  }

  /** A tick that is made up for: after the others, unless they may go on side by side. */
  #missed(tick: number, { id, overlap, missed }: ScheduleDefinition): void {
    if (missed === 'once') {
      this.#due(tick, this.#existing(), 'missed')
      return
    }
    const waiting = this.#runs.filter(run => run.status === 'WAITING').length
    if (this.#activeCount() + waiting >= limits.scheduleRunsMax) {
      this.#skip(tick, 'missed', `More than ${limits.scheduleRunsMax} runs wait.`)
      return
    }
    const isFree = overlap === 'allow' || this.#activeCount() + waiting === 0
    const run = this.#add({ id: runIdOfTick(id, tick), dueAtMs: tick, cause: 'missed', status: 'WAITING' })
    if (isFree) this.#start(run)
  }

  #due(tick: number, { id, overlap }: ScheduleDefinition, cause: RunCause = 'tick'): void {
    const waiting = this.#runs.filter(run => run.status === 'WAITING').length
    const isBusy = this.#activeCount() + waiting > 0
    let reason: string | null = null
    if (overlap === 'allow' && this.#activeCount() >= limits.scheduleRunsMax)
      reason = `${limits.scheduleRunsMax} runs were going on.`
    if (overlap === 'skip' && isBusy) reason = 'The run before was still going on.'
    if (overlap === 'queue-one' && waiting > 0) reason = 'Another one waited already for the run before.'
    if (reason !== null) {
      this.#skip(tick, cause, reason)
      return
    }
    const run = this.#add({ id: runIdOfTick(id, tick), dueAtMs: tick, cause, status: 'WAITING' })
    if (overlap === 'allow' || !isBusy) this.#start(run)
  }

  #waitFor(calendar: Calendar, afterMs: number): void {
    this.#now = { ...this.#now, nextTickMs: calendar.next(afterMs) }
  }

  #startNext(): void {
    if (this.#activeCount() > 0) return
    const next = this.#runs.find(run => run.status === 'WAITING')
    if (next) this.#start(next)
  }

  #start(run: ScheduleRun): ScheduleRun {
    const { id, organizationId, environmentId, place, action, params, runner, missed, notifyOnSuccess } =
      this.#existing()
    const payload: RunToStart = {
      scheduleId: id,
      runId: run.id,
      startByMs: this.#context.nowMs + Math.min(limits.scheduleStartMsMax, limits.completedRetentionMs),
      isLateWanted: missed !== 'skip',
      organizationId,
      environmentId,
      place,
      action,
      params,
      runner,
      ...(notifyOnSuccess && { notifyOnSuccess }),
    }
    this.#effects.push({
      id: startEffect(run.id),
      to: 'schedule-run',
      // One after the other: all wait for the same hosts.
      target: environmentId,
      payload: asJson(payload),
    })
    const started: ScheduleRun = { ...run, status: 'STARTING' }
    this.#replace(started)
    return started
  }

  /** Ticks that are skipped in a row for one reason are one entry. */
  #skip(tick: number, cause: RunCause, details: string): void {
    const last = this.#runs.at(-1)
    if (last?.status === 'SKIPPED' && last.details === details) {
      this.#replace({ ...last, ticks: last.ticks + 1, lastDueAtMs: tick, endedAtMs: this.#context.nowMs })
      return
    }
    const id = runIdOfTick(this.#existing().id, tick)
    this.#replace({
      ...this.#add({ id, dueAtMs: tick, cause, status: 'SKIPPED' }),
      details,
      endedAtMs: this.#context.nowMs,
    })
  }

  #skipWaiting(details: string): void {
    for (const run of this.#runs)
      if (run.status === 'WAITING')
        this.#replace({ ...run, status: 'SKIPPED', details, endedAtMs: this.#context.nowMs })
  }

  #add(part: Pick<ScheduleRun, 'id' | 'dueAtMs' | 'cause'> & { status: RunStatus }): ScheduleRun {
    const order = this.#now.nextOrder
    this.#now = { ...this.#now, nextOrder: order + 1 }
    const run: ScheduleRun = {
      ...part,
      order,
      details: null,
      endedAtMs: null,
      ticks: 1,
      lastDueAtMs: part.dueAtMs,
      isResult: false,
    }
    this.#runs.push(run)
    return run
  }

  #replace(run: ScheduleRun): void {
    this.#runs = this.#runs.map(other => (other.order === run.order ? run : other))
  }

  #activeCount(): number {
    return this.#runs.filter(isActive).length
  }

  /** Names of the records that go. */
  #forgetOldest(): string[] {
    const over = this.#runs.filter(isOver)
    const gone = new Set(over.slice(0, Math.max(0, over.length - limits.scheduleRunsKeptMax)))
    if (gone.size === 0) return []
    this.#runs = this.#runs.filter(run => !gone.has(run))
    const stored = new Set(this.#before.runs.map(run => run.order))
    return [...gone].filter(run => stored.has(run.order)).map(run => runRecord(run.order))
  }

  #existing(): ScheduleDefinition {
    if (!this.#definition) throw new Error('a schedule without a definition')
    return this.#definition
  }
}

/** Values of our own types, all of which JSON can hold. */
function asJson(value: unknown): Json {
  return value as Json
}
