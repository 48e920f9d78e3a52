/** What we use of tchannel 4.0.1, which ships no types. Frozen upstream: internals named here do not move. */
declare module 'tchannel' {
  import type { Duplex } from 'node:stream'

  interface TChannelEvent<Value> {
    on(handler: (value: Value, emitter: unknown) => void): void
    removeListener(handler: (value: Value, emitter: unknown) => void): void
  }

  export interface TChannelLogger {
    trace(message: string, fields?: unknown): void
    debug(message: string, fields?: unknown): void
    info(message: string, fields?: unknown): void
    warn(message: string, fields?: unknown): void
    error(message: string, fields?: unknown): void
    fatal(message: string, fields?: unknown): void
  }

  export interface TChannelOptions {
    logger?: TChannelLogger
    trace?: boolean
    /** Ms until a connection must have identified itself. */
    initTimeout?: number
    /** Ms how long an ended call is remembered. */
    maxTombstoneTTL?: number
    timeoutCheckInterval?: number
    timeoutFuzz?: number
    serviceName?: string
    processName?: string
    /** Takes the place of its own gathering of statistics. */
    batchStats?: { pushStat(): void; flushStats(): void; destroy(): void }
    requestDefaults?: {
      serviceName: string
      hasNoParent: boolean
      trace: boolean
      checksumType: number
      timeout: number
      headers: { as: string; cn: string }
    }
  }

  export interface TChannelPeer {
    readonly hostPort: string
    makeOutSocket(): Duplex
  }

  export interface TChannelOutRequest {
    send(
      endpoint: string,
      arg2: Buffer | string,
      arg3: Buffer | string,
      callback: (
        error: (Error & { type?: string }) | null,
        response: { ok: boolean },
        arg2: Buffer,
        arg3: Buffer,
      ) => void,
    ): void
  }

  export interface TChannelOutResponse {
    headers: { as: string }
    sendOk(arg2: Buffer | string | null, arg3: Buffer | string): void
    sendNotOk(arg2: Buffer | string | null, arg3: Buffer | string): void
  }

  export default class TChannel {
    constructor(options?: TChannelOptions)
    hostPort: string | null
    host: string | null
    listened: boolean
    listening: boolean
    readonly destroyed: boolean
    /** By remote address; made by `listen`, which we do not use. */
    serverConnections: Record<string, unknown> | null
    readonly peers: {
      add(hostPort: string): TChannelPeer
      readonly allocPeerEvent: TChannelEvent<TChannelPeer>
    }
    makeSubChannel(options: TChannelOptions & { serviceName: string }): TChannel
    onServerSocketConnection(socket: Duplex): void
    waitForIdentified(options: { host: string }, callback: (error: Error | null) => void): void
    request(options: {
      host?: string
      peer?: TChannelPeer
      timeout?: number
      serviceName?: string
    }): TChannelOutRequest
    register(
      endpoint: string,
      handler: (request: unknown, response: TChannelOutResponse, arg2: Buffer, arg3: Buffer) => void,
    ): void
    close(callback?: () => void): void
  }
}
