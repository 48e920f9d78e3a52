import { createRequire } from 'node:module'
import t from 'tap'
import {
  type Answer,
  HostMailbox,
  HostRpc,
  type IncomingCall,
  ioResponseText,
  parseIoCall,
  SdkVersion,
  validateAnswer,
} from '../../../lib/sdk/index.js'

/** The classes of a published SDK that speak the wire, as far as they are used here. */
interface Sdk {
  ISocket: new (ws: FakeWs, config?: { sendTimeout?: number }) => { connect(): Promise<void> }
  DuplexRPCClient: new (
    options: object,
  ) => {
    send(method: string, inputs: unknown): Promise<unknown>
    setCommunicator(communicator: object): void
  }
  IOClient: new (
    config: object,
  ) => {
    io: Record<string, Record<string, (label: string, props?: object) => unknown>> & {
      group(list: unknown[]): Promise<unknown>
      confirm(label: string): Promise<unknown>
    }
    onResponse(response: unknown): void
  }
  schema: { wsServerSchema: Record<string, unknown>; hostSchema: Record<string, unknown> }
  version: SdkVersion
}

const load = createRequire(import.meta.url)
const packages = ['sdk-0-21', 'sdk-0-38', 'sdk-1-4', '@interval/sdk']

function sdk(name: string): Sdk {
  return {
    ISocket: load(`${name}/dist/classes/ISocket.js`).default,
    DuplexRPCClient: load(`${name}/dist/classes/DuplexRPCClient.js`).DuplexRPCClient,
    IOClient: load(`${name}/dist/classes/IOClient.js`).IOClient,
    schema: load(`${name}/dist/internalRpcSchema.js`),
    version: new SdkVersion('@interval/sdk', load(`${name}/package.json`).version),
  }
}

/** A websocket in memory: what one side sends, the other gets in a later microtask, in order. */
class FakeWs {
  readonly OPEN = 1
  readyState = 1
  onopen: (() => void) | undefined
  onclose: ((event: object) => void) | undefined
  onerror: (() => void) | undefined
  onmessage: ((event: { data: string }) => void) | undefined
  deliver: (text: string) => void = () => {}

  send(text: string): void {
    if (this.readyState === this.OPEN) queueMicrotask(() => this.deliver(text))
  }

  receive(text: string): void {
    queueMicrotask(() => {
      if (this.readyState === this.OPEN) this.onmessage?.({ data: text })
    })
  }

  close(): void {
    this.readyState = 3
    this.onclose?.({ code: 1006 })
  }
}

interface Server {
  handle(call: IncomingCall): Promise<unknown>
}

/** One connection of a host: the SDK's socket on one side, our RPC on the other. */
async function connect(host: Sdk, mailbox: HostMailbox, server: Server) {
  const ws = new FakeWs()
  let isFirst = true
  const rpc: HostRpc = new HostRpc({
    sendText: text => ws.receive(text),
    after: () => () => {},
    onResponseAcked: rpcId => mailbox.confirmed(rpcId),
    onCall: async call => {
      if (isFirst) {
        isFirst = false
        const { responses, lostIds } = mailbox.connected(call.rpcId)
        for (const { rpcId, method, data } of responses) rpc.sendResponse(rpcId, method, data)
        for (const rpcId of lostIds) rpc.sendResponse(rpcId, 'SEND_LOG', true)
      }
      mailbox.received(call.rpcId, call.method)
      const data = await server.handle(call)
      mailbox.computed(call.rpcId, data)
      return data
    },
  })
  ws.deliver = text => rpc.onText(text)
  const socket = new host.ISocket(ws)
  const connected = socket.connect()
  await Promise.all([rpc.sendAuthenticated(), connected])
  const drop = () => {
    ws.close()
    rpc.close()
  }
  return { ws, rpc, socket, drop }
}

const settle = () => new Promise(resolve => setImmediate(resolve))
const user = { email: 'a@b.c', firstName: null, lastName: null, role: 'admin' as const, teams: [] }

