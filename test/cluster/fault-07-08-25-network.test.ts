/**
 * Rows 7, 8 and 25 of the fault matrix: the network between nodes, each direction of each pair in the hands of the test.
 * A node is cut off, five split into two and three, packets pass one way only, everything is late, connections break all
 * the time, random links are clogged one after another and let go in another order. Each partition is served on one side,
 * the larger one where it has a copy there; whatever happens, no answer that was acknowledged is lost, none arrives twice.
 */
import t from 'tap'
import { Random } from '../sim/random.js'
import { refusal } from '../support/browser-client.js'
import type { Network } from '../support/network.js'
import { SteadyBrowser } from '../support/steady-browser.js'
import { RingRig } from './ring-rig.js'
import type { SteadyRun } from './steady-run.js'

const isLong = process.env.TEST_LONG !== undefined
const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env.TEST_ROUNDS ?? (isLong ? 10 : 1))
const goesOnMsMax = 15_000
/** How long a node stays cut off, so that silence counts as death. */
const cutOffMs = 6_000
const lateMs = Number(process.env.TEST_LATE_MS ?? (isLong ? 600_000 : 20_000))
// They take minutes.
const skip = !isLong && 'a part of npm run test:long'

t.setTimeout(isLong ? 3_600_000 : 300_000)

const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

/** Hosts and windows on these nodes; runs that each of the given nodes leads. */
async function start(count: number, edges: readonly number[], owners: readonly number[]): Promise<RingRig> {
  const rig = await RingRig.start(count, { versions: ['2.0.0', '0.38.0'], hasNetwork: true })
  try {
    for (const [index, host] of rig.hosts.entries()) {
      const node = edges[index % edges.length] ?? 0
      host.balancer.prefer(node)
      if (rig.nodeOf(host) !== node) host.balancer.cut()
      for (const owner of owners)
        for (const edge of edges)
          await rig.run({ host, mode: index === 0 ? 'prompt' : 'log', owner, edge, thinkMs: 100 })
    }
    await rig.allGoOn()
    return rig
  } catch (error) {
    await rig.stop()
    throw error
  }
}

/** What a window on this node is told when it asks for something that another node leads. */
async function refusalAt(rig: RingRig, node: number): Promise<string> {
  const browser = await SteadyBrowser.connect(rig.cluster.node(node).address, rig.cookie)
  try {
    const transactionId = await rig.idLedBy(node === 0 ? 1 : 0)
    return (await refusal(browser.ask('transaction.attach', { transactionId }))).code
  } finally {
    browser.stop()
  }
}

/** No partition is served by two nodes. */
async function servedTwice(rig: RingRig): Promise<number> {
  const statuses = await Promise.all(rig.cluster.servers.map((_server, index) => rig.cluster.status(index)))
  const counts = new Map<number, number>()
  for (const { partitions } of statuses)
    for (const { partition, serving } of partitions)
      if (serving) counts.set(partition, (counts.get(partition) ?? 0) + 1)
  return [...counts.values()].filter(count => count > 1).length
}

/** Heals; resolves with how long it took until all runs had gone on, in ms. */
async function healed(rig: RingRig, network: Network): Promise<number> {
  const healedAtMs = Date.now()
  network.heal()
  await rig.allGoOn()
  const goneOnMs = Date.now() - healedAtMs
  await rig.cluster.covered()
  return goneOnMs
}

