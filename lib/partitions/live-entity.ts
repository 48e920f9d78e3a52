/**
 * An entity in memory: its state, the checksums of its records, and what waits for it.
 *
 * Invariant: `pendingCommits` counts commits that are queued but not on disk; while it is above zero the entity stays
 * in memory, and everything that was decided later waits for the last of them.
 */
import type { EntityKey } from '../ids.js'
import type { PartitionId } from '../ring/index.js'
import type { AnyEntityKind, Signal } from './entity.js'
import type { OnlyRecord } from './entity-head.js'

/** A message on its way to an entity, with the caller that waits for its reply. */
export interface Envelope {
  readonly message: { readonly type: string }
  /** Set for the entity's own alarm: it is only delivered while the alarm is still set to this time. */
  readonly alarmDueAtMs?: number
  resolve(reply: unknown): void
  reject(error: unknown): void
}

/** What leaves once the commits before it are on disk. */
export interface Release {
  readonly envelope: Envelope
  readonly reply: unknown
  /** Given in place of the reply when the message was refused. */
  readonly refusal?: unknown
  readonly signals: readonly Signal[] | undefined
  /** Must be waited for as well: that this node still leads. */
  readonly confirmed?: Promise<void>
}

export type Phase = 'loading' | 'live' | 'gone'

export class LiveEntity {
  phase: Phase = 'loading'
  /** Of the type its kind declares; undefined while loading. */
  state: unknown
  /** Checksum of each record beside the head, by name. */
  readonly records = new Map<string, number>()
  /** The record in the head: whatever changes, the head is written with it. */
  only: OnlyRecord | undefined
  digest = 0
  /** Checksum of the head as it is (or is about to be) on disk; undefined when there is none. */
  headCrc: number | undefined
  alarmAtMs: number | null = null
  mailbox: Envelope[] = []
  pendingCommits = 0
  /** Releases that wait for the last queued commit. */
  lastReleases: Release[] | undefined
  waitingReleases = 0
  /** Releases that wait for nothing but that this node is known to lead still, in order. */
  unconfirmed: Set<Release> | undefined
  usedAtMs: number

  constructor(
    readonly key: EntityKey,
    readonly kind: AnyEntityKind,
    readonly partition: PartitionId,
    nowMs: number,
  ) {
    this.usedAtMs = nowMs
  }

  get isBusy(): boolean {
    return this.phase === 'loading' || this.pendingCommits > 0 || this.mailbox.length > 0
  }
}
