/**
 * What people do: start, attach, answer, cancel, leave. Every message names who asks; the owner checks it again here,
 * whatever the edge has checked before.
 */
import { AppError, errorKinds } from '../errors.js'
import { limits } from '../limits.js'
import type { Decision, DecisionContext } from '../partitions/entity.js'
import { type IoComponent, validateAnswer } from '../sdk/index.js'
import { checkAsker } from './asker.js'
import { Change } from './change.js'
import { cancel, closeWhenUnwatched, isWatched, rearm } from './ending.js'
import { inputRecordName, recordedInput } from './inputs.js'
import type { Asker, Attached, ClientMessage, IdentityProof } from './messages.js'
import { snapshotOf } from './snapshot.js'
import { callStart, wake } from './starting.js'
import { emptyNow, type Group, type TransactionState } from './state.js'
import { isSentFor } from './uploads.js'

type Of<Type extends ClientMessage['type']> = Extract<ClientMessage, { type: Type }>

/** Creates the transaction and tells the host to run the action; attaches when it exists already. */
export function decideStart(
  state: TransactionState,
  message: Of<'start'>,
  context: DecisionContext,
): Decision<TransactionState, Attached> {
  const { start, asker } = message
  if (state.start !== null) {
    if (state.start.slug !== start.slug || state.start.environmentId !== start.environmentId) {
      throw new AppError('conflict', 'This transaction id belongs to another action.')
    }
    if (asker === null) return { state, reply: attached(new Change(state, state.start, context)) }
    return decideAttach(state, { type: 'attach', asker }, context)
  }
  const change = new Change({ ...state, start }, start, context)
  change.record('start', start)
  change.setNow({
    ...emptyNow,
    status: 'running',
    clientId: asker?.clientId ?? null,
    startedAtMs: context.nowMs,
  })
  if (start.http) wake(change)
  else callStart(change)
  change.touchHistory()
  rearm(change)
  return change.done(attached(change))
}

function attached(change: Change): Attached {
  const { http, instanceId } = change.start
  return { snapshot: snapshotOf(change.state, change.start), instanceId: http ? null : instanceId }
}

/** Attaches a browser window, taking the transaction over from the one before. */
export function decideAttach(
  state: TransactionState,
  message: Of<'attach'>,
  context: DecisionContext,
): Decision<TransactionState, Attached> {
  const change = open(state, message.asker, context)
  const { clientId } = change.now
  if (clientId === message.asker.clientId && change.now.clientGoneAtMs === null) {
    return change.done(attached(change))
  }
  if (clientId !== null && clientId !== message.asker.clientId) {
    change.tellClient({ event: 'transaction.usurped', data: { transactionId: change.start.id } })
  }
  change.setNow({ clientId: message.asker.clientId, clientGoneAtMs: null })
  rearm(change)
  return change.done(attached(change))
}

/** A window that may have missed something asks anew, without taking the transaction over from another one. */
export function decideRefresh(
  state: TransactionState,
  message: Of<'refresh'>,
  context: DecisionContext,
): Decision<TransactionState, Attached | null> {
  const change = open(state, message.asker, context)
  if (change.now.clientId !== message.asker.clientId) return { state, reply: null }
  return decideAttach(state, { type: 'attach', asker: message.asker }, context)
}

/**
 * Takes an answer once: valid for the newest render of its group, from the window that is attached. It may name an
 * older render of the group (the host renders anew whenever a promised value arrives), but not one that was answered
 * before and refused by the host.
 */
