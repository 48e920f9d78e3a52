/**
 * The channel that calls between nodes go over: our own TChannel beside the gossip one, since a large message or a
 * reset there would also hit the pings by which nodes are believed alive. Raw arguments, no checksum (TLS has one), no
 * tracing.
 *
 * Each connection begins with a hello in both directions: who each side is, in which life, and where it listens. A
 * process dials a peer once at a time and numbers its dials, so the newest dial of one life ends the older ones on the
 * other side: bytes of an abandoned connection that still sit in a buffer are never executed after newer ones.
 *
 * What can go wrong: an address is answered by another node than the one expected (it has moved); whoever dials compares.
 */
import type TChannel from 'tchannel'
import type { TChannelConnection, TChannelOutResponse } from 'tchannel'
import { AppError } from '../errors.js'
import { isId, type NodeId } from '../ids.js'
import type { Log } from '../log.js'
import { type Address, channelNameOf, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'
import {
  batchEndpoint,
  beaconEndpoint,
  failureBody,
  Line,
  type LineCounters,
  type LineLimits,
  lineLimits,
  requestOn,
} from './line.js'
import type { Member } from './peers.js'
import { SecureChannel } from './secure-channel.js'
import type { SecureSockets } from './secure-sockets.js'

const serviceName = 'interval'
const helloEndpoint = 'hello'
const helloMsMax = 1_000
const helloBytesMax = 4_096
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
  readonly #secured: SecureChannel
  readonly #lines = new Map<TChannelConnection, Line>()
  /** By node: its newest dial. */
  readonly #accepted = new Map<NodeId, AcceptedLine>()
  /** Nodes that were refused for their version, as said in the log. */
  readonly #foreign = new Set<string>()
  #channel: TChannel | undefined
  #dials = 0

  constructor(options: PeerChannelOptions) {
    this.#options = options
    this.#limits = { ...lineLimits, ...options.limits }
    this.#protocol = options.protocolVersion ?? protocolVersion
    this.#secured = new SecureChannel(options.sockets, options.log)
  }

  /** Listens. Resolves with the port. Rejects with `unavailable`, naming `forward:port`. */
  async listen(listenOn: Address, advertisedHost: string): Promise<number> {
    const port = await this.#secured.listen('forward:port', listenOn, advertisedHost)
    const channel = this.#secured.top.makeSubChannel({
      serviceName,
      trace: false,
      requestDefaults: {
        serviceName,
        hasNoParent: true,
        trace: false,
        // Given per call, 0 would be taken for "not given" and become CRC32C.
        checksumType: 0,
        timeout: helloMsMax,
        headers: { as: 'raw', cn: serviceName },
      },
    })
    channel.register(helloEndpoint, (request, response, _arg2, arg3) =>
      respond(response, () => this.#onHello(request.connection, arg3)),
    )
    channel.register(batchEndpoint, (request, response, _arg2, arg3) => {
      const line = this.#lines.get(request.connection)
      response.headers.as = 'raw'
      try {
        if (line === undefined) throw new AppError('unavailable')
        line.receive(arg3, replies => response.sendOk(null, replies))
      } catch (error) {
        response.sendNotOk(null, failureBody(error))
      }
    })
    channel.register(beaconEndpoint, (request, response) => {
      const line = this.#lines.get(request.connection)
      respond(response, () => {
        if (line === undefined) throw new AppError('unavailable')
        this.#options.onHeard(line.remote.nodeId)
        return this.#options.beacon()
      })
    })
    this.#channel = channel
    return port
  }

  /** A line to whoever listens at `address`, after both hellos. Rejects with a `DialError`. */
  async dial(address: Address, onClosed: () => void): Promise<Line> {
    const channel = this.#channel
    if (channel === undefined || this.#secured.top.destroyed) throw new DialError(false, undefined)
    const name = channelNameOf(address)
    const peer = this.#secured.top.peers.add(name)
    const socket = this.#secured.connect(name)
    let isRefused = false
    socket.once('error', (error: NodeJS.ErrnoException) => {
      isRefused = error.code === 'ECONNREFUSED'
    })
    const connection = peer.makeOutConnection(socket)
    peer.addConnection(connection)
    connection.errorEvent.on(() => undefined)
    connection.closeEvent.on(() => {
      this.#lines.delete(connection)
      if (![...this.#lines.keys()].some(other => other.remoteName === name)) {
        this.#secured.top.peers.delete(name)
      }
    })
    try {
      await identified(connection)
      const mine: Hello = { ...this.#options.self(), protocol: this.#protocol, dial: ++this.#dials }
      const pinned = {
        request: (requestOptions: object) => connection.request(requestOptions),
        invalidateScore: () => undefined,
      }
      const reply = await requestOn(
        channel,
        pinned,
        helloEndpoint,
        Buffer.from(JSON.stringify(mine)),
        helloMsMax,
      )
      if (connection.closing) throw new AppError('unavailable')
      return this.#lineOn(connection, this.#parseHello(reply), onClosed)
    } catch (error) {
      if (!connection.closing) connection.resetAll(new Error('the dial failed'))
      throw new DialError(isRefused, error)
    }
  }

  /** True while a connection stands that this node has dialed us on. */
  isDialedBy(nodeId: NodeId): boolean {
    return this.#accepted.has(nodeId)
  }

  async close(): Promise<void> {
    await this.#secured.close()
  }

  #onHello(connection: TChannelConnection, body: Buffer): Buffer {
    const hello = this.#parseHello(body)
    const older = this.#accepted.get(hello.nodeId)
    const isSameLife = older !== undefined && isOneLife(older.hello, hello)
    if (this.#lines.has(connection) || (isSameLife && older.hello.dial >= hello.dial)) {
      throw new AppError('conflict')
    }
    this.#options.onDialed(memberOf(hello))
    older?.line.close('dialed anew')
    const line = this.#lineOn(connection, hello, () => {
      if (this.#accepted.get(hello.nodeId)?.line === line) this.#accepted.delete(hello.nodeId)
    })
    this.#accepted.set(hello.nodeId, { line, hello })
    const mine: Hello = { ...this.#options.self(), protocol: this.#protocol, dial: 0 }
    return Buffer.from(JSON.stringify(mine))
  }

  #lineOn(connection: TChannelConnection, hello: Hello, onClosed: () => void): Line {
    const channel = this.#channel
    if (channel === undefined) throw new AppError('unavailable')
    const line = new Line({
      channel,
      connection,
      remote: memberOf(hello),
      clock: this.#options.clock,
      limits: this.#limits,
      counters: this.counters,
      answer: this.#options.answer,
      onHeard: () => this.#options.onHeard(hello.nodeId),
      onClosed: () => {
        this.#lines.delete(connection)
        onClosed()
      },
    })
    this.#lines.set(connection, line)
    return line
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

function respond(response: TChannelOutResponse, answer: () => Buffer): void {
  response.headers.as = 'raw'
  let body: Buffer
  try {
    body = answer()
  } catch (error) {
    response.sendNotOk(null, failureBody(error))
    return
  }
  response.sendOk(null, body)
}

function identified(connection: TChannelConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.identifiedEvent.on(() => resolve())
    connection.closeEvent.on(error => reject(error))
  })
}
