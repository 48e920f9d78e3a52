/**
 * Rows 1 and 2 of the fault matrix: nodes are killed as `kill -9` does while hosts of all SDK versions run and windows
 * answer; each time another of leader, host's edge and window's edge of a run that is looked at closely. Every answer
 * that was acknowledged reaches its host once and in order, every run goes on, no promise of a host stays unsettled.
 */
import t from 'tap'
import { type Failover, failover, roles, summary } from './failover.js'
import { type RigHost, RingRig } from './ring-rig.js'

const isLong = process.env.TEST_LONG !== undefined
const kills = Number(process.env.TEST_KILLS ?? (isLong ? 60 : 3))
/** Measured where nothing else runs; beside other tests it is only seen that each run goes on. */
const acceptedMsMax = isLong ? 2_000 : 15_000

t.setTimeout(isLong ? 3_600_000 : 300_000)

t.test(`rows 1 and 2: ${kills} kills of leaders and edges under load`, { timeout: 3_000_000 }, async t => {
  const rig = await RingRig.start(3, { environment: { DEBUG: 'interval:partitions*' } })
  t.teardown(() => rig.stop())
  t.comment(`Postgres: ${rig.cluster.postgres.kind}`)
  await rig.load(isLong ? 50 : 200)
  await rig.allGoOn()
  const failovers: Failover[] = []
  for (let turn = 0; turn < kills; turn++) {
    const role = roles[turn % roles.length] ?? 'owner'
    const host = rig.hosts[Math.floor(turn / roles.length) % rig.hosts.length] as RigHost
    const measured = await failover(rig, role, host, turn)
    failovers.push(measured)
    t.comment(JSON.stringify(measured))
    t.ok(measured.acceptedMs < acceptedMsMax, `an answer is accepted after the kill of the ${role}`)
    await rig.allGoOn()
  }
  for (const line of summary(failovers)) t.comment(line)
  const { answers } = rig
  t.same(await rig.finish(), [], 'every acknowledged answer arrived once, in order; every run ended')
  t.comment(`${answers} answers in ${rig.runs.length} runs; asked again: ${JSON.stringify(rig.refusals())}`)
})
