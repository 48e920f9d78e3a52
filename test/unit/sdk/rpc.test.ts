import t from 'tap'
import { AppError, type ErrorCode } from '../../../lib/errors.js'
import { HostRpc, type IncomingCall, type RpcOptions } from '../../../lib/sdk/index.js'
import { isRecord } from '../../../lib/sdk/json.js'

interface Sent {
  type: string
  id: string
  data?: string
}

/** A host's side of the wire, by hand, on a clock that is turned by hand. */
class Wire {
  readonly sent: Sent[] = []
  readonly calls: IncomingCall[] = []
  readonly problems: string[] = []
  readonly acked: string[] = []
  readonly unsent: unknown[] = []
  readonly timers: { delayMs: number; run: () => void; cancelled: boolean }[] = []
  readonly rpc: HostRpc
  #ids = 0
  answer: (call: IncomingCall) => Promise<unknown> = async () => true

  constructor(options: Partial<RpcOptions> = {}) {
    this.rpc = new HostRpc({
      sendText: text => this.sent.push(JSON.parse(text)),
      onCall: call => {
        this.calls.push(call)
        return this.answer(call)
      },
      onProblem: problem => this.problems.push(`${problem.kind} ${problem.method}`),
      onResponseAcked: rpcId => this.acked.push(rpcId),
      onResponseUnsent: response => this.unsent.push(response),
      after: (delayMs, run) => {
        const timer = { delayMs, run, cancelled: false }
        this.timers.push(timer)
        return () => {
          timer.cancelled = true
        }
      },
      ...options,
    })
  }

  /** Sends an RPC message as a host does; returns the id of the frame. */
  message(rpc: unknown): string {
    const id = `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, '0')}`
    this.rpc.onText(
      JSON.stringify({ type: 'MESSAGE', id, data: typeof rpc === 'string' ? rpc : JSON.stringify(rpc) }),
    )
    return id
  }

  hostCalls(id: string, methodName: string, data?: unknown): string {
    return this.message({ id, kind: 'CALL', methodName, data })
  }

  ack(id: string | undefined): void {
    this.rpc.onText(JSON.stringify({ type: 'ACK', id }))
  }

  get rpcMessages(): Record<string, unknown>[] {
    return this.sent
      .filter(frame => frame.type === 'MESSAGE')
      .map(frame => JSON.parse(frame.data ?? ''))
      .filter(isRecord)
  }

  get acks(): string[] {
    return this.sent.filter(frame => frame.type === 'ACK').map(frame => frame.id)
  }

  get lastMessage(): Sent | undefined {
    return this.sent.filter(frame => frame.type === 'MESSAGE').at(-1)
  }
}

async function code(promise: Promise<unknown>): Promise<ErrorCode | 'resolved' | 'other'> {
  return promise.then(
    () => 'resolved' as const,
    error => (error instanceof AppError ? error.code : 'other'),
  )
}

const settle = () => new Promise(resolve => setImmediate(resolve))
const log = { transactionId: 't', data: 'hello', index: 0 }

t.test('a call is acknowledged once and first, then answered', async t => {
  const wire = new Wire()
  const id = wire.hostCalls('7', 'SEND_LOG', { ...log, skipClientCall: false })
  t.same(wire.sent, [{ type: 'ACK', id }], 'acknowledged before anything else')
  await settle()
  t.same(wire.acks, [id])
  t.same(wire.rpcMessages, [{ id: '7', kind: 'RESPONSE', methodName: 'SEND_LOG', data: true }])
  t.match(wire.calls, [{ rpcId: '7', method: 'SEND_LOG', data: log }])
})

t.test('an answer counts as delivered when its ACK has come', async t => {
  const wire = new Wire()
  wire.hostCalls('7', 'SEND_LOG', log)
  await settle()
  t.same(wire.acked, [])
  wire.ack(wire.lastMessage?.id)
  wire.ack(wire.lastMessage?.id)
  wire.ack('00000000-0000-4000-8000-ffffffffffff')
  await settle()
  t.same(wire.acked, ['7'], 'once, whatever else is acknowledged')
})

t.test('an unknown method is acknowledged, reported and not answered', async t => {
  const wire = new Wire()
  for (const method of ['NO_SUCH_METHOD', '__proto__', 'constructor', 'toString'])
    wire.hostCalls('1', method, {})
  await settle()
  t.equal(wire.acks.length, 4)
  t.same(wire.rpcMessages, [])
  t.equal(wire.problems.length, 4)
  t.same(wire.calls, [])
})

t.test('wrong input is answered false where a boolean is expected, and not at all elsewhere', async t => {
  const wire = new Wire()
  wire.hostCalls('1', 'SEND_LOG', { transactionId: 1, data: 'x' })
  wire.hostCalls('2', 'INITIALIZE_HOST', { actions: 'none' })
  await settle()
  t.same(wire.rpcMessages, [{ id: '1', kind: 'RESPONSE', methodName: 'SEND_LOG', data: false }])
  t.same(wire.problems, ['invalid-input SEND_LOG', 'invalid-input INITIALIZE_HOST'])
})

t.test('a handler that throws leaves the call unanswered', async t => {
  const wire = new Wire()
  wire.answer = async () => {
    throw new Error('broken')
  }
  wire.hostCalls('1', 'SEND_LOG', log)
  await settle()
  t.same(wire.rpcMessages, [])
  t.same(wire.problems, ['handler-failed SEND_LOG'])
  t.equal(wire.rpc.runningCount, 0)
})

