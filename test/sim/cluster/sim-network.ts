/**
 * The network of a simulated cluster, and each process's `Peers` on it.
 *
 * Between two lives there is one connection: messages arrive in order, each at most once. A reset loses what is under
 * way, requests and replies alike, so that some were executed and some were not. While a direction is cut, its messages
 * are held; when it heals they arrive late, or the connection is reset. Signs of life are not sent as events: whether one
 * came is computed when somebody asks.
 */
import { AppError } from '../../../lib/errors.js'
import type { NodeId } from '../../../lib/ids.js'
import type { CallHandler, Member, PeerCondition, PeerCounters, Peers } from '../../../lib/ring/index.js'
import { Fencing } from './fencing.js'
import type { Life, World } from './world.js'

/** As the real peers: a line on which nothing came for longer is silent. */
export const silentAfterMs = 500
/** Gossip gives a silent member up after so long. */
const forgottenAfterMs = 2_000
const beaconMs = 100
const beaconBodyMs = 500
const refusedAfterMs = 20
/** What counts on the one connection that brings it, in order and once: where sockets are, and what is said to them. */
const softKinds: ReadonlySet<string> = new Set(['signal', 'missed', 'locations', 'locations-wanted'])
const reconnectedMs = 20
const redialMs = 250
/** Changes of how many a node hears that are remembered. */
const countsMax = 50

interface Direction {
  lastArrivalMs: number
  held: (() => void)[]
}

interface Connection {
  /** Grows with each reset: what belongs to an earlier one never arrives. */
  generation: number
  readonly directions: Map<SimPeers, Direction>
  readonly calls: Set<Call>
}

interface Call {
  readonly caller: SimPeers
  readonly to: SimPeers
  readonly reject: (error: AppError) => void
}

interface Hearing {
  /** Signs of life come since then; undefined: none comes. */
  sinceMs: number | undefined
  heardAtMs: number
  /** How long nothing had come before it did again. */
  silentMs: number
}

export class SimNetwork {
  /** Longest time a message takes when nothing is wrong. */
  delayMsMax = 2
  /** Probability that a message arrives a second time, at once or seconds later, whoever leads then. */
  duplicates = 0
  readonly #world: World
  readonly #nodes = new Map<NodeId, SimPeers>()
  /** Processes that claim to be a node that lives. */
  readonly #duplicates = new Set<SimPeers>()
  /** Those cannot reach the one that they claim to be. */
  areDuplicatesApart = false
  readonly fencing: Fencing
  /** How many each node could hear of, itself included, newest last. */
  readonly #counts = new Map<NodeId, { readonly atMs: number; readonly seen: number }[]>()
  readonly #diedAtMs = new Map<NodeId, number>()
  readonly #cut = new Set<string>()
  /** When a node was last cut off from another, in either direction, or paused. */
  readonly #faultMs = new Map<NodeId, number>()
  readonly #connections = new Map<SimPeers, Map<SimPeers, Connection>>()

  constructor(world: World) {
    this.#world = world
    this.fencing = new Fencing(world)
  }

