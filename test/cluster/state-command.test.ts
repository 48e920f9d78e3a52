/**
 * `state` on the data of a stopped node with a live transaction: list, show, verify, and a round trip through export
 * and import after which the prompt completes on another node. Then damage of each kind: reported, set aside, never
 * fatal to others.
 */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BrowserClient } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { TestServer } from '../support/server.js'
import { command, type Outcome } from '../unit/cli/command-process.js'
import { HostProcess } from './host-process.js'

t.setTimeout(300_000)
const server = await TestServer.start()
const seeded = await server.seed()
const cookie = await server.signIn(seeded.user.email, seeded.password)
const endpoint = server.endpoint
const host = await HostProcess.start({ version: '2.0.0', endpoint, apiKey: seeded.liveKey, prefix: 'x' })
const browser = await BrowserClient.connect(server.address, cookie)
t.teardown(async () => {
  browser.close()
  host.kill()
  await server.stop()
})

const entities = join(server.folder, 'entities')

function state(...words: string[]): Promise<Outcome> {
  return command(['state', ...words, '--storage:path', server.folder], { folder: server.folder })
}

async function startRun(): Promise<string> {
  const transactionId = randomUUID()
  await eventually(() =>
    browser.ask('transaction.start', {
      organization: seeded.organization.slug,
      environment: 'production',
      transactionId,
      slug: 'x_steps',
      params: { run: transactionId },
    }),
  )
  await browser.step('First', transactionId)
  return transactionId
}

async function finish(transactionId: string): Promise<void> {
  for (const [label, value] of [
    ['First', 'Ada'],
    ['Second', 2],
    ['Sure?', true],
  ] as const) {
    const step = await eventually(async () => {
      const { steps } = await browser.ask('transaction.attach', { transactionId })
      const found = steps.find(({ call, answered }) => !answered && call.toRender[0]?.label === label)
      if (!found) throw new Error(`no "${label}"`)
      return found
    }, 40_000)
    await eventually(() => browser.answer(transactionId, step, [value]))
  }
  await eventually(async () => {
    const { result } = await browser.ask('transaction.attach', { transactionId })
    if (result?.status !== 'SUCCESS') throw new Error('not ended')
  })
}

const live = await startRun()
const other = await startRun()
await server.kill()

t.test('list, show and verify', async t => {
  const list = await state('list', '--json')
  t.equal(list.code, 0, list.errors)
  const keys = list.output
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as { key: string }).key)
  t.ok(keys.includes(`transaction:${live}`) && keys.some(key => key.startsWith('host:')))
  const show = await state('show', `transaction:${live}`)
  t.equal(show.code, 0)
  t.match(show.output, /x_steps/)
  t.equal((await state('show', 'transaction:nothing-here')).code, 1)
  t.match(await state('verify'), { code: 0, output: /nothing is damaged/ })
})

t.test('export, import into nothing, start there: the same prompt completes', async t => {
  const file = join(server.folder, 'export.jsonl')
  t.match(await state('export', file), { code: 0 })
  rmSync(entities, { recursive: true })
  t.match(await state('import', file), { code: 0, output: /imported \d+ entities/ })
  t.match(await state('verify'), { code: 0 })
  await server.run()
  await browser.reopen()
  await finish(live)
  await finish(other)
  t.equal(host.count(live, 'first'), 1)
})

t.test('a damaged file is reported and set aside; the node starts and serves', async t => {
  await startRun()
  await server.kill('SIGTERM')
  const copy = join(server.folder, 'good')
  cpSync(entities, copy, { recursive: true })
  const damages: [string, RegExp, (path: string) => void][] = [
    ['a flipped byte in a table', /\.ldb$/, flip],
    ['a flipped byte in the log', /\.log$/, flip],
    ['a truncated log', /\.log$/, path => truncateSync(path, Math.floor(statSync(path).size / 2))],
    ['a flipped byte in the manifest', /^MANIFEST/, flip],
    ['no CURRENT', /^CURRENT$/, path => rmSync(path)],
  ]
  for (const [what, pattern, damage] of damages) {
    rmSync(entities, { recursive: true })
    mkdirSync(entities)
    cpSync(copy, entities, { recursive: true })
    const name = readdirSync(entities).find(
      candidate => pattern.test(candidate) && statSync(join(entities, candidate)).size > 0,
    )
    if (name === undefined) {
      t.comment(`${what}: there is no such file`)
      continue
    }
    damage(join(entities, name))
    const verified = await state('verify')
    t.ok([0, 1].includes(verified.code ?? -1), `${what}: verify says ${verified.output.trim().slice(0, 200)}`)
    t.notMatch(verified.errors, /\n\s+at /)
    await server.run()
    t.ok(server.isRunning, `${what}: the node serves`)
    await browser.reopen()
    const fresh = await startRun()
    await finish(fresh)
    await server.kill('SIGTERM')
  }
})

/** Turns one bit around in the middle of a file. */
function flip(path: string): void {
  const file = openSync(path, 'r+')
  const at = Math.floor(statSync(path).size / 2)
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ 0x10
  writeSync(file, byte, 0, 1, at)
  closeSync(file)
}
