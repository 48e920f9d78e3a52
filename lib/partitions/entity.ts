/**
 * What an entity is: the live object behind a key (a transaction, a host, a directory, a page). One message at a
 * time; a message is decided by a pure function, its changes are committed, and only then does anything leave.
 *
 * Invariant: nothing an entity says (reply, signal, effect) is heard before the commit that holds its reason is on
 * disk, here and (in a ring) on every replica. What can go wrong: a commit fails. Then the entity's memory is dropped,
 * every waiting caller gets `unavailable`, and the next message reads the records again.
 */
import type { EntityKey } from '../ids.js'

/** Anything JSON can hold. Records are stored as JSON text. */
export type Json =
  | string
  | number
  | boolean
  | null
  | { readonly [key: string]: Json | undefined }
  | readonly Json[]

/** A value of a record that is JSON text already: it is written as it stands. */
export class JsonText {
  constructor(readonly text: string) {}
}

/** The value of a record as it will be read. */
export function storedValue(value: Json | JsonText): Json {
  return value instanceof JsonText ? (JSON.parse(value.text) as Json) : value
}

/**
 * Something that must happen outside the entity after its commit, at least once. It is stored in the same batch as the
 * change that caused it, dispatched after the commit, dispatched again after a restart or when its target comes back,
 * and dropped by a later commit once the target has confirmed it. `id` is deterministic, so that a receiver can
 * recognise a repeat.
 */
export interface Effect {
  readonly id: string
  /** Which dispatcher takes it, e.g. `host` (a call to an SDK), `entity` (a message to another key), `history` (Postgres). */
  readonly to: string
  /** Whom to wait for, e.g. a host's instance id: `redispatch(to, target)` sends all its unconfirmed effects again. */
  readonly target: string
  readonly payload: Json
}

/** Something that is said after the commit at most once and may be lost: a render to a browser that will ask again. */
export interface Signal {
  readonly to: string
  readonly target: string
  readonly payload: unknown
}

export interface Decision<State, Reply> {
  /** The state after this message. Never mutate the state before; `null` deletes the entity with all its records. */
  readonly state: State | null
  /** Records of this entity to write, by name. */
  readonly put?: ReadonlyMap<string, Json | JsonText>
  /** Names of records to delete. */
  readonly del?: readonly string[]
  /** Due time of this entity's one alarm, in ms of node time; `null` removes it, `undefined` leaves it. */
  readonly alarmAtMs?: number | null
  readonly effects?: readonly Effect[]
  /** Ids of effects of this entity that are no longer wanted. */
  readonly dropEffects?: readonly string[]
  readonly signals?: readonly Signal[]
  /** Marks the entity for the outbox: its `history` rows are written to Postgres later, at least once. */
  readonly history?: boolean
  readonly reply: Reply
}

export interface DecisionContext {
  readonly key: EntityKey
  /** Node time in ms: monotonic, see partitions/time. */
  readonly nowMs: number
  /** The entity is marked for the history outbox and its row has not reached Postgres yet: it must not be deleted. */
  readonly historyPending: boolean
}

/** The message every entity with an alarm must understand. */
export interface AlarmMessage {
  readonly type: 'alarm'
  readonly dueAtMs: number
}

/**
 * One kind of entity. `load` and `decide` are pure: no clock, no randomness, no I/O; they may throw an `AppError` to
 * refuse a message, in which case nothing changes. Any other exception is logged and reaches the caller as `internal`.
 */
export interface EntityKind<State, Message extends { readonly type: string }, Reply = unknown> {
  /** The part of the key before the colon. */
  readonly name: string
  /**
   * All names that its records can have, where they are few and known: they are read by name. A single one lies in the
   * entity's head.
   */
  readonly recordNames?: readonly string[]
  /** Rebuilds the state from the entity's records; called with an empty map for an entity that does not exist. */
  load(records: ReadonlyMap<string, Json>, key: EntityKey): State
  /**
   * True for a message that brings content to store: while the disk has little room, it is refused with `storage-full`
   * if it would change anything. Absent: none does, and all are taken out of the reserve.
   */
  brings?(message: Message | AlarmMessage): boolean
  /** True for an entity that expects nothing for a while: it leaves memory as soon as nothing of it is under way. */
  isDormant?(state: State, nowMs: number): boolean
  decide(state: State, message: Message | AlarmMessage, context: DecisionContext): Decision<State, Reply>
}

// biome-ignore lint/suspicious/noExplicitAny: kinds of different states live in one registry
export type AnyEntityKind = EntityKind<any, any, any>