t.test('ping is acknowledged and nothing else; authenticated is sent once', async t => {
  const wire = new Wire()
  const authenticated = wire.rpc.sendAuthenticated()
  t.equal(wire.lastMessage?.data, 'authenticated')
  wire.message('ping')
  t.equal(wire.acks.length, 1)
  wire.ack(wire.lastMessage?.id)
  t.equal(await code(authenticated), 'resolved')
})

t.test('calls to a host resolve with its answer, void or not', async t => {
  const wire = new Wire()
  const close = wire.rpc.call('CLOSE_TRANSACTION', { transactionId: 't' })
  wire.ack(wire.lastMessage?.id)
  await close.acked
  wire.message({ id: wire.rpcMessages.at(-1)?.id, kind: 'RESPONSE', methodName: 'CLOSE_TRANSACTION' })
  t.equal(await close.result, undefined)
  const python = wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' })
  wire.message({ id: wire.rpcMessages.at(-1)?.id, kind: 'RESPONSE', methodName: 'CLOSE_PAGE', data: null })
  t.equal(await python.result, undefined, 'an explicit null is void too')
  t.equal(await code(python.acked), 'resolved', 'an answer proves that the call arrived')
  t.ok(
    wire.timers.every(timer => timer.cancelled),
    'no deadline is left',
  )
})

t.test('a call without an answer ends at its deadline, a late answer is ignored', async t => {
  const wire = new Wire()
  const call = wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' }, { deadlineMs: 1_234 })
  t.equal(wire.timers[0]?.delayMs, 1_234)
  wire.timers[0]?.run()
  t.equal(await code(call.result), 'host-timeout')
  wire.ack(wire.lastMessage?.id)
  await call.acked
  t.pass('a late ACK still says that the call arrived')
  wire.message({ id: wire.rpcMessages.at(-1)?.id, kind: 'RESPONSE', methodName: 'CLOSE_PAGE' })
  t.equal(wire.rpc.pendingCount, 0)
})

t.test('an answer of the wrong shape rejects and is reported', async t => {
  const wire = new Wire()
  const user = { email: 'a@b.c', firstName: null, lastName: null, role: 'admin' as const, teams: [] }
  const open = { pageKey: 'p', page: { slug: 's' }, environment: 'production', user, params: {} }
  const call = wire.rpc.call('OPEN_PAGE', open)
  wire.message({
    id: wire.rpcMessages.at(-1)?.id,
    kind: 'RESPONSE',
    methodName: 'OPEN_PAGE',
    data: { type: 'MAYBE' },
  })
  t.equal(await code(call.result), 'invalid-value')
  t.same(wire.problems, ['invalid-answer OPEN_PAGE'])
})

t.test('closing rejects all that waits; an answer that is ready later is handed back', async t => {
  const wire = new Wire()
  let finish = (_: unknown) => {}
  wire.answer = () =>
    new Promise(resolve => {
      finish = resolve
    })
  wire.hostCalls('9', 'SEND_IO_CALL', { transactionId: 't', ioCall: '{}' })
  const call = wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' })
  const authenticated = wire.rpc.sendAuthenticated()
  wire.rpc.close()
  wire.rpc.close()
  t.equal(await code(call.result), 'unavailable')
  t.equal(await code(call.acked), 'unavailable')
  t.equal(await code(authenticated), 'unavailable')
  finish(true)
  await settle()
  t.same(wire.unsent, [{ rpcId: '9', method: 'SEND_IO_CALL', data: true }])
  const sentBefore = wire.sent.length
  wire.rpc.onText('garbage')
  wire.rpc.sendResponse('9', 'SEND_IO_CALL', true)
  t.equal(await code(wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' }).result), 'unavailable')
  t.equal(wire.sent.length, sentBefore, 'a closed connection is silent')
})

t.test('an answer to a call of an earlier connection is sent and confirmed like any other', async t => {
  const wire = new Wire()
  wire.rpc.sendResponse('3', 'SEND_LOG', true)
  t.same(wire.rpcMessages, [{ id: '3', kind: 'RESPONSE', methodName: 'SEND_LOG', data: true }])
  wire.ack(wire.lastMessage?.id)
  await settle()
  t.same(wire.acked, ['3'])
})

t.test('everything that can pile up is bounded', async t => {
  const wire = new Wire({ pendingMax: 2, runningMax: 2 })
  wire.answer = () => new Promise(() => {})
  for (let count = 0; count < 2; count++) wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' })
  t.equal(await code(wire.rpc.call('CLOSE_PAGE', { pageKey: 'p' }).result), 'queue-full')
  wire.hostCalls('1', 'SEND_LOG', log)
  wire.hostCalls('1', 'SEND_LOG', log)
  t.same(wire.problems, ['repeated-id SEND_LOG'])
  wire.hostCalls('2', 'SEND_LOG', log)
  t.throws(() => wire.hostCalls('3', 'SEND_LOG', log), { code: 'too-many-requests' })
  const forgetful = new Wire()
  for (let count = 0; count < 20_000; count++) forgetful.rpc.sendResponse(String(count), 'SEND_LOG', true)
  t.equal(forgetful.sent.length, 20_000, 'a host that never acknowledges is still served')
})

t.test('what is no RPC message is acknowledged and then refused', async t => {
  for (const data of [
    'nonsense',
    '[]',
    '{}',
    '{"id":"","kind":"CALL","methodName":"X"}',
    '{"id":"1","methodName":"X"}',
  ]) {
    const wire = new Wire()
    t.throws(() => wire.message(data), { code: 'invalid-frame' }, data)
    t.equal(wire.acks.length, 1)
  }
})
