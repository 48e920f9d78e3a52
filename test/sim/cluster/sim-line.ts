/**
 * A websocket from a host or a browser to a node of a simulated cluster: text frames in order each way, until it breaks.
 *
 * The node's end stands for the library's socket and its stream, as `TextSocket` uses them; what happens there belongs to
 * the node's life. The other end is a process that no fault of the run concerns. A line that breaks loses what is under
 * way, and both ends hear of it a moment later, the node only when it lives.
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Life, World } from './world.js'

/** What a host or a browser does with what comes. */
export interface LineEnd {
  received(text: string): void
  closed(): void
}

const delayMsMax = 5
/** A process that dies takes its sockets along; the other end hears so within this. */
const noticedMsMax = 30

export class SimLine extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  isPaused = false
  readonly writableLength = 0
  readonly life: Life
  readonly #world: World
  readonly #end: LineEnd
  #toNodeMs = 0
  #toEndMs = 0
  #isBroken = false

  constructor(world: World, life: Life, end: LineEnd) {
    super()
    this.#world = world
    this.life = life
    this.#end = end
    life.onEnd(() => this.break())
  }

  /** As the node takes it. */
  get ends(): { readonly socket: WebSocket; readonly stream: Duplex } {
    return { socket: this as unknown as WebSocket, stream: this as unknown as Duplex }
  }

  get isOpen(): boolean {
    return !this.#isBroken && this.readyState === 1
  }

  /** What the host or browser says. */
  say(text: string): void {
    this.#toNodeMs = this.#later(this.#toNodeMs)
    this.#deliver(this.#toNodeMs, () => this.emit('message', Buffer.from(text), false), this.life)
  }

  /** The network ends it. */
  break(): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.readyState = 3
    const { random } = this.#world
    this.#world.schedule(random.next() * noticedMsMax, () => this.#end.closed())
    this.#world.schedule(random.next() * noticedMsMax, () => this.emit('close'), this.life)
  }

  // --- as `TextSocket` uses it ---

  write(bytes: Buffer): void {
    const texts = textsOf(bytes)
    this.#toEndMs = this.#later(this.#toEndMs)
    this.#deliver(this.#toEndMs, () => {
      for (const text of texts) this.#end.received(text)
    })
  }

  ping(): void {
    this.#toNodeMs = this.#later(this.#toNodeMs)
    this.#deliver(this.#toNodeMs, () => this.emit('pong'), this.life)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  /** What was written before arrives before it. */
  close(): void {
    if (this.readyState !== 1) return
    this.readyState = 2
    this.#toEndMs = this.#later(this.#toEndMs)
    this.#deliver(this.#toEndMs, () => this.break())
  }

  terminate(): void {
    this.break()
  }

  // --- ---

  #later(atMs: number): number {
    return Math.max(atMs, this.#world.nowMs + this.#world.random.next() * delayMsMax)
  }

  #deliver(atMs: number, arrive: () => void, life?: Life): void {
    this.#world.schedule(atMs - this.#world.nowMs, () => this.#isBroken || arrive(), life, true)
  }
}

/** The texts of unmasked frames, one after the other. */
function textsOf(bytes: Buffer): string[] {
  const texts: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const short = bytes.readUInt8(at + 1)
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    texts.push(bytes.toString('utf8', start, start + length))
    at = start + length
  }
  return texts
}
