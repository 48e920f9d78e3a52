/**
 * Starts the runs of schedules: finds a host for the action, and creates the transaction under the id that follows from
 * schedule and tick. Each is an effect of its schedule, so it is tried until the schedule has heard what became of it.
 *
 * Invariant: a run is started at most once. Until `startByMs` its transaction is still there if it ever was; afterwards
 * the history is asked too, which has every transaction before it goes. What can go wrong: no host is connected. Then the
 * run waits, and has failed when its time is over. A node that finds it only then, because everything was down, still
 * tries for a minute, unless missed ticks are to be skipped.
 */
import { AppError } from '../../errors.js'
import type { EntityKey } from '../../ids.js'
import type { Log } from '../../log.js'
import type { Effect, EffectDispatcher, EntityRuntime } from '../../partitions/index.js'
import type { Located, TransactionStart } from '../../transactions/index.js'
import type { RunToStart } from './definition.js'

/** What there is to say about a run before it starts. */
export type Prepared =
  | { readonly start: TransactionStart }
  /** It may not be run, now and later. */
  | { readonly refused: string }
  /** Not now: tried again. */
  | { readonly waiting: string }

export interface ScheduleRunsOptions {
  readonly runtime: EntityRuntime
  readonly log: Log
  /** Finds person and host. May reject: that is `waiting` where the error is retryable, else `refused`. */
  readonly prepare: (run: RunToStart) => Promise<Prepared>
  /** True when the history has a transaction of this id. */
  readonly isInHistory: (runId: string) => Promise<boolean>
  /** False when the schedule has no row any more, e.g. because its organization was deleted. May reject. */
  readonly isWanted: (scheduleId: string) => Promise<boolean>
}

/** For so long a node tries what it has found when its time was over, in ms. */
const lateTriesMs = 60_000
/** Runs remembered as tried. */
const triedMax = 10_000

export class ScheduleRuns implements EffectDispatcher {
  readonly #options: ScheduleRunsOptions
  /** Runs that this node tries to start: since when, and why it has not succeeded. */
  readonly #tried = new Map<string, { readonly sinceMs: number; reason: string }>()

  constructor(options: ScheduleRunsOptions) {
    this.#options = options
    const { runtime } = options
    runtime.onEffect('schedule-run', this)
    runtime.onSignal('schedule-check', (signal, key) => this.#check(key, signal.target))
  }

  async dispatch(effect: Effect, key: EntityKey): Promise<void> {
    const run = effect.payload as unknown as RunToStart
    const { runtime } = this.#options
    const tried = this.#try(run.runId)
    const isLate = runtime.nowMs() >= run.startByMs
    if (isLate && (await this.#wasStarted(run.runId))) return await this.#started(run, key)
    const prepared = await this.#prepare(run)
    if ('refused' in prepared) return await this.#failed(run, key, prepared.refused)
    if ('waiting' in prepared) tried.reason = prepared.waiting
    if (isLate && (!run.isLateWanted || runtime.nowMs() - tried.sinceMs > lateTriesMs))
      return await this.#failed(run, key, tried.reason)
    if ('waiting' in prepared) throw new AppError('host-not-found', prepared.waiting)
    try {
      const message = { type: 'start', start: prepared.start, asker: null }
      await runtime.send(transactionKey(run.runId), message)
    } catch (error) {
      if (!(error instanceof AppError) || error.kind.retryable) throw error
      return await this.#failed(run, key, error.message)
    }
    await this.#started(run, key)
  }

  #try(runId: string): { readonly sinceMs: number; reason: string } {
    const known = this.#tried.get(runId)
    if (known) return known
    if (this.#tried.size >= triedMax) this.#tried.delete(this.#tried.keys().next().value ?? '')
    const tried = { sinceMs: this.#options.runtime.nowMs(), reason: 'It could not be started in time.' }
    this.#tried.set(runId, tried)
    return tried
  }

  /** By somebody who could not say so any more. */
  async #wasStarted(runId: string): Promise<boolean> {
    return (await this.#isThere(runId)) || (await this.#options.isInHistory(runId))
  }

  async #started({ runId }: RunToStart, key: EntityKey): Promise<void> {
    await this.#options.runtime.send(key, { type: 'run-started', runId })
    this.#tried.delete(runId)
  }

  async #prepare(run: RunToStart): Promise<Prepared> {
    try {
      return await this.#options.prepare(run)
    } catch (error) {
      if (!(error instanceof AppError)) {
        this.#options.log.error('schedule-run.not-prepared', { schedule: run.scheduleId, error })
        return { waiting: 'It could not be prepared.' }
      }
      return error.kind.retryable ? { waiting: error.message } : { refused: error.message }
    }
  }

  async #failed(run: RunToStart, key: EntityKey, details: string): Promise<void> {
    const { log, runtime } = this.#options
    log.info('schedule-run.failed', { schedule: run.scheduleId, run: run.runId, details })
    // Rows go with their organization, and nobody tells their entities: it would tick for ever, and fail each time.
    if (!(await this.#isWanted(run.scheduleId))) await runtime.send(key, { type: 'delete' })
    await runtime.send(key, { type: 'run-failed', runId: run.runId, details })
    this.#tried.delete(run.runId)
  }

  /** Where it cannot be known now, the next tick asks again. */
  async #isWanted(scheduleId: string): Promise<boolean> {
    try {
      return await this.#options.isWanted(scheduleId)
    } catch (error) {
      this.#options.log.debug('schedule-run.not-looked-up', { schedule: scheduleId, error })
      return true
    }
  }

  async #isThere(runId: string): Promise<boolean> {
    const located = await this.#options.runtime.send<Located>(transactionKey(runId), { type: 'locate' })
    return located !== null
  }

  /** A run that goes on for long is looked for; it tells by itself when it ends. */
  #check(key: EntityKey, runId: string): void {
    this.#isThere(runId)
      .then(async isThere => {
        if (!isThere) await this.#options.runtime.send(key, { type: 'run-gone', runId })
      })
      .catch((error: unknown) => this.#options.log.debug('schedule-run.not-checked', { run: runId, error }))
  }
}

const transactionKey = (id: string): EntityKey => `transaction:${id}`
