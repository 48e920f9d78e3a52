/** A host that comes back to the node that it was connected to: each of its promises is settled there. */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { WebSocket } from 'ws'
import type { HostIdentity } from '../../../lib/accounts/index.js'
import { AppError } from '../../../lib/errors.js'
import { Hosts, type HostsOptions } from '../../../lib/hosts/index.js'
import type { InstanceId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'

const instanceId = 'instance-0001' as InstanceId
const identity = {
  kind: 'PRODUCTION',
  apiKeyId: 'key-1',
  organization: { id: 'organization-1', name: 'Org', slug: 'org' },
  environment: { id: 'environment-1', slug: null },
} as unknown as HostIdentity

const turn = (): Promise<void> => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

/** One socket of a host that confirms whatever it is sent, and remembers the answers. */
class Socket extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  isPaused = false
  readonly writableLength = 0
  readonly #answers: Map<string, unknown>

  constructor(answers: Map<string, unknown>) {
    super()
    this.#answers = answers
  }

  /** What is written is below 64 KiB a frame. */
  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const short = bytes.readUInt8(at + 1)
      const start = at + (short < 126 ? 2 : 4)
      const end = start + (short < 126 ? short : bytes.readUInt16BE(at + 2))
      this.#hear(JSON.parse(bytes.toString('utf8', start, end)))
      at = end
    }
  }

  #hear({ type, id, data }: { type: string; id: string; data: string }): void {
    if (type !== 'MESSAGE') return
    setImmediate(() => this.emit('message', Buffer.from(JSON.stringify({ type: 'ACK', id })), false))
    if (!data.startsWith('{')) return
    const { id: rpcId, kind, data: answer } = JSON.parse(data)
    if (kind === 'RESPONSE') this.#answers.set(rpcId, answer)
  }

  call(rpcId: string, methodName: string, data: object): void {
    const text = JSON.stringify({ id: rpcId, kind: 'CALL', methodName, data })
    this.emit(
      'message',
      Buffer.from(JSON.stringify({ type: 'MESSAGE', id: `m-${rpcId}`, data: text })),
      false,
    )
  }

  end(): void {
    this.readyState = 3
    this.emit('close')
  }

  ping(): void {}
  close(): void {}
  terminate(): void {}
  pause(): void {}
  resume(): void {}
}

t.test('a call that is given up when the host is back is answered like one that never arrived', async t => {
  const clock = new VirtualClock()
  const answers = new Map<string, unknown>()
  let previousFirstRpcId: number | null = null
  const runtime = {
    onEffect: () => undefined,
    onSignal: () => undefined,
    onAsk: () => undefined,
    onMissed: () => undefined,
    redispatch: () => undefined,
    askOthers: async () => undefined,
    locations: {
      onChange: () => undefined,
      onTaken: () => undefined,
      announce: () => undefined,
      withdraw: () => undefined,
      isPresent: () => true,
    },
    async send(key: string, message: { type: string; firstRpcId?: number }) {
      if (key.startsWith('transaction:')) throw new AppError('unavailable')
      if (message.type !== 'attach') return {}
      const attached = { applied: true, requestId: null, previousFirstRpcId, unsettledByTrue: [] }
      previousFirstRpcId = message.firstRpcId ?? null
      return attached
    },
  }
  const hosts = new Hosts({
    runtime,
    clock,
    log: silentLog,
    dashboardUrl: () => 'http://localhost',
    declared: () => undefined,
    unknownTeams: async () => [],
  } as unknown as HostsOptions)
  const connect = async (rpcId: string) => {
    const socket = new Socket(answers)
    hosts.accept(socket as unknown as WebSocket, socket as unknown as Duplex, instanceId, identity)
    await turn()
    const declaration = {
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      actions: [],
      groups: [],
      timestamp: 1,
    }
    socket.call(rpcId, 'INITIALIZE_HOST', declaration)
    for (let left = 5; left > 0; left -= 1) await turn()
    t.match(answers.get(rpcId), { type: 'success' }, 'it is declared')
    return socket
  }
  const first = await connect('1')
  first.call('2', 'SEND_LOG', { transactionId: 'transaction-1', data: 'a line', index: 0, timestamp: 0 })
  await turn()
  first.end()
  await turn()
  const second = await connect('3')
  for (let ms = 0; ms < limits.hostGraceMs + 60_000; ms += 1_000) {
    clock.advance(1_000)
    second.emit('pong')
    await new Promise(resolve => setImmediate(resolve))
  }
  t.equal(answers.get('2'), true)
})
