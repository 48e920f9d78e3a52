/**
 * The tarball of `npm pack` installs into an empty prefix on a machine without a compiler, and runs in an empty folder:
 * npm ignores the overrides and workspaces of what it installs, so the ring's packages travel inside. Long and needs a
 * registry: only with TEST_LONG.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { packageRoot, packageVersion } from '../../../lib/root.js'
import { eventually } from '../../support/eventually.js'
import { freePort } from '../../support/ports.js'

const skip = process.env.TEST_LONG ? false : 'installs from the registry: only with TEST_LONG'

t.test('pack, install, start', { skip, timeout: 290_000 }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'interval-package-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const [programs, prefix, empty] = ['programs', 'prefix', 'empty'].map(name => join(folder, name))
  if (!programs || !prefix || !empty) return
  for (const path of [programs, prefix, empty]) mkdirSync(path)
  for (const name of ['node', 'npm', 'sh']) symlinkSync(found(name), join(programs, name))
  const environment = { ...process.env, PATH: programs }

  execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: packageRoot, stdio: 'pipe' })
  const tarball = join(folder, `interval-server-${packageVersion}.tgz`)
  execFileSync('npm', ['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', tarball], {
    cwd: empty,
    env: environment,
    stdio: 'pipe',
    timeout: 240_000,
  })
  const program = join(prefix, 'bin', 'interval-server')
  const run = (...words: string[]): string =>
    execFileSync(program, words, { cwd: empty, env: environment, encoding: 'utf8' })
  t.equal(run('--version'), `${packageVersion}\n`)
  const installed = join(prefix, 'lib', 'node_modules', 'interval-server')
  t.ok(readdirSync(join(installed, 'node_modules', 'metrics')).includes('index.js'), 'stand-ins are inside')
  // What only a node in a cluster loads.
  const ring = JSON.stringify(join(installed, 'dist/lib/ring/cluster-peers.js'))
  execFileSync('node', ['--input-type=module', '-e', `await import(${ring})`], { env: environment })

  const port = await freePort()
  const child = spawn(program, ['start', '--port', String(port)], {
    cwd: empty,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>(resolve => child.once('exit', resolve))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      output += part
    })
  }
  await eventually(() => {
    if (!output.includes('Interval is ready')) throw new Error(`not ready: ${output}`)
  }, 60_000)
  const page = await fetch(`http://127.0.0.1:${port}/setup`, { headers: { accept: 'text/html' } })
  t.match(await page.text(), '<!doctype html>')
  t.match(run('ring', 'status'), 'A node alone')
  child.kill('SIGTERM')
  t.equal(await ended, 0)
})

/** Where the program of this name really is. */
function found(name: string): string {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      return realpathSync(join(folder, name))
    } catch {
      // It is in another one.
    }
  }
  throw new Error(`there is no ${name}`)
}
