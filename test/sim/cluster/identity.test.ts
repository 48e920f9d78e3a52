/**
 * Who a node is. A data directory is more than its files: of several copies only the newest may speak for what was
 * acknowledged, in its own cluster alone. What can go wrong: an older copy is put back, a copy is started beside its
 * living original, a node is pointed at another database, or started by itself for a while.
 */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import type { StoreId } from '../../../lib/partitions/configuration.js'
import { openPartitions, partitionOf } from '../../../lib/partitions/index.js'
import { metaKey } from '../../../lib/partitions/keys.js'
import type { ListMessage } from './list-kind.js'
import { type Placements, SimCluster, SimNode } from './sim-cluster.js'
import { SimDisk } from './sim-disk.js'
import { Life, World } from './world.js'

const placements: Placements = new Map()
const keys = Array.from({ length: 12 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

t.setTimeout(120_000)

/** A cluster in which every node leads something and every partition has two copies. */
async function make(seed: number, nodes: number): Promise<SimCluster> {
  const world = new World(seed)
  world.isCalm = true
  const cluster = new SimCluster({ world, nodes, factor: 2, partitions, placements })
  for (const node of cluster.nodes) {
    cluster.start(node)
    await world.run(10_000, () => node.isReady)
  }
  const isSpread = () =>
    new Set(partitions.map(id => cluster.configurations.row(id)?.owner)).size === nodes &&
    partitions.every(id => cluster.configurations.row(id)?.replicas.length === 1)
  for (let left = 80; left > 0 && !isSpread(); left -= 1) await world.run(500)
  await world.run(500)
  return cluster
}

/** The answer of a node, or the code of the error. */
async function ask(
  cluster: SimCluster,
  via: SimNode,
  key: EntityKey,
  message: ListMessage,
): Promise<unknown> {
  const { world } = cluster
  let answer: unknown
  world.schedule(0, () => {
    if (!via.partitions) answer = 'not running'
    via.partitions?.send(key, message, { deadlineMs: 6_000 }).then(
      reply => {
        answer = reply
      },
      (error: unknown) => {
        answer = String(error)
      },
    )
  })
  await world.run(7_000, () => answer !== undefined)
  return answer
}

/** A key whose partition `node` leads. */
function keyLedBy(cluster: SimCluster, node: SimNode): EntityKey {
  const key = keys.find(name => cluster.configurations.row(partitionOf(name))?.owner === node.storeId)
  if (key === undefined) throw new Error(`${node.id} leads nothing`)
  return key
}

function two(cluster: SimCluster): [SimNode, SimNode] {
  const [a, b] = cluster.nodes
  if (!a || !b) throw new Error('two nodes are needed')
  return [a, b]
}

t.test('an older copy of a directory is refused after all nodes have left in order', async t => {
  const cluster = await make(4, 2)
  const { world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  const restart = async (node: SimNode) => {
    cluster.crash(node)
    const content = new Map(node.content)
    cluster.start(node)
    await world.run(15_000, () => node.isReady)
    await world.run(8_000)
    return content
  }
  const backup = await restart(b)
  await restart(b)
  t.match(await ask(cluster, a, key, { type: 'append', id: 'after the backup' }), { index: 0 })
  await world.run(500)
  for (const node of [a, b]) cluster.leave(node)
  t.ok(await world.run(20_000, () => !a.isAlive && !b.isAlive), 'both have left')
  t.equal(cluster.configurations.truth.registry.size, 0, 'neither counts for a majority')

  b.content = backup
  cluster.start(b)
  await world.run(30_000, () => b.isReady)
  t.notOk(b.isReady, 'the older copy does not start, however often it is tried')
  cluster.start(a)
  await world.run(20_000, () => a.isReady)
  await world.run(5_000)
  t.match(await ask(cluster, a, key, { type: 'read' }), { ids: ['after the backup'] }, 'nothing is gone')
  t.same(world.problems, [])
})

t.test('a member that answered a starting leader and was wiped since is not named', async t => {
  const cluster = await make(9, 2)
  const { configurations, world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  const partition = partitionOf(key)
  t.match(await ask(cluster, a, key, { type: 'append', id: 'acknowledged' }), { index: 0 })
  let isRefusing = true
  let asked = ''
  configurations.aroundSwap = async (_life, changes, swap) => {
    asked = changes.find(change => change.partition === partition)?.owner ?? asked
    if (isRefusing) throw new AppError('unavailable')
    return await swap(changes)
  }
  // The follower has one commit more: it was written there, and on its way to the disk here.
  configurations.faults.awayFrom.add(b.id)
  const { disk } = a
  if (!disk) throw new Error('it runs')
  disk.write = () => new Promise(() => undefined)
  world.schedule(0, () => {
    a.partitions?.send(key, { type: 'append', id: 'never acknowledged' }).catch(() => undefined)
  })
  await world.run(50)
  cluster.crash(a)
  cluster.start(a)
  const followerStore = b.storeId
  t.ok(await world.run(10_000, () => asked === followerStore), 'it wants the follower to lead')
  cluster.crash(b)
  cluster.wipe(b)
  configurations.faults.awayFrom.delete(b.id)
  cluster.start(b)
  await world.run(5_000)
  isRefusing = false
  t.ok(await world.run(10_000, () => a.isReady && b.isReady), 'both start')
  t.match(await ask(cluster, b, key, { type: 'read' }), { ids: ['acknowledged'] })
  t.same(world.problems, [])
})

t.test('who starts does not wait for a store that its node has no more', async t => {
  const cluster = await make(8, 2)
  const { configurations, world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  t.match(await ask(cluster, a, key, { type: 'append', id: 'acknowledged' }), { index: 0 })
  const wiped = b.storeId
  cluster.crash(a)
  cluster.crash(b)
  cluster.wipe(b)
  cluster.start(b)
  const isBack = () => configurations.truth.registry.get(b.id)?.storeId !== wiped
  t.ok(await world.run(10_000, isBack), 'it is registered with another store')
  cluster.start(a)
  const sinceMs = world.nowMs
  t.ok(await world.run(10_000, () => a.isReady))
  t.ok(world.nowMs - sinceMs < 2_000, `it takes ${Math.round(world.nowMs - sinceMs)} ms`)
  t.match(await ask(cluster, b, key, { type: 'read' }), { ids: ['acknowledged'] })
  t.same(world.problems, [])
})

t.test('a node in whose place another is registered while it starts does not stay half started', async t => {
  const cluster = await make(7, 2)
  const { configurations, world } = cluster
  const { truth } = configurations
  const [, b] = two(cluster)
  cluster.crash(b)
  const before = truth.registry.get(b.id)
  if (!before) throw new Error('it was registered')
  cluster.wipe(b)
  // What a life before has asked of the database is carried out late, when this one has looked for the first time.
  let isLate = true
  const { onRead } = configurations
  configurations.onRead = (life, rows) => {
    onRead?.(life, rows)
    const registered = truth.registry.get(b.id)
    if (!isLate || life !== b.life || !registered || registered.storeId === before.storeId) return
    isLate = false
    void truth.register({ ...registered, storeId: 'of a life before' as StoreId, boot: 1 }, new Map())
  }
  cluster.start(b)
  await world.run(10_000, () => b.isReady)
  t.notOk(isLate, 'it happened')
  const hasCopies = () => partitions.every(id => configurations.row(id)?.replicas.length === 1)
  t.ok(await world.run(20_000, hasCopies), 'it has started anew, and holds copies again')
  t.equal(truth.registry.get(b.id)?.storeId, b.storeId)
  t.same(world.problems, [])
})

/** A node as it would be in a copy of its directory made while it runs. */
function copyOf(node: SimNode): SimNode {
  const copy = new SimNode(node.id, 0)
  copy.content = new Map(node.durable)
  return copy
}

t.test('a copy of a running directory is refused, also when the original has gone', async t => {
  const cluster = await make(5, 2)
  const { world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  t.match(await ask(cluster, b, key, { type: 'append', id: 'before' }), { index: 0 })
  const copy = copyOf(a)
  cluster.start(copy)
  await world.run(10_000)
  t.notOk(copy.isReady, 'it does not start')
  t.ok(a.isReady && a.isAlive, 'the original goes on')
  t.match(await ask(cluster, b, key, { type: 'append', id: 'after' }), { index: 1 })
  cluster.leave(a)
  await world.run(30_000)
  t.notOk(copy.isReady, 'nor when the original has left')
  t.match(await ask(cluster, b, key, { type: 'read' }), { ids: ['before', 'after'] })
  t.same(world.problems, [])
})

t.test('of two copies that cannot reach each other one ends, and nothing acknowledged is gone', async t => {
  const cluster = await make(6, 2)
  const { network, world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  t.match(await ask(cluster, b, key, { type: 'append', id: 'before' }), { index: 0 })
  const copy = copyOf(a)
  network.areDuplicatesApart = true
  t.match(await ask(cluster, b, key, { type: 'append', id: 'after the copy' }), { index: 1 })
  cluster.start(copy)
  t.ok(await world.run(3_000, () => !a.isAlive), 'the original ends')
  t.ok(await world.run(15_000, () => copy.isReady), 'the copy is the node now')
  await world.run(5_000)
  t.match(await ask(cluster, b, key, { type: 'append', id: 'at last' }), { index: 2 })
  t.match(await ask(cluster, copy, key, { type: 'read' }), { ids: ['before', 'after the copy', 'at last'] })
  network.areDuplicatesApart = false
  cluster.start(a)
  await world.run(20_000)
  t.notOk(a.isReady, 'the original does not come back')
  t.same(world.problems, [])
})

t.test('a member of a cluster founds no other one in an empty database', async t => {
  const cluster = await make(7, 2)
  const { world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  t.match(await ask(cluster, b, key, { type: 'append', id: 'mine' }), { index: 0 })
  for (const node of [a, b]) cluster.crash(node)
  const { registry, rows, stores } = cluster.configurations.truth
  const kept = new Map(rows)
  for (const table of [stores, registry, rows]) table.clear()
  cluster.start(a)
  await world.run(20_000)
  t.notOk(a.isReady)
  t.equal(rows.size, 0, 'nothing is founded')
  for (const [partition, row] of kept) rows.set(partition, row)
  cluster.start(b)
  t.ok(await world.run(20_000, () => a.isReady && b.isReady), 'with the right database it goes on')
  t.match(await ask(cluster, b, key, { type: 'read' }), { ids: ['mine'] })
  t.same(world.problems, [])
})

/** Starts a node alone on what another has on its disk; resolves with what became of it. */
async function startAlone(cluster: SimCluster, node: SimNode): Promise<string> {
  const { world } = cluster
  const life = new Life(world, 'alone', 0)
  const disk = new SimDisk(world, life, node.content)
  let outcome = ''
  openPartitions({
    storage: { backend: 'leveldown', path: 'unused' },
    disk,
    clock: life.clock,
    random: () => world.random.next(),
    log: silentLog,
  }).then(
    () => {
      outcome = 'opened'
    },
    (error: unknown) => {
      outcome = String(error)
    },
  )
  await world.run(10_000, () => outcome !== '')
  life.end()
  node.content = new Map(disk.crash())
  return outcome
}

t.test('a member of a cluster does not start alone', async t => {
  const cluster = await make(8, 2)
  const { world } = cluster
  const [a, b] = two(cluster)
  const key = keyLedBy(cluster, a)
  t.match(await ask(cluster, b, key, { type: 'append', id: 'first' }), { index: 0 })
  for (const node of [a, b]) cluster.crash(node)
  for (let tries = 3; tries > 0; tries -= 1) t.match(await startAlone(cluster, b), 'one node of a cluster')
  for (const node of [a, b]) cluster.start(node)
  t.ok(await world.run(20_000, () => a.isReady && b.isReady))
  t.match(
    await ask(cluster, b, key, { type: 'append', id: 'second' }),
    { index: 1 },
    'it has changed nothing',
  )
  t.same(world.problems, [])
})

for (const isLate of [false, true]) {
  t.test(
    `a follower that has promised a later epoch than its row is led above that${isLate ? ', also when it comes late' : ''}`,
    async t => {
      const cluster = await make(9, 2)
      const { world } = cluster
      const [a, b] = two(cluster)
      const key = keyLedBy(cluster, a)
      t.match(await ask(cluster, b, key, { type: 'append', id: 'first' }), { index: 0 })
      await world.run(500)
      for (const node of [a, b]) cluster.crash(node)
      // As an earlier version has let happen: it was started alone.
      const noted = b.content.get(metaKey('cluster'))
      for (let times = 6; times > 0; times -= 1) {
        b.content = new Map([...b.content].filter(([name]) => name !== metaKey('cluster')))
        t.equal(await startAlone(cluster, b), 'opened')
      }
      if (noted) b.content = new Map([...b.content, [metaKey('cluster'), noted]])
      cluster.start(a)
      if (isLate) t.ok(await world.run(20_000, () => a.isReady), 'the leader goes on alone')
      cluster.start(b)
      t.ok(await world.run(20_000, () => a.isReady && b.isReady))
      const isFull = () => partitions.every(id => cluster.configurations.row(id)?.replicas.length === 1)
      t.match(await ask(cluster, b, key, { type: 'append', id: 'second' }), { index: 1 })
      t.ok(await world.run(20_000, isFull), 'both have everything')
      t.match(await ask(cluster, a, key, { type: 'append', id: 'third' }), { index: 2 })
      t.same(world.problems, [])
    },
  )
}
