/**
 * Links to send a file to and to read it from. A link is a capability: whoever has it may do that one thing with that
 * one file, without a session, since hosts read files without one. So each carries an HMAC-SHA256 over method, id and,
 * for sending, size and end; keyed with a key of its own that every node derives from the secret of the installation.
 *
 * Ids are not random but derived, too: of the same request asked twice (browsers send again what was not answered) the
 * links are the same. Nobody without the secret can name one.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { AppError } from '../errors.js'

export const uploadsPath = '/api/v1/uploads'

const idPattern = /^[A-Za-z0-9_-]{43}$/

/** True for text that may be the id of an upload: 32 bytes of base64url, safe in paths and file names. */
export function isUploadId(text: string): boolean {
  return idPattern.test(text)
}

/** What a request makes known about the file it wants. */
export interface FileRequest {
  readonly transactionId: string
  readonly userId: string
  readonly requestId: string
  /** Position of the file in the request. */
  readonly index: number
}

export class UploadLinks {
  readonly #key: Buffer

  /** `secret` is that of the installation, equal on all nodes. */
  constructor(secret: string) {
    this.#key = createHmac('sha256', secret).update('uploads').digest()
  }

  idFor({ index, requestId, transactionId, userId }: FileRequest): string {
    return this.#sign('id', transactionId, userId, requestId, String(index))
  }

  /** Path to send the file to, until then. */
  sendPath(id: string, size: number, untilMs: number): string {
    const signature = this.#sign('PUT', id, String(size), String(untilMs))
    return `${uploadsPath}/${id}?size=${size}&until=${untilMs}&signature=${signature}`
  }

  /** Path to read it from. It is good for as long as the file is there. */
  readPath(id: string): string {
    return `${uploadsPath}/${id}?signature=${this.#sign('GET', id)}`
  }

  /** The size that may be sent. Throws `forbidden` for a link that is not ours or has ended. */
  checkSend(id: string, query: URLSearchParams, nowMs: number): number {
    const size = query.get('size') ?? ''
    const until = query.get('until') ?? ''
    this.#check(query.get('signature'), 'PUT', id, size, until)
    if (Number(until) <= nowMs) throw new AppError('forbidden', 'This link has ended. Choose the file again.')
    return Number(size)
  }

  /** Throws `forbidden` for a link that is not ours. */
  checkRead(id: string, query: URLSearchParams): void {
    this.#check(query.get('signature'), 'GET', id)
  }

  #check(signature: string | null, ...words: string[]): void {
    const expected = Buffer.from(this.#sign(...words))
    const given = Buffer.from(signature ?? '')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new AppError('forbidden', 'This link is not valid.')
    }
  }

  #sign(...words: string[]): string {
    return createHmac('sha256', this.#key).update(words.join('\n')).digest('base64url')
  }
}
