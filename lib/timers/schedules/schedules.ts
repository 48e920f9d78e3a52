/**
 * What people do with schedules, on any node. A change is a row first, then its entity is told; what could not be told is
 * told again every few seconds, by whichever node, and once an hour all entities are compared with their rows.
 *
 * Invariant: the row is what is wanted, and the entity follows it, by revision. What can go wrong: the entity cannot be
 * reached when the row is written. Then the change is accepted all the same, and counts from when it was made.
 */
import { randomUUID } from 'node:crypto'
import {
  deleteSchedule,
  insertSchedule,
  listScheduleRuns,
  listSchedules,
  noteApplied,
  pruneScheduleRuns,
  readSchedule,
  type ScheduleSettings,
  type StoredSchedule,
  type StoredScheduleRun,
  unappliedSchedules,
  updateSchedule,
  wantedSchedules,
  writeScheduleRuns,
} from '../../accounts/index.js'
import type { Database } from '../../database/index.js'
import { AppError } from '../../errors.js'
import type { EntityKey, EnvironmentId, OrganizationId } from '../../ids.js'
import { limits } from '../../limits.js'
import type { Log } from '../../log.js'
import type { Clock, EntityRuntime, HistoryItem, Timer } from '../../partitions/index.js'
import { Calendar, type ScheduleTimes } from './calendar.js'
import type { ScheduleDefinition, ScheduleRun } from './definition.js'
import { runsIn, type ScheduleRead } from './schedule.js'

export interface SchedulesOptions {
  readonly runtime: EntityRuntime
  /** For what is done from time to time; times of schedules are node time, as of their entities. */
  readonly clock: Clock
  readonly log: Log
  readonly database: Database
}

interface SchedulePlace {
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
}

const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
/** How often changes that were not taken are told again, in ms. */
const tellEveryMs = 10_000
/** How often all are compared, in ms. */
const compareEveryMs = 3_600_000
const pageMax = 200

export class Schedules {
  readonly #options: SchedulesOptions
  #timer: Timer | null = null
  #comparedAtMs = Number.NEGATIVE_INFINITY
  #isStopped = false

  constructor(options: SchedulesOptions) {
    this.#options = options
  }