for (const name of packages) {
  t.test(`${name}: handshake, calls both ways, drop and redelivery`, async t => {
    const host = sdk(name)
    const mailbox = new HostMailbox()
    const served: string[] = []
    let holds = false
    const held: (() => void)[] = []
    const server: Server = {
      handle: async call => {
        served.push(call.method)
        if (holds && call.method === 'SEND_LOG') await new Promise<void>(resolve => held.push(resolve))
        if (call.method !== 'INITIALIZE_HOST') return true
        return {
          type: 'success',
          environment: host.version.environmentFor('production'),
          invalidSlugs: call.data.invalidSlugs,
          organization: { name: 'Org', slug: 'org' },
          dashboardUrl: 'http://localhost/',
          warnings: [],
        }
      },
    }
    const first = await connect(host, mailbox, server)
    const started: unknown[] = []
    const handlers = Object.fromEntries(
      Object.keys(host.schema.hostSchema).map(method => [
        method,
        async (data: unknown) => void started.push(data),
      ]),
    )
    const client = new host.DuplexRPCClient({
      communicator: first.socket,
      canCall: host.schema.wsServerSchema,
      canRespondTo: host.schema.hostSchema,
      handlers,
    })
    const initialize = {
      actions: [{ slug: 'a' }, { slug: 'no good' }],
      sdkName: '@interval/sdk',
      sdkVersion: '1',
    }
    t.match(await client.send('INITIALIZE_HOST', initialize), { type: 'success', invalidSlugs: ['no good'] })
    t.equal(await client.send('SEND_LOG', { transactionId: 't', data: 'x', index: 0 }), true)

    const start = first.rpc.call('START_TRANSACTION', {
      transactionId: 't',
      displayResolvesImmediately: true,
      actionName: 'a',
      action: { slug: 'a', url: 'http://localhost/a' },
      environment: host.version.environmentFor('production'),
      user,
      params: {},
    })
    await start.acked
    await start.result
    t.match(started, [{ transactionId: 't', actionName: 'a' }], 'the SDK accepted the start')
    if (host.version.supports('CLOSE_TRANSACTION')) {
      await first.rpc.call('CLOSE_TRANSACTION', { transactionId: 't' }).result
      t.equal(started.length, 2)
    }

    holds = true
    const log = { transactionId: 't', data: 'y', index: 1 }
    const computing = client.send('SEND_LOG', log)
    await settle()
    const lost = swallowed(client.send('SEND_LOG', { ...log, index: 2 }), first)
    await settle()
    first.drop()
    const second = await connect(host, mailbox, server)
    client.setCommunicator(second.socket)
    t.match(await client.send('INITIALIZE_HOST', initialize), { type: 'success' })
    t.equal(await lost, true, 'a call that never arrived is settled')
    for (const release of held) release()
    await settle()
    t.equal(mailbox.unsettledCount, 1, 'the answer to the held call came too late for its connection')
    second.drop()
    const third = await connect(host, mailbox, server)
    client.setCommunicator(third.socket)
    await client.send('INITIALIZE_HOST', initialize)
    t.equal(await computing, true, 'the kept answer arrived on a later connection')
    await settle()
    t.equal(mailbox.unsettledCount, 0, 'and was confirmed')
  })

  /** Loses what is sent in this moment on the way to us. */
  function swallowed<Value>(sent: Value, { ws }: { ws: FakeWs }): Value {
    ws.deliver = () => {}
    return sent
  }

  t.test(`${name}: IO calls of the real client are parsed, answers settle its promises`, async t => {
    const { IOClient } = sdk(name)
    const sent: string[] = []
    const logger = { debug() {}, warn() {}, error() {}, info() {} }
    const client = new IOClient({
      logger,
      send: async (call: object) => void sent.push(JSON.stringify(call)),
    })
    const { io } = client
    const reply = (values: unknown[], more: Partial<Answer> = {}) => {
      const call = parseIoCall(sent.at(-1) ?? '')
      const checked = validateAnswer(call, { kind: 'RETURN', values, ...more }, 't')
      if (!checked.ok) throw new Error(JSON.stringify(checked.fields))
      client.onResponse(JSON.parse(checked.value))
    }
    const cases: [string, () => unknown, unknown, unknown][] = [
      ['text', () => io.input?.text?.('Name'), '12:34:56', '12:34:56'],
      ['number', () => io.input?.number?.('Age', { min: 1 }), 5, 5],
      ['boolean', () => io.input?.boolean?.('Ok'), null, false],
      ['confirm', () => io.confirm('Sure?'), true, true],
      ['single', () => io.select?.single?.('One', { options: ['a', 'b'] }), 'b', 'b'],
      ['table', () => io.select?.table?.('Rows', { data: [{ n: 1 }, { n: 2 }] }), [{ key: '1' }], [{ n: 2 }]],
      ['skipped', () => optional(io.input?.text?.('Maybe')), null, undefined],
    ]
    for (const [what, prompt, value, expected] of cases) {
      const pending = Promise.resolve(prompt())
      await settle()
      reply([value])
      t.strictSame(await pending, expected, what)
    }
    const group = Promise.resolve(io.group([io.input?.text?.('A'), io.input?.text?.('B')]))
    await settle()
    reply(['a', 'b'])
    t.same(await group, ['a', 'b'])
    const cancelled = Promise.resolve(io.input?.text?.('Never'))
    await settle()
    const { id, inputGroupKey } = parseIoCall(sent.at(-1) ?? '')
    const text = ioResponseText({ id, inputGroupKey, transactionId: 't', kind: 'CANCELED', values: [] })
    client.onResponse(JSON.parse(text))
    t.match(await cancelled.catch((error: unknown) => error), { kind: 'CANCELED' })
  })
}

function optional(promise: unknown): unknown {
  return typeof promise === 'object' &&
    promise !== null &&
    'optional' in promise &&
    typeof promise.optional === 'function'
    ? promise.optional()
    : promise
}
