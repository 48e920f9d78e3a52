/** The public face of the partitions as the rooms above use it. */
import type { EntityKey } from '../ids.js'
import type { Effect, Signal } from './entity.js'

/** Takes effects of one kind out of the node. Resolves when the target has confirmed, rejects when it has not (yet). */
export interface EffectDispatcher {
  /** Aborted when the node stops. `key` is the entity that caused the effect. */
  dispatch(effect: Effect, key: EntityKey, signal: AbortSignal): Promise<void>
}

/** Anything with a type: literals may carry whatever their entity understands. */
export type EntityMessage =
  | { readonly type: string }
  | { readonly type: string; readonly [field: string]: unknown }

export interface EntityRuntime {
  /**
   * Delivers a message to the entity's owner and resolves with its reply once everything the reply depends on is
   * durable. Rejects with `queue-full` when the mailbox is full, `unavailable` when a commit failed, `timeout` after
   * `deadlineMs` (the message may still take effect).
   */
  send<Reply>(key: EntityKey, message: EntityMessage, options?: { deadlineMs?: number }): Promise<Reply>
  /** Dispatches every unconfirmed effect for `target` again, e.g. because a host connected. */
  redispatch(to: string, target: string): void
  onSignal(to: string, handler: (signal: Signal, key: EntityKey) => void): void
  onEffect(to: string, dispatcher: EffectDispatcher): void
}
