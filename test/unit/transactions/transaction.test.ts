/** The decisions of a transaction, one by one: what is said, what is written, what leaves. */
import { deepEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { ClientId, ConnectionId, EntityKey, OrganizationId, UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { type Decision, type Json, JsonText } from '../../../lib/partitions/entity.js'
import type { IoCall } from '../../../lib/sdk/index.js'
import {
  type Asker,
  type HostCall,
  type IdentityProof,
  type TransactionMessage,
  type TransactionStart,
  type TransactionState,
  transactionKind,
} from '../../../lib/transactions/index.js'
import { inputsOf } from '../../../lib/transactions/inputs.js'
import { asker, startOf } from '../../sim/transaction-model.js'

const key: EntityKey = 'transaction:transaction-1'
const { instanceId } = startOf()
const connectionId = 'connection-1' as ConnectionId

/** Records of a run that is still read after each decision. */
const lookedAtMax = 100

/** A transaction that is told things; remembers the last decision. */
class Subject {
  state: TransactionState = transactionKind.load(new Map(), key)
  last: Decision<TransactionState, unknown> | null = null
  /** What is on disk. */
  readonly records = new Map<string, Json>()
  nowMs = 1_000_000
  historyPending = false

  constructor(start: Partial<TransactionStart> = {}) {
    this.tell({ type: 'start', start: { ...startOf(), ...start }, asker })
  }

  tell(
    message: TransactionMessage | { type: 'alarm'; dueAtMs: number },
  ): Decision<TransactionState, unknown> {
    const context = { key, nowMs: this.nowMs, historyPending: this.historyPending }
    this.last = transactionKind.decide(this.state, message, context)
    this.state = this.last.state ?? transactionKind.load(new Map(), key)
    this.#write(this.last)
    return this.last
  }

  /** As a commit would. What is read after it is what is in memory. */
  #write({ del = [], put = new Map(), state }: Decision<TransactionState, unknown>): void {
    if (state === null) this.records.clear()
    for (const name of del) {
      if (put.has(name)) throw new Error(`${name} is both written and deleted`)
      this.records.delete(name)
    }
    for (const [name, value] of put)
      this.records.set(name, JSON.parse(value instanceof JsonText ? value.text : JSON.stringify(value)))
    if (this.records.size > lookedAtMax) return
    // What was entered twice for one step counts twice until it is read again.
    const plain = (read: TransactionState): unknown =>
      JSON.parse(JSON.stringify({ ...read, inputCharacters: 0 }))
    deepEqual(plain(transactionKind.load(this.records, key)), plain(this.state))
  }

  ask(methodName = 'INPUT_TEXT', part: Partial<IoCall> = {}): IoCall {
    const call = callOf(methodName, part)
    this.tell({ type: 'io-call', instanceId, connectionId, call, bytes: 100 })
    return call
  }

  answer(call: IoCall, values: unknown[], by: Asker = asker, identity?: IdentityProof) {
    return this.tell({ ...answerTo(call, values), asker: by, ...(identity && { identity }) })
  }

  /** Calls to the host that this decision causes. */
  hostCalls(): { method: string; data: unknown }[] {
    return (this.last?.effects ?? []).map(effect => {
      const { method, data } = effect.payload as unknown as HostCall
      return { method, data }
    })
  }

  events(): string[] {
    return (this.last?.signals ?? [])
      .filter(signal => signal.to === 'client')
      .map(signal => (signal.payload as { event?: string }).event ?? 'probe')
  }
}

function callOf(methodName: string, part: Partial<IoCall> = {}): IoCall {
  const component = {
    methodName,
    label: 'label',
    props: {},
    isStateful: false,
    isOptional: false,
    isMultiple: false,
  }
  return { id: randomUUID(), inputGroupKey: randomUUID(), kind: 'RENDER', toRender: [component], ...part }
}

const answerTo = (call: IoCall, values: unknown[]) => ({
  type: 'answer' as const,
  asker,
  requestId: randomUUID(),
  inputGroupKey: call.inputGroupKey,
  renderId: call.id,
  kind: 'RETURN' as const,
  values,
})

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt()
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
  return 'accepted'
}

