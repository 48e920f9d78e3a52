/**
 * What only an operator decides: partitions all of whose holders are gone, and a database that was set back to an older
 * state. No node does either by itself, and what is left is not lost again.
 */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { AppendReply, ListState } from './list-kind.js'
import { type Placements, SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.setTimeout(120_000)

const placements: Placements = new Map()
const keys = Array.from({ length: 24 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

async function settled<T>(cluster: SimCluster, promise: Promise<T> | undefined): Promise<T | undefined> {
  let result: T | undefined
  let isOver = false
  promise?.then(
    value => {
      result = value
      isOver = true
    },
    () => {
      isOver = true
    },
  )
  await cluster.world.run(8_000, () => isOver)
  return result
}

const append = async (cluster: SimCluster, via: SimNode, key: EntityKey, id: string) =>
  (
    await settled(
      cluster,
      via.partitions?.send<AppendReply>(key, { type: 'append', id }, { deadlineMs: 5_000 }),
    )
  )?.index

const read = async (cluster: SimCluster, via: SimNode, key: EntityKey) =>
  (await settled(cluster, via.partitions?.send<ListState>(key, { type: 'read' }, { deadlineMs: 5_000 })))?.ids

async function eventually(cluster: SimCluster, isDone: () => boolean): Promise<boolean> {
  for (let left = 180; left > 0 && !isDone(); left -= 1) await cluster.world.run(500)
  return isDone()
}

async function threeNodes(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster({ world: new World(seed), nodes: 3, factor: 2, partitions, placements })
  for (const node of cluster.nodes) {
    cluster.start(node)
    await cluster.world.run(10_000, () => node.isReady)
  }
  const owners = () => new Set(partitions.map(partition => cluster.configurations.row(partition)?.owner))
  await eventually(cluster, () => owners().size === 3 && hasCopies(cluster))
  return cluster
}

const hasCopies = (cluster: SimCluster) =>
  partitions.every(id => cluster.configurations.row(id)?.replicas.length === 1)

t.test('partitions whose holders are gone wait for an operator, and go on with what is left', async t => {
  const cluster = await threeNodes(21)
  const { world } = cluster
  const [first, second, third] = cluster.nodes as [SimNode, SimNode, SimNode]
  for (const key of keys) t.equal(await append(cluster, first, key, `before-${key}`), 0)
  t.same(
    await settled(cluster, first.partitions?.cluster?.adopt(true)),
    [],
    'nothing to adopt while all live',
  )
  const held = keys.filter(key => {
    const row = cluster.configurations.row(partitionOf(key))
    return row?.owner === first.storeId || row?.replicas.includes(first.storeId as never)
  })
  const lost = keys.filter(key => !held.includes(key))
  t.ok(lost.length > 0, `${lost.length} of ${keys.length} lists are on the two others only`)
  cluster.crash(second)
  cluster.crash(third)
  await world.run(12_000)
  t.same(first.partitions?.cluster?.notReady(), ['isolated'])
  const epochs = () => partitions.map(id => cluster.configurations.row(id)?.epoch)
  const before = epochs()
  const plan = await settled(cluster, first.partitions?.cluster?.adopt(false))
  t.same(new Set(plan?.map(each => each.partition)), new Set(lost.map(key => partitionOf(key))))
  await world.run(5_000)
  t.same(epochs(), before, 'it was only asked')
  const adopted = await settled(cluster, first.partitions?.cluster?.adopt(true))
  t.equal(adopted?.length, plan?.length)
  t.ok(adopted?.every(each => each.mayLose))
  await world.run(1_000)
  t.same(first.partitions?.cluster?.notReady(), [], 'it serves everything')
  for (const key of lost) t.equal(await append(cluster, first, key, `after-${key}`), 0, 'it begins anew')
  for (const key of held)
    t.equal(await append(cluster, first, key, `after-${key}`), 1, 'nothing else was lost')
  cluster.start(second)
  cluster.start(third)
  t.ok(await eventually(cluster, () => second.isReady && third.isReady && hasCopies(cluster)))
  cluster.crash(first)
  for (const key of lost)
    t.same(await read(cluster, second, key), [`after-${key}`], 'what came late does not come back')
  for (const key of held) t.same(await read(cluster, second, key), [`before-${key}`, `after-${key}`])
  t.same(world.problems, [])
})

t.test('a database that was set back is noticed: nobody leads by the old rows', async t => {
  const cluster = await threeNodes(22)
  const { world } = cluster
  const { rows } = cluster.configurations.truth
  const [first, second, third] = cluster.nodes as [SimNode, SimNode, SimNode]
  for (const key of keys) await append(cluster, first, key, `one-${key}`)
  const old = new Map(rows)
  cluster.crash(third)
  await world.run(5_000)
  cluster.start(third)
  t.ok(await eventually(cluster, () => third.isReady && hasCopies(cluster)))
  for (const key of keys) t.equal(await append(cluster, second, key, `two-${key}`), 1)
  const known = new Map(rows)
  const changed = partitions.filter(id => (old.get(id)?.epoch ?? 0) < (known.get(id)?.epoch ?? 0))
  t.ok(changed.length > 0, `the rows of ${changed.length} of ${partitions.length} partitions are set back`)
  for (const [partition, row] of old) rows.set(partition, row)
  await world.run(2_000)
  for (const node of cluster.nodes) {
    t.equal(node.partitions?.cluster?.rewound, changed.length, `${node.id} reports it`)
    t.same(
      changed.filter(id => node.partitions?.cluster?.status().find(row => row.partition === id)?.serving),
      [],
      'and serves none of them',
    )
  }
  await world.run(10_000)
  t.ok(
    changed.every(id => rows.get(id)?.epoch === old.get(id)?.epoch),
    'no row is changed by a node',
  )
  // One that starts now is told what the others know.
  cluster.crash(third)
  cluster.start(third)
  await world.run(8_000, () => third.isReady)
  await world.run(2_000)
  t.same(
    changed.filter(id => third.partitions?.cluster?.status().find(row => row.partition === id)?.serving),
    [],
  )
  const adopted = await settled(cluster, first.partitions?.cluster?.adopt(true))
  t.equal(adopted?.length, changed.length)
  t.notOk(
    adopted?.some(each => each.mayLose),
    'their owners are there: nothing is given up',
  )
  await world.run(3_000)
  t.ok(
    changed.every(id => (rows.get(id)?.epoch ?? 0) > (known.get(id)?.epoch ?? 0)),
    'epochs go on above all that were ever used',
  )
  for (const node of cluster.nodes) t.equal(node.partitions?.cluster?.rewound, 0)
  for (const key of keys)
    t.same(await read(cluster, second, key), [`one-${key}`, `two-${key}`], 'nothing was lost')
  for (const key of keys) t.equal(await append(cluster, third, key, `three-${key}`), 2)
  t.same(world.problems, [])
})

for (const end of ['adopted by an operator', 'set right again'] as const) {
  t.test(`rows that were set back and are ${end}: whoever leads again is asked what was missed`, async t => {
    const cluster = await threeNodes(23)
    const { world } = cluster
    const { rows } = cluster.configurations.truth
    const [first] = cluster.nodes as [SimNode]
    const old = new Map([...rows].map(([id, row]) => [id, { ...row, epoch: row.epoch - 1, nonce: 'old' }]))
    const known = new Map(rows)
    const asked = new Map<SimNode, Set<EntityKey>>(cluster.nodes.map(node => [node, new Set()]))
    for (const node of cluster.nodes) {
      node.partitions?.onMissed('client', concerns => {
        for (const key of keys) if (concerns(key, 'client:1')) asked.get(node)?.add(key)
      })
    }
    for (const [partition, row] of old) rows.set(partition, row)
    await world.run(3_000)
    t.equal(first.partitions?.cluster?.rewound, partitions.length)
    t.same(
      [...asked.values()].map(each => each.size),
      [0, 0, 0],
      'nobody leads',
    )
    if (end === 'set right again') for (const [partition, row] of known) rows.set(partition, row)
    else await settled(cluster, first.partitions?.cluster?.adopt(true))
    for (const key of keys) t.equal(await append(cluster, first, key, `after-${key}`), 0)
    await world.run(2_000)
    t.same(
      partitions.filter(id => rows.get(id)?.owner !== known.get(id)?.owner),
      [],
      'all are led by those who led before',
    )
    for (const node of cluster.nodes) t.equal(asked.get(node)?.size, keys.length, `${node.id} asks`)
    t.same(world.problems, [])
  })
}
