/** Runs a simulation under seed after seed until one finds a problem, and says how to repeat that one. */
import type { Test } from 'tap'

/**
 * `simulate` returns what went wrong, or null; what it throws went wrong too. Seeds 1 to `runs`, or the one in SIM_SEED.
 * `file` is the compiled test that repeats it.
 */
export function runSeeds(
  t: Test,
  { file, runs, simulate }: { file: string; runs: number; simulate: (seed: number) => string | null },
): void {
  const only = process.env.SIM_SEED
  const first = only ? Number(only) : 1
  const count = only ? 1 : runs
  for (let seed = first; seed < first + count; seed += 1) {
    let problem: string | null
    try {
      problem = simulate(seed)
    } catch (error) {
      problem = error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
    if (problem !== null) {
      t.fail(`${problem}\nrepeat with: SIM_SEED=${seed} node ${file}`)
      return
    }
  }
  t.pass(`${count} runs`)
}
