/**
 * A line: one connection between two process lives, and the calls on it. Whoever has dialed calls; the other side
 * answers on the same connection, so a lost line fails exactly the calls that were made on it, at once.
 *
 * Messages handed over in one turn of the event loop share a batch; while others are under way, those of the next
 * milliseconds do: a frame costs both sides some fifty microseconds, however little is in it. Signs of life go between
 * batches. What waits is bounded: at most a few hundred KB are given to the socket, the rest waits here, and of that
 * there is a limit too.
 *
 * Invariants: messages reach the other side's handler in order, each at most once (one TCP connection, nothing is ever
 * sent again); each call is settled exactly once. What can go wrong: the line is lost, or the other side has gone silent
 * and the line is given up; then whether a pending call was executed is not known.
 */
import { AppError, type ErrorBody, errorBody, errorKinds } from '../errors.js'
import { limits as allLimits } from '../limits.js'
import { PassingMap } from '../passing.js'
import type { RingClock } from './clock.js'
import type { FrameSocket, FrameType } from './frames.js'
import { IncomingMessages, type Message, OutgoingMessages, type QueuedMessage } from './message-stream.js'
import type { Member } from './peers.js'

export interface LineLimits {
  /** Of one message's body. */
  readonly messageBytesMax: number
  /** Messages waiting for one peer, together. */
  readonly queueBytesMax: number
  readonly queueMessagesMax: number
}

export const lineLimits: LineLimits = {
  messageBytesMax: allLimits.peerMessageBytesMax,
  queueBytesMax: allLimits.peerQueueBytesMax,
  queueMessagesMax: allLimits.peerQueueMessagesMax,
}

const batchBytesMax = 32_768
/** Between two batches, while more than one call is under way. */
const batchIntervalMs = 2
/** Signs of life asked for in a row without an answer: then the line is given up, and another is dialed. */
const unansweredMax = 15
/** A peer that takes nothing for so long is paused, gone or cut off. */
const stuckMsMax = 3_000

/** Counted for the metrics by whoever makes lines. */
export interface LineCounters {
  sent: number
  received: number
  batches: number
  resets: number
}

export interface LineOptions {
  readonly socket: FrameSocket
  readonly remote: Member
  readonly clock: RingClock
  readonly limits: LineLimits
  readonly counters: LineCounters
  /** Answers the other side's calls. */
  readonly answer: (from: Member, kind: string, body: Buffer) => Promise<Buffer> | Buffer
  /** What this node attaches to its signs of life. */
  readonly beacon: () => Buffer
  /** Something came from the other side. */
  readonly onHeard: () => void
  readonly onClosed: () => void
}

interface PendingCall {
  readonly queued: QueuedMessage
  readonly deadline: { cancel(): void }
  resolve(body: Buffer): void
  reject(error: AppError): void
}

export class Line {
  readonly remote: Member
  readonly #options: LineOptions
  readonly #outgoing = new OutgoingMessages()
  readonly #incoming: IncomingMessages
  readonly #pending = new PassingMap<number, PendingCall>()
  #lastId = 0
  #isFlushing = false
  #flushedAtMs = Number.NEGATIVE_INFINITY
  #stuck: { cancel(): void } | undefined
  /** Beacons asked for, in their order. */
  #beacons: ((answer: Buffer | undefined) => void)[] = []
  /** Signs of life asked for since something was heard. */
  #unanswered = 0
  /** Calls of the other side being answered. */
  #answering = 0
  #isClosed = false

  constructor(options: LineOptions) {
    this.#options = options
    this.remote = options.remote
    this.#incoming = new IncomingMessages(options.limits.messageBytesMax, message => this.#onMessage(message))
    options.socket.handle({
      onFrame: (type, payload) => this.#onFrame(type, payload),
      onDrain: () => this.#onDrain(),
      onClosed: () => this.#onClosed(),
    })
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#options.socket.isClosed
  }

  /** One call. Rejects with the other side's `AppError`, `timeout`, `unavailable`, `queue-full` or `too-large`. */
  call(kind: string, body: Buffer, deadlineMs: number): Promise<Buffer> {
    const { limits, clock } = this.#options
    if (this.isClosed) return Promise.reject(new AppError('unavailable'))
    if (body.length > limits.messageBytesMax) return Promise.reject(new AppError('too-large'))
    if (!this.#hasRoomFor(body.length) || this.#pending.size >= limits.queueMessagesMax) {
      return Promise.reject(new AppError('queue-full'))
    }
    return new Promise((resolve, reject) => {
      const id = this.#newId()
      const queued = this.#send({ type: 'request', id, kind, body })
      const deadline = clock.setTimer(deadlineMs, () => {
        this.#pending.delete(id)
        this.#outgoing.cancel(queued)
        reject(new AppError('timeout'))
      })
      this.#pending.set(id, { queued, deadline, resolve, reject })
    })
  }

  /** Rejects all pending calls with `unavailable`: they may or may not have been executed. */
  abandon(): void {
    for (const { deadline, queued, reject } of this.#pending.values()) {
      deadline.cancel()
      this.#outgoing.cancel(queued)
      reject(new AppError('unavailable'))
    }
    this.#pending.clear()
  }