t.test('a start is one, whatever is repeated', async t => {
  const subject = new Subject()
  t.match(subject.hostCalls(), [{ method: 'START_TRANSACTION', data: { displayResolvesImmediately: true } }])
  t.equal(subject.last?.history, true)
  const again = subject.tell({ type: 'start', start: startOf(), asker })
  t.equal(again.effects?.length, 0, 'nothing is started again')
  const other = { ...startOf(), slug: 'other' }
  t.equal(
    codeOf(() => subject.tell({ type: 'start', start: other, asker })),
    'conflict',
  )
})

t.test('people see their own, not those of others', async t => {
  const stranger: Asker = { ...asker, userId: 'person-2' as UserId, clientId: 'client-2' as ClientId }
  const subject = new Subject()
  t.equal(
    codeOf(() => subject.tell({ type: 'attach', asker: stranger })),
    'forbidden',
  )
  const foreign = { ...asker, organizationId: 'organization-2' as OrganizationId }
  for (const type of ['attach', 'cancel', 'leave', 'redirected'] as const) {
    t.equal(
      codeOf(() => subject.tell({ type, asker: foreign })),
      'not-found',
      type,
    )
  }
})

t.test('another window takes over, and the one before is told and can no longer answer', async t => {
  const subject = new Subject()
  const call = subject.ask()
  const second = { ...asker, clientId: 'client-0002' as ClientId }
  subject.tell({ type: 'attach', asker: second })
  t.match(subject.last?.signals, [{ target: asker.clientId, payload: { event: 'transaction.usurped' } }])
  t.equal(
    codeOf(() => subject.answer(call, ['x'])),
    'client-usurped',
  )
  t.equal(
    codeOf(() => subject.answer(call, ['x'], second)),
    'accepted',
  )
})

t.test('an answer is taken once', async t => {
  const subject = new Subject()
  const call = subject.ask()
  t.equal(subject.state.now.status, 'awaiting-input')
  const message: TransactionMessage = {
    type: 'answer',
    asker,
    requestId: randomUUID(),
    inputGroupKey: call.inputGroupKey,
    renderId: call.id,
    kind: 'RETURN',
    values: ['Ada'],
  }
  subject.tell(message)
  t.match(subject.last?.signals, [{ to: 'host', payload: { deliveryId: call.id } }])
  t.equal(subject.state.now.status, 'running')
  const repeated = subject.tell(message)
  t.equal(repeated.put?.size, 0, 'the same press again writes nothing')
  t.equal(repeated.signals?.length, 0)
  t.equal(
    codeOf(() => subject.answer(call, ['Eve'])),
    'already-answered',
  )
  t.equal(
    codeOf(() => subject.answer(callOf('INPUT_TEXT'), ['x'])),
    'call-superseded',
  )
})

