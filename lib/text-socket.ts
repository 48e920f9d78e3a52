/**
 * A websocket that carries text frames, as both kinds of peers use it: hosts and browser windows.
 *
 * What is sent in one turn of the event loop leaves as one buffer and one system call, however many frames it is: a
 * commit releases several answers for one peer at once, and the calls into the kernel are the largest single cost of a
 * round trip. The frames are therefore written here, behind the library's back: a text frame from a server is two to
 * ten bytes of header and the text (RFC 6455 §5.2; nothing is masked, compressed or split). Control frames are still
 * the library's; they may stand between any two frames. What may wait leaves with the next frame that may not, or after
 * some milliseconds: acknowledgements of a host's calls, whose answers follow as soon as they are on disk, and replies to
 * a window's answers, which the next step follows.
 *
 * Invariant: frames leave in the order in which they were sent, and before the close that follows them. A peer that
 * does not read is cut off before it costs more memory than `sendBufferBytesMax`.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { AppError, errorKinds } from './errors.js'
import type { Clock } from './partitions/index.js'

export interface TextSocketOptions {
  readonly clock: Clock
  /** Bytes that may wait for a peer that does not read. */
  readonly sendBufferBytesMax: number
  /** How long a peer may take to answer a close, in ms. */
  readonly goodbyeMsMax: number
  /** One text frame. An `AppError` thrown closes the socket with the error's close code and message. */
  received(text: Buffer): void
  /** The peer does not read; the socket is being closed. */
  overflowed(): void
  /** Called once. */
  closed(): void
}

/** Longer than a commit takes, and most hosts for their next step; shorter than anybody notices. */
const delayMs = 20

export class TextSocket {
  readonly #socket: WebSocket
  readonly #stream: Duplex
  readonly #options: TextSocketOptions
  #waiting: string[] = []
  /** An upper bound of the bytes that wait. */
  #waitingBytes = 0
  #isFlushing = false
  #isDelaying = false
  #lastHeardMs: number
  #isClosing = false
  /** It broke the protocol; nothing more is taken from it. */
  #isBroken = false
  #isClosed = false
  /** Frames that were read with others before the socket was paused. */
  #unread: { readonly data: Buffer; readonly isBinary: boolean }[] = []

  constructor(socket: WebSocket, stream: Duplex, options: TextSocketOptions) {
    this.#socket = socket
    this.#stream = stream
    this.#options = options
    this.#lastHeardMs = options.clock.nowMs()
    socket.on('message', (data, isBinary) => {
      if (this.#socket.isPaused) this.#unread.push({ data: data as Buffer, isBinary })
      else this.#received(data as Buffer, isBinary)
    })
    socket.on('pong', () => this.#heard())
    socket.on('close', () => {
      if (this.#isClosed) return
      // What came in one piece with the close was said before it.
      const unread = this.#unread
      this.#unread = []
      for (const { data, isBinary } of unread) this.#received(data, isBinary)
      this.#isClosed = true
      this.#waiting = []
      options.closed()
    })
    // The socket has sent the reason by itself, e.g. 1009; ending it at once would lose that on the way.
    socket.on('error', () => this.#endSoon())
  }

  /** Last sign of life, in ms of node time. */
  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  /** It is closed, or about to be: nothing that is sent now arrives. */
  get isClosing(): boolean {
    return this.#isClosing || this.#isClosed
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get isPaused(): boolean {
    return this.#socket.isPaused
  }

  /** Bytes that wait for the peer to read, roughly. */
  get waitingBytes(): number {
    return this.#isClosed ? 0 : this.#stream.writableLength + this.#waitingBytes
  }

  /** Resolves when nothing waits any more, or the socket is gone, or after `waitMsMax`. */
  drained(waitMsMax: number): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        timer.cancel()
        this.#stream.off('drain', done)
        this.#stream.off('close', done)
        resolve()
      }
      const timer = this.#options.clock.setTimer(waitMsMax, done)
      this.#stream.once('drain', done)
      this.#stream.once('close', done)
    })
  }

  /** Reads nothing until `resume`; TCP holds the peer back. What came in one piece with the last frame waits here. */
  pause(): void {
    this.#socket.pause()
  }

  /** Reads on, until one of the frames that have waited leads to another pause. */
  resume(): void {
    this.#socket.resume()
    while (this.#unread.length > 0 && !this.#socket.isPaused) {
      const { data, isBinary } = this.#unread.shift() as { data: Buffer; isBinary: boolean }
      this.#received(data, isBinary)
    }
  }

  /**
   * Sends one text frame at the end of this turn, or with the next one if it `mayWait`, `delayMs` later at most. What is
   * sent to a closed socket is lost.
   */
  send(text: string, mayWait = false): void {
    if (this.#isClosed || this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#stream.writableLength + this.#waitingBytes > this.#options.sendBufferBytesMax) {
      this.#options.overflowed()
      return
    }
    this.#waiting.push(text)
    this.#waitingBytes += text.length
    if (mayWait) this.#flushLater()
    else if (!this.#isFlushing) {
      this.#isFlushing = true
      this.#options.clock.soon(() => {
        this.#isFlushing = false
        this.#flush()
      })
    }
  }

  ping(): void {
    if (!this.#isClosed && this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  /** Says why, after everything sent so far, and ends. A peer that does not answer the close is not waited for. */
  close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#flush()
    this.#isClosing = true
    this.#socket.close(code, reason.slice(0, 120))
    this.#endSoon()
  }

  terminate(): void {
    this.#socket.terminate()
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#heard()
    if (this.#isBroken) return
    try {
      if (isBinary) throw new AppError('invalid-frame', 'Frames must be text.')
      this.#options.received(data)
    } catch (error) {
      const known = error instanceof AppError ? error : new AppError('internal')
      const { closeCode } = errorKinds[known.code] as { closeCode?: number }
      this.#isBroken = true
      this.close(closeCode ?? 1011, known.message)
    }
  }

  #heard(): void {
    this.#lastHeardMs = this.#options.clock.nowMs()
  }

  #flushLater(): void {
    if (this.#isFlushing || this.#isDelaying) return
    this.#isDelaying = true
    this.#options.clock.setTimer(delayMs, () => {
      this.#isDelaying = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#waiting.length === 0) return
    const texts = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    if (!this.#isClosed && this.#socket.readyState === this.#socket.OPEN)
      this.#stream.write(textFrames(texts))
  }

  #endSoon(): void {
    this.#options.clock.setTimer(this.#options.goodbyeMsMax, () => this.#socket.terminate())
  }
}

const finalText = 0x81

/** The texts as unmasked websocket frames, one after the other. */
export function textFrames(texts: readonly string[]): Buffer {
  let size = 0
  const lengths = texts.map(text => {
    const length = Buffer.byteLength(text)
    size += length + (length < 126 ? 2 : length < 65_536 ? 4 : 10)
    return length
  })
  const buffer = Buffer.allocUnsafe(size)
  let at = 0
  for (const [index, text] of texts.entries()) {
    const length = lengths[index] ?? 0
    buffer[at] = finalText
    if (length < 126) {
      buffer[at + 1] = length
      at += 2
    } else if (length < 65_536) {
      buffer[at + 1] = 126
      buffer.writeUInt16BE(length, at + 2)
      at += 4
    } else {
      buffer[at + 1] = 127
      buffer.writeUInt32BE(Math.floor(length / 2 ** 32), at + 2)
      buffer.writeUInt32BE(length % 2 ** 32, at + 6)
      at += 10
    }
    at += buffer.write(text, at)
  }
  return buffer
}
