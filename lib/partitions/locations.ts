/**
 * Where sockets are: which node holds the connection of a host instance or a browser window. Every node knows all of
 * it, softly: each announces what it holds and the others remember. So whoever leads an entity now can reach the
 * sockets it speaks to, at once and without asking, however leadership moves.
 *
 * Changes of one turn travel in one message, numbered; a receiver that misses a number asks for everything. A node that
 * is gone takes its names along. Nothing durable depends on this: a message to a socket that has moved is lost, and the
 * socket's new edge asks for what it needs.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { Log } from '../log.js'
import type { Member, PeerCondition, Peers } from '../ring/index.js'
import type { Clock } from './clock.js'

/** `about`: what the other node says of it. */
export type TakenHandler = (name: string, about: string) => void

/** A socket came (with what its edge says about it) or went. */
export type LocationHandler = (name: string, present: boolean, about: string) => void

/** One life of another node: with another store it counts its boots anew. */
interface Remote {
  readonly storeId: string
  readonly boot: number
  number: number
  readonly names: Map<string, string>
}

interface Update {
  readonly boot: number
  readonly number: number
  /** It holds everything: what was known before is forgotten. */
  readonly whole: boolean
  readonly came: readonly (readonly [name: string, about: string])[]
  readonly went: readonly string[]
}

/** Names remembered of one node; more are not announced. */
const namesMax = 200_000
const callMs = 5_000
const tellAgainMs = 1_000
const resync = Buffer.from('resync')
const taken = Buffer.from('taken')

export class Locations {
  readonly #peers: Peers | undefined
  readonly #clock: Clock
  readonly #log: Log | undefined
  readonly #own = new Map<string, string>()
  readonly #remotes = new Map<NodeId, Remote>()
  /** The node that announced a name last. */
  readonly #nodes = new Map<string, NodeId>()
  readonly #handlers: LocationHandler[] = []
  readonly #takenHandlers: TakenHandler[] = []
  #came = new Map<string, string>()
  #went = new Set<string>()
  #number = 0
  #members: ReadonlySet<NodeId> = new Set()
  /** The newest number that each node has taken. */
  readonly #told = new Map<NodeId, number>()
  /** Nodes that are told again in a moment. */
  readonly #untold = new Set<NodeId>()