  /** Begins to bring rows to their entities. */
  start(): void {
    this.#timer = this.#options.clock.setTimer(tellEveryMs, () => {
      this.reconcile()
        .catch((error: unknown) => this.#options.log.debug('schedules.not-reconciled', { error }))
        .finally(() => !this.#isStopped && this.start())
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /** Node time in ms: what schedules go by. */
  nowMs(): number {
    return this.#options.runtime.nowMs()
  }

  /** Rejects with `invalid-value`, naming fields, or `too-many-requests`. */
  async create(place: SchedulePlace, action: string, settings: ScheduleSettings): Promise<StoredSchedule> {
    const { database, runtime } = this.#options
    const sinceMs = runtime.nowMs()
    checkTimes(settings, sinceMs)
    const row = await database.transaction(client => insertSchedule(client, place, action, settings, sinceMs))
    await this.#tellSoon(row)
    return row
  }

  /** `change` may refuse by throwing. Rejects with `not-found`, `invalid-value`. */
  async update(id: string, change: (schedule: StoredSchedule) => ScheduleSettings): Promise<StoredSchedule> {
    const { database, runtime } = this.#options
    const sinceMs = runtime.nowMs()
    const checked = (schedule: StoredSchedule): ScheduleSettings => {
      const settings = change(schedule)
      checkTimes(settings, sinceMs)
      return settings
    }
    const row = await database.transaction(client => updateSchedule(client, id, checked, sinceMs))
    await this.#tellSoon(row)
    return row
  }

  /** Runs that go on are not ended. Rejects with `not-found`. */
  async delete(schedule: StoredSchedule): Promise<void> {
    const { database } = this.#options
    const revision = await database.transaction(client => deleteSchedule(client, schedule.id))
    await this.#tellSoon({ ...schedule, revision, isDeleted: true })
  }

  /** Rejects with `not-found`. */
  read(id: string): Promise<StoredSchedule> {
    return readSchedule(this.#options.database, id)
  }

  /** False when its row is gone or marked as deleted. Rejects with `unavailable`. */
  async isWanted(id: string): Promise<boolean> {
    try {
      await this.read(id)
      return true
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return false
      throw error
    }
  }

  list(place: SchedulePlace, action: string | null): Promise<StoredSchedule[]> {
    return listSchedules(this.#options.database, place, action)
  }

  history(
    id: string,
    page: { readonly beforeMs: number | null; readonly limit: number },
  ): Promise<StoredScheduleRun[]> {
    return listScheduleRuns(this.#options.database, id, page)
  }

  /** Runs as the entity has them, the newest first, those that wait or go on among them. */
  async newestRuns(id: string): Promise<StoredScheduleRun[]> {
    const read = await this.#options.runtime.send<ScheduleRead | null>(keyOf(id), { type: 'read' }, inTime)
    return (read?.runs ?? []).map(run => rowOf(id, run)).reverse()
  }

  /** Once for each request id. Rejects with `conflict` while a run goes on that forbids another one. */
  async runNow(schedule: StoredSchedule, requestId: string = randomUUID()): Promise<StoredScheduleRun> {
    await this.#tell(schedule)
    const message = { type: 'run-now', requestId }
    const run = await this.#options.runtime.send<ScheduleRun>(keyOf(schedule.id), message, inTime)
    return rowOf(schedule.id, run)
  }

  /** Tells what was not heard; from time to time compares everything. */
  async reconcile(): Promise<void> {
    const { clock, database } = this.#options
    for (const row of await unappliedSchedules(database, pageMax)) await this.#tellSoon(row)
    if (clock.nowMs() - this.#comparedAtMs < compareEveryMs) return
    let after = ''
    for (;;) {
      const rows = await wantedSchedules(database, after, pageMax)
      for (const row of rows) await this.#tellSoon(row, false)
      after = rows.at(-1)?.id ?? ''
      if (rows.length < pageMax || this.#isStopped) break
    }
    await pruneScheduleRuns(database)
    this.#comparedAtMs = clock.nowMs()
  }

  /** Writes the runs of these entities. Rejects when it should be tried again. */
  async writeHistory(batch: readonly HistoryItem[]): Promise<void> {
    const rows: StoredScheduleRun[] = []
    for (const { key, records } of batch) {
      const found = key.startsWith('schedule:') ? runsIn(records) : null
      for (const run of found?.runs ?? []) rows.push(rowOf(found?.scheduleId ?? '', run))
    }
    await this.#writeRuns(rows)
  }

  /** A row that is refused stops no other. */
  async #writeRuns(rows: readonly StoredScheduleRun[]): Promise<void> {
    try {
      await writeScheduleRuns(this.#options.database, rows)
    } catch (error) {
      if (error instanceof AppError && error.kind.retryable) throw error
      if (rows.length > 1) {
        for (const row of rows) await this.#writeRuns([row])
        return
      }
      this.#options.log.error('schedule-run.row-refused', { run: rows[0]?.id, error })
    }
  }

  /** Tells the entity, or leaves it to later. Where nothing is new nothing is noted. */
  async #tellSoon(row: StoredSchedule, isNew = true): Promise<void> {
    try {
      await this.#tell(row)
      if (isNew) await noteApplied(this.#options.database, row.id, row.revision)
    } catch (error) {
      this.#options.log.warn('schedule.not-told', { schedule: row.id, revision: row.revision, error })
    }
  }

  async #tell(row: StoredSchedule): Promise<void> {
    const message = row.isDeleted ? { type: 'delete' } : { type: 'set', definition: definitionOf(row) }
    await this.#options.runtime.send(keyOf(row.id), message, inTime)
  }
}

const keyOf = (id: string): EntityKey => `schedule:${id}`

/** The times in the settings, whole. */
export function timesOf({ anchorMs, cron, every, timeZone, unit }: ScheduleSettings): ScheduleTimes {
  if (cron !== null) return { cron, timeZone }
  if (every === null || unit === null || anchorMs === null) {
    const message = 'give either a cron text or an interval'
    throw new AppError('invalid-value', `cron: ${message}`, { fields: { cron: message } })
  }
  return { every, unit, anchorMs, timeZone }
}

/** Throws `invalid-value`, also for times that never come. */
function checkTimes(settings: ScheduleSettings, nowMs: number): void {
  if (new Calendar(timesOf(settings)).next(nowMs) !== null) return
  throw new AppError('invalid-value', 'cron: never comes true', { fields: { cron: 'never comes true' } })
}

function definitionOf(row: StoredSchedule): ScheduleDefinition {
  const { action, environmentId, id, missed, organizationId, overlap, params, revision, sinceMs } = row
  return {
    id,
    revision,
    sinceMs,
    organizationId,
    environmentId,
    place: { organization: row.organizationSlug, environment: row.environmentSlug },
    action,
    params,
    runner: row.runsAsOwner ? 'owner' : row.runnerId === null ? null : { userId: row.runnerId },
    times: timesOf(row),
    missed,
    overlap,
    paused: !row.enabled,
    ...(row.notifyOnSuccess && { notifyOnSuccess: true }),
  }
}

function rowOf(scheduleId: string, run: ScheduleRun): StoredScheduleRun {
  const { cause, details, dueAtMs, endedAtMs, id, lastDueAtMs, status, ticks } = run
  const hasRun = run.isResult || status === 'RUNNING'
  const transactionId = hasRun ? id : null
  return { id, scheduleId, status, cause, transactionId, details, dueAtMs, ticks, lastDueAtMs, endedAtMs }
}
