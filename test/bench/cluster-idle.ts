/** What a ring costs when nothing happens, and how evenly it is placed. */
import type { NodeId } from '../../lib/ids.js'
import { place } from '../../lib/ring/index.js'
import { TestCluster } from '../support/cluster.js'
import { TestServer } from '../support/server.js'
import { pause, print, processorMs } from './figures.js'

/** Until the engine has compiled what is met again and again. */
const settleMs = 60_000
const measuredMs = 20_000

async function idlePercent(pids: readonly number[]): Promise<number> {
  const used = () => pids.reduce((sum, pid) => sum + processorMs(pid), 0)
  const before = used()
  const startedAtMs = performance.now()
  await pause(measuredMs)
  return ((used() - before) / (performance.now() - startedAtMs) / pids.length) * 100
}

/** Processor of a node among three, of which nobody wants anything; the reference is a node alone. */
export async function gossipIdle(): Promise<void> {
  const alone = await TestServer.start()
  await pause(settleMs)
  const reference = await idlePercent([alone.pid])
  await alone.stop()
  const cluster = await TestCluster.start(3)
  await pause(settleMs)
  const value = await idlePercent(cluster.servers.map(server => server.pid))
  await cluster.stop()
  print({ name: 'gossip-idle', value, unit: '% of a core', reference, target: 'value <= 2' })
}

/** Owners per node, and partitions that get another owner when a node joins; reference: the mean, and an equal share. */
export async function owners(): Promise<void> {
  for (const count of [3, 5, 10]) {
    const members = Array.from({ length: count }, (_, index) => `node-${index}` as NodeId)
    const before = place(members, { factor: 2 })
    const after = place([...members, 'node-joining' as NodeId], { factor: 2, current: before })
    const held = members.map(member => before.filter(([owner]) => owner === member).length)
    print({
      name: `owners-${count}`,
      value: Math.max(...held),
      unit: 'partitions of the busiest node',
      reference: before.length / count,
      target: 'ratio <= 1.15',
    })
    const moved = before.filter(([owner], partition) => after[partition]?.[0] !== owner).length
    const joined = after.filter(([owner]) => owner === 'node-joining').length
    print({
      name: `owners-${count}-moved`,
      value: moved,
      unit: `partitions with another owner when one joins; it gets ${joined}, the cap forces ${moved - joined}`,
      reference: Math.ceil(before.length / (count + 1)),
      target: 'value <= reference + those the cap forces',
    })
  }
}
