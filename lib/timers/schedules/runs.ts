/**
 * Starts the runs of schedules: finds a host for the action, and creates the transaction under the id that follows from
 * schedule and tick. Each is an effect of its schedule, so it is tried until the schedule has heard what became of it.
 *
 * Invariant: a run is started at most once. Its transaction is there or not, and is never started after `startByMs`, until
 * when an ended one is still there. What can go wrong: no host is connected. Then the run waits, and has failed when its
 * time is over.
 */
import { AppError } from '../../errors.js'
import type { EntityKey } from '../../ids.js'
import type { Log } from '../../log.js'
import type { Clock, Effect, EffectDispatcher, EntityRuntime } from '../../partitions/index.js'
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
  readonly clock: Clock
  readonly log: Log
  /** Finds person and host. May reject: that is `waiting` where the error is retryable, else `refused`. */
  readonly prepare: (run: RunToStart) => Promise<Prepared>
}

export class ScheduleRuns implements EffectDispatcher {
  readonly #options: ScheduleRunsOptions

  constructor(options: ScheduleRunsOptions) {
    this.#options = options
    const { runtime } = options
    runtime.onEffect('schedule-run', this)
    runtime.onSignal('schedule-check', (signal, key) => this.#check(key, signal.target))
  }

  async dispatch(effect: Effect, key: EntityKey): Promise<void> {
    const run = effect.payload as unknown as RunToStart
    const { clock, runtime } = this.#options
    if (clock.nowMs() >= run.startByMs) return await this.#giveUp(run, key)
    const prepared = await this.#prepare(run)
    if ('waiting' in prepared) throw new AppError('host-not-found', prepared.waiting)
    if ('refused' in prepared) return await this.#failed(run, key, prepared.refused)
    try {
      await runtime.send(transactionKey(run.runId), { type: 'start', start: prepared.start, asker: null })
    } catch (error) {
      if (!(error instanceof AppError) || error.kind.retryable) throw error
      return await this.#failed(run, key, error.message)
    }
    await runtime.send(key, { type: 'run-started', runId: run.runId })
  }

  /** Its time is over. It may have been started by somebody who could not say so any more. */
  async #giveUp(run: RunToStart, key: EntityKey): Promise<void> {
    if (await this.#isThere(run.runId)) {
      await this.#options.runtime.send(key, { type: 'run-started', runId: run.runId })
      return
    }
    const prepared = await this.#prepare(run)
    const reason = 'waiting' in prepared ? prepared.waiting : 'It could not be started in time.'
    await this.#failed(run, key, 'refused' in prepared ? prepared.refused : reason)
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
    this.#options.log.info('schedule-run.failed', { schedule: run.scheduleId, run: run.runId, details })
    await this.#options.runtime.send(key, { type: 'run-failed', runId: run.runId, details })
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
