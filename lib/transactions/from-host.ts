/**
 * What the host says about a transaction it runs. SDKs repeat themselves: a call whose ACK was late comes again at
 * once, and the last call of each transaction comes again after every reconnect, answered or not. So everything here
 * is decided by ids that survive a repeat: the render id, the group key, the log index.
 */
import type { TransactionId } from '../ids.js'
import { limits } from '../limits.js'
import type { Decision, DecisionContext } from '../partitions/entity.js'
import type { IoCall } from '../sdk/io-call.js'
import { Change, type HostDelivery } from './change.js'
import { closeWhenUnwatched, complete, sendCanceled } from './ending.js'
import type { HostMessage, HostReply } from './messages.js'
import { noticeWaiting } from './notices.js'
import { stepOf } from './snapshot.js'
import { type Group, logRecord, type TransactionState } from './state.js'

type Of<Type extends HostMessage['type']> = Extract<HostMessage, { type: Type }>
type HostDecision = Decision<TransactionState, HostReply>

const accepted: HostReply = { accepted: true }
const refused = (reason: string): HostReply => ({ accepted: false, reason })
/** In the words for what does not exist: whether it does is not the asking host's business. */
const denied: HostReply = { accepted: false, reason: 'There is no such transaction.', denied: true }

/** Render ids remembered after their answer was taken. SDKs repeat only the last call of a transaction. */
const answeredRendersMax = 6
/** The ids of so many are remembered in any case: of a display that was left there are two. */
const answeredCallsMax = Math.floor(answeredRendersMax / 2) + 1
/** Render ids remembered of those that were replaced: they come late only while nodes fail. */
const supersededRendersMax = 8
/** How exactly the last word of the host is remembered. */
const heardGrainMs = 60_000

/** Decides `answer` for the host that runs the transaction; any other host is refused. */
function forHost(
  state: TransactionState,
  message: { readonly instanceId: string },
  context: DecisionContext,
  answer: (change: Change) => HostReply,
): HostDecision {
  if (state.start === null) return { state: null, reply: refused('There is no such transaction.') }
  if (state.start.http || state.start.instanceId !== message.instanceId) {
    return { state, reply: denied }
  }
  const change = new Change(state, state.start, context)
  if (!change.now.heard) {
    change.dropHostCall('start')
    // A window that began to look when nobody was bound does not know yet whom to watch over.
    const { clientId } = change.now
    if (change.start.woken && clientId !== null) change.signalClient(clientId, { probe: true, gone: true })
  }
  if (!change.now.heard || context.nowMs - change.now.heardAtMs > heardGrainMs) {
    change.setNow({ heard: true, heardAtMs: context.nowMs })
  }
  if (change.now.hostGone) hostIsBack(change)
  return change.done(answer(change))
}

/** Anything the host says proves that it is there. */
export function hostIsBack(change: Change): void {
  change.setNow({ hostGone: false })
  change.tellClient({
    event: 'transaction.host',
    data: { transactionId: change.start.id, hostConnected: true },
  })
}

/** A render: new, a newer one of a known group, or a repeat. */
export function decideIoCall(
  state: TransactionState,
  message: Of<'io-call'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    const { call } = message
    for (const deliveryId of message.delivered ?? []) markDelivered(change, deliveryId)
    if (change.now.cancelNext) {
      sendCanceled(change, call.id, call.inputGroupKey)
      // What was said before, and comes late, is not what the host says next: that is answered before it is to let go.
      if (message.number !== undefined && message.number <= change.now.newestCall) return accepted
      change.setNow({ cancelNext: false })
      closeWhenUnwatched(change)
      return accepted
    }
    const known = change.state.groups.find(group => group.inputGroupKey === call.inputGroupKey)
    const deliveries = unconfirmed(change.state, change.start.id, call)
    forgetConfirmed(change, call)
    // With the reply they find the connection that asks, also before everybody knows where the host is now.
    const heard: HostReply = deliveries.length > 0 ? { accepted: true, deliveries } : accepted
    // Said again by a node that did not hear that it was taken, when the host has asked anew or gone on.
    if (isOver(change, known, call.id) || isLate(change, known, call)) return heard
    if (known?.renderId === call.id) {
      if (!known.answer) change.tellClient(renderSignal(change, known))
      return heard
    }
    if (!known && isLongOver(change, message)) return heard
    if (change.now.completedAtMs !== null && !known) {
      // It waits for an answer that nobody can give any more.
      if (!isDisplayOnly(call)) sendCanceled(change, call.id, call.inputGroupKey)
      return accepted
    }
    if (call.toRender.some(component => component.methodName === 'CREDENTIALS')) {
      return refused('Credentials are not supported.')
    }
    if (!known && !makeRoom(change)) return refused('Too many open steps.')
    if (!hasRoomFor(change, call, message.bytes)) return refused('The open steps are too large.')

    const displayOnly = isDisplayOnly(call)
    const group: Group = {
      order: known?.order ?? change.now.groups,
      slot: known?.slot ?? change.freeSlot(),
      inputGroupKey: call.inputGroupKey,
      renderId: call.id,
      ...(message.number !== undefined && { number: message.number }),
      call,
      bytes: message.bytes,
      displayOnly,
      refusedRenderId: known?.answer?.renderId ?? known?.refusedRenderId ?? null,
      answer: null,
      setState: known?.setState ?? null,
    }
    if (known) {
      const supersededRenders = [...change.now.supersededRenders, known.renderId].slice(-supersededRendersMax)
      change.setNow({ supersededRenders })
    }
    setNewest(change, message.number)
    change.putGroup(group)
    trimDisplays(change, group.order)
    if (change.now.completedAtMs === null) {
      change.setNow({
        groups: Math.max(change.now.groups, group.order + 1),
        loading: null,
        redirect: null,
        status: change.waitingStatus(),
      })
    }
    if (!known && !displayOnly) noticeWaiting(change, group.order)
    change.tellClient(renderSignal(change, group))
    return heard
  })
}

