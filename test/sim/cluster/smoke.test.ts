/** Three nodes, founded one after another: copies, placement, and operations that outlive the crash of any node. */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import type { AppendReply, ListState } from './list-kind.js'
import { type Placements, SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

const placements: Placements = new Map()

async function append(cluster: SimCluster, via: SimNode, key: EntityKey, id: string): Promise<number> {
  let reply: AppendReply | undefined
  let failure: unknown
  via.partitions?.send<AppendReply>(key, { type: 'append', id }, { deadlineMs: 5_000 }).then(
    answer => {
      reply = answer
    },
    error => {
      failure = error
    },
  )
  await cluster.world.run(6_000, () => reply !== undefined || failure !== undefined)
  if (reply === undefined) throw failure ?? new Error('no answer')
  return reply.index
}

async function read(cluster: SimCluster, via: SimNode, key: EntityKey): Promise<readonly string[]> {
  let state: ListState | undefined
  via.partitions?.send<ListState>(key, { type: 'read' }, { deadlineMs: 5_000 }).then(
    answer => {
      state = answer
    },
    () => undefined,
  )
  await cluster.world.run(6_000, () => state !== undefined)
  return state?.ids ?? []
}

/** Looks twice a second, for 90 s. */
async function eventually(cluster: SimCluster, isDone: () => boolean): Promise<boolean> {
  for (let left = 180; left > 0 && !isDone(); left -= 1) await cluster.world.run(500)
  return isDone()
}

const isPlaced = (cluster: SimCluster) => {
  const { rows } = cluster.configurations.truth
  const names = cluster.nodes.filter(node => node.isAlive).map(node => node.id)
  const placement = placements.get(`2 ${names.join()}`)
  return cluster.ids.every(partition => {
    const row = rows.get(partition)
    if (!row || !placement) return false
    const holders = [row.owner, ...row.replicas].map(store => cluster.nodeOf(store)?.id)
    return holders.join() === placement[partition]?.join()
  })
}

t.test('three nodes reach their placement, and any of them may die', async t => {
  const world = new World(1)
  const cluster = new SimCluster({ world, nodes: 3, factor: 2, placements })
  const keys = Array.from({ length: 20 }, (_, index): EntityKey => `list:${index}`)
  const [first, second, third] = cluster.nodes as [SimNode, SimNode, SimNode]
  cluster.start(first)
  t.ok(await world.run(10_000, () => first.isReady), 'the first node founds the cluster')
  for (const key of keys) t.equal(await append(cluster, first, key, 'one'), 0)
  cluster.start(second)
  t.ok(await world.run(10_000, () => second.isReady), 'the second node joins')
  const hasCopies = () =>
    cluster.ids.every(partition => cluster.configurations.row(partition)?.replicas.length === 1)
  t.ok(await world.run(30_000, hasCopies), 'every partition has two copies')
  t.comment(`at ${world.nowMs} ms, ${world.events} events`)
  cluster.start(third)
  t.ok(await world.run(10_000, () => third.isReady), 'the third node joins')
  for (const key of keys) t.equal(await append(cluster, third, key, 'two'), 1)
  t.ok(await eventually(cluster, () => isPlaced(cluster)), 'partitions live where they are placed')
  t.comment(`at ${world.nowMs} ms, ${world.events} events`)
  for (const [round, node] of cluster.nodes.entries()) {
    const via = cluster.nodes[(round + 1) % 3] as SimNode
    cluster.crash(node)
    for (const [index, key] of keys.entries()) {
      if (index % 3 !== round) continue
      t.same(await read(cluster, via, key), ['one', 'two'], 'what was acknowledged is there')
      t.equal(await append(cluster, via, key, `three-${round}`), 2)
    }
    cluster.start(node)
    t.ok(await world.run(10_000, () => node.isReady))
    t.ok(await eventually(cluster, hasCopies), 'every partition has two copies again')
  }
  t.same(world.problems, [])
  t.comment(`at ${world.nowMs} ms, ${world.events} events`)
})
