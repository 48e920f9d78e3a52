/** Schedules: what runs by itself, when, as whom, and what came of it. */
import type { Place } from '../clients/wire.js'
import { callApi, listOf, momentOf } from './api.js'
import { isRecord } from './props.js'
import type { IntervalUnit, Times } from './schedule-words.js'

export type Missed = 'once' | 'all' | 'skip'
export type Overlap = 'skip' | 'queue-one' | 'allow'

export interface Schedule {
  id: string
  environment: string
  action: string
  times: Times
  timeZone: string
  params: Record<string, unknown>
  /** Address of the person it runs as; `owner`: whoever owns the organization; null: somebody who is gone. */
  runner: string | null
  runsAsOwner: boolean
  missed: Missed
  overlap: Overlap
  notifyOnSuccess: boolean
  isPaused: boolean
  upcomingMs: number[]
}

export interface ScheduleRun {
  id: string
  /** `WAITING`, `STARTING`, `RUNNING`, `SUCCESS`, `FAILURE`, `SKIPPED`. */
  status: string
  cause: string
  transactionId: string | null
  details: string | null
  dueAtMs: number | null
  /** How many ticks it stands for. */
  ticks: number
}

/** What a form says; a new one names its action too. */
export interface ScheduleChanges {
  cron?: string
  every?: { count: number; unit: IntervalUnit; anchor?: string }
  timeZone: string
  params: Record<string, unknown>
  /** Left out: as it was, or the person who makes it. */
  runner?: 'owner'
  missed: Missed
  overlap: Overlap
  notifyOnSuccess: boolean
}

const path = '/api/v1/schedules'
const one = (id: string): string => `${path}/${encodeURIComponent(id)}`

export async function schedulesOf(place: Place): Promise<Schedule[]> {
  const body = await callApi('GET', `${path}?${new URLSearchParams({ ...place })}`)
  return listOf(body, 'schedules').map(toSchedule)
}

/** The schedule with its newest runs. */
export async function scheduleWithRuns(id: string): Promise<{ schedule: Schedule; runs: ScheduleRun[] }> {
  const [schedule, runs] = await Promise.all([callApi('GET', one(id)), callApi('GET', `${one(id)}/runs`)])
  return { schedule: toSchedule(schedule), runs: listOf(runs, 'runs').map(toRun) }
}

export async function createSchedule(place: Place, action: string, changes: ScheduleChanges): Promise<void> {
  await callApi('POST', path, { ...place, action, ...changes })
}

export async function changeSchedule(id: string, changes: ScheduleChanges): Promise<void> {
  await callApi('PATCH', one(id), changes)
}

export async function actOnSchedule(id: string, verb: 'pause' | 'resume' | 'run'): Promise<void> {
  await callApi('POST', `${one(id)}/${verb}`)
}

export async function deleteSchedule(id: string): Promise<void> {
  await callApi('DELETE', one(id))
}

/** The next times of what is not a schedule yet. */
export async function previewTimes(
  times: Pick<ScheduleChanges, 'cron' | 'every'> & { timeZone: string },
): Promise<number[]> {
  return momentsOf((await callApi('POST', `${path}/preview`, times)).upcoming)
}

function momentsOf(list: unknown): number[] {
  return (Array.isArray(list) ? list : []).map(momentOf).filter(atMs => atMs !== null)
}

function toSchedule(row: Record<string, unknown>): Schedule {
  const every = isRecord(row.every) ? row.every : null
  return {
    id: String(row.id ?? ''),
    environment: String(row.environment ?? ''),
    action: String(row.action ?? ''),
    times: every
      ? {
          every: {
            count: Number(every.count ?? 1),
            unit: every.unit as IntervalUnit,
            anchor: typeof every.anchor === 'string' ? every.anchor : null,
          },
        }
      : { cron: String(row.cron ?? '') },
    timeZone: String(row.timeZone ?? 'Etc/UTC'),
    params: isRecord(row.params) ? row.params : {},
    runner: row.runner === 'owner' ? null : isRecord(row.runner) ? String(row.runner.email ?? '') : null,
    runsAsOwner: row.runner === 'owner',
    missed: row.missed as Missed,
    overlap: row.overlap as Overlap,
    notifyOnSuccess: row.notifyOnSuccess === true,
    isPaused: row.paused === true,
    upcomingMs: momentsOf(row.upcoming),
  }
}

function toRun(row: Record<string, unknown>): ScheduleRun {
  return {
    id: String(row.id ?? ''),
    status: String(row.status ?? ''),
    cause: String(row.cause ?? ''),
    transactionId: typeof row.transactionId === 'string' ? row.transactionId : null,
    details: typeof row.details === 'string' ? row.details : null,
    dueAtMs: momentOf(row.dueAt),
    ticks: Number(row.ticks ?? 1),
  }
}
