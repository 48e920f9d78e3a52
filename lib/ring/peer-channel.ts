/**
 * The channel that calls between nodes go over: a port and connections of its own, since a large message or a reset on
 * gossip's would also hit the pings by which nodes are believed alive.
 *
 * Each connection begins with a hello in both directions: who each side is, in which life, and where it listens. A
 * process dials a peer once at a time and numbers its dials, so the newest dial of one life ends the older ones on the
 * other side: bytes of an abandoned connection that still sit in a buffer are never executed after newer ones.
 *
 * What can go wrong: an address is answered by another node than the one expected (it has moved); whoever dials compares.
 */
import type { Socket } from 'node:net'
import { AppError } from '../errors.js'
import { isId, type NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { type Address, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'
import { type FrameHandlers, FrameSocket } from './frames.js'
import { errorFrom, failureBody, Line, type LineCounters, type LineLimits, lineLimits } from './line.js'
import type { Member } from './peers.js'
import type { SecureListener, SecureSockets } from './secure-sockets.js'

/** Until both hellos are there, the proof of the secret included. */
const greetingMsMax = 2_000
const helloBytesMax = 4_096
/** How long a refused peer has to read why. */
const refusalMsMax = 1_000
/** Nodes remembered as refused for their version. */
const foreignMax = 256

/** Grows when messages between nodes change; a node also understands the one before, for rolling upgrades. */
export const protocolVersion = 1

/** The first words on a connection, from both sides. */
export interface Hello extends Member {
  readonly protocol: number
  /** Grows with each dial of one process. */
  readonly dial: number
}

export interface PeerChannelOptions {
  readonly sockets: SecureSockets
  readonly clock: RingClock
  readonly log: Log
  readonly limits?: Partial<LineLimits>
  /** For tests of rolling upgrades. */
  readonly protocolVersion?: number
  /** This node, as it is now. */
  readonly self: () => Member
  /** Somebody has dialed this node. Throws an `AppError` to refuse it. */
  readonly onDialed: (member: Member) => void
  readonly onHeard: (nodeId: NodeId) => void
  readonly answer: (from: Member, kind: string, body: Buffer) => Promise<Buffer> | Buffer
  /** What this node attaches to its beacons. */
  readonly beacon: () => Buffer
}

/** A dial that failed. `isRefused` says that nobody listens there (ECONNREFUSED). */
export class DialError extends AppError {
  constructor(
    readonly isRefused: boolean,
    cause: unknown,
  ) {
    super('unavailable', undefined, { cause })
  }

  /** Why, in words for people. */
  get problem(): string {
    const { cause } = this
    if (this.isRefused) return 'nobody listens there'
    if (cause === undefined) return 'no answer'
    if (cause instanceof AppError) return cause.message.replace(/\.$/, '')
    const { code = 'the connection failed' } = cause as NodeJS.ErrnoException
    return /^(ERR_SSL|EPROTO)/.test(code) ? 'the cluster secret is not the same' : code
  }
}

interface AcceptedLine {
  readonly line: Line
  readonly hello: Hello
}

export class PeerChannel {
  readonly counters: LineCounters = { sent: 0, received: 0, batches: 0, resets: 0 }
  readonly #options: PeerChannelOptions
  readonly #limits: LineLimits
  readonly #protocol: number
  /** All of them, of both directions, those that have not greeted included. */
  readonly #sockets = new Set<FrameSocket>()
  /** By node: its newest dial. */
  readonly #accepted = new Map<NodeId, AcceptedLine>()
  /** Nodes that were refused for their version, as said in the log. */
  readonly #foreign = new Set<string>()
  #listener: SecureListener | undefined
  #isClosed = false
  #dials = 0

  constructor(options: PeerChannelOptions) {
    this.#options = options
    this.#limits = { ...lineLimits, ...options.limits }
    this.#protocol = options.protocolVersion ?? protocolVersion
  }

  /** Listens. Resolves with the port. Rejects with `unavailable`, naming `forward:port`. */
  async listen(listenOn: Address): Promise<number> {
    this.#listener = await this.#options.sockets.listen('forward:port', listenOn, socket =>
      this.#accept(socket),
    )
    return this.#listener.port
  }

  /** A line to whoever listens at `address`, after both hellos. Rejects with a `DialError`. */
  dial(address: Address, onClosed: () => void): Promise<Line> {
    if (this.#isClosed) return Promise.reject(new DialError(false, undefined))
    return new Promise((resolve, reject) => {
      let isRefused = false
      let failure: unknown
      const socket = this.#options.sockets.connect(address)
      socket.once('error', (error: NodeJS.ErrnoException) => {
        isRefused = error.code === 'ECONNREFUSED'
        failure = error
      })
      const frames = this.#greet(socket, {
        onFrame: (type, payload) => {
          try {
            if (type === 'refusal') throw errorFrom(payload)
            if (type !== 'welcome') throw new AppError('damaged')
            const hello = this.#parseHello(payload)
            greeted()
            resolve(this.#lineOn(frames, hello, onClosed))
          } catch (error) {
            failure = error
            frames.close()
          }
        },
        onDrain: () => undefined,
        onClosed: () => {
          greeted()
          reject(new DialError(isRefused, failure))
        },
      })
      const greeted = this.#within(frames)
      const mine: Hello = { ...this.#options.self(), protocol: this.#protocol, dial: ++this.#dials }
      frames.write('hello', [Buffer.from(JSON.stringify(mine))])
    })
  }

  /** True while a connection stands that this node has dialed us on. */
  isDialedBy(nodeId: NodeId): boolean {
    return this.#accepted.has(nodeId)
  }

  /** Ends the listener and every connection. */
  async close(): Promise<void> {
    this.#isClosed = true
    const closed = this.#listener?.close()
    for (const socket of this.#sockets) socket.close()
    await closed
  }

  #accept(socket: Socket): void {
    const frames = this.#greet(socket, {
      onFrame: (type, payload) => {
        greeted()
        try {
          if (type !== 'hello') throw new AppError('damaged')
          this.#onHello(frames, payload)
        } catch (error) {
          frames.write('refusal', [failureBody(error)])
          frames.end(refusalMsMax)
        }
      },
      onDrain: () => undefined,
      onClosed: () => greeted(),
    })
    const greeted = this.#within(frames)
    if (this.#isClosed) frames.close()
  }

  #greet(socket: Socket, handlers: FrameHandlers): FrameSocket {
    const frames = new FrameSocket(socket, handlers)
    this.#sockets.add(frames)
    socket.once('close', () => this.#sockets.delete(frames))
    return frames
  }

  /** Ends a connection that does not greet in time; returns how to say that it has. */
  #within(frames: FrameSocket): () => void {
    const timer = this.#options.clock.setTimer(greetingMsMax, () => frames.close())
    return () => timer.cancel()
  }

  #onHello(frames: FrameSocket, body: Buffer): void {
    const hello = this.#parseHello(body)
    const older = this.#accepted.get(hello.nodeId)
    const isSameLife = older !== undefined && isOneLife(older.hello, hello)
    if (isSameLife && older.hello.dial >= hello.dial) throw new AppError('conflict')
    this.#options.onDialed(memberOf(hello))
    older?.line.close()
    const line = this.#lineOn(frames, hello, () => {
      if (this.#accepted.get(hello.nodeId)?.line === line) this.#accepted.delete(hello.nodeId)
    })
    this.#accepted.set(hello.nodeId, { line, hello })
    const mine: Hello = { ...this.#options.self(), protocol: this.#protocol, dial: 0 }
    frames.write('welcome', [Buffer.from(JSON.stringify(mine))])
  }

  #lineOn(socket: FrameSocket, hello: Hello, onClosed: () => void): Line {
    const { answer, beacon, clock, onHeard } = this.#options
    return new Line({
      socket,
      remote: memberOf(hello),
      clock,
      limits: this.#limits,
      counters: this.counters,
      answer,
      beacon,
      onHeard: () => onHeard(hello.nodeId),
      onClosed,
    })
  }

  #parseHello(body: Buffer): Hello {
    const hello = parseMember(body)
    const { protocol, dial } = hello
    if (typeof protocol !== 'number' || typeof dial !== 'number') throw new AppError('bad-request')
    if (Math.abs(protocol - this.#protocol) > 1) {
      this.#sayForeign(hello.nodeId, protocol)
      throw new AppError('conflict', 'The versions of the two nodes are too far apart.')
    }
    return { ...memberOf(hello), protocol, dial }
  }

  /** Once per node and version: it goes on dialing, and is refused each time. */
  #sayForeign(node: NodeId, protocol: number): void {
    const said = `${node} ${protocol}`
    if (this.#foreign.has(said) || this.#foreign.size >= foreignMax) return
    this.#foreign.add(said)
    this.#options.log.warn('node refused: the versions of the two are too far apart', {
      node,
      protocol,
      ours: this.#protocol,
    })
  }
}

