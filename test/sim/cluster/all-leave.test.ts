/**
 * All nodes are told to stop at once, and start again together: each finds the others although nobody is
 * registered when the first one looks, and whoever has a copy keeps it.
 */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import { type Placements, SimCluster } from './sim-cluster.js'
import { World } from './world.js'

const placements: Placements = new Map()
const keys = Array.from({ length: 16 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]
/** Less than a node waits for members that do not come. */
const startMsMax = 3_000

for (const seed of [1, 2, 3, 4]) {
  t.test(`three nodes, seed ${seed}`, async t => {
    const world = new World(seed)
    world.isCalm = true
    const cluster = new SimCluster({ world, nodes: 3, factor: 2, partitions, placements })
    const copies = () => partitions.map(id => cluster.configurations.row(id)?.replicas.length ?? 0)
    const hasCopies = () => copies().every(count => count === 1)
    for (const node of cluster.nodes) {
      cluster.start(node)
      await world.run(10_000, () => node.isReady)
    }
    for (let left = 60; left > 0 && !hasCopies(); left -= 1) await world.run(500)
    t.ok(hasCopies(), 'each partition has two members')
    for (const [index, key] of keys.entries())
      void cluster.nodes[0]?.partitions?.send(key, { type: 'append', id: `${index}` }, { deadlineMs: 5_000 })
    await world.run(1_000)

    for (const node of cluster.nodes) cluster.leave(node)
    t.ok(await world.run(9_500, () => cluster.nodes.every(node => !node.isAlive)), 'they end by themselves')
    const before = copies()
    for (const node of cluster.nodes) cluster.start(node)
    const startedMs = world.nowMs
    await world.run(20_000, () => cluster.nodes.every(node => node.isReady))
    const tookMs = Math.round(world.nowMs - startedMs)
    t.ok(tookMs <= startMsMax, `all are ready after ${tookMs} ms`)
    t.ok(
      copies().every((count, index) => count >= (before[index] ?? 0)),
      'whoever had a copy has one still',
    )
    t.same(world.problems, [])
  })
}
