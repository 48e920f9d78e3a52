/** Several real nodes of one cluster on this machine, over one Postgres. */
import { randomBytes } from 'node:crypto'
import { eventually } from './eventually.js'
import { Network } from './network.js'
import { freePort } from './ports.js'
import { startPostgres, type TestPostgres } from './postgres.js'
import { type Seeded, TestServer } from './server.js'

export interface RingStatus {
  readonly node: string
  readonly members: readonly string[]
  readonly notReady: readonly string[]
  readonly partitions: readonly {
    readonly partition: number
    readonly epoch: number
    readonly owner: string | null
    readonly replicas: readonly string[]
    readonly serving: boolean
    readonly seq: number
    readonly lag: number
  }[]
}

export class TestCluster {
  readonly postgres: TestPostgres
  readonly servers: TestServer[] = []
  readonly #environment: Record<string, string>
  readonly #channelPorts: number[]
  readonly #flags: readonly string[]
  #forwardPorts: readonly number[] = []
  #network: Network | null = null

  private constructor(
    postgres: TestPostgres,
    channelPorts: number[],
    flags: readonly string[],
    environment: Readonly<Record<string, string>>,
  ) {
    this.postgres = postgres
    this.#channelPorts = channelPorts
    this.#flags = flags
    const secret = () => randomBytes(32).toString('base64url')
    this.#environment = {
      ...environment,
      DATABASE_URL: postgres.url,
      SECRET: secret(),
      WSS_API_SECRET: secret(),
      AUTH_COOKIE_SECRET: secret(),
    }
  }

  /**
   * Starts `count` nodes at once; resolves when every partition has all its copies and is where it is placed. With
   * `hasNetwork`, what passes between them is in the hands of `network`.
   */
  static async start(
    count: number,
    flags: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
    hasNetwork = false,
  ): Promise<TestCluster> {
    const postgres = await startPostgres()
    const ports: number[] = []
    while (ports.length < count * 2) {
      const port = await freePort()
      if (!ports.includes(port)) ports.push(port)
    }
    const forwardPorts = ports.splice(count)
    const cluster = new TestCluster(postgres, ports, flags, environment)
    try {
      if (hasNetwork) {
        cluster.#forwardPorts = forwardPorts
        const nodes = ports.map((channelPort, index) => ({
          channelPort,
          forwardPort: forwardPorts[index] ?? 0,
        }))
        cluster.#network = await Network.between(nodes)
      }
      await Promise.all(ports.map((_port, index) => cluster.add(index)))
      await cluster.settled(count)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Starts the node of this number, with further variables. */
  async add(index: number, more: Readonly<Record<string, string>> = {}): Promise<TestServer> {
    const flags = [
      ...this.#channelPorts.flatMap(port => ['-s', `127.0.0.1:${port}`]),
      '--channel:host=127.0.0.1',
      `--channel:port=${this.#channelPorts[index]}`,
      ...(this.#network ? [`--forward:port=${this.#forwardPorts[index]}`] : []),
      ...this.#flags,
    ]
    const environment = { ...this.#environment, ...this.#network?.environmentOf(index), ...more }
    const server = await TestServer.start({ flags, environment })
    this.servers[index] = server
    return server
  }

  /** Starts one node more, with further variables; resolves with its number. */
  async grow(more: Readonly<Record<string, string>> = {}): Promise<number> {
    let port = await freePort()
    while (this.#channelPorts.includes(port)) port = await freePort()
    const index = this.#channelPorts.push(port) - 1
    await this.add(index, more)
    return index
  }

  get network(): Network {
    if (!this.#network) throw new Error('the cluster was started without a network')
    return this.#network
  }

  node(index: number): TestServer {
    const server = this.servers[index]
    if (!server) throw new Error(`there is no node ${index}`)
    return server
  }

  status(index: number): Promise<RingStatus> {
    return this.node(index).admin<RingStatus>('ringStatus', {})
  }

  seed(): Promise<Seeded> {
    return this.node(0).seed()
  }

  /** Until `count` nodes serve everything, each partition with `copies` copies, spread evenly. */
  async settled(count: number, copies = 2, deadlineMs = 60_000): Promise<void> {
    await eventually(
      async () => {
        const running = this.servers.filter(server => server?.isRunning)
        const statuses = await Promise.all(running.map(server => server.admin<RingStatus>('ringStatus', {})))
        const served = statuses.flatMap(status => status.partitions.filter(partition => partition.serving))
        const problems: string[] = []
        if (served.length !== 256) problems.push(`${served.length} partitions are served`)
        const thin = served.filter(partition => partition.replicas.length !== Math.min(count, copies) - 1)
        if (thin.length > 0) problems.push(`${thin.length} partitions have not ${copies} copies`)
        for (const status of statuses) {
          const own = status.partitions.filter(partition => partition.serving).length
          if (own > Math.ceil((256 / count) * 1.15)) problems.push(`one node serves ${own}`)
        }
        if (problems.length > 0) throw new Error(problems.join('; '))
      },
      deadlineMs,
      100,
    )
  }

  /** Until each partition is served by one of the running nodes and has all its copies, wherever it is. */
  async covered(copies = 2, deadlineMs = 60_000): Promise<void> {
    await eventually(
      async () => {
        const running = this.servers.filter(server => server?.isRunning)
        const statuses = await Promise.all(running.map(server => server.admin<RingStatus>('ringStatus', {})))
        const served = statuses.flatMap(status => status.partitions.filter(partition => partition.serving))
        const thin = served.filter(partition => partition.replicas.length < copies - 1).length
        if (served.length !== 256 || thin > 0)
          throw new Error(`${served.length} partitions are served, ${thin} have less than ${copies} copies`)
      },
      deadlineMs,
      100,
    )
  }

  /** Index of the node that serves each partition now; null for those that no running node serves. */
  async owners(): Promise<(number | null)[]> {
    const owners: (number | null)[] = new Array(256).fill(null)
    await Promise.all(
      this.servers.map(async (server, index) => {
        if (!server?.isRunning) return
        for (const { partition, serving } of (await this.status(index)).partitions)
          if (serving) owners[partition] = index
      }),
    )
    return owners
  }

  /** Ports of all nodes, for a balancer. */
  get ports(): number[] {
    return this.servers.map(server => server.port)
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(server => server?.stop()))
    await this.#network?.stop()
    await this.postgres.stop()
  }
}
