/** Nodes finding each other, calling and leaving, over real sockets. */
import { connect } from 'node:net'
import t from 'tap'
import { type Log, Secret, silentLog } from '../../../lib/log.js'
import { eventuallyTrue } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'
import { idOf, sees, start } from './nodes.js'

t.test('three nodes started in any order, with a dead seed and an unknown one, see each other', async t => {
  const [deadPort, portA, portB] = [await freePort(), await freePort(), await freePort()]
  const seeds = [`127.0.0.1:${portA}`, `127.0.0.1:${deadPort}`, 'no-such-name.invalid', `127.0.0.1:${portB}`]
  const startedMs = Date.now()
  const c = await start(t, 'c', seeds)
  const [a, b] = await Promise.all([
    start(t, 'a', seeds, { channelPort: portA }),
    start(t, 'b', seeds, { channelPort: portB }),
  ])
  const all = { a, b, c }
  await Promise.all(
    Object.values(all).map(peers => eventuallyTrue('all see each other', () => sees(peers, 'a', 'b', 'c'))),
  )
  const joinedMs = Date.now() - startedMs
  t.comment(`three nodes see each other ${joinedMs} ms after the first start`)
  t.ok(joinedMs <= 3_000)

  for (const from of Object.values(all)) {
    for (const to of Object.values(all)) {
      t.equal(String(await from.call(to.self.nodeId, 'who', Buffer.alloc(0), 1_000)), from.self.nodeId)
      await t.rejects(from.call(to.self.nodeId, 'fail', Buffer.alloc(0), 1_000), { code: 'conflict' })
      await t.rejects(from.call(to.self.nodeId, 'nothing', Buffer.alloc(0), 1_000), { code: 'bad-request' })
      t.equal(from.condition(to.self.nodeId).kind, 'connected')
    }
  }
  await t.rejects(a.call(idOf('unknown'), 'echo', Buffer.alloc(0), 1_000), { code: 'unavailable' })
  t.same(a.condition(idOf('unknown')), { kind: 'silent', heardAtMs: Number.NEGATIVE_INFINITY })

  const beacons = new Map<string, string>()
  const roundTripsMs: number[] = []
  a.onBeacon((from, body, roundTripMs) => {
    beacons.set(from.nodeId, String(body))
    roundTripsMs.push(roundTripMs)
  })
  await eventuallyTrue('beacons', () => beacons.size === 2)
  t.ok(roundTripsMs.every(roundTripMs => roundTripMs >= 0 && roundTripMs < 1_000))
  t.same([...beacons].sort(), [
    [idOf('b'), 'time of b'],
    [idOf('c'), 'time of c'],
  ])

  const periods = a.gossipPeriods
  const measuredMs = Date.now()
  await eventuallyTrue('periods', () => a.gossipPeriods >= periods + 5)
  const perSecond = 5_000 / (Date.now() - measuredMs)
  t.comment(`${perSecond.toFixed(1)} gossip periods per second`)
  t.ok(perSecond > 2 && perSecond < 8, 'about five gossip periods per second while nodes have just joined')

  const leftMs = Date.now()
  await c.leave()
  await Promise.all([a, b].map(peers => eventuallyTrue('the leaver is gone', () => sees(peers, 'a', 'b'))))
  t.comment(`left every list after ${Date.now() - leftMs} ms`)
  t.equal(String(await a.call(idOf('c'), 'echo', Buffer.from('still there'), 1_000)), 'still there')
  t.equal(String(await c.call(idOf('a'), 'echo', Buffer.from('still there'), 1_000)), 'still there')
  await c.stop()
  await eventuallyTrue('refused', () => a.condition(idOf('c')).kind === 'refused')
})

t.test('a node known only from elsewhere can be called', async t => {
  const a = await start(t, 'a', [])
  const b = await start(t, 'b', [])
  a.learn([b.self, a.self])
  t.equal(String(await a.call(idOf('b'), 'echo', Buffer.from('hi'), 1_000)), 'hi')
  await eventuallyTrue('and is found by gossip', () => sees(a, 'a', 'b') && sees(b, 'a', 'b'))
})

