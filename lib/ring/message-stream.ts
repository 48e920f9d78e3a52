/**
 * Messages on their way between two nodes, as one stream of bytes that is cut anywhere: many small messages share a
 * batch, and a large one fills as many as it needs. Both come from the same few lines, so no size is special.
 *
 * A message is: length of the rest (4 bytes), type (1), call id (4), and then, for a request, the length of its kind
 * (1) and its kind; the body follows. Invariant: messages leave in the order they were put in, and a message whose
 * first byte has left is finished. What can go wrong: a stream that does not parse is damaged beyond repair and its
 * connection must end (`damaged`).
 */
import { AppError } from '../errors.js'

export type MessageType = 'request' | 'reply' | 'failure'

export interface Message {
  readonly type: MessageType
  /** Chosen by the caller, below 2^32; its reply carries the same. */
  readonly id: number
  /** Of a request; empty otherwise. */
  readonly kind: string
  readonly body: Buffer
}

const typeCodes = { request: 1, reply: 2, failure: 3 } as const satisfies Record<MessageType, number>
const lengthBytes = 4
const fixedBytes = 5
const kindBytesMax = 255
/** Everything of a message but its body, at most. */
export const headerBytesMax = lengthBytes + fixedBytes + 1 + kindBytesMax

/** A message that waits. Its body must not be changed any more. */
export interface QueuedMessage {
  readonly head: Buffer
  readonly body: Buffer
  isCancelled: boolean
}

/** Messages waiting to be cut into batches. */
export class OutgoingMessages {
  #queue: QueuedMessage[] = []
  /** The message to go next. */
  #next = 0
  /** How much of it has left. */
  #offset = 0
  #bytes = 0

  /** Messages held, cancelled ones included until their turn comes. */
  get count(): number {
    return this.#queue.length - this.#next
  }

  get bytes(): number {
    return this.#bytes
  }

  add(message: Message): QueuedMessage {
    const queued = { head: headOf(message), body: message.body, isCancelled: false }
    this.#queue.push(queued)
    this.#bytes += queued.head.length + queued.body.length
    return queued
  }

  /** Takes back a message of which nothing has left yet; does nothing otherwise. */
  cancel(message: QueuedMessage): void {
    if (message.isCancelled || (this.#queue[this.#next] === message && this.#offset > 0)) return
    message.isCancelled = true
  }

  /** The next batch in parts, `bytesMax` together at most; undefined when nothing waits. */
  take(bytesMax: number): Buffer[] | undefined {
    const parts: Buffer[] = []
    let room = bytesMax
    while (room > 0) {
      const message = this.#queue[this.#next]
      if (message === undefined) break
      if (!message.isCancelled || this.#offset > 0) {
        for (const part of partsFrom(message, this.#offset)) {
          const taken = part.length <= room ? part : part.subarray(0, room)
          if (taken.length === 0) continue
          parts.push(taken)
          room -= taken.length
          this.#offset += taken.length
        }
        if (this.#offset < message.head.length + message.body.length) break
      }
      this.#drop(message)
    }
    return parts.length === 0 ? undefined : parts
  }

  clear(): void {
    this.#queue = []
    this.#next = 0
    this.#offset = 0
    this.#bytes = 0
  }

  #drop(message: QueuedMessage): void {
    this.#bytes -= message.head.length + message.body.length
    this.#offset = 0
    this.#next++
    // Moving the rest of the queue down for every message would cost more than the messages.
    if (this.#next >= 1_024 && this.#next * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#next)
      this.#next = 0
    }
  }
}

/** Batches arriving, put together to messages. */
export class IncomingMessages {
  readonly #bodyBytesMax: number
  readonly #onMessage: (message: Message) => void
  #chunks: Buffer[] = []
  #held = 0
  #needed = lengthBytes

  constructor(bodyBytesMax: number, onMessage: (message: Message) => void) {
    this.#bodyBytesMax = bodyBytesMax
    this.#onMessage = onMessage
  }

  /** Hands on each message that is complete now, in order. Throws `damaged` when the stream does not parse. */
  add(batch: Buffer): void {
    this.#chunks.push(batch)
    this.#held += batch.length
    if (this.#held < this.#needed) return
    let bytes = this.#chunks.length === 1 ? batch : Buffer.concat(this.#chunks)
    while (bytes.length >= lengthBytes) {
      const length = bytes.readUInt32BE(0)
      if (length < fixedBytes || length > this.#bodyBytesMax + headerBytesMax) {
        throw new AppError('damaged', 'A peer sent a message of an impossible length.')
      }
      if (bytes.length < lengthBytes + length) break
      this.#onMessage(messageFrom(bytes.subarray(lengthBytes, lengthBytes + length)))
      bytes = bytes.subarray(lengthBytes + length)
    }
    this.#chunks = bytes.length === 0 ? [] : [bytes]
    this.#held = bytes.length
    this.#needed = bytes.length < lengthBytes ? lengthBytes : lengthBytes + bytes.readUInt32BE(0)
  }
}

function headOf({ type, id, kind, body }: Message): Buffer {
  const kindBytes = Buffer.byteLength(kind)
  if (kindBytes > kindBytesMax) throw new Error(`the kind of a message is longer than ${kindBytesMax} bytes`)
  const rest = type === 'request' ? 1 + kindBytes : 0
  const head = Buffer.allocUnsafe(lengthBytes + fixedBytes + rest)
  head.writeUInt32BE(fixedBytes + rest + body.length, 0)
  head.writeUInt8(typeCodes[type], lengthBytes)
  head.writeUInt32BE(id, lengthBytes + 1)
  if (type === 'request') {
    head.writeUInt8(kindBytes, lengthBytes + fixedBytes)
    head.write(kind, lengthBytes + fixedBytes + 1)
  }
  return head
}

function messageFrom(bytes: Buffer): Message {
  const code = bytes.readUInt8(0)
  const id = bytes.readUInt32BE(1)
  if (code === typeCodes.reply) return { type: 'reply', id, kind: '', body: bytes.subarray(fixedBytes) }
  if (code === typeCodes.failure) return { type: 'failure', id, kind: '', body: bytes.subarray(fixedBytes) }
  const kindBytes = code === typeCodes.request && bytes.length > fixedBytes ? bytes.readUInt8(fixedBytes) : -1
  const bodyAt = fixedBytes + 1 + kindBytes
  if (kindBytes < 0 || bytes.length < bodyAt) {
    throw new AppError('damaged', 'A peer sent a message of an unknown type.')
  }
  return {
    type: 'request',
    id,
    kind: bytes.toString('utf8', fixedBytes + 1, bodyAt),
    body: bytes.subarray(bodyAt),
  }
}

/** What is left of a message of which `offset` bytes have gone. */
function* partsFrom({ head, body }: QueuedMessage, offset: number): Generator<Buffer> {
  if (offset < head.length) yield head.subarray(offset)
  yield body.subarray(Math.max(0, offset - head.length))
}