t.test(
  'an identity is confirmed only with a proof that counts, and never needs one to be denied',
  async t => {
    const told = (
      gracePeriodMs: unknown,
      identity: IdentityProof | undefined,
      values: unknown[] = [true],
    ) => {
      const subject = new Subject()
      const { toRender, ...call } = callOf('CONFIRM_IDENTITY')
      const [component] = toRender
      if (!component) throw new Error('no component')
      const props = gracePeriodMs === undefined ? {} : { gracePeriodMs }
      const asked = subject.ask('CONFIRM_IDENTITY', { ...call, toRender: [{ ...component, props }] })
      return codeOf(() => subject.answer(asked, values, asker, identity))
    }
    const graceMs = limits.identityGraceMs
    t.equal(told(undefined, undefined), 'identity-unproven')
    t.equal(told(undefined, undefined, [false]), 'accepted')
    for (const value of [null, undefined, 'true', 1]) t.not(told(undefined, undefined, [value]), 'accepted')
    t.equal(told(undefined, { ageMs: graceMs, isForStep: false }), 'accepted')
    t.equal(told(undefined, { ageMs: graceMs + 1, isForStep: false }), 'identity-unproven')
    t.equal(told(1_000, { ageMs: 1_001, isForStep: false }), 'identity-unproven')
    t.equal(told(1_000, { ageMs: 1_001, isForStep: true }), 'accepted', 'given for this step')
    t.equal(told(0, { ageMs: 0, isForStep: false }), 'identity-unproven', 'always ask')
    t.equal(told(0, { ageMs: 10, isForStep: true }), 'accepted')
    t.equal(told(0, { ageMs: graceMs + 1, isForStep: true }), 'identity-unproven', 'given long ago')
    t.equal(told('nonsense', { ageMs: graceMs + 1, isForStep: false }), 'identity-unproven')
  },
)

t.test('a call that comes again when its answer was refused does not take the place of the newer one', t => {
  const subject = new Subject()
  const first = subject.ask()
  subject.answer(first, ['no good'])
  const again = subject.ask('INPUT_TEXT', { inputGroupKey: first.inputGroupKey })
  subject.tell({ type: 'io-call', instanceId, connectionId, call: first, bytes: 100 })
  t.same(subject.last?.reply, { accepted: true })
  t.same(subject.last?.signals, [])
  t.same(
    subject.state.groups.map(group => group.renderId),
    [again.id],
  )
  subject.answer(again, ['good'])
  t.equal(subject.state.groups[0]?.answer?.renderId, again.id)
  t.end()
})

t.test('a render that comes again late takes nothing from the newer one, nor from its answer', t => {
  const subject = new Subject()
  const first = subject.ask()
  const newer = subject.ask('INPUT_TEXT', { inputGroupKey: first.inputGroupKey })
  const late = () => {
    subject.tell({ type: 'io-call', instanceId, connectionId, call: first, bytes: 100 })
    t.same(subject.last?.reply, { accepted: true })
    t.same(subject.events(), [], 'nothing is shown')
  }
  late()
  t.same(
    subject.state.groups.map(({ renderId }) => renderId),
    [newer.id],
  )
  subject.answer(newer, ['good'])
  const given = subject.state.groups[0]?.answer
  late()
  t.same(subject.state.groups[0]?.answer, given, 'it is not taken for a refusal')
  const next = callOf('INPUT_TEXT')
  const delivered = [newer.id]
  subject.tell({ type: 'io-call', instanceId, connectionId, call: next, bytes: 100, delivered })
  late()
  t.same(
    subject.state.groups.map(({ renderId }) => renderId),
    [next.id],
    'nor for another step when its own is over',
  )
  t.end()
})

t.test('a step that comes again long after it was answered is not shown as another one', t => {
  const subject = new Subject()
  const calls = Array.from({ length: 12 }, () => callOf('INPUT_TEXT'))
  const say = (index: number, number: number, delivered: readonly string[] = []) => {
    const call = calls[index] as IoCall
    subject.tell({ type: 'io-call', instanceId, connectionId, call, bytes: 100, delivered, number })
  }
  let delivered: readonly string[] = []
  for (const [index, call] of calls.entries()) {
    say(index, 10 + index, delivered)
    for (let late = 0; late < index; late += 1) {
      // Under the number it had, or one before, when it was the one that was said again which came first.
      say(late, 10 + late - (late % 2))
      t.same(
        subject.state.groups.map(({ renderId }) => renderId),
        [call.id],
        `step ${late} while step ${index} waits`,
      )
    }
    subject.answer(call, ['good'])
    delivered = subject.state.groups.map(({ answer }) => answer?.id ?? '')
  }
  t.end()
})

