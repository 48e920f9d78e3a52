/**
 * The timer: something that is to be called at a time. A pure function from state and message to changes; the partitions
 * commit them and keep the due time, `firings.ts` makes the call.
 *
 * A timer that is due changes nothing by itself: its alarm stays until the outcome of the call is known, so whoever
 * leads it next finds it due. Invariant: it is over when, and only when, its last attempt has been reported. What can go
 * wrong: the node dies between call and report. Then it is called again, under the same firing id.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import {
  type AlarmMessage,
  type Decision,
  type DecisionContext,
  type EntityKind,
  type Json,
  JsonText,
} from '../partitions/entity.js'
import { type Callback, lastDueAtMs, type Retry, type TimerData } from './definition.js'

/** What is asked for. */
export interface TimerDefinition {
  /** From where the clock started. */
  readonly timeoutMs: number
  /** Takes the place of the two: when it is to be called, in ms since 1970. */
  readonly dueAtMs?: number
  /** Where the clock started, in ms since 1970; now, when absent. */
  readonly createdAtMs?: number
  readonly data?: TimerData
  readonly callback: Callback
  /** Without it there is one attempt, and a timer that failed is forgotten. */
  readonly retry?: Retry
  /** How long a receiver may take to answer, in ms. */
  readonly responseMs?: number
}

/** What is stored. */
export interface TimerRecord extends Omit<TimerDefinition, 'createdAtMs' | 'dueAtMs'> {
  readonly id: string
  /** Whose it is: an organization, or empty where everybody may. */
  readonly scope: string
  readonly createdAtMs: number
  /** Another for each definition under one id: what is said of the one before does not concern this one. */
  readonly version: number
  /** When it was to be called first. */
  readonly dueAtMs: number
  /** Its alarm: when the next attempt is due or, when all have failed, when it is forgotten. */
  readonly nextAtMs: number
  /** Attempts that have failed. */
  readonly failures: number
  readonly lastError?: string
  /** All attempts have failed, at this time. */
  readonly failedAtMs?: number
}

/** One attempt. */
export interface Firing {
  readonly timer: TimerRecord
  /** When this attempt is due; with the attempt, it names it. */
  readonly dueAtMs: number
  /** From 1. */
  readonly attempt: number
}

export type FiringOutcome = { readonly ok: true } | { readonly ok: false; readonly error: string }

export type TimerMessage =
  | ({ readonly type: 'create' } & NewTimer)
  /** As `create`, for one that there is. */
  | ({ readonly type: 'replace' } & NewTimer)
  | { readonly type: 'cancel'; readonly scope: string }
  | { readonly type: 'read'; readonly scope: string }
  /** Calls one that has failed once more, as if it were new and due now. */
  | { readonly type: 'revive'; readonly scope: string }
  | {
      readonly type: 'fired'
      readonly dueAtMs: number
      readonly attempt: number
      readonly version: number
      readonly outcome: FiringOutcome
    }

/** Reply to `fired`. */
export interface Reported {
  /** That was another definition under this id; the one there is now is due then. */
  readonly nextAtMs?: number
}

export interface NewTimer {
  readonly id: string
  readonly scope: string
  readonly timer: TimerDefinition
  /** Node time at which it was asked for: said twice, it is due at the same time, and has the same firing ids. */
  readonly askedAtMs?: number
}

export interface TimerState {
  readonly timer: TimerRecord | null
}

type TimerDecision = Decision<TimerState, unknown>

/** The only record of a timer. */
const recordName = 't'
const errorCharactersMax = 500
/** A timer that is due later than this has nothing to do in memory, in ms. */
const dormantMs = 15_000

/** A timer with more data than this leaves memory whenever nothing of it is under way, in characters. */
const lightCharactersMax = 4_096

/** Id of one attempt: the same from whichever node it is made, so that a receiver can tell a repeat. */
export function firingId({ timer, dueAtMs, attempt }: Firing): string {
  return `${timer.id}.${dueAtMs}.${attempt}`
}

/** The timer in the records of an entity that was listed. */
export function recordIn(records: Readonly<Record<string, Json>>): TimerRecord {
  return records[recordName] as unknown as TimerRecord
}

export const timerKind: EntityKind<TimerState, TimerMessage> = {
  name: 'timer',
  recordNames: [recordName],
  load: records => ({ timer: (records.get(recordName) as unknown as TimerRecord | undefined) ?? null }),
  brings: message => message.type === 'create' || message.type === 'replace',
  isDormant: ({ timer }, nowMs) =>
    timer !== null &&
    (timer.nextAtMs > nowMs + dormantMs || (timer.data?.text.length ?? 0) > lightCharactersMax),
  decide,
}

function decide(
  state: TimerState,
  message: TimerMessage | AlarmMessage,
  context: DecisionContext,
): TimerDecision {
  switch (message.type) {
    case 'create':
      if (state.timer) throw new AppError('conflict', 'There is a timer with this id.')
      return stored(recordOf(message, context.nowMs))
    case 'replace':
      return stored(recordOf(message, context.nowMs, found(state, message.scope).version + 1))
    case 'cancel':
      found(state, message.scope)
      return { state: null, reply: {} }
    case 'read':
      return { state, reply: known(state, message.scope) }
    case 'revive':
      return revive(known(state, message.scope), context.nowMs)
    case 'alarm':
      return due(state, message.dueAtMs)
    case 'fired':
      return fired(state, message, context.nowMs)
  }
}

