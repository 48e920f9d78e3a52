/**
 * A balancer in front of several nodes, as nginx is in a real cluster: one port, a node in turn for each connection, the
 * next one when a node refuses. It knows nothing of what it carries, and does to it what networks do: it can cut, hold
 * back and delay.
 *
 * SDKs have one endpoint and browsers one origin, so everything that reconnects to "another node" goes through one.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './ports.js'

interface Carried {
  readonly client: Socket
  upstream: Socket | null
  /** Index of the node it goes to; null while none has accepted it. */
  target: number | null
}

export class Balancer {
  readonly port: number
  readonly #server: Server
  readonly #ports: number[]
  readonly #carried = new Set<Carried>()
  readonly #held = new Set<number>()
  #preferred: number | null
  #turn = 0
  /** Connections that were made to it. */
  accepted = 0
  /** Each piece of data is passed on this much later, in order. */
  delayMs = 0

  private constructor(port: number, ports: readonly number[], preferred: number | null) {
    this.port = port
    this.#ports = [...ports]
    this.#preferred = preferred
    this.#turn = Math.floor(Math.random() * ports.length)
    this.#server = createServer(client => this.#accept(client))
  }

  /** Listens in front of the nodes with these ports. With `preferred`, that node is tried first. */
  static async start(ports: readonly number[], preferred: number | null = null): Promise<Balancer> {
    for (;;) {
      const balancer = new Balancer(await freePort(), ports, preferred)
      if (await balancer.#listen()) return balancer
    }
  }

  #listen(): Promise<boolean> {
    return new Promise(resolve => {
      this.#server.once('error', () => resolve(false))
      this.#server.listen(this.port, '127.0.0.1', () => resolve(true))
    })
  }

  get address(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get endpoint(): string {
    return `ws://127.0.0.1:${this.port}/websocket`
  }

  /** One node more, behind the others. */
  add(port: number): void {
    this.#ports.push(port)
  }

  /** Connections from now on go to this node while it accepts them; null: to each in turn. */
  prefer(target: number | null): void {
    this.#preferred = target
  }

  /** The nodes that the open connections go to, oldest first. */
  targets(): number[] {
    return [...this.#carried].flatMap(({ target }) => (target === null ? [] : [target]))
  }

  /** Breaks all connections, or those to one node. */
  cut(target?: number): void {
    for (const carried of this.#carried) {
      if (target !== undefined && carried.target !== target) continue
      carried.client.resetAndDestroy()
      carried.upstream?.resetAndDestroy()
    }
  }

  /** Connections to this node stay open, and nothing passes in either direction until `release`. */
  hold(target: number): void {
    this.#held.add(target)
    for (const carried of this.#carried) this.#applyHold(carried)
  }

  release(target: number): void {
    this.#held.delete(target)
    for (const carried of this.#carried) this.#applyHold(carried)
  }

  #applyHold({ client, upstream, target }: Carried): void {
    const isHeld = target !== null && this.#held.has(target)
    for (const socket of [client, upstream]) {
      if (isHeld) socket?.pause()
      else socket?.resume()
    }
  }

  #accept(client: Socket): void {
    const carried: Carried = { client, upstream: null, target: null }
    this.accepted += 1
    this.#carried.add(carried)
    client.setNoDelay(true)
    client.pause()
    client.on('error', () => undefined)
    client.once('close', () => {
      this.#carried.delete(carried)
      carried.upstream?.destroy()
    })
    this.#turn += 1
    const count = this.#ports.length
    const first = this.#preferred ?? this.#turn % count
    this.#dial(
      carried,
      Array.from({ length: count }, (_, step) => (first + step) % count),
    )
  }

  /** Tries the nodes in this order until one accepts. */
  #dial(carried: Carried, [target, ...others]: readonly number[]): void {
    const { client } = carried
    const port = target === undefined ? undefined : this.#ports[target]
    if (target === undefined || port === undefined || client.destroyed) {
      client.resetAndDestroy()
      return
    }
    const upstream = connect(port, '127.0.0.1')
    let isOpen = false
    upstream.setNoDelay(true)
    upstream.once('connect', () => {
      if (client.destroyed) {
        upstream.destroy()
        return
      }
      isOpen = true
      carried.upstream = upstream
      carried.target = target
      this.#carry(client, upstream)
      this.#carry(upstream, client)
      this.#applyHold(carried)
    })
    upstream.on('error', () => undefined)
    upstream.once('close', () => {
      if (isOpen) client.destroy()
      else this.#dial(carried, others)
    })
  }

  #carry(from: Socket, to: Socket): void {
    from.on('data', data => {
      if (this.delayMs > 0) {
        setTimeout(() => to.writable && to.write(data), this.delayMs)
        return
      }
      if (to.writable && !to.write(data)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
    from.once('end', () => to.end())
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.cut()
    await closed
  }
}
