/**
 * A line: one connection between two process lives, and the calls on it. Whoever has dialed calls; the other side
 * answers on the same connection, so a lost line fails exactly the calls that were made on it, at once.
 *
 * Messages handed over in one turn of the event loop share a tchannel call (a batch: 13 times cheaper for small ones);
 * while others are in flight, those of the next milliseconds do. And a batch is confirmed as soon as it has been read. tchannel resets a connection on which more than 100 writes wait,
 * and TLS makes all writes of one turn wait, so what may be unconfirmed is bounded: batches of ours, confirmations of
 * the other side's, and beacons together stay below 100. The rest waits here, bounded too.
 *
 * Invariants: messages reach the other side's handler in order, each at most once (one TCP connection, nothing is ever
 * sent again); each call is settled exactly once. What can go wrong: the line is lost; then whether a pending call was
 * executed is not known.
 */

import type TChannel from 'tchannel'
import type { TChannelConnection, TChannelPeer } from 'tchannel'
import { AppError, type ErrorBody, errorBody, errorKinds } from '../errors.js'
import { limits as allLimits } from '../limits.js'
import type { RingClock } from './clock.js'
import {
  encodeMessage,
  IncomingMessages,
  type Message,
  OutgoingMessages,
  type QueuedMessage,
} from './message-stream.js'
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

/** tchannel splits a call above 64 KiB into several frames, and those of different calls may overtake each other. */
const batchBytesMax = 32_768
const inFlightBytesMax = 262_144
/** Ours and confirmations of theirs, with beacons and pings of both (4 times 5): below 100 together. */
const inFlightBatchesMax = 36
const beaconsInFlightMax = 5
const pingsInFlightMax = 5
/** A batch is confirmed by reading it: a peer that takes longer is paused, gone or cut off. */
const confirmMsMax = 3_000

/**
 * A confirmation waits this long for replies to take along, which halves the frames of a lone call; of a few batches at a
 * time, and never of large ones, so that the other side's window does not wait.
 */
const confirmationHeldMs = 5
const confirmationsHeldMax = 4
const batchHeldBytesMax = 8_192
/** Between two batches, while the first is in flight. */
const batchIntervalMs = 2
const nothing = Buffer.alloc(0)

export const batchEndpoint = 'batch'
export const beaconEndpoint = 'beacon'

/** Counted for the metrics by whoever makes lines. */
export interface LineCounters {
  sent: number
  received: number
  batches: number
  resets: number
}

export interface LineOptions {
  readonly channel: TChannel
  readonly connection: TChannelConnection
  readonly remote: Member
  readonly clock: RingClock
  readonly limits: LineLimits
  readonly counters: LineCounters
  /** Answers the other side's calls. */
  readonly answer: (from: Member, kind: string, body: Buffer) => Promise<Buffer> | Buffer
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
  readonly #pinned: Pick<TChannelPeer, 'request' | 'invalidateScore'>
  readonly #outgoing = new OutgoingMessages()
  readonly #incoming: IncomingMessages
  readonly #pending = new Map<number, PendingCall>()
  #lastId = 0
  #isFlushing = false
  #flushedAtMs = Number.NEGATIVE_INFINITY
  #batchesInFlight = 0
  #bytesInFlight = 0
  #beaconsInFlight = 0
  #pingsInFlight = 0
  /** Confirmations of the other side's batches that wait for replies, and the replies that go with the first. */
  #heldConfirmations: ((replies: Buffer) => void)[] = []
  #heldReplies: Buffer[] = []
  #heldReplyBytes = 0
  #isReleasing = false
  #holdTimer: { cancel(): void } | undefined
  /** Calls of the other side being answered. */
  #answering = 0
  #isClosed = false

