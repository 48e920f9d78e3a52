/**
 * A small TCP balancer for a cluster on one machine: every connection goes to the next node in turn that takes it. What
 * nginx does in front of a real cluster, without sticky sessions, since any node takes any connection.
 *
 * A node that refuses, or does not accept in time, is passed over for a second and the next one is tried, so that a
 * client notices a dead node only by the connections it had to it. Where a path is given, nodes are also asked whether
 * they are ready: a process that is stopped still accepts connections.
 *
 * Invariant: a connection is given to one node, before a byte of it was read. What can go wrong: no node is there. Then
 * every one is tried once more, and the connection is closed.
 */
import { get } from 'node:http'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'

export interface BalancerTarget {
  readonly host: string
  readonly port: number
}

export interface BalancerOptions {
  readonly targets: readonly BalancerTarget[]
  /** Answers 200 while a node may be given work, e.g. `/health/ready`. Not asked when absent. */
  readonly healthPath?: string
  /** How long a node may take to accept a connection, or to answer for its health. Default 300 ms. */
  readonly connectMsMax?: number
  /** How long a node that failed is passed over, and how often its health is asked. Default 1,000 ms. */
  readonly retryMs?: number
}

const connectMsMaxDefault = 300
const retryMsDefault = 1_000
const connectionsMax = 10_000

interface Target extends BalancerTarget {
  /** Passed over until then; `performance.now()`. */
  deadUntilMs: number
  isUnready: boolean
}

export class Balancer {
  readonly #options: BalancerOptions
  readonly #targets: Target[]
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #next = 0
  #health: NodeJS.Timeout | undefined

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#targets = options.targets.map(target => ({ ...target, deadUntilMs: 0, isUnready: false }))
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => this.#take(client))
    this.#server.maxConnections = connectionsMax
  }

  /** Listens, on a free port for 0, and resolves with the port. */
  async listen(port: number, host = '127.0.0.1'): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, resolve)
    })
    if (this.#options.healthPath !== undefined) {
      this.#health = setInterval(() => this.#checkHealth(), this.#options.retryMs ?? retryMsDefault)
    }
    return (this.#server.address() as AddressInfo).port
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    clearInterval(this.#health)
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#open) socket.destroy()
    await closed
  }

  #take(client: Socket): void {
    this.#keep(client)
    this.#give(client, this.#inTurn())
  }

  /** All targets: the live ones in turn, then those that are passed over. */
  #inTurn(): Target[] {
    const nowMs = performance.now()
    const first = this.#next
    this.#next = (first + 1) % Math.max(1, this.#targets.length)
    const turn = [...this.#targets.slice(first), ...this.#targets.slice(0, first)]
    const isLive = (target: Target): boolean => target.deadUntilMs <= nowMs && !target.isUnready
    return [...turn.filter(isLive), ...turn.filter(target => !isLive(target))]
  }

  #give(client: Socket, targets: Target[]): void {
    const [target, ...others] = targets
    if (target === undefined || client.destroyed) {
      client.destroy()
      return
    }
    const node = createConnection({ host: target.host, port: target.port, allowHalfOpen: true })
    this.#keep(node)
    let isDecided = false
    const fail = (): void => {
      if (isDecided) return
      isDecided = true
      clearTimeout(timer)
      node.destroy()
      target.deadUntilMs = performance.now() + (this.#options.retryMs ?? retryMsDefault)
      this.#give(client, others)
    }
    const timer = setTimeout(fail, this.#options.connectMsMax ?? connectMsMaxDefault)
    node.once('error', fail)
    node.once('connect', () => {
      if (isDecided) return
      isDecided = true
      clearTimeout(timer)
      target.deadUntilMs = 0
      join(client, node)
    })
  }

  #keep(socket: Socket): void {
    this.#open.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#open.delete(socket))
  }

  #checkHealth(): void {
    const timeout = this.#options.connectMsMax ?? connectMsMaxDefault
    for (const target of this.#targets) {
      const request = get(
        { host: target.host, port: target.port, path: this.#options.healthPath, timeout, agent: false },
        response => {
          target.isUnready = response.statusCode !== 200
          response.resume()
        },
      )
      request.once('timeout', () => request.destroy(new Error('timeout')))
      request.once('error', () => {
        target.isUnready = true
      })
    }
  }
}

/** Carries bytes both ways until both sides have ended; what breaks one breaks the other. */
function join(client: Socket, node: Socket): void {
  client.once('close', () => node.destroy())
  node.once('close', () => client.destroy())
  client.pipe(node)
  node.pipe(client)
}
