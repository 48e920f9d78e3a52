/** Where sockets are, and what is done about signals for sockets that nobody is known to hold. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey, NodeId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'
import { Courier } from '../../../lib/partitions/courier.js'
import type { Signal } from '../../../lib/partitions/entity.js'
import { Locations } from '../../../lib/partitions/locations.js'
import type { Runtime } from '../../../lib/partitions/runtime.js'
import {
  type CallHandler,
  type Member,
  type PeerCondition,
  type Peers,
  partitionOf,
} from '../../../lib/ring/index.js'

const member = (nodeId: string, storeId = `store of ${nodeId}`): Member => ({
  nodeId: nodeId as NodeId,
  storeId,
  boot: 1,
  channelAddress: '127.0.0.1:1',
  forwardAddress: '127.0.0.1:2',
})

/** The peers of node C, whose messages are looked at and never arrive anywhere. */
class FakePeers {
  readonly self = member('C')
  readonly calls: { to: string; kind: string; body: string }[] = []
  /** By node, what it answers instead of `taken`. */
  readonly answers = new Map<string, string>()
  /** Nodes for which no more can be queued. */
  readonly full = new Set<string>()
  readonly #handlers = new Map<string, CallHandler>()
  #members = ['A', 'B', 'C']
  #membersChanged: (members: readonly Member[]) => void = () => undefined

  members(): Member[] {
    return this.#members.map(name => member(name))
  }

  onMembers(handler: (members: readonly Member[]) => void): () => void {
    this.#membersChanged = handler
    return () => undefined
  }

  /** Gossip says that these are there. */
  areMembers(...names: string[]): void {
    this.#members = names
    this.#membersChanged(this.members())
  }

  onCall(kind: string, handler: CallHandler): void {
    this.#handlers.set(kind, handler)
  }

  onCondition(): () => void {
    return () => undefined
  }

  condition(): PeerCondition {
    return { kind: 'connected', heardAtMs: 0 }
  }

  async call(to: string, kind: string, body: Buffer): Promise<Buffer> {
    if (this.full.has(to)) throw new AppError('queue-full')
    this.calls.push({ to, kind, body: body.toString() })
    return Buffer.from(this.answers.get(to) ?? 'taken')
  }

  say(from: string, kind: string, content: object, storeId?: string): Buffer | undefined {
    const answer = this.#handlers.get(kind)?.(member(from, storeId), Buffer.from(JSON.stringify(content)))
    return Buffer.isBuffer(answer) ? answer : undefined
  }

  /** A node tells everything it holds. */
  holds(from: string, ...names: string[]): void {
    this.say(from, 'locations', {
      boot: 1,
      number: 1,
      whole: true,
      came: names.map(name => [name, '']),
      went: [],
    })
  }
}

const key = 'transaction:1' as EntityKey

/** The courier of node C, for signals to hosts. */
function courierOfHosts() {
  const clock = new VirtualClock()
  const peers = new FakePeers()
  const old = new Set<number>()
  let says: (signal: Signal, key: EntityKey) => void = () => undefined
  const runtime = {
    onSignal: (_to: string, handler: typeof says) => {
      says = handler
    },
    epochOf: () => 3,
  }
  const courier = new Courier({
    clock,
    log: silentLog,
    peers: peers as unknown as Peers,
    runtime: runtime as unknown as Runtime,
    accepts: (_partition, _from, epoch) => !old.has(epoch),
  })
  courier.onMissed('host', () => undefined)
  courier.onSignal(
    'host',
    () => undefined,
    signal => ({ socket: `host:${signal.target}` }),
  )
  return { clock, peers, courier, old, says: (signal: Signal, about: EntityKey) => says(signal, about) }
}

t.test('a socket that a node takes back too late is where it has been all the time', async t => {
  const peers = new FakePeers()
  const locations = new Locations(new VirtualClock(), peers as unknown as Peers)
  peers.holds('A', 'host:1')
  locations.lost('A' as NodeId)
  peers.holds('B', 'host:1')
  t.equal(locations.locate('host:1'), 'B')
  peers.holds('A', 'host:1')
  peers.say('A', 'locations', { boot: 1, number: 2, whole: false, came: [], went: ['host:1'] })
  t.equal(locations.locate('host:1'), 'B')
  peers.holds('B')
  t.equal(locations.locate('host:1'), undefined)
})

t.test('a node that was no member when something was announced hears of it when it is one again', async t => {
  const peers = new FakePeers()
  const locations = new Locations(new VirtualClock(), peers as unknown as Peers)
  const turn = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  const told = () => peers.calls.splice(0).map(({ to, body }) => [to, JSON.parse(body).came])
  peers.areMembers('A', 'B', 'C')
  t.same(told(), [], 'there is nothing to tell yet')
  locations.announce('host:1')
  await turn()
  const came = [['host:1', '']]
  t.same(told(), [
    ['A', came],
    ['B', came],
  ])
  peers.areMembers('A', 'C')
  peers.areMembers('A', 'B', 'C')
  t.same(told(), [], 'it has missed nothing')
  peers.areMembers('A', 'C')
  locations.announce('host:2')
  await turn()
  t.same(told(), [['A', [['host:2', '']]]])
  peers.areMembers('A', 'B', 'C')
  t.same(told(), [['B', [...came, ['host:2', '']]]])
})

t.test('a node that could not be told, on a connection that stands, is told again', async t => {
  const peers = new FakePeers()
  const clock = new VirtualClock()
  const locations = new Locations(clock, peers as unknown as Peers)
  const turn = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  const told = () => peers.calls.splice(0).map(({ to, body }) => [to, JSON.parse(body).came])
  peers.areMembers('A', 'C')
  peers.full.add('A')
  locations.announce('host:1')
  await turn()
  clock.advance(1_000)
  await turn()
  peers.full.delete('A')
  t.same(told(), [])
  clock.advance(1_000)
  await turn()
  t.same(told(), [['A', [['host:1', '']]]])
  clock.advance(60_000)
  t.same(told(), [], 'once')
})