t.test('a step that comes late is not the next one of a run that was cancelled', t => {
  const subject = new Subject()
  const say = (call: IoCall, number: number) =>
    subject.tell({ type: 'io-call', instanceId, connectionId, call, bytes: 100, number })
  const [first, second, next] = [callOf('INPUT_TEXT'), callOf('INPUT_TEXT'), callOf('INPUT_TEXT')]
  say(first, 10)
  subject.answer(first, ['good'])
  say(second, 12)
  subject.answer(second, ['good'])
  subject.tell({ type: 'leave', asker })
  for (const [call, number] of [
    [first, 10],
    [second, 12],
  ] as const) {
    say(call, number)
    t.same(
      subject.hostCalls().map(({ method }) => method),
      ['IO_RESPONSE'],
      'it may still need it, to hear of the cancel',
    )
  }
  say(next, 14)
  t.same(
    subject.hostCalls().map(({ method }) => method),
    ['IO_RESPONSE', 'CLOSE_TRANSACTION'],
  )
  t.end()
})

t.test('a value that stands for another one is judged as what it stands for', async t => {
  const subject = new Subject()
  const identity = callOf('CONFIRM_IDENTITY').toRender
  const call = subject.ask('', { toRender: [...callOf('INPUT_BOOLEAN').toRender, ...identity] })
  const smuggled = () =>
    subject.tell({
      ...answerTo(call, [true, false]),
      valuesMeta: { referentialEqualities: { '0': ['1'] } },
    })
  const code = codeOf(smuggled)
  const [answer] = subject.last?.signals?.filter(({ to }) => to === 'host') ?? []
  const { value = '{}' } = (answer?.payload ?? {}) as { value?: string }
  const { values } = JSON.parse(value) as { values?: unknown[] }
  t.ok(code !== 'accepted' || values?.[1] === false, `${code}: ${value}`)
})

t.test(
  'cancel names the call that waits, then closes; a computing host is told at its next call',
  async t => {
    const waiting = new Subject()
    const call = waiting.ask()
    waiting.tell({ type: 'cancel', asker })
    t.match(waiting.hostCalls(), [{ method: 'IO_RESPONSE' }])
    t.match(waiting.events(), ['transaction.completed'])
    t.equal(waiting.state.result?.status, 'CANCELED')
    t.equal(
      codeOf(() => waiting.answer(call, ['late'])),
      'call-superseded',
    )
    waiting.tell({ type: 'leave', asker })
    t.match(waiting.hostCalls(), [{ method: 'CLOSE_TRANSACTION' }])

    const computing = new Subject()
    computing.tell({ type: 'leave', asker })
    t.equal(computing.state.result?.status, 'CANCELED', 'leaving cancels what may not run in the background')
    t.same(computing.hostCalls(), [], 'closed only when the host has been told')
    computing.ask()
    t.match(computing.hostCalls(), [{ method: 'IO_RESPONSE' }, { method: 'CLOSE_TRANSACTION' }])
    computing.tell({ type: 'complete', instanceId, status: 'SUCCESS', data: 'late' })
    t.equal(computing.state.result?.status, 'CANCELED', 'a result is never replaced')
  },
)

t.test('what may run in the background goes on without anybody, and is found again', async t => {
  const subject = new Subject({ backgroundable: true })
  subject.tell({ type: 'leave', asker })
  t.equal(subject.state.now.completedAtMs, null)
  const call = subject.ask()
  t.same(subject.events(), [], 'nobody is told')
  const attached = subject.tell({ type: 'attach', asker })
  t.match(attached.reply, { snapshot: { status: 'awaiting-input', steps: [{ call: { id: call.id } }] } })
})

