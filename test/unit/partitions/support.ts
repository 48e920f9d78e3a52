/** What the tests of partitions share: a counter kind, a way to wait, a directory that goes away. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../../lib/errors.js'
import type { Decision, EntityKind, Json } from '../../../lib/partitions/index.js'

export interface CounterState {
  readonly total: number
  readonly notes: Readonly<Record<string, Json>>
}

export type CounterMessage =
  | { readonly type: 'add'; readonly amount: number }
  | { readonly type: 'read' }
  | { readonly type: 'refuse' }
  | { readonly type: 'break' }
  | { readonly type: 'delete' }
  | { readonly type: 'wake'; readonly atMs: number | null }
  | { readonly type: 'tell'; readonly to: string; readonly target: string; readonly ids: readonly string[] }
  | { readonly type: 'untell'; readonly ids: readonly string[] }
  | { readonly type: 'write'; readonly put: Readonly<Record<string, Json>>; readonly del?: readonly string[] }
  | { readonly type: 'record' }
  | { readonly type: 'alarm'; readonly dueAtMs: number }

/** Counts; says `total` to the signal `counter` with every addition. */
export const counterKind: EntityKind<CounterState, CounterMessage> = {
  name: 'counter',
  load(records) {
    const { total = 0, ...notes } = Object.fromEntries(records)
    return { total: total as number, notes }
  },
  decide(state, message, context): Decision<CounterState, unknown> {
    switch (message.type) {
      case 'add': {
        const total = state.total + message.amount
        return {
          state: { ...state, total },
          put: new Map([['total', total]]),
          signals: [{ to: 'counter', target: context.key, payload: total }],
          reply: total,
        }
      }
      case 'read':
        return { state, reply: state }
      case 'refuse':
        throw new AppError('conflict', `at ${state.total}`)
      case 'break':
        throw new TypeError('a bug')
      case 'delete':
        return { state: null, reply: 'deleted' }
      case 'wake':
        return { state, alarmAtMs: message.atMs, reply: true }
      case 'tell':
        return {
          state,
          effects: message.ids.map(id => ({ id, to: message.to, target: message.target, payload: { id } })),
          reply: true,
        }
      case 'untell':
        return { state, dropEffects: message.ids, reply: true }
      case 'write': {
        const notes = { ...state.notes, ...message.put }
        for (const name of message.del ?? []) delete notes[name]
        return {
          state: { ...state, notes },
          put: new Map(Object.entries(message.put)),
          ...(message.del && { del: message.del }),
          reply: true,
        }
      }
      case 'record':
        return {
          state: { ...state, total: state.total + 1 },
          put: new Map([['total', state.total + 1]]),
          history: true,
          reply: context.historyPending,
        }
      case 'alarm': {
        const fired = [...((state.notes.fired as number[] | undefined) ?? []), context.nowMs]
        return {
          state: { ...state, notes: { ...state.notes, fired } },
          put: new Map([['fired', fired as Json]]),
          reply: true,
        }
      }
    }
  },
}

/** Waits until `condition` holds. @throws Error after `deadlineMs` */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 5_000,
): Promise<void> {
  const untilMs = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > untilMs) throw new Error(`did not happen: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** A directory for one test; `t.teardown(remove)`. */
export async function temporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'partitions-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** The code of the error a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return error instanceof AppError ? error.code : String(error)
  }
  return 'none'
}

/** All that there are. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
