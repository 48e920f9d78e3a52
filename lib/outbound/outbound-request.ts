/**
 * A request as a caller gives it, and the checks that make it one that can be written: what goes to the wire was
 * looked at here, since its parts come from people. Headers that say where a message ends are ours alone.
 */
import { type IncomingHttpHeaders, validateHeaderName, validateHeaderValue } from 'node:http'
import { OutboundError } from './outbound-error.js'

export interface OutboundRequest {
  /** GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, in any case. */
  readonly method: string
  /** http or https, without a user name. */
  readonly url: string
  /** Without those that this room sets itself: host, content-length, connection and the like. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** For the whole exchange, in ms: waiting for a free connection, connecting, sending, and reading the answer. */
  readonly timeoutMs: number
  /**
   * How much of the answer's body is kept, in bytes; a larger one is `too-large`. With 0, the default, the body is read
   * and thrown away, 64 KiB of it at most, after which the connection is cut and the answer counts as complete.
   */
  readonly responseBytesMax?: number
  /** Ends the request as `failed` and closes its connection, whatever it was doing. After its end, nothing. */
  readonly signal?: AbortSignal
}

export interface OutboundResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Empty when nothing was to be kept. */
  readonly body: Buffer
}

/** What is written before the body. */
export interface RequestHead {
  readonly method: string
  readonly headers: Record<string, string | number>
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const methodsWithBody = new Set(['POST', 'PUT', 'PATCH'])

/** They frame the message or steer the connection. */
const ownHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * Method and headers for `host` (`name:port` as in the URL).
 * @throws OutboundError `failed` for a method, a header name or a value that may not be sent
 */
export function headOf({ method, headers = {}, body }: OutboundRequest, host: string): RequestHead {
  const upper = String(method).toUpperCase()
  if (!methods.has(upper)) throw new OutboundError('failed', `The method ${shown(method)} is not supported.`)
  const written: Record<string, string | number> = { host }
  for (const [name, value] of Object.entries(headers)) {
    if (ownHeaders.has(name.toLowerCase())) {
      throw new OutboundError('failed', `The header ${shown(name)} cannot be set: the connection needs it.`)
    }
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    } catch (error) {
      throw new OutboundError('failed', `The header ${shown(name)} cannot be sent.`, error)
    }
    written[name] = value
  }
  const bytes = body === undefined ? 0 : Buffer.byteLength(body)
  if (bytes > 0 || methodsWithBody.has(upper)) written['content-length'] = bytes
  return { method: upper, headers: written }
}

/** Cut and quoted, for a sentence. */
function shown(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 60))
}
