/** `bin/test.mjs`: what it takes for passed, what it says of what failed, and that it leaves processes as they are. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../lib/root.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

const good = `import t from 'tap'
import { execFileSync } from 'node:child_process'
t.test('outer', async t => {
  t.ok(true)
  const script = 'console.log(JSON.stringify([process.execArgv.slice(2), process.env.NODE_OPTIONS ?? ""]))'
  const seen = execFileSync(process.execPath, ['-e', script], { env: {}, encoding: 'utf8' })
  t.same(JSON.parse(seen), [[], ''], 'a process of a test has no loaders')
})`
const bad = `import t from 'tap'
t.test('outer', async t => {
  t.ok(true)
  await t.test('inner', async t => t.equal(1, 2, 'one is two'))
})`
/** A point that is left out and one that is known to fail, each with its reason: a run must not take them for failures. */
const excused = `import t from 'tap'
t.ok(true, 'one', { skip: 'too long' })
t.ok(false, 'two', { todo: 'not there yet' })`

/** Runs these files; resolves with the exit code and what was printed. */
async function testRun(
  t: Test,
  files: Record<string, string>,
  words: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; text: string }> {
  const folder = t.testdir({ tests: files })
  const all = [`--results=${join(folder, 'results')}`, ...words, join(folder, 'tests')]
  const child = spawn(process.execPath, [join(packageRoot, 'bin/test.mjs'), ...all], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => {
      text += data.toString()
    })
  const [code] = await once(child, 'close')
  return { code, text }
}

t.test('what passes passes, and what it starts is as it would be without', async t => {
  const { code, text } = await testRun(t, { 'good.test.js': good, 'fixture.js': 'throw new Error()' })
  t.equal(code, 0, text)
  t.match(text, /1 of 1 files passed: 2 assertions/)
})

t.test('each way to fail is a failure, and says which', async t => {
  const { code, text } = await testRun(t, {
    'bad.test.js': bad,
    'good.test.js': good,
    'quiet.test.js': '',
    'short.test.js': `console.log('1..2\\nok 1 - one')`,
    'thrown.test.js': `console.log('1..1\\nok 1 - one'); throw new Error('why it ended')`,
    'killed.test.js': `console.log('1..1\\nok 1 - one'); process.kill(process.pid, 'SIGKILL')`,
    'bailed.test.js': `console.log('1..1\\nok 1 - one\\nBail out! no more')`,
    'skipped.test.js': excused,
  })
  t.equal(code, 1)
  t.match(text, /bad\.test\.js > outer > inner > one is two\n\s+---\s+compare: ===/)
  t.match(text, /quiet\.test\.js ended before its plan was known/)
  t.match(text, /short\.test\.js planned 2 points and made 1/)
  t.match(text, /thrown\.test\.js ended with exit code 1/)
  t.match(text, /thrown\.test\.js wrote to stderr:\s[\s\S]*why it ended/)
  t.match(text, /killed\.test\.js ended with SIGKILL/)
  t.match(text, /bailed\.test\.js gave up: no more/)
  t.match(text, /Skipped:\n +\S+skipped\.test\.js > one: too long\n/)
  t.match(text, /2 of 8 files passed/)
})

t.test('a file that does not end is ended', async t => {
  const hanging = `console.log('1..1\\nok 1 - one'); process.on('SIGTERM', () => {}); setInterval(() => {}, 1_000)`
  const { code, text } = await testRun(t, { 'hanging.test.js': hanging }, ['--timeout=0.5'])
  t.equal(code, 1)
  t.match(text, /hanging\.test\.js did not end in time/)
})

t.test('what a file leaves behind ends with it', async t => {
  const port = await freePort()
  const leaving = `import { spawn } from 'node:child_process'
    const script = "require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('listens'))"
    const left = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    left.stdout.on('data', text => {
      console.log('1..1\\nok 1 - one # SKIP it ' + text)
      process.exit()
    })`
  const { code, text } = await testRun(t, { 'leaving.test.js': leaving })
  t.equal(code, 0, text)
  t.match(text, /one: it listens/)
  await eventually(async () => {
    const socket = connect(port, '127.0.0.1')
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isThere) throw new Error('it still listens')
  })
})

t.test('what a file writes goes with it, however it ends', async t => {
  const temporary = mkdtempSync(join(tmpdir(), 'test-run-'))
  t.teardown(() => rmSync(temporary, { recursive: true }))
  const writing = `import { mkdtempSync, writeFileSync } from 'node:fs'
    import { tmpdir } from 'node:os'
    writeFileSync(mkdtempSync(tmpdir() + '/left-') + '/file', 'left')
    console.log('1..1\\nok 1 - one # SKIP it wrote into ' + tmpdir())`
  const files = { 'a.test.js': writing, 'b.test.js': `${writing}\nprocess.kill(process.pid, 'SIGKILL')` }
  const { text } = await testRun(t, files, [], { TMPDIR: temporary })
  const folders = [...text.matchAll(/it wrote into (.+)/g)].map(([_, folder = '']) => folder)
  t.equal(new Set(folders.map(dirname)).size, 1)
  t.equal(dirname(folders[0] ?? ''), temporary, 'the folder that TMPDIR names')
  t.equal(new Set(folders).size, 2, 'each file has a folder of its own')
  t.same(readdirSync(temporary), [], 'nothing is left')
})

t.test('what is not there is no success', async t => {
  t.match(await testRun(t, {}), { code: 2, text: /no tests here/ })
  t.match(await testRun(t, { 'good.test.js': good }, ['nowhere.test.js']), { code: 2, text: /There is no / })
  t.match(await testRun(t, { 'good.test.js': good }, ['--jobs=none']), { code: 2 })
  t.match(await testRun(t, { 'good.test.js': good }, ['--nothing']), { code: 2, text: /--nothing/ })
})
