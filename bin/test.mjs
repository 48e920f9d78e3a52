#!/usr/bin/env node
/**
 * Runs the test files, several at a time, each as a plain process of node, and says at the end, in a few lines, what
 * failed and why and which files took longest.
 *
 *     node bin/test.mjs [--jobs=COUNT] [--timeout=SECONDS] [--results=FOLDER] [file or folder …]
 *
 * Files are tap's, and what they print is kept, one file each, in the folder of the results. They are not run by tap's
 * own command: it puts loaders into every process that a test starts, nodes, hosts and databases too, whether coverage
 * is wanted or not. On Node 20 that doubles the processor time a node takes to start.
 *
 * What tests write (databases, nodes' stores, profiles of browsers) goes into one folder for each file, which is removed
 * with it; in memory where there is plenty, since a quarter of the processor time of a node's start and stop, and much
 * waiting, was for a disk on which nothing stays. TMPDIR names another place, and with TEST_LONG it is the disk's.
 *
 * Invariant: a file has passed when it ended by itself with exit code 0, with a plan, and with as many good points as
 * it planned. Nothing is tried twice.
 */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { availableParallelism, freemem, tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const allTests = join(root, 'dist', 'test')
/** Files at a time: one more than there are cores, since a part of them waits for clocks; each may take a gigabyte. */
const jobsDefault = Math.min(availableParallelism() + 1, 8)
/** A file system in memory, where a Linux has one. */
const memory = '/dev/shm'
/** What one file may write into it; as much again stays free. */
const dataBytesMax = 1_000_000_000
/** How long a file may take that sets no time of its own, in s. */
const timeoutDefault = 900
/** What a file that is out of time is given to say so: as much again, at most this, in ms. */
const graceMsMax = 30_000
/** What one that was told to end is given to end, in ms. */
const killMs = 5_000
/** How many lines of one failure's details, and of what a failed file wrote to stderr, are printed. */
const detailLinesMax = 40
/** How many of the slowest files are named. */
const slowestMax = 10

const { values, positionals } = argumentsOf()
const jobs = Number(values.jobs ?? jobsDefault)
const timeoutMs = Number(values.timeout ?? timeoutDefault) * 1_000
if (!(Number.isInteger(jobs) && jobs > 0 && timeoutMs > 0)) fail('--jobs and --timeout are numbers above 0.')
const results = resolve(root, values.results ?? '.tap/test-results')
/** Where the folders are that tests write into. */
const dataFolder = hasMemory() ? memory : tmpdir()
const files = inOrder(
  (positionals.length > 0 ? positionals : [allTests]).flatMap(path => filesOf(resolve(path))),
)
if (files.length === 0) fail('There are no tests here; `node bin/build.mjs` makes them.')

/** Processes that run now, and their folders. */
const running = new Map()
for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 })) {
  process.on(signal, () => {
    for (const [child, own] of running) {
      end(child, 'SIGKILL')
      clear(own)
    }
    process.exit(code)
  })
}

rmSync(results, { recursive: true, force: true })
const startedMs = Date.now()
const outcomes = []
const waiting = [...files]
await Promise.all(
  Array.from({ length: Math.min(jobs, files.length) }, async (_none, index) => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const outcome = await run(file, `${index + 1}/${jobs}`)
      outcomes.push(outcome)
      const { failures, points, ms } = outcome
      console.log(
        `${failures.length === 0 ? 'ok    ' : 'FAILED'} ${line({ file, ms })}, ${points} assertions`,
      )
    }
  }),
)
report()

function argumentsOf() {
  const options = { jobs: { type: 'string' }, timeout: { type: 'string' }, results: { type: 'string' } }
  try {
    return parseArgs({ allowPositionals: true, options })
  } catch (error) {
    return fail(error.message)
  }
}

