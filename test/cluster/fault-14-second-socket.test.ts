/**
 * Row 14 of the fault matrix: a host opens a second socket because its first was slow to let it in, and both let it in,
 * at different nodes. Whatever it was told, and whichever of them breaks later: it comes back after each break.
 */
import type { Socket } from 'node:net'
import t from 'tap'
import { TestCluster } from '../support/cluster.js'
import { eventuallyTrue } from '../support/eventually.js'
import { type SdkVersionName, sdkHost, sdkVersions } from '../support/sdk-host.js'
import { HostProxy } from './host-proxy.js'

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
  const state = { next: [] as Late[], turn: 0 }
  const pass = (to: Socket, data: Buffer, lateMs: number): void => {
    if (lateMs === 0) to.write(data)
    else setTimeout(() => to.writable && to.write(data), lateMs)
  }
  const proxy = await HostProxy.start(
    () => targets[state.turn++ % targets.length] ?? 0,
    ({ host, node }) => {
      const { toHostMs, toNodeMs } = state.next.shift() ?? onTime
      return {
        fromNode: data => pass(host, data, toHostMs),
        fromHost: data => pass(node, data, toNodeMs),
      }
    },
  )
  return { proxy, state }
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
        const { proxy, state } = await proxyTo(cluster.ports)
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
        state.next = [...late]
        let { introduced } = proxy
        proxy.cut('oldest')
        await eventuallyTrue('it comes back', () => proxy.introduced > introduced)
        if (version === '2.0.0')
          await eventuallyTrue('it has one connection', () => proxy.count === 1, 10_000)
        await settled(proxy, state)
        for (let left = 4; left > 0; left -= 1) {
          introduced = proxy.introduced
          proxy.cut(left % 2 === 0 ? first : 'oldest')
          if (proxy.count > 0) await settled(proxy, state)
          else {
            await eventuallyTrue('it comes back', () => proxy.introduced > introduced, 20_000)
            await settled(proxy, state)
          }
        }
        t.ok(host.isConnected, 'after each break')
      })
    }
  }
}

/** Until nothing changes any more: no connection comes or goes for longer than an SDK waits between two. */
async function settled(proxy: HostProxy, state: { readonly turn: number }): Promise<void> {
  const seen = () => `${proxy.count} ${state.turn}`
  for (let before = ''; before !== seen(); ) {
    before = seen()
    await new Promise(resolve => setTimeout(resolve, retryIntervalMs * 3))
  }
}