t.test('a lost window keeps its place for its grace, then the action is cancelled', async t => {
  const subject = new Subject()
  subject.ask()
  subject.tell({ type: 'client-gone', clientId: asker.clientId })
  subject.nowMs += limits.clientGraceMs - 1
  subject.tell({ type: 'alarm', dueAtMs: subject.nowMs })
  t.equal(subject.state.now.completedAtMs, null)
  t.match(
    subject.last?.signals,
    [{ to: 'entity', target: `host:${instanceId}` }],
    'and the host is asked about',
  )
  subject.nowMs += 2
  subject.tell({ type: 'alarm', dueAtMs: subject.nowMs })
  t.equal(subject.state.result?.status, 'CANCELED')
})

t.test('an alarm asks a window that seems to be there', async t => {
  const subject = new Subject()
  subject.tell({ type: 'alarm', dueAtMs: subject.nowMs })
  t.same(subject.events(), ['probe'])
  t.ok((subject.last?.alarmAtMs ?? 0) > subject.nowMs, 'and comes again')
})

t.test('a host goes and comes back, or is lost', async t => {
  const subject = new Subject()
  subject.tell({ type: 'host-gone', instanceId })
  t.same(subject.events(), ['transaction.host'])
  subject.ask()
  t.same(subject.events(), ['transaction.host', 'transaction.render'], 'a call proves that it is back')
  subject.tell({ type: 'host-lost', instanceId })
  t.match(subject.state.result, { status: 'FAILURE', data: { error: 'HostLost' } })
})

t.test('only the host that runs it may speak', async t => {
  const subject = new Subject()
  const other = 'instance-2' as typeof instanceId
  const call = callOf('INPUT_TEXT')
  t.match(subject.tell({ type: 'io-call', instanceId: other, connectionId, call, bytes: 1 }).reply, {
    accepted: false,
  })
  t.match(subject.tell({ type: 'complete', instanceId: other, status: 'SUCCESS', data: null }).reply, {
    accepted: false,
  })
  t.equal(subject.state.groups.length, 0)
})

t.test('displays stay and answer state changes after the end; then the host is told to let go', async t => {
  const subject = new Subject()
  const stateful = {
    methodName: 'DISPLAY_TABLE',
    label: 'Table',
    isStateful: true,
    isOptional: false,
    isMultiple: false,
  }
  const table = subject.ask('DISPLAY_TABLE', {
    toRender: [{ ...stateful, props: { data: [], isAsync: true } }],
  })
  t.equal(subject.state.now.status, 'running', 'a display waits for nobody')
  subject.tell({ type: 'complete', instanceId, status: 'SUCCESS', data: null })
  const page = { ...answerTo(table, [{ offset: 20, pageSize: 20 }]), kind: 'SET_STATE' as const }
  subject.tell(page)
  t.match(subject.last?.signals, [{ to: 'host' }])
  const next = { ...callOf('DISPLAY_TABLE'), inputGroupKey: table.inputGroupKey }
  subject.tell({ type: 'io-call', instanceId, connectionId, call: next, bytes: 10 })
  t.same(subject.events(), ['transaction.render'])
  subject.tell({ type: 'leave', asker })
  t.match(subject.hostCalls(), [{ method: 'CLOSE_TRANSACTION' }])
  t.equal(
    codeOf(() => subject.tell({ ...page, requestId: randomUUID() })),
    'client-usurped',
  )
})

t.test('what was entered is kept up to a bound, also by whoever takes the run over', async t => {
  const subject = new Subject()
  const records = new Map<string, Json>()
  const write = (): void => {
    for (const [name, value] of subject.last?.put ?? [])
      records.set(name, JSON.parse(value instanceof JsonText ? value.text : JSON.stringify(value)))
    for (const name of subject.last?.del ?? []) records.delete(name)
  }
  write()
  const text = 'x'.repeat(limits.historyValueCharactersMax - 10)
  const kept: boolean[] = []
  while (kept.length < limits.historyInputCharactersMax / text.length + 3) {
    const call = subject.ask()
    write()
    subject.answer(call, [text])
    write()
    t.notOk(subject.last?.put?.has('now'), 'an answer writes what is new, no more')
    kept.push(inputsOf(records).at(-1)?.fields[0]?.value === text)
    subject.state = transactionKind.load(records, key)
  }
  const inputs = inputsOf(records)
  t.ok(JSON.stringify(inputs).length < limits.historyInputCharactersMax + 1_000 * inputs.length)
  t.equal(
    kept.indexOf(false),
    Math.floor(limits.historyInputCharactersMax / (text.length + 'label""'.length)),
  )
  t.equal(kept.lastIndexOf(true), kept.indexOf(false) - 1)
})