/** True for a render that was answered, or replaced by a newer one of its group. */
function isOver({ now }: Change, known: Group | undefined, renderId: string): boolean {
  return (
    known?.refusedRenderId === renderId ||
    now.answeredRenders.includes(renderId) ||
    now.supersededRenders.includes(renderId)
  )
}

/** True for a step from before all whose ids are remembered: a host that counts goes on when it has its answer. */
function isLongOver({ now }: Change, { call, number }: Of<'io-call'>): boolean {
  const { answeredCalls } = now
  if (number === undefined || answeredCalls.length < answeredCallsMax) return false
  return number <= Math.min(...answeredCalls) && !isDisplayOnly(call)
}

/** True for what was looked at and left: an answer to it is never refused, so a newer render only brings late data. */
function isLate(change: Change, known: Group | undefined, call: IoCall): boolean {
  if (!isDisplayOnly(call)) return false
  return known ? known.answer !== null : change.now.answeredRenders.includes(call.inputGroupKey)
}

function isDisplayOnly(call: IoCall): boolean {
  const displays = call.toRender.every(component => component.methodName.startsWith('DISPLAY_'))
  return displays && !call.choiceButtons?.length
}

/** The host has gone on since, on another connection: its promise was settled there. */
function isOvertaken({ now }: Change, number: number | undefined): boolean {
  return number !== undefined && number < now.newestCall
}

function setNewest(change: Change, number: number | undefined): void {
  if (number !== undefined && number > change.now.newestCall) change.setNow({ newestCall: number })
}

function renderSignal(change: Change, group: Group) {
  return {
    event: 'transaction.render' as const,
    data: { transactionId: change.start.id, step: stepOf(group) },
  }
}

/**
 * Answers that the host has not confirmed; with its newest call, which shows where it stands, also not those of a group
 * that it has rendered anew since: then it did get the answer and refused it. They are written again: the edge writes
 * each at most once per connection.
 */
function unconfirmed(state: TransactionState, transactionId: TransactionId, call?: IoCall): HostDelivery[] {
  const deliveries: HostDelivery[] = []
  for (const { answer, inputGroupKey, renderId, setState } of state.groups) {
    if (inputGroupKey === call?.inputGroupKey && renderId !== call.id) continue
    for (const given of [answer, setState]) {
      if (!given || given.delivered) continue
      deliveries.push({ transactionId, inputGroupKey, deliveryId: given.id, value: given.value })
    }
  }
  return deliveries
}

/** Groups that were answered and confirmed are over once the host goes on. */
function forgetConfirmed(change: Change, call: IoCall): void {
  for (const group of change.state.groups)
    if (group.answer?.delivered && group.inputGroupKey !== call.inputGroupKey) forgetAnswered(change, group)
}

function forgetAnswered(change: Change, group: Group): void {
  change.dropGroup(group)
  const answered = group.displayOnly ? [group.renderId, group.inputGroupKey] : [group.renderId]
  const answeredRenders = [...change.now.answeredRenders, ...answered].slice(-answeredRendersMax)
  change.setNow({ answeredRenders })
  if (group.number === undefined) return
  const answeredCalls = [...change.now.answeredCalls, group.number].slice(-answeredCallsMax)
  change.setNow({ answeredCalls })
}

/** True when one more group fits; the oldest display gives way. */
function makeRoom(change: Change): boolean {
  if (change.state.groups.length < limits.openGroupsPerTransactionMax) return true
  const oldest = change.state.groups.find(group => group.displayOnly && change.start.appends)
  if (!oldest) return false
  change.dropGroup(oldest)
  return true
}

