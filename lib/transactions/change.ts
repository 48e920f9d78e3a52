/**
 * Collects what one message changes in a transaction: the new state, the records, what is said to whom. A decision
 * starts a `Change` from the state before and ends with `done(reply)`; the state before is never touched.
 */
import type { EventName, Events, TransactionResult } from '../clients/wire.js'
import type { PageKey, TransactionId } from '../ids.js'
import {
  type Decision,
  type DecisionContext,
  type Effect,
  type Json,
  JsonText,
  type Signal,
} from '../partitions/entity.js'
import { ioCallText } from '../sdk/index.js'
import type { TransactionStart } from './messages.js'
import {
  type AnswerRecord,
  type Answers,
  answerRecord,
  type Group,
  type GroupRecord,
  groupRecord,
  type Now,
  nowText,
  type TransactionState,
  waitingStatus,
} from './state.js'

/** A call to the host that must arrive, whatever happens to us in between. */
export interface HostCall {
  readonly method: 'START_TRANSACTION' | 'IO_RESPONSE' | 'CLOSE_TRANSACTION' | 'OPEN_PAGE' | 'CLOSE_PAGE'
  readonly data: Json
}

/** An answer for the host: written at most once per connection of the host; see partitions.md rule 14. */
export interface HostDelivery {
  /** Page keys route in the same field. */
  readonly transactionId: TransactionId | PageKey
  readonly inputGroupKey: string
  readonly deliveryId: string
  readonly value: string
}

/** What the edge of a browser is told. */
export type ClientSignal =
  | { [Name in EventName]: { readonly event: Name; readonly data: Events[Name] } }[EventName]
  /**
   * Is this window still there? If not, the edge says `client-gone`. With `gone`, an edge has said so: it may be the one
   * that the window has left, and late, so whoever has the window asks for it anew.
   */
  | { readonly probe: true; readonly gone?: true }

/** SDKs and windows repeat only what they said last. */
const answeredRequestsMax = 4
/** What a schedule is told of a failure, in characters. */
const endDetailsMax = 500

export class Change {
  start: TransactionStart
  readonly context: DecisionContext
  state: TransactionState
  readonly #put = new Map<string, Json | JsonText>()
  readonly #del = new Set<string>()
  /** The copy of `now` that this message may still change. */
  #draft: { -readonly [Name in keyof Now]: Now[Name] } | undefined
  readonly #effects: Effect[] = []
  readonly #dropEffects: string[] = []
  readonly #signals: Signal[] = []
  #alarmAtMs: number | null | undefined
  #history = false

  constructor(state: TransactionState, start: TransactionStart, context: DecisionContext) {
    this.state = state
    this.start = start
    this.context = context
  }

  get now(): Now {
    return this.state.now
  }

