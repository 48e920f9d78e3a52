/**
 * A node that is cut off from the others and from Postgres: what browsers write is refused within seconds, what hosts
 * say is held, and when it is back everything goes on. And the last of three nodes, alone with Postgres.
 */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import type { EntityKey } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { AppendReply } from './list-kind.js'
import { type Placements, SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

const placements: Placements = new Map()
const keys = Array.from({ length: 24 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]
/** What a browser asks for, and what a host says. */
const browser = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
const host = {}

interface Outcome {
  settledAtMs?: number
  index?: number
  code?: string
}

function append(cluster: SimCluster, via: SimNode, key: EntityKey, id: string, options: object): Outcome {
  const outcome: Outcome = {}
  const { world } = cluster
  via.partitions?.send<AppendReply>(key, { type: 'append', id }, options).then(
    reply => Object.assign(outcome, { settledAtMs: world.nowMs, index: reply.index }),
    (error: unknown) =>
      Object.assign(outcome, {
        settledAtMs: world.nowMs,
        code: error instanceof AppError ? error.code : String(error),
      }),
  )
  return outcome
}

async function threeNodes(seed: number, copiesMin = 1): Promise<SimCluster> {
  const world = new World(seed)
  const cluster = new SimCluster({ world, nodes: 3, factor: 2, partitions, placements, copiesMin })
  for (const node of cluster.nodes) {
    cluster.start(node)
    await world.run(10_000, () => node.isReady)
  }
  const owners = () => new Set(partitions.map(partition => cluster.configurations.row(partition)?.owner))
  const hasCopies = () => partitions.every(id => cluster.configurations.row(id)?.replicas.length === 1)
  for (let left = 60; left > 0 && !(owners().size === 3 && hasCopies()); left -= 1) await world.run(500)
  await world.run(500)
  return cluster
}

function isolate(cluster: SimCluster, node: SimNode): void {
  for (const other of cluster.nodes) {
    if (other === node) continue
    cluster.network.cut(node.id, other.id)
    cluster.network.cut(other.id, node.id)
  }
  cluster.configurations.faults.awayFrom.add(node.id)
}

const ledBy = (cluster: SimCluster, node: SimNode) =>
  keys.find(key => cluster.configurations.row(partitionOf(key))?.owner === node.storeId) ?? 'list:0'

t.test('a node cut off refuses browsers with a code, holds hosts, and goes on', async t => {
  const cluster = await threeNodes(7)
  const { world } = cluster
  const [first, second] = cluster.nodes as [SimNode, SimNode, SimNode]
  const own = ledBy(cluster, first)
  const foreign = ledBy(cluster, second)
  isolate(cluster, first)
  const startedMs = world.nowMs
  const written = append(cluster, first, own, 'from-browser', browser)
  const forwarded = append(cluster, first, foreign, 'from-browser-to-another', browser)
  const said = append(cluster, first, own, 'from-host', host)
  await world.run(20_000, () => written.settledAtMs !== undefined && forwarded.settledAtMs !== undefined)
  t.equal(written.code, 'isolated')
  t.equal(forwarded.code, 'isolated')
  const tookMs = Math.max(written.settledAtMs ?? Infinity, forwarded.settledAtMs ?? Infinity) - startedMs
  t.ok(tookMs <= limits.copiesAwayMsMax + 1_000, `refused after ${Math.round(tookMs)} ms`)
  t.equal(said.settledAtMs, undefined, 'the host is held')
  const [again, atOnceMs] = [append(cluster, first, own, 'again', browser), world.nowMs]
  await world.run(1_000, () => again.settledAtMs !== undefined)
  t.equal(again.code, 'isolated')
  t.equal(again.settledAtMs, atOnceMs, 'the next one is refused at once')
  t.same(first.partitions?.cluster?.notReady(), ['isolated'])
  t.ok((first.partitions?.cluster?.refusing ?? 0) > 0, 'the node says how many partitions it refuses')
  const elsewhere = append(cluster, second, own, 'on the larger side', browser)
  await world.run(5_000, () => elsewhere.settledAtMs !== undefined)
  t.ok(elsewhere.index !== undefined, 'the larger side takes writes')
  cluster.configurations.faults.awayFrom.clear()
  cluster.network.heal()
  await world.run(5_000)
  t.same(first.partitions?.cluster?.notReady(), [])
  t.equal(first.partitions?.cluster?.refusing, 0)
  t.not(said.settledAtMs, undefined, 'what the host waits for has come to an end, to be tried again')
  for (const key of [own, foreign]) {
    const later = append(cluster, first, key, `later-${key}`, browser)
    await world.run(2_000, () => later.settledAtMs !== undefined)
    t.ok(later.index !== undefined, 'it takes writes again')
  }
  t.same(world.problems, [])
})

t.test(
  'a node that cannot reach Postgres nor one copy refuses that, and notices when it is back',
  async t => {
    const cluster = await threeNodes(8)
    const { world } = cluster
    const [first] = cluster.nodes as [SimNode, SimNode, SimNode]
    const own = ledBy(cluster, first)
    const replica = cluster.configurations.row(partitionOf(own))?.replicas[0]
    const follower = cluster.nodes.find(node => node.storeId === replica) as SimNode
    cluster.configurations.faults.isAway = true
    cluster.network.cut(first.id, follower.id)
    cluster.network.cut(follower.id, first.id)
    const outcome = append(cluster, first, own, 'one', browser)
    await world.run(20_000, () => outcome.settledAtMs !== undefined)
    t.equal(outcome.code, 'copies-away')
    t.same(first.partitions?.cluster?.notReady(), [], 'it sees two of three, and serves the rest')
    // Longer than anybody goes on asking by itself.
    await world.run(15_000)
    cluster.network.heal()
    const untilMs = world.nowMs + 3_000
    let later: Outcome = {}
    while (later.index === undefined && world.nowMs < untilMs) {
      const attempt = append(cluster, first, own, 'two', browser)
      await world.run(300)
      later = attempt
    }
    t.equal(later.index, 1, 'after the first one, which took effect when the copy was back')
    t.same(world.problems, [])
  },
)

t.test('the last of three says what it serves: isolated only while something is out of reach', async t => {
  const cluster = await threeNodes(9)
  const { world } = cluster
  const [first, second, third] = cluster.nodes as [SimNode, SimNode, SimNode]
  cluster.crash(second)
  await world.run(8_000)
  t.same(first.partitions?.cluster?.notReady(), [], 'two of three are no minority')
  await world.run(20_000)
  cluster.crash(third)
  await world.run(1_000)
  t.same(first.partitions?.cluster?.notReady(), ['isolated'])
  await world.run(9_000)
  t.same(first.partitions?.cluster?.notReady(), [], 'it has taken over everything')
  const outcome = append(cluster, first, 'list:1', 'alone', browser)
  await world.run(1_000, () => outcome.settledAtMs !== undefined)
  t.equal(outcome.index, 0)
  t.same(world.problems, [])
})

t.test('with min-copies 2 nothing is acknowledged by a last copy', async t => {
  const cluster = await threeNodes(10, 2)
  const { world } = cluster
  const [first, second, third] = cluster.nodes as [SimNode, SimNode, SimNode]
  cluster.crash(second)
  await world.run(20_000)
  const two = append(cluster, first, 'list:1', 'two', browser)
  await world.run(2_000, () => two.settledAtMs !== undefined)
  t.equal(two.index, 0, 'two nodes are enough')
  cluster.crash(third)
  await world.run(10_000)
  const refused = append(cluster, first, 'list:1', 'one', browser)
  const held = append(cluster, first, 'list:1', 'held', host)
  await world.run(6_000)
  t.equal(refused.code, 'copies-away')
  t.equal(held.settledAtMs, undefined)
  cluster.start(third)
  await world.run(10_000)
  t.equal(held.index, 1, 'it is acknowledged as soon as there are two copies')
  t.same(world.problems, [])
})
