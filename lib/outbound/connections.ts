/**
 * The connections of this room: kept for the next request to the same origin, and closed when idle.
 *
 * Invariant: at most `socketsMax` connections are in use, which the lanes see to, and hardly more are open: one that idles
 * makes room for one that is needed.
 */
import type { LookupFunction } from 'node:net'
import { limits } from '../limits.js'
import { Connection } from './connection.js'
import { Connector } from './connector.js'
import type { Target } from './target.js'

export class Connections {
  readonly #connector: Connector
  readonly #socketsMax: number
  readonly #open = new Set<Connection>()
  /** By origin, those used last at the end. No list is empty. */
  readonly #idle = new Map<string, Connection[]>()
  #isClosed = false

  constructor(lookup: LookupFunction, socketsMax: number) {
    this.#connector = new Connector(lookup)
    this.#socketsMax = socketsMax
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** How many connections are open, idle ones too. */
  get openCount(): number {
    return this.#open.size
  }

  /** The one used last of those that idle, or a new one. */
  take(target: Target): Connection {
    const idle = this.#idle.get(target.origin)
    while (idle && idle.length > 0) {
      const connection = idle.pop()
      if (idle.length === 0) this.#idle.delete(target.origin)
      if (connection?.isUsable) return connection
    }
    return this.takeNew(target)
  }

  takeNew(target: Target): Connection {
    if (this.#open.size >= this.#socketsMax) this.#closeOneIdle()
    const connection = new Connection(
      target,
      opened => this.#connector.open(target, opened),
      () => this.#forget(connection),
    )
    this.#open.add(connection)
    return connection
  }

  /** Keeps it for the next, if it can serve again; else closes it. */
  giveBack(connection: Connection): void {
    connection.finished()
    const idle = this.#idle.get(connection.origin)
    if (!connection.isUsable) connection.destroy()
    else if (!idle) this.#idle.set(connection.origin, [connection])
    else if (idle.length < limits.outboundSocketsPerOriginMax) idle.push(connection)
    else connection.destroy()
  }

  /** Closes all, those in use too. */
  close(): void {
    this.#isClosed = true
    for (const connection of [...this.#open]) connection.destroy()
  }

  #forget(connection: Connection): void {
    this.#open.delete(connection)
    const idle = this.#idle.get(connection.origin)
    const at = idle?.indexOf(connection) ?? -1
    if (!idle || at < 0) return
    idle.splice(at, 1)
    if (idle.length === 0) this.#idle.delete(connection.origin)
  }

  #closeOneIdle(): void {
    for (const [connection] of this.#idle.values()) {
      if (!connection) continue
      this.#forget(connection)
      connection.destroy()
      return
    }
  }
}
