/**
 * Years of schedules in three zones, on a disk that crashes. See `schedules/year.ts`.
 *
 * SIM_SEED=<n> repeats one year.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { YearReport } from './schedules/year.js'

const script = fileURLToPath(new URL('schedules/run-year.js', import.meta.url))

t.setTimeout(3_600_000)

t.test('a year in three zones: each tick is one run', { timeout: 3_600_000 }, async t => {
  const only = process.env.SIM_SEED
  const count = only ? 1 : process.env.TEST_LONG ? 20 : 1
  const first = only ? Number(only) : 1
  for (let seed = first; seed < first + count; seed += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, String(seed)])
    const report = JSON.parse(stdout) as YearReport
    t.comment(`seed ${seed}: ${stdout.trim()}`)
    const again = `repeat with: SIM_SEED=${seed} node dist/test/sim/schedules.test.js`
    t.same(report.problems, [], `seed ${seed}; ${again}`)
    t.ok(report.runs > 4_000 && report.crashes > 50, `much has happened; ${again}`)
    t.equal(report.nights, 365, 'each night of Berlin is there, by another way of counting')
    if (report.problems.length > 0) return
  }
})
