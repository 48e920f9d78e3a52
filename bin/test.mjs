#!/usr/bin/env node
/**
 * Runs the test files with tap and says at the end, in a few lines, what failed and why and which files took longest: a
 * run prints many thousands of lines, and what matters is often only seen as the last of them.
 *
 *     node bin/test.mjs [tap's arguments]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const results = join(root, '.tap', 'test-results')
/** How many lines of one failure's details are printed. */
const detailLinesMax = 40
/** How many of the slowest files are named. */
const slowestMax = 10

const files = process.argv.slice(2)
if (!files.some(argument => !argument.startsWith('-'))) files.push('dist/test/**/*.test.js')
rmSync(results, { recursive: true, force: true })
const tap = join(
  dirname(createRequire(import.meta.url).resolve('tap/package.json')),
  'dist',
  'esm',
  'run.mjs',
)
const { status, signal } = spawnSync(process.execPath, [tap, ...files], { cwd: root, stdio: 'inherit' })

const runs = existsSync(results)
  ? readdirSync(results, { recursive: true }).filter(name => name.endsWith('.tap'))
  : []
const times = []
const failures = []
for (const name of runs) {
  const lines = readFileSync(join(results, name), 'utf8').split('\n')
  const file = name.replace(/\.tap$/, '')
  const time = lines.map(line => /^# time=([\d.]+)ms/.exec(line)).findLast(Boolean)
  if (time) times.push({ file, ms: Number(time[1]) })
  const failed = failuresOf(lines)
  if (failed.length === 0 && !time) failed.push(' ended before its plan was known')
  failures.push(...failed.map(text => `${file}${text}`))
}
times.sort((a, b) => b.ms - a.ms)
console.log(`\nSlowest files:\n${times.slice(0, slowestMax).map(line).join('\n')}`)
if (failures.length > 0) console.log(`\nFailed:\n\n${failures.join('\n\n')}`)
else if (status !== 0) console.log(`\ntap ended with ${signal ?? `exit code ${status}`}; no file says why.`)
process.exitCode = status ?? 1

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
