/**
 * Requests to addresses that others name: callbacks of timers, serverless hosts.
 *
 * Invariant: nothing is sent to an address inside of our network unless the operator has allowed it, by whatever name,
 * number or redirect it is reached; and however the other side behaves, a request ends within its time, costs bounded
 * memory, and holds up no other receiver's. See README.md.
 */
import { promises as dns } from 'node:dns'
import { limits } from '../limits.js'
import { PassingSet } from '../passing.js'
import { parseAllowList } from './allow-list.js'
import { Connections } from './connections.js'
import { Exchange, givenUp } from './exchange.js'
import { Lanes, type Ticket } from './lanes.js'
import { Lookups } from './lookups.js'
import { OutboundError } from './outbound-error.js'
import { Heads, type OutboundRequest, type OutboundResponse, type RequestHead } from './outbound-request.js'
import { type Target, Targets } from './target.js'

export interface OutboundOptions {
  /** What may be asked beyond public addresses, as `parseAllowList` reads it. */
  readonly allow: readonly string[]
  /** For tests. */
  readonly lookup?: typeof dns.lookup
  /** Connections in use at once, of all receivers together. */
  readonly agentSocketsMax?: number
  /** Of those, to one receiver. */
  readonly originSocketsMax?: number
}

export class Outbound {
  readonly #targets: Targets
  readonly #heads = new Heads()
  readonly #connections: Connections
  readonly #lanes: Lanes
  readonly #running = new PassingSet<Exchange>()

  /** @throws Error that names the first wrong entry of `allow` */
  constructor({
    allow,
    lookup = dns.lookup,
    agentSocketsMax = limits.outboundSocketsMax,
    originSocketsMax = limits.outboundSocketsPerOriginMax,
  }: OutboundOptions) {
    const allowed = parseAllowList(allow)
    this.#targets = new Targets(allowed)
    const lookups = new Lookups(allowed, lookup, limits.outboundLookupsMax)
    this.#connections = new Connections(lookups.forConnect, agentSocketsMax)
    this.#lanes = new Lanes({
      insideMax: agentSocketsMax,
      perLaneMax: Math.min(agentSocketsMax, originSocketsMax),
      waitingMax: limits.outboundWaitingMax,
    })
  }

  /** Undefined when a request may go there, as far as can be told without resolving the name; else one sentence. */
  refusal(url: string): string | undefined {
    try {
      this.#targets.of(url)
      return undefined
    } catch (error) {
      return asOutboundError(error).message
    }
  }

  /** What requests to the same receiver share: scheme, host and port; undefined where none may be made. */
  originOf(url: string): string | undefined {
    try {
      return this.#targets.of(url).origin
    } catch {
      return undefined
    }
  }

  /** Resolves with the answer, of whatever status, redirects too. Rejects with `OutboundError`, never throws. */
  request(request: OutboundRequest): Promise<OutboundResponse> {
    let target: Target
    let head: RequestHead
    try {
      target = this.#targets.of(request.url)
      head = this.#heads.of(request)
      if (this.#connections.isClosed) throw new OutboundError('failed', 'This node is shutting down.')
      if (request.signal?.aborted) throw new OutboundError('failed', givenUp)
    } catch (error) {
      return Promise.reject(asOutboundError(error))
    }
    return new Promise((resolve, reject) => {
      let ticket: Ticket | undefined
      const exchange: Exchange = new Exchange(request, head, target, this.#connections, result => {
        this.#running.delete(exchange)
        // Only then is its connection free for the next.
        queueMicrotask(() => {
          exchange.leaveConnection()
          ticket?.leave()
        })
        if (result instanceof OutboundError) reject(result)
        else resolve(result)
      })
      this.#running.add(exchange)
      ticket = this.#lanes.take(target.origin, () => exchange.send())
      if (!ticket) exchange.fail('unreachable', 'Too many requests wait for a connection.')
    })
  }

  /** Connections in use and idle ones. */
  get openConnections(): number {
    return this.#connections.openCount
  }

  /** Ends all requests as `failed` and closes all connections. */
  close(): void {
    this.#connections.close()
    for (const exchange of [...this.#running]) exchange.fail('failed', 'This node is shutting down.')
  }
}

function asOutboundError(error: unknown): OutboundError {
  return error instanceof OutboundError
    ? error
    : new OutboundError('failed', 'The request cannot be made.', error)
}
