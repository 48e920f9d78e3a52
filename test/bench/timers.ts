/**
 * Timers: what creating one costs beside a bare HTTP server that answers 201, how exactly they are called, what a million
 * costs in memory, and how soon a node with a hundred thousand is back.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../lib/root.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { freePort } from '../support/ports.js'
import { TestServer } from '../support/server.js'
import { print, processorMs, residentKb } from './figures.js'

const scripts = join(packageRoot, 'test/bench/timers')
/** For nodes that anybody may ask and that call this machine. */
export const timerFlags = ['--timers:auth=open', '--timers:callbacks:allow=127.0.0.0/8']
const createsEach = 30_000
const rounds = 3

interface Created {
  readonly rps: number
  readonly p99: number
  readonly codes: Readonly<Record<string, number>>
}

async function script<Result>(name: string, ...words: string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(scripts, name), ...words], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout) as Result
}

const load = (addresses: readonly string[], count: number): Promise<Created> =>
  script('load.js', addresses.join(','), `--n=${count}`)

/** Something that answers `POST /timer`. */
export interface Side {
  readonly addresses: readonly string[]
  readonly pids: readonly number[]
}

/** Processor time of all its processes for each create, in µs; the best round, since others disturb. */
export class Cost {
  bestUs = Number.POSITIVE_INFINITY
  rps = 0

  constructor(readonly side: Side) {}

  async round(): Promise<void> {
    const used = (): number => this.side.pids.reduce((sum, pid) => sum + processorMs(pid), 0)
    const before = used()
    const { codes, rps } = await load(this.side.addresses, createsEach)
    if (codes['201'] !== createsEach) throw new Error(`not all were created: ${JSON.stringify(codes)}`)
    this.bestUs = Math.min(this.bestUs, ((used() - before) * 1_000) / createsEach)
    this.rps = Math.max(this.rps, rps)
  }
}

export async function bareServer(): Promise<{ side: Side; child: ChildProcess }> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(scripts, 'ref.js'), String(port)], { stdio: 'ignore' })
  const address = `http://127.0.0.1:${port}`
  await eventually(() => fetch(address, { method: 'POST' }))
  return { side: { addresses: [address], pids: [child.pid ?? 0] }, child }
}

/** Creates on one node with LevelDB and fsync, and on three with a copy of each, against the bare server, by turns. */
export async function timerCreates(names: ReadonlySet<string>): Promise<void> {
  const bare = await bareServer()
  const reference = new Cost(bare.side)
  const compare = async (name: string, target: string, side: Side): Promise<void> => {
    const cost = new Cost(side)
    await load(side.addresses, createsEach)
    for (let round = 0; round < rounds; round += 1) {
      await reference.round()
      await cost.round()
    }
    print({ name, value: cost.bestUs, unit: 'us of processor each', reference: reference.bestUs, target })
    print({
      name: `${name}-rate`,
      value: cost.rps,
      unit: 'creates/s',
      reference: reference.rps,
      target: 'none',
    })
  }
  try {
    if (names.has('timer-create')) {
      const server = await TestServer.start({ flags: timerFlags })
      await compare('timer-create', 'ratio <= 3', { addresses: [server.address], pids: [server.pid] })
      await server.stop()
    }
    if (names.has('timer-create-replicated')) {
      const cluster = await TestCluster.start(3, timerFlags)
      const { servers } = cluster
      await compare('timer-create-replicated', 'ratio <= 8', {
        addresses: servers.map(({ address }) => address),
        pids: servers.map(({ pid }) => pid),
      })
      await cluster.stop()
    }
  } finally {
    bare.child.kill()
  }
}

interface Fired {
  readonly lost: number
  readonly dup: number
  readonly early: number
  readonly late_ms: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly late_from_send_ms: { readonly min: number }
}

/** 10,000 timers of 2 to 5 s, as fast as they can be created: how late they come. */
export async function timerFire(): Promise<void> {
  const server = await TestServer.start({ flags: timerFlags })
  const sink = String(await freePort())
  // What is met for the first time is compiled first.
  await script('fire.js', server.address, '--n=5000', `--sink=${sink}`)
  const fired = await script<Fired>('fire.js', server.address, '--n=10000', `--sink=${sink}`)
  await server.stop()
  const { dup, early, late_ms: late, lost } = fired
  if (lost + dup + early > 0) throw new Error(JSON.stringify(fired))
  // What the load itself cannot do better than: from a request to its answer, by the clock of who asks.
  const reference = fired.late_from_send_ms.min
  print({ name: 'timer-late-p99', value: late.p99, unit: 'ms', reference, target: 'value <= 10' })
  print({ name: 'timer-late-p50', value: late.p50, unit: 'ms', reference, target: 'none' })
}

/** Memory of a node for each of a hundred thousand that wait, after as many before; and a restart with them. */
export async function pendingTimers(names: ReadonlySet<string>): Promise<void> {
  const count = 100_000
  const server = await TestServer.start({ flags: timerFlags })
  await server.kill()
  const startedAtMs = performance.now()
  await server.run()
  const emptyMs = performance.now() - startedAtMs
  await load([server.address], count / 5)
  const beforeKb = residentKb(server.pid)
  await load([server.address], count)
  await new Promise(resolve => setTimeout(resolve, 3_000))
  const eachKb = (residentKb(server.pid) - beforeKb) / count
  await server.kill()
  const againAtMs = performance.now()
  await server.run()
  const fullMs = performance.now() - againAtMs
  await server.stop()
  if (names.has('pending-timer'))
    print({ name: 'pending-timer', value: eachKb, unit: 'KB RSS each', reference: 1, target: 'value <= 0.6' })
  if (names.has('recover-timers')) {
    const value = Math.max(0, fullMs - emptyMs) / 1_000
    const reference = emptyMs / 1_000
    print({ name: 'recover-timers', value, unit: 's more until ready', reference, target: 'value <= 1' })
  }
}

/** A million that wait: memory of the node, the embedded database apart. */
export async function millionTimers(): Promise<void> {
  const server = await TestServer.start({ flags: timerFlags })
  await load([server.address], 1_000_000)
  const value = residentKb(server.pid) / 1_024
  await server.stop()
  print({ name: 'million-timers', value, unit: 'MB RSS of the node', reference: 600, target: 'value <= 600' })
}