/** Reads a member as a node describes itself. Throws `bad-request` when it is none. */
export function parseMember(body: Buffer): Member & Record<string, unknown> {
  if (body.length > helloBytesMax) throw new AppError('bad-request')
  let value: Partial<Record<keyof Member, unknown>>
  try {
    value = JSON.parse(body.toString()) as typeof value
  } catch {
    throw new AppError('bad-request')
  }
  const { nodeId, storeId, boot, channelAddress, forwardAddress } = value ?? {}
  if (!isId(nodeId) || typeof storeId !== 'string' || !Number.isSafeInteger(boot)) {
    throw new AppError('bad-request')
  }
  if (typeof channelAddress !== 'string' || typeof forwardAddress !== 'string') {
    throw new AppError('bad-request')
  }
  parseAddress(channelAddress)
  parseAddress(forwardAddress)
  return {
    ...value,
    nodeId: nodeId as string as NodeId,
    storeId,
    boot: boot as number,
    channelAddress,
    forwardAddress,
  }
}

/** True when both are the same process. */
export function isOneLife(one: Member, other: Member): boolean {
  return (
    one.nodeId === other.nodeId &&
    one.storeId === other.storeId &&
    one.boot === other.boot &&
    one.channelAddress === other.channelAddress &&
    one.forwardAddress === other.forwardAddress
  )
}

/** Nothing but what a member has. */
export function memberOf({ nodeId, storeId, boot, channelAddress, forwardAddress }: Member): Member {
  return { nodeId, storeId, boot, channelAddress, forwardAddress }
}
