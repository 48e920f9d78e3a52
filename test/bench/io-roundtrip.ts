/**
 * Round trips of an IO call through a node, every step durable. The reference passes the same number of frames through
 * a bare relay.
 */
import { WebSocket } from 'ws'
import { TestCluster } from '../support/cluster.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { print, startPart } from './figures.js'
import { Load, roundTrips, type Side, takeTurns, transactionCount } from './round-trips.js'

async function reference(): Promise<Side> {
  const port = await freePort()
  const { child } = await startPart('relay.js', [String(port)])
  const load = new Load()
  const call = `C${JSON.stringify({ data: 'x'.repeat(900) })}`
  const answer = `A${JSON.stringify({ data: 'x'.repeat(400) })}`
  const open = (name: string): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/${name}`, { perMessageDeflate: false })
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
    })
  }
  const sockets = await Promise.all(
    Array.from({ length: transactionCount }, async (_, index) => {
      const browser = await open(`b${index}`)
      const host = await open(`h${index}`)
      let askedAtMs = 0
      let count = 0
      const ask = (): void => {
        askedAtMs = performance.now()
        count += 1
        host.send(call)
      }
      browser.on('message', data => {
        const text = String(data)
        if (text[0] !== 'C') return
        JSON.parse(text.slice(1))
        browser.send(answer)
      })
      host.on('message', data => {
        const text = String(data)
        if (text[0] === 'R') host.send('K')
        if (text[0] !== 'A') return
        JSON.parse(text.slice(1))
        host.send('K')
        host.send('R')
        load.next(count, performance.now() - askedAtMs, ask)
      })
      load.first(ask)
      return [browser, host]
    }),
  )
  return {
    load,
    pids: [child.pid ?? 0],
    async stop() {
      for (const socket of sockets.flat()) socket.terminate()
      child.kill()
    },
  }
}

async function ours(): Promise<Side> {
  const server = await TestServer.start()
  return await roundTrips(server, server, await server.seed(), {
    pids: [server.pid],
    stop: () => server.stop(),
  })
}

export async function ioRoundtrip(): Promise<void> {
  const relay = await reference()
  const node = await ours()
  await takeTurns(relay, node)
  const figure = (name: string, unit: string, read: (load: Load) => number, target: string) =>
    print({ name, value: read(node.load), unit, reference: read(relay.load), target })
  figure('io-roundtrip', 'round trips/s', load => load.perSecond, 'ratio >= 0.3')
  figure('io-roundtrip-p99', 'ms', load => load.p99Ms, 'value <= 25')
  figure('io-roundtrip-cpu', 'us each', load => load.processorUs, 'none')
}

/**
 * The same through three nodes, every commit on two of them: hosts on one, browsers on another, sessions led by all
 * three. The reference is a node alone.
 */
export async function forwardedRoundtrip(): Promise<void> {
  const alone = await ours()
  const cluster = await TestCluster.start(3)
  const nodes = cluster.servers
  const forwarded = await roundTrips(cluster.node(0), cluster.node(1), await cluster.seed(), {
    pids: nodes.map(server => server.pid),
    stop: () => cluster.stop(),
  })
  await takeTurns(alone, forwarded)
  const figure = (name: string, unit: string, read: (load: Load) => number, target: string) =>
    print({ name, value: read(forwarded.load), unit, reference: read(alone.load), target })
  figure('forwarded-roundtrip', 'us of processor each', load => load.processorUs, 'ratio <= 2.5')
  figure('forwarded-roundtrip-rate', 'round trips/s', load => load.perSecond, 'none')
  figure('forwarded-roundtrip-p99', 'ms', load => load.p99Ms, 'none')
}
