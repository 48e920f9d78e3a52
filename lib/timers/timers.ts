/** What callers do with timers: create, replace, cancel, look. On any node; the timer is wherever its partition is led. */
import { createHash } from 'node:crypto'
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { type Clock, type EntityRuntime, NewIds } from '../partitions/index.js'
import type { PartitionId } from '../ring/index.js'
import { Firings, type Transport } from './firings.js'
import { recordIn, type TimerDefinition, type TimerMessage, type TimerRecord, timerKind } from './timer.js'

export interface TimersOptions {
  readonly runtime: EntityRuntime
  readonly clock: Clock
  readonly log: Log
  readonly transports: ReadonlyMap<string, Transport>
}

/** Scopes for which ids wait. */
const readyScopesMax = 8
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const options = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
const optionsNew = { ...options, isNew: true }

export class Timers {
  readonly firings: Firings
  /** Names that a callback may give as its transport. */
  readonly transports: ReadonlySet<string>
  readonly #runtime: EntityRuntime
  readonly #newIds = new Map<string, NewIds>()

  constructor({ clock, log, runtime, transports }: TimersOptions) {
    this.#runtime = runtime
    this.transports = new Set(transports.keys())
    this.firings = new Firings({ runtime, clock, log, transports })
  }

  /** An id that nobody has used, of a timer that this node leads if such a one is found soon. */
  newId(scope: string): string {
    let ids = this.#newIds.get(scope)
    if (!ids) {
      const keyOf = (id: string): EntityKey => keyOfUuid(scope, id)
      ids = new NewIds({ keyOf, leads: key => this.#runtime.leads(key) })
      const [oldest] = this.#newIds.keys()
      if (oldest !== undefined && this.#newIds.size >= readyScopesMax) this.#newIds.delete(oldest)
      this.#newIds.set(scope, ids)
    }
    return ids.take()
  }

  /**
   * Resolves when the timer is durable. Rejects with `conflict` when `id` is in use; with `isNew` it was made by
   * `newId` a moment ago.
   */
  create(scope: string, timer: TimerDefinition, id: string, isNew = false): Promise<void> {
    const message: TimerMessage = { type: 'create', id, scope, timer, askedAtMs: this.#runtime.nowMs() }
    if (!isNew) return this.#runtime.send(keyOf(scope, id), message, options)
    return this.#runtime.send<void>(keyOfUuid(scope, id), message, optionsNew).catch(unlessHeard)
  }

  /** Puts another timer in the place of one that is pending; its clock starts anew. Rejects with `not-found`. */
  async replace(scope: string, id: string, timer: TimerDefinition): Promise<void> {
    await this.#send(scope, id, { type: 'replace', id, scope, timer })
  }

  /** Rejects with `not-found` when it is unknown, was called, or was cancelled. A call under way is not called back. */
  async cancel(scope: string, id: string): Promise<void> {
    await this.#send(scope, id, { type: 'cancel', scope })
  }

  /** Rejects with `not-found`. */
  async read(scope: string, id: string): Promise<TimerRecord> {
    return await this.#send(scope, id, { type: 'read', scope })
  }

  /** Calls a timer that has failed again, from its first attempt on. Rejects with `not-found` or `conflict`. */
  async revive(scope: string, id: string): Promise<void> {
    await this.#send(scope, id, { type: 'revive', scope })
  }

  /** Timers of all scopes in one partition, in the order of their keys. */
  async list(
    partition: PartitionId,
    after: string,
    limit: number,
  ): Promise<{ timers: { key: string; timer: TimerRecord }[]; hasMore: boolean }> {
    const { entities, hasMore } = await this.#runtime.list(timerKind.name, partition, { after, limit })
    const timers = entities.map(({ key, records }) => ({ key, timer: recordIn(records) }))
    return { timers, hasMore }
  }

  #send<Reply>(scope: string, id: string, message: TimerMessage): Promise<Reply> {
    return this.#runtime.send<Reply>(keyOf(scope, id), message, options)
  }
}

/** The entity of a timer. Callers may choose ids, which may be anything: one id is another timer in each scope. */
export function keyOf(scope: string, id: string): EntityKey {
  return scope === '' && uuidPattern.test(id) ? `timer:${id}` : hashedKeyOf(scope, id)
}

/** The same, of an id that is known to be a UUID. */
function keyOfUuid(scope: string, id: string): EntityKey {
  return scope === '' ? `timer:${id}` : hashedKeyOf(scope, id)
}

function hashedKeyOf(scope: string, id: string): EntityKey {
  const digest = createHash('sha256').update(`${scope}\0${id}`).digest('base64url')
  return `timer:${digest}`
}

/** Nobody else has a new id: where it exists already, it has been asked for twice, and the first time was heard. */
function unlessHeard(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== 'conflict') throw error
}
