/**
 * Rows 14 and 24 of the fault matrix: Postgres goes away and comes back under load; hosts share the runs of one action,
 * connect twice to different nodes, and die.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { WebSocket } from 'ws'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { SteadyBrowser } from '../support/steady-browser.js'
import { RingRig } from './ring-rig.js'

t.setTimeout(300_000)
const rig = await RingRig.start(3, { versions: ['2.0.0'] })
t.teardown(() => rig.stop())
const { cluster, cookie, seeded } = rig
const interruptions = process.env.TEST_LONG === undefined ? 2 : 20
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

t.test('two hosts of one environment on different nodes share the runs', async t => {
  const [first] = rig.hosts
  if (!first) throw new Error('there is no host')
  const second = await rig.addHost('2.0.0', (rig.nodeOf(first) + 1) % 3, first.prefix)
  const count = 24
  const runs = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      rig.run({ host: first, mode: 'prompt', edge: index % 3, thinkMs: 50 }),
    ),
  )
  const startedBy = (host: typeof first) => runs.filter(run => host.process.count(run.id, 'started') > 0)
  await eventuallyTrue(
    'all runs have started',
    () => startedBy(first).length + startedBy(second).length === count,
    30_000,
  )
  const shares = [startedBy(first).length, startedBy(second).length]
  t.ok(Math.min(...shares) >= count / 4, `of ${count} runs they took ${shares.join(' and ')}`)
  for (const run of startedBy(second)) run.hostIs(second.process)
  await rig.allGoOn()
})

t.test(`row 14: Postgres ended and started again ${interruptions} times`, async t => {
  const { interruption } = cluster.postgres
  if (!interruption) {
    t.comment(`Postgres is ${cluster.postgres.kind}: it cannot be ended`)
    return
  }
  for (let time = 0; time < interruptions; time++) {
    await interruption.end()
    await rig.allGoOn()
    const answer = await fetch(`${cluster.node(time % 3).address}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: cluster.node(time % 3).address },
      body: JSON.stringify({ email: seeded.user.email, password: seeded.password }),
      signal: AbortSignal.timeout(20_000),
    })
    t.ok(answer.status === 503 || answer.status === 504, `a sign-in is answered with ${answer.status}`)
    await pause(1_500)
    await interruption.start()
    await rig.allGoOn()
    await eventually(() => cluster.node(time % 3).signIn(seeded.user.email, seeded.password), 20_000)
  }
  t.pass(`all ${rig.runs.length} runs went on while it was away, and afterwards`)
})

t.test('row 24: an instance that connects to another node fences its older socket', async t => {
  const instanceId = randomUUID()
  const older = await TwinSocket.connect(cluster.node(0).endpoint, seeded.liveKey, instanceId)
  const browser = await SteadyBrowser.connect(cluster.node(2).address, cookie)
  t.teardown(() => {
    browser.stop()
    older.close()
  })
  const transactionId = randomUUID()
  await eventually(
    () =>
      browser.ask('transaction.start', {
        organization: seeded.organization.slug,
        environment: 'production',
        transactionId,
        slug: 'twin',
      }),
    20_000,
  )
  await eventuallyTrue('the older socket is told to start', () => older.heard('START_TRANSACTION') === 1)
  await older.ask(transactionId)
  const newer = await TwinSocket.connect(cluster.node(1).endpoint, seeded.liveKey, instanceId)
  t.teardown(() => newer.close())
  const step = await eventually(async () => {
    const { steps } = await browser.ask('transaction.attach', { transactionId })
    const [shown] = steps
    if (!shown) throw new Error('no step')
    return shown
  })
  await pause(500)
  await browser.ask('transaction.answer', {
    transactionId,
    requestId: randomUUID(),
    inputGroupKey: step.call.inputGroupKey,
    renderId: step.call.id,
    kind: 'RETURN',
    values: ['to the newer'],
  })
  await eventuallyTrue('the newer socket gets the answer', () => newer.heard('IO_RESPONSE') === 1)
  await pause(500)
  t.equal(older.heard('IO_RESPONSE'), 0, 'the older socket gets nothing')
  t.equal(newer.heard('IO_RESPONSE'), 1, 'the newer one gets it once')
  t.equal(newer.heard('START_TRANSACTION'), 0, 'and is not told to start again')
})

t.test('row 24: a host that dies is shown as gone, and its runs wait for it', async t => {
  const dying = await rig.addHost('2.0.0', 1, 'dying')
  const run = await rig.run({ host: dying, mode: 'prompt', edge: 2, owner: 0 })
  await run.pause()
  dying.process.kill()
  await eventually(async () => {
    const { hostConnected } = await run.attach()
    if (hostConnected) throw new Error('the host still counts as connected')
  }, 20_000)
  const { status, steps } = await run.attach()
  t.same([status, steps.length], ['awaiting-input', 1], 'the question stays')
  rig.forget(run)
})

t.test('every acknowledged answer arrived once, in order', async t => {
  t.same(await rig.finish(), [])
  t.comment(
    `${rig.answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`,
  )
})

/** A host socket without an SDK, with an instance id of the test's choice. */
class TwinSocket {
  readonly #socket: WebSocket
  readonly #calls: string[] = []
  /** SDKs count their calls over all their sockets. */
  static #rpcId = 0
  readonly #replies = new Map<string, () => void>()

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static async connect(endpoint: string, key: string, instanceId: string): Promise<TwinSocket> {
    const socket = new WebSocket(endpoint, { headers: { 'x-api-key': key, 'x-instance-id': instanceId } })
    const twin = new TwinSocket(socket)
    socket.on('error', () => undefined)
    await new Promise<void>(resolve => {
      socket.on('message', data => twin.#received(String(data), resolve))
    })
    await twin.#call('INITIALIZE_HOST', {
      sdkName: '@interval/sdk',
      sdkVersion: '2.0.0',
      timestamp: Date.now(),
      actions: [{ slug: 'twin', backgroundable: true }],
      groups: [],
    })
    return twin
  }

  /** Calls of this method that came on this socket. */
  heard(method: string): number {
    return this.#calls.filter(name => name === method).length
  }

  async ask(transactionId: string): Promise<void> {
    const ioCall = JSON.stringify({
      id: randomUUID(),
      inputGroupKey: randomUUID(),
      kind: 'RENDER',
      toRender: [
        {
          methodName: 'INPUT_TEXT',
          label: 'Twin',
          props: {},
          isStateful: false,
          isOptional: false,
          isMultiple: false,
        },
      ],
    })
    await this.#call('SEND_IO_CALL', { transactionId, ioCall })
  }

  close(): void {
    this.#socket.terminate()
  }

  #call(methodName: string, data: unknown): Promise<void> {
    const id = String(++TwinSocket.#rpcId)
    const replied = new Promise<void>(resolve => this.#replies.set(id, resolve))
    this.#send(JSON.stringify({ id, kind: 'CALL', methodName, data }))
    return replied
  }

  #send(data: string): void {
    this.#socket.send(JSON.stringify({ id: randomUUID(), data, type: 'MESSAGE' }))
  }

  #received(text: string, authenticated: () => void): void {
    const frame = JSON.parse(text) as { type: string; id: string; data: string }
    if (frame.type !== 'MESSAGE') return
    this.#socket.send(JSON.stringify({ type: 'ACK', id: frame.id }))
    if (frame.data === 'authenticated') {
      authenticated()
      return
    }
    const message = JSON.parse(frame.data) as { id: string; kind: string; methodName: string }
    if (message.kind === 'RESPONSE') {
      this.#replies.get(message.id)?.()
      return
    }
    this.#calls.push(message.methodName)
    this.#send(JSON.stringify({ id: message.id, kind: 'RESPONSE', methodName: message.methodName }))
  }
}
