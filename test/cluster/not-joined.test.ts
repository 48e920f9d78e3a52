/**
 * A node that cannot join its cluster refuses whoever comes, at once and with the reason, so that whatever stands in front
 * of it or comes again goes elsewhere. Once it has joined it holds hosts, also while it is cut off.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { get, type IncomingHttpHeaders } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Balancer } from '../support/balancer.js'
import { BrowserClient } from '../support/browser-client.js'
import { TestCluster } from '../support/cluster.js'
import { eventually, eventuallyTrue } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { sdkVersions } from '../support/sdk-host.js'
import type { TestServer } from '../support/server.js'
import { HostProcess } from './host-process.js'

/** Sooner than a host that is held is let go. */
const atOnceMs = 2_000

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly tookMs: number
}

/** What a handshake of a websocket is answered with. */
function upgrade(server: TestServer, headers: Record<string, string>): Promise<Answer> {
  const beganMs = performance.now()
  const asked = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const request = get(`${server.address}/websocket`, { headers: asked, agent: false })
    const answered = (status: number | undefined, given: IncomingHttpHeaders, body: string): void =>
      resolve({ status: status ?? 0, headers: given, body, tookMs: performance.now() - beganMs })
    request.once('error', reject)
    request.once('upgrade', (response, socket) => {
      socket.destroy()
      answered(response.statusCode, response.headers, '')
    })
    request.once('response', async response => {
      let body = ''
      for await (const piece of response) body += piece
      answered(response.statusCode, response.headers, body)
    })
  })
}

const hostOf = (key: string): Record<string, string> => ({
  'x-api-key': key,
  'x-instance-id': randomUUID(),
})

async function readiness(server: TestServer): Promise<{ status: number; reasons: string[] }> {
  const response = await fetch(`${server.address}/health/ready`)
  const { reasons } = (await response.json()) as { reasons: string[] }
  return { status: response.status, reasons }
}

/** Until the node gives these reasons, and no others, why it should be given no work. */
async function reports(server: TestServer, expected: readonly (string | RegExp)[]): Promise<void> {
  await eventually(async () => {
    const { reasons, status } = await readiness(server)
    const isExpected = reasons.every((reason, at) => new RegExp(expected[at] ?? '^$').test(reason))
    if (reasons.length !== expected.length || !isExpected || (status === 200) !== (expected.length === 0))
      throw new Error(`it says ${status}: ${reasons.join(', ')}`)
  }, 30_000)
}

/** Refused by `server`, whoever asks for whatever. */
async function refusesAll(t: Test, server: TestServer, key: string, cookie: string): Promise<void> {
  const callers = {
    host: hostOf(key),
    browser: { cookie, origin: server.address },
    stranger: {},
  }
  for (const [who, headers] of Object.entries(callers)) {
    const { status, headers: given, body, tookMs } = await upgrade(server, headers)
    t.equal(status, 503, `a ${who} is refused`)
    t.equal(given['retry-after'], '1')
    t.equal(given.connection, 'close')
    t.match(given['content-type'], /^application\/problem\+json/)
    t.match(JSON.parse(body), { status: 503, code: 'not-joined', message: /has not joined its cluster/ })
    t.ok(tookMs < atOnceMs, `${who}: at once, after ${Math.round(tookMs)} ms`)
  }
  const paths = ['/api/v1/session', '/api/v1/cluster', '/api/v1/openapi.json']
  for (const path of paths) {
    const response = await fetch(`${server.address}${path}`, { headers: { cookie } })
    t.equal(response.status, 503, path)
    t.equal(response.headers.get('retry-after'), '1')
    t.equal(response.headers.get('connection'), 'close', 'the next request may go to another node')
    t.match(await response.json(), { code: 'not-joined' })
  }
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const timer = await fetch(`${server.address}/timer`, { method: 'POST', headers, body: '{}' })
  t.equal(timer.status, 503)
  t.match(timer.headers.get('x-skyring-reason'), /has not joined its cluster/)
  const queued = await fetch(`${server.address}/api/actions/enqueue`, { method: 'POST', headers, body: '{}' })
  t.equal(queued.status, 503)
  t.match(await queued.json(), { type: 'error', message: /has not joined its cluster/ })
  t.equal((await fetch(`${server.address}/health/live`)).status, 200)
  t.match(await (await fetch(`${server.address}/metrics`)).text(), /^interval_ready 0$/m)
}

/** Gives a connection to the next node when one says 503, as nginx does with `proxy_next_upstream http_503`. */
class HttpBalancer {
  readonly port: number
  /** By which nodes connections were refused, in order. */
  readonly refused: number[] = []
  readonly #server = createServer(client => this.#take(client))
  readonly #ports: readonly number[]
  readonly #sockets = new Set<Socket>()

  private constructor(port: number, ports: readonly number[]) {
    this.port = port
    this.#ports = ports
  }

