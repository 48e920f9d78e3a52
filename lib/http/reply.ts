/** What a handler answers with, and how it is written. Handlers return values; only this file touches the response. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { type Duplex, pipeline, Readable } from 'node:stream'
import { AppError, type ErrorBody, errorBody } from '../errors.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** JSON, unless it is text or bytes; absent for no body. */
  readonly body?: unknown
  /** In place of a body: bytes as they come, with their `content-length` among the headers where it is known. */
  readonly stream?: AsyncIterable<Uint8Array>
}

/** 200 with a JSON body. */
export function ok(body: unknown, headers?: Reply['headers']): Reply {
  return { status: 200, body, ...(headers && { headers }) }
}

/** Who reads an error: our dashboard, an SDK, or nobody in particular. */
export type ErrorShape = 'dashboard' | 'sdk'

/** An error as its reader understands it. What is not ours is logged under an id that the reader is told. */
export function errorReply(error: unknown, shape: ErrorShape, log: Log, newReference: () => string): Reply {
  let body: ErrorBody = errorBody(error)
  let status = 500
  const headers: Record<string, string> = {}
  if (error instanceof AppError) {
    status = error.kind.status
    if (status === 429) headers['retry-after'] = '60'
    if (status === 503) headers['retry-after'] = '1'
    // Whatever stands in between may choose another node for the next request.
    if (error.code === 'not-joined') headers.connection = 'close'
  } else {
    const reference = newReference()
    log.error('http.failed', { reference, error })
    body = { ...body, message: `${body.message} (reference ${reference})` }
  }
  if (shape === 'sdk') return { status, headers, body: { type: 'error', message: body.message } }
  // Problem details (RFC 9457), with the code and the fields that our own readers go by.
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? '', status, detail: body.message }
  return {
    status,
    headers: { ...headers, 'content-type': 'application/problem+json' },
    body: { ...problem, ...body },
  }
}

/** Writes the reply. Does nothing when one was written or the reader is gone. */
export function write(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  common: Readonly<Record<string, string>>,
): void {
  if (response.headersSent || response.destroyed) return
  const { body } = reply
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
  const bytes = raw ? Buffer.from(body ?? '') : Buffer.from(JSON.stringify(body))
  const headers: Record<string, string | readonly string[]> = {
    ...common,
    ...(!raw && { 'content-type': 'application/json' }),
    ...(body !== undefined && { 'content-length': String(bytes.length) }),
    ...reply.headers,
  }
  // A body that was not read would be taken for the next request.
  if (!request.complete) headers.connection = 'close'
  for (const [name, value] of Object.entries(headers)) {
    response.setHeader(name, typeof value === 'string' ? value : [...value])
  }
  response.writeHead(reply.status)
  if (reply.stream && request.method !== 'HEAD') send(reply.stream, response)
  else response.end(request.method === 'HEAD' || body === undefined ? undefined : bytes)
}

/** Answers a handshake of a websocket with a reply in its place, and ends the connection. */
export function writeInstead(socket: Duplex, { status, headers, body }: Reply): void {
  const text = JSON.stringify(body)
  const all = { ...headers, connection: 'close', 'content-length': Buffer.byteLength(text) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${text}`)
}

/** A reader that takes nothing for a while is cut off; so is one whose bytes do not come any more. */
function send(stream: AsyncIterable<Uint8Array>, response: ServerResponse): void {
  response.setTimeout(limits.uploadStalledMsMax, () => response.destroy())
  pipeline(Readable.from(stream, { objectMode: false }), response, () => undefined)
}
