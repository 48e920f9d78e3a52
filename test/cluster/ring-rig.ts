/**
 * A ring with life in it: several nodes, hosts of all SDK versions in processes of their own, windows that answer. Hosts
 * and windows each come through a balancer of their own, so that a test decides which node holds whose socket, and
 * picks ids of runs so that it decides which node leads them.
 */
import { randomUUID } from 'node:crypto'
import { partitionOf } from '../../lib/ring/index.js'
import { Balancer } from '../support/balancer.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { type SdkVersionName, sdkVersions } from '../support/sdk-host.js'
import type { Seeded } from '../support/server.js'
import { HostProcess } from './host-process.js'
import { type SteadyMode, SteadyRun } from './steady-run.js'

export interface RigHost {
  readonly version: SdkVersionName
  readonly prefix: string
  readonly process: HostProcess
  readonly balancer: Balancer
}

export interface RunPlace {
  readonly host: RigHost
  readonly mode: SteadyMode
  /** Node that leads the run at its start. */
  readonly owner?: number
  /** Node the window connects to first. */
  readonly edge?: number
  readonly thinkMs?: number
}

const modesOf = (version: SdkVersionName): SteadyMode[] =>
  // In the oldest, a display waits for the person as everything does.
  version === '0.21.0'
    ? ['prompt', 'log', 'loading', 'compute']
    : ['prompt', 'log', 'loading', 'compute', 'display']

export class RingRig {
  readonly cluster: TestCluster
  readonly seeded: Seeded
  readonly cookie: string
  readonly hosts: RigHost[] = []
  readonly runs: SteadyRun[] = []
  readonly #balancers: Balancer[] = []
  readonly #windows = new Map<SteadyRun, Balancer>()

  private constructor(cluster: TestCluster, seeded: Seeded, cookie: string) {
    this.cluster = cluster
    this.seeded = seeded
    this.cookie = cookie
  }