  static async start(t: Test, ports: readonly number[]): Promise<HttpBalancer> {
    const balancer = new HttpBalancer(await freePort(), ports)
    await new Promise<void>((resolve, reject) => {
      balancer.#server.once('error', reject)
      balancer.#server.listen(balancer.port, '127.0.0.1', resolve)
    })
    t.teardown(() => balancer.#stop())
    return balancer
  }

  #take(client: Socket): void {
    this.#keep(client)
    client.once('data', asked => this.#ask(client, asked, 0))
  }

  #ask(client: Socket, asked: Buffer, target: number): void {
    const port = this.#ports[target]
    if (port === undefined) {
      client.destroy()
      return
    }
    const node = connect(port, '127.0.0.1')
    this.#keep(node)
    node.write(asked)
    node.once('data', answer => {
      if (answer.toString('latin1').startsWith('HTTP/1.1 503')) {
        this.refused.push(target)
        node.destroy()
        this.#ask(client, asked, target + 1)
        return
      }
      client.write(answer)
      client.pipe(node).pipe(client)
    })
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(socket))
  }

  async #stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

t.test('nodes that are let in nowhere', async t => {
  const cluster = await TestCluster.start(2)
  t.teardown(() => cluster.stop())
  const { liveKey, organization, password, user } = await cluster.seed()
  const place = { organization: organization.slug, environment: 'production' }
  const cookie = await cluster.node(0).signIn(user.email, password)
  const other = randomBytes(32).toString('base64url')
  const stranger = cluster.node(await cluster.grow({ WSS_API_SECRET: other }))

  await t.test('another cluster secret', async t => {
    await refusesAll(t, stranger, liveKey, cookie)
    await reports(stranger, [
      /^not joined: reaches 0 of 2 other nodes \(the cluster secret is not the same\)$/,
    ])
    for (const index of [0, 1]) t.same(await readiness(cluster.node(index)), { status: 200, reasons: [] })
  })

  await t.test('another version of the protocol between nodes', async t => {
    const foreign = cluster.node(await cluster.grow({ INTERVAL_PROTOCOL: '9' }))
    await refusesAll(t, foreign, liveKey, cookie)
    await reports(foreign, [
      /^not joined: reaches 0 of 3 other nodes .*The versions of the two nodes are too far apart/,
    ])
    await foreign.stop()
  })

  await t.test(
    'a host that connects for the first time through a balancer that looks at answers',
    async t => {
      for (const version of sdkVersions) {
        const balancer = await HttpBalancer.start(t, [stranger.port, cluster.node(0).port])
        const endpoint = `ws://127.0.0.1:${balancer.port}/websocket`
        const host = await HostProcess.start({ version, endpoint, apiKey: liveKey, prefix: 'first' })
        t.teardown(() => host.kill())
        t.same(balancer.refused, [0], `${version}: refused once, and connected`)
      }
    },
  )

  await t.test('a host that comes again through a balancer of connections', async t => {
    const good = cluster.node(0)
    const browser = await BrowserClient.connect(good.address, cookie)
    t.teardown(() => browser.close())
    for (const [index, version] of sdkVersions.entries()) {
      const balancer = await Balancer.start([good.port, stranger.port], 0)
      t.teardown(() => balancer.stop())
      const prefix = `again${index}`
      const host = await HostProcess.start({ version, endpoint: balancer.endpoint, apiKey: liveKey, prefix })
      t.teardown(() => host.kill())
      // Each node in turn: of two reconnections in a row one at least is given to the stranger first.
      balancer.prefer(null)
      for (const run of ['one', 'two']) {
        balancer.cut()
        const start = { ...place, transactionId: randomUUID(), slug: `${prefix}_steps`, params: { run } }
        await eventually(() => browser.ask('transaction.start', start))
        await eventuallyTrue('the action has begun', () => host.count(run, 'started') === 1)
        await eventually(() => {
          const targets = balancer.targets()
          if (targets.length !== 1 || targets[0] !== 0)
            throw new Error(`${version}, run ${run}: what is held elsewhere is not let go: ${targets}`)
        })
      }
      t.ok(balancer.accepted > 3, `${version}: it was at both`)
    }
  })
})

t.test('cut off from the start, joined, and cut off again', async t => {
  const cluster = await TestCluster.start(3, [], {}, true)
  t.teardown(() => cluster.stop())
  const { liveKey, password, user } = await cluster.seed()
  const cookie = await cluster.node(0).signIn(user.email, password)
  const server = cluster.node(2)
  await server.kill()
  cluster.network.split([2], [0, 1])
  await cluster.covered()
  await server.run()
  await refusesAll(t, server, liveKey, cookie)
  await reports(server, [/^not joined: reaches 0 of 2 other nodes \(no answer\)$/])

  cluster.network.heal()
  await reports(server, [])
  t.equal((await upgrade(server, hostOf(liveKey))).status, 101, 'a host is let in')
  t.equal((await fetch(`${server.address}/api/v1/session`, { headers: { cookie } })).status, 200)

  await cluster.settled(3)
  cluster.network.split([2], [0, 1])
  await reports(server, ['isolated'])
  t.equal((await upgrade(server, hostOf(liveKey))).status, 101, 'a host is held, and not refused')
  t.equal(
    (await upgrade(server, { cookie, origin: server.address })).status,
    101,
    'a browser is told by message',
  )
  t.equal((await fetch(`${server.address}/api/v1/session`, { headers: { cookie } })).status, 200)
})