export function decideAnswer(
  state: TransactionState,
  message: Of<'answer'>,
  context: DecisionContext,
): Decision<TransactionState, Record<string, never>> {
  const change = open(state, message.asker, context)
  if (change.now.clientId !== message.asker.clientId) throw new AppError('client-usurped')
  const group = change.state.groups.find(other => other.inputGroupKey === message.inputGroupKey)
  const repeated =
    group?.answer?.requestId === message.requestId ||
    group?.setState?.requestId === message.requestId ||
    // The host has gone on since, and its group with it.
    change.now.answeredRequests.includes(message.requestId)
  if (repeated) return change.done({})
  if (!group) {
    throw new AppError(
      change.now.answeredRenders.includes(message.renderId) ? 'already-answered' : 'call-superseded',
    )
  }
  if (group.answer) throw new AppError('already-answered')
  if (group.refusedRenderId === message.renderId) throw new AppError('call-superseded')
  if (message.kind === 'RETURN' && change.now.completedAtMs !== null) throw new AppError('transaction-closed')
  if (change.now.closed) throw new AppError('transaction-closed')
  const checked = validateAnswer(group.call, message, change.start.id, (component, file) =>
    isSentFor(change.state, group, component, file),
  )
  if (!checked.ok) throw new AppError('invalid-value', undefined, { fields: checked.fields })
  for (const claim of checked.identityClaims) requireIdentity(group, claim, message.identity)
  const { value } = checked
  const { requestId } = message
  if (message.kind === 'RETURN') {
    const answer = { id: group.renderId, renderId: group.renderId, value, requestId, delivered: false }
    change.putAnswer(group, { answer, setState: null })
    recordInput(change, group, message)
    change.showStatus()
    change.deliver({ inputGroupKey: group.inputGroupKey, deliveryId: answer.id, value })
  } else {
    const setState = { id: `${group.renderId}:${requestId}`, value, requestId, delivered: false }
    change.putAnswer(group, { setState })
    change.deliver({ inputGroupKey: group.inputGroupKey, deliveryId: setState.id, value })
  }
  return change.done({})
}

/** For the history, without secrets. */
function recordInput(change: Change, group: Group, message: Of<'answer'>): void {
  const { inputCharacters } = change.state
  const step = { order: group.order, atMs: change.context.nowMs, toRender: group.call.toRender }
  const recorded = recordedInput(step, message, limits.historyInputCharactersMax - inputCharacters)
  if (recorded === null) return
  change.record(inputRecordName(group.order), recorded.input)
  change.state = { ...change.state, inputCharacters: inputCharacters + recorded.characters }
}

/**
 * An identity is proven to the server, never claimed by a browser. A proof counts for the step it was given for, and
 * for others as long as the action allows; 0 allows none.
 */
function requireIdentity(group: Group, component: IoComponent, proof: IdentityProof | undefined): void {
  const { gracePeriodMs } = component.props
  const graceMs = typeof gracePeriodMs === 'number' ? gracePeriodMs : limits.identityGraceMs
  const isProven =
    proof !== undefined &&
    ((proof.isForStep && proof.ageMs <= limits.identityGraceMs) || (graceMs > 0 && proof.ageMs <= graceMs))
  if (isProven) return
  const message = errorKinds['identity-unproven'].message
  const index = group.call.toRender.indexOf(component)
  throw new AppError('identity-unproven', message, { fields: { [index]: message } })
}

export function decideCancel(
  state: TransactionState,
  message: Of<'cancel'>,
  context: DecisionContext,
): Decision<TransactionState, Record<string, never>> {
  const change = open(state, message.asker, context)
  cancel(change)
  return change.done({})
}

/** The person goes away on purpose: only an action that may run in the background goes on. */
export function decideLeave(
  state: TransactionState,
  message: Of<'leave'>,
  context: DecisionContext,
): Decision<TransactionState, Record<string, never>> {
  const change = open(state, message.asker, context)
  if (change.now.clientId !== message.asker.clientId) return change.done({})
  change.setNow({ clientId: null, clientGoneAtMs: null })
  if (!change.start.backgroundable) cancel(change)
  closeWhenUnwatched(change)
  rearm(change)
  return change.done({})
}

export function decideRedirected(
  state: TransactionState,
  message: Of<'redirected'>,
  context: DecisionContext,
): Decision<TransactionState, Record<string, never>> {
  const change = open(state, message.asker, context)
  if (change.now.redirect !== null && change.now.clientId === message.asker.clientId)
    change.setNow({ redirect: null })
  return change.done({})
}

/** A socket was lost: the window keeps its place for a while. */
export function decideClientGone(
  state: TransactionState,
  message: Of<'client-gone'>,
  context: DecisionContext,
): Decision<TransactionState, Record<string, never>> {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  if (change.now.clientId === message.clientId && isWatched(change)) {
    change.setNow({ clientGoneAtMs: context.nowMs })
    change.signalClient(message.clientId, { probe: true, gone: true })
    rearm(change)
  }
  return change.done({})
}

/** A change of an existing transaction by somebody who may see it. */
function open(state: TransactionState, asker: Asker, context: DecisionContext): Change {
  if (state.start === null) throw new AppError('not-found', 'There is no such transaction.')
  checkAsker(state.start, asker)
  return new Change(state, state.start, context)
}
