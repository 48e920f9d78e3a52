/**
 * Who is alive: ringpop's SWIM gossip over a secure TChannel. It finds nodes, spreads joins and leaves, and suspects
 * the silent; it decides where partitions should live and never who is dead (a paused node is given up after 1.5 s here
 * and wakes up again).
 *
 * Start-up, as measured: a node bootstraps with itself alone, so that it never waits for others, and ringpop's
 * discover-provider healer, run every second instead of every thirty, joins the seeds and everybody it has known.
 * That is also what heals a partition. So nodes may start in any order with any seeds down.
 *
 * What can go wrong: ringpop knows addresses only; another process may answer at an address. Who a member is, is asked
 * for over the same channel (`identify`).
 */
import Ringpop from 'ringpop'
import type TChannel from 'tchannel'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import { type Address, channelNameOf, formatAddress } from './addresses.js'
import type { RingClock } from './clock.js'
import { gossipTimes } from './gossip-times.js'
import { memberOf, parseMember } from './peer-channel.js'
import type { Member } from './peers.js'
import { requestOn, SecureChannel, tchannelLogger } from './secure-channel.js'
import type { SecureSockets } from './secure-sockets.js'
import type { Seeds } from './seeds.js'

/** Given-up members are remembered this long, so that old gossip does not bring them back. */
const faultyMs = 3_600_000
const tombstoneMs = 60_000
const identifyMsMax = 1_000
const memberEndpoint = 'member'
const identityService = 'interval'

/** A node as gossip knows it. A restart at the same address has another incarnation. */
export interface GossipMember {
  /** The address in the form that ringpop knows. */
  readonly name: string
  readonly incarnation: number
}

export interface GossipOptions {
  readonly sockets: SecureSockets
  readonly seeds: Seeds
  readonly clock: RingClock
  readonly log: Log
  readonly listenOn: Address
  /** The IP address that others reach this node at. */
  readonly advertisedHost: string
  /** This node, as it is now. */
  readonly self: () => Member
  /** Addresses of nodes known from elsewhere, tried as seeds are. */
  readonly knownAddresses: () => readonly Address[]
  readonly onChange: () => void
}

export class Gossip {
  readonly #options: GossipOptions
  readonly #secured: SecureChannel
  #ringpop: Ringpop | undefined
  #identities: TChannel | undefined
  #alive: readonly GossipMember[] = []
  #calm: { cancel(): void } | undefined
  #hasLeft = false

  constructor(options: GossipOptions) {
    this.#options = options
    this.#secured = new SecureChannel(options.sockets, options.log)
  }

  /** Protocol periods since the start: five per second while the membership changes, one when it does not. */
  get periods(): number {
    return this.#ringpop?.gossip.numProtocolPeriods ?? 0
  }

  /** The other members believed alive; suspects still are. */
  alive(): readonly GossipMember[] {
    return this.#alive
  }

