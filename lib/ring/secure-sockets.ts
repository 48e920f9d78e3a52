/**
 * The sockets between nodes: TLS 1.2 with a pre-shared key made from the cluster secret, under gossip and under calls.
 *
 * Neither ringpop nor tchannel knows who is talking, and every ringpop node serves administration to whoever connects.
 * With a pre-shared key both sides prove in the handshake that they know the secret, before the first byte of tchannel
 * is read; there are no certificates to make or to renew. The key exchange is ephemeral (ECDHE), so what was recorded
 * cannot be read even by who learns the secret later, and a replayed handshake fails against the other side's fresh
 * random. Sessions are never resumed.
 *
 * Invariant: a socket handed over has proved the secret. What can go wrong: a short secret can be guessed by who sits
 * between two nodes and tries words against one recorded handshake; the secret must be random (32 bytes are made by
 * default).
 */
import { constants, hkdfSync } from 'node:crypto'
import { createSecureContext, createServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { AppError } from '../errors.js'
import type { Log, Secret } from '../log.js'
import { type Address, formatAddress, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'

/** The one cipher suite: nothing is negotiated. OpenSSL has no AES-GCM suite with ECDHE and PSK. */
const protocol = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  // A ticket would let a session go on without a fresh key exchange.
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const

/** Says which key is meant, not who speaks: anybody may know it. */
const pskIdentity = 'interval-server/ring/1'
const handshakeMsMax = 3_000
/** Of one listener, those still proving themselves included; a cluster has two per pair of nodes. */
const connectionsMax = 4_096
/** Addresses remembered as already logged in this minute. */
const loggedAddressesMax = 1_024
const logAgainMs = 60_000
/** Ephemeral ports of outgoing sockets begin here on Linux: a listener above can find its port taken. */
const firstFreePort = 10_240
const portsEnd = 32_768

export interface SecureSocketsOptions {
  readonly secret: Secret
  readonly clock: RingClock
  /** From 0 up to 1; chooses free ports. */
  readonly random: () => number
  readonly log: Log
  /** For tests; see `switches.ts`. */
  readonly detours?: ReadonlyMap<string, string>
}

export interface SecureListener {
  readonly port: number
  /** Takes no more sockets; those handed over are their taker's, those still proving themselves end by their timeout. */
  close(): Promise<void>
}

export class SecureSockets {
  readonly #options: SecureSocketsOptions
  readonly #key: Buffer
  readonly #clientContext = createSecureContext(protocol)
  readonly #loggedAtMs = new Map<string, number>()
  #refusedConnections = 0

  constructor(options: SecureSocketsOptions) {
    this.#options = options
    this.#key = Buffer.from(hkdfSync('sha256', options.secret.reveal(), '', pskIdentity, 32))
  }

  /** Connections, of either direction, whose other side did not prove the secret. */
  get refusedConnections(): number {
    return this.#refusedConnections
  }

  /**
   * Listens and hands over each socket that has proved the secret. Port 0 is a free one below 32768. Rejects with
   * `unavailable`, naming `configurationKey`, address and port.
   */
  async listen(
    configurationKey: string,
    address: Address,
    onSocket: (socket: TLSSocket) => void,
  ): Promise<SecureListener> {
    for (let attempt = 0; ; attempt++) {
      const port =
        address.port || firstFreePort + Math.floor(this.#options.random() * (portsEnd - firstFreePort))
      try {
        return await this.#listenOn({ host: address.host, port }, onSocket)
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
        if (address.port === 0 && code === 'EADDRINUSE' && attempt < 100) continue
        const reason = { EADDRINUSE: 'the port is in use', EADDRNOTAVAIL: 'this machine has no such address' }
        throw new AppError(
          'unavailable',
          `${configurationKey}: cannot listen on ${formatAddress({ host: address.host, port })}: ${
            reason[code as keyof typeof reason] ?? code
          }.`,
          { cause: error },
        )
      }
    }
  }

  /** A socket on its way to `address`; what is written waits until the other side has proved the secret. */
  connect(address: Address): TLSSocket {
    let hasConnected = false
    let hasProved = false
    const detour = this.#options.detours?.get(formatAddress(address))
    const { host, port } = detour === undefined ? address : parseAddress(detour)
    const socket = tlsConnect({
      host,
      port,
      secureContext: this.#clientContext,
      pskCallback: () => ({ psk: this.#key, identity: pskIdentity }),
      // There is no certificate to look at: the key is the proof.
      checkServerIdentity: () => undefined,
    })
    socket.once('connect', () => {
      hasConnected = true
    })
    socket.once('secureConnect', () => {
      hasProved = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (hasConnected && !hasProved) this.#refuse(address.host, error)
    })
    return socket
  }

  #listenOn(address: Address, onSocket: (socket: TLSSocket) => void): Promise<SecureListener> {
    const server = createServer({
      ...protocol,
      handshakeTimeout: handshakeMsMax,
      pskIdentityHint: pskIdentity,
      pskCallback: (_socket, identity) => (identity === pskIdentity ? this.#key : null),
    })
    server.maxConnections = connectionsMax
    server.on('secureConnection', onSocket)
    // Asking for the address now keeps it known when the handshake has failed and the socket is gone.
    server.on('connection', socket => void socket.remoteAddress)
    server.on('tlsClientError', (error, socket) => {
      this.#refuse(socket.remoteAddress ?? 'unknown', error)
      socket.destroy()
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: address.host, port: address.port }, () => {
        server.off('error', reject)
        server.on('error', error => this.#options.log.error('listener failed', { error }))
        resolve({
          port: address.port,
          close: () =>
            new Promise(closed => {
              server.close()
              setImmediate(closed)
            }),
        })
      })
    })
  }

  #refuse(remoteAddress: string, error: NodeJS.ErrnoException): void {
    // Whoever hung up during the handshake has not failed to prove anything: a dying node, a health check.
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return
    this.#refusedConnections++
    const nowMs = this.#options.clock.nowMs()
    const loggedAtMs = this.#loggedAtMs.get(remoteAddress)
    if (loggedAtMs !== undefined && nowMs - loggedAtMs < logAgainMs) return
    if (this.#loggedAtMs.size >= loggedAddressesMax) this.#loggedAtMs.clear()
    this.#loggedAtMs.set(remoteAddress, nowMs)
    this.#options.log.warn('connection refused: it has not proved the cluster secret', {
      remoteAddress,
      code: error.code,
      setting: 'secrets:nodes (WSS_API_SECRET) must be equal on all nodes',
    })
  }
}
