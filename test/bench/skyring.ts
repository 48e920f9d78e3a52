/**
 * Creating timers beside Skyring 10.2.0 from npm and a bare HTTP server, all by turns in one run. Skyring is installed
 * into a folder of its own, outside of this project's dependencies; it needs a `nats-server` in the PATH.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../lib/root.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { print } from './figures.js'
import { bareServer, Cost, timerFlags } from './timers.js'

const version = '10.2.0'
const rounds = 3

export async function besideSkyring(): Promise<void> {
  const folder = await installed()
  const bare = await bareServer()
  const server = await TestServer.start({ flags: timerFlags })
  const skyring = await startSkyring(folder)
  try {
    const costs = {
      bare: new Cost(bare.side),
      ours: new Cost({ addresses: [server.address], pids: [server.pid] }),
      skyring: new Cost({ addresses: [skyring.address], pids: [skyring.pid] }),
    }
    for (let round = 0; round <= rounds; round += 1) {
      for (const cost of Object.values(costs)) await cost.round()
      // The first is for the engine, which compiles what it meets often.
      if (round === 0) for (const cost of Object.values(costs)) cost.bestUs = Number.POSITIVE_INFINITY
    }
    const figure = (name: string, value: number, target: string): void =>
      print({ name, value, unit: 'us of processor each', reference: costs.bare.bestUs, target })
    figure('timer-create-beside', costs.ours.bestUs, 'ratio <= 3')
    figure('skyring-create', costs.skyring.bestUs, 'none')
  } finally {
    bare.child.kill()
    skyring.stop()
    await server.stop()
  }
}

/** Installs it once; later runs find it. */
async function installed(): Promise<string> {
  const folder = join(tmpdir(), `interval-skyring-${version}`)
  if (existsSync(join(folder, 'ready'))) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  // A package it needs is not on the registry any more; the stand-in is ours.
  cpSync(join(packageRoot, 'lib', 'vendor'), join(folder, 'vendor'), { recursive: true })
  const manifest = {
    name: 'reference',
    private: true,
    workspaces: ['vendor/*'],
    dependencies: { skyring: version },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const npm = (...words: string[]) => promisify(execFile)('npm', words, { cwd: folder })
  await npm('install', '--no-audit', '--no-fund')
  // Newer versions of npm run scripts of packages only when they were approved.
  await npm('install-scripts', 'approve', 'farmhash', 'leveldown').catch(() => undefined)
  await npm('rebuild', 'farmhash', 'leveldown')
  writeFileSync(join(folder, 'ready'), '')
  return folder
}

async function startSkyring(folder: string): Promise<{ address: string; pid: number; stop(): void }> {
  const [port, channel, nats] = [await freePort(), await freePort(), await freePort()]
  const data = mkdtempSync(join(tmpdir(), 'interval-skyring-data-'))
  const children: ChildProcess[] = []
  const start = (command: string, ...words: string[]): ChildProcess => {
    const child = spawn(command, words, { cwd: folder, stdio: 'ignore' })
    child.on('error', () => undefined)
    children.push(child)
    return child
  }
  start('nats-server', '-a', '127.0.0.1', '-p', String(nats))
  const child = start(
    process.execPath,
    join(folder, 'node_modules/skyring/index.js'),
    `--port=${port}`,
    '--channel:host=127.0.0.1',
    `--channel:port=${channel}`,
    `--seeds=127.0.0.1:${channel}`,
    `--nats:hosts=127.0.0.1:${nats}`,
    '--storage:backend=leveldown',
    `--storage:path=${join(data, 'db')}`,
  )
  const address = `http://127.0.0.1:${port}`
  const stop = (): void => {
    for (const one of children) one.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true })
  }
  try {
    await eventually(() => fetch(`${address}/ping`))
  } catch (error) {
    stop()
    throw new Error('Skyring did not start: is there a nats-server in the PATH?', { cause: error })
  }
  return { address, pid: child.pid ?? 0, stop }
}
