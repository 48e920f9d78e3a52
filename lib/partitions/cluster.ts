/**
 * Keeps this node's partitions in the state that the configurations ask for, and changes the configurations when nodes
 * come, go and die.
 *
 * One loop looks at what is known (rows, conditions of the peers, placement) and does the next step of everything that
 * is not as it should be: remove a follower that died, take over from a leader that died, send a copy to a store that
 * should have one, hand a partition over to the node it is placed on. Steps are idempotent, and every change of a row is
 * a compare-and-swap, so that a loop that was wrong about the world changes nothing.
 *
 * Placement (gossip) says where partitions should live; first-hand evidence says who is dead; the rows say who may. Each
 * of these is a part of its own, and here they are put together: `Evidence` and `RowTable` know, `Followership` and
 * `Leadership` hold and lead, `Copier` and `HandOvers` move, `Registration` lets in, `Forwarder` finds the leader.
 * What can go wrong: the rows cannot be read or written. Then nothing is changed: what runs goes on, and partitions that
 * lost their leader or a follower wait.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import type { Log } from '../log.js'
import {
  allPartitions,
  type ForwardRequest,
  type InboundHandler,
  type PartitionId,
  type Peers,
  type place,
  type Ring,
} from '../ring/index.js'
import type { Adoption } from './adoption.js'
import { adopt } from './adoption-runner.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import type { Configuration, Configurations, StoreId } from './configuration.js'
import { Copier } from './copier.js'
import { Evidence } from './evidence.js'
import { Followership } from './followership.js'
import { Forwarder } from './forwarder.js'
import { HandOvers } from './hand-overs.js'
import { Leadership } from './leadership.js'
import { NodeTime } from './node-time.js'
import { Pace } from './pace.js'
import { Places } from './places.js'
import { Registration } from './registration.js'
import { LeaderReplication } from './replication.js'
import { RowTable } from './row-table.js'
import type { RulesOff } from './rules.js'
import type { Runtime } from './runtime.js'
import { SeenRows } from './seen-rows.js'
import { StepLoop } from './step-loop.js'
import type { Store } from './store.js'
import { StoreChannel } from './store-channel.js'

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
  /** A node that was silent is heard again. */
  readonly onHeard?: (nodeId: NodeId) => void
  /** Partitions are led by another node, or by another life of the same. */
  readonly onNewLeaders?: (partitions: ReadonlySet<PartitionId>) => void
  /** Resolves with true when nothing that this node has said as a partition's leader is on its way; false: something is. */
  readonly isHeard?: (partition: PartitionId, msMax: number) => Promise<boolean>
  readonly clock: Clock
  readonly log: Log
}

/** All partitions are looked at that often also when nothing seems to have changed. */
const lookAgainMs = 1_000
/** Copies to another place, and hand-overs to it. */
const movesAtOnceMax = 1
/** Reasons for which other nodes are not reached, in what this one says of itself. */
const problemsNamedMax = 3

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

/** What needs the opened store: there from `open` on. */
interface Parts {
  readonly runtime: Runtime
  readonly followership: Followership
  readonly leadership: Leadership
  readonly handOvers: HandOvers
  readonly copier: Copier
}

export class Cluster implements Ring {
  readonly self: NodeId
  readonly replication: LeaderReplication
  readonly time: NodeTime
  readonly #options: ClusterOptions
  readonly #store: StoreId
  readonly #evidence: Evidence
  readonly #channel: StoreChannel
  readonly #rows: RowTable
  readonly #registration: Registration
  readonly #forwarder: Forwarder
  readonly #loop: StepLoop
  #parts: Parts | undefined
  #state: State = 'starting'
  #hasJoined = false
  /** When all partitions were looked at last, and what was known of the nodes then. */
  #looked = { evidence: '', atMs: Number.NEGATIVE_INFINITY }
  readonly #stop: (() => void)[] = []

