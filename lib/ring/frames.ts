/**
 * What goes over one secure socket between two nodes: frames. A frame is the length of the rest (4 bytes), its type (1)
 * and its payload; batches of messages, beacons and signs of life are frames, and so is the hello that a connection begins with.
 *
 * Invariants: frames arrive whole and in the order they were written; none is longer than `frameBytesMax`. What waits to
 * be written is bounded by whoever writes: it stops at `isFull` and goes on at `onDrain`. What can go wrong: bytes that are no frames;
 * then the socket ends, as when it is lost.
 */
import type { Socket } from 'node:net'

export type FrameType = keyof typeof typeCodes

const typeCodes = {
  hello: 1,
  /** The other side's hello, in return. */
  welcome: 2,
  /** The hello is not taken; the payload is the error. */
  refusal: 3,
  /** Bytes of the stream of messages. */
  batch: 4,
  /** Asks for what the other side attaches to its signs of life. */
  beacon: 5,
  beaconAnswer: 6,
  ping: 7,
  pong: 8,
} as const
const types = new Map<number, FrameType>(
  Object.entries(typeCodes).map(([name, code]) => [code, name as FrameType]),
)

const headBytes = 5
/** Of a payload. Beacons go between batches, so that no batch keeps them for long. */
export const frameBytesMax = 65_536
/** Written and not yet taken by the operating system. A beacon waits behind no more than this. */
const waitingBytesMax = 262_144

export interface FrameHandlers {
  onFrame(type: FrameType, payload: Buffer): void
  /** There is room again after `isFull`. */
  onDrain(): void
  /** The socket is gone; called once. */
  onClosed(): void
}

export class FrameSocket {
  readonly #socket: Socket
  #handlers: FrameHandlers
  #chunks: Buffer[] = []
  #held = 0
  #needed = headBytes
  #isClosed = false

  constructor(socket: Socket, handlers: FrameHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#handlers.onDrain())
    // What happened is told by `close`, which follows.
    socket.on('error', () => undefined)
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      if (this.#isClosed) return
      this.#isClosed = true
      this.#handlers.onClosed()
    })
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#socket.destroyed
  }

  /** True while no more batches should be written. */
  get isFull(): boolean {
    return this.#socket.writableLength >= waitingBytesMax
  }

  /** Somebody else takes what comes from here on. */
  handle(handlers: FrameHandlers): void {
    this.#handlers = handlers
  }

  /** Writes a frame of these parts, in one piece. Nothing happens when the socket is gone. */
  write(type: FrameType, parts: readonly Buffer[] = []): void {
    if (this.isClosed) return
    let bytes = 0
    for (const part of parts) bytes += part.length
    if (bytes > frameBytesMax) throw new Error(`a frame of ${bytes} bytes; ${frameBytesMax} are allowed`)
    const frame = Buffer.allocUnsafe(headBytes + bytes)
    frame.writeUInt32BE(bytes + 1, 0)
    frame.writeUInt8(typeCodes[type], 4)
    let at = headBytes
    for (const part of parts) at += part.copy(frame, at)
    this.#socket.write(frame)
  }

  /** Ends the connection at once. */
  close(): void {
    this.#socket.destroy()
  }

  /** Ends it when what was written has left, within `msMax`. */
  end(msMax: number): void {
    this.#socket.setTimeout(msMax, () => this.#socket.destroy())
    this.#socket.end()
  }

  #onData(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#held += chunk.length
    if (this.#held < this.#needed) return
    let bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    this.#chunks = []
    while (bytes.length >= headBytes) {
      const length = bytes.readUInt32BE(0)
      const type = types.get(bytes.readUInt8(4))
      if (type === undefined || length < 1 || length > frameBytesMax + 1) {
        this.#socket.destroy()
        return
      }
      if (bytes.length < 4 + length) break
      this.#handlers.onFrame(type, bytes.subarray(headBytes, 4 + length))
      if (this.isClosed) return
      bytes = bytes.subarray(4 + length)
    }
    if (bytes.length > 0) this.#chunks = [bytes]
    this.#held = bytes.length
    this.#needed = bytes.length < headBytes ? headBytes : 4 + bytes.readUInt32BE(0)
  }
}
