/**
 * Carries what entities say from their leader to the nodes that hold the sockets: signals, effects, and questions to a
 * socket's edge. On a node alone everything is here.
 *
 * Invariant: what is carried names partition and epoch of the leader that said it, and a node that knows of a newer
 * leader drops it.
 */
import { AppError } from '../errors.js'
import type { EntityKey, NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { type PartitionId, type Peers, partitionOf } from '../ring/index.js'
import type { EffectDispatcher } from './contract.js'
import type { Effect, Json, Signal } from './entity.js'
import { Locations, type Reach, unreachable } from './locations.js'
import type { Runtime } from './runtime.js'

export interface CourierOptions {
  readonly runtime: Runtime
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

const callMs = 5_000
/** An effect may wait for a host as long as any call to one. */
const effectMs = 60_000
const empty = Buffer.alloc(0)

export class Courier {
  readonly locations: Locations
  readonly #options: CourierOptions
  readonly #signals = new Map<string, SignalHandler>()
  readonly #effects = new Map<string, EffectDispatcher>()
  readonly #answerers = new Map<string, Answerer>()
  readonly #abort = new AbortController()

  constructor(options: CourierOptions) {
    this.#options = options
    this.locations = new Locations(options.peers, options.log.child('locations'))
    const { peers, runtime } = options
    if (!peers) return
    peers.onCall('signal', (from, body) => {
      const { signal, ...said } = JSON.parse(body.toString()) as Said & { signal: Signal }
      if (this.#isCurrent(said, from.storeId)) this.#signals.get(signal.to)?.(signal, said.key)
      return empty
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
    runtime.onSignal(to, (signal, key) => {
      const where = reach(signal)
      if (where === 'everywhere') {
        handler(signal, key)
        for (const { nodeId } of this.#others()) this.#send(nodeId, 'signal', { signal, ...this.#said(key) })
        return
      }
      const node = this.locations.locate(where.socket)
      // Nobody holds it: the handler knows what that means.
      if (node === undefined || node === 'here') handler(signal, key)
      else this.#send(node, 'signal', { signal, ...this.#said(key) })
    })
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
