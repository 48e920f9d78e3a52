/**
 * A planned restart: a node hands its partitions over while everybody writes. Nothing fails, and no session stands still
 * for longer than 250 ms. (Time is virtual: a message takes 2 ms at most, a statement 3, a write 2.)
 */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { partitionOf } from '../../../lib/partitions/index.js'
import type { AppendReply } from './list-kind.js'
import { type Placements, SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

const placements: Placements = new Map()
const isLong = process.env.TEST_LONG !== undefined
const pauseMsMax = 250
const keys = Array.from({ length: 16 }, (_, index): EntityKey => `list:${index}`)
const partitions = [...new Set(keys.map(key => partitionOf(key)))]

t.setTimeout(120_000)

for (const nodes of isLong ? [2, 3, 5] : [3]) {
  t.test(`${nodes} nodes, each told to stop once, under load`, async t => {
    const world = new World(nodes)
    world.isCalm = true
    const cluster = new SimCluster({ world, nodes, factor: 2, partitions, placements })
    for (const node of cluster.nodes) {
      cluster.start(node)
      await world.run(10_000, () => node.isReady)
    }
    const hasCopies = () =>
      partitions.every(id => {
        const row = cluster.configurations.row(id)
        return row?.replicas.length === 1
      })
    const ledBy = (node: SimNode) =>
      partitions.filter(id => cluster.configurations.row(id)?.owner === node.storeId).length
    const isSpread = () => hasCopies() && cluster.nodes.every(node => ledBy(node) > 0)
    const eventually = async (isDone: () => boolean): Promise<boolean> => {
      for (let left = 180; left > 0 && !isDone(); left -= 1) await world.run(500)
      return isDone()
    }
    t.ok(await eventually(isSpread), 'all have a part')

    let leaving: SimNode | undefined
    let slowestMs = 0
    let answers = 0
    const failures: string[] = []
    let isWriting = true
    const write = async (key: EntityKey): Promise<void> => {
      for (let count = 0; isWriting; count += 1) {
        await world.wait(isLong ? 30 : 120)
        const open = cluster.nodes.filter(node => node !== leaving && node.isReady)
        const via = open[count % open.length]
        const sentMs = world.nowMs
        await new Promise<void>(resolve => {
          world.schedule(
            0,
            () =>
              via?.partitions
                ?.send<AppendReply>(key, { type: 'append', id: `${key}-${count}` }, { deadlineMs: 5_000 })
                .then(
                  () => {
                    answers += 1
                    slowestMs = Math.max(slowestMs, world.nowMs - sentMs)
                  },
                  (error: unknown) => failures.push(String(error)),
                )
                .finally(resolve),
            via?.life,
          )
        })
      }
    }
    const writers = keys.map(key => write(key))
    await world.run(500)
    t.comment(`before: slowest ${Math.round(slowestMs)} ms`)
    for (const node of cluster.nodes) {
      slowestMs = 0
      const led = ledBy(node)
      // Its sockets go elsewhere; here they have gone before.
      leaving = node
      await world.run(100)
      const startedMs = world.nowMs
      cluster.leave(node)
      t.ok(await world.run(9_500, () => !node.isAlive), 'it ends by itself')
      t.equal(ledBy(node), 0, 'it leads nothing any more')
      const tookMs = world.nowMs - startedMs
      await world.run(1_000)
      t.ok(
        slowestMs <= pauseMsMax,
        `${led} partitions in ${Math.round(tookMs)} ms, slowest answer ${Math.round(slowestMs)} ms`,
      )
      cluster.start(node)
      leaving = undefined
      t.ok(await eventually(isSpread), 'it is back, and has a part again')
      t.ok(slowestMs <= pauseMsMax, `slowest answer until it was back ${Math.round(slowestMs)} ms`)
    }
    isWriting = false
    let isOver = false
    void Promise.all(writers).then(() => {
      isOver = true
    })
    await world.run(6_000, () => isOver)
    t.same(failures, [])
    t.same(world.problems, [])
    t.comment(`${answers} answers`)
  })
}
