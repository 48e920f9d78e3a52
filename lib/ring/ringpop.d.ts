/** What we use of ringpop 10.21.0, which ships no types. */
declare module 'ringpop' {
  import type { EventEmitter } from 'node:events'
  import type TChannel from 'tchannel'
  import type { TChannelLogger } from 'tchannel'

  export interface RingpopOptions {
    app: string
    /** Four numbers and a port. */
    hostPort: string
    channel: TChannel
    logger?: TChannelLogger
    isCrossPlatform?: boolean
    joinSize?: number
    minProtocolPeriod?: number
    pingTimeout?: number
    pingReqTimeout?: number
    stateTimeouts?: { suspect: number; faulty: number; tombstone: number }
    discoverProviderHealerPeriod?: number
    discoverProviderHealerBaseProbability?: number
    requiresAppInPing?: boolean
  }

  export interface RingpopMember {
    readonly address: string
    readonly status: 'alive' | 'suspect' | 'faulty' | 'leave' | 'tombstone'
    readonly incarnationNumber: number
  }

  export default class Ringpop extends EventEmitter {
    constructor(options: RingpopOptions)
    readonly membership: EventEmitter & {
      readonly members: readonly RingpopMember[]
      makeSuspect(address: string, incarnationNumber: number): void
    }
    readonly gossip: {
      readonly numProtocolPeriods: number
      minProtocolPeriod: number
      lastProtocolRate: number
    }
    readonly healer: { heal(callback: () => void): void }
    readonly destroyed: boolean
    discoverProvider: (callback: (error: Error | null, hosts?: readonly string[]) => void) => void
    setupChannel(): void
    bootstrap(hosts: readonly string[], callback: (error: Error | null) => void): void
    selfEvict(callback: (error?: Error) => void): void
    destroy(): void
  }
}
