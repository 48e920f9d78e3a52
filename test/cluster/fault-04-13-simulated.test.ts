/**
 * Faults 4 and 13 in the simulated cluster, where they can be injected as often as wanted: power that fails between a
 * write and its flush, and messages between nodes that arrive a second time, at once or seconds later, when another node
 * may lead. The checker holds what clients were told against what is there at the end: nothing acknowledged is lost, and
 * nothing takes effect twice.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const program = fileURLToPath(new URL('../sim/run.js', import.meta.url))
const isLong = process.env.TEST_LONG !== undefined
// The simulation of npm test loses writes as well, without counting them.
const skip = !isLong && 'a part of npm run test:long'

function simulate(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, output }))
  })
}

function counted(output: string, what: string): number {
  return Number(new RegExp(`(\\d+) ${what}`).exec(output)?.[1] ?? 0)
}

t.setTimeout(3_600_000)

t.test('row 4: writes that were not flushed are lost in crashes', { skip }, async t => {
  const { code, output } = await simulate(['--seeds', isLong ? '2000' : '25', '--from', '20001'])
  t.comment(output.trimEnd())
  t.equal(code, 0, output)
  t.ok(counted(output, 'writes lost') > (isLong ? 500 : 5), 'it happened')
})

t.test('row 13: a third of the messages between nodes arrives twice, late, across epochs', async t => {
  // Every fifth seed has hosts and browsers, which notice most.
  const words = isLong ? ['--seeds', '2000'] : ['--seeds', '40', '--step', '5']
  const { code, output } = await simulate([...words, '--from', '30001', '--duplicates', '0.33'])
  t.comment(output.trimEnd())
  t.equal(code, 0, output)
  t.ok(counted(output, 'messages doubled') > 1_000, 'it happened')
})
