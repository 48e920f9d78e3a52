/**
 * A proxy between one host and a node, for tests that need more of a connection than to be cut: what passes is in the
 * hands of whoever opened it.
 */
import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '../support/ports.js'

/** One connection. What comes from either side is passed on, or not, by its handler. */
export interface Carried {
  readonly host: Socket
  readonly node: Socket
  /** Breaks it, as an end does. */
  end(): void
}

export interface Carrier {
  fromNode(data: Buffer): void
  fromHost(data: Buffer): void
}

export class HostProxy {
  readonly endpoint: string
  readonly #open = new Set<Socket>()
  readonly #close: () => void
  /** Declarations that a node has answered. */
  introduced = 0

  private constructor(port: number, close: () => void) {
    this.endpoint = `ws://127.0.0.1:${port}/websocket`
    this.#close = close
  }

  /** `target`: the node's port, asked anew for each connection. */
  static async start(target: () => number, carry: (carried: Carried) => Carrier): Promise<HostProxy> {
    const server = createServer(host => {
      const node = connect(target(), '127.0.0.1')
      const end = (): void => {
        proxy.#open.delete(host)
        host.destroy()
        node.destroy()
      }
      proxy.#open.add(host)
      const { fromHost, fromNode } = carry({ host, node, end })
      node.on('data', data => {
        if (data.includes('dashboardUrl')) proxy.introduced += 1
        fromNode(data)
      })
      host.on('data', fromHost)
      for (const socket of [host, node]) socket.on('error', end).on('close', end)
    })
    const port = await freePort()
    const proxy = new HostProxy(port, () => server.close())
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
    return proxy
  }

  /** Open connections. */
  get count(): number {
    return this.#open.size
  }

  /** Breaks the oldest connection, the newest, or all. */
  cut(which?: 'oldest' | 'newest'): void {
    const open = [...this.#open]
    const chosen = which === undefined ? open : which === 'oldest' ? open.slice(0, 1) : open.slice(-1)
    for (const host of chosen) host.resetAndDestroy()
  }

  close(): void {
    this.cut()
    this.#close()
  }
}
