/**
 * Schedules over HTTP, for people and for whoever has a live API key: create, list, look, change, pause, resume, run now,
 * delete, history.
 *
 * Invariant: a schedule runs as a person only if that person, or one who may manage people, has said so. Whoever changes
 * what runs in another's name needs that permission too. What belongs to another organization is not there, and asking for
 * it leaves a row in the audit log.
 */
import { z } from 'zod'
import {
  type Actor,
  isAccessToken,
  type Permission,
  type ScheduleSettings,
  type StoredSchedule,
  type StoredScheduleRun,
} from '../accounts/index.js'
import { AppError } from '../errors.js'
import { isId, type UserId } from '../ids.js'
import {
  Calendar,
  intervalUnits,
  missedPolicies,
  overlapPolicies,
  type Schedules,
  timesOf,
} from '../timers/schedules/index.js'
import { hasBody } from './body.js'
import { type Context, hostOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface ScheduleRoutesOptions {
  readonly schedules: Schedules
}

const path = '/api/v1/schedules'
const upcomingCount = 5
const historyMax = 100
const paramsMax = 100

const name = z.string().min(1).max(64)
const value = z.union([z.string().max(10_000), z.number(), z.boolean(), z.null()])

/** What may be set, all of it optional. */
const settingsShape = {
  /** Five fields, or six with seconds in front. */
  cron: z.string().optional(),
  every: z
    .object({
      count: z.number().int(),
      unit: z.enum(intervalUnits),
      /** The first tick; the minute of the request when absent. */
      anchor: z.iso.datetime({ offset: true }).optional(),
    })
    .strict()
    .optional(),
  timeZone: z.string().max(64).optional(),
  params: z
    .record(z.string().max(256), value)
    .refine(params => Object.keys(params).length <= paramsMax, `at most ${paramsMax} parameters`)
    .optional(),
  /** `owner`: whoever owns the organization; else a person's id. The caller when absent. */
  runner: z.string().max(64).optional(),
  missed: z.enum(missedPolicies).optional(),
  overlap: z.enum(overlapPolicies).optional(),
  /** Who it runs as hears of success too, not only of what went wrong. */
  notifyOnSuccess: z.boolean().optional(),
}

const changeShape = z.object(settingsShape).strict()
const newShape = z
  .object({
    ...settingsShape,
    /** Slugs; of the key, where one is used. */
    organization: name.optional(),
    environment: name.optional(),
    action: z.string().min(1).max(512),
    paused: z.boolean().optional(),
  })
  .strict()
const previewShape = z
  .object({ cron: settingsShape.cron, every: settingsShape.every, timeZone: settingsShape.timeZone })
  .strict()
const runShape = z.object({ requestId: z.string().optional() }).strict()

type Changes = z.infer<typeof changeShape>

export function addScheduleRoutes(http: HttpServer, { schedules }: ScheduleRoutesOptions): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'POST',
    path,
    { ...browser, api: { tag: 'Schedules', summary: 'Makes a schedule', body: newShape, status: 201 } },
    async context => {
      await requireCaller(context)
      const body = await context.body()
      const { actor } = await placeOf(context, body.organization, body.environment)
      const { settings, runnerId } = await changed(context, actor, defaults, body, schedules.nowMs())
      requireRunner(context, actor, runnerId)
      const place = { organizationId: actor.organization.id, environmentId: actor.environment.id }
      const whole = { ...settings, enabled: !(body.paused ?? false) }
      const schedule = await schedules.create(place, body.action, whole)
      audit(context, actor, 'schedule.created', schedule)
      return {
        status: 201,
        headers: { location: `${path}/${schedule.id}` },
        body: described(schedule, schedules.nowMs()),
      }
    },
  )

  // Before there is a schedule: what somebody has in mind, and when that would be.
  http.route(
    'POST',
    `${path}/preview`,
    {
      ...browser,
      api: { tag: 'Schedules', summary: 'The next times of a cron text or an interval', body: previewShape },
    },
    async context => {
      await requireCaller(context)
      const { cron, every, timeZone } = await context.body()
      const nowMs = schedules.nowMs()
      const times = {
        ...defaults,
        timeZone: timeZone ?? defaults.timeZone,
        ...(cron !== undefined && { cron }),
        ...(every !== undefined && {
          every: every.count,
          unit: every.unit,
          anchorMs: every.anchor ? Date.parse(every.anchor) : minuteOf(nowMs),
        }),
      }
      return ok({ upcoming: upcoming(times, nowMs) })
    },
  )

  http.route(
    'GET',
    path,
    {
      ...browser,
      api: {
        tag: 'Schedules',
        summary: 'Lists the schedules of an environment',
        query: {
          organization: 'Slug; that of the key, where one is used.',
          environment: 'Slug; production when absent.',
          action: 'Slug: only those of this action.',
        },
      },
    },
    async context => {
      const { query } = context
      const { actor } = await placeOf(
        context,
        query.get('organization') ?? undefined,
        query.get('environment') ?? undefined,
      )
      const place = { organizationId: actor.organization.id, environmentId: actor.environment.id }
      const found = await schedules.list(place, query.get('action'))
      return ok({ schedules: found.map(schedule => described(schedule, schedules.nowMs())) })
    },
  )

  http.route(
    'GET',
    `${path}/:id`,
    { ...browser, api: { tag: 'Schedules', summary: 'One schedule with its newest runs' } },
    async context => {
      const { schedule } = await scheduleOf(context, schedules)
      const runs = (await schedules.newestRuns(schedule.id)).map(describedRun)
      return ok({ ...described(schedule, schedules.nowMs()), runs })
    },
  )

  http.route(
    'GET',
    `${path}/:id/runs`,
    {
      ...browser,
      api: {
        tag: 'Schedules',
        summary: 'Runs of a schedule, newest first',
        query: { before: 'ISO time: only older ones.', limit: 'Of a page, 1 to 100.' },
      },
    },
    async context => {
      const { schedule } = await scheduleOf(context, schedules)
      const { before, limit } = pageOf(context.query)
      const runs = await schedules.history(schedule.id, { beforeMs: before, limit })
      const last = runs.at(-1)
      const next = runs.length === limit && last ? new Date(last.dueAtMs).toISOString() : null
      return ok({ runs: runs.map(describedRun), next })
    },
  )

  http.route(
    'PATCH',
    `${path}/:id`,
    { ...browser, api: { tag: 'Schedules', summary: 'Changes a schedule', body: changeShape } },
    async context => {
      const body = await context.body()
      const { actor, schedule } = await scheduleOf(context, schedules)
      const { settings, runnerId } = await changed(context, actor, schedule, body, schedules.nowMs())
      requireRunner(context, actor, runnerId)
      const after = await schedules.update(schedule.id, current => {
        // What was decided on what somebody else has changed meanwhile is not written.
        if (current.revision !== schedule.revision) throw new AppError('conflict')
        return settings
      })
      audit(context, actor, 'schedule.changed', schedule)
      return ok(described(after, schedules.nowMs()))
    },
  )

  for (const verb of ['pause', 'resume'] as const) {
    http.route(
      'POST',
      `${path}/:id/${verb}`,
      {
        ...browser,
        api: {
          tag: 'Schedules',
          summary: verb === 'pause' ? 'Stops the ticks of a schedule' : 'Lets the ticks of a schedule go on',
        },
      },
      async context => {
        const { actor, schedule } = await scheduleOf(context, schedules)
        if (verb === 'resume') requireRunner(context, actor, runnerOf(schedule))
        const after = await schedules.update(schedule.id, current => {
          if (current.revision !== schedule.revision) throw new AppError('conflict')
          return { ...current, enabled: verb === 'resume' }
        })
        audit(context, actor, verb === 'pause' ? 'schedule.paused' : 'schedule.resumed', schedule)
        return ok(described(after, schedules.nowMs()))
      },
    )
  }

  http.route(
    'POST',
    `${path}/:id/run`,
    {
      ...browser,
      api: { tag: 'Schedules', summary: 'Runs it now, beside its ticks', body: runShape, status: 202 },
    },
    async context => {
      const { requestId } = hasBody(context.request) ? await context.body() : {}
      if (requestId !== undefined && !isId(requestId)) throw invalid('requestId', 'not an id')
      const { actor, schedule } = await scheduleOf(context, schedules)
      requireRunner(context, actor, runnerOf(schedule))
      const run = await schedules.runNow(schedule, requestId)
      audit(context, actor, 'schedule.run', schedule)
      return { status: 202, body: describedRun(run) }
    },
  )

  http.route(
    'DELETE',
    `${path}/:id`,
    { ...browser, api: { tag: 'Schedules', summary: 'Deletes a schedule' } },
    async context => {
      const { actor, schedule } = await scheduleOf(context, schedules)
      await schedules.delete(schedule)
      audit(context, actor, 'schedule.deleted', schedule)
      return ok({})
    },
  )
}

