/**
 * 60 kills of leaders, hosts' edges and windows' edges under load: from `kill -9` until the window has its question back
 * and an answer of it is accepted. Reference: the time an answer takes when nothing is killed.
 */
import { type Failover, failover, quantile, roles } from '../cluster/failover.js'
import { type RigHost, RingRig } from '../cluster/ring-rig.js'
import { print } from './figures.js'

const kills = Number(process.env.BENCH_KILLS ?? 60)
const thinkMs = 50

export async function failovers(): Promise<void> {
  const rig = await RingRig.start(3, { environment: { DEBUG: 'interval:partitions*' } })
  try {
    await measure(rig)
  } finally {
    await rig.stop()
  }
}

async function measure(rig: RingRig): Promise<void> {
  await rig.load(thinkMs)
  await rig.allGoOn()
  const measured: Failover[] = []
  const usualMs: number[] = []
  for (let turn = 0; turn < kills; turn += 1) {
    const role = roles[turn % roles.length] ?? 'owner'
    const host = rig.hosts[Math.floor(turn / roles.length) % rig.hosts.length] as RigHost
    usualMs.push(await usualAnswerMs(rig, host))
    measured.push(await failover(rig, role, host, turn))
    process.stderr.write(`${JSON.stringify(measured.at(-1))}\n`)
    await rig.allGoOn()
  }
  const problems = await rig.finish()
  const phase = (name: string, target: string, share: number, of: (one: Failover) => number | null): void => {
    const values = measured.map(of).filter(value => value !== null)
    const unit = `ms after ${values.length} kills`
    print({ name, value: quantile(values, share), unit, reference: quantile(usualMs, share), target })
  }
  phase('failover', 'value <= 500', 0.5, one => one.acceptedMs)
  phase('failover-slowest', 'value <= 2000', 1, one => one.acceptedMs)
  phase('failover-detected', 'none', 0.5, one => one.detectedMs)
  phase('failover-swapped', 'none', 0.5, one => one.swappedMs)
  phase('failover-question', 'none', 0.5, one => one.promptMs)
  const unit = `of ${rig.answers} acknowledged answers lost, doubled or out of order`
  print({ name: 'failover-lost', value: problems.length, unit, reference: 0, target: 'value = 0' })
  for (const problem of problems) process.stderr.write(`${problem}\n`)
}

async function usualAnswerMs(rig: RingRig, host: RigHost): Promise<number> {
  const run = await rig.run({ host, mode: 'prompt' })
  await run.pause()
  const atMs = performance.now()
  await run.answer()
  const tookMs = performance.now() - atMs
  run.resume()
  return tookMs
}