const setState = (subject: Subject, call: IoCall) =>
  subject.tell({ ...answerTo(call, [{ offset: 20, pageSize: 20 }, null]), kind: 'SET_STATE' })
/** A table that asks its host for pages, and a question. */
const stateful = (): Partial<IoCall> => {
  const [table, question] = [callOf('DISPLAY_TABLE'), callOf('INPUT_TEXT')].map(call => call.toRender)
  const paged = (table ?? []).map(part => ({ ...part, isStateful: true, props: { data: [], isAsync: true } }))
  return { toRender: [...paged, ...(question ?? [])] }
}
/** The names that steps have on disk. */
const stepNames = ({ records }: Subject): string[] =>
  [...records.keys()]
    .filter(name => /^(group|answer)/.test(name))
    .map(name => name.replace(/0{7}/, ''))
    .sort()

t.test('steps that are over give their names to the next, however they come and go', t => {
  const subject = new Subject()
  const confirm = (call: IoCall) =>
    subject.tell({ type: 'answer-delivered', instanceId, deliveryId: call.id })
  const [a, b, c] = [subject.ask(), subject.ask('', stateful()), subject.ask('', stateful())]
  t.same(stepNames(subject), ['group/0', 'group/1', 'group/2'])
  subject.answer(b, [null, 'a secret'])
  subject.answer(a, ['first'])
  setState(subject, c)
  confirm(b)
  const d = subject.ask()
  t.same(
    stepNames(subject),
    ['answer/0', 'answer/2', 'group/0', 'group/1', 'group/2'],
    'an answer goes with its step',
  )
  subject.answer(d, ['second'])
  // Both are confirmed by the call that lets them go.
  const call = callOf('', stateful())
  const delivered = [a.id, d.id]
  subject.tell({ type: 'io-call', instanceId, connectionId, call, bytes: 100, delivered })
  t.same(
    stepNames(subject),
    ['answer/0', 'answer/2', 'group/0', 'group/2'],
    'the first answer stays for a while',
  )
  t.equal(
    subject.state.groups.find(group => group.slot === 0)?.answer,
    null,
    'and is not that of the next step',
  )
  setState(subject, call)
  subject.answer(call, [null, 'third'])
  const again = callOf('INPUT_TEXT', { inputGroupKey: call.inputGroupKey })
  subject.tell({ type: 'io-call', instanceId, connectionId, call: again, bytes: 100 })
  t.same(stepNames(subject), ['answer/2', 'group/0', 'group/2'], 'a refused answer goes at once')
  subject.answer(again, ['fourth'])
  confirm(again)
  subject.ask('INPUT_TEXT')
  subject.tell({ type: 'complete', instanceId, status: 'SUCCESS', data: null })
  t.same(stepNames(subject), [], 'nothing that was answered outlives the steps')
  t.end()
})

t.test('the records of a store of format 2', t => {
  const subject = new Subject()
  const call = subject.ask()
  subject.answer(call, ['kept'])
  const records = new Map(subject.records)
  const rename = (from: string, to: string, change: (value: Record<string, Json>) => Json) => {
    records.set(to, change(records.get(from) as Record<string, Json>))
    records.delete(from)
  }
  rename('group/00000000', 'group/00000007', value => ({ ...value, order: 7 }))
  rename('answer/00000000', 'answer/00000007', ({ order: _, ...value }) => value)
  const { groups } = transactionKind.load(records, key)
  t.match(groups, [{ order: 7, slot: 7, renderId: call.id, inputGroupKey: call.inputGroupKey }])
  t.match(groups[0]?.answer, { renderId: call.id, delivered: false })
  t.end()
})