/** What a new schedule has where nothing is said. */
const defaults: ScheduleSettings = {
  cron: null,
  every: null,
  unit: null,
  anchorMs: null,
  timeZone: 'Etc/UTC',
  params: {},
  runnerId: null,
  runsAsOwner: false,
  missed: 'once',
  overlap: 'skip',
  enabled: true,
  notifyOnSuccess: false,
}

type RunnerId = UserId | 'owner' | null

/** Settings with the changes in them, and in whose name they run. Rejects with `invalid-value`, naming the field. */
async function changed(
  context: Context,
  actor: Actor,
  before: ScheduleSettings,
  changes: Changes,
  nowMs: number,
): Promise<{ settings: ScheduleSettings; runnerId: RunnerId }> {
  const { cron, every, missed, notifyOnSuccess, overlap, params, runner, timeZone } = changes
  if (cron !== undefined && every !== undefined)
    throw invalid('every', 'give either a cron text or an interval')
  let settings: ScheduleSettings = {
    ...before,
    timeZone: timeZone ?? before.timeZone,
    params: params ?? before.params,
    missed: missed ?? before.missed,
    overlap: overlap ?? before.overlap,
    notifyOnSuccess: notifyOnSuccess ?? before.notifyOnSuccess,
  }
  if (cron !== undefined) settings = { ...settings, cron, every: null, unit: null, anchorMs: null }
  if (every !== undefined) {
    const anchorMs = every.anchor ? Date.parse(every.anchor) : minuteOf(nowMs)
    settings = { ...settings, cron: null, every: every.count, unit: every.unit, anchorMs }
  }
  const runnerId = await namedRunner(context, actor, runner ?? runnerOf(before) ?? actor.user.id)
  const runsAsOwner = runnerId === 'owner'
  return { settings: { ...settings, runsAsOwner, runnerId: runsAsOwner ? null : runnerId }, runnerId }
}

