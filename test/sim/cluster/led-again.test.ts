/**
 * A leader that has given a partition up and leads it again under the row that it had: what it had decided may be on disk
 * without having been said, and nobody could see that.
 */
import t, { type Test } from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import { headKey } from '../../../lib/partitions/keys.js'
import { formatHead, parseHead } from '../../../lib/partitions/position.js'
import { openRecord, sealRecord } from '../../../lib/partitions/record.js'
import type { ListMessage } from './list-kind.js'
import { seedIds } from './seeded-ids.js'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.setTimeout(120_000)

const keys = Array.from({ length: 12 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

async function make(t: Test, seed: number, nodes: number): Promise<SimCluster> {
  t.teardown(seedIds(seed))
  const world = new World(seed)
  const cluster = new SimCluster({ world, nodes, factor: 2, partitions, placements: new Map() })
  for (const node of cluster.nodes) {
    cluster.start(node)
    await world.run(10_000, () => node.isReady)
  }
  const owners = () => new Set(partitions.map(id => cluster.configurations.row(id)?.owner))
  await world.run(60_000, () => owners().size === nodes && isFull(cluster))
  await world.run(2_000)
  return cluster
}

const isFull = (cluster: SimCluster) =>
  partitions.every(id => cluster.configurations.row(id)?.replicas.length === 1)

const ledBy = (cluster: SimCluster, { storeId }: SimNode) =>
  keys.filter(key => cluster.configurations.row(partitionOf(key))?.owner === storeId)

const serves = (node: SimNode, key: EntityKey) =>
  node.partitions?.cluster?.status().find(row => row.partition === partitionOf(key))?.serving === true

/** Which lists a node asks for what it missed, from now on. */
function askedBy(node: SimNode): Set<EntityKey> {
  const asked = new Set<EntityKey>()
  node.partitions?.onMissed('client', concerns => {
    for (const key of keys) if (concerns(key, 'client:1')) asked.add(key)
  })
  return asked
}

/** As if a node that is down had promised an epoch that no row has reached. */
function promise(node: SimNode, key: EntityKey): void {
  const name = headKey(partitionOf(key))
  const bytes = node.content.get(name)
  const text = bytes && openRecord(name, bytes)?.text
  if (text === undefined) throw new Error(`${node.id} has no copy`)
  const head = parseHead(text)
  const promised = sealRecord(name, formatHead({ ...head, epoch: head.epoch + 50 }))
  node.content = new Map([...node.content, [name, promised.bytes]])
}

async function ask(cluster: SimCluster, via: SimNode, key: EntityKey, message: ListMessage) {
  let answer: unknown
  via.partitions?.send(key, message, { deadlineMs: 10_000 }).then(
    reply => {
      answer = reply
    },
    (error: unknown) => {
      answer = error
    },
  )
  await cluster.world.run(15_000, () => answer !== undefined)
  return answer
}

t.test('rows that only their leader has seen set back are led by newer ones', async t => {
  const cluster = await make(t, 31, 3)
  const { configurations, world } = cluster
  const { rows } = configurations.truth
  const asked = cluster.nodes.map(askedBy)
  const known = new Map(rows)
  for (const [id, row] of known) rows.set(id, { ...row, epoch: row.epoch - 1, nonce: 'old' })
  const rewound = () => cluster.nodes.filter(node => (node.partitions?.cluster?.rewound ?? 0) > 0)
  for (let left = 2_000; left > 0 && rewound().length === 0; left -= 1) await world.run(1)
  for (const [id, row] of known) rows.set(id, row)
  const [leader, ...others] = rewound()
  if (!leader) throw new Error('it was seen')
  t.same(others, [], 'by one alone')
  const led = ledBy(cluster, leader)
  t.ok(led.length > 0)
  t.notOk(
    led.some(key => serves(leader, key)),
    'it has given them up',
  )
  t.ok(await world.run(10_000, () => led.every(key => serves(leader, key))), 'and leads them again')
  await world.run(2_000)
  for (const [index, node] of cluster.nodes.entries())
    t.same(new Set(led.filter(key => asked[index]?.has(key))), new Set(led), `${node.id} asks`)
  for (const key of keys)
    t.match(await ask(cluster, leader, key, { type: 'append', id: `a-${key}` }), { index: 0 })
  t.same(world.problems, [])
})

/** A leader whose follower has died, and comes back with a promise of its own above the row. */
async function leadingAlone(t: Test, seed: number) {
  const cluster = await make(t, seed, 2)
  const { configurations, world } = cluster
  const [a, b] = cluster.nodes as [SimNode, SimNode]
  const [key] = ledBy(cluster, a)
  if (!key) throw new Error('the first leads one')
  const id = partitionOf(key)
  cluster.crash(b)
  t.ok(await world.run(10_000, () => configurations.row(id)?.replicas.length === 0), 'it leads alone')
  await world.run(2_000)
  promise(b, key)
  return { a, b, cluster, id, key }
}

t.test('a leader that began anew by a row that did not come through is asked, too', async t => {
  const { a, b, cluster, id, key } = await leadingAlone(t, 32)
  const { configurations, world } = cluster
  const asked = askedBy(a)
  let refused = 0
  configurations.aroundSwap = async (life, changes, swap) => {
    const leaps = changes.some(
      ({ epoch, fromEpoch, partition }) => partition === id && epoch - 1 !== fromEpoch,
    )
    if (life !== a.life || !leaps) return await swap(changes)
    refused += 1
    cluster.crash(b)
    throw new AppError('unavailable')
  }
  cluster.start(b)
  t.ok(await world.run(20_000, () => refused > 0), 'it is to be led above that')
  await world.run(5_000)
  t.ok(serves(a, key), 'it is led again')
  t.ok(asked.has(key))
  t.match(await ask(cluster, a, key, { type: 'append', id: 'next' }), { index: 0 })
  t.same(world.problems, [])
})

t.test('a leader that cannot begin anew while Postgres is away goes on', async t => {
  const { a, b, cluster, id, key } = await leadingAlone(t, 33)
  const { configurations, world } = cluster
  const { peers } = a
  if (!peers) throw new Error('it runs')
  let isRefused = false
  const call = peers.call.bind(peers)
  peers.call = async (to, kind, body, deadlineMs) => {
    if (b.isReady && kind === 'snapshot-begin' && body.includes(`"partition":${id},`)) {
      configurations.faults.isAway = true
      isRefused = true
    }
    return await call(to, kind, body, deadlineMs)
  }
  cluster.start(b)
  t.ok(await world.run(20_000, () => isRefused), 'it is to be led above what that has promised')
  await world.run(5_000)
  t.ok(serves(a, key))
  t.match(await ask(cluster, a, key, { type: 'append', id: 'next' }), { index: 0 })
  configurations.faults.isAway = false
  t.ok(await world.run(10_000, () => isFull(cluster)), 'and has its copy when Postgres is back')
  t.same(world.problems, [])
})
