/**
 * Timers as we mean them, under `/api/v1/timers`: any delay, retries, what has failed, lists, export and import. The
 * same timers as those of `/timer`.
 */
import { z } from 'zod'
import type { AccountsService } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { allPartitions, type PartitionId } from '../ring/index.js'
import { dataOf, givenData, type TimerDefinition, type TimerRecord, type Timers } from '../timers/index.js'
import { type Context, hostOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface TimerRoutesOptions {
  readonly timers: Timers
  readonly accounts: Pick<AccountsService, 'audit' | 'authenticateKey'>
  readonly auth: 'key' | 'open'
}

const listMax = 1_000
const listDefault = 100
/** Timers asked for at once: those of others are passed over. */
const lookedAtOnce = 500
/** Timers looked at for one page. */
const examinedMax = 20_000
const dayMs = 86_400_000

const idShape = z
  .string()
  .min(1)
  .max(limits.timerIdCharactersMax)
  .regex(/^[^/\p{Cc}]+$/u, 'An id has no slash and no control characters.')
  .refine(id => Buffer.from(id).toString() === id, 'An id is whole Unicode.')

const retryShape = z.object({
  attempts: z.int().min(1).max(100),
  backoffMs: z.int().min(10).max(dayMs).default(1_000),
  backoffMsMax: z
    .int()
    .min(10)
    .max(30 * dayMs)
    .default(3_600_000),
})

const callbackShape = z.object({
  transport: z.string().min(1).max(64).default('http'),
  uri: z.string().min(1).max(8_192),
  method: z.string().min(1).max(32).default('post'),
})

const timerObject = z.object({
  id: idShape.optional(),
  /** Ms from now. */
  delayMs: z.number().min(0).optional(),
  /** ISO 8601 with a zone. */
  at: z.iso.datetime({ offset: true }).optional(),
  data: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  callback: callbackShape,
  retry: retryShape.optional(),
  responseMs: z.int().min(100).max(300_000).optional(),
})

type TimerBody = z.infer<typeof timerObject>

const hasOneTime = ({ at, delayMs }: TimerBody): boolean => (at === undefined) !== (delayMs === undefined)
const oneTime = { message: 'Give `delayMs` or `at`, one of the two.', path: ['delayMs'] }

const timerShape = timerObject.strict().refine(hasOneTime, oneTime)
/** What a list shows may be sent as it is: what cannot be imported is passed over. */
const importShape = z
  .object({ timers: z.array(timerObject.refine(hasOneTime, oneTime)).max(listMax) })
  .strict()

export function addTimerRoutes(http: HttpServer, options: TimerRoutesOptions): void {
  const { timers } = options
  const open = { caller: 'open' } as const
  const scopeOf = async (context: Context): Promise<string> =>
    options.auth === 'open' ? '' : (await hostOf(context)).organization.id

  const newTimer = (body: TimerBody): TimerDefinition => {
    const { callback, data, responseMs, retry } = body
    if (!timers.transports.has(callback.transport)) {
      const known = [...timers.transports].join(', ')
      throw new AppError('invalid-value', `There is no such transport. Known: ${known}`, {
        fields: { 'callback.transport': `Known: ${known}` },
      })
    }
    return {
      timeoutMs: body.delayMs ?? 0,
      ...(body.at !== undefined && { dueAtMs: Date.parse(body.at) }),
      callback,
      ...(data !== undefined && { data: dataOf(data) }),
      ...(retry && { retry }),
      ...(responseMs !== undefined && { responseMs }),
    }
  }

  http.route('POST', '/api/v1/timers', open, async context => {
    const scope = await scopeOf(context)
    const body = await context.body(timerShape)
    const id = body.id ?? timers.newId(scope)
    await timers.create(scope, newTimer(body), id, body.id === undefined)
    return { status: 201, headers: { location: `/api/v1/timers/${encodeURIComponent(id)}` }, body: { id } }
  })

  http.route('GET', '/api/v1/timers', open, async context => {
    const scope = await scopeOf(context)
    const state = context.query.get('state')
    if (state !== null && state !== 'pending' && state !== 'failed') {
      throw new AppError('bad-request', '`state` is `pending` or `failed`.')
    }
    const limit = Number(context.query.get('limit') ?? listDefault)
    if (!Number.isInteger(limit) || limit < 1 || limit > listMax) {
      throw new AppError('bad-request', `\`limit\` is a whole number from 1 to ${listMax}.`)
    }
    const from = parseCursor(context.query.get('cursor'))
    return ok(await listPage(timers, { scope, state, limit, from }))
  })

  /** Those that exist already stay as they are, so that an import may be repeated. */
  http.route('POST', '/api/v1/timers/import', open, async context => {
    const scope = await scopeOf(context)
    const body = await context.body(importShape)
    const all = body.timers.map(timer => ({ id: timer.id, timer: newTimer(timer) }))
    let created = 0
    let existing = 0
    await Promise.all(
      all.map(async ({ id, timer }) => {
        try {
          await timers.create(scope, timer, id ?? timers.newId(scope), id === undefined)
          created += 1
        } catch (error) {
          if (!(error instanceof AppError) || error.code !== 'conflict') throw error
          existing += 1
        }
      }),
    )
    return ok({ created, existing })
  })

  http.route('GET', '/api/v1/timers/:id', open, async context =>
    ok(shown(await timers.read(await scopeOf(context), context.params.id ?? ''))),
  )

  http.route('DELETE', '/api/v1/timers/:id', open, async context => {
    await timers.cancel(await scopeOf(context), context.params.id ?? '')
    return { status: 204 }
  })

  http.route('POST', '/api/v1/timers/:id/revive', open, async context => {
    await timers.revive(await scopeOf(context), context.params.id ?? '')
    return ok({})
  })
}

interface Cursor {
  readonly partition: number
  readonly after: string
}

/** Timers of one scope, partition by partition. A page may be short, and even empty, while there is a cursor. */
async function listPage(
  timers: Timers,
  page: { scope: string; state: 'pending' | 'failed' | null; limit: number; from: Cursor },
): Promise<{ timers: unknown[]; cursor: string | null }> {
  const found: unknown[] = []
  let examined = 0
  let { after } = page.from
  for (const partition of allPartitions().slice(page.from.partition)) {
    for (let hasMore = true; hasMore; ) {
      if (found.length >= page.limit || examined >= examinedMax) {
        return { timers: found, cursor: formatCursor({ partition, after }) }
      }
      const listed = await timers.list(partition as PartitionId, after, lookedAtOnce)
      for (const { key, timer } of listed.timers) {
        if (found.length >= page.limit) {
          return { timers: found, cursor: formatCursor({ partition, after }) }
        }
        after = key
        if (timer.scope !== page.scope) continue
        if (page.state !== null && stateOf(timer) !== page.state) continue
        found.push(shown(timer))
      }
      examined += listed.timers.length
      hasMore = listed.hasMore
    }
    after = ''
  }
  return { timers: found, cursor: null }
}

function formatCursor({ after, partition }: Cursor): string {
  return Buffer.from(JSON.stringify([partition, after])).toString('base64url')
}

function parseCursor(text: string | null): Cursor {
  if (text === null) return { partition: 0, after: '' }
  try {
    const [partition, after] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [unknown, unknown]
    if (
      Number.isInteger(partition) &&
      typeof after === 'string' &&
      /^(timer:[^\p{Cc}]{1,512})?$/u.test(after)
    )
      return { partition: partition as number, after }
  } catch {
    // Said below.
  }
  throw new AppError('bad-request', 'The cursor is none that this server has given.')
}

function stateOf(timer: TimerRecord): 'pending' | 'failed' {
  return timer.failedAtMs === undefined ? 'pending' : 'failed'
}

/** A timer as callers see it; what it was made of can be imported again. */
function shown(timer: TimerRecord): unknown {
  const { id, callback, createdAtMs, data, dueAtMs, failedAtMs, failures, lastError, nextAtMs } = timer
  return {
    id,
    state: stateOf(timer),
    createdAt: new Date(createdAtMs).toISOString(),
    at: iso(dueAtMs),
    nextAt: failedAtMs === undefined ? iso(nextAtMs) : null,
    callback,
    ...(data !== undefined && { data: givenData(data) }),
    ...(timer.retry && { retry: timer.retry }),
    ...(timer.responseMs !== undefined && { responseMs: timer.responseMs }),
    failures,
    ...(lastError !== undefined && { lastError }),
    ...(failedAtMs !== undefined && { failedAt: iso(failedAtMs) }),
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
