/**
 * What a run in the background tells its person while they are not there: that it waits for them, and how it ended. Each
 * is a record, read by nobody but the history, which writes it as a notification under an id that stays the same.
 */
import type { TransactionResult } from '../clients/wire.js'
import { limits } from '../limits.js'
import type { Json } from '../partitions/entity.js'
import type { Change } from './change.js'

export interface Notice {
  readonly id: string
  /** Absent in what was written by an older version. */
  readonly atMs?: number
  readonly title: string
  readonly message: string
}

/** A window that reloads is back sooner. */
const awayMsMin = 60_000
const messageCharactersMax = 1_000

/** The notices among the records of a transaction. */
export function noticesOf(records: ReadonlyMap<string, Json>): Notice[] {
  const notices: Notice[] = []
  for (const [name, value] of records)
    if (name.startsWith('notice/')) notices.push(value as unknown as Notice)
  return notices
}

/** Says once for each step, while nobody looks, that it waits. `order` is the step's. */
export function noticeWaiting(change: Change, order: number): void {
  const { noticed } = change.now
  if (order < noticed || !change.start.backgroundable || !isAway(change, awayMsMin)) return
  if (order >= limits.noticesPerTransactionMax) return
  change.setNow({ noticed: order + 1 })
  write(change, `waits-${order}`, {
    title: `"${change.start.name}" waits for you`,
    message: 'It needs an answer to go on.',
  })
}

/** Says how it ended, unless the person sees it or has ended it. Of a schedule's runs, success only where that is wanted. */
export function noticeEnd(change: Change, result: TransactionResult): void {
  const { backgroundable, name, notifyOnSuccess, scheduleId } = change.start
  const isSuccessWorthIt = scheduleId === undefined || notifyOnSuccess === true
  const isWorthIt = result.status === 'FAILURE' || (result.status === 'SUCCESS' && isSuccessWorthIt)
  if (!isWorthIt || !(backgroundable || scheduleId !== undefined) || !isAway(change, 0)) return
  write(
    change,
    'end',
    result.status === 'SUCCESS'
      ? { title: `"${name}" has completed`, message: 'Its result is in the history.' }
      : { title: `"${name}" has failed`, message: failureOf(result.data) },
  )
}

function isAway({ context, now, start }: Change, sinceMs: number): boolean {
  // A console shows everything itself.
  if (start.developerId !== null) return false
  if (now.clientId === null) return true
  return now.clientGoneAtMs !== null && context.nowMs - now.clientGoneAtMs >= sinceMs
}

function write(change: Change, what: string, notice: Pick<Notice, 'title' | 'message'>): void {
  change.record(`notice/${what}`, {
    id: `${change.start.id}.${what}`,
    atMs: change.context.nowMs,
    ...notice,
  })
  change.touchHistory()
}

function failureOf(data: unknown): string {
  const { message } = (typeof data === 'object' && data !== null ? data : {}) as { message?: unknown }
  const text = typeof message === 'string' && message !== '' ? message : 'It says nothing about why.'
  return text.slice(0, messageCharactersMax)
}