t.test('rows 7 and 8: three nodes', { timeout: 3_000_000, skip }, async t => {
  const rig = await start(3, [0, 1], [0, 1, 2])
  t.teardown(() => rig.stop())
  const { cluster } = rig
  const { network } = cluster
  t.comment(`Postgres: ${cluster.postgres.kind}`)

  await t.test(`row 7: one node cut off from the others, ${rounds} times`, async t => {
    for (let round = 0; round < rounds; round++) {
      const leads = (await cluster.owners()).filter(owner => owner === 2).length
      const cutAtMs = Date.now()
      network.split([2], [0, 1])
      await rig.allGoOn(goesOnMsMax)
      const goneOnMs = Date.now() - cutAtMs
      t.pass(`all ${rig.runs.length} runs of the larger side went on after ${goneOnMs} ms; it led ${leads}`)
      await pause(Math.max(0, cutOffMs - goneOnMs))
      if (round === 0) {
        const code = await refusalAt(rig, 2)
        t.match(code, /^(isolated|unavailable)$/, `windows of the smaller side are told ${code}`)
      }
      t.equal(await servedTwice(rig), 0, 'no partition is served on both sides')
      const healMs = await healed(rig, network)
      t.ok(healMs < goesOnMsMax, `whole again, all runs went on after ${healMs} ms`)
      if (round + 1 < rounds) await rig.untilLeads(2, 40)
    }
  })

  await t.test(`row 7: what one node sends is lost, ${rounds} times`, { skip }, async t => {
    for (let round = 0; round < rounds; round++) {
      const cutAtMs = Date.now()
      network.block(2, 0)
      network.block(2, 1)
      await rig.allGoOn(goesOnMsMax)
      t.pass(`all runs went on after ${Date.now() - cutAtMs} ms`)
      await pause(Math.max(0, cutOffMs - (Date.now() - cutAtMs)))
      t.equal(await servedTwice(rig), 0, 'no partition is served twice')
      t.pass(`whole again, all runs went on after ${await healed(rig, network)} ms`)
      if (round + 1 < rounds) await rig.untilLeads(2, 40)
    }
  })

  await t.test('row 7: one direction between two nodes is lost, the third sees both', { skip }, async t => {
    for (const [from, to] of network.pairs) {
      const cutAtMs = Date.now()
      network.block(from, to)
      await pause(cutOffMs)
      t.equal(await servedTwice(rig), 0, 'no partition is served twice')
      const cutMs = Date.now() - cutAtMs
      t.pass(`${from} to ${to} lost for ${cutMs} ms, whole again after ${await healed(rig, network)} ms`)
    }
  })

  await t.test(`row 8: 100 ms each way, ±20, for ${lateMs / 1_000} s`, { skip }, async t => {
    await cluster.settled(3)
    const random = new Random(seed)
    const before = await cluster.owners()
    const { answers } = rig
    network.delay(() => 80 + random.next() * 40)
    const untilMs = Date.now() + lateMs
    while (Date.now() < untilMs) await rig.allGoOn()
    const after = await cluster.owners()
    const moved = after.filter((owner, partition) => owner !== before[partition]).length
    t.equal(moved, 0, `nobody was taken for dead in ${rig.answers - answers} answers`)
    await healed(rig, network)
  })

  await t.test(
    `row 8: a random connection breaks every half second for ${lateMs / 1_000} s`,
    { skip },
    async t => {
      await cluster.settled(3)
      const random = new Random(seed)
      const before = await cluster.owners()
      const { answers } = rig
      let cuts = 0
      const untilMs = Date.now() + lateMs
      while (Date.now() < untilMs) {
        const [from, to] = random.pick(network.pairs)
        network.cut(from, to)
        cuts += 1
        await pause(500)
      }
      await rig.allGoOn()
      const after = await cluster.owners()
      const moved = after.filter((owner, partition) => owner !== before[partition]).length
      t.equal(moved, 0, `${cuts} cuts: nobody was taken for dead in ${rig.answers - answers} answers`)
    },
  )

  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(
    `${rig.answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`,
  )
})

t.test('rows 7 and 25: five nodes', { timeout: 3_000_000, skip }, async t => {
  const rig = await start(5, [2, 3], [0, 1, 2, 3, 4])
  t.teardown(() => rig.stop())
  const { cluster } = rig
  const { network } = cluster

  await t.test(`row 7: two and three, ${rounds} times`, async t => {
    for (let round = 0; round < rounds; round++) {
      await cluster.settled(5)
      const reachable = await runsWithCopyOn(rig, [2, 3, 4])
      const cutAtMs = Date.now()
      network.split([0, 1], [2, 3, 4])
      await rig.goOn(reachable, goesOnMsMax)
      const goneOnMs = Date.now() - cutAtMs
      t.pass(
        `${reachable.length} of ${rig.runs.length} runs have a copy on the larger side: they went on after ${goneOnMs} ms`,
      )
      await pause(Math.max(0, cutOffMs - goneOnMs))
      t.equal(await servedTwice(rig), 0, 'no partition is served on both sides')
      const healMs = await healed(rig, network)
      t.ok(healMs < goesOnMsMax, `whole again, all runs went on after ${healMs} ms`)
    }
  })

  await t.test('row 7: each node reaches two others, no two the same', async t => {
    for (const [from, to] of network.pairs)
      if (Math.abs(from - to) !== 1 && Math.abs(from - to) !== 4) network.block(from, to)
    await pause(cutOffMs * 2)
    t.equal(await servedTwice(rig), 0, 'no partition is served twice')
    t.pass(`whole again, all runs went on after ${await healed(rig, network)} ms`)
  })

  await t.test(`row 25: links clogged one by one and let go in another order, seed ${seed}`, async t => {
    const random = new Random(seed)
    let clogged = 0
    for (let round = 0; round < rounds; round++) {
      const clogs = network.pairs.map(pair => ({ pair, order: random.next(), back: random.next() }))
      const chosen = clogs.sort((a, b) => a.order - b.order).slice(0, 4 + random.below(8))
      for (const { pair } of chosen) {
        network.block(...pair)
        clogged += 1
        await pause(random.next() * 1_000)
      }
      for (const { pair } of chosen.sort((a, b) => a.back - b.back)) {
        network.unblock(...pair)
        await pause(random.next() * 1_000)
      }
      t.pass(`round ${round}: ${chosen.length} links, whole again after ${await healed(rig, network)} ms`)
    }
    t.comment(`${clogged} links clogged in ${rounds} rounds`)
  })

  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(
    `${rig.answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`,
  )
})

/** Runs that can go on with these nodes alone. */
async function runsWithCopyOn(rig: RingRig, nodes: readonly number[]): Promise<SteadyRun[]> {
  const statuses = await Promise.all(rig.cluster.servers.map((_server, index) => rig.cluster.status(index)))
  const side = new Set(nodes.map(node => statuses[node]?.node))
  const reachable = new Set<number>()
  for (const { node, partitions } of statuses)
    for (const { partition, serving, replicas } of partitions)
      if (serving && [node, ...replicas].some(member => side.has(member))) reachable.add(partition)
  return rig.runs.filter(run => reachable.has(rig.partitionOf(run)))
}
