/**
 * A TChannel whose sockets are all secure, in both directions. tchannel makes its own plain sockets in two places: its
 * listener, which we replace by ours (it is only ever given sockets that have proved the secret), and
 * `peer.makeOutSocket`, which we replace on each peer at the moment the channel makes that peer.
 *
 * What can go wrong: `channel.listen` would open a plain port. Nobody calls it.
 */
import TChannel, { type TChannelLogger, type TChannelPeer } from 'tchannel'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { type Address, addressOfChannelName, channelNameOf } from './addresses.js'
import type { SecureListener, SecureSockets } from './secure-sockets.js'

/** Until a connection must stand, its TLS handshake included. */
const connectMsMax = 1_000

/** Statistics of tchannel go nowhere here; it would gather them, several for each frame, and look at them ten times a second. */
const noStats = { pushStat: () => undefined, flushStats: () => undefined, destroy: () => undefined }

export class SecureChannel {
  readonly top: TChannel
  readonly #sockets: SecureSockets
  #listener: SecureListener | undefined

  constructor(sockets: SecureSockets, log: Log) {
    this.#sockets = sockets
    this.top = new TChannel({
      logger: tchannelLogger(log),
      trace: false,
      initTimeout: connectMsMax,
      // An ended call is remembered only to word a log line.
      maxTombstoneTTL: 500,
      processName: 'interval-server',
      batchStats: noStats,
    })
    this.top.peers.allocPeerEvent.on(peer => {
      peer.makeOutSocket = () => this.#sockets.connect(addressOfChannelName(peer.hostPort))
    })
  }

  /**
   * Listens, and names the channel by `advertisedHost` and the port. Rejects with `unavailable`, naming
   * `configurationKey`. Sub-channels are made after this.
   */
  async listen(configurationKey: string, listenOn: Address, advertisedHost: string): Promise<number> {
    this.top.serverConnections = Object.create(null)
    const listener = await this.#sockets.listen(configurationKey, listenOn, socket => {
      if (this.top.destroyed) socket.destroy()
      else this.top.onServerSocketConnection(socket)
    })
    this.#listener = listener
    this.top.host = advertisedHost
    this.top.hostPort = channelNameOf({ host: advertisedHost, port: listener.port })
    this.top.listened = true
    this.top.listening = true
    return listener.port
  }

  /** Ends the listener and every connection. */
  async close(): Promise<void> {
    const closed = this.#listener?.close()
    if (!this.top.destroyed) this.top.close()
    await closed
  }
}

/** One tchannel call to one peer. Rejects when it fails or is not answered in time. */
export function requestOn(
  channel: TChannel,
  peer: TChannelPeer,
  endpoint: string,
  body: Buffer,
  timeoutMs: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    channel.request({ peer, timeout: timeoutMs }).send(endpoint, '', body, (error, response, _arg2, arg3) => {
      if (error) reject(error)
      else if (response.ok) resolve(arg3)
      else reject(new AppError('unavailable'))
    })
  })
}

/** What tchannel and ringpop have to say is details: every failure that matters reaches us as an event or an error. */
export function tchannelLogger(log: Log): TChannelLogger {
  const say = (message: string, fields?: unknown): void => {
    const error =
      typeof fields === 'object' && fields !== null && 'error' in fields ? fields.error : undefined
    log.debug(message, error instanceof Error ? { error: error.message } : undefined)
  }
  const nothing = (): void => undefined
  return { trace: nothing, debug: nothing, info: say, warn: say, error: say, fatal: say }
}