/** True when a step of this size fits beside the others that wait for an answer. Displays have a bound of their own. */
function hasRoomFor(change: Change, call: IoCall, bytes: number): boolean {
  if (isDisplayOnly(call)) return true
  let sum = bytes
  for (const group of change.state.groups) {
    if (!group.displayOnly && group.inputGroupKey !== call.inputGroupKey) sum += group.bytes
  }
  return sum <= limits.inputBytesPerTransactionMax
}

/** Keeps the displays of a transaction within their bytes; the newest stays in any case. */
function trimDisplays(change: Change, newestOrder: number): void {
  let bytes = change.state.groups.reduce((sum, group) => sum + group.bytes, 0)
  for (const group of change.state.groups) {
    if (bytes <= limits.displayBytesPerTransactionMax) return
    if (group.order === newestOrder || !group.displayOnly || !change.start.appends) continue
    change.dropGroup(group)
    bytes -= group.bytes
  }
}

export function decideLoading(
  state: TransactionState,
  message: Of<'loading'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    if (change.now.completedAtMs !== null) return refused('This transaction has ended.')
    if (isOvertaken(change, message.number)) return accepted
    setNewest(change, message.number)
    change.setNow({ loading: message.loading })
    change.tellClient({
      event: 'transaction.loading',
      data: { transactionId: change.start.id, loading: message.loading },
    })
    return accepted
  })
}

export function decideLog(
  state: TransactionState,
  message: Of<'log'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    const index = message.index ?? (change.state.logs.at(-1)?.index ?? -1) + 1
    if (change.state.logs.some(line => line.index === index)) return accepted
    if (
      change.now.logs >= limits.logLinesPerTransactionMax ||
      change.now.logCharacters >= limits.logCharactersPerTransactionMax
    ) {
      return refused('Too many log lines.')
    }
    const text = message.text.slice(0, limits.logLineCharactersMax)
    const line = { index, text, atMs: message.atMs }
    const after = change.state.logs.findLastIndex(other => other.index < index) + 1
    change.state = { ...change.state, logs: change.state.logs.toSpliced(after, 0, line) }
    change.record(logRecord(index), line)
    change.setNow({ logs: change.now.logs + 1, logCharacters: change.now.logCharacters + text.length })
    change.tellClient({ event: 'transaction.logs', data: { transactionId: change.start.id, lines: [line] } })
    if (change.now.completedAtMs !== null) change.touchHistory()
    return accepted
  })
}

export function decideRedirect(
  state: TransactionState,
  message: Of<'redirect'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    if (change.now.completedAtMs !== null) return refused('This transaction has ended.')
    if (isOvertaken(change, message.number)) return accepted
    setNewest(change, message.number)
    change.state = { ...change.state, result: change.state.result ?? { status: 'REDIRECTED', data: null } }
    change.record('result', change.state.result)
    change.setNow({ redirect: message.redirect })
    change.tellClient({
      event: 'transaction.redirect',
      data: { transactionId: change.start.id, redirect: message.redirect },
    })
    return accepted
  })
}

export function decideComplete(
  state: TransactionState,
  message: Of<'complete'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    if (change.now.cancelNext) {
      change.setNow({ cancelNext: false })
      closeWhenUnwatched(change)
    }
    complete(change, {
      status: message.status,
      data: message.data,
      ...(message.meta !== undefined && { meta: message.meta }),
    })
    return accepted
  })
}

/** From now on the start counts as written, whether it arrives or not. */
export function decideStartWritten(
  state: TransactionState,
  message: Of<'start-written'>,
  context: DecisionContext,
): HostDecision {
  if (
    state.start === null ||
    state.start.instanceId !== message.instanceId ||
    state.now.completedAtMs !== null
  ) {
    return { state: state.start ? state : null, reply: refused('It is not to be started.') }
  }
  const change = new Change(state, state.start, context)
  change.dropHostCall('start')
  return change.done(accepted)
}

/** Answers may have been lost with the node that led this before, or on the way to the host's edge. */
export function decideHostMissed(state: TransactionState, message: Of<'host-missed'>): HostDecision {
  if (state.start === null) return { state: null, reply: accepted }
  if (state.start.instanceId !== message.instanceId) return { state, reply: accepted }
  return { state, reply: { accepted: true, deliveries: unconfirmed(state, state.start.id) } }
}

/** The host has the answer: it will not be written again. */
export function decideDelivered(
  state: TransactionState,
  message: Of<'answer-delivered'>,
  context: DecisionContext,
): HostDecision {
  return forHost(state, message, context, change => {
    markDelivered(change, message.deliveryId)
    return accepted
  })
}

function markDelivered(change: Change, deliveryId: string): void {
  for (const group of change.state.groups) {
    const { answer, setState } = group
    if (answer?.id === deliveryId && !answer.delivered) {
      change.putAnswer(group, { answer: { ...answer, delivered: true } })
    } else if (setState?.id === deliveryId && !setState.delivered) {
      change.putAnswer(group, { setState: { ...setState, delivered: true } })
    }
  }
}
