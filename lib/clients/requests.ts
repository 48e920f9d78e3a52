/** Requests of browsers, checked once at the edge. Inside, their types are trusted. */
import { z } from 'zod'
import { AppError } from '../errors.js'
import { isId } from '../ids.js'
import { limits } from '../limits.js'
import { isRecord, parseJson } from '../sdk/index.js'
import type { Method, Requests } from './wire.js'

const id = z.string().refine(isId, 'must be 8 to 64 letters, digits, _ or -')
const slug = z.string().min(1).max(512)
const place = { organization: z.string().min(1).max(128), environment: z.string().min(1).max(128) }
const params = z.record(z.string().max(256), z.union([z.string(), z.number(), z.boolean(), z.null()]))
const values = z.array(z.unknown()).max(limits.componentsPerCallMax)
const nothing = z.object({})

type Schemas = { [M in Method]: z.ZodType<Requests[M]['data']> }

const schemas = {
  hello: z.object({ client: id, protocol: z.number() }),
  ping: nothing,
  'directory.watch': z.object(place),
  'directory.unwatch': z.object(place),
  'transaction.start': z.object({
    ...place,
    transactionId: id,
    slug,
    params: params.optional(),
    paramsMeta: z.unknown().optional(),
    queueItemId: id.optional(),
  }),
  'transaction.attach': z.object({ transactionId: id }),
  'transaction.answer': z.object({
    transactionId: id,
    requestId: id,
    inputGroupKey: z.string().max(128),
    renderId: z.string().max(128),
    kind: z.enum(['RETURN', 'SET_STATE']),
    values,
    valuesMeta: z.unknown().optional(),
    choice: z.string().max(4_096).optional(),
  }),
  'transaction.upload': z.object({
    transactionId: id,
    requestId: id,
    inputGroupKey: z.string().max(128),
    component: z.number().int().min(0).max(limits.componentsPerCallMax),
    files: z
      .array(
        z.object({
          name: z.string().min(1).max(1_024),
          type: z.string().max(256),
          size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
        }),
      )
      .min(1)
      .max(limits.uploadFilesPerFieldMax),
  }),
  'transaction.uploaded': z.object({ transactionId: id, uploadId: id }),
  'transaction.cancel': z.object({ transactionId: id }),
  'transaction.leave': z.object({ transactionId: id }),
  'transaction.redirected': z.object({ transactionId: id }),
  'queue.list': z.object(place),
  'page.open': z.object({
    ...place,
    pageKey: id,
    slug,
    params: params.optional(),
    paramsMeta: z.unknown().optional(),
  }),
  'page.setState': z.object({
    pageKey: id,
    requestId: id,
    inputGroupKey: z.string().max(128),
    renderId: z.string().max(128),
    values,
    valuesMeta: z.unknown().optional(),
  }),
  'page.leave': z.object({ pageKey: id }),
} as unknown as Schemas

export type Request = { [M in Method]: { id: number; method: M; data: Requests[M]['data'] } }[Method]

/** A request that could be read far enough to be answered. */
export interface RequestHead {
  readonly id: number
  readonly method: string
  readonly data: unknown
}

const frameLimits = { bytesMax: limits.clientFrameBytesMax, depthMax: limits.frameDepthMax }

/** The envelope. Throws `invalid-frame` or `too-large`: then the socket cannot go on. */
export function parseHead(text: string | Buffer): RequestHead {
  const frame = parseJson(text, frameLimits)
  if (!isRecord(frame)) throw new AppError('invalid-frame', 'A frame must be an object.')
  const { id: frameId, method, data } = frame
  if (typeof frameId !== 'number' || !Number.isSafeInteger(frameId) || typeof method !== 'string') {
    throw new AppError('invalid-frame', 'A request needs a number `id` and a text `method`.')
  }
  return { id: frameId, method, data: data ?? {} }
}

/** The content. Throws `not-found` for an unknown method, `bad-request` naming the first wrong field. */
export function parseRequest(head: RequestHead): Request {
  if (!Object.hasOwn(schemas, head.method)) {
    throw new AppError('not-found', `There is no method ${JSON.stringify(head.method.slice(0, 64))}.`)
  }
  const method = head.method as Method
  const parsed = schemas[method].safeParse(head.data)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new AppError(
      'bad-request',
      `${method}: ${issue?.path.join('.') || 'data'}: ${issue?.message ?? 'is not valid'}`,
    )
  }
  return { id: head.id, method, data: parsed.data } as Request
}