  constructor(options: LineOptions) {
    this.#options = options
    this.remote = options.remote
    this.#incoming = new IncomingMessages(options.limits.messageBytesMax, message => this.#onMessage(message))
    // tchannel would choose among all connections to a peer; order needs this one.
    this.#pinned = {
      request: requestOptions => options.connection.request(requestOptions),
      invalidateScore: () => undefined,
    }
    options.connection.closeEvent.on(() => this.#onConnectionClosed())
    options.connection.handler.pingIncomingRequestEvent.on(() => options.onHeard())
    options.connection.pingResponseEvent.on(() => {
      this.#pingsInFlight = 0
      options.onHeard()
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** One call. Rejects with the other side's `AppError`, `timeout`, `unavailable`, `queue-full` or `too-large`. */
  call(kind: string, body: Buffer, deadlineMs: number): Promise<Buffer> {
    const { limits, clock } = this.#options
    if (this.#isClosed) return Promise.reject(new AppError('unavailable'))
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

  /** Asks for a sign of life and nothing else: a frame of tchannel, a fraction of the cost of a call. */
  ping(): void {
    if (this.#isClosed || this.#pingsInFlight >= pingsInFlightMax) return
    this.#pingsInFlight++
    this.#options.connection.ping()
  }

  /** Passes by everything that waits. Resolves with what the other side attaches; undefined when it was not sent or lost. */
  beacon(body: Buffer): Promise<Buffer | undefined> {
    if (this.#isClosed || this.#beaconsInFlight >= beaconsInFlightMax) return Promise.resolve(undefined)
    this.#beaconsInFlight++
    return this.#request(beaconEndpoint, body).then(
      answer => {
        this.#beaconsInFlight--
        this.#options.onHeard()
        return answer
      },
      () => {
        this.#beaconsInFlight--
        return undefined
      },
    )
  }

  /**
   * Takes a batch that has arrived; `confirm` is called soon, with whole replies if there are some. Throws `damaged`, and
   * ends the line, when it does not parse.
   */
  receive(batch: Buffer, confirm: (replies: Buffer) => void): void {
    if (this.#isClosed) throw new AppError('unavailable')
    this.#options.onHeard()
    try {
      this.#incoming.add(batch)
    } catch (error) {
      this.close('a batch did not parse')
      throw error
    }
    if (batch.length > batchHeldBytesMax) {
      confirm(nothing)
      return
    }
    this.#heldConfirmations.push(confirm)
    if (this.#heldConfirmations.length > confirmationsHeldMax) this.#heldConfirmations.shift()?.(nothing)
    this.#holdTimer ??= this.#options.clock.setTimer(confirmationHeldMs, () => this.#release())
  }

  /** Ends the connection; what is pending is rejected. */
  close(reason = 'closed by this node'): void {
    if (!this.#isClosed) this.#options.connection.resetAll(new Error(reason))
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
    if (this.#isClosed) return
    if (reply.body.length > this.#options.limits.messageBytesMax) {
      reply = failureOf(id, new AppError('too-large'))
    }
    if (this.#canHold(reply)) this.#hold(reply)
    else if (this.#hasRoomFor(reply.body.length)) this.#send(reply)
    // A caller that takes no answers any more has to find out: its calls would wait for their deadlines.
    else this.close('the other side does not take its answers')
  }

  #canHold({ body }: Message): boolean {
    return this.#heldConfirmations.length > 0 && this.#heldReplyBytes + body.length <= batchHeldBytesMax
  }

  /** A reply goes with a confirmation that waits for it, together with those of the same turn. */
  #hold(reply: Message): void {
    this.#options.counters.sent++
    this.#heldReplies.push(encodeMessage(reply))
    this.#heldReplyBytes += reply.body.length
    if (this.#isReleasing) return
    this.#isReleasing = true
    setImmediate(() => {
      this.#isReleasing = false
      this.#release()
    })
  }

  #release(): void {
    this.#holdTimer?.cancel()
    this.#holdTimer = undefined
    const confirmations = this.#heldConfirmations
    const replies = this.#heldReplies.length === 0 ? nothing : Buffer.concat(this.#heldReplies)
    this.#dropHeld()
    for (const [index, confirm] of confirmations.entries()) confirm(index === 0 ? replies : nothing)
  }

  #dropHeld(): void {
    this.#heldConfirmations = []
    this.#heldReplies = []
    this.#heldReplyBytes = 0
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
      if (waitMs > 0 && this.#batchesInFlight > 0) clock.setTimer(waitMs, flush)
      else setImmediate(flush)
    }
    return queued
  }

  #flush(): void {
    while (
      !this.#isClosed &&
      this.#batchesInFlight < inFlightBatchesMax &&
      this.#bytesInFlight + batchBytesMax <= inFlightBytesMax
    ) {
      const batch = this.#outgoing.take(batchBytesMax)
      if (batch === undefined) return
      this.#batchesInFlight++
      this.#bytesInFlight += batch.length
      this.#flushedAtMs = this.#options.clock.nowMs()
      this.#options.counters.batches++
      this.#request(batchEndpoint, batch).then(
        replies => {
          this.#batchesInFlight--
          this.#bytesInFlight -= batch.length
          this.#options.onHeard()
          this.#takeReplies(replies)
          this.#flush()
        },
        // A hole in the stream cannot be mended.
        () => this.close('a batch was not confirmed'),
      )
    }
  }

  /** Whole messages that came with a confirmation. */
  #takeReplies(replies: Buffer): void {
    if (replies.length === 0 || this.#isClosed) return
    const { limits } = this.#options
    try {
      new IncomingMessages(limits.messageBytesMax, message => this.#onMessage(message)).add(replies)
    } catch {
      this.close('replies did not parse')
    }
  }

  #request(endpoint: string, body: Buffer): Promise<Buffer> {
    return requestOn(this.#options.channel, this.#pinned, endpoint, body, confirmMsMax)
  }

  #newId(): number {
    do this.#lastId = (this.#lastId + 1) % 4_294_967_296
    while (this.#pending.has(this.#lastId))
    return this.#lastId
  }

  #onConnectionClosed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.counters.resets++
    this.#outgoing.clear()
    this.#holdTimer?.cancel()
    this.#dropHeld()
    this.abandon()
    this.#options.onClosed()
  }
}

/** One tchannel call on one connection. Rejects when it fails or is not confirmed in time. */
export function requestOn(
  channel: TChannel,
  peer: Pick<TChannelPeer, 'request' | 'invalidateScore'>,
  endpoint: string,
  body: Buffer,
  timeoutMs: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    channel.request({ peer, timeout: timeoutMs }).send(endpoint, '', body, (error, response, _arg2, arg3) => {
      if (error) reject(error)
      else if (!response.ok) reject(errorFrom(arg3))
      else resolve(arg3)
    })
  })
}

export function failureBody(error: unknown): Buffer {
  return Buffer.from(JSON.stringify(errorBody(error)))
}

function failureOf(id: number, error: unknown): Message {
  return { type: 'failure', id, kind: '', body: failureBody(error) }
}

function errorFrom(body: Buffer): AppError {
  let parsed: Partial<ErrorBody>
  try {
    parsed = JSON.parse(body.toString()) as Partial<ErrorBody>
  } catch {
    return new AppError('internal')
  }
  const code = parsed.code !== undefined && parsed.code in errorKinds ? parsed.code : 'internal'
  return new AppError(code, parsed.message, parsed.fields && { fields: { ...parsed.fields } })
}
