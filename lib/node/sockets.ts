/**
 * The websocket door at `/websocket`: completes the handshake, finds out who is there, and hands the socket on.
 *
 * A refusal is a close with a reason, after the handshake: SDKs print close reasons, and hang on a refused upgrade.
 * Until somebody is known the socket is paused, so nothing is read from strangers.
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
  readonly clock: Clock
  readonly log: Log
}

/** Handshakes whose key or session is being looked up. */
const pendingMax = 1_000

export class Sockets {
  readonly #options: SocketsOptions
  readonly #server: WebSocketServer
  #pending = 0
  #draining = false

  constructor(options: SocketsOptions) {
    this.#options = options
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: limits.hostFrameBytesMax,
      // Compression costs more memory per idle socket than everything else together.
      perMessageDeflate: false,
    })
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
    if (this.#draining || this.#pending >= pendingMax || open >= limits.socketsPerNodeMax) {
      socket.end(
        'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n',
      )
      return
    }
    this.#server.handleUpgrade(request, socket, head, webSocket => {
      webSocket.pause()
      webSocket.on('error', () => webSocket.terminate())
      this.#pending += 1
      const late = this.#options.clock.setTimer(limits.authenticationMsMax, () =>
        webSocket.close(1013, 'Try again.'),
      )
      this.#admit(webSocket, request)
        .catch((error: unknown) => this.#refuse(webSocket, request, error))
        .finally(() => {
          late.cancel()
          this.#pending -= 1
          webSocket.resume()
        })
    })
  }

  /** A key makes a host, a cookie makes a browser; anything else is nobody. */
  async #admit(socket: WebSocket, request: IncomingMessage): Promise<void> {
    const key = header(request, 'x-api-key')
    if (key !== undefined || header(request, 'x-instance-id') !== undefined) {
      const instanceId = header(request, 'x-instance-id')
      const identity = await this.#options.accounts.authenticateKey(key)
      if (!isId(instanceId))
        throw new AppError('invalid-api-key', 'The header x-instance-id is missing or not valid.')
      if (isOpen(socket)) this.#options.hosts.accept(socket, instanceId as InstanceId, identity)
      return
    }
    const origin = this.#checkOrigin(request)
    const identity = await this.#authenticate(request)
    if (identity === null) throw new AppError('not-signed-in')
    if (isOpen(socket)) {
      this.#options.clients.accept(socket, identity, { address: this.#options.http.address(request), origin })
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

  #refuse(socket: WebSocket, request: IncomingMessage, error: unknown): void {
    const known = error instanceof AppError ? error : new AppError('unavailable')
    if (!(error instanceof AppError)) this.#options.log.error('socket.not-admitted', { error })
    const { closeCode } = errorKinds[known.code] as { closeCode?: number }
    if (!known.kind.retryable && known.code !== 'not-signed-in') {
      this.#options.accounts.audit({
        name: 'access.denied',
        address: this.#options.http.address(request),
        details: { what: 'websocket', reason: known.code },
      })
    }
    socket.close(closeCode ?? 1013, known.message.slice(0, 120))
    this.#options.clock.setTimer(2_000, () => socket.terminate())
  }
}

function isOpen(socket: WebSocket): boolean {
  return socket.readyState === socket.OPEN
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}
