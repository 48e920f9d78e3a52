/** What a browser sees of a transaction when it attaches; it replaces everything the browser saw before. */
import type { Step, TransactionSnapshot } from '../clients/wire.js'
import type { TransactionStart } from './messages.js'
import type { Group, TransactionState } from './state.js'

/** Log lines sent with a snapshot: the newest. The rest is in the history. */
const snapshotLogLinesMax = 1_000

export function stepOf(group: Group): Step {
  return { order: group.order, call: group.call, answered: group.answer !== null }
}

export function snapshotOf(state: TransactionState, start: TransactionStart): TransactionSnapshot {
  const { now } = state
  return {
    transactionId: start.id,
    place: start.place,
    slug: start.slug,
    name: start.name,
    status: now.status,
    backgroundable: start.backgroundable,
    warnOnClose: start.warnOnClose,
    hostConnected: !now.hostGone,
    appends: start.appends,
    steps: state.groups.map(stepOf),
    loading: now.loading,
    logs: state.logs.slice(-snapshotLogLinesMax),
    notifications: [...state.notes],
    redirect: now.redirect,
    // A redirect settles the result before the end.
    result: now.completedAtMs === null ? null : state.result,
    startedAtMs: now.startedAtMs,
  }
}
