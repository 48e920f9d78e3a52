/**
 * Row 24 of the fault matrix: the connection of a host breaks after its key was accepted and before its declaration has
 * arrived, as when a node is killed in that moment. The host comes back, and does so again after each later break: the
 * answer to the lost declaration must not leave it believing that it is disconnected.
 */
import { connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { eventuallyTrue } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { type SdkVersionName, sdkHost, sdkVersions } from '../support/sdk-host.js'
import { TestServer } from '../support/server.js'

t.setTimeout(120_000)
const versions: readonly SdkVersionName[] = process.env.TEST_LONG ? sdkVersions : ['1.4.0', '2.0.0']
const retryIntervalMs = 300
const afterRetryMs = 1_000
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

/** Carries connections to a node. When told to, it loses what the next client says once it has been let in. */
async function proxyTo(target: number) {
  const open = new Set<Socket>()
  /** `introduced`: connections on which a declaration was answered. */
  const state = { losesNext: false, isSlow: false, lost: 0, introduced: 0 }
  const server = createServer(client => {
    const node = connect(target, '127.0.0.1')
    const loses = state.losesNext
    state.losesNext = false
    open.add(client)
    const end = (): void => {
      open.delete(client)
      client.destroy()
      node.destroy()
    }
    let isIn = false
    let isIntroduced = false
    const pass = (data: Buffer): boolean => client.writable && client.write(data)
    node.on('data', data => {
      // An SDK looks after its retry interval whether it is connected: what comes later meets nobody who looks.
      if (state.isSlow && data.includes('RESPONSE')) setTimeout(pass, retryIntervalMs * 1.5, data)
      else pass(data)
      if (!isIntroduced && data.includes('dashboardUrl')) {
        isIntroduced = true
        state.introduced += 1
      }
      if (!loses || isIn || !data.includes('authenticated')) return
      isIn = true
      setTimeout(end, 100)
    })
    client.on('data', data => {
      if (isIn) state.lost += 1
      else node.write(data)
    })
    for (const socket of [client, node]) socket.on('error', end).on('close', end)
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    endpoint: `ws://127.0.0.1:${port}/websocket`,
    state,
    cut() {
      for (const client of open) client.resetAndDestroy()
    },
    close() {
      this.cut()
      server.close()
    },
  }
}

const node = await TestServer.start()
t.teardown(() => node.stop())
const { liveKey } = await node.seed()

for (const version of versions) {
  t.test(`row 24: a declaration of ${version} is lost with its connection`, async t => {
    const proxy = await proxyTo(node.port)
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
      const { introduced } = proxy.state
      proxy.state.losesNext = proxy.state.isSlow = time === 1
      proxy.cut()
      await eventuallyTrue(`it comes back after break ${time}`, () => proxy.state.introduced > introduced)
      // What the SDK had begun before that answer has ended.
      await pause(afterRetryMs)
      proxy.state.isSlow = false
    }
    t.ok(proxy.state.lost > 0, 'a declaration was lost, and it came back after each of four breaks')
  })
}
