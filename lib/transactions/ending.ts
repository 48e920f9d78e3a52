/**
 * How a transaction ends, and what is left to do then. A result, once set, is never replaced: a late completion does
 * not undo a cancel. The SDK keeps a transaction that resolves displays at once until it is told to close it, so that
 * tables stay alive on screen; it must be told when nobody looks any more, or it leaks and cannot shut down.
 */
import type { TransactionResult } from '../clients/wire.js'
import { limits } from '../limits.js'
import { cancelText } from '../sdk/index.js'
import type { Change } from './change.js'
import { forgetRequest, releaseHost } from './http-request.js'
import { noticeEnd } from './notices.js'
import type { Group } from './state.js'

/** Renders remembered as answered when they are all dropped at the end. */
const answeredRendersMax = 16

/** True while a browser window is attached and its socket is open. */
export function isWatched(change: Change): boolean {
  return change.now.clientId !== null && change.now.clientGoneAtMs === null
}

/** Every transaction has an alarm ahead: nothing that is stored can be forgotten. */
export function rearm(change: Change): void {
  change.alarmAt(change.context.nowMs + limits.clientGraceMs)
}

/** The groups that still wait for an answer. */
function pendingGroups(change: Change): Group[] {
  return change.state.groups.filter(
    group => group.answer === null && !(group.displayOnly && change.start.appends),
  )
}

/** Ends the transaction with this result, unless it has one. */
export function complete(change: Change, result: TransactionResult): void {
  const { nowMs } = change.context
  if (change.now.completedAtMs !== null) return
  const kept = change.state.result
  const final: TransactionResult = kept ? { ...result, status: kept.status } : result
  change.state = { ...change.state, result: final }
  change.record('result', final)
  const answered: string[] = []
  for (const group of change.state.groups) {
    if (group.displayOnly && change.start.appends) continue
    if (group.answer) answered.push(group.answer.renderId)
    change.dropGroup(group)
  }
  change.forgetLastAnswer()
  change.dropHostCall('start')
  const request = change.start.http?.[0]
  if (request) change.add(forgetRequest(request))
  const answeredRenders = [...change.now.answeredRenders, ...answered].slice(-answeredRendersMax)
  change.setNow({ status: 'completed', completedAtMs: nowMs, loading: null, answeredRenders })
  change.touchHistory()
  noticeEnd(change, final)
  change.tellSchedule(final)
  change.tellClient({
    event: 'transaction.completed',
    data: { transactionId: change.start.id, result: final },
  })
  rearm(change)
  closeWhenUnwatched(change)
}

/**
 * Cancels on behalf of the person. There is no way to interrupt a host that is computing: then the next call it makes
 * is answered with CANCELED.
 */
export function cancel(change: Change): void {
  if (change.now.completedAtMs !== null) return
  const waiting = pendingGroups(change)
  for (const group of waiting) sendCanceled(change, group.renderId, group.inputGroupKey)
  if (waiting.length === 0) change.setNow({ cancelNext: true })
  const { id, instanceId, woken } = change.start
  // It may not have been told to start yet, and waits for nothing else.
  if (woken && !change.now.heard) change.add(releaseHost(id, instanceId))
  complete(change, { status: 'CANCELED', data: null })
}

/** Tells the host that its pending call is cancelled, then that it may free the transaction. */
export function sendCanceled(change: Change, renderId: string, inputGroupKey: string): void {
  const { id: transactionId, instanceId, woken } = change.start
  // Before it hears of the cancel, which would leave its socket open for ever.
  if (woken) change.add(releaseHost(transactionId, instanceId))
  change.callHost(`cancel:${renderId}`, {
    method: 'IO_RESPONSE',
    data: {
      transactionId,
      value: cancelText({ id: renderId, inputGroupKey }, transactionId),
    },
  })
}

/** Sends CLOSE_TRANSACTION once the transaction has ended and nobody looks at it. */
export function closeWhenUnwatched(change: Change): void {
  const { now, start } = change
  if (now.completedAtMs === null || now.closed || now.cancelNext || isWatched(change)) return
  if (start.appends && !start.http) {
    change.callHost('close', { method: 'CLOSE_TRANSACTION', data: { transactionId: start.id } })
  }
  change.setNow({ closed: true })
}
