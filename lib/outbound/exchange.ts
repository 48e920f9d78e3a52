/**
 * One request on a connection and its answer, whatever the other side does.
 *
 * Invariant: it ends once, within its time, and nothing of it is left: an exchange that fails closes its connection. It
 * is sent a second time only when it went out on a connection that had served before and that ended without one byte of
 * an answer: then the other side had most likely closed it, idle, just before.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { limits } from '../limits.js'
import type { Connections } from './connections.js'
import { OutboundError, type OutboundFailure } from './outbound-error.js'
import type { OutboundRequest, OutboundResponse, RequestHead } from './outbound-request.js'
import type { Target } from './target.js'

const nothing = Buffer.alloc(0)
/** Node fires a longer one at once. */
const longestTimerMs = 2_147_483_647
/** What whoever gave a request up is told. */
export const givenUp = 'The request was given up.'

export class Exchange {
  readonly #request: OutboundRequest
  readonly #head: RequestHead
  readonly #target: Target
  readonly #connections: Connections
  readonly #ended: (result: OutboundResponse | OutboundError) => void
  readonly #timer: NodeJS.Timeout
  #outgoing: ClientRequest | null = null
  #socket: Socket | null = null
  /** What the connection had received before it served this. */
  #bytesReadBefore = 0
  #isConnected = false
  #isSecondTry = false
  #hasEnded = false
  readonly #onAbort = (): void => this.fail('failed', givenUp)

  /** Its time runs from here; `ended` is called once, and never before this returns. */
  constructor(
    request: OutboundRequest,
    head: RequestHead,
    target: Target,
    connections: Connections,
    ended: (result: OutboundResponse | OutboundError) => void,
  ) {
    this.#request = request
    this.#head = head
    this.#target = target
    this.#connections = connections
    this.#ended = ended
    this.#timer = setTimeout(
      () => this.fail('timeout', `There was no complete answer within ${request.timeoutMs} ms.`),
      Math.min(request.timeoutMs, longestTimerMs),
    )
    request.signal?.addEventListener('abort', this.#onAbort)
  }

  /** Sends it, unless it has ended already. */
  send(): void {
    if (this.#hasEnded) return
    const { isSecure, hostname, port, path } = this.#target
    const options = {
      agent: this.#connections.agentFor(isSecure, this.#isSecondTry),
      hostname,
      port,
      path,
      method: this.#head.method,
      headers: this.#head.headers,
      maxHeaderSize: limits.outboundHeaderBytesMax,
    }
    let outgoing: ClientRequest
    try {
      outgoing = isSecure ? requestHttps(options) : requestHttp(options)
    } catch (error) {
      process.nextTick(() => this.fail('failed', 'The request cannot be sent.', error))
      return
    }
    this.#outgoing = outgoing
    let hasResponse = false
    let informationCount = 0
    outgoing
      .on('socket', socket => this.#onSocket(outgoing, socket))
      .on('response', response => {
        hasResponse = true
        // 101 without the headers that switch.
        if ((response.statusCode ?? 0) < 200) this.fail('failed', 'The answer is a provisional one.')
        else this.#onResponse(response)
      })
      .on('information', () => {
        informationCount += 1
        if (informationCount > limits.outboundInformationMax)
          this.fail('failed', 'The answer does not begin: there are only provisional ones.')
      })
      .on('upgrade', (_response, socket) => {
        socket.destroy()
        this.fail('failed', 'The answer switches to another protocol, which was not asked for.')
      })
      .on('error', error => this.#onError(outgoing, error))
      // It may come before the last of an answer was read.
      .on('close', () => !hasResponse && this.#onError(outgoing, new Error('closed')))
    outgoing.end(this.#request.body)
  }

  /** Ends it without an answer, and closes its connection. After its end, nothing. */
  fail(reason: OutboundFailure, message: string, cause?: unknown): void {
    if (this.#hasEnded) return
    this.#end(new OutboundError(reason, message, cause))
    this.#outgoing?.destroy()
  }

  #onSocket(outgoing: ClientRequest, socket: Socket): void {
    if (outgoing !== this.#outgoing) return
    this.#connections.noticed(socket)
    this.#socket = socket
    this.#bytesReadBefore = socket.bytesRead
    this.#isConnected = socket.bytesRead > 0
    if (!this.#isConnected) {
      socket.once(this.#target.isSecure ? 'secureConnect' : 'connect', () => {
        this.#isConnected = true
      })
    }
  }

  #onError(outgoing: ClientRequest, error: Error): void {
    if (outgoing !== this.#outgoing || this.#hasEnded) return
    const isReused = this.#bytesReadBefore > 0
    const hasAnswer = (this.#socket?.bytesRead ?? 0) > this.#bytesReadBefore
    if (isReused && !hasAnswer && !this.#isSecondTry && !this.#connections.isClosed) {
      this.#isSecondTry = true
      this.#outgoing = null
      this.#socket = null
      this.#bytesReadBefore = 0
      this.send()
      return
    }
    if (error instanceof OutboundError) this.fail(error.reason, error.message, error.cause)
    else if (!this.#isConnected) this.fail('unreachable', `There is no connection${codeOf(error)}.`, error)
    else if ('code' in error && error.code === 'HPE_HEADER_OVERFLOW')
      this.fail('too-large', 'The head of the answer is too large.', error)
    else if ('code' in error && String(error.code).startsWith('HPE_'))
      this.fail('failed', 'The answer is not HTTP.', error)
    else this.#broken(error)
  }

  #onResponse(response: IncomingMessage): void {
    const keptMax = this.#request.responseBytesMax ?? 0
    const readMax = keptMax > 0 ? keptMax : limits.outboundThrownAwayBytesMax
    const parts: Buffer[] = []
    let bytes = 0
    const complete = (): void =>
      this.#end({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: parts.length === 0 ? nothing : Buffer.concat(parts),
      })
    response
      .on('data', (part: Buffer) => {
        bytes += part.length
        if (bytes <= readMax) {
          if (keptMax > 0) parts.push(part)
        } else if (keptMax > 0) {
          this.fail('too-large', `The body of the answer is larger than ${keptMax} bytes.`)
        } else {
          complete()
          this.#outgoing?.destroy()
        }
      })
      .on('end', complete)
      .on('error', error => this.#broken(error))
      .on('close', () => this.#broken())
  }

  #broken(cause?: unknown): void {
    this.fail('failed', `The connection broke before the answer was complete${codeOf(cause)}.`, cause)
  }

  #end(result: OutboundResponse | OutboundError): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    clearTimeout(this.#timer)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#ended(result)
  }
}

/** ` (ECONNREFUSED)`, or nothing. With several addresses tried, that of the first. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  if (!(error instanceof Error) || !('code' in error)) return ''
  return ` (${String(error.code)})`
}
