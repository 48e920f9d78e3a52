/**
 * The cluster under faults at random, many seeds; and each rule of the protocol switched off, which must be noticed.
 *
 * Runs are child processes: without the test runner's hooks on every promise they take a third of the time.
 */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { rules, rulesTable } from './rules.js'

const program = fileURLToPath(new URL('../run.js', import.meta.url))
const isLong = process.env.TEST_LONG !== undefined
const processes = 2
const seeds = isLong ? 10_000 : 500
/** Most seeds until a rule that is off must have been noticed. */
const noticedWithin = 2_000

interface Outcome {
  readonly code: number | null
  readonly output: string
}

function simulate(args: readonly string[]): Promise<Outcome> {
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

t.setTimeout(3 * 3_600_000)
// A full disk of cores is of no use: two runs at once are what a small machine has.
t.jobs = processes

const share = seeds / processes
for (let part = 0; part < processes; part += 1) {
  const first = 1 + part * share
  t.test(`seeds ${first} to ${first + share - 1}: nothing acknowledged is lost or changed`, async t => {
    const { code, output } = await simulate(['--seeds', String(share), '--from', String(first)])
    t.comment(output.trimEnd())
    t.equal(code, 0, output)
  })
}

t.test('a seed repeats its run exactly', async t => {
  const { code, output } = await simulate(['--seeds', '3', '--from', '101', '--twice'])
  t.equal(code, 0, output)
})

t.test('the table of the rules is as it is written down', async t => {
  const readme = await readFile(new URL('../../../../test/README.md', import.meta.url), 'utf8')
  t.ok(
    readme.includes(rulesTable()),
    '`npm run sim -- --rules` prints the table that test/README.md should have',
  )
  t.same(
    rules.map(({ number }) => number),
    Array.from({ length: 22 }, (_, index) => index + 1),
  )
})

/**
 * The seed that has noticed it goes first, since finding one anew takes minutes; when it no longer notices, the others are
 * searched as ever. The long form begins at the first, and is told when that is another one.
 */
for (const { absences, name, number } of rules) {
  for (const { off, problem, seed } of absences) {
    const skip = seed === undefined && !isLong && 'a part of npm run test:long'
    t.test(`without rule ${number}, ${name}, switched off by "${off}", a run fails`, { skip }, async t => {
      const before = isLong ? [] : ['--before', String(seed)]
      const noticed = ['--seeds', String(noticedWithin), '--rule-off', off, '--problem', problem.source]
      const { code, output } = await simulate([...noticed, ...before])
      t.comment(output.trimEnd())
      t.equal(code, 1, output)
      const found = Number(/^seed (\d+);/m.exec(output)?.[1])
      if (isLong && seed !== undefined) t.equal(found, seed, `the table should name seed ${found}`)
    })
  }
}
