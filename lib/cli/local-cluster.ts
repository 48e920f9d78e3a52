/**
 * `npm run cluster`: several nodes on this machine, to try things on: one embedded database for all of them, a balancer
 * in front, the demo on the first one.
 *
 *     npm run cluster [-- --port 3000 --nodes 3 --path ./data/cluster | --temporary]
 *
 * Each node is a process of its own, as in a real cluster, so that it can be killed; one that ends by itself is started
 * again after five seconds. They are in process groups of their own: Ctrl-C reaches this process alone, which then
 * stops them in order. What can go wrong: this process is killed itself. Then the nodes stay, without their database,
 * and the next start names the process that holds a data directory.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { adminSocketPathFor } from '../config/index.js'
import { type Database, openDatabase } from '../database/index.js'
import type { ClusterStatus } from '../http/index.js'
import { createLog } from '../log.js'
import { askAdmin } from '../node/admin-socket.js'
import { Balancer } from '../node/balancer.js'
import { packageRoot } from '../root.js'
import { describe } from './describe.js'

const nodesMax = 7
const readyMsMax = 120_000
const settledMsMax = 60_000
const stopMsMax = 12_000
const restartMs = 5_000
const outputCharactersMax = 20_000
const secretNames = ['SECRET', 'WSS_API_SECRET', 'AUTH_COOKIE_SECRET'] as const

export interface LocalClusterOptions {
  /** Of the balancer. */
  readonly port: number
  readonly nodes: number
  /** Folder of all data. */
  readonly path: string
  print(line: string): void
}

interface LocalNode {
  readonly name: string
  readonly folder: string
  readonly port: number
  readonly flags: readonly string[]
  child: ChildProcess | undefined
  output: string
}

export class LocalCluster {
  readonly #options: LocalClusterOptions
  readonly #nodes: LocalNode[] = []
  #environment: Readonly<Record<string, string>> = {}
  #database: Database | undefined
  #balancer: Balancer | undefined
  #isStopping = false

  constructor(options: LocalClusterOptions) {
    this.#options = options
  }

