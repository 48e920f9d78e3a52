/** What a cluster in which nothing happens costs, also after a moment in which its database took no changes. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.setTimeout(120_000)

const keys = Array.from({ length: 8 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

t.test('a change that was never carried out does not keep the loop busy', async t => {
  const cluster = new SimCluster({
    world: new World(7),
    nodes: 2,
    factor: 2,
    partitions,
    placements: new Map(),
  })
  const { configurations, network, world } = cluster
  const [first, second] = cluster.nodes as [SimNode, SimNode]
  let isRefusing = false
  let refused = 0
  configurations.aroundSwap = async (life, changes, swap) => {
    if (!isRefusing) return await swap(changes)
    if (life.name === first.id) refused += 1
    throw new AppError('unavailable')
  }
  for (const node of cluster.nodes) {
    cluster.start(node)
    t.ok(await world.run(10_000, () => node.isReady), `${node.id} starts`)
  }
  const rows = () => partitions.map(id => configurations.row(id))
  const isWhole = () =>
    rows().every(row => row?.replicas.length === 1) && new Set(rows().map(row => row?.owner)).size === 2
  t.ok(await world.run(40_000, isWhole), 'both lead, both have copies')

  /** How often a node looks at its partitions: each look asks for the members. */
  const looksIn = async (ms: number) => {
    let looks = 0
    const { peers } = first
    if (!peers) throw new Error('it runs')
    const members = peers.members.bind(peers)
    peers.members = () => {
      looks += 1
      return members()
    }
    await world.run(ms)
    peers.members = members
    return looks
  }
  await world.run(35_000)
  const before = await looksIn(5_000)
  const epochs = rows().map(row => row?.epoch)

  isRefusing = true
  network.cut(first.id, second.id)
  network.cut(second.id, first.id)
  t.ok(await world.run(5_000, () => refused > 0), 'the silent one should be removed')
  network.heal()
  await world.run(300)
  isRefusing = false
  await world.run(3_000)
  t.same(
    rows().map(row => row?.epoch),
    epochs,
    'no row has changed',
  )
  const after = await looksIn(5_000)
  t.ok(after <= before * 1.5, `${before} looks in 5 s before, ${after} after`)

  // It is removed all the same when it is silent for good.
  cluster.crash(second)
  t.ok(await world.run(10_000, () => rows().every(row => row?.owner === first.storeId)))
  t.ok(await world.run(2_000, () => rows().every(row => row?.replicas.length === 0)))
  t.same(world.problems, [])
})
