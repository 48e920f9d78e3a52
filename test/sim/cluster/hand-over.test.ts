/** A hand-over whose outcome is not known: nobody is answered before the rows were read again. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { PartitionId } from '../../../lib/ring/index.js'
import type { AppendReply } from './list-kind.js'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.setTimeout(120_000)

const keys = Array.from({ length: 8 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

for (const isCarriedOut of [false, true]) {
  const how = isCarriedOut ? 'was carried out' : 'was not carried out'
  t.test(`while Postgres is away after a hand-over that ${how}`, async t => {
    const cluster = new SimCluster({
      world: new World(9),
      nodes: 2,
      factor: 2,
      partitions,
      placements: new Map(),
    })
    const { configurations, world } = cluster
    const [first, second] = cluster.nodes as [SimNode, SimNode]
    let isOver = false
    const unsure = new Set<PartitionId>()
    configurations.aroundSwap = async (life, changes, swap) => {
      const handed = changes.filter(change => change.owner === second.storeId)
      if (isOver || life.name !== first.id || handed.length === 0) return await swap(changes)
      if (isCarriedOut) await swap(changes)
      configurations.faults.isAway = true
      for (const { partition } of handed) unsure.add(partition)
      throw new AppError('unavailable')
    }
    cluster.start(first)
    t.ok(await world.run(10_000, () => first.isReady), 'the first leads all')
    cluster.start(second)
    t.ok(await world.run(60_000, () => unsure.size > 0), 'a partition is handed over')
    const served = (node: SimNode) =>
      node.partitions?.cluster?.status().filter(row => unsure.has(row.partition) && row.serving) ?? []
    let answered = 0
    for (const key of keys.filter(key => unsure.has(partitionOf(key)))) {
      first.partitions?.send<AppendReply>(key, { type: 'append', id: key }, { deadlineMs: 20_000 }).then(
        () => {
          answered += 1
        },
        () => undefined,
      )
    }
    for (let looks = 0; looks < 40; looks += 1) {
      await world.run(100)
      if (served(first).length > 0 || answered > 0) break
    }
    t.equal(served(first).length, 0, 'the first does not go on')
    t.equal(answered, 0, 'and answers nobody')
    isOver = true
    configurations.faults.isAway = false
    t.ok(await world.run(10_000, () => answered > 0), 'what was held is answered when the rows are read')
    t.same(world.problems, [])
  })
}
