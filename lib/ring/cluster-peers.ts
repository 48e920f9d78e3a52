/**
 * The peers of a node in a real cluster: gossip says which addresses live, a question over the same channel says who
 * that is, and a link to each carries calls and beacons. See README.md of this folder.
 *
 * Invariants: a node id stands for one process at a time. While the process we know under an id is heard, another one
 * claiming the id is reported and refused, never silently swapped; once it is not, a later life takes its place, at
 * whatever address. What can go wrong: a copied data directory started twice; both nodes are reported by all others.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { Log, Secret } from '../log.js'
import { type Address, channelNameOf, defaultChannelPort, formatAddress, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'
import { Gossip } from './gossip.js'
import type { LineLimits } from './line.js'
import { isOneLife, memberOf, PeerChannel } from './peer-channel.js'
import { PeerLink } from './peer-link.js'
import type { CallHandler, Member, PeerCondition, PeerCounters, PeerIdentity, Peers } from './peers.js'
import { SecureSockets } from './secure-sockets.js'
import { type Resolve, resolveHost, Seeds } from './seeds.js'

const beaconIntervalMs = 200
/** An own tick later than this was a stall of this node, not silence of the others. */
const stallMs = 100
const leaveMsMax = 1_000
/** Nodes remembered; those longest not heard of go first. */
const peersMax = 256

export interface ClusterPeersOptions {
  readonly identity: PeerIdentity
  /** The cluster secret: who does not know it is nobody. */
  readonly secret: Secret
  /** `host[:3455]`, names or addresses; any of them may be down or unknown. */
  readonly seeds: readonly string[]
  /** The name or address that others reach this node at. */
  readonly channelHost: string
  /** What to listen on when it is another one, e.g. 0.0.0.0. */
  readonly listenHost?: string
  /** 0 takes a free one below 32768. */
  readonly channelPort?: number
  readonly forwardPort?: number
  readonly clock: RingClock
  /** From 0 up to 1; chooses free ports. */
  readonly random: () => number
  readonly log: Log
  readonly limits?: Partial<LineLimits>
  readonly resolve?: Resolve
  /** For tests; see `switches.ts`. */
  readonly protocolVersion?: number
  readonly detours?: ReadonlyMap<string, string>
  /** Two live processes claim one node id. */
  readonly onDuplicate?: (known: Member, other: Member) => void
}

export class ClusterPeers implements Peers {
  readonly #options: ClusterPeersOptions
  readonly #sockets: SecureSockets
  readonly #channel: PeerChannel
  #gossip: Gossip | undefined
  #self: Member
  readonly #links = new Map<NodeId, PeerLink>()
  /** By the name gossip has for an address: who answered there, in which incarnation. */
  readonly #identified = new Map<string, { incarnation: number; member: Member }>()
  readonly #identifying = new Set<string>()
  readonly #reported = new Set<string>()
  readonly #callHandlers = new Map<string, CallHandler>()
  readonly #memberHandlers = new Set<(members: readonly Member[]) => void>()
  readonly #conditionHandlers = new Set<(nodeId: NodeId, condition: PeerCondition) => void>()
  readonly #beaconHandlers = new Set<(from: Member, body: Buffer, roundTripMs: number) => void>()
  #members: readonly Member[]
  #beaconBody: () => Buffer = () => Buffer.alloc(0)
  #tick: { cancel(): void } | undefined
  #isStopped = false

