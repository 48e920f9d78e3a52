/** The public face of the partitions as the rooms above use it. */
import type { EntityKey } from '../ids.js'
import type { PartitionId } from '../ring/index.js'
import type { Effect, Json, Signal } from './entity.js'
import type { Locations, Reach } from './locations.js'

/** Takes effects of one kind out of the node. Resolves when the target has confirmed, rejects when it has not (yet). */
export interface EffectDispatcher {
  /** Aborted when the node stops. `key` is the entity that caused the effect. */
  dispatch(effect: Effect, key: EntityKey, signal: AbortSignal): Promise<void>
}

/** Anything with a type: literals may carry whatever their entity understands. */
export type EntityMessage =
  | { readonly type: string }
  | { readonly type: string; readonly [field: string]: unknown }

export interface SendOptions {
  readonly deadlineMs?: number
  readonly isRefusable?: boolean
  /** The key's id has just been made (122 random bits), so nothing can be stored under it: the disk is not asked. */
  readonly isNew?: boolean
}

export interface ListPage {
  /** The last key of the page before; empty for the first. */
  readonly after: string
  /** Entities looked at. */
  readonly limit: number
}

export interface ListedEntities {
  readonly entities: readonly { readonly key: EntityKey; readonly records: Readonly<Record<string, Json>> }[]
  /** False on the last page. */
  readonly hasMore: boolean
}

export type MissedHandler = (concerns: (key: EntityKey, target: string) => boolean) => void

export interface EntityRuntime {
  /**
   * Node time in ms: what entities go by. A time that is compared with one of theirs is taken from here, since the clock
   * of a node may be off.
   */
  nowMs(): number
  /** True while this node leads the entity and takes messages for it: what is sent to it stays here. */
  leads(key: EntityKey): boolean
  /**
   * Delivers a message to the entity's owner and resolves with its reply once everything the reply depends on is
   * durable. Rejects with `queue-full` when the mailbox is full, `unavailable` when a commit failed, `timeout` after
   * `deadlineMs` (the message may still take effect). With `isRefusable` (browsers, callers) it also rejects, with
   * `copies-away` or `isolated`, when the nodes that must have it do not answer for `copiesAwayMsMax`, and at once when
   * that is known already; without it (hosts) the message is held.
   */
  send<Reply>(key: EntityKey, message: EntityMessage, options?: SendOptions): Promise<Reply>
  /**
   * Entities of one kind in one partition, in the order of their keys, from its leader's disk. Rejects as `send` does.
   */
  list(kind: string, partition: PartitionId, page: ListPage): Promise<ListedEntities>
  /** Dispatches every unconfirmed effect for `target` again, e.g. because a host connected. */
  redispatch(to: string, target: string): void
  /**
   * Hears signals for `to`. `reach` says how far one goes: to the node that holds a socket (named as it was announced),
   * or to every node; without it, it is heard where the entity is led.
   */
  onSignal(
    to: string,
    handler: (signal: Signal, key: EntityKey) => void,
    reach?: (signal: Signal) => Reach,
  ): void
  /**
   * Hears when signals for `to` may have been lost on the way: their entity has a new leader, or its leader could not
   * reach this node for a moment. `concerns` tells of which entities, for a target: who holds its socket asks anew.
   */
  onMissed(to: string, handler: MissedHandler): void
  /** `socketOf` names the socket an effect is for: it is dispatched on the node that holds it. */
  onEffect(to: string, dispatcher: EffectDispatcher, socketOf?: (effect: Effect) => string): void
  /** Which sockets there are, and on which nodes. */
  readonly locations: Locations
  /** Asks the node that holds a socket, and answers such questions. */
  ask(kind: string, name: string, body: Json, deadlineMs: number): Promise<Json>
  /** Asks every other node that is there. Resolves when all have answered or failed. */
  askOthers(kind: string, name: string, body: Json, deadlineMs: number): Promise<void>
  onAsk(kind: string, answerer: (name: string, body: Json) => Promise<Json>): void
  /** Says who works on the alarms of one kind. Before the start. */
  alarmWork(kind: string, worker: AlarmWorker): AlarmWork
}

/**
 * Alarms of one kind whose work is done outside the entity: the entity answers its alarm with a signal and leaves the
 * alarm where it is, so that another leader finds it due, until it is told the outcome.
 */
export interface AlarmWorker {
  /** While it says no, alarms of the kind wait in their index. */
  hasRoom(): boolean
  /**
   * The partition is about to be handed over: nothing of it is begun any more. Resolves when what was begun is over and
   * reported; after `msMax` at the latest.
   */
  quiesce(partition: PartitionId, msMax: number): Promise<void>
  /** The hand-over is over, whether this node leads the partition still or not. */
  release(partition: PartitionId): void
}

/** What the worker may ask and say. */
export interface AlarmWork {
  /** There is room again. */
  resume(): void
  /** Says that this node still leads the entity; rejects with `unavailable` when that cannot be known. */
  confirm(key: EntityKey): Promise<void>
  /** The work was not done: the alarm comes again after a moment (a second by default), if this node still leads then. */
  again(key: EntityKey, dueAtMs: number, afterMs?: number): void
}
