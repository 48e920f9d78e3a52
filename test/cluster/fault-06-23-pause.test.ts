/**
 * Rows 6 and 23 of the fault matrix: a node stands still, for as long as an event loop may stall, and for ten seconds.
 * What it led goes on elsewhere; when it wakes up, what it still believes to lead is not believed by anybody.
 */
import t from 'tap'
import { RingRig } from './ring-rig.js'

t.setTimeout(300_000)

const stallMs = 700
const pauseMs = 10_000
/** Of which 1.5 s are the silence that is waited for. */
const goesOnMsMax = 3_000
const pause = (delayMs: number): Promise<void> => new Promise(resolve => setTimeout(resolve, delayMs))

// It measures time, which a machine that runs other tests beside it does not have.
const skip = process.env.TEST_LONG === undefined && 'a part of npm run test:long'

t.test('rows 6 and 23: a node that holds no sockets stands still', { timeout: 280_000, skip }, async t => {
  const rig = await RingRig.start(3, { versions: ['2.0.0', '0.38.0'] })
  t.teardown(() => rig.stop())
  const { cluster } = rig
  for (const [index, host] of rig.hosts.entries()) {
    host.balancer.prefer(1 + (index % 2))
    host.balancer.cut()
    for (const owner of [0, 0, 1, 2])
      for (const edge of [1, 2]) await rig.run({ host, mode: 'prompt', owner, edge, thinkMs: 100 })
  }
  await rig.allGoOn()

  const before = await cluster.owners()
  for (let stall = 0; stall < 5; stall++) {
    cluster.node(0).freeze(true)
    await pause(stallMs)
    cluster.node(0).freeze(false)
    await rig.allGoOn()
  }
  const kept = (await cluster.owners()).filter((owner, partition) => owner === 0 && before[partition] === 0)
  const led = before.filter(owner => owner === 0).length
  t.equal(kept.length, led, `5 stalls of ${stallMs} ms: it leads what it led, ${led} partitions`)

  await cluster.covered()
  const frozenAtMs = Date.now()
  cluster.node(0).freeze(true)
  await rig.allGoOn()
  const goneOnMs = Date.now() - frozenAtMs
  t.ok(goneOnMs < goesOnMsMax, `all ${rig.runs.length} runs went on ${goneOnMs} ms after it stood still`)
  await pause(Math.max(0, pauseMs - goneOnMs))
  cluster.node(0).freeze(false)
  const wokenAtMs = Date.now()
  const status = await cluster.status(0)
  t.comment(
    `woken: status after ${Date.now() - wokenAtMs} ms, it leads ${status.partitions.filter(({ serving }) => serving).length}`,
  )
  await rig.allGoOn()
  await cluster.covered()
  t.match(cluster.node(0).output, /./, 'it lives')
  const lost = rig.runs.filter(run => run.browser.lostAtMs.length > 0)
  t.equal(lost.length, 0, 'no window on another node has lost its connection')
  const leaders = await cluster.owners()
  t.notOk(leaders.includes(null), 'each partition is served by one node')
  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
  t.comment(`${rig.answers} answers; asked again: ${JSON.stringify(rig.refusals())}`)
})
