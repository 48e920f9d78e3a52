/**
 * Keeps this node's partitions in the state that the configurations ask for, and changes the configurations when nodes
 * come, go and die.
 *
 * One loop looks at what is known (rows, conditions of the peers, placement) and does the next step of everything that
 * is not as it should be: remove a follower that died, take over from a leader that died, send a copy to a store that
 * should have one, hand a partition over to the node it is placed on. Steps are idempotent, and every change of a row is
 * a compare-and-swap, so that a loop that was wrong about the world changes nothing.
 *
 * Placement (gossip) says where partitions should live; first-hand evidence says who is dead; the rows say who may.
 * Invariant: this node leads a partition only under a row that names it, with a position no member of the row before
 * exceeds. What can go wrong: the rows cannot be read or written. Then nothing is changed: what runs goes on, and
 * partitions that lost their leader or a follower wait.
 *
 * Source: reconfiguration of PacificA (MSR-TR-2008-25, §2.3), with a fresh copy in place of log repair.
 */
import { AppError } from '../errors.js'
import { type NodeId, newId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import {
  allPartitions,
  type CallHandler,
  type ForwardRequest,
  type InboundHandler,
  type Member,
  type PartitionId,
  type Peers,
  place,
  type Ring,
} from '../ring/index.js'
import { type Adoption, adoptionOf, type Orphan } from './adoption.js'
import type { Clock, Timer } from './clock.js'
import type { Committer } from './committer.js'
import {
  type Change,
  type Configuration,
  type Configurations,
  heardMark,
  isHeard,
  isMember,
  type RegisteredNode,
  type StoreId,
} from './configuration.js'
import { Copies, type CopyPosition, decodePage } from './copies.js'
import { NodeTime } from './node-time.js'
import { comparePositions, type PartitionHead } from './position.js'
import { type ConfirmAnswer, type ConfirmQuestion, LeaderReplication } from './replication.js'
import type { RulesOff } from './rules.js'
import type { Runtime } from './runtime.js'
import { adoptedAt, nonceAfter, type SeenRow, SeenRows } from './seen-rows.js'
import { sendSnapshot, snapshotIdBytes } from './snapshots.js'
import type { Store } from './store.js'

export interface ClusterOptions {
  readonly peers: Peers
  readonly configurations: Configurations
  /** Copies of each partition, the leader's included. */
  readonly factor: number
  /** Copies without which a partition acknowledges nothing, the leader's included; 1 by default. */
  readonly copiesMin?: number
  /** Takes the place of the placement: for tests. */
  readonly place?: typeof place
  readonly rulesOff?: RulesOff
  /** Another process is registered as this node: this one has resigned, and should end. */
  readonly onFatal: (error: AppError) => void
  /** Nothing is heard of a node any more. */
  readonly onSilent?: (nodeId: NodeId) => void
  /** Partitions are led by another node, or by another life of the same. */
  readonly onNewLeaders?: (partitions: ReadonlySet<PartitionId>) => void
  /** Resolves with true when nothing that this node has said as a partition's leader is on its way; false: something is. */
  readonly isHeard?: (partition: PartitionId, msMax: number) => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
}

/** Times of the protocol, in ms. */
export const clusterTimes = {
  /** A follower that is silent for so long is removed by its leader. */
  removeAfterMs: 1_000,
  /** A leader that is silent for so long is succeeded by a follower. */
  takeOverAfterMs: 1_500,
  /** What a node that sees fewer than half of all waits before any change, so that the larger side wins. */
  minorityMs: 3_000,
  /** How long a node that starts waits for the members of its rows. */
  startMs: 5_000,
  pollMs: 1_000,
  stepMs: 50,
  callMs: 5_000,
  positionsMs: 500,
  /** A hand-over that cannot drain within so long is given up: no session stands still for long. */
  drainMs: 150,
  /** A partition does not go back to where it came from within so long. */
  restMs: 30_000,
} as const

/** Rows read longer ago may have changed much. */
const rowsOldMs = 3_000
/** All partitions are looked at that often also when nothing seems to have changed. */
const lookAgainMs = 500
/** What does not drain at once when its node leaves is given so long. */
const lastDrainMs = 1_000
/** After a hand-over that failed its partition is left alone for so long. */
const handAgainMs = 1_000
/** While the database is away nobody waits for it at the end. */
const forgetMsMax = 1_000
const copiesAtOnceMax = 16
/** Copies of partitions that have all they need, for another place: sessions come first. */
const movesAtOnceMax = 2
const handOversAtOnceMax = 2
/** Hand-overs of a node that is told to stop, which is not waited for for long. */
const leavesAtOnceMax = 4
const forwardMsMax = 10_000
const failedStepMs = 250
const retryMsMin = 10
const retryMsMax = 200

/** What a request waits out: its partition has no leader for a moment. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'timeout', 'draining'])

type WantedChange = Omit<Change, 'nonce'>

/** A node that leaves hands over what it leads, and waits for nobody who has died meanwhile. */
type State = 'starting' | 'running' | 'leaving' | 'stopping'

export interface PartitionStatus {
  readonly partition: PartitionId
  readonly epoch: number
  readonly owner: NodeId | null
  readonly replicas: readonly (NodeId | null)[]
  readonly serving: boolean
  readonly seq: number
  /** Commits that the slowest follower lacks. */
  readonly lag: number
}

export class Cluster implements Ring {
  readonly self: NodeId
  readonly replication: LeaderReplication
  readonly time: NodeTime
  readonly #options: ClusterOptions
  readonly #store: StoreId
  #runtime: Runtime | undefined
  #copies: Copies | undefined
  #disk: Store | undefined
  #inbound: InboundHandler | undefined
  #state: State = 'starting'
  /** This process is the one that the registry names. */
  #isRegistered = false
  readonly #rows = new Map<PartitionId, Configuration>()
  /** The last life of each store that was heard: what an earlier one says does not count any more. */
  readonly #boots = new Map<string, number>()
  /** Every node that is or was registered, by store. */
  readonly #nodes = new Map<StoreId, RegisteredNode>()
  #registered: readonly RegisteredNode[] = []
  /** Swaps whose answer was lost: until the rows are read again, nothing is changed. */
  #mustRead = true
  #readAtMs = Number.NEGATIVE_INFINITY
  #minoritySinceMs: number | undefined
  #startedAtMs = 0
  readonly #copying = new Map<string, Promise<void>>()
  readonly #handing = new Set<PartitionId>()
  /** Followers that hold something else than this leader, by partition and store: to be removed. */
  readonly #diverged = new Set<string>()
  /** The newest rows this store has seen, and which of them the database does not show any more. */
  #seenRows: SeenRows | undefined
  /** Partitions whose hand-over failed a moment ago. */
  readonly #handAgainAtMs = new Map<PartitionId, number>()
  readonly #silent = new Set<NodeId>()
  /** Who led a partition before, and until when. */
  readonly #before = new Map<PartitionId, { readonly owner: StoreId; readonly untilMs: number }>()
  readonly #leading = new Set<PartitionId>()
  /** Partitions of this node's whose row names fewer stores than it must, since when. */
  readonly #fewSinceMs = new Map<PartitionId, number>()
  /** The life of the store that leads each partition, as far as known. */
  readonly #lives = new Map<PartitionId, string>()
  /**
   * Changes asked for whose outcome is not known: under way, or unanswered. A later row shows that they are over, and
   * only that: an unanswered statement may be carried out after the rows were read.
   */
  readonly #swapping = new Map<
    PartitionId,
    { readonly isUnderWay: boolean; readonly replicas: ReadonlySet<StoreId> }
  >()
  #timer: Timer | undefined
  #step: Promise<void> | undefined
  #isWanted = false
  #isFailing = false
  /** When all partitions were looked at last, and what was known of the nodes then. */
  #looked = { evidence: '', atMs: Number.NEGATIVE_INFINITY }
  /** Where partitions should live among these members: computed anew only when they change. */
  #placed: { readonly names: string; readonly placement: readonly (readonly NodeId[])[] } | undefined
  #routeWaiters: (() => void)[] = []
  readonly #stop: (() => void)[] = []

  constructor(options: ClusterOptions) {
    this.#options = options
    this.self = options.peers.self.nodeId
    this.#store = options.peers.self.storeId as StoreId
    this.replication = new LeaderReplication({
      clock: options.clock,
      rulesOff: options.rulesOff,
      log: options.log.child('replication'),
      committer: () => this.#committer,
      call: (to, kind, body) => this.#call(to, kind, body),
      outdated: () => {
        this.#mustRead = true
        this.#wake()
      },
      diverged: (partition, store) => {
        // Each of its answers says so again, until a row without it is known.
        const id = `${partition} ${store}`
        if (this.#diverged.has(id)) return
        this.#diverged.add(id)
        options.log.error('copy.diverged', { partition, store })
        this.#wake()
      },
      mayName: (partition, store) => this.#mayName(partition, store),
      fewSinceMs: partition => this.#fewSinceMs.get(partition),
      isConnected: store => this.#isConnected(store),
      isIsolated: () => this.#isIsolated(),
    })
    const { peers } = options
    this.time = new NodeTime({
      peers,
      clock: options.clock,
      log: options.log.child('time'),
      isOff: options.rulesOff?.nodeTime === true,
    })
    this.#onCall('append', (from, body) => this.#held.append(from.storeId, body))
    this.#onCall('confirm', (from, body) => this.#confirm(from, body))
    this.#onCall('positions', (_from, body) => this.#positions(body))
    this.#onCall('snapshot-begin', async (from, body) => {
      const { partition, asked, epoch } = JSON.parse(body.toString()) as {
        partition: PartitionId
        asked: string
        epoch: number
      }
      return Buffer.from(await this.#held.beginSnapshot(partition, asked, from.storeId, epoch))
    })
    this.#onCall('snapshot-page', async (_from, body) => {
      const id = body.toString('utf8', 2, 2 + snapshotIdBytes)
      const entries = decodePage(body.subarray(2 + snapshotIdBytes))
      await this.#held.takePage(body.readUInt16BE(0) as PartitionId, id, entries)
      return empty
    })
    this.#onCall('snapshot-end', async (from, body) => {
      const { partition, id, position } = JSON.parse(body.toString()) as {
        partition: PartitionId
        id: string
        position: Omit<PartitionHead, 'generation'>
      }
      await this.#held.endSnapshot(partition, id, from.storeId, position)
      return empty
    })
    peers.onCall('rows-wanted', () => this.#told([...this.#rows.values()], this.#seenRows?.all() ?? []))
    peers.onCall('rows', (_from, body) => {
      this.#hear(body)
      return empty
    })
    peers.onCall('send', async (_from, body) => {
      const request = JSON.parse(body.toString()) as ForwardRequest
      if (!this.#inbound || !this.#runtime?.serves(request.partition)) throw new AppError('unavailable')
      return Buffer.from(JSON.stringify((await this.#inbound(request)) ?? null))
    })
  }

  /** Handles what is meant for this store: a message for the one that was here before is not for this one. */
  #onCall(kind: string, handler: CallHandler): void {
    this.#options.peers.onCall(kind, async (from, body) => {
      const start = 1 + body.readUInt8(0)
      const isMine = body.toString('utf8', 1, start) === this.#store
      if (!isMine && !this.#options.rulesOff?.storeIdentity) throw new AppError('conflict')
      if (from.boot < (this.#boots.get(from.storeId) ?? 0)) throw new AppError('conflict')
      this.#boots.set(from.storeId, from.boot)
      return await handler(from, body.subarray(start))
    })
  }

  get #committer(): Committer {
    if (!this.#runtime) throw new AppError('unavailable')
    return this.#runtime.committer
  }

  get #held(): Copies {
    if (!this.#copies) throw new AppError('unavailable')
    return this.#copies
  }

  get #seen(): SeenRows {
    if (!this.#seenRows) throw new AppError('unavailable')
    return this.#seenRows
  }

  #isSetBack(partition: PartitionId): boolean {
    return this.#seenRows?.isSetBack(partition) ?? false
  }

  /** Registers this node, founds the cluster if there is none, and leads what is this node's by its rows. */
  async open(runtime: Runtime, store: Store): Promise<void> {
    const { clock, log, peers } = this.#options
    this.#runtime = runtime
    this.#disk = store
    const copies = new Copies({
      store,
      committer: runtime.committer,
      log: log.child('copies'),
      rulesOff: this.#options.rulesOff,
      accepts: (partition, from, epoch) => this.#accepts(partition, from, epoch),
    })
    const heads = await runtime.committer.readHeads(allPartitions())
    copies.load(heads)
    copies.sweep().catch((error: unknown) => log.warn('copy.leftovers-not-removed', { error }))
    if ((await store.noted('superseded')) !== undefined) throw new AppError('conflict', supersededMessage)
    await this.#checkCluster(store, heads)
    await peers.start()
    const { boot, channelAddress, forwardAddress, nodeId } = peers.self
    const node = { nodeId, storeId: this.#store, boot, channelAddress, forwardAddress }
    await this.#refuseDuplicate(node)
    const epochs = new Map([...heads].map(([partition, head]) => [partition, head.epoch + 1]))
    const clusterId = await this.#register(node, epochs)
    this.#isRegistered = true
    await store.note('cluster', clusterId)
    const seen = new SeenRows(store)
    await seen.load(clusterId)
    this.#seenRows = seen
    // Nothing is taken before the store says whose it is, or a crash would leave entities of an unknown cluster.
    this.#copies = copies
    this.#startedAtMs = clock.nowMs()
    this.#stop.push(peers.onCondition(() => this.#wake()))
    this.#stop.push(peers.onMembers(() => this.#wake()))
    // Asked twice: what may wait for less than this start must not end it.
    await this.#read().catch(() => this.#read())
    // Nothing is led before this node knows what time it is.
    const isTimed = this.time.settle(() => this.#others(), clusterTimes.startMs).then(() => this.#askRows())
    await this.#claim(isTimed)
    await isTimed
    this.#state = 'running'
    this.#again(0)
  }

  /**
   * Registers this process life. A directory that was refused as an old copy stays refused: each start counts its boot
   * on, and would pass for the newest in the end.
   */
  async #register(node: RegisteredNode, epochs: ReadonlyMap<PartitionId, number>): Promise<string> {
    const clusterId = await this.#options.configurations.register(node, epochs)
    if (clusterId !== null) return clusterId
    await this.#disk?.note('superseded', String(node.boot))
    throw new AppError('conflict', supersededMessage)
  }

  /**
   * A copy of a living node's directory must not take its place. Only the process that has the original open can answer
   * under its store id, so this directory is the copy, now and at every later start.
   */
  async #refuseDuplicate({ boot, nodeId, storeId }: RegisteredNode): Promise<void> {
    const { configurations, peers } = this.#options
    const known = (await configurations.nodes()).find(
      node => node.nodeId === nodeId || node.storeId === storeId,
    )
    const other = known && (await peers.whoIs(known))
    if (!other || (other.nodeId !== nodeId && other.storeId !== storeId)) return
    if (other.storeId === storeId && other.boot === boot) return
    if (other.storeId === storeId) await this.#disk?.note('superseded', String(other.boot))
    throw new AppError('conflict', duplicateMessage(other.channelAddress))
  }

  /** The registry names another process as this node, a copy that could not find it: one of the two must end. */
  #refuseOutlived(nodes: readonly RegisteredNode[]): void {
    const { boot } = this.#options.peers.self
    const current = nodes.find(node => node.nodeId === this.self)
    // With an older life there the database was set back.
    if (!current || (current.storeId === this.#store && current.boot <= boot)) return
    const error = new AppError('conflict', duplicateMessage(current.channelAddress))
    const wasRunning = this.#isLooping
    this.#state = 'stopping'
    this.#timer?.cancel()
    const led = new Set(this.#led())
    if (led.size > 0) this.#resign(led)
    this.#options.log.error('node.outlived', { by: current.channelAddress, boot: current.boot })
    // One that is only starting fails to.
    if (wasRunning) this.#options.onFatal(error)
    throw error
  }

  /**
   * Entities of another cluster, or of a node alone, must not be taken for copies of this one's, or overwritten. Those of
   * a node alone may found a cluster; those of a cluster found no other one, because a database was mistyped or lost.
   */
  async #checkCluster(store: Store, heads: ReadonlyMap<PartitionId, PartitionHead>): Promise<void> {
    const mine = await store.noted('cluster')
    const theirs = await this.#options.configurations.cluster()
    const holds = [...heads.values()].some(head => head.seq > 0)
    if (mine === theirs || !holds || (mine === undefined && theirs === null)) return
    if (mine === undefined) {
      // It has founded this cluster, or joined it, and ended before it could note that.
      const nodes = await this.#options.configurations.nodes()
      if (nodes.some(node => node.storeId === this.#store)) return
    }
    throw new AppError(
      'conflict',
      `This data directory holds entities that do not belong to the cluster of this database${theirs === null ? ', which has none yet' : ''}. If \`database:url\` is right, start with an empty directory and bring them over with \`interval-server state export\` and \`state import\`.`,
    )
  }

  // --- Ring ---

  members(): readonly NodeId[] {
    return this.#options.peers.members().map(member => member.nodeId)
  }

  ownerOf(partition: PartitionId): NodeId {
    const owner = this.#rows.get(partition)?.owner
    return (owner && this.#nodes.get(owner)?.nodeId) || this.self
  }

  onInbound(handler: InboundHandler): void {
    this.#inbound = handler
  }

  async start(): Promise<void> {}

  /** Brings a request to the leader, wherever it is meanwhile, until the deadline. Repeats are recognised by entities. */
  async forward(request: ForwardRequest): Promise<unknown> {
    const { clock, peers } = this.#options
    const sinceMs = clock.nowMs()
    const untilMs = sinceMs + (request.deadlineMs ?? forwardMsMax)
    const body = Buffer.from(JSON.stringify(request))
    for (let delayMs = retryMsMin; ; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      const leftMs = untilMs - clock.nowMs()
      if (leftMs <= 0) throw new AppError('unavailable')
      const owner = this.ownerOf(request.partition)
      if (request.isRefusable && this.#isUnreachable(owner, sinceMs)) {
        throw new AppError(this.#isIsolated() ? 'isolated' : 'copies-away')
      }
      try {
        if (owner === this.self) {
          if (this.#inbound && this.#runtime?.serves(request.partition)) return await this.#inbound(request)
        } else {
          const reply = await peers.call(owner, 'send', body, Math.min(leftMs, clusterTimes.callMs))
          return JSON.parse(reply.toString()) as unknown
        }
      } catch (error) {
        const passes = error instanceof AppError && passing.has(error.code)
        if (!passes) throw error
      }
      await this.#routeChange(Math.min(delayMs, leftMs))
    }
  }

  /** True when a leader has been away for so long that those who need not wait for it should not. */
  #isUnreachable(owner: NodeId, askedSinceMs: number): boolean {
    const { clock, peers } = this.#options
    const longAgoMs = clock.nowMs() - limits.copiesAwayMsMax
    if (owner === this.self) return askedSinceMs <= longAgoMs
    const condition = peers.condition(owner)
    if (condition.kind === 'connected') return false
    const awaySinceMs = condition.kind === 'refused' ? condition.sinceMs : condition.heardAtMs
    return Math.max(awaySinceMs, this.#startedAtMs) <= longAgoMs || askedSinceMs <= longAgoMs
  }

  /** Gives up what this node leads, then leaves. */
  async stop(): Promise<void> {
    this.#state = 'stopping'
    this.#timer?.cancel()
    for (const stop of this.#stop) stop()
    await this.#step
    await this.#options.peers.stop()
  }

  /** Hands everything this node leads over to its followers, `deadlineMs` at most, and tells the others that it goes. */
  async leave(deadlineMs: number): Promise<void> {
    const { clock, peers } = this.#options
    if (this.#state !== 'running') return
    this.#state = 'leaving'
    const untilMs = clock.nowMs() + deadlineMs
    await peers.leave().catch(() => undefined)
    const placement = this.#placement(nodeId => nodeId !== this.self)
    const tried = new Set<PartitionId>()
    const stores = this.#storesByNode()
    const waiting = this.#led().filter(partition => this.replication.following(partition).length > 0)
    const worker = async () => {
      for (let next = waiting.pop(); next !== undefined && clock.nowMs() < untilMs; next = waiting.pop()) {
        const following = this.replication.following(next).filter(store => this.#isConnected(store))
        const [wanted] = this.#wanted(placement, stores, next)
        const to = wanted && following.includes(wanted) ? wanted : following[0]
        // What does not drain at once is given longer: this node does not stay.
        const drainMs = tried.has(next) ? lastDrainMs : clusterTimes.drainMs
        if (to && !this.#handing.has(next)) await this.#handOver(next, to, drainMs).catch(() => undefined)
        if (!this.#committer.leads(next)) continue
        // It could not drain, or the rows could not be changed: perhaps in a moment.
        waiting.unshift(next)
        tried.add(next)
        await pause(clock, clusterTimes.stepMs)
      }
    }
    await Promise.all(Array.from({ length: leavesAtOnceMax }, worker))
    const kept = this.#led().length
    this.#options.log.info('cluster.left', { kept, ms: Math.round(clock.nowMs() - untilMs + deadlineMs) })
  }

  /** Takes this node out of those who count for a majority: it has left. That its store was here stays known. */
  async forget(): Promise<void> {
    if (!this.#isRegistered) return
    const { clock, configurations } = this.#options
    await new Promise<void>(resolve => {
      const timer = clock.setTimer(forgetMsMax, resolve)
      const done = () => {
        timer.cancel()
        resolve()
      }
      const { boot, nodeId } = this.#options.peers.self
      configurations.forget({ nodeId, storeId: this.#store, boot }).then(done, done)
    })
  }

  status(): PartitionStatus[] {
    const nodeOf = (store: StoreId) => this.#nodes.get(store)?.nodeId ?? null
    return [...this.#rows.values()]
      .sort((a, b) => a.partition - b.partition)
      .map(({ partition, epoch, owner, replicas }) => ({
        partition,
        epoch,
        owner: nodeOf(owner),
        replicas: replicas.map(nodeOf),
        serving: this.#runtime?.serves(partition) ?? false,
        seq: this.#held.position(partition).seq,
        lag: Math.max(0, ...replicas.map(store => this.replication.lag(partition, store))),
      }))
  }

  /** Why no work should be sent here. */
  notReady(): string[] {
    if (this.#state !== 'running') return [this.#state === 'starting' ? 'starting' : 'draining']
    return this.#isIsolated() ? ['isolated'] : []
  }

  /** True while this node sees too few of the others, unless it has become the one that serves what they did. */
  #isIsolated(): boolean {
    if (this.#minoritySinceMs === undefined) return false
    const { clock } = this.#options
    const isCurrent = clock.nowMs() - this.#readAtMs < rowsOldMs
    return !isCurrent || ![...this.#rows.values()].every(row => this.#isServed(row))
  }

  #isServed({ owner, partition }: Configuration): boolean {
    return owner === this.#store ? this.#committer.leads(partition) : this.#isConnected(owner)
  }

  /** Partitions led here whose writes are refused, since those who must have them do not answer. */
  get refusing(): number {
    return this.#led().filter(partition => this.replication.refusal(partition) !== undefined).length
  }

  /** False when a newer leader of the partition is known than `from` under `epoch`. */
  accepts(partition: PartitionId, from: string, epoch: number): boolean {
    return this.#accepts(partition, from, epoch).ok
  }

  // --- what the others ask ---

  #accepts(partition: PartitionId, from: string, epoch: number): { ok: boolean; epoch: number } {
    const row = this.#rows.get(partition)
    const promised = this.#held.head(partition).epoch
    const known = Math.max(row?.epoch ?? 0, promised)
    // Also of one that leads by old rows: what this copy holds may be all there is of what came after them.
    if (this.#leading.has(partition) || this.#isSetBack(partition)) return { ok: false, epoch: known }
    if (this.#options.rulesOff?.epochs) return { ok: true, epoch: known }
    const isLeader = row === undefined || row.owner === from
    // What this store has promised an epoch, it remembers across its restarts, also before it has read any row.
    const ok = isLeader ? epoch >= promised : epoch > known
    if (ok && !isLeader) {
      // It has succeeded somebody, perhaps this node, by a row that is not known here yet.
      this.#mustRead = true
      this.#wake()
    }
    return { ok, epoch: known }
  }

  /** Whether a newer leader than the asking one is known, and where this copy stands when that is asked. */
  async #confirm(from: Member, body: Buffer): Promise<Buffer> {
    const questions = JSON.parse(body.toString()) as ConfirmQuestion[]
    const answers: ConfirmAnswer[] = []
    for (const [partition, epoch, isPositionWanted] of questions) {
      if (isPositionWanted) await this.#held.settled([partition])
      if (!this.#accepts(partition, from.storeId, epoch).ok) answers.push({ partition, newer: true })
      else if (isPositionWanted) {
        const { chain, seq } = this.#held.position(partition)
        answers.push({ partition, seq, chain })
      } else answers.push({ partition })
    }
    return Buffer.from(JSON.stringify(answers))
  }

  async #positions(body: Buffer): Promise<Buffer> {
    const partitions = JSON.parse(body.toString()) as PartitionId[]
    await this.#held.settled(partitions)
    return Buffer.from(JSON.stringify(partitions.map(partition => this.#position(partition))))
  }

  #position(partition: PartitionId): CopyPosition {
    const seen = this.#seen.epoch(partition)
    const promised = this.#held.head(partition).epoch
    const seenEpoch = Math.max(seen, promised)
    return {
      ...this.#held.position(partition),
      seenEpoch,
      ...(promised > seen && { promisedEpoch: promised }),
    }
  }

  async #askPositions(store: StoreId, partitions: readonly PartitionId[]): Promise<CopyPosition[]> {
    const body = Buffer.from(JSON.stringify(partitions))
    const answer = await this.#call(store, 'positions', body, clusterTimes.positionsMs)
    return JSON.parse(answer.toString()) as CopyPosition[]
  }

  async #call(
    to: StoreId,
    kind: string,
    body: Buffer,
    deadlineMs: number = clusterTimes.callMs,
  ): Promise<Buffer> {
    const node = this.#nodes.get(to)
    if (!node || this.#isReplaced(to)) throw new AppError('unavailable')
    const target = Buffer.from(to)
    const message = Buffer.concat([Buffer.of(target.length), target, body])
    return await this.#options.peers.call(node.nodeId, kind, message, deadlineMs)
  }

  // --- rows ---

  async #read(): Promise<void> {
    const { clock, configurations, peers } = this.#options
    // What was seen before the question can only be outdone by an honest answer.
    const before = this.#seen.all()
    const [rows, nodes] = [await configurations.read(), await configurations.nodes()]
    this.#refuseOutlived(nodes)
    this.#compare(rows, before)
    this.#registered = nodes
    for (const node of nodes) this.#nodes.set(node.storeId, node)
    peers.learn(nodes.filter(node => node.nodeId !== this.self))
    this.#readAtMs = clock.nowMs()
    this.#mustRead = false
    this.#learn(rows)
    // Who leads is known already, but perhaps not that it is in another life.
    this.#noticeLeaders([...this.#rows.values()])
  }

  /**
   * Rows that are older than what this node has seen: the database was set back, by a restore or a standby that lagged.
   * Nobody can say who else has changed what, so those partitions stop until an operator has looked.
   */
  #compare(rows: readonly Configuration[], before: readonly SeenRow[]): void {
    if (this.#options.rulesOff?.setBack) return
    const found = new Set(this.#seen.compare(rows, before))
    if (this.#seen.setBackCount > 0) {
      // Again at each look: whoever comes back, or could not be reached before, knows nothing else than the rows as they are.
      const known = [...found].flatMap(partition => this.#rows.get(partition) ?? [])
      this.#tell(known, this.#seen.lost())
    }
    if (found.size === 0) return
    this.#options.log.error('configurations.set-back', { partitions: found.size })
    const led = new Set([...found].filter(partition => this.#committer.leads(partition)))
    if (led.size > 0) this.#resign(led)
  }

  /** Others may have seen newer rows than the database shows: then it was set back, and this node leads none of those. */
  async #askRows(): Promise<void> {
    const { peers, rulesOff } = this.#options
    if (rulesOff?.setBack) return
    const connected = this.#others().filter(id => peers.condition(id).kind === 'connected')
    const answers = await Promise.all(
      connected.map(id =>
        peers.call(id, 'rows-wanted', empty, clusterTimes.positionsMs).catch(() => undefined),
      ),
    )
    for (const answer of answers) if (answer) this.#hear(answer)
    // Rows that have changed since they were read here are no evidence: only a later look is.
    this.#mustRead = true
    await this.#read().catch(() => undefined)
  }

  #told(rows: readonly Configuration[], seen: readonly SeenRow[]): Buffer {
    return Buffer.from(JSON.stringify({ rows, seen }))
  }

  #hear(body: Buffer): void {
    const { rows, seen } = JSON.parse(body.toString()) as {
      rows: readonly Configuration[]
      seen: readonly SeenRow[]
    }
    this.#learn(rows)
    if (this.#options.rulesOff?.setBack) return
    for (const row of seen) {
      if (row[1] <= (this.#seenRows?.epoch(row[0]) ?? 0)) continue
      this.#seenRows?.see(row)
      this.#mustRead = true
    }
    if (this.#mustRead) this.#wake()
  }

  /** Partitions whose rows in the database are older than what this node has seen. */
  get rewound(): number {
    return this.#seenRows?.setBackCount ?? 0
  }

  /**
   * What an operator has to decide: partitions whose members are all gone, and those whose rows were set back. With
   * `isDecided` they go on with the highest copies that can be reached. A partition of which a member answers is left.
   */
  async adopt(isDecided: boolean): Promise<readonly Adoption[]> {
    if (this.#state !== 'running') throw new AppError('unavailable', 'This node is starting or stopping.')
    await this.#read()
    const isGone = (store: StoreId) =>
      store !== this.#store && this.#isDead(store, clusterTimes.takeOverAfterMs)
    const orphans: Orphan[] = []
    for (const row of this.#rows.values()) {
      const databaseEpoch = this.#seen.databaseEpoch(row.partition)
      if (databaseEpoch === undefined && ![row.owner, ...row.replicas].every(isGone)) continue
      const isOwnerAlive = row.owner === this.#store || this.#isConnected(row.owner)
      const seenEpoch = this.#seen.epoch(row.partition)
      orphans.push({ row, databaseEpoch: databaseEpoch ?? row.epoch, seenEpoch, isOwnerAlive })
    }
    if (orphans.length === 0) return []
    const partitions = orphans.map(orphan => orphan.row.partition)
    const positions = new Map<StoreId, Map<PartitionId, CopyPosition>>()
    for (const store of [this.#store, ...this.#nodes.keys()]) {
      if (positions.has(store) || (store !== this.#store && !this.#isConnected(store))) continue
      const answer =
        store === this.#store
          ? partitions.map(partition => this.#position(partition))
          : await this.#askPositions(store, partitions)
      positions.set(store, new Map(answer.map(position => [position.partition, position])))
    }
    const adoptions = orphans.flatMap(orphan => {
      const known = [...positions].flatMap(([store, byPartition]) => {
        const position = byPartition.get(orphan.row.partition)
        return position ? [[store, position] as const] : []
      })
      return adoptionOf(orphan, new Map(known), this.#options.factor) ?? []
    })
    if (!isDecided) return adoptions
    const id = newId<string>()
    const changes = adoptions.map(({ epoch, fromEpoch, owner, partition, replicas }) => ({
      ...{ epoch, fromEpoch, owner, partition, replicas },
      nonce: nonceAfter(id, epoch),
    }))
    const rows = await this.#options.configurations.swap(changes)
    this.#mustRead = true
    const mine = rows.filter(row => row.nonce.startsWith(id))
    this.#learn(mine)
    this.#tell(mine)
    this.#options.log.warn('partitions.adopted', { count: mine.length })
    const adopted = new Set(mine.map(row => row.partition))
    return adoptions.filter(adoption => adopted.has(adoption.partition))
  }

  /** `heard`: partitions whose leader before has said all it had to say. */
  #noticeLeaders(rows: readonly Configuration[], heard: ReadonlySet<PartitionId> = new Set()): void {
    const changed = new Set<PartitionId>()
    for (const { owner, partition } of rows) {
      const life = `${owner} ${this.#nodes.get(owner)?.boot}`
      const known = this.#lives.get(partition)
      if (known === life) continue
      this.#lives.set(partition, life)
      if (known !== undefined && !heard.has(partition)) changed.add(partition)
    }
    if (changed.size > 0) this.#options.onNewLeaders?.(changed)
  }

  #learn(rows: readonly Configuration[]): void {
    const lost = new Set<PartitionId>()
    const heard = new Set<PartitionId>()
    let changed = false
    for (const row of rows) {
      this.#seenRows?.see([row.partition, row.epoch, row.nonce])
      const known = this.#rows.get(row.partition)
      if (known && known.epoch >= row.epoch) continue
      if (known?.epoch === row.epoch - 1 && isHeard(row)) heard.add(row.partition)
      this.#rows.set(row.partition, row)
      changed = true
      this.#swapping.delete(row.partition)
      if (![row.owner, ...row.replicas].every(store => this.#nodes.has(store))) this.#mustRead = true
      if (known && known.owner !== row.owner) {
        this.#before.set(row.partition, { owner: known.owner, untilMs: this.#options.clock.nowMs() })
      }
      if (row.owner !== this.#store && this.#committer.leads(row.partition)) lost.add(row.partition)
    }
    if (lost.size > 0) this.#resign(lost)
    if (!changed) return
    // A failing disk ends the process by itself. Each node that sees a row notes it at once: a database that is set back
    // is noticed by any of them.
    this.#seenRows?.save().catch(() => undefined)
    for (const { partition } of rows) this.#countCopies(partition)
    // At once, and not when the loop comes round to it: messages wait for a new leader.
    if (this.#state === 'running') {
      this.#leadOwn().catch((error: unknown) => this.#options.log.warn('partitions.not-led', { error }))
    }
    this.#noticeLeaders(
      rows.map(row => this.#rows.get(row.partition) ?? row),
      heard,
    )
    const waiters = this.#routeWaiters
    this.#routeWaiters = []
    for (const wake of waiters) wake()
    this.#wake()
  }

  /** With fewer copies than there must be nothing is acknowledged; with enough, what has waited is. */
  #countCopies(partition: PartitionId): void {
    const { clock, copiesMin = 1 } = this.#options
    const row = this.#rows.get(partition)
    if (row?.owner === this.#store && 1 + row.replicas.length < copiesMin) {
      if (!this.#fewSinceMs.has(partition)) this.#fewSinceMs.set(partition, clock.nowMs())
    } else if (this.#fewSinceMs.delete(partition)) this.#committer.acked(partition)
  }

  #resign(partitions: ReadonlySet<PartitionId>): void {
    this.#options.log.info('partitions.resigned', { count: partitions.size })
    for (const partition of partitions) {
      // What is not on every follower is not part of the history that goes on: this copy is compared before it counts.
      this.#held.set(partition, this.#committer.writtenHead(partition))
      const onItsWay = this.#committer.writingHead(partition)
      if (onItsWay) {
        this.#held.expect(
          partition,
          onItsWay,
          this.#committer.between(() => undefined),
        )
      }
      this.replication.resign(partition)
    }
    this.#runtime?.resign(partitions)
  }

  /**
   * Swaps rows, learns what they are now and tells the others. Rejects when that is unknown. Rows that are being swapped
   * already are left as they are: one change at a time.
   */
  async #swap(wanted: readonly WantedChange[], mark = ''): Promise<Configuration[]> {
    const changes = wanted.filter(({ epoch, fromEpoch = epoch - 1, partition }) => {
      const change = this.#swapping.get(partition)
      return !change?.isUnderWay && this.#rows.get(partition)?.epoch === fromEpoch
    })
    if (changes.length === 0) return []
    const id = mark + newId<string>()
    for (const { partition, replicas } of changes) {
      const members = new Set([...replicas, ...(this.#swapping.get(partition)?.replicas ?? [])])
      this.#swapping.set(partition, { isUnderWay: true, replicas: members })
    }
    let rows: readonly Configuration[]
    try {
      rows = await this.#options.configurations.swap(
        changes.map(change => {
          const row = this.#rows.get(change.partition)
          return { ...change, nonce: nonceAfter(id, row ? adoptedAt(row) : 0) }
        }),
      )
    } catch (error) {
      // It may have come through, or may still do so.
      for (const { partition } of changes) {
        const change = this.#swapping.get(partition)
        if (change) this.#swapping.set(partition, { ...change, isUnderWay: false })
      }
      this.#mustRead = true
      // What it was for is looked at again as soon as the rows are read.
      this.#isWanted = true
      this.#options.log.warn('configuration.not-changed', {
        error: error instanceof Error ? error.message : error,
      })
      throw error
    }
    this.#learn(rows)
    const mine = rows.filter(row => row.nonce.startsWith(id))
    if (mine.length > 0) this.#tell(mine)
    return mine
  }

  /** True when the row names a store, or may do so by a change of which nothing was heard: such a one is waited for. */
  #mayName(partition: PartitionId, store: StoreId): boolean {
    const row = this.#rows.get(partition)
    return (
      row === undefined || isMember(row, store) || this.#swapping.get(partition)?.replicas.has(store) === true
    )
  }

  #tell(rows: readonly Configuration[], seen: readonly SeenRow[] = []): void {
    const body = this.#told(rows, seen)
    for (const { nodeId } of this.#options.peers.members()) {
      if (nodeId === this.self) continue
      this.#options.peers.call(nodeId, 'rows', body, clusterTimes.callMs).catch(() => undefined)
    }
  }

  async #routeChange(waitMs: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.setTimer(waitMs, resolve)
      this.#routeWaiters.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  // --- evidence ---

  /** Its node has another store now: wiped, or restored from a copy. This one will never be heard of again. */
  #isReplaced(store: StoreId): boolean {
    if (this.#options.rulesOff?.storeIdentity) return false
    const node = this.#nodes.get(store)
    const current = this.#registered.find(({ nodeId }) => nodeId === node?.nodeId)
    return node !== undefined && current !== undefined && current.storeId !== store
  }

  #isConnected(store: StoreId): boolean {
    const node = this.#nodes.get(store)
    if (this.#isReplaced(store)) return false
    return node !== undefined && this.#options.peers.condition(node.nodeId).kind === 'connected'
  }

  /** Refused, or silent for `silentMs`. A life that is registered anew is another one: its store may lack something. */
  #isDead(store: StoreId, silentMs: number): boolean {
    const { clock, peers } = this.#options
    const node = this.#nodes.get(store)
    if (!node) return clock.nowMs() - this.#startedAtMs > silentMs
    if (this.#isReplaced(store)) return true
    const condition = peers.condition(node.nodeId)
    if (condition.kind === 'connected') return false
    if (condition.kind === 'refused') return true
    return clock.nowMs() - Math.max(condition.heardAtMs, this.#startedAtMs) > silentMs
  }

  /** Whether this node sees at least half of all, also while the rows cannot be read. */
  #countSeen(): void {
    const seen = this.#registered.filter(
      node => node.nodeId === this.self || this.#isConnected(node.storeId),
    ).length
    if (seen * 2 >= this.#registered.length) this.#minoritySinceMs = undefined
    else this.#minoritySinceMs ??= this.#options.clock.nowMs()
  }

  /** True when this node may change rows: it sees at least half of all, or has waited for the larger side. */
  #mayChange(): boolean {
    this.#countSeen()
    const sinceMs = this.#minoritySinceMs
    return sinceMs === undefined || this.#options.clock.nowMs() - sinceMs > clusterTimes.minorityMs
  }

  // --- the loop ---

  get #isLooping(): boolean {
    return this.#state === 'running' || this.#state === 'leaving'
  }

  #wake(): void {
    this.#isWanted = true
    if (this.#isLooping && !this.#step) this.#again(0)
  }

  #again(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined
      if (this.#step || !this.#isLooping) return
      const isWanted = this.#isWanted
      this.#isWanted = false
      this.#step = this.#reconcile(isWanted)
        .then(
          () => {
            this.#isFailing = false
            return this.#isWanted ? 0 : clusterTimes.stepMs
          },
          (error: unknown) => {
            // Said once: while the rows cannot be read or written, each further step fails as well.
            if (!this.#isFailing) this.#options.log.warn('cluster.step-failed', { error })
            this.#isFailing = true
            return failedStepMs
          },
        )
        .then(delayMs => {
          this.#step = undefined
          if (this.#isLooping) this.#again(delayMs)
        })
    })
  }

  async #reconcile(isWanted: boolean): Promise<void> {
    const { clock } = this.#options
    this.#reportSilent()
    this.#countSeen()
    if (this.#mustRead || clock.nowMs() - this.#readAtMs >= clusterTimes.pollMs) await this.#read()
    if (!isWanted && !this.#isWanted && this.#isAsBefore()) return
    await this.#leadOwn()
    if (!this.#mayChange()) return
    await this.#removeDead()
    if (this.#state !== 'running') return
    await this.#takeOver()
    this.#copyWhereMissing()
    this.#moveToPlace()
  }

  /** Nothing is under way, and nobody has fallen silent since the last look: no partition needs to be looked at yet. */
  #isAsBefore(): boolean {
    const nowMs = this.#options.clock.nowMs()
    const silences = this.#registered.map(({ storeId }) =>
      [clusterTimes.removeAfterMs, clusterTimes.takeOverAfterMs].map(ms => this.#isDead(storeId, ms)),
    )
    const evidence = `${this.#mayChange()} ${silences}`
    // A change that was not answered may stay so for ever: what comes of it is seen in the row.
    const isSwapping = [...this.#swapping.values()].some(change => change.isUnderWay)
    const isBusy = isSwapping || this.#copying.size + this.#handing.size + this.#leading.size > 0
    const { atMs } = this.#looked
    if (!isBusy && evidence === this.#looked.evidence && nowMs - atMs < lookAgainMs) return true
    this.#looked = { evidence, atMs: nowMs }
    return false
  }

  /** Nodes that nothing is heard of any more, told once for each silence. */
  #reportSilent(): void {
    for (const node of this.#registered) {
      if (node.nodeId === this.self) continue
      if (!this.#isDead(node.storeId, clusterTimes.takeOverAfterMs)) this.#silent.delete(node.nodeId)
      else if (!this.#silent.has(node.nodeId)) {
        this.#silent.add(node.nodeId)
        this.#options.log.info('node.silent', { node: node.nodeId })
        this.#options.onSilent?.(node.nodeId)
      }
    }
  }

  #led(): PartitionId[] {
    return [...this.#rows.keys()].filter(partition => this.#runtime?.committer.leads(partition))
  }

  /** Registered nodes, without this one. */
  #others(): NodeId[] {
    return this.#registered.map(node => node.nodeId).filter(nodeId => nodeId !== this.self)
  }

  /** Rows that name this node, and that it does not lead yet: after a hand-over, a nomination or a lost answer. */
  async #leadOwn(): Promise<void> {
    const rows = [...this.#rows.values()].filter(
      row =>
        row.owner === this.#store &&
        !this.#isSetBack(row.partition) &&
        !this.#committer.leads(row.partition) &&
        !this.#leading.has(row.partition),
    )
    await this.#lead(rows)
  }

  /** Leads partitions under rows that name this node; what their followers have is found out afterwards. */
  async #lead(named: readonly Configuration[]): Promise<void> {
    const rows = named.filter(row => !this.#leading.has(row.partition))
    if (rows.length === 0) return
    for (const row of rows) this.#leading.add(row.partition)
    try {
      // Nothing is taken from an earlier leader from here on; what was taken before is part of the history.
      await this.#held.settled(rows.map(row => row.partition))
      // Whoever starts after all have died must know that this row was there.
      const isNoted = this.#seen.save()
      isNoted.catch(() => undefined)
      const heads = new Map<PartitionId, PartitionHead>()
      for (const { epoch, partition, replicas } of rows) {
        if (this.#rows.get(partition)?.epoch !== epoch || this.#committer.leads(partition)) continue
        if (this.#isSetBack(partition)) continue
        const head = this.#held.head(partition)
        heads.set(partition, { ...head, epoch: Math.max(epoch, head.epoch) })
        this.replication.lead(partition, replicas, head)
      }
      if (heads.size === 0) return
      await this.#runtime?.lead(heads, isNoted)
      this.#options.log.info('partitions.led', { count: heads.size })
    } finally {
      for (const row of rows) this.#leading.delete(row.partition)
    }
    const waiters = this.#routeWaiters
    this.#routeWaiters = []
    for (const wake of waiters) wake()
  }

  /** At a start: keeps what no other member has more of, and names the one that has more. */
  async #claim(isTimed: Promise<void>): Promise<void> {
    const { clock } = this.#options
    const own = [...this.#rows.values()].filter(
      row => row.owner === this.#store && !this.#isSetBack(row.partition),
    )
    if (own.length === 0) return
    if (this.#options.rulesOff?.raisedEpoch) {
      await isTimed
      return await this.#lead(own)
    }
    const others = new Set(own.flatMap(row => row.replicas).filter(store => !this.#isReplaced(store)))
    const heard = new Map<StoreId, Map<PartitionId, CopyPosition>>()
    const untilMs = clock.nowMs() + clusterTimes.startMs
    while (heard.size < others.size && clock.nowMs() < untilMs) {
      await Promise.all(
        [...others].map(async store => {
          if (heard.has(store) || !this.#isConnected(store)) return
          const partitions = own.filter(row => row.replicas.includes(store)).map(row => row.partition)
          try {
            const positions = await this.#askPositions(store, partitions)
            heard.set(store, new Map(positions.map(position => [position.partition, position])))
          } catch {
            // It is asked again until the time is over.
          }
        }),
      )
      if (heard.size < others.size) await this.#routeChange(clusterTimes.stepMs)
    }
    await isTimed
    const mine = await this.#swapUntilKnown(() =>
      own
        .filter(row => this.#rows.get(row.partition)?.epoch === row.epoch && !this.#isSetBack(row.partition))
        .map(row => this.#succession(row, heard)),
    )
    await this.#lead(mine.filter(row => row.owner === this.#store))
  }

  /** The row after this one: led by the highest position, with those as followers that have the same. */
  #succession(
    row: Configuration,
    heard: ReadonlyMap<StoreId, ReadonlyMap<PartitionId, CopyPosition>>,
  ): WantedChange {
    const { partition } = row
    if (this.#options.rulesOff?.positions) {
      const reached = [...heard.keys()].filter(store => isMember(row, store))
      return { partition, epoch: row.epoch + 1, owner: this.#store, replicas: reached }
    }
    let owner = this.#store
    let best = this.#held.position(partition)
    for (const [store, positions] of heard) {
      const position = positions.get(partition)
      if (position && comparePositions(position, best) > 0) {
        best = position
        owner = store
      }
    }
    const isEqual = (position: CopyPosition | undefined) =>
      position !== undefined &&
      comparePositions(position, best) === 0 &&
      position.chain.high === best.chain.high &&
      position.chain.low === best.chain.low
    const candidates = [...heard]
      .filter(([, positions]) => isEqual(positions.get(partition)))
      .map(([store]) => store)
    if (owner !== this.#store && isEqual(this.#held.position(partition))) candidates.push(this.#store)
    const replicas = candidates.filter(store => store !== owner && isMember(row, store))
    // What a member has promised without a row, it keeps: it would refuse whoever leads below that.
    const promises = [this.#position(partition), ...[...heard.values()].map(byId => byId.get(partition))]
    const promised = Math.max(row.epoch, ...promises.map(position => position?.promisedEpoch ?? 0))
    return { partition, fromEpoch: row.epoch, epoch: promised + 1, owner, replicas }
  }

  async #swapUntilKnown(changes: () => WantedChange[]): Promise<Configuration[]> {
    for (;;) {
      try {
        return await this.#swap(changes())
      } catch {
        if (this.#state === 'stopping') return []
        await this.#routeChange(clusterTimes.pollMs)
        await this.#read().catch(() => undefined)
      }
    }
  }

  /** Followers that died: removed from all rows at once, and waited for until that is known. */
  async #removeDead(): Promise<void> {
    const changes: Omit<Configuration, 'nonce'>[] = []
    const found: (readonly [PartitionId, StoreId])[] = []
    const led = this.#led()
    this.#forgetDiverged(led)
    for (const partition of led) {
      const row = this.#rows.get(partition)
      if (!row || row.owner !== this.#store) continue
      const isDead = (store: StoreId) =>
        this.#isDead(store, clusterTimes.removeAfterMs) || this.#diverged.has(`${partition} ${store}`)
      const replicas = row.replicas.filter(store => !isDead(store))
      const dead = this.replication.following(partition).filter(isDead)
      for (const store of dead) found.push([partition, store])
      // Also one that joined by a change that was not answered: a row without it must be known before it is forgotten.
      const isNamed = dead.some(store => this.#mayName(partition, store))
      if (replicas.length < row.replicas.length || isNamed) {
        changes.push({ partition, epoch: row.epoch + 1, owner: this.#store, replicas })
        if (!this.#options.rulesOff?.removalKnown) continue
      }
      for (const store of dead) this.replication.drop(partition, store)
    }
    for (const row of await this.#swap(changes)) this.#dropUnnamed(row.partition)
    for (const [partition, store] of found) this.replication.drop(partition, store)
    this.#forgetDiverged(led)
  }

  /** Those that follow no more: a copy made afresh is another one. */
  #forgetDiverged(led: readonly PartitionId[]): void {
    if (this.#diverged.size === 0) return
    const following = led.flatMap(partition =>
      this.replication.following(partition).map(store => `${partition} ${store}`),
    )
    const current = new Set(following)
    for (const id of this.#diverged) if (!current.has(id)) this.#diverged.delete(id)
  }

  /** Followers that a row which is known leaves out. */
  #dropUnnamed(partition: PartitionId): void {
    for (const store of this.replication.following(partition)) {
      if (!this.#mayName(partition, store) && !this.#copying.has(`${partition} ${store}`)) {
        this.replication.drop(partition, store)
      }
    }
  }

  /** Leaders that died: succeeded by the highest position among the members that can be reached. */
  async #takeOver(): Promise<void> {
    const rows = [...this.#rows.values()].filter(
      row =>
        row.owner !== this.#store &&
        !this.#isSetBack(row.partition) &&
        row.replicas.includes(this.#store) &&
        this.#isDead(row.owner, clusterTimes.takeOverAfterMs),
    )
    if (rows.length === 0) return
    await this.#read()
    const still = rows.filter(
      row =>
        this.#rows.get(row.partition)?.epoch === row.epoch &&
        this.#isDead(row.owner, clusterTimes.takeOverAfterMs),
    )
    if (still.length === 0) return
    // What the old leader sent and what is not on disk yet counts.
    await this.#held.settled(still.map(row => row.partition))
    const heard = new Map<StoreId, Map<PartitionId, CopyPosition>>()
    const others = new Set(still.flatMap(row => row.replicas).filter(store => store !== this.#store))
    for (const store of others) {
      if (this.#isDead(store, clusterTimes.takeOverAfterMs)) continue
      const partitions = still.filter(row => row.replicas.includes(store)).map(row => row.partition)
      const positions = await this.#askPositions(store, partitions)
      heard.set(store, new Map(positions.map(position => [position.partition, position])))
    }
    const mine = await this.#swap(still.map(row => this.#succession(row, heard)))
    this.#options.log.info('partitions.taken-over', { asked: still.length, won: mine.length })
    await this.#lead(mine.filter(row => row.owner === this.#store))
  }

  #placement(counts: (nodeId: NodeId) => boolean = () => true): readonly (readonly NodeId[])[] {
    const members = this.#options.peers
      .members()
      .map(member => member.nodeId)
      .filter(nodeId => nodeId === this.self || this.#options.peers.condition(nodeId).kind === 'connected')
      .filter(counts)
    if (members.length === 0) return []
    const names = members.join()
    if (this.#placed?.names !== names) {
      const { factor } = this.#options
      this.#placed = { names, placement: (this.#options.place ?? place)(members, { factor }) }
    }
    return this.#placed.placement
  }

  /** The store of every member that is registered. */
  #storesByNode(): Map<NodeId, StoreId> {
    const stores = new Map<NodeId, StoreId>()
    for (const { nodeId, storeId } of this.#options.peers.members()) {
      const store = storeId as StoreId
      if (this.#nodes.has(store) && !this.#isReplaced(store)) stores.set(nodeId, store)
    }
    return stores
  }

  /** Stores that should hold a partition, the leader-to-be first. */
  #wanted(
    placement: readonly (readonly NodeId[])[],
    stores: ReadonlyMap<NodeId, StoreId>,
    partition: PartitionId,
  ): StoreId[] {
    return (placement[partition] ?? []).flatMap(nodeId => stores.get(nodeId) ?? [])
  }

  #copyWhereMissing(): void {
    const placement = this.#placement()
    const stores = this.#storesByNode()
    for (const partition of this.#led()) {
      if (this.#copying.size >= copiesAtOnceMax) return
      const row = this.#rows.get(partition)
      const isMove = row && row.replicas.length + 1 >= this.#options.factor
      if (isMove && this.#copying.size >= movesAtOnceMax) continue
      if (!row || row.owner !== this.#store || this.#handing.has(partition)) continue
      const missing = this.#wanted(placement, stores, partition).find(
        store =>
          store !== this.#store &&
          !row.replicas.includes(store) &&
          !this.#copying.has(`${partition} ${store}`) &&
          this.#isConnected(store),
      )
      if (missing && !this.#swapping.get(partition)?.isUnderWay) this.#copyTo(partition, missing)
    }
  }

  #copyTo(partition: PartitionId, to: StoreId): void {
    const id = `${partition} ${to}`
    const disk = this.#disk
    if (!disk) return
    const { replication } = this
    // One that has everything, and may even be named by a change of which nothing was heard, is only named again.
    const isFollowing = replication.following(partition).includes(to)
    const copied = isFollowing
      ? replication.caughtUp(partition, to)
      : sendSnapshot(
          {
            store: disk,
            committer: this.#committer,
            replication,
            rulesOff: this.#options.rulesOff,
            call: (store, kind, body) => this.#call(store, kind, body),
          },
          partition,
          to,
        )
    const done = copied
      .then(() => this.#join(partition, to))
      .catch((error: unknown) => {
        this.#options.log.warn('copy.failed', {
          partition,
          to,
          error: error instanceof Error ? error.message : error,
        })
        // Begun anew, after a moment.
        const moment = pause(this.#options.clock, retryMsMax)
        if (!(error instanceof AppError && error.code === 'conflict')) return moment
        return this.#exceedPromise(partition, to)
          .catch(() => undefined)
          .then(() => moment)
      })
      .finally(() => {
        this.#copying.delete(id)
        this.#wake()
      })
    this.#copying.set(id, done)
  }

  /**
   * A store that has promised more than the row says takes nothing from here: the row goes above that, and this node leads
   * by the new one. What is on its way is asked for again, as after any change of leadership.
   */
  async #exceedPromise(partition: PartitionId, store: StoreId): Promise<void> {
    const [position] = await this.#askPositions(store, [partition])
    const promised = position?.promisedEpoch ?? 0
    const row = this.#rows.get(partition)
    if (row?.owner !== this.#store || !this.#committer.leads(partition) || promised <= row.epoch) return
    if (this.#isSetBack(partition) || this.#handing.has(partition)) return
    const { epoch: fromEpoch, owner, replicas } = row
    const changed = await this.#swap([{ partition, fromEpoch, epoch: promised + 1, owner, replicas }])
    if (changed.length === 0) return
    if (this.#committer.leads(partition)) this.#resign(new Set([partition]))
    await this.#leadOwn()
  }

  /** It has everything, and every commit waits for it: now the row says so. */
  async #join(partition: PartitionId, store: StoreId): Promise<void> {
    const row = this.#rows.get(partition)
    if (!row || row.owner !== this.#store || row.replicas.includes(store)) return
    if (!this.replication.following(partition).includes(store)) throw new AppError('unavailable')
    const replicas = [...row.replicas, store]
    await this.#swap([{ partition, epoch: row.epoch + 1, owner: this.#store, replicas }])
    // When another change came first it goes on to follow, and is named by the next.
  }

  /** Hands partitions over to where they are placed, and lets surplus copies go. */
  #moveToPlace(): void {
    const { clock } = this.#options
    const placement = this.#placement()
    const stores = this.#storesByNode()
    for (const partition of this.#led()) {
      const row = this.#rows.get(partition)
      if (!row || row.owner !== this.#store || this.#handing.has(partition)) continue
      // What waits for copies cannot drain.
      if (this.#fewSinceMs.has(partition)) continue
      const wanted = this.#wanted(placement, stores, partition)
      const [first] = wanted
      if (!first) continue
      const following = this.replication.following(partition)
      if (first === this.#store) {
        const surplus = row.replicas.filter(store => !wanted.includes(store))
        const isFull = wanted.every(store => store === this.#store || row.replicas.includes(store))
        if (surplus.length === 0 || !isFull) continue
        this.#handing.add(partition)
        const replicas = row.replicas.filter(store => wanted.includes(store))
        this.#swap([{ partition, epoch: row.epoch + 1, owner: this.#store, replicas }])
          .then(() => this.#dropUnnamed(partition))
          .catch(() => undefined)
          .finally(() => this.#handing.delete(partition))
        continue
      }
      const before = this.#before.get(partition)
      if (before?.owner === first && clock.nowMs() - before.untilMs < clusterTimes.restMs) continue
      if (this.#handing.size >= handOversAtOnceMax || !following.includes(first)) continue
      if ((this.#handAgainAtMs.get(partition) ?? 0) > clock.nowMs()) continue
      this.#handOver(partition, first, clusterTimes.drainMs).catch((error: unknown) => {
        this.#handAgainAtMs.set(partition, clock.nowMs() + handAgainMs)
        this.#options.log.warn('hand-over.failed', {
          partition,
          error: error instanceof Error ? error.message : error,
        })
      })
    }
  }

  /** Resolves when the rows were read by a question that was asked after this; or when this node stops. */
  async #readAgain(): Promise<void> {
    const { clock } = this.#options
    while (this.#state !== 'stopping') {
      const isRead = await this.#read().then(
        () => true,
        () => false,
      )
      if (isRead) return
      await pause(clock, failedStepMs)
    }
  }

  /** Rejects when that takes too long. */
  async #drained(runtime: Runtime, partition: PartitionId, drainMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = this.#options.clock.setTimer(drainMs, () => reject(new AppError('timeout')))
      runtime
        .hold(partition)
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }

  /** Makes a follower the leader, without losing or refusing anything: messages wait meanwhile. */
  async #handOver(partition: PartitionId, to: StoreId, drainMs: number): Promise<void> {
    const runtime = this.#runtime
    const row = this.#rows.get(partition)
    if (!runtime || !row || row.owner !== this.#store || !row.replicas.includes(to)) return
    this.#handing.add(partition)
    let isAsked = false
    try {
      const untilMs = this.#options.clock.nowMs() + drainMs
      await this.#drained(runtime, partition, drainMs)
      const leftMs = untilMs - this.#options.clock.nowMs()
      const mark = (await this.#options.isHeard?.(partition, leftMs)) ? heardMark : ''
      const replicas = [this.#store, ...row.replicas.filter(store => store !== to)]
      isAsked = true
      const changed = await this.#swap([{ partition, epoch: row.epoch + 1, owner: to, replicas }], mark)
      if (changed.length === 0) runtime.release(partition)
    } catch (error) {
      // Whether it came through is seen when the rows are read; until then nobody is answered.
      if (isAsked) await this.#readAgain()
      // It may have changed in another way meanwhile.
      if (this.#rows.get(partition)?.owner === this.#store) runtime.release(partition)
      throw error
    } finally {
      this.#handing.delete(partition)
    }
  }
}

const duplicateMessage = (address: string) =>
  `Another process runs as this node, at ${address}: this data directory and its own are copies of each other. Stop one of the two; start it again with an empty directory.`
const supersededMessage =
  'This data directory is a copy of one that has been started since. Use the newer one, or an empty directory.'
const empty = Buffer.alloc(0)