  constructor(options: ClusterOptions) {
    const { clock, configurations, log, peers, rulesOff } = options
    this.#options = options
    this.self = peers.self.nodeId
    this.#store = peers.self.storeId as StoreId
    this.#loop = new StepLoop({
      step: isWanted => this.#reconcile(isWanted),
      clock,
      log,
    })
    const { onHeard, onSilent } = options
    this.#evidence = new Evidence({ peers, rulesOff, onSilent, onHeard, clock, log })
    this.#channel = new StoreChannel({ peers, evidence: this.#evidence, rulesOff })
    this.#registration = new Registration({
      peers,
      configurations,
      giveUp: () => this.#giveUp(),
      onFatal: options.onFatal,
      clock,
      log,
    })
    this.#rows = new RowTable({
      peers,
      configurations,
      evidence: this.#evidence,
      copiesMin: options.copiesMin,
      rulesOff,
      leads: partition => this.#leads(partition),
      resign: partitions => this.#opened.leadership.resign(partitions),
      leadOwn: () => this.#leadOwn(),
      enough: partition => this.#opened.runtime.committer.acked(partition),
      wake: () => this.#loop.wake(),
      lookAgain: () => this.#loop.want(),
      refuseOutlived: nodes => this.#registration.refuseOutlived(nodes),
      onNewLeaders: options.onNewLeaders,
      clock,
      log,
    })
    this.replication = new LeaderReplication({
      clock,
      rulesOff,
      log: log.child('replication'),
      committer: () => this.#opened.runtime.committer,
      call: (to, kind, body) => this.#channel.call(to, kind, body),
      outdated: () => this.#rows.doubt(),
      diverged: (partition, store) => {
        if (this.#opened.leadership.noteDiverged(partition, store)) this.#loop.wake()
      },
      mayName: (partition, store) => this.#rows.mayName(partition, store),
      fewSinceMs: partition => this.#rows.fewSinceMs(partition),
      isConnected: store => this.#evidence.isConnected(store),
      isIsolated: () => this.#isIsolated(),
    })
    this.time = new NodeTime({
      peers,
      clock,
      log: log.child('time'),
      isOff: rulesOff?.nodeTime === true,
    })
    this.#forwarder = new Forwarder({
      peers,
      rows: this.#rows,
      evidence: this.#evidence,
      serves: partition => this.#serves(partition),
      isIsolated: () => this.#isIsolated(),
      clock,
    })
  }

  /** Throws `unavailable` before `open`. */
  get #opened(): Parts {
    if (!this.#parts) throw new AppError('unavailable')
    return this.#parts
  }

  /** Registers this node, founds the cluster if there is none, and leads what is this node's by its rows. */
  async open(runtime: Runtime, store: Store): Promise<void> {
    const { peers } = this.#options
    const parts = this.#assemble(runtime, store)
    this.#parts = parts
    const heads = await runtime.committer.readHeads(allPartitions())
    parts.followership.load(heads)
    await this.#registration.check(store, heads)
    await peers.start()
    const clusterId = await this.#registration.register(store, heads)
    const seen = new SeenRows(store)
    await seen.load(clusterId)
    this.#rows.remember(seen)
    parts.followership.open()
    this.#evidence.begin()
    this.#stop.push(peers.onCondition(() => this.#loop.wake()))
    this.#stop.push(peers.onMembers(() => this.#loop.wake()))
    // Asked twice: what may wait for less than this start must not end it.
    await this.#rows.read().catch(() => this.#rows.read())
    // Nothing is led before this node knows what time it is.
    const isTimed = this.time
      .settle(() => this.#evidence.others(), clusterTimes.startMs)
      .then(() => this.#rows.askOthers())
    await parts.leadership.claim(isTimed)
    await isTimed
    this.#registration.requireCurrent()
    // Told to stop meanwhile.
    if (this.#state !== 'starting') return
    this.#state = 'running'
    this.#loop.begin()
    this.#noteJoined()
  }

  #assemble(runtime: Runtime, store: Store): Parts {
    const { clock, factor, isHeard, log, peers, place, rulesOff } = this.#options
    const { committer } = runtime
    const channel = this.#channel
    const evidence = this.#evidence
    const rows = this.#rows
    const { replication } = this
    const isStopping = () => this.#state === 'stopping'
    const pace = new Pace({ atOnceMax: movesAtOnceMax, wake: () => this.#loop.wake(), clock })
    const places = new Places({ peers, evidence, factor, place })
    const followership = new Followership({
      store,
      committer,
      rows,
      channel,
      isBeginning: partition => leadership.isBeginning(partition),
      rulesOff,
      log,
    })
    const leadership = new Leadership({
      self: this.#store,
      rows,
      evidence,
      followership,
      replication,
      runtime,
      isCopying: (partition, to) => copier.isCopying(partition, to),
      isStopping,
      rulesOff,
      clock,
      log,
    })
    const handOvers = new HandOvers({
      self: { nodeId: this.self, storeId: this.#store },
      factor,
      rows,
      evidence,
      places,
      pace,
      leadership,
      replication,
      runtime,
      isHeard,
      isStopping,
      rulesOff,
      clock,
      log,
    })
    const copier = new Copier({
      self: this.#store,
      factor,
      store,
      committer,
      rows,
      evidence,
      places,
      pace,
      channel,
      followership,
      leadership,
      handOvers,
      replication,
      wake: () => this.#loop.wake(),
      rulesOff,
      clock,
      log,
    })
    return { runtime, followership, leadership, handOvers, copier }
  }

  // --- Ring ---

  members(): readonly NodeId[] {
    return this.#options.peers.members().map(member => member.nodeId)
  }

  ownerOf(partition: PartitionId): NodeId {
    return this.#rows.ownerOf(partition)
  }

  onInbound(handler: InboundHandler): void {
    this.#forwarder.onInbound(handler)
  }

  async start(): Promise<void> {}

  /** Brings a request to the leader, wherever it is meanwhile, until the deadline. Repeats are recognised by entities. */
  forward(request: ForwardRequest): Promise<unknown> {
    return this.#forwarder.forward(request)
  }

  /** Gives up what this node leads, then leaves. */
  async stop(): Promise<void> {
    this.#state = 'stopping'
    this.#loop.end()
    for (const stop of this.#stop) stop()
    await this.#loop.settled()
    await this.#options.peers.stop()
  }

  /** Hands everything this node leads over to its followers, `deadlineMs` at most, and tells the others that it goes. */
  async leave(deadlineMs: number): Promise<void> {
    const { clock, log, peers } = this.#options
    if (this.#state !== 'running') return
    this.#state = 'leaving'
    const beganAtMs = clock.nowMs()
    await peers.leave().catch(() => undefined)
    await this.#opened.handOvers.leave(beganAtMs + deadlineMs)
    log.info('cluster.left', { kept: this.#rows.led().length, ms: Math.round(clock.nowMs() - beganAtMs) })
  }

  /** Takes this node out of those who count for a majority: it has left. That its store was here stays known. */
  forget(): Promise<void> {
    return this.#registration.forget()
  }

  // --- what is known of it ---

  status(): PartitionStatus[] {
    const nodeOf = (store: StoreId) => this.#evidence.nodeOf(store)?.nodeId ?? null
    return this.#rows
      .all()
      .sort((a, b) => a.partition - b.partition)
      .map(({ partition, epoch, owner, replicas }) => ({
        partition,
        epoch,
        owner: nodeOf(owner),
        replicas: replicas.map(nodeOf),
        serving: this.#serves(partition),
        seq: this.#opened.followership.copies.position(partition).seq,
        lag: Math.max(0, ...replicas.map(store => this.replication.lag(partition, store))),
      }))
  }

  /** Why no work should be sent here. */
  notReady(): string[] {
    if (this.#state !== 'running') return [this.#state === 'starting' ? 'starting' : 'draining']
    if (!this.hasJoined) return [this.#whyNotJoined()]
    return this.#isIsolated() ? ['isolated'] : []
  }

  /**
   * False until this node has led something or has reached the leaders of half of the partitions: whatever comes to it can
   * only wait. True from then on, whomever it loses: hosts of a node that was cut off are held.
   */
  get hasJoined(): boolean {
    this.#noteJoined()
    return this.#hasJoined
  }

  /** Partitions led here whose writes are refused, since those who must have them do not answer. */
  get refusing(): number {
    return this.#rows.led().filter(partition => this.replication.refusal(partition) !== undefined).length
  }

  /** False when a newer leader of the partition is known than `from` under `epoch`. */
  accepts(partition: PartitionId, from: string, epoch: number): boolean {
    return this.#opened.followership.accepts(partition, from, epoch).ok
  }

  /** Partitions whose rows in the database are older than what this node has seen. */
  get rewound(): number {
    return this.#rows.rewound
  }

  /**
   * What an operator has to decide: partitions whose members are all gone, and those whose rows were set back. With
   * `isDecided` they go on with the highest copies that can be reached. A partition of which a member answers is left.
   */
  async adopt(isDecided: boolean): Promise<readonly Adoption[]> {
    const { factor, log } = this.#options
    if (this.#state !== 'running') throw new AppError('unavailable', 'This node is starting or stopping.')
    const { followership } = this.#opened
    const [evidence, rows] = [this.#evidence, this.#rows]
    return await adopt({ self: this.#store, factor, rows, evidence, followership, log }, isDecided)
  }

  #leads(partition: PartitionId): boolean {
    return this.#parts?.runtime.committer.leads(partition) ?? false
  }

  #serves(partition: PartitionId): boolean {
    return this.#parts?.runtime.serves(partition) ?? false
  }

  #noteJoined(): void {
    if (this.#hasJoined || this.#state !== 'running') return
    const rows = this.#rows.all()
    const served = rows.filter(row => this.#isServed(row))
    this.#hasJoined = rows.some(row => this.#leads(row.partition)) || served.length * 2 >= rows.length
  }

  /** In words for people. */
  #whyNotJoined(): string {
    const { peers } = this.#options
    const conditions = this.#evidence.others().map(nodeId => peers.condition(nodeId))
    const reached = conditions.filter(({ kind }) => kind === 'connected').length
    const problems = new Set(
      conditions.flatMap(condition => (condition.kind === 'silent' && condition.problem) || []),
    )
    const why = problems.size > 0 ? ` (${[...problems].slice(0, problemsNamedMax).join('; ')})` : ''
    return `not joined: reaches ${reached} of ${conditions.length} other nodes${why}`
  }

  /** True while this node sees too few of the others, unless it has become the one that serves what they did. */
  #isIsolated(): boolean {
    if (!this.#evidence.isMinority) return false
    return !this.#rows.isCurrent || !this.#rows.all().every(row => this.#isServed(row))
  }

  #isServed({ owner, partition }: Configuration): boolean {
    return owner === this.#store ? this.#leads(partition) : this.#evidence.isConnected(owner)
  }

  /** Leads nothing and changes nothing from now on. Returns whether this node has been running until now. */
  #giveUp(): boolean {
    const wasRunning = this.#loop.isGoing
    this.#state = 'stopping'
    this.#loop.end()
    const led = new Set(this.#rows.led())
    if (led.size > 0) this.#opened.leadership.resign(led)
    return wasRunning
  }

  // --- the loop ---

  async #reconcile(isWanted: boolean): Promise<number> {
    this.#evidence.reportSilent()
    this.#evidence.countSeen()
    this.#noteJoined()
    if (this.#rows.isReadDue) await this.#rows.read()
    if (isWanted || this.#loop.isWanted || !this.#isAsBefore()) await this.#lookAtAll()
    return this.#isBusy || this.#evidence.isAnySilent ? clusterTimes.stepMs : clusterTimes.calmStepMs
  }

  async #lookAtAll(): Promise<void> {
    const { copier, handOvers, leadership } = this.#opened
    await leadership.leadOwn()
    if (!this.#evidence.mayChange()) return
    await leadership.removeDead()
    if (this.#state !== 'running') return
    await leadership.takeOver()
    handOvers.moveToPlace()
    copier.copyWhereMissing()
  }

  /** Nothing is under way, and nobody has fallen silent since the last look: no partition needs to be looked at yet. */
  #isAsBefore(): boolean {
    const nowMs = this.#options.clock.nowMs()
    const evidence = this.#evidence.summary()
    const { atMs } = this.#looked
    if (!this.#isBusy && evidence === this.#looked.evidence && nowMs - atMs < lookAgainMs) return true
    this.#looked = { evidence, atMs: nowMs }
    return false
  }

  /** A change, a copy or a hand-over is under way. */
  get #isBusy(): boolean {
    const { copier, handOvers, leadership } = this.#opened
    return this.#rows.isChanging || copier.count + handOvers.count + leadership.beginningCount > 0
  }

  /** At once, and not when the loop comes round to it: messages wait for a new leader. */
  #leadOwn(): void {
    if (this.#state !== 'running') return
    this.#opened.leadership
      .leadOwn()
      .catch((error: unknown) => this.#options.log.warn('partitions.not-led', { error }))
  }
}
