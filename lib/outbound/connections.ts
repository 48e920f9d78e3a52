/**
 * The connections of this room: kept for the next request to the same origin, and closed when idle.
 *
 * Invariant: at most `socketsMax` connections are in use, which the lanes see to, and hardly more are open: one that idles
 * makes room for one that is needed.
 */
import { Agent, type AgentOptions } from 'node:http'
import { Agent as SecureAgent } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'
import { limits } from '../limits.js'

export class Connections {
  readonly #agents: { readonly plain: Agent; readonly secure: SecureAgent }
  /** For a second try: its connections are new, and not kept. */
  readonly #freshAgents: { readonly plain: Agent; readonly secure: SecureAgent }
  readonly #socketsMax: number
  readonly #open = new Set<Socket>()
  #isClosed = false

  constructor(lookup: LookupFunction, socketsMax: number) {
    this.#socketsMax = socketsMax
    const kept: AgentOptions = {
      lookup,
      keepAlive: true,
      // Ends what idles; a connection in use is not touched by it.
      timeout: limits.outboundIdleMsMax,
      maxFreeSockets: limits.outboundSocketsPerOriginMax,
    }
    const fresh: AgentOptions = { lookup, keepAlive: false }
    this.#agents = { plain: new Agent(kept), secure: new SecureAgent(kept) }
    this.#freshAgents = { plain: new Agent(fresh), secure: new SecureAgent(fresh) }
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** How many connections are open, idle ones too. */
  get openCount(): number {
    return this.#open.size
  }

  agentFor(isSecure: boolean, isFresh: boolean): Agent {
    if (this.#open.size >= this.#socketsMax) this.#closeOneIdle()
    const agents = isFresh ? this.#freshAgents : this.#agents
    return isSecure ? agents.secure : agents.plain
  }

  /** A request has got this connection. */
  noticed(socket: Socket): void {
    if (this.#open.has(socket)) return
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
  }

  /** Closes all, those in use too. */
  close(): void {
    this.#isClosed = true
    for (const agents of [this.#agents, this.#freshAgents]) {
      agents.plain.destroy()
      agents.secure.destroy()
    }
  }

  #closeOneIdle(): void {
    for (const agent of [this.#agents.plain, this.#agents.secure]) {
      for (const idle of Object.values(agent.freeSockets)) {
        const [socket] = idle ?? []
        if (!socket) continue
        socket.destroy()
        return
      }
    }
  }
}