  /** Resolves when the cluster takes connections and every partition has its copies. */
  async start(): Promise<void> {
    const { nodes: count, path, port, print } = this.#options
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const ports = await freePorts([port + 1, 3455], count)
    await this.#balance(ports.map(([http]) => http))
    print(`data in ${path}`)
    this.#database = await openDatabase({
      directory: path,
      log: createLog('interval:database'),
      onProgress: print,
    })
    this.#environment = {
      ...passedOn(process.env),
      ...secretsOf(path),
      DATABASE_URL: this.#database.url,
    }
    const seeds = ports.map(([, channel]) => `127.0.0.1:${channel}`).join(',')
    for (const [index, [http, channel]] of ports.entries()) {
      const folder = join(path, `node-${index + 1}`)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const flags = ['--port', String(http), '--storage:path', folder, '--seeds', seeds]
      flags.push('--channel:host', '127.0.0.1', '--channel:port', String(channel))
      if (index === 0) flags.push('--demo')
      this.#nodes.push({ name: `node ${index + 1}`, folder, port: http, flags, child: undefined, output: '' })
    }
    print(`starting ${count} nodes …`)
    await Promise.all(this.#nodes.map(node => this.#run(node)))
    const copies = await this.#settled()
    const address = `http://127.0.0.1:${port}`
    print('')
    print(`The cluster is ready at ${address}; ${copies}`)
    const howToSignIn = this.#nodes[0]?.output.split('\n').find(line => line.startsWith('Sign in at '))
    print(howToSignIn?.replace(/http:\/\/[^/]+/, address) ?? `Sign in at ${address}/login`)
    print(`What it does: npx interval-server ring status --storage:path ${this.#nodes[0]?.folder ?? ''}`)
    print('Kill a node and watch: it is started again after five seconds. Ctrl-C ends everything.')
  }

  /** Stops the nodes, then their database. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#balancer?.close()
    await Promise.all(this.#nodes.map(node => end(node.child)))
    await this.#database?.close()
  }

  /** Ends everything at once; for the end of this process. */
  kill(): void {
    this.#isStopping = true
    for (const { child } of this.#nodes) child?.kill('SIGKILL')
  }

  async #balance(ports: readonly number[]): Promise<void> {
    const targets = ports.map(port => ({ host: '127.0.0.1', port }))
    this.#balancer = new Balancer({ targets, healthPath: '/health/ready' })
    try {
      await this.#balancer.listen(this.#options.port)
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      throw isTaken
        ? new Error(`Port ${this.#options.port} is in use. Choose another one with --port.`)
        : error
    }
  }

  /** Starts the process of a node and resolves when it is ready. */
  async #run(node: LocalNode): Promise<void> {
    const child = spawn(join(packageRoot, 'bin', 'interval-server'), ['run', ...node.flags], {
      // No `.env` of another place is read.
      cwd: node.folder,
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    node.child = child
    node.output = ''
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${node.name} does not get ready.`)), readyMsMax)
      const hear = (part: string): void => {
        node.output = (node.output + part).slice(-outputCharactersMax)
        // The last thing a node says of itself.
        if (!node.output.includes('\nSign in at ') && !node.output.includes('\nMake the first')) return
        clearTimeout(late)
        resolve()
      }
      child.stdout.setEncoding('utf8').on('data', hear)
      child.stderr.setEncoding('utf8').on('data', hear)
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        clearTimeout(late)
        reject(new Error(`${node.name} ended (${signal ?? `code ${code}`}): ${lastLine(node.output)}`))
      })
    })
    await ready
    this.#options.print(`${node.name} is ready at http://127.0.0.1:${node.port} (process ${child.pid})`)
    child.once('exit', (code, signal) => {
      if (this.#isStopping) return
      // Why it gave up, if it did so by itself.
      const reason = code ? ` ${lastLine(node.output)}` : ''
      this.#options.print(
        `${node.name} ended (${signal ?? `code ${code}`}); it is started again in 5 s.${reason}`,
      )
      this.#runAgain(node)
    })
  }

  #runAgain(node: LocalNode): void {
    wait(restartMs, undefined, { ref: false })
      .then(() => (this.#isStopping ? undefined : this.#run(node)))
      .catch((error: unknown) => {
        if (this.#isStopping) return
        this.#options.print(describe(error))
        this.#runAgain(node)
      })
  }

  /** Waits until every partition is served and has its copies, bounded; says how it is. */
  async #settled(): Promise<string> {
    const path = adminSocketPathFor(this.#nodes[0]?.folder ?? '')
    const untilMs = Date.now() + settledMsMax
    for (;;) {
      const status = (await askAdmin(path, 'clusterStatus', {})) as ClusterStatus
      if (status.unserved === 0 && status.degraded === 0) {
        return `each of its ${status.partitions.length} partitions has ${status.factor} copies.`
      }
      if (Date.now() > untilMs) return status.problems.join(' ')
      await wait(500)
    }
  }
}

/** SIGTERM, and SIGKILL for what does not end by it. */
async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  await ended
  clearTimeout(timer)
}

/** Made once for a folder, so that its data can be used again. */
function secretsOf(path: string): Record<string, string> {
  const file = join(path, 'secrets.json')
  if (!existsSync(file)) {
    const made = Object.fromEntries(secretNames.map(name => [name, randomBytes(32).toString('base64url')]))
    writeFileSync(file, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 })
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>
}

/** What a process needs of its surroundings; settings of another node must not leak in. */
function passedOn(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'DEBUG', 'LOG_LEVEL', 'NODE_OPTIONS']
  return Object.fromEntries(names.flatMap(name => (environment[name] ? [[name, environment[name]]] : [])))
}

/** For each node a free port from each of these upwards. */
async function freePorts(
  from: readonly [number, number],
  count: number,
): Promise<(readonly [number, number])[]> {
  const [http, channel] = await Promise.all(from.map(first => freeFrom(first, count)))
  return Array.from({ length: count }, (_, index) => [http?.[index] ?? 0, channel?.[index] ?? 0] as const)
}

async function freeFrom(first: number, count: number): Promise<number[]> {
  const ports: number[] = []
  for (let port = first; ports.length < count && port < 32_768; port++)
    if (await isFree(port)) ports.push(port)
  if (ports.length < count) throw new Error(`No ${count} free ports from ${first} on.`)
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', short: 'p', default: '3000' },
      nodes: { type: 'string', default: '3' },
      path: { type: 'string', default: join('data', 'cluster') },
      temporary: { type: 'boolean', default: false },
    },
  })
  const [port, nodes] = [Number(values.port), Number(values.nodes)]
  if (!Number.isInteger(port) || port < 1 || port > 32_000) throw new Error('--port is from 1 to 32000.')
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > nodesMax) {
    throw new Error(`--nodes is from 1 to ${nodesMax}.`)
  }
  const path = values.temporary ? mkdtempSync(join(tmpdir(), 'interval-cluster-')) : resolve(values.path)
  const print = (line: string): void => void process.stdout.write(`${line}\n`)
  const cluster = new LocalCluster({ port, nodes, path, print })
  process.once('exit', () => {
    cluster.kill()
    if (values.temporary) rmSync(path, { recursive: true, force: true })
  })
  let stopping: Promise<void> | undefined
  const stop = (): void => {
    // The second time at once.
    if (stopping) process.exit(1)
    print('stopping …')
    stopping = cluster.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    await cluster.start()
  } catch (error) {
    if (stopping === undefined) throw error
  }
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  main().catch((error: unknown) => {
    process.stderr.write(`cluster: ${describe(error)}\n`)
    process.exit(1)
  })
}
