/**
 * Row 22 of the fault matrix: nodes join, leave and die all the time, and a cluster grows from three to ten and shrinks
 * again, while runs go on. No answer is lost or arrives twice, and no more partitions move than a new node must get.
 */
import t from 'tap'
import { ownersMax } from '../../lib/ring/index.js'
import { Random } from '../sim/random.js'
import { RingRig } from './ring-rig.js'

t.setTimeout(3_600_000)

const isLong = process.env.TEST_LONG !== undefined
const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
const changes = Number(process.env.TEST_ROUNDS ?? (isLong ? 100 : 4))
const nodesMin = 3
const nodesMax = 5
const scaledTo = 10
// It takes minutes.
const skip = !isLong && 'a part of npm run test:long'
const partitions = 256
/** Of the least that can move. */
const movedShareMax = 1.05
const versions = ['2.0.0', '0.38.0'] as const

async function start(): Promise<RingRig> {
  const rig = await RingRig.start(nodesMin, { versions })
  await rig.load(200)
  await rig.allGoOn()
  return rig
}

t.test(`${changes} changes: nodes join, leave and die, seed ${seed}`, async t => {
  const rig = await start()
  t.teardown(() => rig.stop())
  const { cluster } = rig
  const random = new Random(seed)
  const counts = { joined: 0, came: 0, left: 0, died: 0 }
  for (let change = 0; change < changes; change++) {
    const numbers = cluster.servers.map((_server, index) => index)
    const running = numbers.filter(index => cluster.node(index).isRunning)
    const away = numbers.filter(index => !cluster.node(index).isRunning)
    const isLess = running.length >= nodesMax || (running.length > nodesMin && random.chance(0.5))
    if (isLess) {
      const isDeath = random.chance(0.5)
      await cluster.node(random.pick(running)).kill(isDeath ? 'SIGKILL' : 'SIGTERM')
      counts[isDeath ? 'died' : 'left'] += 1
    } else if (cluster.servers.length < 2 * nodesMin && (away.length === 0 || random.chance(0.5))) {
      await rig.grow()
      counts.joined += 1
    } else {
      await cluster.node(random.pick(away)).run()
      counts.came += 1
    }
    await rig.allGoOn()
    await cluster.covered()
  }
  t.pass(`all ${rig.runs.length} runs went on after each: ${JSON.stringify(counts)}`)
  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(`${rig.answers} answers; asked again: ${JSON.stringify(rig.refusals())}`)
})

t.test(`from ${nodesMin} nodes to ${scaledTo} and back`, { skip }, async t => {
  const rig = await start()
  t.teardown(() => rig.stop())
  const { cluster } = rig
  let before = await cluster.owners()
  for (let count = nodesMin + 1; count <= scaledTo; count++) {
    const sinceMs = Date.now()
    await rig.grow()
    await cluster.settled(count)
    const settledMs = Date.now() - sinceMs
    const after = await cluster.owners()
    const moved = after.filter((owner, partition) => owner !== before[partition]).length
    // Its share, and what others must let go of that have more than they may.
    const forced = cluster.servers
      .map((_server, index) => before.filter(owner => owner === index).length - ownersMax(count))
      .reduce((sum, excess) => sum + Math.max(0, excess), 0)
    const bound = movedShareMax * (Math.ceil(partitions / count) + forced)
    t.ok(
      moved <= bound,
      `${count} nodes after ${settledMs} ms: ${moved} partitions moved, of ${bound.toFixed(0)}`,
    )
    before = after
    await rig.allGoOn()
  }
  for (let count = scaledTo - 1; count >= nodesMin; count--) {
    await cluster.node(count).kill('SIGTERM')
    await rig.allGoOn()
    await cluster.settled(count)
    t.pass(`${count} nodes`)
  }
  t.same(rig.refusals(), {}, 'no answer failed')
  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(`${rig.answers} answers`)
})
