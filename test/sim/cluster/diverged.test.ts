/** A follower that holds something else, while its removal cannot be written down. */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { AppendAnswer } from '../../../lib/partitions/replication.js'
import { SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

t.setTimeout(120_000)

const keys = Array.from({ length: 8 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

t.test('it is removed when Postgres is back, and not asked for at each of its answers', async t => {
  const cluster = new SimCluster({
    world: new World(11),
    nodes: 2,
    factor: 2,
    partitions,
    placements: new Map(),
  })
  const { configurations, world } = cluster
  const [first] = cluster.nodes as [SimNode, SimNode]
  let swaps = 0
  const connect = configurations.connect.bind(configurations)
  configurations.connect = life => {
    const connection = connect(life)
    return {
      ...connection,
      swap: changes => {
        swaps += 1
        return connection.swap(changes)
      },
    }
  }
  for (const node of cluster.nodes) {
    cluster.start(node)
    t.ok(await world.run(10_000, () => node.isReady), `${node.id} starts`)
  }
  const rows = () => partitions.map(id => configurations.row(id))
  const isWhole = () => rows().every(row => row?.replicas.length === 1)
  t.ok(await world.run(60_000, () => isWhole() && new Set(rows().map(row => row?.owner)).size === 2))
  await world.run(2_000)

  const { peers } = first
  if (!peers) throw new Error('it runs')
  let isOther = true
  let answers = 0
  const call = peers.call.bind(peers)
  peers.call = async (to, kind, body, deadlineMs) => {
    const reply = await call(to, kind, body, deadlineMs)
    if (kind !== 'append' || !isOther) return reply
    answers += 1
    const said = JSON.parse(reply.toString()) as AppendAnswer[]
    return Buffer.from(JSON.stringify(said.map(answer => ({ ...answer, chain: { high: 1, low: 1 } }))))
  }
  const key = keys.find(key => configurations.row(partitionOf(key))?.owner === first.storeId)
  const running = first.partitions
  if (!key || !running) throw new Error('the first leads one')
  configurations.faults.isAway = true
  swaps = 0
  let acked = 0
  for (let at = 0; at < 40; at += 1) {
    running.send(key, { type: 'append', id: `i${at}` }, { deadlineMs: 30_000 }).then(
      () => {
        acked += 1
      },
      () => undefined,
    )
    await world.run(50)
  }
  t.ok(answers >= 20, `${answers} answers showed it`)
  t.ok(swaps <= 4, `${swaps} changes were asked for`)
  t.equal(acked, 0, 'nothing is acknowledged without it')

  configurations.faults.isAway = false
  t.ok(await world.run(5_000, () => acked === 40), 'it is removed, and what waited is acknowledged')
  isOther = false
  t.ok(await world.run(10_000, isWhole), 'and gets a fresh copy')
  t.same(world.problems, [])
})
