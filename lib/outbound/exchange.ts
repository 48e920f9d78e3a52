/**
 * One request on a connection and its answer, whatever the other side does.
 *
 * Invariant: it ends once, within its time, and nothing of it is left: an exchange that fails closes its connection. It
 * is sent a second time only when it went out on a connection that had served before and that ended without one byte of
 * an answer: then the other side had most likely closed it, idle, just before.
 */
import { limits } from '../limits.js'
import { Answer } from './answer.js'
import type { AnswerHandler, Connection } from './connection.js'
import type { Connections } from './connections.js'
import { OutboundError, type OutboundFailure } from './outbound-error.js'
import type { OutboundRequest, OutboundResponse, RequestHead } from './outbound-request.js'
import type { Target } from './target.js'

/** Node fires a longer one at once. */
const longestTimerMs = 2_147_483_647
/** What whoever gave a request up is told. */
export const givenUp = 'The request was given up.'

/** Also what undici calls while it sends the request and reads the answer. */
export class Exchange implements AnswerHandler {
  readonly #request: OutboundRequest
  readonly #head: RequestHead
  readonly #target: Target
  readonly #connections: Connections
  readonly #ended: (result: OutboundResponse | OutboundError) => void
  readonly #timer: NodeJS.Timeout
  readonly #onAbort: (() => void) | undefined
  #connection: Connection | null = null
  #isWritten = false
  /** What the connection had received before it served this. */
  #bytesReadBefore = 0
  #isSecondTry = false
  #hasEnded = false
  #informationCount = 0
  #status = 0
  #rawHeaders: readonly Buffer[] | undefined
  #bytes = 0
  /** Those that are kept. */
  #parts: Buffer[] | undefined

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
    if (!request.signal) return
    this.#onAbort = () => this.fail('failed', givenUp)
    request.signal.addEventListener('abort', this.#onAbort)
  }

  /** Sends it, unless it has ended already. */
  send(): void {
    if (this.#hasEnded) return
    const { method, headers } = this.#head
    const { body = null } = this.#request
    try {
      const connection = this.#isSecondTry
        ? this.#connections.takeNew(this.#target)
        : this.#connections.take(this.#target)
      this.#connection = connection
      // A server that sends a body in answer to HEAD would be heard by the next request: that connection is not kept.
      const reset = method === 'HEAD'
      connection.send({ path: this.#target.path, method, headers, body, reset }, this)
    } catch (error) {
      process.nextTick(() => this.fail('failed', 'The request cannot be sent.', error))
    }
  }

  /** Ends it without an answer, and closes its connection. After its end, nothing. */
  fail(reason: OutboundFailure, message: string, cause?: unknown): void {
    if (this.#hasEnded) return
    this.#end(new OutboundError(reason, message, cause))
    this.#connection?.destroy()
  }

  /** After its end, and once whoever read the answer has returned: lets another have its connection. */
  leaveConnection(): void {
    if (this.#connection) this.#connections.giveBack(this.#connection)
    this.#connection = null
  }

  /** It is being written. */
  onConnect(): void {
    this.#isWritten = true
    this.#bytesReadBefore = this.#connection?.bytesRead ?? 0
  }

  /** The head of the answer, or of a provisional one. */
  onHeaders(status: number, rawHeaders: readonly Buffer[]): boolean {
    if (status >= 200) {
      this.#status = status
      this.#rawHeaders = rawHeaders
      if (bytesOf(rawHeaders) > limits.outboundHeaderBytesMax) this.#headTooLarge()
      return true
    }
    this.#informationCount += 1
    if (status === 101) this.fail('failed', 'The answer is a provisional one.')
    else if (this.#informationCount > limits.outboundInformationMax)
      this.fail('failed', 'The answer does not begin: there are only provisional ones.')
    return true
  }

  /**
   * Undici bounds names and values, not how many there are, and each costs a hundred times as much here as it does to
   * send: so a head is bounded as it came, complete or not.
   */
  onRead(): void {
    if (this.#status !== 0 || !this.#isWritten || this.#hasEnded) return
    const bytes = (this.#connection?.bytesRead ?? 0) - this.#bytesReadBefore
    if (bytes > limits.outboundHeaderBytesMax) this.#headTooLarge()
  }

  onData(part: Buffer): boolean {
    if (this.#hasEnded) return true
    const keptMax = this.#request.responseBytesMax ?? 0
    this.#bytes += part.length
    if (this.#bytes <= (keptMax > 0 ? keptMax : limits.outboundThrownAwayBytesMax)) {
      if (keptMax > 0) this.#keep(part)
    } else if (keptMax > 0) {
      this.fail('too-large', `The body of the answer is larger than ${keptMax} bytes.`)
    } else {
      this.#complete()
      this.#connection?.destroy()
    }
    return true
  }

  onComplete(): void {
    if (this.#hasEnded) return
    if (this.#connection) this.#connection.hasServed = true
    this.#complete()
  }

  onError(error: Error): void {
    if (this.#hasEnded) return
    const connection = this.#connection
    const hasAnswer = this.#isWritten && (connection?.bytesRead ?? 0) > this.#bytesReadBefore
    if (connection?.hasServed && !hasAnswer && !this.#isSecondTry && !this.#connections.isClosed) {
      this.#isSecondTry = true
      this.#isWritten = false
      connection.destroy()
      this.send()
      return
    }
    const code = codeOf(error)
    if (error instanceof OutboundError) this.fail(error.reason, error.message, error.cause)
    else if (!this.#isWritten) this.fail('unreachable', `There is no connection${inBrackets(code)}.`, error)
    else if (code === 'UND_ERR_HEADERS_OVERFLOW') this.#headTooLarge(error)
    else if (code.startsWith('HPE_') || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
      this.fail('failed', 'The answer is not HTTP.', error)
    else if (error.message === 'bad upgrade')
      this.fail('failed', 'The answer switches to another protocol, which was not asked for.', error)
    else if (error.message === 'bad response')
      this.fail('failed', 'The answer is one that was not asked for: 100 Continue.', error)
    else this.fail('failed', `The connection broke before the answer was complete${inBrackets(code)}.`, error)
  }

  #headTooLarge(cause?: unknown): void {
    this.fail('too-large', 'The head of the answer is too large.', cause)
  }

  #keep(part: Buffer): void {
    if (this.#parts) this.#parts.push(part)
    else this.#parts = [part]
  }

  #complete(): void {
    this.#end(new Answer(this.#status, this.#rawHeaders ?? [], this.#parts ?? []))
  }

  #end(result: OutboundResponse | OutboundError): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    clearTimeout(this.#timer)
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#ended(result)
  }
}

/** With colons and ends of lines. */
function bytesOf(rawHeaders: readonly Buffer[]): number {
  let bytes = 0
  for (const part of rawHeaders) bytes += part.length + 2
  return bytes
}

/** Of Node or of undici, or empty. With several addresses tried, that of the first. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** ` (ECONNREFUSED)`, or nothing: codes of undici's own tell people nothing. */
function inBrackets(code: string): string {
  return code === '' || code.startsWith('UND_') ? '' : ` (${code})`
}