function runnerOf({ runnerId, runsAsOwner }: ScheduleSettings): RunnerId {
  return runsAsOwner ? 'owner' : runnerId
}

async function namedRunner({ accounts }: Context, actor: Actor, runner: string): Promise<UserId | 'owner'> {
  if (runner === 'owner') return runner
  try {
    const { organization, environment } = actor
    const { user } = await accounts.unattendedActor(runner as UserId, organization.slug, environment.slug)
    return user.id
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not-found') throw error
    throw invalid('runner', 'not a member of the organization')
  }
}

/** In another's name only with the permission to manage people. */
function requireRunner(context: Context, actor: Actor, runnerId: RunnerId): void {
  if (runnerId === actor.user.id) return
  requireOr(context, actor, 'WRITE_ORG_USERS', 'schedule in the name of another person')
}

/** Somebody at all, a person or a host. Rejects with `not-signed-in` or `invalid-api-key`. */
async function requireCaller(context: Context): Promise<void> {
  if (isKeyGiven(context)) await hostOf(context)
  else await context.person()
}

/** Who asks, where, and may change what runs there. */
async function placeOf(
  context: Context,
  organization: string | undefined,
  environment: string | undefined,
): Promise<{ actor: Actor }> {
  const actor = await askerAt(context, organization, environment)
  if (actor.environment.slug === 'development')
    throw invalid('environment', 'schedules are for environments other than development')
  requireOr(context, actor, 'WRITE_PROD_ACTIONS', 'schedules')
  return { actor }
}

async function askerAt(
  context: Context,
  organization: string | undefined,
  environment: string | undefined,
): Promise<Actor> {
  const { accounts } = context
  if (isKeyGiven(context)) {
    const key = await hostOf(context)
    if (key.kind !== 'PRODUCTION') throw new AppError('forbidden', 'Schedules need a live key.')
    const isElsewhere =
      (organization !== undefined && organization !== key.organization.slug) ||
      (environment !== undefined && environment !== key.environment.slug)
    if (isElsewhere) throw new AppError('forbidden', 'This key is for another environment.')
    return await accounts.unattendedActor(key.user.id, key.organization.slug, key.environment.slug)
  }
  const user = await context.person()
  if (organization === undefined) throw invalid('organization', 'required')
  return await accounts.actor(user.id, organization, environment ?? 'production')
}