  setNow(part: Partial<Now>): void {
    if (!this.#draft) {
      this.#draft = { ...this.state.now }
      this.state = { ...this.state, now: this.#draft }
    }
    Object.assign(this.#draft, part)
  }

  /** The status as it follows from the groups: it is not written, since it follows from them after a crash as well. */
  showStatus(): void {
    const status = this.waitingStatus()
    if (this.#draft) this.#draft.status = status
    else this.state = { ...this.state, now: { ...this.state.now, status } }
  }

  /** The answer of this request goes with its group, and may be sent again. */
  #rememberAnswered({ answer }: Group): void {
    if (!answer) return
    const answeredRequests = [...this.now.answeredRequests, answer.requestId].slice(-answeredRequestsMax)
    this.setNow({ answeredRequests })
  }

  /** Writes a record. Values come from our own types, all of which JSON can hold. */
  record(name: string, value: unknown): void {
    this.#put.set(name, value as Json)
    this.#del.delete(name)
  }

  forget(name: string): void {
    this.#put.delete(name)
    this.#del.add(name)
  }

  /** Awaiting input while any step waits for an answer. */
  waitingStatus(): 'running' | 'awaiting-input' {
    return waitingStatus(this.state.groups, this.start.appends)
  }

  /** Adds the group, or replaces the one of the same order. */
  putGroup(group: Group): void {
    const groups = this.state.groups
    const index = groups.findIndex(other => other.order === group.order)
    this.state = { ...this.state, groups: index < 0 ? [...groups, group] : groups.with(index, group) }
    const render: Omit<GroupRecord, 'call'> = {
      order: group.order,
      bytes: group.bytes,
      displayOnly: group.displayOnly,
      refusedRenderId: group.refusedRenderId,
      ...(group.number !== undefined && { number: group.number }),
    }
    const text = `{"call":${ioCallText(group.call)},${JSON.stringify(render).slice(1)}`
    this.record(groupRecord(group.slot), new JsonText(text))
    const before = groups[index]
    if (!before?.answer || group.answer) return
    this.forget(answerRecord(group.slot))
    this.#rememberAnswered(before)
  }

  /** Changes what was answered to a group, without writing its render again. */
  putAnswer(group: Group, part: Partial<Answers>): Group {
    const changed = { ...group, ...part }
    const groups = this.state.groups
    this.state = {
      ...this.state,
      groups: groups.map(other => (other.order === group.order ? changed : other)),
    }
    this.record(answerRecord(group.slot), {
      order: group.order,
      answer: changed.answer,
      setState: changed.setState,
    } satisfies AnswerRecord)
    return changed
  }

  /** The lowest slot that no group has. */
  freeSlot(): number {
    let slot = 0
    while (this.state.groups.some(group => group.slot === slot)) slot += 1
    return slot
  }

  dropGroup(group: Group): void {
    this.state = { ...this.state, groups: this.state.groups.filter(other => other.order !== group.order) }
    this.forget(groupRecord(group.slot))
    const name = answerRecord(group.slot)
    // In the first slot, the one on disk is nobody's now, and the next answer takes its place.
    if (group.slot === 0) this.#put.delete(name)
    else if (group.answer || group.setState) this.forget(name)
    this.#rememberAnswered(group)
  }

  /** No step follows: what was answered to the last one that is over goes, too. */
  forgetLastAnswer(): void {
    if (!this.state.groups.some(group => group.slot === 0)) this.forget(answerRecord(0))
  }

  /** Tells the browser that is attached, if there is one. */
  tellClient(signal: ClientSignal): void {
    const { clientId, clientGoneAtMs } = this.now
    if (clientId !== null && clientGoneAtMs === null) this.signalClient(clientId, signal)
  }

  signalClient(clientId: string, signal: ClientSignal): void {
    this.#signals.push({ to: 'client', target: clientId, payload: signal })
  }

  /** Gives an answer to the host's edge: lost when the host is away, given again when the host asks again. */
  deliver(delivery: Omit<HostDelivery, 'transactionId'>): void {
    this.#signals.push({
      to: 'host',
      target: this.start.instanceId,
      payload: { transactionId: this.start.id, ...delivery } satisfies HostDelivery,
    })
  }

  /** Calls the host, at least once, in order, until it confirms. */
  callHost(name: string, call: HostCall): void {
    this.#effects.push({
      id: `${this.start.id}:${name}`,
      to: 'host',
      target: this.start.instanceId,
      payload: call as unknown as Json,
    })
  }

  /** Tells the schedule that has started this run how it ended, until it has heard. */
  tellSchedule({ status, data }: TransactionResult): void {
    const { id, scheduleId } = this.start
    if (scheduleId === undefined) return
    const message = status === 'FAILURE' && (data as { message?: unknown } | null)?.message
    const details = typeof message === 'string' ? message.slice(0, endDetailsMax) : null
    this.#effects.push({
      id: `${id}:ended`,
      to: 'entity',
      target: `schedule:${scheduleId}`,
      payload: { type: 'run-ended', runId: id, status, details },
    })
  }

  /** Changes to whom the run is bound. */
  bind(start: TransactionStart): void {
    this.start = start
    this.state = { ...this.state, start }
    this.record('start', start)
  }

  /** Something that must happen elsewhere. */
  add(effect: Effect): void {
    this.#effects.push(effect)
  }

  /** Asks whether the host is still expected; the answer comes as `host-alive` or `host-lost`, or not at all. */
  askHost(): void {
    this.#signals.push({
      to: 'entity',
      target: `host:${this.start.instanceId}`,
      payload: { type: 'ask' },
    })
  }

  dropHostCall(name: string): void {
    this.#dropEffects.push(`${this.start.id}:${name}`)
  }

  alarmAt(atMs: number | null): void {
    this.#alarmAtMs = atMs
  }

  /** The row in the history must be written again. */
  touchHistory(): void {
    this.#history = true
  }

  done<Reply>(reply: Reply): Decision<TransactionState, Reply> {
    if (this.#draft) this.#put.set('now', new JsonText(nowText(this.#draft)))
    const decision = {
      state: this.state,
      put: this.#put,
      del: [...this.#del],
      effects: this.#effects,
      dropEffects: this.#dropEffects,
      signals: this.#signals,
      history: this.#history,
      reply,
    }
    return this.#alarmAtMs === undefined ? decision : { ...decision, alarmAtMs: this.#alarmAtMs }
  }
}
