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

/** What is written before the body, but for what frames the message. */
export interface RequestHead {
  readonly method: string
  /** Names and values in turn. */
  readonly headers: string[]
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

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

/** How many names of headers are remembered as ones that may be sent, and how long they may be, in characters. */
const rememberedMax = 256
const rememberedCharactersMax = 64

/** What is written before bodies. Thousands of requests have headers of the same names; each name is judged once. */
export class Heads {
  readonly #goodNames = new Set<string>()

  /**
   * Method and headers.
   * @throws OutboundError `failed` for a method, a header name or a value that may not be sent
   */
  of({ method, headers = {} }: OutboundRequest): RequestHead {
    const upper = String(method).toUpperCase()
    if (!methods.has(upper))
      throw new OutboundError('failed', `The method ${shown(method)} is not supported.`)
    const written: string[] = []
    for (const name of Object.keys(headers)) {
      if (!this.#goodNames.has(name)) this.#judge(name)
      const value = headers[name]
      try {
        validateHeaderValue(name, value as string)
      } catch (error) {
        throw cannotBeSent(name, error)
      }
      written.push(name, value as string)
    }
    return { method: upper, headers: written }
  }

  #judge(name: string): void {
    if (ownHeaders.has(name.toLowerCase())) {
      throw new OutboundError('failed', `The header ${shown(name)} cannot be set: the connection needs it.`)
    }
    try {
      validateHeaderName(name)
    } catch (error) {
      throw cannotBeSent(name, error)
    }
    if (this.#goodNames.size >= rememberedMax) this.#goodNames.clear()
    if (name.length <= rememberedCharactersMax) this.#goodNames.add(name)
  }
}

function cannotBeSent(name: string, cause: unknown): OutboundError {
  return new OutboundError('failed', `The header ${shown(name)} cannot be sent.`, cause)
}

/** Cut and quoted, for a sentence. */
function shown(text: unknown): string {
  return JSON.stringify(String(text).slice(0, 60))
}
