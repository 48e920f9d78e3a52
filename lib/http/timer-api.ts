/**
 * The timer API of Skyring: `POST /timer`, `PUT` and `DELETE /timer/:id`, `GET /ping`; and `GET /timer/:id`, which is ours.
 *
 * It stands before the router and answers by itself, without a body, since its callers measure it in tens of
 * microseconds: a router, a context and a reply object cost as much again as the rest. What differs from Skyring: whatever
 * ends a Skyring node is a 400 or 409 with its reason.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AccountsService } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { limits as allLimits, type Limits } from '../limits.js'
import type { Log } from '../log.js'
import { givenData, parseTimerBody, type Timers } from '../timers/index.js'
import { depthOf, hasBody } from './body.js'
import { hostOfKey } from './context.js'

export interface TimerApiOptions {
  readonly timers: Timers
  readonly accounts: Pick<AccountsService, 'audit' | 'authenticateKey'>
  /** `open`: anybody who reaches the port; else a key is asked for, and timers belong to its organization. */
  readonly auth: 'key' | 'open'
  /** Why nothing can be asked of this node yet; undefined when it can. */
  readonly refusal?: () => AppError | undefined
  readonly limits: Limits
  readonly log: Log
  /** Of who asks. */
  address(request: IncomingMessage): string
}

/** Takes a request, or says that it is not one of these. */
export type RawHandler = (request: IncomingMessage, response: ServerResponse) => boolean

const notFoundBody = '{"message":"Not Found"}'

export function createTimerApi(options: TimerApiOptions): RawHandler {
  const { limits, timers } = options

  const scopeOf = async (request: IncomingMessage): Promise<string> => {
    const { authorization } = request.headers
    const key = request.headers['x-api-key'] ?? /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
    const given = key === undefined ? undefined : String(key)
    const { organization } = await hostOfKey(options.accounts, given, '/timer', () =>
      options.address(request),
    )
    return organization.id
  }

  const create = async (scope: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const given = request.headers['x-timer-id']
    const isNew = given === undefined
    const id = isNew ? timers.newId(scope) : checkedId(String(given))
    try {
      const timer = parseTimerBody(await readBody(request, limits), timers.transports)
      await timers.create(scope, timer, id, isNew)
    } catch (error) {
      // In answers that refuse it as well, as in Skyring's.
      locate(response, id)
      throw error
    }
    end(response, 201, '', ['location', `/timer/${id}`])
  }

  const onOne = async (
    scope: string,
    id: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (request.method === 'GET') {
      const { scope: _scope, version: _version, data, ...timer } = await timers.read(scope, id)
      const state = timer.failedAtMs === undefined ? 'pending' : 'failed'
      const body = JSON.stringify({ ...timer, state, ...(data && { data: givenData(data) }) })
      end(response, 200, body)
      return
    }
    locate(response, id)
    const body = await readBody(request, limits)
    if (request.method === 'PUT') {
      await timers.replace(scope, id, parseTimerBody(body, timers.transports))
      end(response, 200)
    } else {
      await timers.cancel(scope, id)
      end(response, 202)
    }
  }

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    id: string | undefined,
  ): Promise<void> => {
    try {
      const refusal = options.refusal?.()
      if (refusal) throw refusal
      const scope = options.auth === 'open' ? '' : await scopeOf(request)
      if (id === undefined) await create(scope, request, response)
      else await onOne(scope, id, request, response)
    } catch (error) {
      fail(request, response, error, options.log)
    }
  }

  return (request, response) => {
    const url = request.url ?? ''
    if (!url.startsWith('/timer') && !url.startsWith('/ping')) return false
    const queryAt = url.indexOf('?')
    const path = queryAt < 0 ? url : url.slice(0, queryAt)
    const { method } = request
    if (path === '/ping' || path === '/ping/') {
      if (method === 'GET') end(response, 200)
      else notFound(request, response)
      return true
    }
    if (path === '/timer' || path === '/timer/') {
      if (method === 'POST') void answer(request, response, undefined)
      else notFound(request, response)
      return true
    }
    const id = /^\/timer\/([^/]+)\/?$/.exec(path)?.[1]
    if (id === undefined) return false
    if (method === 'PUT' || method === 'DELETE' || method === 'GET') void answer(request, response, id)
    else notFound(request, response)
    return true
  }
}

function checkedId(id: string): string {
  const { timerIdCharactersMax } = allLimits
  if (id.length === 0 || id.length > timerIdCharactersMax) {
    throw new AppError('bad-request', `x-timer-id must have 1 to ${timerIdCharactersMax} characters`)
  }
  return id
}

function locate(response: ServerResponse, id: string): void {
  response.setHeader('location', `/timer/${id}`)
}

/** Adds `headers`, names and values by turns: all at once they cost half of what they do one by one. */
function end(response: ServerResponse, status: number, body = '', headers: readonly string[] = []): void {
  if (response.headersSent || response.destroyed) return
  const type = body === '' ? [] : ['content-type', 'application/json']
  response.writeHead(status, [...headers, ...type, 'content-length', String(Buffer.byteLength(body))])
  response.end(body)
}

function notFound(request: IncomingMessage, response: ServerResponse): void {
  cutUnlessRead(request, response)
  end(response, 404, request.method === 'HEAD' ? '' : notFoundBody)
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown, log: Log): void {
  const isOurs = error instanceof AppError
  if (!isOurs) log.error('timer-api.failed', { error })
  const status = isOurs ? error.kind.status : 500
  const reason = isOurs ? error.message : 'Something went wrong on our side.'
  if (response.headersSent || response.destroyed) return
  response.setHeader('x-skyring-reason', headerText(reason))
  if (status === 503) response.setHeader('retry-after', '1')
  if (status === 401) response.setHeader('www-authenticate', 'Bearer')
  cutUnlessRead(request, response)
  end(response, status)
}

/** A body that was not read would be taken for the next request. */
function cutUnlessRead(request: IncomingMessage, response: ServerResponse): void {
  if (hasBody(request) && !request.complete) response.setHeader('connection', 'close')
}

/** What a header cannot hold becomes a question mark. */
function headerText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}

/** The JSON body, whatever its content type says; an empty one counts as an empty object. */
function readBody(
  request: IncomingMessage,
  { frameDepthMax, requestBodyBytesMax }: Limits,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= requestBodyBytesMax) chunks.push(chunk)
      else {
        request.pause()
        reject(new AppError('too-large', `the body is larger than ${requestBodyBytesMax} bytes`))
      }
    })
    request.on('end', () => {
      const text = chunks.length === 1 ? String(chunks[0]) : Buffer.concat(chunks).toString()
      if (text === '') return resolve({})
      try {
        if (text.length > 2 * frameDepthMax && depthOf(text) > frameDepthMax) {
          throw new AppError('bad-request', 'the JSON is nested too deeply')
        }
        resolve(JSON.parse(text))
      } catch (error) {
        reject(error instanceof AppError ? error : new AppError('bad-request', 'the body is not valid JSON'))
      }
    })
    request.on('error', () => reject(new AppError('bad-request', 'the request was cut off')))
  })
}
