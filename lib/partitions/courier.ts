/**
 * Carries what entities say from their leader to the nodes that hold the sockets: signals, effects, and questions to a
 * socket's edge. On a node alone everything is here.
 *
 * Invariant: what is carried names partition and epoch of the leader that said it, and a node that knows of a newer
 * leader drops it.
 *
 * What can go wrong: a signal is lost with its leader, or with a connection, or comes to a node that the socket has left
 * while its leader has not heard where it is now. Signals are not stored, so whoever holds
 * the socket is told that it may have missed something, and asks the entity anew: for all entities of a partition when
 * it has a new leader, for one when a signal of it could not be carried. When nobody is known to hold the socket, that
 * is told as soon as somebody does: the link to its node may have been cut, while the socket stood. A leader that hands a
 * partition over waits until it has been heard (`isHeard`), so that nobody has to ask.
 */
import { AppError } from '../errors.js'
import type { EntityKey, NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import { type PartitionId, type Peers, partitionOf } from '../ring/index.js'
import type { Clock } from './clock.js'
import type { EffectDispatcher, MissedHandler } from './contract.js'
import type { Effect, Json, Signal } from './entity.js'
import { Locations, type Reach, unreachable } from './locations.js'
import type { Runtime } from './runtime.js'

export interface CourierOptions {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly log: Log
  readonly peers?: Peers | undefined
  /** False when a newer leader of the partition is known than `from` under `epoch`. */
  readonly accepts: (partition: PartitionId, from: string, epoch: number) => boolean
}

type SignalHandler = (signal: Signal, key: EntityKey) => void
type Answerer = (name: string, body: Json) => Promise<Json>

interface Said {
  readonly key: EntityKey
  readonly epoch: number
}

/** What a socket's edge is told when a signal for it could not be carried. */
interface Missed {
  readonly to: string
  readonly target: string
}

const callMs = 5_000
const missedAgainMs = 250
const lookAgainMs = 2
/** For so long an edge is tried to be told; a node that cannot be reached for longer has lost its sockets. */
const missedTriesMax = 40
const missedMax = 10_000
/** Effects wait for a host no longer than calls to one do. */
const effectMs = 60_000
const empty = Buffer.alloc(0)
/** The socket is not here, or not any more, or whoever said it is taken for an old leader. */
const unheard = Buffer.from('unheard')

export class Courier {
  readonly locations: Locations
  readonly #options: CourierOptions
  readonly #signals = new Map<string, SignalHandler>()
  readonly #reaches = new Map<string, (signal: Signal) => Reach>()
  readonly #effects = new Map<string, EffectDispatcher>()
  readonly #answerers = new Map<string, Answerer>()
  readonly #missedHandlers = new Map<string, MissedHandler>()
  /** What edges are being told that they missed. */
  readonly #missed = new Set<string>()
  /** By partition: signals that were sent, and not heard yet. */
  readonly #underWay = new Map<PartitionId, number>()
  /** By socket that nobody is known to hold: what was said to it meanwhile. */
  readonly #unheard = new Map<string, Map<string, { readonly missed: Missed; readonly key: EntityKey }>>()
  #unheardCount = 0
  readonly #abort = new AbortController()

  constructor(options: CourierOptions) {
    this.#options = options
    this.locations = new Locations(options.clock, options.peers, options.log.child('locations'))
    this.locations.onChange((name, present) => present && this.#found(name))
    const { peers, runtime } = options
    if (!peers) return
    peers.onCall('signal', (from, body) => {
      const { signal, ...said } = JSON.parse(body.toString()) as Said & { signal: Signal }
      if (!this.#isCurrent(said, from.storeId)) return unheard
      this.#signals.get(signal.to)?.(signal, said.key)
      return this.#isHeld(signal.to, signal) ? empty : unheard
    })
    peers.onCall('missed', (_from, body) => {
      const { missed, key } = JSON.parse(body.toString()) as { missed: Missed; key: EntityKey }
      // Asking once too often does no harm, whoever says so: also one that has handed over what it said this of.
      this.#haveMissed(missed, key)
      return this.#isHeld(missed.to, { ...missed, payload: null }) ? empty : unheard
    })
    peers.onCall('effect', async (from, body) => {
      const { effect, ...said } = JSON.parse(body.toString()) as Said & { effect: Effect }
      if (!this.#isCurrent(said, from.storeId)) throw new AppError('unavailable')
      const dispatcher = this.#effects.get(effect.to)
      if (!dispatcher) throw new AppError('unavailable')
      await dispatcher.dispatch(effect, said.key, this.#abort.signal)
      return empty
    })
    peers.onCall('redispatch', (_from, body) => {
      const [to, target] = JSON.parse(body.toString()) as [string, string]
      runtime.effects.redispatch(to, target)
      return empty
    })
    peers.onCall('ask', async (_from, body) => {
      const {
        kind,
        name,
        body: asked,
      } = JSON.parse(body.toString()) as { kind: string; name: string; body: Json }
      return Buffer.from(JSON.stringify((await this.#answer(kind, name, asked)) ?? null))
    })
  }

  /** `reach` says where the socket is that a signal is for; without it, the handler of the leader's own node hears it. */
  onSignal(to: string, handler: SignalHandler, reach?: (signal: Signal) => Reach): void {
    this.#signals.set(to, handler)
    const { runtime } = this.#options
    if (!reach) {
      runtime.onSignal(to, handler)
      return
    }
    this.#reaches.set(to, reach)
    runtime.onSignal(to, (signal, key) => {
      const where = reach(signal)
      if (where === 'everywhere') {
        handler(signal, key)
        for (const { nodeId } of this.#others()) this.#carry(nodeId, signal, key)
        return
      }
      const node = this.locations.locate(where.socket)
      // Nobody holds it: the handler knows what that means.
      if (node === undefined || node === 'here') handler(signal, key)
      if (node === undefined) this.#remember(where.socket, { to: signal.to, target: signal.target }, key)
      else if (node !== 'here') this.#carry(node, signal, key, where.socket)
    })
  }

  onMissed(to: string, handler: MissedHandler): void {
    this.#missedHandlers.set(to, handler)
  }

  /** These partitions have new leaders: what the old ones said last may not have arrived. */
  newLeaders(partitions: ReadonlySet<PartitionId>): void {
    for (const handler of this.#missedHandlers.values()) handler(key => partitions.has(partitionOf(key)))
  }

  /** Brings a signal to its edge. When that fails, says that it was missed to the node that holds the socket then. */
  #carry(to: NodeId, signal: Signal, key: EntityKey, socket?: string): void {
    const body = Buffer.from(JSON.stringify({ signal, ...this.#said(key) }))
    const lost = (error: unknown): void => {
      const words = error instanceof Error ? error.message : error
      this.#options.log.debug('signal.not-carried', { to, signal: signal.to, key, error: words })
      const id = `${to} ${signal.to} ${signal.target} ${key}`
      if (!this.#missedHandlers.has(signal.to) || this.#missed.has(id) || this.#missed.size >= missedMax)
        return
      this.#missed.add(id)
      const missed = { to: signal.to, target: signal.target }
      this.#count(key, 1)
      void this.#tellMissed(missed, key, socket ?? to, socket === undefined).finally(() => {
        this.#missed.delete(id)
        this.#count(key, -1)
      })
    }
    this.#count(key, 1)
    this.#peers
      .call(to, 'signal', body, callMs)
      .then(answer => answer.equals(unheard) && lost('unheard'), lost)
      .finally(() => this.#count(key, -1))
  }

  #count(key: EntityKey, change: 1 | -1): void {
    const partition = partitionOf(key)
    const count = (this.#underWay.get(partition) ?? 0) + change
    if (count > 0) this.#underWay.set(partition, count)
    else this.#underWay.delete(partition)
  }

  /**
   * Resolves with true when all signals of a partition that says nothing more have been heard; with false when that takes
   * longer, or when nobody is known to hold the socket that one of them is for.
   */
  async isHeard(partition: PartitionId, msMax: number): Promise<boolean> {
    const { clock } = this.#options
    const untilMs = clock.nowMs() + msMax
    while (this.#underWay.has(partition)) {
      if (clock.nowMs() >= untilMs || this.#hasUnheard(partition)) return false
      await pause(clock, lookAgainMs)
    }
    return !this.#hasUnheard(partition)
  }

  #hasUnheard(partition: PartitionId): boolean {
    for (const list of this.#unheard.values())
      for (const { key } of list.values()) if (partitionOf(key) === partition) return true
    return false
  }

  /** Tells whoever holds a socket, or a node when `isNode`, again and again until it has heard. */
  async #tellMissed(missed: Missed, key: EntityKey, socket: string, isNode = false): Promise<void> {
    for (let tries = 0; tries < missedTriesMax && !this.#abort.signal.aborted; tries++) {
      await pause(this.#options.clock, missedAgainMs)
      const node = isNode ? (socket as NodeId) : this.locations.locate(socket)
      if (node === undefined) {
        this.#remember(socket, missed, key)
        return
      }
      if (node === 'here') {
        this.#haveMissed(missed, key)
        return
      }
      try {
        const body = Buffer.from(JSON.stringify({ missed, key }))
        if (!(await this.#peers.call(node, 'missed', body, callMs)).equals(unheard)) return
      } catch {
        // It is tried again.
      }
    }
  }

  /** Nobody is known to hold the socket: whoever does is told as soon as that is known. */
  #remember(socket: string, missed: Missed, key: EntityKey): void {
    if (!this.#options.peers || !this.#missedHandlers.has(missed.to)) return
    let list = this.#unheard.get(socket)
    if (!list) {
      list = new Map()
      this.#unheard.set(socket, list)
    }
    const id = `${missed.to} ${missed.target} ${key}`
    if (!list.has(id)) this.#unheardCount += 1
    list.set(id, { missed, key })
    for (const [oldest, { size }] of this.#unheard) {
      if (this.#unheardCount <= missedMax || oldest === socket) break
      // A socket that comes back itself asks for everything.
      this.#unheard.delete(oldest)
      this.#unheardCount -= size
    }
  }

  #found(socket: string): void {
    const list = this.#unheard.get(socket)
    if (!list) return
    this.#unheard.delete(socket)
    this.#unheardCount -= list.size
    for (const { missed, key } of list.values()) {
      this.#count(key, 1)
      void this.#tellMissed(missed, key, socket).finally(() => this.#count(key, -1))
    }
  }

  #haveMissed({ to, target }: Missed, key: EntityKey): void {
    this.#missedHandlers.get(to)?.((other, socket) => other === key && (socket === target || target === key))
  }

  /** False when this is for a socket that this node does not hold. */
  #isHeld(to: string, signal: Signal): boolean {
    const where = this.#reaches.get(to)?.(signal) ?? 'everywhere'
    return where === 'everywhere' || this.locations.locate(where.socket) === 'here'
  }

  onEffect(to: string, dispatcher: EffectDispatcher, socketOf?: (effect: Effect) => string): void {
    this.#effects.set(to, dispatcher)
    this.#options.runtime.onEffect(to, {
      dispatch: async (effect, key, signal) => {
        const node = socketOf ? this.locations.locate(socketOf(effect)) : 'here'
        if (node === undefined || node === 'here') {
          await dispatcher.dispatch(effect, key, signal)
          return
        }
        const body = Buffer.from(JSON.stringify({ effect, ...this.#said(key) }))
        await this.#peers.call(node, 'effect', body, effectMs)
      },
    })
  }

  /** Dispatches unconfirmed effects for `target` again, on whichever nodes they wait. */
  redispatch(to: string, target: string): void {
    this.#options.runtime.effects.redispatch(to, target)
    for (const { nodeId } of this.#others()) this.#send(nodeId, 'redispatch', [to, target])
  }

  /** Answers questions of this kind about sockets that this node holds. */
  onAsk(kind: string, answerer: Answerer): void {
    this.#answerers.set(kind, answerer)
  }

  /** Asks the node that holds the socket `name`. Rejects with `host-not-found` when nobody does. */
  async ask(kind: string, name: string, body: Json, deadlineMs: number): Promise<Json> {
    const node = this.locations.locate(name)
    if (node === undefined) throw unreachable()
    if (node === 'here') return await this.#answer(kind, name, body)
    const asked = Buffer.from(JSON.stringify({ kind, name, body }))
    return JSON.parse((await this.#peers.call(node, 'ask', asked, deadlineMs)).toString()) as Json
  }

  /** Asks every other node that is there, whatever it holds. Resolves when all have answered or failed. */
  async askOthers(kind: string, name: string, body: Json, deadlineMs: number): Promise<void> {
    const asked = Buffer.from(JSON.stringify({ kind, name, body }))
    const there = this.#others().filter(({ nodeId }) => this.#peers.condition(nodeId).kind === 'connected')
    await Promise.allSettled(there.map(({ nodeId }) => this.#peers.call(nodeId, 'ask', asked, deadlineMs)))
  }

  stop(): void {
    this.#abort.abort()
  }

  get #peers(): Peers {
    if (!this.#options.peers) throw new AppError('unavailable')
    return this.#options.peers
  }

  #others() {
    const { peers } = this.#options
    return peers ? peers.members().filter(member => member.nodeId !== peers.self.nodeId) : []
  }

  #said(key: EntityKey): Said {
    return { key, epoch: this.#options.runtime.epochOf(partitionOf(key)) }
  }

  #isCurrent(said: Said, from: string): boolean {
    return this.#options.accepts(partitionOf(said.key), from, said.epoch)
  }

  #send(to: NodeId, kind: string, content: unknown): void {
    this.#peers.call(to, kind, Buffer.from(JSON.stringify(content)), callMs).catch((error: unknown) => {
      this.#options.log.debug('not-carried', {
        to,
        kind,
        error: error instanceof Error ? error.message : error,
      })
    })
  }

  #answer(kind: string, name: string, body: Json): Promise<Json> {
    const answerer = this.#answerers.get(kind)
    return answerer ? answerer(name, body) : Promise.reject(new AppError('unavailable'))
  }
}
