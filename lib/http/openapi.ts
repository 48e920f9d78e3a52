/**
 * The description of the API (OpenAPI 3.1), made from the routes themselves: their shapes are the ones that check what
 * comes in, so the description cannot say anything else. Pure.
 */
import { z } from 'zod'
import { type ErrorCode, errorKinds } from '../errors.js'
import type { HttpMethod } from './server.js'

/** What a route of the API says about itself. */
export interface ApiDescription<Body = unknown> {
  /** One line: what it does. */
  readonly summary: string
  /** The part of the API it belongs to: `Schedules`. */
  readonly tag: string
  /**
   * Who calls it, where that is neither whoever is signed in nor their access token. `people`: only who is signed in.
   * `anybody`: nobody in particular; who may is in what they send.
   */
  readonly callers?: 'people' | 'anybody'
  /** What it takes. Checked. */
  readonly body?: z.ZodType<Body>
  /** It takes, or gives back, the bytes of a file. */
  readonly file?: 'taken' | 'given'
  /** What may stand behind the `?`, by name, with a sentence each. */
  readonly query?: Readonly<Record<string, string>>
  /** What it answers with. */
  readonly reply?: z.ZodType
  /** Status of a success; 200. */
  readonly status?: number
  /** What is likely to go wrong, beside what always may. */
  readonly errors?: readonly ErrorCode[]
}

export interface ApiRoute {
  readonly method: HttpMethod
  /** With parameters as `:name`. */
  readonly path: string
  readonly description: ApiDescription
}

type Json = { readonly [name: string]: unknown }

/** What may always happen. */
const commonErrors: readonly ErrorCode[] = [
  'bad-request',
  'not-signed-in',
  'forbidden',
  'not-found',
  'too-many-requests',
]

/** Problem details (RFC 9457) with what is ours in them. */
const problemSchema: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'message'],
  properties: {
    type: { type: 'string', description: 'Always `about:blank`: `code` tells problems apart.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(errorKinds) },
    message: { type: 'string', description: 'The same as `detail`.' },
    fields: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'What is wrong with which part of what was sent, by its path.',
    },
  },
}

/** The document for these routes; those of one path and tag stand together. */
export function openApiDocument(routes: readonly ApiRoute[], version: string): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = operationOf(route)
  }
  const tags = [...new Set(routes.map(({ description }) => description.tag))].sort()
  return {
    openapi: '3.1.0',
    info: {
      title: 'Interval Server',
      version,
      description:
        'Everything the dashboard does. Send a personal access token of yours as `Authorization: Bearer pat_…`: it may do what you may, and no more. What is left to people says so: it takes the session of the dashboard alone.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, { session: [] }],
    tags: tags.map(name => ({ name })),
    paths: Object.fromEntries(Object.entries(paths).sort(([one], [other]) => (one < other ? -1 : 1))),
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A personal access token.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'interval_session',
          description: 'The dashboard itself.',
        },
      },
      schemas: { Problem: problemSchema },
    },
  }
}

function operationOf({ description, method, path }: ApiRoute): Json {
  const { body, callers, file, query = {}, reply, status = 200, summary, tag } = description
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  const inQuery = Object.entries(query).map(([name, words]) => ({
    name,
    in: 'query',
    description: words,
    schema: { type: 'string' },
  }))
  const parameters = [...inPath, ...inQuery]
  return {
    operationId: operationId(method, path),
    summary,
    tags: [tag],
    ...(callers && { security: callers === 'people' ? [{ session: [] }] : [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, content: json(schemaOf(body, 'input')) } }),
    ...(file === 'taken' && { requestBody: { required: true, content: bytes } }),
    responses: {
      [status]: {
        description: 'Done.',
        content: file === 'given' ? bytes : json(reply ? schemaOf(reply, 'output') : { type: 'object' }),
      },
      ...errorResponses([
        ...commonErrors,
        ...(body ? (['invalid-value'] as const) : []),
        ...(description.errors ?? []),
      ]),
    },
  }
}

const bytes: Json = { 'application/octet-stream': { schema: {} } }

function json(schema: Json): Json {
  return { 'application/json': { schema } }
}

function schemaOf(shape: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { io, unrepresentable: 'any' }) as Json
  return schema
}

/** One response for each status, naming the codes that come with it. */
function errorResponses(codes: readonly ErrorCode[]): Record<string, unknown> {
  const byStatus = new Map<number, Set<ErrorCode>>()
  for (const code of codes) {
    const { status } = errorKinds[code]
    const known = byStatus.get(status) ?? new Set()
    byStatus.set(status, known.add(code))
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  return Object.fromEntries(
    [...byStatus].map(([status, known]) => {
      const words = [...known].map(code => `\`${code}\`: ${errorKinds[code].message}`)
      return [status, { description: words.join(' '), content }]
    }),
  )
}

/** `GET /api/v1/schedules/:id` is `getSchedulesId`. */
function operationId(method: HttpMethod, path: string): string {
  const words = path.replace(/^\/api\/v1\//, '').split(/[^A-Za-z0-9]+/)
  return method.toLowerCase() + words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}
