#!/usr/bin/env node
/**
 * Builds what changed: the server and its tests with the TypeScript compiler, the dashboard with Vite. A stamp of the
 * inputs (path, size, time) beside each output tells whether it is current; it is removed before a build and written
 * after it, so a build that was interrupted is never taken for a finished one. Two builds at once take turns.
 *
 *     node bin/build.mjs [server] [dashboard] [--quiet-when-current]
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const output = join(root, 'dist')
const lock = join(output, '.building')
/** How long to wait for another build, in ms. */
const lockMsMax = 600_000

const parts = [
  {
    name: 'server',
    result: 'lib/cli/main.js',
    inputs: ['lib', 'test', 'tsconfig.json', 'package.json'],
    skip: path => path.startsWith(join(root, 'lib', 'dashboard')) || path.endsWith('.md'),
    command: ['tsc7/bin/tsc', '-p', 'tsconfig.json'],
    before() {
      // The compiler believes its notes; without its output they are wrong.
      if (!existsSync(join(output, 'lib/cli/main.js'))) rmSync(join(output, '.tsbuildinfo'), { force: true })
      for (const folder of ['lib', 'test']) removeOrphans(join(output, folder))
    },
  },
  {
    name: 'dashboard',
    result: 'dashboard/index.html',
    inputs: [
      'lib/dashboard',
      'lib/clients/wire.ts',
      'lib/http/cluster-status.ts',
      'lib/sdk/io-call.ts',
      'package.json',
    ],
    skip: path => path.endsWith('.md'),
    command: ['vite/bin/vite.js', 'build', '--config', 'lib/dashboard/vite.config.ts', '--logLevel', 'warn'],
    before() {},
  },
]

/** Digest of the paths, sizes and modification times of all files below the given paths. */
function stampOf({ inputs, skip }) {
  const hash = createHash('sha256')
  const visit = path => {
    if (skip(path) || !existsSync(path)) return
    const stat = statSync(path)
    if (stat.isDirectory()) {
      if (path.endsWith('node_modules')) return
      for (const name of readdirSync(path).sort()) visit(join(path, name))
    } else hash.update(`${relative(root, path)}\0${stat.size}\0${stat.mtimeMs}\0`)
  }
  for (const path of inputs) visit(join(root, path))
  return hash.digest('hex')
}

/** Removes compiled files whose source is gone, or a test that was deleted would run for ever. */
function removeOrphans(folder) {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) removeOrphans(path)
    else {
      const source = join(root, relative(output, path)).replace(/\.js(\.map)?$/, '.ts')
      if (/\.js(\.map)?$/.test(path) && !existsSync(source)) rmSync(path)
    }
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** One build at a time. A lock whose process is gone, or that never said whose it is, is taken over. */
async function takeTurn() {
  mkdirSync(output, { recursive: true })
  const startedMs = Date.now()
  let said = false
  for (;;) {
    try {
      mkdirSync(lock)
      writeFileSync(join(lock, String(process.pid)), '')
      return
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const [holder] = existsSync(lock) ? readdirSync(lock) : []
    const ageMs = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
    if (holder === undefined ? ageMs > 5_000 : !isAlive(Number(holder))) {
      rmSync(lock, { recursive: true, force: true })
      continue
    }
    if (Date.now() - startedMs > lockMsMax) {
      process.stderr.write(
        `Another build (process ${holder}) does not end. If there is none, remove ${lock}.\n`,
      )
      process.exit(1)
    }
    if (!said) process.stdout.write('waiting for another build …\n')
    said = true
    await wait(100)
  }
}

function run([script, ...words]) {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [join(root, 'node_modules', script), ...words], { cwd: root })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', part => {
        text += part
      })
    }
    child.on('error', error => resolve({ status: 1, text: `${text}${error.message}\n` }))
    child.on('close', status => resolve({ status, text }))
  })
}

async function build(part, isQuiet) {
  const stampFile = join(output, `.${part.name}-stamp`)
  const stamp = stampOf(part)
  const isCurrent = () =>
    existsSync(join(output, part.result)) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, 'utf8') === stamp
  if (isCurrent()) {
    if (!isQuiet) process.stdout.write(`${part.name}: unchanged\n`)
    return true
  }
  process.stdout.write(`${part.name}: building … `)
  const startedMs = Date.now()
  rmSync(stampFile, { force: true })
  part.before()
  const { status, text } = await run(part.command)
  const seconds = ((Date.now() - startedMs) / 1_000).toFixed(1)
  process.stdout.write(`${status === 0 ? 'done' : 'failed'} in ${seconds} s\n`)
  if (status !== 0) process.stderr.write(text)
  else writeFileSync(stampFile, stamp)
  return status === 0
}

const words = process.argv.slice(2)
const only = words.filter(word => !word.startsWith('-'))
const unknown = only.find(word => !parts.some(part => part.name === word))
if (unknown !== undefined) {
  process.stderr.write(`Unknown part ${unknown}; there are ${parts.map(part => part.name).join(' and ')}.\n`)
  process.exit(2)
}
await takeTurn()
const giveUp = () => {
  rmSync(lock, { recursive: true, force: true })
  process.exit(130)
}
process.on('SIGINT', giveUp).on('SIGTERM', giveUp)
try {
  for (const part of parts) {
    if (only.length > 0 && !only.includes(part.name)) continue
    if (!(await build(part, words.includes('--quiet-when-current')))) {
      process.exitCode = 1
      break
    }
  }
} finally {
  rmSync(lock, { recursive: true, force: true })
}