/** The schedule of the address, if it is in a place where the caller may change what runs. */
async function scheduleOf(
  context: Context,
  schedules: Schedules,
): Promise<{ actor: Actor; schedule: StoredSchedule }> {
  // Who is nobody hears nothing of what there is.
  await requireCaller(context)
  const { id = '' } = context.params
  if (!isId(id)) throw new AppError('not-found', 'There is no such schedule.')
  const schedule = await schedules.read(id)
  try {
    const { actor } = await placeOf(context, schedule.organizationSlug, schedule.environmentSlug)
    return { actor, schedule }
  } catch (error) {
    const isElsewhere =
      error instanceof AppError && (error.code === 'not-found' || /another environment/.test(error.message))
    if (!isElsewhere) throw error
    context.accounts.audit({
      name: 'access.denied',
      organizationId: schedule.organizationId,
      address: context.origin.address,
      details: { what: 'schedule', schedule: id },
    })
    throw new AppError('not-found', 'There is no such schedule.')
  }
}

function isKeyGiven(context: Context): boolean {
  const text = context.bearer()
  return text !== undefined && !isAccessToken(text)
}

function requireOr(context: Context, actor: Actor, permission: Permission, what: string): void {
  if (actor.permissions.has(permission)) return
  context.accounts.audit({
    name: 'access.denied',
    userId: actor.user.id,
    organizationId: actor.organization.id,
    address: context.origin.address,
    details: { what },
  })
  throw new AppError('forbidden')
}

function audit(context: Context, actor: Actor, event: string, schedule: StoredSchedule): void {
  context.accounts.audit({
    name: event,
    userId: actor.user.id,
    organizationId: actor.organization.id,
    address: context.origin.address,
    details: { schedule: schedule.id, action: schedule.action },
  })
}

/** `nowMs` is node time. */
function described(schedule: StoredSchedule, nowMs: number) {
  const { anchorMs, cron, every, unit } = schedule
  return {
    id: schedule.id,
    organization: schedule.organizationSlug,
    environment: schedule.environmentSlug,
    action: schedule.action,
    ...(cron !== null ? { cron } : { every: { count: every, unit, anchor: isoOf(anchorMs) } }),
    timeZone: schedule.timeZone,
    params: schedule.params,
    runner: schedule.runsAsOwner
      ? 'owner'
      : schedule.runnerId && { id: schedule.runnerId, email: schedule.runnerEmail },
    missed: schedule.missed,
    overlap: schedule.overlap,
    notifyOnSuccess: schedule.notifyOnSuccess,
    paused: !schedule.enabled,
    upcoming: schedule.enabled ? upcoming(schedule, nowMs) : [],
    createdAt: isoOf(schedule.createdAtMs),
    updatedAt: isoOf(schedule.updatedAtMs),
  }
}

/** The next ticks. */
function upcoming(schedule: ScheduleSettings, nowMs: number): string[] {
  const calendar = new Calendar(timesOf(schedule))
  const ticks: string[] = []
  let tick = calendar.next(nowMs)
  while (tick !== null && ticks.length < upcomingCount) {
    ticks.push(new Date(tick).toISOString())
    tick = calendar.next(tick)
  }
  return ticks
}

function describedRun(run: StoredScheduleRun) {
  return {
    id: run.id,
    status: run.status,
    cause: run.cause,
    transactionId: run.transactionId,
    details: run.details,
    dueAt: isoOf(run.dueAtMs),
    ticks: run.ticks,
    lastDueAt: isoOf(run.lastDueAtMs),
    endedAt: isoOf(run.endedAtMs),
  }
}

function pageOf(query: URLSearchParams): { before: number | null; limit: number } {
  const limit = Number(query.get('limit') ?? historyMax)
  if (!Number.isInteger(limit) || limit < 1 || limit > historyMax)
    throw invalid('limit', `a whole number from 1 to ${historyMax}`)
  const text = query.get('before')
  const before = text === null ? null : Date.parse(text)
  if (Number.isNaN(before)) throw invalid('before', 'a time')
  return { before, limit }
}

const isoOf = (atMs: number | null): string | null => (atMs === null ? null : new Date(atMs).toISOString())
const minuteOf = (atMs: number): number => atMs - (atMs % 60_000)

function invalid(field: string, message: string): AppError {
  return new AppError('invalid-value', `${field}: ${message}`, { fields: { [field]: message } })
}
