/**
 * Round trips of an IO call, every step durable: through a node alone, with a bare relay of the same number of frames for
 * a reference, and over three nodes, with the node alone for a reference.
 */
import { WebSocket } from 'ws'
import { TestCluster } from '../support/cluster.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { print, startPart } from './figures.js'
import { commits, type Ids, Load, roundTrips, type Side, takeTurns, transactionCount } from './round-trips.js'

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

/** The same kind of load on a node alone. */
export async function alone(kind: typeof roundTrips, ids: Ids = 'given'): Promise<Side> {
  const server = await TestServer.start()
  const place = { hostsAt: server, browsersAt: server, seeded: await server.seed() }
  return await kind(place, { pids: [server.pid], stop: () => server.stop() }, ids)
}

/**
 * And on three nodes, every commit on two of them: hosts on one, browsers on another. Sessions are led where the browsers
 * are, so half of what is said is forwarded; with ids that are made, all three nodes lead, and two thirds are.
 */
export async function clustered(kind: typeof roundTrips, ids: Ids = 'given'): Promise<Side> {
  const cluster = await TestCluster.start(3)
  const place = { hostsAt: cluster.node(0), browsersAt: cluster.node(1), seeded: await cluster.seed() }
  const pids = cluster.servers.map(server => server.pid)
  return await kind(place, { pids, stop: () => cluster.stop() }, ids)
}

export async function ioRoundtrip(): Promise<void> {
  const relay = await reference()
  const node = await alone(roundTrips)
  await takeTurns(relay, node)
  const figure = (name: string, unit: string, read: (load: Load) => number, target: string) =>
    print({ name, value: read(node.load), unit, reference: read(relay.load), target })
  figure('io-roundtrip', 'round trips/s', load => load.perSecond, 'ratio >= 0.3')
  figure('io-roundtrip-p99', 'ms', load => load.p99Ms, 'value <= 25')
  figure('io-roundtrip-cpu', 'us each', load => load.processorUs, 'none')
}

/** Round trips over three nodes, against a node alone. */
export async function forwardedRoundtrip(): Promise<void> {
  const local = await alone(roundTrips)
  const forwarded = await clustered(roundTrips)
  const anywhere = await clustered(roundTrips, 'made')
  await takeTurns(local, forwarded, anywhere)
  const figure = (name: string, unit: string, read: (load: Load) => number, target: string, of = forwarded) =>
    print({ name, value: read(of.load), unit, reference: read(local.load), target })
  const unit = 'us of processor each'
  figure('forwarded-roundtrip', unit, load => load.processorUs, 'ratio <= 2.5')
  figure('forwarded-roundtrip-anywhere', unit, load => load.processorUs, 'none', anywhere)
  figure('forwarded-roundtrip-rate', 'round trips/s', load => load.perSecond, 'none')
  figure('forwarded-roundtrip-p99', 'ms', load => load.p99Ms, 'none')
}

/** Commits on two of three nodes, against commits of a node alone: 64 at a time, each confirmed to a host. */
export async function commitReplicated(): Promise<void> {
  const local = await alone(commits)
  const replicated = await clustered(commits)
  await takeTurns(local, replicated)
  const figure = (name: string, unit: string, read: (load: Load) => number) =>
    print({ name, value: read(replicated.load), unit, reference: read(local.load), target: 'none' })
  figure('commit-replicated', 'commits/s', load => load.perSecond)
  figure('commit-replicated-p99', 'ms', load => load.p99Ms)
}