t.test('a seed whose name gets its address later, over IPv6', async t => {
  let addresses: readonly string[] = []
  let asked = 0
  const b = await start(t, 'b', [], { channelHost: '::1' })
  t.match(b.self.channelAddress, /^\[::1\]:\d+$/)
  const a = await start(t, 'a', [`seed:${b.self.channelAddress.split(':').at(-1)}`], {
    channelHost: '::1',
    resolve: async name => {
      t.equal(name, 'seed')
      asked++
      if (addresses.length === 0) throw new Error('no such name')
      return addresses
    },
  })
  await eventuallyTrue('asked again', () => asked >= 2)
  t.ok(sees(a, 'a'))
  addresses = ['::1']
  const knownMs = Date.now()
  await eventuallyTrue('found', () => sees(a, 'a', 'b') && sees(b, 'a', 'b'))
  t.comment(`found ${Date.now() - knownMs} ms after its name had an address`)
  t.ok(Date.now() - knownMs <= 3_000)
  t.equal(String(await a.call(idOf('b'), 'echo', Buffer.from('six'), 1_000)), 'six')
})

t.test('two live processes with one id are reported, not swapped', async t => {
  const port = await freePort()
  const duplicates: string[] = []
  const a = await start(t, 'a', [], {
    channelPort: port,
    onDuplicate: (known, other) => duplicates.push(`${known.boot} ${other.boot}`),
  })
  const b = await start(t, 'b', [`127.0.0.1:${port}`])
  await eventuallyTrue('connected', () => a.condition(idOf('b')).kind === 'connected' && sees(a, 'a', 'b'))
  const copy = await start(t, 'b', [`127.0.0.1:${port}`], {
    identity: { nodeId: idOf('b'), storeId: 'store-b', boot: 2 },
  })
  await eventuallyTrue('reported', () => duplicates.length > 0)
  t.same(duplicates, ['1 2'])
  t.same(
    a.members().find(({ nodeId }) => nodeId === idOf('b')),
    b.self,
  )
  await b.stop()
  await eventuallyTrue('the copy takes its place when it is gone', () =>
    a.members().some(({ boot }) => boot === 2),
  )
  await copy.stop()
})

t.test('without the secret nobody joins, and no administration is reachable', async t => {
  const lines: string[] = []
  const log: Log = { ...silentLog, warn: event => lines.push(event) }
  const port = await freePort()
  const a = await start(t, 'a', [], { channelPort: port, log })
  const stranger = await start(t, 'x', [`127.0.0.1:${port}`], { secret: new Secret('another') })
  await eventuallyTrue('refused', () => a.counters.refusedConnections >= 2)
  t.ok(sees(a, 'a'))
  t.ok(sees(stranger, 'x'))
  t.equal(lines.filter(line => line.startsWith('connection refused')).length, 1)

  // The first frame of tchannel in the clear: an init request of protocol version 2.
  const plain = connect(port, '127.0.0.1')
  plain.on('error', () => undefined)
  const received: Buffer[] = []
  plain.on('data', chunk => received.push(chunk))
  plain.write(Buffer.from('001a0100000000010000000000000000000200010000', 'hex'))
  await new Promise(resolve => plain.once('close', resolve))
  t.ok(Buffer.concat(received).length <= 7, 'nothing but a TLS alert comes back')
})

t.test('a port in use is one clear sentence, and nothing stays behind', async t => {
  const port = await freePort()
  await start(t, 'a', [], { channelPort: port })
  await t.rejects(start(t, 'b', [], { channelPort: port }), {
    code: 'unavailable',
    message: `channel:port: cannot listen on 127.0.0.1:${port}: the port is in use.`,
  })
  await t.rejects(start(t, 'c', [], { channelHost: 'no-such-name.invalid' }), {
    message: 'channel:host: "no-such-name.invalid" cannot be resolved to an address.',
  })
})