/** `version` is above all that there were under this id: time goes on when one is made anew after another. */
function recordOf(
  { askedAtMs, id, scope, timer: definition }: NewTimer,
  nowMs: number,
  versionMin = 0,
): TimerRecord {
  const createdAtMs = definition.createdAtMs ?? askedAtMs ?? nowMs
  // Clocks show whole ms, rounded down: the time it was accepted may be 1 ms later than it says.
  const roundedMs = definition.createdAtMs === undefined ? 1 : 0
  const afterMs = Math.ceil(definition.timeoutMs) + roundedMs
  const dueAtMs = Math.max(0, definition.dueAtMs ?? createdAtMs + afterMs)
  if (dueAtMs > lastDueAtMs) throw new AppError('bad-request', 'The time is too far away.')
  const { callback, data, responseMs, retry, timeoutMs } = definition
  const record: { -readonly [Name in keyof TimerRecord]: TimerRecord[Name] } = {
    id,
    scope,
    createdAtMs,
    version: Math.max(versionMin, nowMs),
    timeoutMs,
    dueAtMs,
    nextAtMs: dueAtMs,
    failures: 0,
    callback,
  }
  // One by one: copying objects into each other costs a microsecond each.
  if (data !== undefined) record.data = data
  if (retry !== undefined) record.retry = retry
  if (responseMs !== undefined) record.responseMs = responseMs
  return record
}

function stored(timer: TimerRecord): TimerDecision {
  return {
    state: { timer },
    put: new Map([[recordName, new JsonText(textOf(timer))]]),
    alarmAtMs: timer.nextAtMs,
    reply: {},
  }
}

/** As `JSON.stringify` writes it, in a third of the time. */
export function textOf(timer: TimerRecord): string {
  const { callback, createdAtMs, dueAtMs, failures, id, nextAtMs, scope, timeoutMs, version } = timer
  const { data, failedAtMs, lastError, responseMs, retry } = timer
  let text =
    `{"id":${JSON.stringify(id)},"scope":${JSON.stringify(scope)},"createdAtMs":${createdAtMs},"version":${version},` +
    `"timeoutMs":${timeoutMs},"dueAtMs":${dueAtMs},"nextAtMs":${nextAtMs},"failures":${failures},` +
    `"callback":${JSON.stringify(callback)}`
  if (data !== undefined) text += `,"data":${JSON.stringify(data)}`
  if (retry !== undefined) text += `,"retry":${JSON.stringify(retry)}`
  if (responseMs !== undefined) text += `,"responseMs":${responseMs}`
  if (lastError !== undefined) text += `,"lastError":${JSON.stringify(lastError)}`
  if (failedAtMs !== undefined) text += `,"failedAtMs":${failedAtMs}`
  return `${text}}`
}

/** How long an attempt waits for after so many failures, in ms. */
function backoffMs({ backoffMs: firstMs, backoffMsMax }: Retry, failures: number): number {
  return Math.min(backoffMsMax, firstMs * 2 ** Math.min(failures - 1, 40))
}

/** A timer of somebody else does not exist for who asks; one that has failed is there to be looked at, no more. */
function known({ timer }: TimerState, scope: string): TimerRecord {
  if (!timer || timer.scope !== scope) throw new AppError('not-found', 'There is no such timer.')
  return timer
}

function found(state: TimerState, scope: string): TimerRecord {
  const timer = known(state, scope)
  if (timer.failedAtMs !== undefined) throw new AppError('not-found', 'There is no such timer.')
  return timer
}

function revive(timer: TimerRecord, nowMs: number): TimerDecision {
  if (timer.failedAtMs === undefined) throw new AppError('conflict', 'This timer has not failed.')
  const { failedAtMs: _failed, lastError: _error, ...rest } = timer
  return stored({ ...rest, version: Math.max(timer.version + 1, nowMs), nextAtMs: nowMs, failures: 0 })
}

function due(state: TimerState, dueAtMs: number): TimerDecision {
  const { timer } = state
  if (!timer || timer.failedAtMs !== undefined) return { state: null, reply: {} }
  const firing: Firing = { timer, dueAtMs, attempt: timer.failures + 1 }
  // The alarm stays as it is until it is known how this ended.
  const signals = [{ to: 'timer', target: timer.id, payload: firing }]
  return { state, alarmAtMs: dueAtMs, signals, reply: {} }
}

function fired(
  state: TimerState,
  { attempt, dueAtMs, outcome, version }: Extract<TimerMessage, { type: 'fired' }>,
  nowMs: number,
): TimerDecision {
  const { timer } = state
  if (!timer) return { state: null, reply: {} }
  if (timer.version !== version) return { state, reply: { nextAtMs: timer.nextAtMs } satisfies Reported }
  // Another node has been quicker.
  const isThis = timer.failures + 1 === attempt && timer.nextAtMs === dueAtMs
  if (!isThis || timer.failedAtMs !== undefined) return { state, reply: {} }
  if (outcome.ok || !timer.retry) return { state: null, reply: {} }
  const failures = timer.failures + 1
  const failed = { ...timer, failures, lastError: outcome.error.slice(0, errorCharactersMax) }
  if (failures >= timer.retry.attempts)
    return stored({ ...failed, failedAtMs: nowMs, nextAtMs: nowMs + limits.timerFailedKeptMs })
  return stored({ ...failed, nextAtMs: nowMs + backoffMs(timer.retry, failures) })
}
