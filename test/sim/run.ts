/**
 * The simulation from the command line.
 *
 *     npm run sim -- --seeds 5000 [--from 1] [--before 348] [--rule-off confirm] [--twice]
 *
 * Ends with 1, the seed and what was wrong when a run fails.
 */
import { parseArgs } from 'node:util'
import { rulesTable } from './cluster/rules.js'
import { runSeed, type SeedResult } from './cluster/run-seed.js'
import type { Placements } from './cluster/sim-cluster.js'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    /** From one seed to the next: every fifth, from 1 on, has hosts and browsers. */
    step: { type: 'string', default: '1' },
    /** A seed that is run before the others. */
    before: { type: 'string' },
    /** Switches a rule off: then a failure is what is wanted. */
    'rule-off': { type: 'string' },
    /** Only what matches this counts as a failure. */
    problem: { type: 'string', default: '' },
    /** Runs each seed twice and compares. */
    twice: { type: 'boolean', default: false },
    /** Probability that a message between nodes arrives twice. */
    duplicates: { type: 'string', default: '0' },
    'keep-going': { type: 'boolean', default: false },
    /** Prints the table of the rules for test/README.md, and runs nothing. */
    rules: { type: 'boolean', default: false },
  },
})
if (values.rules) {
  console.log(rulesTable())
  process.exit()
}
const rule = values['rule-off']
const placements: Placements = new Map()
const run = (seed: number): Promise<SeedResult> =>
  runSeed({
    seed,
    placements,
    duplicates: Number(values.duplicates),
    ...(rule !== undefined && { rulesOff: { [rule]: true } }),
  })

const wanted = new RegExp(values.problem)
const first = Number(values.from)
const seeds = Number(values.seeds)
const startedAt = performance.now()
const totals = { acked: 0, read: 0, crashes: 0, events: 0, virtualMs: 0, faults: 0 }
const counts = new Map<string, number>()
let failed = 0
for (const seed of order()) {
  const result = await run(seed)
  totals.acked += result.acked
  totals.read += result.read
  totals.crashes += result.crashes
  totals.events += result.events
  totals.virtualMs += result.virtualMs
  for (const count of result.faults.values()) totals.faults += count
  for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count)
  if (values.twice && (await run(seed)).digest !== result.digest) {
    console.log(`seed ${seed} does not repeat its run`)
    failed += 1
  }
  const problems = result.problems.filter(text => wanted.test(text))
  if (problems.length === 0) continue
  failed += 1
  console.log(
    `seed ${seed}; repeat with: npm run sim -- --seeds 1 --from ${seed}${rule ? ` --rule-off ${rule}` : ''}`,
  )
  for (const problem of problems.slice(0, 5)) console.log(`  ${problem}`)
  if (!values['keep-going']) break
}
const seconds = (performance.now() - startedAt) / 1_000
console.log(
  `${failed} of ${seeds} seeds from ${first} failed; ${totals.acked} operations acknowledged, ${totals.read} reads, ` +
    `${totals.faults} faults, ${totals.crashes} crashes, ${totals.events} events, ` +
    `${Math.round(totals.virtualMs / 1_000)} s of virtual time in ${seconds.toFixed(1)} s`,
)
if (counts.size > 0) console.log([...counts].map(([what, count]) => `${count} ${what}`).join(', '))
process.exitCode = failed > 0 ? 1 : 0

function* order(): Generator<number> {
  if (values.before !== undefined) yield Number(values.before)
  const step = Number(values.step)
  for (let seed = first; seed < first + seeds * step; seed += step) yield seed
}
