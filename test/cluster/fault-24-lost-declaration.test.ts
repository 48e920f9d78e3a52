/**
 * Row 24 of the fault matrix: the connection of a host breaks after its key was accepted and before its declaration has
 * arrived, as when a node is killed in that moment. The host comes back, and does so again after each later break: the
 * answer to the lost declaration must not leave it believing that it is disconnected.
 */
import t from 'tap'
import { eventuallyTrue } from '../support/eventually.js'
import { type SdkVersionName, sdkHost, sdkVersions } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'
import { HostProxy } from './host-proxy.js'

t.setTimeout(120_000)
const versions: readonly SdkVersionName[] = process.env.TEST_LONG ? sdkVersions : ['1.4.0', '2.0.0']
const retryIntervalMs = 300
const afterRetryMs = 1_000
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

/** When told to, it loses what the next host says once it has been let in. */
async function proxyTo(target: number) {
  const state = { losesNext: false, isSlow: false, lost: 0 }
  const proxy = await HostProxy.start(
    () => target,
    ({ host, node, end }) => {
      const loses = state.losesNext
      state.losesNext = false
      let isIn = false
      let isEnding = false
      const pass = (data: Buffer): boolean => host.writable && host.write(data)
      return {
        fromNode(data) {
          // An SDK looks after its retry interval whether it is connected: what comes later meets nobody who looks.
          if (state.isSlow && data.includes('RESPONSE')) setTimeout(pass, retryIntervalMs * 1.5, data)
          else pass(data)
          if (!loses || isIn || !data.includes('authenticated')) return
          isIn = true
        },
        fromHost(data) {
          if (!isIn) {
            node.write(data)
            return
          }
          state.lost += 1
          if (!isEnding) setTimeout(end, 100)
          isEnding = true
        },
      }
    },
  )
  return { proxy, state }
}

const node = await TestServer.start()
t.teardown(() => node.stop())
const { liveKey } = await node.seed()

for (const version of versions) {
  t.test(`row 24: a declaration of ${version} is lost with its connection`, async t => {
    const { proxy, state } = await proxyTo(node.port)
    const host = sdkHost(version, {
      endpoint: proxy.endpoint,
      apiKey: liveKey,
      retryIntervalMs,
      actions: { lost_declaration: async () => 'done' },
    })
    t.teardown(() => {
      host.close()
      proxy.close()
    })
    await host.listen()
    for (let time = 1; time <= 4; time++) {
      const { introduced } = proxy
      state.losesNext = state.isSlow = time === 1
      proxy.cut()
      await eventuallyTrue(`it comes back after break ${time}`, () => proxy.introduced > introduced)
      // What the SDK had begun before that answer has ended.
      await pause(afterRetryMs)
      state.isSlow = false
    }
    t.ok(state.lost > 0, 'a declaration was lost, and it came back after each of four breaks')
  })
}