  /** Listens. Resolves with the port. Rejects with `unavailable`, naming `channel:port`. */
  async listen(): Promise<number> {
    const { listenOn, advertisedHost, log } = this.#options
    const port = await this.#secured.listen('channel:port', listenOn, advertisedHost)
    const { top } = this.#secured
    const identities = top.makeSubChannel({
      serviceName: identityService,
      trace: false,
      requestDefaults: {
        serviceName: identityService,
        hasNoParent: true,
        trace: false,
        checksumType: 0,
        timeout: identifyMsMax,
        headers: { as: 'raw', cn: identityService },
      },
    })
    identities.register(memberEndpoint, (_request, response) => {
      response.headers.as = 'raw'
      response.sendOk(null, JSON.stringify(memberOf(this.#options.self())))
    })
    this.#identities = identities
    this.#ringpop = new Ringpop({
      app: 'interval-server',
      hostPort: channelNameOf({ host: advertisedHost, port }),
      channel: top.makeSubChannel({ serviceName: 'ringpop', trace: false }),
      logger: tchannelLogger(log),
      isCrossPlatform: true,
      joinSize: 1,
      minProtocolPeriod: gossipTimes.periodMs,
      pingTimeout: gossipTimes.pingMsMax,
      pingReqTimeout: gossipTimes.indirectPingMsMax,
      stateTimeouts: { suspect: gossipTimes.suspectMs, faulty: faultyMs, tombstone: tombstoneMs },
      discoverProviderHealerPeriod: gossipTimes.healerPeriodMs,
      discoverProviderHealerBaseProbability: 3,
    })
    this.#ringpop.setupChannel()
    return port
  }

  /** Begins to gossip. Waits for nobody. */
  async join(): Promise<void> {
    const ringpop = this.#ringpop
    const own = this.#secured.top.hostPort
    if (ringpop === undefined || own === null) throw new Error('gossip does not listen yet')
    this.#hurry(ringpop)
    ringpop.on('error', error => this.#options.log.warn('gossip failed', { error: String(error) }))
    ringpop.membership.on('updated', () => {
      this.#hurry(ringpop)
      this.#update()
    })
    await new Promise<void>((resolve, reject) =>
      ringpop.bootstrap([own], error => (error ? reject(error) : resolve())),
    )
    ringpop.discoverProvider = callback => {
      void this.#healingTargets(own).then(targets => callback(null, targets))
    }
    this.#update()
    // The periodic healer begins a period from now.
    ringpop.healer.heal(() => undefined)
  }

  /** Asks whoever answers at `name` who it is. Rejects with `unavailable` or `bad-request`. */
  async identify(name: string): Promise<Member> {
    const channel = this.#identities
    if (channel === undefined || this.#secured.top.destroyed) throw new AppError('unavailable')
    const peer = this.#secured.top.peers.add(name)
    await new Promise<void>((resolve, reject) =>
      channel.waitForIdentified({ host: name }, error =>
        error ? reject(new AppError('unavailable', undefined, { cause: error })) : resolve(),
      ),
    )
    const body = await requestOn(channel, peer, memberEndpoint, Buffer.alloc(0), identifyMsMax)
    return memberOf(parseMember(body))
  }

  /**
   * This node has evidence of its own that the node at `name` does not live. Ringpop alone believes what it is told by
   * the others it asks, and when it reaches none of them it goes on believing that all live.
   */
  suspect(name: string): void {
    const membership = this.#ringpop?.membership
    const member = membership?.members.find(({ address }) => address === name)
    if (this.#hasLeft || member?.status !== 'alive') return
    membership?.makeSuspect(name, member.incarnationNumber)
  }

  /** Tells the others, waits `deadlineMs` at most for one of them to have heard it, and gossips no more. */
  async leave(deadlineMs: number): Promise<void> {
    const ringpop = this.#ringpop
    if (this.#hasLeft || ringpop === undefined || ringpop.destroyed) return
    this.#hasLeft = true
    await Promise.race([
      new Promise<void>(resolve => ringpop.selfEvict(() => resolve())),
      pause(this.#options.clock, deadlineMs),
    ])
    // Whoever still pings it would make it say that it lives.
    await this.stop()
  }

  async stop(): Promise<void> {
    this.#hasLeft = true
    this.#calm?.cancel()
    if (this.#ringpop !== undefined && !this.#ringpop.destroyed) this.#ringpop.destroy()
    await this.#secured.close()
  }

  /** What has changed is spread at once; each ping costs both sides a millisecond of processor. */
  #hurry({ gossip }: Ringpop): void {
    if (this.#hasLeft) return
    gossip.minProtocolPeriod = gossipTimes.periodMs
    gossip.lastProtocolRate = gossipTimes.periodMs
    this.#calm?.cancel()
    this.#calm = this.#options.clock.setTimer(gossipTimes.calmAfterMs, () => {
      gossip.minProtocolPeriod = gossipTimes.calmPeriodMs
    })
  }

  #update(): void {
    if (this.#hasLeft) return
    const own = this.#secured.top.hostPort
    this.#alive = (this.#ringpop?.membership.members ?? [])
      .filter(({ address, status }) => address !== own && (status === 'alive' || status === 'suspect'))
      .map(({ address, incarnationNumber }) => ({ name: address, incarnation: incarnationNumber }))
    this.#options.onChange()
  }

  async #healingTargets(own: string): Promise<readonly string[]> {
    const addresses = [...(await this.#options.seeds.addresses()), ...this.#options.knownAddresses()]
    const names = new Map(addresses.map(address => [formatAddress(address), channelNameOf(address)]))
    return [...names.values()].filter(name => name !== own)
  }
}
