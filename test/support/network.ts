/**
 * The network between nodes, in the hands of a test: each ordered pair of nodes has a proxy of its own for gossip and for
 * calls, which every connection that the one dials to the other passes. So a test says what passes from one node to
 * another, in each direction by itself.
 *
 * What is blocked is not closed: as in a network that drops packets, connections stay open, new ones are neither taken
 * nor refused, and what was under way when the block ends arrives late. A close is under way like any other packet.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './ports.js'

type Way = 'there' | 'back'

interface Carried {
  readonly client: Socket
  /** Null while the connection has not been passed on. */
  upstream: Socket | null
  /** Ends that the other end has not been told of. */
  readonly gone: Set<Way>
}

/** Connections that one node dials to one port of another. `there`: from the dialer; `back`: to it. */
class Link {
  readonly carried = new Set<Carried>()
  readonly blocked = { there: false, back: false }
  readonly #server: Server
  readonly #target: number
  readonly #delayMs: () => number

  private constructor(target: number, delayMs: () => number) {
    this.#target = target
    this.#delayMs = delayMs
    this.#server = createServer(client => this.#accept(client))
  }

  static async open(target: number, delayMs: () => number): Promise<{ link: Link; port: number }> {
    for (;;) {
      const link = new Link(target, delayMs)
      const port = await freePort()
      if (await link.#listen(port)) return { link, port }
    }
  }

  #listen(port: number): Promise<boolean> {
    return new Promise(resolve => {
      this.#server.once('error', () => resolve(false))
      this.#server.listen(port, '127.0.0.1', () => resolve(true))
    })
  }

  block(way: Way, isBlocked: boolean): void {
    this.blocked[way] = isBlocked
    for (const carried of this.carried) this.#apply(carried)
  }

  /** Resets all connections. */
  cut(): void {
    for (const { client, upstream } of this.carried) {
      client.resetAndDestroy()
      upstream?.resetAndDestroy()
    }
    this.carried.clear()
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #accept(client: Socket): void {
    const carried: Carried = { client, upstream: null, gone: new Set() }
    this.carried.add(carried)
    client.setNoDelay(true)
    client.pause()
    client.on('error', () => undefined)
    client.once('close', () => this.#ended(carried, 'there'))
    this.#apply(carried)
  }

  #apply(carried: Carried): void {
    const { client, upstream, gone } = carried
    const { there, back } = this.blocked
    if (!upstream) {
      // A handshake needs both directions.
      if (!there && !back) this.#dial(carried)
      return
    }
    if (there) client.pause()
    else client.resume()
    if (back) upstream.pause()
    else upstream.resume()
    for (const way of gone) this.#ended(carried, way)
  }

  #dial(carried: Carried): void {
    const { client } = carried
    if (client.destroyed) {
      this.carried.delete(carried)
      return
    }
    const upstream = connect(this.#target, '127.0.0.1')
    carried.upstream = upstream
    upstream.setNoDelay(true)
    upstream.on('error', () => undefined)
    upstream.once('close', () => this.#ended(carried, 'back'))
    this.#carry(client, upstream)
    this.#carry(upstream, client)
    this.#apply(carried)
  }

  #carry(from: Socket, to: Socket): void {
    // Timers that are due at the same time fire in any order, so only the first of what waits has one.
    const late: { readonly data: Buffer | null; readonly dueAtMs: number }[] = []
    const write = (data: Buffer | null): void => {
      if (data === null) to.end()
      else if (to.writable) to.write(data)
    }
    const pass = (): void => {
      for (let [first] = late; first && first.dueAtMs <= Date.now(); [first] = late) {
        late.shift()
        write(first.data)
      }
      const [next] = late
      if (next) setTimeout(pass, Math.max(1, next.dueAtMs - Date.now()))
    }
    const carry = (data: Buffer | null): void => {
      const delayMs = this.#delayMs()
      if (delayMs === 0 && late.length === 0) {
        write(data)
        return
      }
      late.push({ data, dueAtMs: Math.max(late.at(-1)?.dueAtMs ?? 0, Date.now() + delayMs) })
      if (late.length === 1) setTimeout(pass, delayMs)
    }
    from.on('data', carry)
    // An end is under way like any other packet.
    from.once('end', () => carry(null))
  }

  /** One end is gone, which the other hears unless that direction is blocked. */
  #ended(carried: Carried, way: Way): void {
    const other = way === 'there' ? carried.upstream : carried.client
    if (this.blocked[way] && other && !other.destroyed) {
      carried.gone.add(way)
      return
    }
    other?.destroy()
    this.carried.delete(carried)
  }
}

export class Network {
  /** By dialing node, then by the node it dials. */
  readonly #links = new Map<number, Map<number, Link[]>>()
  readonly #detours = new Map<number, string[]>()
  readonly #count: number
  #delayMs: (from: number, to: number) => number = () => 0

  private constructor(count: number) {
    this.#count = count
  }

  /** Between nodes with these addresses. */
  static async between(nodes: readonly { channelPort: number; forwardPort: number }[]): Promise<Network> {
    const network = new Network(nodes.length)
    for (const from of nodes.keys()) {
      const links = new Map<number, Link[]>()
      const detours: string[] = []
      for (const [to, { channelPort, forwardPort }] of nodes.entries()) {
        if (to === from) continue
        const delayMs = (): number => network.#delayMs(from, to)
        const opened = await Promise.all(
          [channelPort, forwardPort].map(async target => ({ target, ...(await Link.open(target, delayMs)) })),
        )
        links.set(
          to,
          opened.map(({ link }) => link),
        )
        detours.push(...opened.map(({ target, port }) => `127.0.0.1:${target}=127.0.0.1:${port}`))
      }
      network.#links.set(from, links)
      network.#detours.set(from, detours)
    }
    return network
  }

  /** What a node must be told at its start. */
  environmentOf(node: number): Record<string, string> {
    return { INTERVAL_DETOURS: (this.#detours.get(node) ?? []).join(',') }
  }

  /** Nothing that `from` sends reaches `to` until `unblock`. */
  block(from: number, to: number, isBlocked = true): void {
    for (const link of this.#between(from, to)) link.block('there', isBlocked)
    for (const link of this.#between(to, from)) link.block('back', isBlocked)
  }

  unblock(from: number, to: number): void {
    this.block(from, to, false)
  }

  /** Nothing passes between the two groups. */
  split(one: readonly number[], other: readonly number[]): void {
    for (const a of one) {
      for (const b of other) {
        this.block(a, b)
        this.block(b, a)
      }
    }
  }

  /** Everything passes again, at once. */
  heal(): void {
    this.#delayMs = () => 0
    for (const [from, to] of this.pairs) this.unblock(from, to)
  }

  /** Each piece of data arrives this much later, in order. */
  delay(delayMs: (from: number, to: number) => number): void {
    this.#delayMs = delayMs
  }

  /** Resets the connections between the two. */
  cut(one: number, other: number): void {
    for (const link of [...this.#between(one, other), ...this.#between(other, one)]) link.cut()
  }

  /** All ordered pairs of nodes. */
  get pairs(): [from: number, to: number][] {
    const nodes = Array.from({ length: this.#count }, (_, node) => node)
    return nodes.flatMap(from => nodes.filter(to => to !== from).map((to): [number, number] => [from, to]))
  }

  async stop(): Promise<void> {
    const links = [...this.#links.values()].flatMap(byNode => [...byNode.values()].flat())
    await Promise.all(links.map(link => link.close()))
  }

  #between(from: number, to: number): Link[] {
    return this.#links.get(from)?.get(to) ?? []
  }
}
