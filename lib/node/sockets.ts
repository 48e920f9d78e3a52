/**
 * The websocket door at `/websocket`: finds out who is there, completes the handshake, and hands the socket on.
 *
 * How much a socket may send at once is decided with the handshake and depends on who it is: a host sends files inside
 * calls, a browser forms, a stranger nothing. So people are known before the handshake is completed; until then nothing
 * is read but what the kernel and one stream buffer hold. Who is refused for what they are is told by a close
 * with a reason after a handshake, since SDKs print close reasons. What any other node would take (this one drains, is
 * full, or has not joined its cluster) is refused in place of the handshake, at once: whatever balances connections sees
 * that and asks the next node, and a host that comes again does so a moment later. A host that was held meanwhile would
 * have a second socket by then, and SDKs up to 1.4 give up the good one when the other is closed.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { AccountsService, ClientIdentity } from '../accounts/index.js'
import type { Clients } from '../clients/index.js'
import { AppError, errorKinds } from '../errors.js'
import type { Hosts } from '../hosts/index.js'
import type { HttpServer } from '../http/index.js'
import { type InstanceId, isId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock } from '../partitions/index.js'

export interface SocketsOptions {
  readonly http: HttpServer
  readonly accounts: AccountsService
  readonly hosts: Hosts
  readonly clients: Clients
  /** Why nobody can be served yet; undefined when they can. */
  refusal(): AppError | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Handshakes whose key or session is being looked up. */
const pendingMax = 1_000
/** Strangers may send control frames, which carry at most this many bytes. */
const strangerFrameBytesMax = 125
/** How long a refused peer may take to say goodbye, in ms. */
const goodbyeMsMax = 2_000

/** Takes a socket over once its handshake is done. */
type Admission = { readonly frameBytesMax: 'host' | 'client'; take(socket: WebSocket, stream: Duplex): void }

export class Sockets {
  readonly #options: SocketsOptions
  readonly #doors = {
    host: door(limits.hostFrameBytesMax),
    client: door(limits.clientFrameBytesMax),
    stranger: door(strangerFrameBytesMax),
  }
  #pending = 0
  #draining = false

  constructor(options: SocketsOptions) {
    this.#options = options
    options.http.nodeServer.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  drain(): void {
    this.#draining = true
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const path = (request.url ?? '').split('?')[0]
    if (path !== '/websocket') {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const open = this.#options.hosts.count + this.#options.clients.count + this.#pending
    const isFull = this.#pending >= pendingMax || open >= limits.socketsPerNodeMax
    const refusal =
      (this.#draining && new AppError('draining')) ||
      (isFull && new AppError('queue-full')) ||
      this.#options.refusal()
    if (refusal) {
      this.#options.http.refuseUpgrade(socket, refusal)
      return
    }
    this.#pending += 1
    this.#admitInTime(request)
      .then(admission => {
        if (this.#draining) throw new AppError('draining')
        return admission
      })
      .then(
        ({ frameBytesMax, take }) =>
          this.#doors[frameBytesMax].handleUpgrade(request, socket, head, webSocket =>
            take(webSocket, socket),
          ),
        (error: unknown) => this.#refuse(request, socket, head, error),
      )
      .catch((error: unknown) => {
        this.#options.log.error('socket.failed', { error })
        socket.destroy()
      })
      .finally(() => {
        this.#pending -= 1
      })
  }

  #admitInTime(request: IncomingMessage): Promise<Admission> {
    return new Promise<Admission>((resolve, reject) => {
      const late = this.#options.clock.setTimer(limits.authenticationMsMax, () =>
        reject(new AppError('unavailable', 'Try again.')),
      )
      this.#admit(request)
        .then(resolve, reject)
        .finally(() => late.cancel())
    })
  }

  /** A key makes a host, a cookie makes a browser; anything else is nobody. */
  async #admit(request: IncomingMessage): Promise<Admission> {
    const key = header(request, 'x-api-key')
    if (key !== undefined || header(request, 'x-instance-id') !== undefined) {
      const instanceId = header(request, 'x-instance-id')
      const identity = await this.#options.accounts.authenticateKey(key)
      if (!isId(instanceId))
        throw new AppError('invalid-api-key', 'The header x-instance-id is missing or not valid.')
      await this.#options.hosts.prepare(instanceId as InstanceId, identity)
      return {
        frameBytesMax: 'host',
        take: (socket, stream) =>
          this.#options.hosts.accept(socket, stream, instanceId as InstanceId, identity),
      }
    }
    const origin = this.#checkOrigin(request)
    const identity = await this.#authenticate(request)
    if (identity === null) throw new AppError('not-signed-in')
    const address = this.#options.http.address(request)
    return {
      frameBytesMax: 'client',
      take: (socket, stream) => this.#options.clients.accept(socket, stream, identity, { address, origin }),
    }
  }

  #authenticate(request: IncomingMessage): Promise<ClientIdentity | null> {
    const { accounts, http } = this.#options
    return accounts.authenticateSession(http.cookie.read(request.headers.cookie))
  }

  /** Cookies travel with requests from any page, so the page must be ours. */
  #checkOrigin(request: IncomingMessage): string {
    const origin = header(request, 'origin')
    if (origin === undefined || !this.#options.http.sameOrigin(request)) {
      throw new AppError('cross-origin', 'Invalid origin.')
    }
    return origin
  }

  #refuse(request: IncomingMessage, socket: Duplex, head: Buffer, error: unknown): void {
    const known = error instanceof AppError ? error : new AppError('unavailable')
    if (!(error instanceof AppError)) this.#options.log.error('socket.not-admitted', { error })
    const { closeCode } = errorKinds[known.code] as { closeCode?: number }
    if (!known.kind.retryable) {
      this.#options.accounts.audit({
        name: 'access.denied',
        address: this.#options.http.address(request),
        details: { what: 'websocket', reason: known.code },
      })
    }
    this.#doors.stranger.handleUpgrade(request, socket, head, stranger => {
      stranger.on('error', () => stranger.terminate())
      stranger.close(closeCode ?? 1013, known.message.slice(0, 120))
      this.#options.clock.setTimer(goodbyeMsMax, () => stranger.terminate())
    })
  }
}

/** Completes handshakes of sockets whose messages may have this many bytes. */
function door(frameBytesMax: number): WebSocketServer {
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: frameBytesMax,
    // Compression costs more memory per idle socket than everything else together.
    perMessageDeflate: false,
  })
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
