/** One simulated year of schedules in a process of its own, without a test runner that follows each promise. */
import { runYear } from './year.js'

const report = await runYear(Number(process.argv[2] ?? 1))
process.stdout.write(`${JSON.stringify(report)}\n`)
// What waits for ever in the killed lives of the node is of no concern.
process.exit(0)
