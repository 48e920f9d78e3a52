/**
 * Opens sockets, over TLS for https, to addresses that were checked.
 *
 * Invariant: a certificate is checked for the name in the URL, as Node does it by default. What a receiver gives to make
 * its next handshake short is used for the same origin only, and only once that origin has passed.
 */
import { isIP, type LookupFunction, connect as openPlain, type Socket } from 'node:net'
import { connect as openSecure } from 'node:tls'
import type { Target } from './target.js'

/** Called once, unless the socket is destroyed before: with the socket, or with what went wrong. */
export type Opened = (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void

/** Origins whose TLS sessions are remembered; some KB each. */
const sessionsMax = 100
/** A connection on which nothing comes is asked by TCP whether it still is one, after this time in ms. */
const probeAfterMs = 1_000

export class Connector {
  readonly #lookup: LookupFunction
  readonly #sessions = new Map<string, Buffer>()

  constructor(lookup: LookupFunction) {
    this.#lookup = lookup
  }

  /** Returns the socket at once, so that it can be given up while it connects. */
  open(target: Target, opened: Opened): Socket {
    const { hostname: host, port, isSecure } = target
    const options = {
      host,
      port,
      lookup: this.#lookup,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: probeAfterMs,
    }
    let isSettled = false
    const socket = isSecure ? this.#openSecure(target, options) : openPlain(options)
    return socket
      .once(isSecure ? 'secureConnect' : 'connect', () => {
        isSettled = true
        opened(null, socket)
      })
      .on('error', error => {
        if (isSettled) return
        isSettled = true
        opened(error, null)
      })
  }

  #openSecure({ origin, hostname }: Target, options: { host: string; port: number }): Socket {
    const session = this.#sessions.get(origin)
    const socket = openSecure({
      ...options,
      // An address is no server name (RFC 6066, 3).
      servername: isIP(hostname) === 0 ? hostname : '',
      ALPNProtocols: ['http/1.1'],
      ...(session && { session }),
    })
    let given: Buffer | undefined
    // With TLS 1.2 it comes before the certificate was checked.
    socket.on('session', next => {
      given = next
      if (socket.authorized) this.#remember(origin, next)
    })
    socket.once('secureConnect', () => given && this.#remember(origin, given))
    socket.once('close', hadError => hadError && this.#sessions.delete(origin))
    return socket
  }

  #remember(origin: string, session: Buffer): void {
    this.#sessions.delete(origin)
    this.#sessions.set(origin, session)
    const [oldest] = this.#sessions.keys()
    if (oldest !== undefined && this.#sessions.size > sessionsMax) this.#sessions.delete(oldest)
  }
}