t.test('what comes a second time, late, changes nothing', async t => {
  const peers = new FakePeers()
  const locations = new Locations(new VirtualClock(), peers as unknown as Peers)
  peers.holds('A', 'host:1')
  peers.say('A', 'locations', { boot: 1, number: 2, whole: false, came: [['host:2', '']], went: ['host:1'] })
  peers.holds('A', 'host:1')
  t.equal(locations.locate('host:1'), undefined)
  t.equal(locations.locate('host:2'), 'A')
  peers.say('A', 'locations', { boot: 2, number: 1, whole: true, came: [['host:3', '']], went: [] })
  peers.holds('A', 'host:1')
  t.equal(locations.locate('host:1'), undefined, 'nor what an earlier life held')
  t.equal(locations.locate('host:3'), 'A')
})

t.test('a node that comes back with an empty disk is heard, although it counts its boots anew', async t => {
  const peers = new FakePeers()
  const locations = new Locations(new VirtualClock(), peers as unknown as Peers)
  peers.say('A', 'locations', { boot: 7, number: 5, whole: true, came: [['host:1', '']], went: [] })
  const empty = 'another store of A'
  const came = [['host:2', '']]
  const answer = peers.say('A', 'locations', { boot: 1, number: 1, whole: false, came, went: [] }, empty)
  t.equal(answer?.toString(), 'resync', 'its first words are not taken for late ones')
  peers.say('A', 'locations', { boot: 1, number: 1, whole: true, came, went: [] }, empty)
  t.equal(locations.locate('host:1'), undefined)
  t.equal(locations.locate('host:2'), 'A')
})

t.test(
  'what is said to a socket that nobody holds is told to be missed as soon as somebody does',
  async t => {
    const { clock, peers, says } = courierOfHosts()
    says({ to: 'host', target: 'instance-1', payload: 'the answer' }, key)
    says({ to: 'host', target: 'instance-1', payload: 'and another' }, key)
    const told = () => peers.calls.filter(({ kind }) => kind === 'missed')
    clock.advance(60_000)
    t.same(told(), [])
    peers.holds('B', 'host:instance-1')
    clock.advance(1_000)
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(1_000)
    await new Promise(resolve => setImmediate(resolve))
    t.same(
      told().map(({ to, body }) => ({ to, ...(JSON.parse(body) as object) })),
      [{ to: 'B', missed: { to: 'host', target: 'instance-1' }, key }],
    )
  },
)

t.test(
  'a signal that comes to a node the socket has left is told to be missed where the socket is',
  async t => {
    const { clock, peers, says } = courierOfHosts()
    const told = () => peers.calls.filter(({ kind }) => kind === 'missed').map(({ to }) => to)
    const later = async () => {
      await new Promise(resolve => setImmediate(resolve))
      clock.advance(300)
      await new Promise(resolve => setImmediate(resolve))
    }
    peers.holds('A', 'host:instance-1')
    peers.answers.set('A', 'unheard')
    says({ to: 'host', target: 'instance-1', payload: 'the answer' }, key)
    await later()
    t.same(told(), ['A'], 'nothing else is known yet')
    peers.holds('B', 'host:instance-1')
    await later()
    await later()
    t.same(told(), ['A', 'B'])
  },
)

t.test('a leader that hands over knows whether all it said has been heard', async t => {
  const { clock, courier, peers, says } = courierOfHosts()
  const partition = partitionOf(key)
  const signal = { to: 'host', target: 'instance-1', payload: 'the answer' }
  t.equal(await courier.isHeard(partition, 50), true, 'nothing was said')
  peers.holds('A', 'host:instance-1')
  says(signal, key)
  const late = courier.isHeard(partition, 0)
  t.equal(await late, false, 'it is on its way')
  await new Promise(resolve => setImmediate(resolve))
  t.equal(await courier.isHeard(partition, 0), true, 'the node has heard')
  peers.answers.set('A', 'unheard')
  says(signal, key)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(await courier.isHeard(partition, 0), false, 'the node that has the socket now is to be told')
  t.equal(await courier.isHeard(partitionOf('transaction:2'), 0), true, 'which concerns no other partition')
  peers.holds('A')
  clock.advance(300)
  await new Promise(resolve => setImmediate(resolve))
  says({ ...signal, target: 'instance-2' }, key)
  t.equal(await courier.isHeard(partition, 0), false, 'nobody is known to hold the socket')
})

t.test('a node says so when it does not hold the socket of a signal, or knows of a newer leader', async t => {
  const { peers, courier, old } = courierOfHosts()
  const signal = { to: 'host', target: 'instance-1', payload: 'the answer' }
  const heard = (epoch: number) => peers.say('A', 'signal', { signal, key, epoch })?.toString()
  t.equal(heard(3), 'unheard')
  courier.locations.announce('host:instance-1')
  t.equal(heard(3), '')
  old.add(2)
  t.equal(heard(2), 'unheard')
})

t.test('limits fit each other', async t => {
  t.ok(limits.peerMessageBytesMax > 2 * limits.entityRecordBytesMax, 'a record as JSON within JSON')
  t.ok(limits.peerQueueBytesMax > limits.peerMessageBytesMax)
  t.ok(limits.entityRecordBytesMax >= limits.ioCallBytesMax)
  t.ok(limits.commitQueueBytesMax > limits.entityRecordBytesMax)
})