  /** Asks for a sign of life and nothing else. */
  ping(): void {
    if (this.#expectsLife()) this.#options.socket.write('ping')
  }

  /** Passes by everything that waits here. Resolves with what the other side attaches; undefined when the line is lost. */
  beacon(): Promise<Buffer | undefined> {
    if (!this.#expectsLife()) return Promise.resolve(undefined)
    this.#options.socket.write('beacon')
    return new Promise(resolve => this.#beacons.push(resolve))
  }

  /** Ends the connection; what is pending is rejected. */
  close(): void {
    this.#options.socket.close()
    this.#onClosed()
  }

  /** False when nothing more is to be asked of this line. A line that has not answered for long is given up. */
  #expectsLife(): boolean {
    if (this.isClosed) return false
    this.#unanswered += 1
    if (this.#unanswered > unansweredMax) this.close()
    return !this.isClosed
  }

  #onFrame(type: FrameType, payload: Buffer): void {
    this.#unanswered = 0
    this.#options.onHeard()
    if (type === 'batch') this.#receive(payload)
    else if (type === 'ping') this.#options.socket.write('pong')
    else if (type === 'beacon') this.#options.socket.write('beaconAnswer', [this.#options.beacon()])
    else if (type === 'beaconAnswer') this.#beacons.shift()?.(payload)
    // Hellos belong to the beginning.
    else if (type !== 'pong') this.close()
  }

  #receive(batch: Buffer): void {
    try {
      this.#incoming.add(batch)
    } catch {
      this.close()
    }
  }

  #onMessage(message: Message): void {
    this.#options.counters.received++
    if (message.type === 'request') {
      void this.#answer(message)
      return
    }
    const call = this.#pending.get(message.id)
    // It is not pending any more when its deadline has passed.
    if (call === undefined) return
    this.#pending.delete(message.id)
    call.deadline.cancel()
    if (message.type === 'reply') call.resolve(message.body)
    else call.reject(errorFrom(message.body))
  }

  /** Its handler is called before this returns the first time, so that handlers see the order of the calls. */
  async #answer({ id, kind, body }: Message): Promise<void> {
    let reply: Message
    if (this.#answering >= this.#options.limits.queueMessagesMax) {
      reply = failureOf(id, new AppError('queue-full'))
    } else {
      this.#answering++
      try {
        reply = { type: 'reply', id, kind: '', body: await this.#options.answer(this.remote, kind, body) }
      } catch (error) {
        reply = failureOf(id, error)
      }
      this.#answering--
    }
    if (this.isClosed) return
    if (reply.body.length > this.#options.limits.messageBytesMax) {
      reply = failureOf(id, new AppError('too-large'))
    }
    if (this.#hasRoomFor(reply.body.length)) this.#send(reply)
    // A caller that takes no answers any more has to find out: its calls would wait for their deadlines.
    else this.close()
  }

  #hasRoomFor(bytes: number): boolean {
    const { queueBytesMax, queueMessagesMax } = this.#options.limits
    return this.#outgoing.count < queueMessagesMax && this.#outgoing.bytes + bytes <= queueBytesMax
  }

  #send(message: Message): QueuedMessage {
    this.#options.counters.sent++
    const queued = this.#outgoing.add(message)
    if (!this.#isFlushing) {
      this.#isFlushing = true
      const flush = () => {
        this.#isFlushing = false
        this.#flush()
      }
      const { clock } = this.#options
      const waitMs = this.#flushedAtMs + batchIntervalMs - clock.nowMs()
      const isAlone = this.#pending.size + this.#answering === 0
      if (waitMs > 0 && !isAlone) clock.setTimer(waitMs, flush)
      else setImmediate(flush)
    }
    return queued
  }

  /** Gives the socket as much as it should hold. */
  #flush(): void {
    const { clock, counters, socket } = this.#options
    while (!this.isClosed && !socket.isFull) {
      const batch = this.#outgoing.take(batchBytesMax)
      if (batch === undefined) return
      this.#flushedAtMs = clock.nowMs()
      counters.batches++
      socket.write('batch', batch)
    }
    if (!this.isClosed) this.#stuck ??= clock.setTimer(stuckMsMax, () => this.close())
  }

  #onDrain(): void {
    this.#stuck?.cancel()
    this.#stuck = undefined
    this.#flush()
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) % 4_294_967_296
    while (this.#pending.has(this.#lastId))
    return this.#lastId
  }

  #onClosed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.counters.resets++
    this.#outgoing.clear()
    this.#stuck?.cancel()
    for (const answered of this.#beacons.splice(0)) answered(undefined)
    this.abandon()
    this.#options.onClosed()
  }
}

export function failureBody(error: unknown): Buffer {
  return Buffer.from(JSON.stringify(errorBody(error)))
}

function failureOf(id: number, error: unknown): Message {
  return { type: 'failure', id, kind: '', body: failureBody(error) }
}

/** The error that a failure's body tells of. */
export function errorFrom(body: Buffer): AppError {
  let parsed: Partial<ErrorBody>
  try {
    parsed = JSON.parse(body.toString()) as Partial<ErrorBody>
  } catch {
    return new AppError('internal')
  }
  const code = parsed.code !== undefined && parsed.code in errorKinds ? parsed.code : 'internal'
  return new AppError(code, parsed.message, parsed.fields && { fields: { ...parsed.fields } })
}
