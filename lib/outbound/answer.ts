/** An answer as it came, read when somebody asks for more than its status: most callers do not. */
import type { IncomingHttpHeaders } from 'node:http'
import type { OutboundResponse } from './outbound-request.js'

const nothing = Buffer.alloc(0)

export class Answer implements OutboundResponse {
  readonly status: number
  readonly #rawHeaders: readonly Buffer[]
  readonly #parts: readonly Buffer[]

  /** `rawHeaders` are names and values in turn. */
  constructor(status: number, rawHeaders: readonly Buffer[], parts: readonly Buffer[]) {
    this.status = status
    this.#rawHeaders = rawHeaders
    this.#parts = parts
  }

  /** A header that came more than once has its values in one, as RFC 9110, 5.2, joins them; cookies are a list. */
  get headers(): IncomingHttpHeaders {
    const headers: IncomingHttpHeaders = Object.create(null)
    for (let at = 0; at + 1 < this.#rawHeaders.length; at += 2) {
      const name = String(this.#rawHeaders[at]).toLowerCase()
      const value = this.#rawHeaders[at + 1]?.toString('latin1') ?? ''
      const before = headers[name]
      if (name === 'set-cookie') headers[name] = [...(headers[name] ?? []), value]
      else headers[name] = before === undefined ? value : `${before}, ${value}`
    }
    return headers
  }

  get body(): Buffer {
    if (this.#parts.length === 1 && this.#parts[0]) return this.#parts[0]
    return this.#parts.length === 0 ? nothing : Buffer.concat(this.#parts)
  }
}