  constructor(options: ClusterPeersOptions) {
    this.#options = options
    const { clock, random, log, secret, limits, protocolVersion, detours } = options
    this.#self = { ...options.identity, channelAddress: '', forwardAddress: '' }
    this.#members = [this.#self]
    this.#sockets = new SecureSockets({ secret, clock, random, log, ...(detours && { detours }) })
    this.#channel = new PeerChannel({
      sockets: this.#sockets,
      clock,
      log,
      ...(limits && { limits }),
      ...(protocolVersion !== undefined && { protocolVersion }),
      self: () => this.#self,
      onDialed: member => {
        if (!this.#meet(member)) throw new AppError('conflict', 'Another live process has this node id.')
        this.#links.get(member.nodeId)?.dialNow()
      },
      onHeard: nodeId => this.#links.get(nodeId)?.heard(),
      answer: (from, kind, body) => this.#answer(from, kind, body),
      beacon: () => this.#beaconBody(),
    })
  }

  get self(): Member {
    return this.#self
  }

  get counters(): PeerCounters {
    return { ...this.#channel.counters, refusedConnections: this.#sockets.refusedConnections }
  }

  /** Gossip periods since the start: five per second while the membership changes, one when it does not. */
  get gossipPeriods(): number {
    return this.#gossip?.periods ?? 0
  }

  members(): readonly Member[] {
    return this.#members
  }

  onMembers(handler: (members: readonly Member[]) => void): () => void {
    this.#memberHandlers.add(handler)
    return () => this.#memberHandlers.delete(handler)
  }

  call(to: NodeId, kind: string, body: Buffer, deadlineMs: number): Promise<Buffer> {
    if (this.#isStopped) return Promise.reject(new AppError('unavailable'))
    if (to === this.#self.nodeId) return this.#callSelf(kind, body)
    return this.#links.get(to)?.call(kind, body, deadlineMs) ?? Promise.reject(new AppError('unavailable'))
  }

  abandonSilent(): void {
    for (const link of this.#links.values()) if (link.condition().kind === 'silent') link.abandon()
  }

  onCall(kind: string, handler: CallHandler): void {
    if (this.#callHandlers.has(kind)) throw new Error(`calls of kind ${kind} have a handler already`)
    this.#callHandlers.set(kind, handler)
  }

  learn(members: readonly Member[]): void {
    for (const member of members) {
      if (member.nodeId === this.#self.nodeId) continue
      const link = this.#links.get(member.nodeId)
      // What was heard first-hand is only outdone by a later life of the same store.
      const isKnownBetter = link !== undefined && link.heardAtMs > Number.NEGATIVE_INFINITY
      const isLater = member.storeId === link?.target.storeId && member.boot > link.target.boot
      if (link?.condition().kind === 'connected' || (isKnownBetter && !isLater)) continue
      this.#meet(memberOf(member))
    }
  }

  condition(nodeId: NodeId): PeerCondition {
    const nowMs = this.#options.clock.nowMs()
    if (nodeId === this.#self.nodeId) return { kind: 'connected', heardAtMs: nowMs }
    return this.#links.get(nodeId)?.condition() ?? { kind: 'silent', heardAtMs: Number.NEGATIVE_INFINITY }
  }

  async whoIs(member: Member): Promise<Member | undefined> {
    if (member.channelAddress === this.#self.channelAddress) return undefined
    return await this.#gossip?.identify(channelNameOfMember(member)).catch(() => undefined)
  }

  onCondition(handler: (nodeId: NodeId, condition: PeerCondition) => void): () => void {
    this.#conditionHandlers.add(handler)
    return () => this.#conditionHandlers.delete(handler)
  }

  setBeacon(body: () => Buffer): void {
    this.#beaconBody = body
  }

  onBeacon(handler: (from: Member, body: Buffer, roundTripMs: number) => void): void {
    this.#beaconHandlers.add(handler)
  }

  async start(): Promise<void> {
    const { channelHost, channelPort, forwardPort, identity, clock, log, resolve } = this.#options
    const seeds = new Seeds(this.#options.seeds, clock, log, resolve)
    const host = await resolveHost('channel:host', channelHost, resolve)
    const listenHost = this.#options.listenHost ?? host
    const gossip = new Gossip({
      sockets: this.#sockets,
      seeds,
      clock,
      log,
      listenOn: { host: listenHost, port: channelPort ?? defaultChannelPort },
      advertisedHost: host,
      self: () => this.#self,
      knownAddresses: () => this.#knownAddresses(),
      onChange: () => this.#reconcile(),
    })
    this.#gossip = gossip
    try {
      const forward = await this.#channel.listen({ host: listenHost, port: forwardPort ?? 0 })
      const channel = await gossip.listen()
      this.#self = {
        ...identity,
        channelAddress: formatAddress({ host, port: channel }),
        forwardAddress: formatAddress({ host, port: forward }),
      }
      this.#members = [this.#self]
      await gossip.join()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#scheduleTick(clock.nowMs() + beaconIntervalMs)
  }

  async leave(): Promise<void> {
    await this.#gossip?.leave(leaveMsMax)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#tick?.cancel()
    for (const link of this.#links.values()) link.close()
    await this.#gossip?.stop()
    await this.#channel.close()
  }

  async #answer(from: Member, kind: string, body: Buffer): Promise<Buffer> {
    const handler = this.#callHandlers.get(kind)
    if (handler === undefined) throw new AppError('bad-request', `Nobody handles calls of kind "${kind}".`)
    try {
      return await handler(from, body)
    } catch (error) {
      if (!(error instanceof AppError)) this.#options.log.error('call failed', { kind, error })
      throw error
    }
  }

  async #callSelf(kind: string, body: Buffer): Promise<Buffer> {
    try {
      return await this.#answer(this.#self, kind, body)
    } catch (error) {
      throw error instanceof AppError ? error : new AppError('internal', undefined, { cause: error })
    }
  }

  #scheduleTick(dueAtMs: number): void {
    const { clock } = this.#options
    this.#tick = clock.setTimer(Math.max(0, dueAtMs - clock.nowMs()), () => {
      if (this.#isStopped) return
      const lateMs = clock.nowMs() - dueAtMs
      if (lateMs > stallMs) for (const link of this.#links.values()) link.forgive(lateMs)
      for (const link of this.#links.values()) {
        void this.#sendBeacon(link)
        if (link.isLookedFor) this.#lookFor(link)
        if (link.takeSuspicion()) this.#gossip?.suspect(channelNameOfMember(link.target))
      }
      this.#reconcile()
      this.#scheduleTick(lateMs > stallMs ? clock.nowMs() + beaconIntervalMs : dueAtMs + beaconIntervalMs)
    })
  }

  async #sendBeacon(link: PeerLink): Promise<void> {
    const beacon = await link.beacon()
    if (beacon === undefined || this.#isStopped) return
    for (const handler of this.#beaconHandlers) handler(beacon.from, beacon.body, beacon.roundTripMs)
  }

  /** Finds out who is at the addresses that live, and tells of a change of members. */
  #reconcile(): void {
    if (this.#isStopped || this.#gossip === undefined) return
    const alive = this.#gossip.alive()
    const names = new Set(alive.map(({ name }) => name))
    for (const name of this.#identified.keys()) if (!names.has(name)) this.#identified.delete(name)
    for (const { name, incarnation } of alive) {
      if (this.#identified.get(name)?.incarnation !== incarnation) void this.#identify(name, incarnation)
    }
    const members = new Map<NodeId, Member>([[this.#self.nodeId, this.#self]])
    for (const { member } of this.#identified.values()) {
      const target = this.#links.get(member.nodeId)?.target
      if (target !== undefined && isOneLife(target, member)) members.set(member.nodeId, target)
    }
    this.#setMembers([...members.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1)))
  }

  #setMembers(members: readonly Member[]): void {
    const isSame =
      members.length === this.#members.length &&
      members.every((member, index) => {
        const before = this.#members[index]
        return before !== undefined && isOneLife(before, member)
      })
    if (isSame) return
    this.#members = members
    for (const handler of this.#memberHandlers) handler(members)
  }

  /** Asks who is at an address. Without an incarnation gossip does not know yet that somebody is. */
  async #identify(name: string, incarnation?: number): Promise<void> {
    if (this.#gossip === undefined || this.#identifying.has(name)) return
    this.#identifying.add(name)
    let member: Member
    try {
      member = await this.#gossip.identify(name)
    } catch {
      // Asked again at the next tick, for as long as there is reason to.
      return
    } finally {
      this.#identifying.delete(name)
    }
    if (this.#isStopped || !this.#meet(member) || incarnation === undefined) return
    this.#identified.set(name, { incarnation, member })
    this.#reconcile()
  }

  /** A restarted node may be called at another port now; its gossip port tells, faster than gossip itself. */
  #lookFor(link: PeerLink): void {
    const name = channelNameOfMember(link.target)
    void this.#identify(name, this.#identified.get(name)?.incarnation)
  }

  /** Takes note of a life of a node. False when the id belongs to another process as far as is known. */
  #meet(member: Member): boolean {
    if (member.nodeId === this.#self.nodeId) {
      if (!isOneLife(member, this.#self)) this.#reportDuplicate(this.#self, member)
      return false
    }
    const link = this.#links.get(member.nodeId)
    if (link === undefined) {
      this.#addLink(member)
      return true
    }
    if (isOneLife(link.target, member)) return true
    if (link.condition().kind === 'connected') {
      this.#reportDuplicate(link.target, member)
      return false
    }
    // News of an earlier life travels late.
    if (member.storeId === link.target.storeId && member.boot < link.target.boot) return false
    link.retarget(member)
    return true
  }

  #addLink(member: Member): void {
    if (this.#links.size >= peersMax) this.#dropLongestSilent()
    const link = new PeerLink({
      target: member,
      clock: this.#options.clock,
      dial: (address, onClosed) => this.#channel.dial(address, onClosed),
      isDialedBy: nodeId => this.#channel.isDialedBy(nodeId),
      onMet: met => void this.#meet(met),
      onCondition: (nodeId, condition) => {
        for (const handler of this.#conditionHandlers) handler(nodeId, condition)
      },
    })
    this.#links.set(member.nodeId, link)
  }

  #dropLongestSilent(): void {
    const [silent] = [...this.#links.values()].sort((a, b) => a.heardAtMs - b.heardAtMs)
    if (silent === undefined) return
    silent.close()
    this.#links.delete(silent.nodeId)
  }

  #reportDuplicate(known: Member, other: Member): void {
    const pair = [known, other]
      .map(({ nodeId, storeId, boot, forwardAddress }) => `${nodeId} ${storeId} ${boot} ${forwardAddress}`)
      .join(' / ')
    if (this.#reported.has(pair) || this.#reported.size >= peersMax) return
    this.#reported.add(pair)
    this.#options.log.error('two live processes have one node id', {
      node: known.nodeId,
      known: known.channelAddress,
      other: other.channelAddress,
    })
    this.#options.onDuplicate?.(known, other)
  }

  #knownAddresses(): readonly Address[] {
    return [...this.#links.values()].map(({ target }) => parseAddress(target.channelAddress))
  }
}

function channelNameOfMember({ channelAddress }: Member): string {
  return channelNameOf(parseAddress(channelAddress))
}
