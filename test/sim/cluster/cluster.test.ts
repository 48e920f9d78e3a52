/**
 * The cluster under faults at random, many seeds; and each rule of the protocol switched off, which must be noticed.
 *
 * Runs are child processes: without the test runner's hooks on every promise they take a third of the time.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { RulesOff } from '../../../lib/partitions/rules.js'

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

/**
 * Each rule's hole is told where it is defined. A number is the seed that noticed it last time: it goes first, since
 * finding it anew takes minutes; when it no longer notices, the others are searched as ever. Without the one that is
 * `long` some hundred seeds are needed each time.
 */
const rules: Record<keyof RulesOff, number | 'quick' | 'long'> = {
  predecessor: 227,
  confirm: 80,
  followersFirst: 'quick',
  positions: 23,
  epochs: 189,
  removalKnown: 'quick',
  caughtUp: 463,
  storeIdentity: 39,
  raisedEpoch: 'long',
  setBack: 'quick',
  nodeTime: 110,
}

for (const [rule, known] of Object.entries(rules)) {
  t.test(`without the rule "${rule}" a run fails`, { skip: known === 'long' && !isLong }, async t => {
    const before = typeof known === 'number' && !isLong ? ['--before', String(known)] : []
    const { code, output } = await simulate(['--seeds', String(noticedWithin), '--rule-off', rule, ...before])
    t.comment(output.trimEnd())
    t.equal(code, 1, output)
  })
}
