/** A node that stood still for a moment, on connections that did not break: what it holds is known again. */
import t from 'tap'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.test('sockets of a node that was silent are known again when it is heard', async t => {
  const world = new World(12)
  const cluster = new SimCluster({ world, nodes: 3, factor: 2, placements: new Map() })
  for (const node of cluster.nodes) cluster.start(node)
  t.ok(await world.run(30_000, () => cluster.nodes.every(node => node.isReady)))
  const [edge, ...others] = cluster.nodes as [SimNode, SimNode, SimNode]
  edge.partitions?.locations.announce('client:1')
  const located = () => others.map(node => node.partitions?.locations.locate('client:1') ?? 'nowhere')
  t.ok(await world.run(5_000, () => located().every(node => node === edge.id)), 'everybody knows')
  cluster.pause(edge)
  t.ok(await world.run(5_000, () => located().every(node => node === 'nowhere')), 'it is silent for too long')
  cluster.resume(edge)
  t.ok(await world.run(3_000, () => located().every(node => node === edge.id)), `known again: ${located()}`)
  t.same(world.problems, [])
})
