/** What a leader said long ago comes late: it counts no more, although the same node leads again. */
import t from 'tap'
import type { EntityKey, NodeId } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

const key: EntityKey = 'list:1'
const partition = partitionOf(key)

/** Whether a signal of `from`, said under `epoch`, is heard at `to`. */
async function isHeard(cluster: SimCluster, from: SimNode, to: NodeId, epoch: number): Promise<boolean> {
  let answer: Buffer | undefined
  const body = { signal: { to: 'eye', target: 'eye', payload: epoch }, key, epoch }
  from.peers?.call(to, 'signal', Buffer.from(JSON.stringify(body)), 1_000).then(
    found => {
      answer = found
    },
    () => undefined,
  )
  await cluster.world.run(2_000, () => answer !== undefined)
  return answer?.toString() === ''
}

t.test('a signal from before another node led is not heard', async t => {
  const world = new World(13)
  const cluster = new SimCluster({
    world,
    nodes: 6,
    factor: 2,
    partitions: [partition],
    placements: new Map(),
  })
  const { configurations, nodes } = cluster
  for (const node of nodes) cluster.start(node)
  t.ok(await world.run(30_000, () => nodes.every(node => node.isReady)))
  await world.run(20_000)
  const row = () => configurations.row(partition)
  const leader = () => nodes.find(node => node.storeId === row()?.owner)
  const first = leader() as SimNode
  const before = row()?.epoch ?? 0
  cluster.leave(first)
  t.ok(await world.run(10_000, () => leader() !== first), 'another leads')
  await world.run(2_000)
  cluster.start(first)
  t.ok(await world.run(120_000, () => leader() === first && first.isReady), 'and the first again')
  await world.run(5_000)
  // Whoever has held a copy has promised something.
  const edge = nodes.find(node => node !== first && !cluster.head(node, partition)) as SimNode
  edge.partitions?.onSignal(
    'eye',
    () => undefined,
    () => 'everywhere',
  )
  t.notOk(await isHeard(cluster, first, edge.id, before), 'what it said before is late')
  t.ok(await isHeard(cluster, first, edge.id, row()?.epoch ?? 0), 'what it says now is not')
  t.notOk(await isHeard(cluster, first, edge.id, before), 'nor afterwards')
})

t.test('somebody who leads by a row that is not known yet replaces who led before', async t => {
  const world = new World(14)
  const cluster = new SimCluster({
    world,
    nodes: 3,
    factor: 2,
    partitions: [partition],
    placements: new Map(),
  })
  for (const node of cluster.nodes) cluster.start(node)
  t.ok(await world.run(30_000, () => cluster.nodes.every(node => node.isReady)))
  await world.run(20_000)
  const row = cluster.configurations.row(partition)
  const first = cluster.nodes.find(node => node.storeId === row?.owner) as SimNode
  const [edge, other] = cluster.nodes.filter(node => node !== first) as [SimNode, SimNode]
  edge.partitions?.onSignal(
    'eye',
    () => undefined,
    () => 'everywhere',
  )
  const epoch = row?.epoch ?? 0
  cluster.configurations.faults.awayFrom.add(edge.id)
  t.ok(await isHeard(cluster, first, edge.id, epoch), 'who leads by the row is heard')
  t.ok(await isHeard(cluster, other, edge.id, epoch + 1), 'and who has a later one')
  t.notOk(await isHeard(cluster, first, edge.id, epoch), 'then the one before no more')
  cluster.configurations.faults.awayFrom.clear()
  await world.run(3_000)
  t.ok(await isHeard(cluster, first, edge.id, epoch), 'until the rows were read')
})
