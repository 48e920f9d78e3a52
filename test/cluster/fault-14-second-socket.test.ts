/**
 * Row 14 of the fault matrix: a host opens a second socket because its first was slow to let it in, and both let it in,
 * at different nodes. Whatever it was told, and whichever of them breaks later: it comes back after each break.
 */
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { TestCluster } from '../support/cluster.js'
import { eventuallyTrue } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { type SdkVersionName, sdkHost, sdkVersions } from '../support/sdk-host.js'

t.setTimeout(600_000)
/** One scene shows what the others vary. */
const isLong = process.env.TEST_LONG !== undefined
const versions: readonly SdkVersionName[] = isLong ? sdkVersions : ['2.0.0']
const retryIntervalMs = 300

/** How late what passes on one connection is, in ms. */
interface Late {
  readonly toNodeMs: number
  readonly toHostMs: number
}

const onTime: Late = { toNodeMs: 0, toHostMs: 0 }

/** What the connections after a break meet, in order; those after them are on time. */
const scenes: Readonly<Record<string, readonly Late[]>> = {
  'the first is let in long after the second was opened': [{ toNodeMs: 0, toHostMs: 700 }, onTime],
  'the first is let in just after the second was opened': [{ toNodeMs: 0, toHostMs: 160 }, onTime],
  'the second arrives when the first is introduced': [
    { toNodeMs: 0, toHostMs: 160 },
    { toNodeMs: 900, toHostMs: 0 },
  ],
  'both are slow': [
    { toNodeMs: 250, toHostMs: 250 },
    { toNodeMs: 100, toHostMs: 250 },
  ],
}

/**
 * Carries connections to the nodes in turn, each as late as the scene says. Nothing is cut while 2.0.0 is being introduced:
 * that it cannot survive.
 */
async function proxyTo(targets: readonly number[]) {
  const open = new Set<Socket>()
  const state = { next: [] as Late[], turn: 0, introduced: 0 }
  const server = createServer(client => {
    const node = connect(targets[state.turn++ % targets.length] ?? 0, '127.0.0.1')
    const { toHostMs, toNodeMs } = state.next.shift() ?? onTime
    open.add(client)
    const end = (): void => {
      open.delete(client)
      client.destroy()
      node.destroy()
    }
    const pass = (to: Socket, data: Buffer, lateMs: number): void => {
      if (lateMs === 0) to.write(data)
      else setTimeout(() => to.writable && to.write(data), lateMs)
    }
    node.on('data', data => {
      if (data.includes('dashboardUrl')) state.introduced += 1
      pass(client, data, toHostMs)
    })
    client.on('data', data => pass(node, data, toNodeMs))
    for (const socket of [client, node]) socket.on('error', end).on('close', end)
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    endpoint: `ws://127.0.0.1:${port}/websocket`,
    state,
    get count() {
      return open.size
    },
    /** Breaks one connection: the oldest, or the newest. */
    cut(which: 'oldest' | 'newest') {
      const sockets = [...open]
      sockets.at(which === 'oldest' ? 0 : -1)?.resetAndDestroy()
    },
    close() {
      for (const client of open) client.resetAndDestroy()
      server.close()
    },
  }
}

const cluster = await TestCluster.start(2)
t.teardown(async () => {
  await cluster.stop()
  // SDKs look for their sockets for ever.
  setTimeout(() => process.exit(), 500).unref()
})
const { liveKey } = await cluster.seed()

for (const version of versions) {
  for (const [scene, late] of Object.entries(scenes).slice(0, isLong ? undefined : 1)) {
    for (const first of ['oldest', 'newest'] as const) {
      t.test(`row 14: ${version}, ${scene}; the ${first} breaks first`, async t => {
        const proxy = await proxyTo(cluster.ports)
        let runs = 0
        const host = sdkHost(version, {
          endpoint: proxy.endpoint,
          apiKey: liveKey,
          retryIntervalMs,
          actions: { second_socket: async () => (runs += 1) },
        })
        t.teardown(() => {
          host.close()
          proxy.close()
        })
        await host.listen()
        proxy.state.next = [...late]
        let { introduced } = proxy.state
        proxy.cut('oldest')
        await eventuallyTrue('it comes back', () => proxy.state.introduced > introduced)
        if (version === '2.0.0')
          await eventuallyTrue('it has one connection', () => proxy.count === 1, 10_000)
        await settled(proxy)
        for (let left = 4; left > 0; left -= 1) {
          introduced = proxy.state.introduced
          proxy.cut(left % 2 === 0 ? first : 'oldest')
          if (proxy.count > 0) await settled(proxy)
          else {
            await eventuallyTrue('it comes back', () => proxy.state.introduced > introduced, 20_000)
            await settled(proxy)
          }
        }
        t.ok(host.isConnected, 'after each break')
      })
    }
  }
}

/** Until nothing changes any more: no connection comes or goes for longer than an SDK waits between two. */
async function settled(proxy: { readonly count: number; readonly state: { turn: number } }): Promise<void> {
  const seen = () => `${proxy.count} ${proxy.state.turn}`
  for (let before = ''; before !== seen(); ) {
    before = seen()
    await new Promise(resolve => setTimeout(resolve, retryIntervalMs * 3))
  }
}