  /** Without peers it knows this node's own. */
  constructor(clock: Clock, peers?: Peers, log?: Log) {
    this.#clock = clock
    this.#peers = peers
    this.#log = log
    peers?.onCall('locations', (from, body) => this.#received(from, JSON.parse(body.toString()) as Update))
    peers?.onCall('locations-wanted', from => {
      this.#sendWhole(from.nodeId)
      return taken
    })
    peers?.onCondition((nodeId, condition) => this.#conditionChanged(nodeId, condition))
    peers?.onMembers(members => this.#membersChanged(members))
  }

  /** This node holds the socket of `name` from now on, e.g. `host:<instance id>`. */
  announce(name: string, about = ''): void {
    if (this.#own.size >= namesMax && !this.#own.has(name)) return
    const before = this.#own.get(name)
    if (before === about) return
    this.#own.set(name, about)
    this.#went.delete(name)
    this.#came.set(name, about)
    this.#tellSoon()
    this.#notify(name, true, about)
  }

  withdraw(name: string): void {
    const about = this.#own.get(name)
    if (about === undefined) return
    this.#own.delete(name)
    this.#came.delete(name)
    this.#went.add(name)
    this.#tellSoon()
    if (!this.#nodes.has(name)) this.#notify(name, false, about)
  }

  /** `here`, the node that holds it, or undefined. */
  locate(name: string): 'here' | NodeId | undefined {
    return this.#own.has(name) ? 'here' : this.#nodes.get(name)
  }

  isPresent(name: string): boolean {
    return this.#own.has(name) || this.#nodes.has(name)
  }

  onChange(handler: LocationHandler): void {
    this.#handlers.push(handler)
  }

  /** Another node announced a name that this one holds: one of the two sockets has been left behind. */
  onTaken(handler: TakenHandler): void {
    this.#takenHandlers.push(handler)
  }

  #notify(name: string, present: boolean, about: string): void {
    for (const handler of this.#handlers) handler(name, present, about)
  }

  #tellSoon(): void {
    if (!this.#peers || this.#came.size + this.#went.size > 1) return
    this.#clock.soon(() => this.#tell())
  }

  #tell(): void {
    const { self } = this.#peers ?? {}
    if (!self || this.#came.size + this.#went.size === 0) return
    this.#number += 1
    const update: Update = {
      boot: self.boot,
      number: this.#number,
      whole: false,
      came: [...this.#came],
      went: [...this.#went],
    }
    this.#came = new Map()
    this.#went = new Set()
    const body = Buffer.from(JSON.stringify(update))
    for (const { nodeId } of this.#peers?.members() ?? [])
      if (nodeId !== self.nodeId) this.#send(nodeId, update.number, body)
  }

  #send(to: NodeId, number: number, body: Buffer): void {
    this.#peers?.call(to, 'locations', body, callMs).then(
      answer => {
        if (answer.equals(resync)) this.#sendWhole(to)
        else this.#told.set(to, Math.max(number, this.#told.get(to) ?? 0))
      },
      (error: unknown) => {
        this.#log?.debug('locations.not-told', { to, error })
        this.#tellAgain(to)
      },
    )
  }

  /** The connection to a node may stand all the time, and the queue for it be full: nothing else tells it then. */
  #tellAgain(to: NodeId): void {
    if (this.#untold.has(to)) return
    this.#untold.add(to)
    this.#clock.setTimer(tellAgainMs, () => {
      this.#untold.delete(to)
      const isConnected = this.#members.has(to) && this.#peers?.condition(to).kind === 'connected'
      if (isConnected && this.#told.get(to) !== this.#number) this.#sendWhole(to)
    })
  }

  #sendWhole(to: NodeId): void {
    if (!this.#peers) return
    const { boot } = this.#peers.self
    const number = this.#number
    const update: Update = { boot, number, whole: true, came: [...this.#own], went: [] }
    this.#send(to, number, Buffer.from(JSON.stringify(update)))
  }

  #received(from: Member, update: Update): Buffer {
    let remote = this.#remotes.get(from.nodeId)
    const { storeId } = from
    if (remote?.storeId === storeId && isBefore(update, remote)) return taken
    if (update.whole) {
      const names = new Map(update.came)
      for (const [name, about] of remote?.names ?? [])
        if (!names.has(name)) this.#left(from.nodeId, name, about)
      remote = { storeId, boot: update.boot, number: update.number, names }
      this.#remotes.set(from.nodeId, remote)
      for (const [name, about] of names) this.#arrived(from.nodeId, name, about)
      return taken
    }
    if (remote?.storeId !== storeId || remote.boot !== update.boot || remote.number + 1 !== update.number)
      return resync
    remote.number = update.number
    for (const name of update.went) {
      const about = remote.names.get(name)
      remote.names.delete(name)
      if (about !== undefined) this.#left(from.nodeId, name, about)
    }
    for (const [name, about] of update.came) {
      remote.names.set(name, about)
      this.#arrived(from.nodeId, name, about)
    }
    return taken
  }

  #arrived(nodeId: NodeId, name: string, about: string): void {
    const before = this.#nodes.get(name)
    this.#nodes.set(name, nodeId)
    if (this.#own.has(name)) for (const handler of this.#takenHandlers) handler(name, about)
    if (before !== nodeId) this.#notify(name, true, about)
  }

  #left(nodeId: NodeId, name: string, about: string): void {
    if (this.#nodes.get(name) !== nodeId) return
    // A node that was away says late what it holds, and takes it back: another one has held it all the time.
    for (const [other, { names }] of this.#remotes) {
      const said = other === nodeId ? undefined : names.get(name)
      if (said === undefined) continue
      this.#nodes.set(name, other)
      this.#notify(name, true, said)
      return
    }
    this.#nodes.delete(name)
    if (!this.#own.has(name)) this.#notify(name, false, about)
  }

  #conditionChanged(nodeId: NodeId, condition: PeerCondition): void {
    if (condition.kind === 'connected') {
      this.#sendWhole(nodeId)
      if (!this.#remotes.has(nodeId)) this.#want(nodeId)
    }
    if (condition.kind === 'refused') this.lost(nodeId)
  }

  /** What was announced while a node was no member has not gone to it, although the connection to it may have stood. */
  #membersChanged(members: readonly Member[]): void {
    const before = this.#members
    this.#members = new Set(members.map(({ nodeId }) => nodeId))
    for (const nodeId of this.#members) {
      const hasAll = nodeId === this.#peers?.self.nodeId || (this.#told.get(nodeId) ?? 0) === this.#number
      if (!before.has(nodeId) && !hasAll) this.#sendWhole(nodeId)
    }
  }

  #want(nodeId: NodeId): void {
    this.#peers?.call(nodeId, 'locations-wanted', Buffer.alloc(0), callMs).catch((error: unknown) => {
      this.#log?.debug('locations.not-asked', { nodeId, error })
    })
  }

  /** A node is heard again on the connection that stood all the time: it does not know that it has to say anything. */
  found(nodeId: NodeId): void {
    if (!this.#remotes.has(nodeId)) this.#want(nodeId)
  }

  /** Nothing is heard of a node any more: its sockets are taken for gone, until it speaks again. */
  lost(nodeId: NodeId): void {
    const remote = this.#remotes.get(nodeId)
    this.#remotes.delete(nodeId)
    this.#told.delete(nodeId)
    for (const [name, about] of remote?.names ?? []) this.#left(nodeId, name, about)
  }
}

/** A repeat of what was said before all that is known. */
function isBefore(update: Update, remote: Remote): boolean {
  return update.boot < remote.boot || (update.boot === remote.boot && update.number < remote.number)
}

/** How far a signal has to go: to the node where this socket is, or to every node. */
export type Reach = { readonly socket: string } | 'everywhere'

export function unreachable(): AppError {
  return new AppError('host-not-found')
}
