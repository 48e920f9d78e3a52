/** What a schedule is made of, and what is known of its runs. */
import { createHash } from 'node:crypto'
import type { Params, Place } from '../../clients/wire.js'
import type { EnvironmentId, OrganizationId, TransactionId, UserId } from '../../ids.js'
import type { ScheduleTimes } from './calendar.js'

/** What happens to ticks that nobody could take because everything was down: one run, all (bounded), or none. */
export const missedPolicies = ['once', 'all', 'skip'] as const
export type MissedPolicy = (typeof missedPolicies)[number]

/** What happens to a tick while a run of an earlier one goes on. */
export const overlapPolicies = ['skip', 'queue-one', 'allow'] as const
export type OverlapPolicy = (typeof overlapPolicies)[number]

export interface ScheduleDefinition {
  readonly id: string
  /** Grows with each change: an older definition changes nothing. */
  readonly revision: number
  /** Ticks after this time count, in ms since 1970. */
  readonly sinceMs: number
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly place: Place
  /** Slug of the action. */
  readonly action: string
  readonly params: Params
  readonly runner: Runner
  readonly times: ScheduleTimes
  readonly missed: MissedPolicy
  readonly overlap: OverlapPolicy
  readonly paused: boolean
  /** The runner hears of success too; absent: no. */
  readonly notifyOnSuccess?: boolean
}

/** Whom the action sees as its user: a person, or whoever owns the organization then. Null: that person is gone. */
export type Runner = { readonly userId: UserId } | 'owner' | null

export type RunStatus = 'WAITING' | 'STARTING' | 'RUNNING' | 'SUCCESS' | 'FAILURE' | 'SKIPPED'
export type RunCause = 'tick' | 'missed' | 'manual'

/** One tick and what became of it; of ticks that were skipped in a row, all of them. */
export interface ScheduleRun {
  /** Id of its transaction, whether there is one or not. */
  readonly id: TransactionId
  /** Place in the order of all runs of the schedule. */
  readonly order: number
  readonly dueAtMs: number
  readonly cause: RunCause
  readonly status: RunStatus
  readonly details: string | null
  readonly endedAtMs: number | null
  /** Ticks it stands for; more than one only where they were skipped. */
  readonly ticks: number
  /** The last of them. */
  readonly lastDueAtMs: number
  /** What its transaction has said, which no guess replaces. */
  readonly isResult: boolean
}

/** What is needed to start one run; the payload of its effect. */
export interface RunToStart
  extends Pick<
    ScheduleDefinition,
    'organizationId' | 'environmentId' | 'place' | 'action' | 'params' | 'runner' | 'notifyOnSuccess'
  > {
  readonly scheduleId: string
  readonly runId: TransactionId
  /** It waits for a host until then, in ms of node time. */
  readonly startByMs: number
  /** It is started also when it is found later, because everything was down. */
  readonly isLateWanted: boolean
}

/** The one run of a tick: the same wherever and how often it is computed. */
export function runIdOfTick(scheduleId: string, tickMs: number): TransactionId {
  return uuidOf(`schedule-run ${scheduleId} ${tickMs}`)
}

/** The run that somebody has asked for, once for each request. */
export function runIdOfRequest(scheduleId: string, requestId: string): TransactionId {
  return uuidOf(`schedule-run ${scheduleId} now ${requestId}`)
}

/** SDKs take UUIDs only, some of them none newer than version 5. */
function uuidOf(text: string): TransactionId {
  const hex = createHash('sha256').update(text).digest('hex')
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 3) | 8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-') as TransactionId
}
