/** What the node itself says: hosts come and go, notifications arrive, time passes. */

import { limits } from '../limits.js'
import type { AlarmMessage, Decision, DecisionContext } from '../partitions/entity.js'
import { Change } from './change.js'
import { cancel, closeWhenUnwatched, complete, isWatched, rearm } from './ending.js'
import { hostIsBack } from './from-host.js'
import type { Located, NodeMessage } from './messages.js'
import { noticeWaiting } from './notices.js'
import { noteRecord, type TransactionState } from './state.js'

type Of<Type extends NodeMessage['type']> = Extract<NodeMessage, { type: Type }>
type NodeDecision = Decision<TransactionState, Record<string, never>>

/** Notifications kept per transaction. */
const notesMax = 200

export function decideHostGone(
  state: TransactionState,
  message: Of<'host-gone'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  if (
    message.instanceId === change.start.instanceId &&
    !change.start.http &&
    !change.now.hostGone &&
    change.now.completedAtMs === null
  ) {
    change.setNow({ hostGone: true })
    change.tellClient({
      event: 'transaction.host',
      data: { transactionId: change.start.id, hostConnected: false },
    })
  }
  return change.done({})
}

export function decideHostBack(
  state: TransactionState,
  message: Of<'host-back'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  if (message.instanceId === change.start.instanceId && change.now.hostGone) hostIsBack(change)
  return change.done({})
}

/** The host is not coming back. Whether the action finished cannot be known, so it is never called a success. */
export function decideHostLost(
  state: TransactionState,
  message: Of<'host-lost'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  if (message.instanceId === change.start.instanceId && change.now.completedAtMs === null) {
    // Should it come back after all, its pending call is answered before it is told to let go.
    change.setNow({ cancelNext: true })
    complete(change, {
      status: 'FAILURE',
      data: {
        error: 'HostLost',
        message: 'The host that ran this action is gone. Whether it finished is unknown.',
      },
    })
  }
  return change.done({})
}

export function decideNotification(
  state: TransactionState,
  message: Of<'notification'>,
  context: DecisionContext,
): Decision<TransactionState, { accepted: boolean }> {
  if (state.start === null || state.start.organizationId !== message.organizationId) {
    return { state: state.start ? state : null, reply: { accepted: false } }
  }
  const change = new Change(state, state.start, context)
  if (change.now.notes >= notesMax || change.state.notes.some(note => note.id === message.id))
    return change.done({ accepted: true })
  const notification = {
    id: message.id,
    atMs: context.nowMs,
    title: message.title,
    message: message.message,
    // Said to nobody in particular, it is for whoever has started the run.
    deliveries:
      message.deliveries.length > 0
        ? message.deliveries.map(delivery => ({ ...delivery }))
        : [{ to: state.start.owner.email, method: null }],
  }
  change.state = { ...change.state, notes: [...change.state.notes, notification] }
  change.record(noteRecord(change.now.notes), notification)
  change.setNow({ notes: change.now.notes + 1 })
  change.touchHistory()
  change.tellClient({
    event: 'transaction.notification',
    data: { transactionId: change.start.id, notification },
  })
  return change.done({ accepted: true })
}

/**
 * The host is there. It repeats its last call after a reconnect, but not a completion: a run that has been silent since
 * before the host's newest connection may have ended unheard.
 */
export function decideHostAlive(
  state: TransactionState,
  message: Of<'host-alive'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  const { heardAtMs, startedAtMs, status } = change.now
  const lastMs = Math.max(heardAtMs, startedAtMs)
  const limitMs = message.attachedAtMs > lastMs ? limits.silentAfterReconnectMsMax : limits.silentRunMsMax
  const isSilent = status === 'running' && context.nowMs - Math.max(lastMs, message.attachedAtMs) > limitMs
  if (message.instanceId === change.start.instanceId && isSilent) {
    change.setNow({ cancelNext: true })
    complete(change, {
      status: 'FAILURE',
      data: {
        error: 'ResultUnknown',
        message: 'Nothing was heard of this action for a long time. Whether it finished is unknown.',
      },
    })
  }
  return change.done({})
}

export function decideLocate(state: TransactionState): Decision<TransactionState, Located> {
  const { start } = state
  if (start === null) return { state: null, reply: null }
  const { place, organizationId, environmentId, instanceId, name, owner, slug } = start
  const hasEnded = state.now.completedAtMs !== null
  const ownerEmail = owner.email
  const reply = { place, organizationId, environmentId, instanceId, slug, name, ownerEmail, hasEnded }
  return { state, reply }
}

/**
 * Time passes. Every transaction has an alarm ahead: it asks whether its window and its host are still there (both are
 * known only softly, and not at all after a crash), cancels what was abandoned, and removes what is over.
 */
export function decideAlarm(
  state: TransactionState,
  _message: AlarmMessage,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  const { now } = change
  if (isWatched(change) && now.clientId !== null) {
    change.signalClient(now.clientId, { probe: true })
    rearm(change)
    return change.done({})
  }
  if (now.completedAtMs !== null) {
    if (now.cancelNext) change.setNow({ cancelNext: false })
    closeWhenUnwatched(change)
    const isOver = now.completedAtMs + limits.completedRetentionMs <= context.nowMs && now.closed
    if (isOver && !context.historyPending) return { ...change.done({}), state: null, alarmAtMs: null }
    rearm(change)
    return change.done({})
  }
  const isAbandoned =
    now.clientGoneAtMs !== null && now.clientGoneAtMs + limits.clientGraceMs <= context.nowMs
  if (isAbandoned && !change.start.backgroundable) cancel(change)
  else if (!change.start.http) {
    const waiting = change.state.groups.findLast(
      group => group.answer === null && !(group.displayOnly && change.start.appends),
    )
    if (waiting) noticeWaiting(change, waiting.order)
    change.askHost()
  } else {
    const message = 'The HTTP host did not connect in time.'
    complete(change, { status: 'FAILURE', data: { error: 'HostUnreachable', message } })
  }
  rearm(change)
  return change.done({})
}