/** Whether tests are to write into memory, and what those write that run at a time has room there, twice. */
function hasMemory() {
  const { TEST_LONG, TMPDIR } = process.env
  if (TEST_LONG !== undefined || TMPDIR || !statSync(memory, { throwIfNoEntry: false })) return false
  const { bavail, bsize } = statfsSync(memory)
  return Math.min(bavail * bsize, freemem()) > 2 * jobs * dataBytesMax
}

/** What a person reads last: what was left out, the slowest, the failures, the sum. */
function report() {
  const skipped = outcomes.flatMap(outcome => outcome.skipped)
  if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.map(text => `  ${text}`).join('\n')}`)
  const slowest = [...outcomes].sort((a, b) => b.ms - a.ms).slice(0, slowestMax)
  console.log(`\nSlowest files:\n${slowest.map(line).join('\n')}`)
  const failures = outcomes.flatMap(outcome => outcome.failures)
  if (failures.length > 0) console.log(`\nFailed:\n\n${failures.join('\n\n')}`)
  const failed = outcomes.filter(outcome => outcome.failures.length > 0).length
  const points = outcomes.reduce((sum, outcome) => sum + outcome.points, 0)
  const seconds = ((Date.now() - startedMs) / 1_000).toFixed(0)
  console.log(
    `\n${files.length - failed} of ${files.length} files passed: ${points} assertions in ${seconds} s`,
  )
  process.exitCode = failed === 0 ? 0 : 1
}

function fail(message) {
  console.error(message)
  process.exit(2)
}

/** The tests at a path: the file itself, or all below a folder. */
function filesOf(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) fail(`There is no ${path}.`)
  if (!stat.isDirectory()) return [path]
  return readdirSync(path, { recursive: true })
    .filter(name => name.endsWith('.test.js'))
    .sort()
    .map(name => join(path, name))
}

/**
 * Those that mostly wait (real nodes that die and come back) and those that mostly compute (a browser) in turns, so that
 * the cores have something to do; last the many that take a moment, so that nothing long is left over for the end.
 */
function inOrder(paths) {
  const kindOf = path => relative(allTests, path).split(/[\\/]/)[0]
  const waits = paths.filter(path => kindOf(path) === 'cluster')
  const short = paths.filter(path => kindOf(path) === 'unit')
  const others = paths.filter(path => !waits.includes(path) && !short.includes(path))
  const turns = Array.from({ length: Math.max(waits.length, others.length) }, (_, at) => [
    waits[at],
    others[at],
  ])
  return [...turns.flat().filter(path => path !== undefined), ...short].map(path => relative(root, path))
}

/** Ends a test with all that it has started. */
function end(child, signal) {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended.
  }
}

/** Removes what a test has written, with what it has left. */
function clear(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  } catch (error) {
    console.log(`${folder} stays: ${error.message}`)
  }
}

/**
 * Runs one file, on its part of the ports; resolves with how long it took, how much it asserted, what it left out, and
 * what failed.
 */
async function run(file, ports) {
  const place = join(results, relative(root, resolve(root, file)).replaceAll('..', '_'))
  mkdirSync(dirname(place), { recursive: true })
  // Into files: what is written to a pipe may be lost when a process ends.
  const output = openSync(`${place}.tap`, 'w')
  const errors = openSync(`${place}.err`, 'w')
  const own = mkdtempSync(join(dataFolder, 'interval-test-'))
  // A Postgres of the machine's has a user of its own, who must come through to its folder.
  chmodSync(own, 0o711)
  const atMs = Date.now()
  // What is printed of a failure is to name the lines that were written, not those that were compiled.
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    cwd: root,
    env: { ...process.env, TAP_TIMEOUT: String(timeoutMs / 1_000), TMPDIR: own, TEST_PORTS: ports },
    stdio: ['ignore', output, errors],
    detached: true,
  })
  running.set(child, own)
  let isLate = false
  const endMs = timeoutMs + Math.min(timeoutMs, graceMsMax)
  const timers = [
    setTimeout(() => {
      isLate = true
      end(child, 'SIGTERM')
    }, endMs),
    setTimeout(() => end(child, 'SIGKILL'), endMs + killMs),
  ]
  const ended = await new Promise(fulfil => {
    child.on('error', error => fulfil(error.message))
    child.on('exit', (code, signal) =>
      fulfil(code === 0 ? '' : `ended with ${signal ?? `exit code ${code}`}`),
    )
  })
  for (const timer of timers) clearTimeout(timer)
  running.delete(child)
  // Nodes that a failed test has left would take the processor time of those that follow.
  end(child, 'SIGKILL')
  clear(own)
  for (const descriptor of [output, errors]) closeSync(descriptor)
  const lines = readFileSync(`${place}.tap`, 'utf8').split('\n')
  const { count, plan, points } = countsOf(lines)
  const failures = failuresOf(lines)
  if (failures.length === 0) {
    if (isLate) failures.push(' did not end in time')
    else if (ended) failures.push(` ${ended}`)
    else if (plan === null) failures.push(' ended before its plan was known')
    else if (plan !== count) failures.push(` planned ${plan} points and made ${count}`)
  }
  if (failures.length > 0) {
    const said = readFileSync(`${place}.err`, 'utf8').trimEnd().split('\n').slice(-detailLinesMax)
    if (said[0] !== '') failures.push([' wrote to stderr:', ...said].join('\n    '))
  }
  return {
    file,
    ms: Date.now() - atMs,
    points,
    skipped: lines
      .map(text => /^ *ok \d+ - (.*) # SKIP\b(.*)$/.exec(text))
      .filter(found => found !== null)
      .map(([_, name, reason]) => `${file} > ${name}:${reason || ' it does not say why'}`),
    failures: failures.map(text => `${file}${text}`),
  }
}

/** How many points a file's outermost level planned and made, and how much it asserted on all levels. */
function countsOf(lines) {
  const plan = lines.map(text => /^1\.\.(\d+)/.exec(text)?.[1]).find(text => text !== undefined)
  const count = lines.filter(text => /^(not )?ok\b/.test(text)).length
  const points = lines.filter(text => /^ *(not )?ok\b/.test(text)).length
  const subtests = lines.filter(text => /^ *# Subtest: /.test(text)).length
  return { plan: plan === undefined ? null : Number(plan), count, points: Math.max(points - subtests, 0) }
}

function line({ file, ms }) {
  return `  ${(ms / 1000).toFixed(1).padStart(7)} s  ${file}`
}

/**
 * What failed in one file's TAP: the innermost points only, each with the names of the subtests around it and its details.
 */
function failuresOf(lines) {
  const found = []
  /** The subtest open at each depth, and how many failures were known when it began. */
  const around = []
  lines.forEach((text, at) => {
    const depth = (text.length - text.trimStart().length) / 4
    const subtest = /^ *# Subtest: (.*)$/.exec(text)?.[1]
    if (subtest !== undefined) {
      around.length = depth
      around[depth] = { name: subtest, before: found.length }
    }
    const bail = /^ *Bail out!(.*)$/.exec(text)?.[1]
    if (bail !== undefined) found.push(` gave up:${bail}`)
    const point = /^ *not ok \d+(?: - )?(.*)$/.exec(text)?.[1]
    if (point === undefined || /# (SKIP|TODO)/i.test(point)) return
    const own = around[depth]
    // A subtest's own point repeats what failed in it.
    if (own && point.startsWith(own.name) && found.length > own.before) return
    const names = around.slice(0, depth).map(({ name }) => name)
    const details = []
    for (let next = at + 1; lines[next]?.startsWith(' '.repeat(depth * 4 + 2)); next++)
      details.push(lines[next])
    found.push([` > ${[...names, point].join(' > ')}`, ...details.slice(0, detailLinesMax)].join('\n'))
  })
  return found
}