t.test('logs are one per index and bounded', async t => {
  const subject = new Subject()
  const log = (index: number | null, text: string) =>
    subject.tell({ type: 'log', instanceId, index, text, atMs: 1 }).reply
  log(1, 'b')
  log(0, 'a')
  log(1, 'again')
  log(null, 'c')
  t.same(
    subject.state.logs.map(line => line.text),
    ['a', 'b', 'c'],
  )
  for (let index = 10; index < 10 + 600; index++) log(index, 'x'.repeat(limits.logLineCharactersMax))
  t.match(log(9_999, 'one more'), { accepted: false })
})

t.test('a redirect is kept until it was followed', async t => {
  const subject = new Subject()
  subject.tell({ type: 'redirect', instanceId, redirect: { route: 'elsewhere' } })
  subject.tell({ type: 'complete', instanceId, status: 'SUCCESS', data: null })
  t.match(subject.tell({ type: 'attach', asker }).reply, {
    snapshot: { redirect: { route: 'elsewhere' }, result: { status: 'REDIRECTED' } },
  })
  subject.tell({ type: 'redirected', asker })
  t.match(subject.tell({ type: 'attach', asker }).reply, { snapshot: { redirect: null } })
})

t.test('notifications are shown once, and only to the organization of the transaction', async t => {
  const subject = new Subject()
  const note = { type: 'notification' as const, id: 'note-1', title: null, message: 'Done', deliveries: [] }
  subject.tell({ ...note, organizationId: 'organization-2' as OrganizationId })
  t.same(subject.events(), [])
  subject.tell({ ...note, organizationId: asker.organizationId })
  t.same(subject.events(), ['transaction.notification'])
  subject.tell({ ...note, organizationId: asker.organizationId })
  t.same(subject.events(), [])
})

t.test('a finished transaction is removed after its time, but not before its history is written', async t => {
  const subject = new Subject()
  subject.tell({ type: 'complete', instanceId, status: 'SUCCESS', data: 1 })
  subject.tell({ type: 'leave', asker })
  subject.nowMs += limits.completedRetentionMs + 1
  subject.historyPending = true
  subject.tell({ type: 'alarm', dueAtMs: subject.nowMs })
  t.not(subject.state.start, null)
  subject.historyPending = false
  subject.tell({ type: 'alarm', dueAtMs: subject.nowMs })
  t.equal(subject.last?.state, null)
})

t.test('what a schedule has started is watched by nobody, and tells the schedule how it ended', async t => {
  const subject = new Subject({ scheduleId: 'schedule-1' })
  const start = { ...startOf(), scheduleId: 'schedule-1' }
  subject.state = transactionKind.load(new Map(), key)
  subject.tell({ type: 'start', start, asker: null })
  t.equal(subject.state.now.clientId, null)
  const again = subject.tell({ type: 'start', start, asker: null })
  t.notOk(again.effects?.length || again.put?.size, 'starting it again changes nothing')
  const data = { error: 'Error', message: 'It broke.' }
  const ended = subject.tell({ type: 'complete', instanceId, status: 'FAILURE', data })
  t.match(
    ended.effects?.find(effect => effect.to === 'entity'),
    {
      target: 'schedule:schedule-1',
      payload: { type: 'run-ended', runId: start.id, status: 'FAILURE', details: 'It broke.' },
    },
  )
  const other = new Subject().tell({ type: 'complete', instanceId, status: 'SUCCESS', data: null })
  t.notOk(other.effects?.some(effect => effect.to === 'entity'))
})