  static async start(
    count: number,
    options: {
      versions?: readonly SdkVersionName[]
      flags?: readonly string[]
      environment?: Readonly<Record<string, string>>
      /** What passes between nodes is in the hands of `cluster.network`. */
      hasNetwork?: boolean
    } = {},
  ): Promise<RingRig> {
    const { flags, environment, hasNetwork } = options
    const cluster = await TestCluster.start(count, flags, environment, hasNetwork)
    try {
      const seeded = await cluster.seed()
      const cookie = await cluster.node(0).signIn(seeded.user.email, seeded.password)
      const rig = new RingRig(cluster, seeded, cookie)
      for (const [index, version] of (options.versions ?? sdkVersions).entries())
        await rig.addHost(version, index % count)
      return rig
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  async balancer(preferred: number | null = null): Promise<Balancer> {
    const balancer = await Balancer.start(this.cluster.ports, preferred)
    this.#balancers.push(balancer)
    return balancer
  }

  /** Starts one node more, which connections may go to from then on; resolves with its number. */
  async grow(): Promise<number> {
    const index = await this.cluster.grow()
    for (const balancer of this.#balancers) balancer.add(this.cluster.node(index).port)
    return index
  }

  /** A host of this version, connected to this node. */
  async addHost(
    version: SdkVersionName,
    node: number,
    prefix = `v${version.replaceAll('.', '_')}`,
  ): Promise<RigHost> {
    const balancer = await this.balancer(node)
    const process = await HostProcess.start({
      version,
      endpoint: balancer.endpoint,
      apiKey: this.seeded.liveKey,
      prefix,
      kind: 'steady-host',
    })
    const host = { version, prefix, process, balancer }
    this.hosts.push(host)
    return host
  }

  /** The node that holds the host's socket. */
  nodeOf(host: RigHost): number {
    const node = host.balancer.targets().at(-1)
    if (node === undefined) throw new Error(`the host ${host.prefix} is connected nowhere`)
    return node
  }

  /** An id that this node leads now. */
  async idLedBy(node: number): Promise<string> {
    const owners = await this.cluster.owners()
    if (!owners.includes(node)) throw new Error(`node ${node} leads nothing`)
    for (;;) {
      const id = randomUUID()
      if (owners[partitionOf(`transaction:${id}`)] === node) return id
    }
  }

  partitionOf(run: SteadyRun): number {
    return partitionOf(`transaction:${run.id}`)
  }

  async run(place: RunPlace): Promise<SteadyRun> {
    const balancer = await this.balancer(place.edge ?? null)
    const run = await SteadyRun.start({
      address: balancer.address,
      cookie: this.cookie,
      organization: this.seeded.organization.slug,
      host: place.host.process,
      prefix: place.host.prefix,
      validates: place.host.version !== '0.21.0',
      mode: place.mode,
      ...(place.owner !== undefined && { transactionId: await this.idLedBy(place.owner) }),
      ...(place.thinkMs !== undefined && { thinkMs: place.thinkMs }),
    })
    this.runs.push(run)
    this.#windows.set(run, balancer)
    return run
  }

  /** Runs of every version in every mode it can, answering all the time. */
  async load(thinkMs: number, perMode = 1): Promise<SteadyRun[]> {
    const places = this.hosts.flatMap(host =>
      modesOf(host.version).flatMap(mode => Array.from({ length: perMode }, () => ({ host, mode, thinkMs }))),
    )
    return Promise.all(places.map(place => this.run(place)))
  }

  /** Ends all runs; returns what was wrong with any of them, and what SDK hosts complained of. */
  async finish(deadlineMs = 90_000): Promise<string[]> {
    const endings = await Promise.allSettled(this.runs.map(run => run.stop(deadlineMs)))
    const stuck = endings.flatMap(ending => (ending.status === 'rejected' ? [String(ending.reason)] : []))
    return [...stuck, ...this.runs.flatMap(run => run.verdict())]
  }

  /** This run is no longer looked at. */
  forget(run: SteadyRun): void {
    run.browser.stop()
    this.runs.splice(this.runs.indexOf(run), 1)
  }

  /** Until this node leads at least so many partitions. */
  untilLeads(node: number, count: number): Promise<void> {
    return eventually(
      async () => {
        const leads = (await this.cluster.owners()).filter(owner => owner === node).length
        if (leads < count) throw new Error(`node ${node} leads ${leads}`)
      },
      90_000,
      200,
    )
  }

  /** The longest time from one acknowledged answer of a run to its next, since then. */
  longestPauseMs(sinceMs: number): number {
    let longestMs = 0
    for (const run of this.runs) {
      const times = run.acknowledgedAtMs.filter(atMs => atMs >= sinceMs)
      for (const [index, atMs] of times.entries())
        longestMs = Math.max(longestMs, atMs - (times[index - 1] ?? atMs))
    }
    return longestMs
  }

  /** Where runs are led, for the words of a failure. */
  async #whereAre(runs: readonly SteadyRun[]): Promise<string> {
    const owners = await this.cluster.owners()
    const leaders = runs.map(run => owners[partitionOf(`transaction:${run.id}`)] ?? 'nobody').join()
    // Whether it is only the window that has not been told. What nobody serves is asked for without an end.
    const late = new Promise<null>(resolve => setTimeout(() => resolve(null), 5_000).unref())
    const seen = await Promise.all(
      runs.slice(0, 3).map(async run => {
        const attached = await Promise.race([run.attach(), late])
        if (attached === null) return 'not to be had'
        const { steps, status, hostConnected } = attached
        const labels = steps.map(step => `${step.call.toRender[0]?.label}${step.answered ? ' answered' : ''}`)
        return `${status}, host ${hostConnected}, ${labels.slice(-3).join()}`
      }),
    )
    const edges = runs.map(run => this.#windows.get(run)?.targets().join('+')).join()
    return `Led by ${leaders}, windows at ${edges}. They are: ${seen.join('; ')}`
  }

  get answers(): number {
    return this.runs.reduce((sum, run) => sum + run.acknowledged.length, 0)
  }

  /** How often what was refused for a reason that passes was asked again, by code. */
  refusals(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const run of this.runs) for (const code of run.refusals) counts[code] = (counts[code] ?? 0) + 1
    return counts
  }

  /** Until every run has been answered once more than now. */
  allGoOn(deadlineMs = 60_000): Promise<void> {
    return this.goOn(this.runs, deadlineMs)
  }

  async goOn(runs: readonly SteadyRun[], deadlineMs = 60_000): Promise<void> {
    const before = new Map(runs.map(run => [run, run.acknowledged.length]))
    const late = () => runs.filter(run => run.acknowledged.length <= (before.get(run) ?? -1))
    try {
      await eventually(
        () => {
          if (late().length > 0) throw new Error(`${late().length} runs stand still`)
        },
        deadlineMs,
        20,
      )
    } catch {
      throw new Error(await this.#standstill(late()))
    }
  }

  async #standstill(late: readonly SteadyRun[]): Promise<string> {
    const words = late.slice(0, 3).map(run => run.state)
    const hosts = this.hosts.map(({ prefix, balancer }) => `${prefix} at ${balancer.targets().join('+')}`)
    return `${late.length} runs stand still: ${words.join('; ')}. Hosts: ${hosts.join(', ')}. ${await this.#whereAre(late)}`
  }

  async stop(): Promise<void> {
    for (const run of this.runs) run.browser.stop()
    for (const { process } of this.hosts) process.kill()
    await Promise.all(this.#balancers.map(balancer => balancer.stop()))
    await this.cluster.stop()
  }
}
