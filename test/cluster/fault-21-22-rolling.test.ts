/**
 * Rows 21 and 22 of the fault matrix: nodes are told to stop one after another and started again, and a fourth one
 * joins, while runs go on all the time. No answer fails, each window is back within moments, nothing is lost.
 * Row 21 also with nodes that speak the protocol of the build before, one after another there and back.
 */
import t from 'tap'
import { eventuallyTrue } from '../support/eventually.js'
import { quantile } from './failover.js'
import { RingRig } from './ring-rig.js'

t.setTimeout(3_600_000)

const isLong = process.env.TEST_LONG !== undefined
const perMode = 12
const backMsMax = 2_000

// It takes minutes.
const skip = !isLong && 'a part of npm run test:long'

t.test(
  'rows 21 and 22: a rolling restart and a fourth node, under load',
  { timeout: 3_000_000, skip },
  async t => {
    const rig = await RingRig.start(3)
    t.teardown(() => rig.stop())
    const { cluster } = rig
    await rig.load(1_000, perMode)
    await rig.allGoOn()
    const live = rig.runs.length

    await t.test(`row 21: SIGTERM to three nodes one after another, ${live} live runs`, async t => {
      for (const index of [0, 1, 2]) {
        const startedAtMs = Date.now()
        await cluster.node(index).kill('SIGTERM')
        const stoppedMs = Date.now() - startedAtMs
        await rig.allGoOn()
        await cluster.node(index).run()
        await cluster.covered()
        await rig.allGoOn()
        t.comment(`node ${index} stopped in ${stoppedMs} ms`)
      }
      const away = rig.runs.flatMap(({ browser }) =>
        browser.lostAtMs.map(
          lostMs => (browser.openedAtMs.find(openedMs => openedMs >= lostMs) ?? Infinity) - lostMs,
        ),
      )
      t.ok(away.length > 0, `${away.length} connections of windows were ended`)
      const codes = [...new Set(rig.runs.flatMap(run => run.browser.closeCodes))]
      t.comment(
        `close codes ${codes.join()}; away p50 ${quantile(away, 0.5)} ms, p99 ${quantile(away, 0.99)} ms`,
      )
      t.ok(Math.max(...away) <= backMsMax, `each window was back after at most ${Math.max(...away)} ms`)
      t.same(rig.refusals(), {}, 'no answer failed')
    })

    await t.test('row 21: all nodes to the protocol after this one and back, one after another', async t => {
      // The build after this one, played by a test switch; neighbouring versions must work together.
      for (const protocol of ['2', '1']) {
        for (const index of [0, 1, 2]) {
          await cluster.node(index).kill('SIGTERM')
          await cluster.node(index).run({ INTERVAL_PROTOCOL: protocol })
          await cluster.covered()
          await rig.allGoOn()
        }
        t.pass(`all nodes speak version ${protocol}, all ${live} runs went on at each step`)
      }
      t.same(rig.refusals(), {}, 'no answer failed')
    })

    await t.test('row 21: a node too far ahead is refused, once in the log', async t => {
      await cluster.node(2).kill('SIGTERM')
      const starting = cluster
        .node(2)
        .run({ INTERVAL_PROTOCOL: '3' })
        .catch((error: Error) => error)
      const refused = 'node refused: the versions of the two are too far apart'
      const refusals = (index: number): number => cluster.node(index).output.split(refused).length - 1
      await eventuallyTrue('both others refuse it', () => [0, 1].every(index => refusals(index) > 0), 30_000)
      await rig.allGoOn()
      await rig.allGoOn()
      for (const index of [0, 1]) t.equal(refusals(index), 1, `node ${index} says so once`)
      await cluster.node(2).kill()
      await starting
      await cluster.node(2).run()
      await cluster.covered()
      await rig.allGoOn()
    })

    await t.test('row 22: a fourth node joins', async t => {
      const before = await cluster.owners()
      const since = Date.now()
      const joined = await cluster.grow()
      const readyMs = Date.now() - since
      await rig.allGoOn()
      const share = Math.floor(256 / 4 / 2)
      await t.resolves(rig.untilLeads(joined, share), `it leads ${share} partitions`)
      await rig.allGoOn()
      const after = await cluster.owners()
      const moved = after.filter((owner, partition) => owner !== before[partition]).length
      t.comment(
        `ready after ${readyMs} ms; ${moved} partitions moved; longest pause of a run ${rig.longestPauseMs(since)} ms`,
      )
      t.same(rig.refusals(), {}, 'no answer failed')
    })

    t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order')
    t.comment(`${rig.answers} answers in ${rig.runs.length} runs`)
  },
)