  join(life: Life, self: Member): SimPeers {
    return new SimPeers(this.#world, this, life, self)
  }

  /** Everything alive, in the order of names. */
  alive(): SimPeers[] {
    return [...this.#nodes.values()]
      .filter(peers => !peers.life.isDead)
      .sort((a, b) => (a.self.nodeId < b.self.nodeId ? -1 : 1))
  }

  at(nodeId: NodeId): SimPeers | undefined {
    const peers = this.#nodes.get(nodeId)
    return peers?.life.isDead ? undefined : peers
  }

  isDuplicate(peers: SimPeers): boolean {
    return this.#duplicates.has(peers)
  }

  started(peers: SimPeers): void {
    // The others go on with the one they hear.
    if (this.at(peers.self.nodeId)) {
      this.#duplicates.add(peers)
      return
    }
    this.#duplicates.delete(peers)
    this.#nodes.set(peers.self.nodeId, peers)
    this.changed()
    for (const other of this.alive()) {
      if (other === peers) continue
      const delayMs = () => 20 + this.#world.random.next() * 150
      this.#world.schedule(delayMs(), () => other.reconnected(peers), other.life)
      this.#world.schedule(delayMs(), () => peers.reconnected(other), peers.life)
    }
  }

  died(peers: SimPeers): void {
    if (this.#nodes.get(peers.self.nodeId) !== peers) return
    this.#diedAtMs.set(peers.self.nodeId, this.#world.nowMs)
    for (const [other, connection] of this.#connections.get(peers) ?? []) {
      this.reset(connection)
      this.#connections.get(other)?.delete(peers)
    }
    this.#connections.delete(peers)
    this.changed()
    for (const other of this.alive()) {
      this.#world.schedule(refusedAfterMs + 1, () => other.tell(peers.self.nodeId), other.life)
    }
    for (const duplicate of this.#duplicates) {
      if (duplicate.self.nodeId === peers.self.nodeId && !duplicate.life.isDead) this.started(duplicate)
    }
  }

  diedAtMs(nodeId: NodeId): number | undefined {
    return this.#nodes.get(nodeId)?.life.isDead ? this.#diedAtMs.get(nodeId) : undefined
  }

  /** Since when two nodes could talk without a fault in between; infinite when they cannot. */
  heardSince(one: NodeId, other: NodeId): number {
    const faultMs = Math.max(this.#faultMs.get(one) ?? 0, this.#faultMs.get(other) ?? 0)
    const isHeard =
      !this.isCut(one, other) && !this.isCut(other, one) && this.at(other)?.life.isPaused === false
    return isHeard ? faultMs : Number.POSITIVE_INFINITY
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  disturbed(...nodes: readonly NodeId[]): void {
    for (const node of nodes) this.#faultMs.set(node, this.#world.nowMs)
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}>${to}`)
    this.disturbed(from, to)
    this.changed()
  }

  /** Ends all cuts: what was held arrives, or its connection is reset. */
  heal(): void {
    for (const pair of this.#cut) this.disturbed(...(pair.split('>') as NodeId[]))
    this.#cut.clear()
    this.changed()
    for (const [one, others] of this.#connections) {
      for (const [other, connection] of others) {
        if (one.self.nodeId > other.self.nodeId) continue
        const held = [...connection.directions.values()].some(direction => direction.held.length > 0)
        if (!held) continue
        if (this.#world.random.chance(0.5)) this.reset(connection)
        else {
          for (const direction of connection.directions.values()) {
            for (const arrive of direction.held.splice(0)) arrive()
          }
        }
      }
    }
  }

  resetAny(): void {
    const connections = [...this.#connections.values()].flatMap(others => [...others.values()])
    if (connections.length > 0) this.reset(this.#world.random.pick(connections))
  }

  reset(connection: Connection): void {
    connection.generation += 1
    for (const direction of connection.directions.values()) direction.held = []
    for (const call of [...connection.calls]) {
      this.#world.schedule(
        this.#world.random.next() * 5,
        () => call.reject(new AppError('unavailable')),
        call.caller.life,
      )
    }
    connection.calls.clear()
    // Both dial again at once, and say so when they are heard.
    const [one, other] = [...connection.directions.keys()]
    if (!one || !other) return
    const delayMs = () => reconnectedMs + this.#world.random.next() * reconnectedMs
    this.#world.schedule(delayMs(), () => one.reconnected(other), one.life)
    this.#world.schedule(delayMs(), () => other.reconnected(one), other.life)
  }

  connectionsOf(one: SimPeers): Connection[] {
    return [...(this.#connections.get(one)?.values() ?? [])]
  }

  connection(one: SimPeers, other: SimPeers): Connection {
    let connection = this.#connections.get(one)?.get(other)
    if (!connection) {
      connection = { generation: 0, directions: new Map(), calls: new Set() }
      for (const [a, b] of [
        [one, other],
        [other, one],
      ] as const) {
        connection.directions.set(a, { lastArrivalMs: 0, held: [] })
        const others = this.#connections.get(a)
        if (others) others.set(b, connection)
        else this.#connections.set(a, new Map([[b, connection]]))
      }
    }
    return connection
  }

  /** Brings something from one process to another, in order; nothing when the connection ends before. */
  carry(from: SimPeers, to: SimPeers, connection: Connection, arrive: () => void): void {
    const direction = connection.directions.get(from)
    if (!direction) return
    const { generation } = connection
    const { random } = this.#world
    const delayMs =
      random.chance(0.02) && !this.#world.isCalm
        ? random.next() * 40 * this.delayMsMax
        : random.next() * this.delayMsMax
    const atMs = Math.max(direction.lastArrivalMs, this.#world.nowMs + delayMs)
    direction.lastArrivalMs = atMs
    const take = () => {
      if (connection.generation !== generation) return
      if (this.isCut(from.self.nodeId, to.self.nodeId) || direction.held.length > 0) {
        direction.held.push(() => this.#world.schedule(0, take, to.life, true))
      } else arrive()
    }
    this.#world.schedule(atMs - this.#world.nowMs, take, to.life, true)
  }

  /** Somebody came, went, or was cut off: who hears whom is looked at again. */
  changed(): void {
    const alive = this.alive()
    for (const one of alive) {
      let seen = 1
      for (const other of this.#nodes.values()) {
        const isHeard = this.#hears(one, other)
        if (isHeard && other !== one) seen += 1
        one.look(other, isHeard)
      }
      this.#count(one.self.nodeId, seen)
    }
  }

  #count(nodeId: NodeId, seen: number): void {
    const counts = this.#counts.get(nodeId) ?? []
    this.#counts.set(nodeId, counts)
    if (counts.at(-1)?.seen !== seen) counts.push({ atMs: this.#world.nowMs, seen })
    if (counts.length > countsMax) counts.shift()
  }

  /**
   * Since when a node has been able to hear fewer than half of so many; undefined when it hears enough. Where it could hear
   * enough for less than `noticedMs` in between, that does not count.
   */
  fewSinceMs(nodeId: NodeId, registered: number, noticedMs: number): number | undefined {
    let sinceMs: number | undefined
    let enoughSinceMs: number | undefined
    for (const { atMs, seen } of this.#counts.get(nodeId) ?? []) {
      if (seen * 2 >= registered) {
        enoughSinceMs ??= atMs
        continue
      }
      if (enoughSinceMs !== undefined && atMs - enoughSinceMs >= noticedMs) sinceMs = undefined
      enoughSinceMs = undefined
      sinceMs ??= atMs
    }
    return enoughSinceMs === undefined ? sinceMs : undefined
  }

  /** How many a node may believe to hear now, itself included: also those whose loss it has not noticed in this time. */
  believedNow(nodeId: NodeId, unnoticedMs: number): number {
    const counts = this.#counts.get(nodeId) ?? []
    const sinceMs = this.#world.nowMs - unnoticedMs
    let believed = counts.at(-1)?.seen ?? 0
    for (const [index, { atMs, seen }] of counts.entries())
      if (atMs > sinceMs) believed += Math.max(0, (counts[index - 1]?.seen ?? 0) - seen)
    return believed
  }

  #hears(one: SimPeers, other: SimPeers): boolean {
    const [a, b] = [one.self.nodeId, other.self.nodeId]
    return !other.life.isDead && !other.life.isPaused && !this.isCut(a, b) && !this.isCut(b, a)
  }
}

export class SimPeers implements Peers {
  readonly counters: PeerCounters = { sent: 0, received: 0, batches: 0, refusedConnections: 0, resets: 0 }
  readonly #world: World
  readonly #network: SimNetwork
  readonly #handlers = new Map<string, CallHandler>()
  readonly #hearing = new Map<NodeId, Hearing & { peers: SimPeers }>()
  /** When this node last saw another's address refuse a connection. */
  readonly #refusedAtMs = new Map<NodeId, number>()
  readonly #conditionHandlers = new Set<(nodeId: NodeId, condition: PeerCondition) => void>()
  readonly #memberHandlers = new Set<(members: readonly Member[]) => void>()
  isStarted = false
  #beacon: (() => Buffer) | undefined
  #onBeacon: ((from: Member, body: Buffer, roundTripMs: number) => void) | undefined

  constructor(
    world: World,
    network: SimNetwork,
    readonly life: Life,
    readonly self: Member,
  ) {
    this.#world = world
    this.#network = network
  }

  async start(): Promise<void> {
    this.isStarted = true
    this.#network.started(this)
  }

  async leave(): Promise<void> {}

  async stop(): Promise<void> {}

  members(): readonly Member[] {
    const members = [this.self]
    for (const peers of this.#network.alive()) {
      const hearing = this.#hearing.get(peers.self.nodeId)
      if (hearing?.peers !== peers || this.#heardAtMs(hearing) < this.#world.nowMs - forgottenAfterMs)
        continue
      members.push(peers.self)
    }
    return members.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  }

  onMembers(handler: (members: readonly Member[]) => void): () => void {
    this.#memberHandlers.add(handler)
    return () => this.#memberHandlers.delete(handler)
  }

  onCondition(handler: (nodeId: NodeId, condition: PeerCondition) => void): () => void {
    this.#conditionHandlers.add(handler)
    return () => this.#conditionHandlers.delete(handler)
  }

  onCall(kind: string, handler: CallHandler): void {
    this.#handlers.set(kind, handler)
  }

  learn(): void {}

  async whoIs({ nodeId }: Member): Promise<Member | undefined> {
    await this.#world.wait(1, this.life)
    const other = this.#network.at(nodeId)
    return other === this || this.#network.areDuplicatesApart ? undefined : other?.self
  }

  setBeacon(body: () => Buffer): void {
    this.#beacon = body
  }

  onBeacon(handler: (from: Member, body: Buffer, roundTripMs: number) => void): void {
    this.#onBeacon = handler
    this.#beaconLater()
  }

  /** What the others attach comes as late as it may: their answer was given at any time of the round trip. */
  #beaconLater(): void {
    this.#world.schedule(
      beaconBodyMs,
      () => {
        for (const other of this.#network.alive()) {
          if (other === this || !other.#beacon || this.condition(other.self.nodeId).kind !== 'connected')
            continue
          if (other.life.isPaused) continue
          this.#onBeacon?.(
            other.self,
            other.#beacon(),
            this.#world.random.next() * 2 * this.#network.delayMsMax,
          )
        }
        this.#beaconLater()
      },
      this.life,
    )
  }

  condition(nodeId: NodeId): PeerCondition {
    const { nowMs } = this.#world
    const hearing = this.#hearing.get(nodeId)
    const shift = this.life.clock.nowMs() - nowMs
    const heardAtMs = hearing ? this.#heardAtMs(hearing) : Number.NEGATIVE_INFINITY
    if (hearing?.sinceMs !== undefined && nowMs >= hearing.sinceMs) {
      return { kind: 'connected', heardAtMs: heardAtMs + shift }
    }
    const diedAtMs = this.#network.diedAtMs(nodeId)
    if (diedAtMs !== undefined) {
      const isCut =
        this.#network.isCut(this.self.nodeId, nodeId) || this.#network.isCut(nodeId, this.self.nodeId)
      if (!isCut && nowMs >= diedAtMs + refusedAfterMs) {
        this.#refusedAtMs.set(nodeId, nowMs)
        return { kind: 'refused', sinceMs: diedAtMs + shift }
      }
      return { kind: 'silent', heardAtMs: heardAtMs + shift }
    }
    if (hearing && !hearing.peers.life.isDead && nowMs - heardAtMs <= silentAfterMs) {
      return { kind: 'connected', heardAtMs: heardAtMs + shift }
    }
    return { kind: 'silent', heardAtMs: heardAtMs + shift }
  }

  abandonSilent(): void {
    for (const connection of this.#network.connectionsOf(this)) {
      for (const call of [...connection.calls]) {
        const { nodeId } = call.to.self
        if (call.caller === this && this.condition(nodeId).kind === 'silent')
          call.reject(new AppError('unavailable'))
      }
    }
  }

  call(to: NodeId, kind: string, body: Buffer, deadlineMs: number): Promise<Buffer> {
    if (this.life.isDead) return new Promise(() => undefined)
    return new Promise<Buffer>((resolve, reject) => {
      const target = this.#network.at(to)
      const isCut = this.#network.isCut(this.self.nodeId, to)
      if (!target?.isStarted || this.#network.isDuplicate(this)) {
        const delayMs = isCut ? Math.min(deadlineMs, 2_000) : this.#world.random.next() * 10
        this.#world.schedule(delayMs, () => reject(new AppError('unavailable')), this.life)
        return
      }
      const connection = this.#network.connection(this, target)
      const call: Call = {
        caller: this,
        to: target,
        reject: error => {
          timer.cancel()
          connection.calls.delete(call)
          reject(error)
        },
      }
      const timer = this.#world.schedule(deadlineMs, () => call.reject(new AppError('timeout')), this.life)
      connection.calls.add(call)
      const copy = Buffer.from(body)
      this.#arriveAgain(target, kind, copy)
      this.#network.carry(this, target, connection, () => {
        target.#answer(this.self, kind, copy).then(
          reply => {
            if (target.life.isDead) return
            const bytes = Buffer.from(reply)
            this.#network.carry(target, this, connection, () => {
              timer.cancel()
              connection.calls.delete(call)
              this.#network.fencing.answered(this.life, kind, bytes)
              resolve(bytes)
            })
          },
          (error: unknown) => {
            if (target.life.isDead) return
            const known = error instanceof AppError ? new AppError(error.code) : new AppError('internal')
            if (!(error instanceof AppError)) {
              this.#world.problem(`${kind} failed: ${error instanceof Error ? error.stack : String(error)}`)
            }
            this.#network.carry(target, this, connection, () => call.reject(known))
          },
        )
      })
    })
  }

  #arriveAgain(target: SimPeers, kind: string, body: Buffer): void {
    const { duplicates } = this.#network
    const { random } = this.#world
    if (duplicates === 0 || softKinds.has(kind) || !random.chance(duplicates)) return
    const delayMs = random.next() * random.pick([5, 1_000, 8_000])
    const again = () => {
      this.#world.count('messages doubled', 1)
      target.#answer(this.self, kind, Buffer.from(body)).catch((error: unknown) => {
        // A full disk ends the process.
        if (!target.life.isDead && !(error instanceof AppError))
          this.#world.problem(
            `${kind} failed the second time: ${error instanceof Error ? error.stack : String(error)}`,
          )
      })
    }
    this.#world.schedule(delayMs, again, target.life)
  }

  /** Looks whether signs of life come from a process. */
  look(other: SimPeers, isHeard: boolean): void {
    if (other === this) return
    const { nodeId } = other.self
    let hearing = this.#hearing.get(nodeId)
    if (!hearing || hearing.peers !== other) {
      if (other.life.isDead && hearing) return
      const never = Number.NEGATIVE_INFINITY
      hearing = { peers: other, sinceMs: undefined, heardAtMs: never, silentMs: Number.POSITIVE_INFINITY }
      this.#hearing.set(nodeId, hearing)
    }
    if (isHeard && hearing.sinceMs === undefined) {
      hearing.sinceMs = this.#world.nowMs + this.#world.random.next() * 150
      hearing.silentMs = hearing.sinceMs - hearing.heardAtMs
    } else if (!isHeard && hearing.sinceMs !== undefined) {
      hearing.heardAtMs = this.#heardAtMs(hearing)
      hearing.sinceMs = undefined
    }
  }

  /** This process stood still: what it did not hear meanwhile is nobody's silence. */
  forgive(pausedMs: number): void {
    for (const hearing of this.#hearing.values()) {
      hearing.heardAtMs = Math.min(hearing.heardAtMs + pausedMs, this.#world.nowMs)
    }
  }

  /**
   * How long a node was silent; infinite when it is dead, or was a moment ago and cannot be reached since. One that is heard
   * again may have fallen silent a moment ago.
   */
  lastSilenceMs(nodeId: NodeId, momentMs: number): number {
    const condition = this.condition(nodeId)
    const refusedAtMs = this.#refusedAtMs.get(nodeId) ?? Number.NEGATIVE_INFINITY
    if (this.#world.nowMs - refusedAtMs <= momentMs) return Number.POSITIVE_INFINITY
    const nowMs = this.life.clock.nowMs()
    if (condition.kind === 'silent')
      return nowMs - Math.max(condition.heardAtMs, nowMs - (this.#world.nowMs - this.life.startedMs))
    const hearing = this.#hearing.get(nodeId)
    if (!hearing?.sinceMs || this.#world.nowMs - hearing.sinceMs > momentMs) return 0
    return hearing.silentMs
  }

  /** There is a connection to a process, the first or another one; it is tried until then. */
  reconnected(other: SimPeers): void {
    const { nodeId } = other.self
    if (other.life.isDead) return
    if (this.condition(nodeId).kind === 'connected') this.tell(nodeId)
    else this.#world.schedule(redialMs, () => this.reconnected(other), this.life)
  }

  tell(nodeId: NodeId): void {
    const condition = this.condition(nodeId)
    for (const handler of this.#conditionHandlers) handler(nodeId, condition)
    const members = this.members()
    for (const handler of this.#memberHandlers) handler(members)
  }

  #heardAtMs(hearing: Hearing): number {
    const { nowMs } = this.#world
    if (hearing.sinceMs === undefined || nowMs < hearing.sinceMs) return hearing.heardAtMs
    return Math.max(hearing.heardAtMs, hearing.sinceMs, nowMs - (nowMs % beaconMs))
  }

  async #answer(from: Member, kind: string, body: Buffer): Promise<Buffer> {
    const handler = this.#handlers.get(kind)
    if (!handler) throw new AppError('bad-request')
    const done = this.#network.fencing.arrived(this.life, from, kind, body)
    const answer = await handler(from, body)
    done(answer)
    return answer
  }
}
