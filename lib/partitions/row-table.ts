/**
 * The configurations as this node knows them, and the only place from which they are changed.
 *
 * Rows are read from the database each second, and told from node to node when they change. The one with the higher
 * epoch is the newer; what follows from it here is done at once: resign, lead, wake whoever waits for a leader. A change
 * is a compare-and-swap, one at a time for each partition. When its answer is lost it may have come through or may still
 * do so: nothing is changed before the rows are read again, and whoever it may have named counts until a later row shows
 * how it ended.
 *
 * Invariant: what is known of a row only goes forward. What can go wrong: the database shows less than was seen before,
 * since it was set back. Those partitions stop, here and wherever this is heard of, until an operator has looked
 * (`seen-rows`).
 */
import { AppError } from '../errors.js'
import { type NodeId, newId } from '../ids.js'
import type { Log } from '../log.js'
import type { PartitionId, Peers } from '../ring/index.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import {
  type Configuration,
  type Configurations,
  isMember,
  type RegisteredNode,
  type StoreId,
  type WantedChange,
} from './configuration.js'
import type { Evidence } from './evidence.js'
import { isHeard, ledSince, nonceOfAdoption, nonceOfChange } from './nonce.js'
import type { RulesOff } from './rules.js'
import type { SeenRow, SeenRows } from './seen-rows.js'

export interface RowTableOptions {
  readonly peers: Pick<Peers, 'self' | 'members' | 'condition' | 'call' | 'onCall'>
  readonly configurations: Pick<Configurations, 'read' | 'nodes' | 'swap'>
  readonly evidence: Evidence
  /** Copies without which a partition acknowledges nothing, the leader's included; 1 by default. */
  readonly copiesMin?: number | undefined
  readonly rulesOff?: RulesOff | undefined
  /** This node leads the partition. */
  leads(partition: PartitionId): boolean
  /** This node must not lead these any more. */
  resign(partitions: ReadonlySet<PartitionId>): void
  /** Rows have changed: what they give to this node is led at once, and not when the loop comes round to it. */
  leadOwn(): void
  /** A partition has enough copies again: what has waited for that may go on. */
  enough(partition: PartitionId): void
  /** Something has changed: the next step is due now. */
  wake(): void
  /** Everything has to be looked at in the next step, whenever that is. */
  lookAgain(): void
  /** Throws when the registry names another process as this node. */
  refuseOutlived(nodes: readonly RegisteredNode[]): void
  /** Partitions are led by another node, or by the same anew. */
  readonly onNewLeaders?: ((partitions: ReadonlySet<PartitionId>) => void) | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Rows read longer ago may have changed much. */
const rowsOldMs = 3_000

/** Nobody leads a partition that stands, since its row was set back. */
const nobodys = 'nobody'

const empty = Buffer.alloc(0)

export class RowTable {
  readonly #options: RowTableOptions
  readonly #self: StoreId
  readonly #rows = new Map<PartitionId, Configuration>()
  /** The newest rows this store has seen, and which of them the database does not show any more. */
  #seenRows: SeenRows | undefined
  /** Swaps whose answer was lost: until the rows are read again, nothing is changed. */
  #mustRead = true
  #readAtMs = Number.NEGATIVE_INFINITY
  /**
   * Changes asked for whose outcome is not known: under way, or unanswered. A later row shows that they are over, and
   * only that: an unanswered statement may be carried out after the rows were read.
   */
  readonly #swapping = new Map<
    PartitionId,
    { readonly isUnderWay: boolean; readonly replicas: ReadonlySet<StoreId> }
  >()
  /** Who led a partition before, until when, and under which epoch. */
  readonly #before = new Map<
    PartitionId,
    { readonly owner: StoreId; readonly untilMs: number; readonly epoch: number }
  >()
  /** Who was heard to lead by a row that is not known here yet: until the rows are read. */
  readonly #believed = new Map<PartitionId, { readonly epoch: number; readonly from: string }>()
  /** Which store leads each partition and since when, as far as known; `nobodys` while it stands. */
  readonly #reigns = new Map<PartitionId, string>()
  /** Partitions of this node's whose row names fewer stores than it must, since when. */
  readonly #fewSinceMs = new Map<PartitionId, number>()
  #waiters = new Set<() => void>()

  constructor(options: RowTableOptions) {
    this.#options = options
    this.#self = options.peers.self.storeId as StoreId
    options.peers.onCall('rows-wanted', () => this.#told(this.all(), this.#seenRows?.all() ?? []))
    options.peers.onCall('rows', (_from, body) => {
      this.#hear(body)
      return empty
    })
  }

  /** What this store has seen before; given once, before the rows are read. */
  remember(seen: SeenRows): void {
    this.#seenRows = seen
  }

  /** Throws `unavailable` before it is known what this store has seen. */
  get seen(): SeenRows {
    if (!this.#seenRows) throw new AppError('unavailable')
    return this.#seenRows
  }

  // --- what is known ---

  get(partition: PartitionId): Configuration | undefined {
    return this.#rows.get(partition)
  }

  all(): Configuration[] {
    return [...this.#rows.values()]
  }

  /** Partitions that this node leads. */
  led(): PartitionId[] {
    return [...this.#rows.keys()].filter(partition => this.#options.leads(partition))
  }

  /** The node that leads a partition, as far as known; this one while nothing is. */
  ownerOf(partition: PartitionId): NodeId {
    const { evidence, peers } = this.#options
    const owner = this.#rows.get(partition)?.owner
    return (owner && evidence.nodeOf(owner)?.nodeId) || peers.self.nodeId
  }

  isSetBack(partition: PartitionId): boolean {
    return this.#seenRows?.isSetBack(partition) ?? false
  }

  /** Partitions whose rows in the database are older than what this node has seen. */
  get rewound(): number {
    return this.#seenRows?.setBackCount ?? 0
  }

  /** Who led a partition before, and until when. */
  before(partition: PartitionId): { readonly owner: StoreId; readonly untilMs: number } | undefined {
    return this.#before.get(partition)
  }

  /** Since when a partition of this node's has fewer copies than it must; undefined when there are enough. */
  fewSinceMs(partition: PartitionId): number | undefined {
    return this.#fewSinceMs.get(partition)
  }

  /** True when the row names a store, or may do so by a change of which nothing was heard: such a one is waited for. */
  mayName(partition: PartitionId, store: StoreId): boolean {
    const row = this.#rows.get(partition)
    return (
      row === undefined || isMember(row, store) || this.#swapping.get(partition)?.replicas.has(store) === true
    )
  }

  /** A change of this row is under way. */
  isSwapping(partition: PartitionId): boolean {
    return this.#swapping.get(partition)?.isUnderWay === true
  }

  /** A change of any row is under way. One that was not answered may stay so for ever: what comes of it is seen in the row. */
  get isChanging(): boolean {
    return [...this.#swapping.values()].some(change => change.isUnderWay)
  }

  /** Resolves at the next change of who leads anything, or after `waitMs`. */
  async changed(waitMs: number): Promise<void> {
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.setTimer(waitMs, () => {
        this.#waiters.delete(wake)
        resolve()
      })
      const wake = (): void => {
        timer.cancel()
        resolve()
      }
      this.#waiters.add(wake)
    })
  }

  /** Wakes whoever waits for a leader: there may be one. */
  wakeWaiters(): void {
    const waiters = this.#waiters
    this.#waiters = new Set()
    for (const wake of waiters) wake()
  }

  // --- reading ---

  /** A row may be newer than what is known here: it is read before anything is changed. */
  doubt(): void {
    this.#mustRead = true
    this.#options.wake()
  }

  /** Somebody leads by a row that is not known here yet: what others said under an earlier epoch is late. */
  believe(partition: PartitionId, epoch: number, from: string): void {
    if (epoch > (this.#believed.get(partition)?.epoch ?? 0)) this.#believed.set(partition, { epoch, from })
    this.doubt()
  }

  /** The highest epoch under which another than `store` is known to have led a partition; 0 when nobody is. */
  ledByOthers(partition: PartitionId, store: string): number {
    const believed = this.#believed.get(partition)
    const before = this.#before.get(partition)
    return Math.max(
      believed && believed.from !== store ? believed.epoch : 0,
      before && before.owner !== store ? before.epoch : 0,
    )
  }

  /** The rows have to be read now, since something of them is unknown or they were read a while ago. */
  get isReadDue(): boolean {
    return this.#mustRead || this.#options.clock.nowMs() - this.#readAtMs >= clusterTimes.pollMs
  }

  /** The rows were read not long ago. */
  get isCurrent(): boolean {
    return this.#options.clock.nowMs() - this.#readAtMs < rowsOldMs
  }

  /** Reads rows and nodes. Rejects when the database does not answer, or names another process as this node. */
  async read(): Promise<void> {
    const { clock, configurations, evidence } = this.#options
    // What was seen before the question can only be outdone by an honest answer.
    const before = this.seen.all()
    const [rows, nodes] = [await configurations.read(), await configurations.nodes()]
    this.#options.refuseOutlived(nodes)
    this.#compare(rows, before)
    evidence.learn(nodes)
    this.#readAtMs = clock.nowMs()
    this.#mustRead = false
    this.#believed.clear()
    this.#learn(rows)
    // A row that has stood, since the database was set back, may go on as it was.
    this.#noticeLeaders(this.all().filter(({ partition }) => this.#reigns.get(partition) === nobodys))
  }

  /**
   * Rows that are older than what this node has seen: the database was set back, by a restore or a standby that lagged.
   * Nobody can say who else has changed what, so those partitions stop until an operator has looked.
   */
  #compare(rows: readonly Configuration[], before: readonly SeenRow[]): void {
    const { leads, log, resign, rulesOff } = this.#options
    if (rulesOff?.setBack) return
    const found = new Set(this.seen.compare(rows, before))
    if (this.seen.setBackCount > 0) {
      // Again at each look: whoever comes back, or could not be reached before, knows nothing else than the rows as they are.
      const known = [...found].flatMap(partition => this.#rows.get(partition) ?? [])
      this.#tell(known, this.seen.lost())
    }
    if (found.size === 0) return
    for (const partition of found) this.#reigns.set(partition, nobodys)
    log.error('configurations.set-back', { partitions: found.size })
    const led = new Set([...found].filter(partition => leads(partition)))
    if (led.size > 0) resign(led)
  }

  #learn(rows: readonly Configuration[]): void {
    const { clock, evidence, leadOwn, leads, resign, wake } = this.#options
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
      if (![row.owner, ...row.replicas].every(store => evidence.nodeOf(store))) this.#mustRead = true
      if (known && known.owner !== row.owner) {
        this.#before.set(row.partition, { owner: known.owner, untilMs: clock.nowMs(), epoch: known.epoch })
      }
      if (row.owner !== this.#self && leads(row.partition)) lost.add(row.partition)
    }
    if (lost.size > 0) resign(lost)
    if (!changed) return
    // A failing disk ends the process by itself. Each node that sees a row notes it at once: a database that is set back
    // is noticed by any of them.
    this.#seenRows?.save().catch(() => undefined)
    for (const { partition } of rows) this.#countCopies(partition)
    leadOwn()
    this.#noticeLeaders(
      rows.map(row => this.#rows.get(row.partition) ?? row),
      heard,
    )
    this.wakeWaiters()
    wake()
  }

  /** With fewer copies than there must be nothing is acknowledged; with enough, what has waited is. */
  #countCopies(partition: PartitionId): void {
    const { clock, copiesMin = 1, enough } = this.#options
    const row = this.#rows.get(partition)
    if (row?.owner === this.#self && 1 + row.replicas.length < copiesMin) {
      if (!this.#fewSinceMs.has(partition)) this.#fewSinceMs.set(partition, clock.nowMs())
    } else if (this.#fewSinceMs.delete(partition)) enough(partition)
  }

  /** `heard`: partitions whose leader before has said all it had to say. */
  #noticeLeaders(rows: readonly Configuration[], heard: ReadonlySet<PartitionId> = new Set()): void {
    const { onNewLeaders } = this.#options
    const changed = new Set<PartitionId>()
    for (const row of rows) {
      const { owner, partition } = row
      if (this.isSetBack(partition)) continue
      const reign = `${owner} ${ledSince(row)}`
      const known = this.#reigns.get(partition)
      if (known === reign) continue
      this.#reigns.set(partition, reign)
      if (known !== undefined && !heard.has(partition)) changed.add(partition)
    }
    if (changed.size > 0) onNewLeaders?.(changed)
  }

  // --- from node to node ---

  /** Others may have seen newer rows than the database shows: then it was set back, and this node leads none of those. */
  async askOthers(): Promise<void> {
    const { evidence, peers, rulesOff } = this.#options
    if (rulesOff?.setBack) return
    const connected = evidence.others().filter(id => peers.condition(id).kind === 'connected')
    const answers = await Promise.all(
      connected.map(id =>
        peers.call(id, 'rows-wanted', empty, clusterTimes.positionsMs).catch(() => undefined),
      ),
    )
    for (const answer of answers) if (answer) this.#hear(answer)
    // Rows that have changed since they were read here are no evidence: only a later look is.
    this.#mustRead = true
    await this.read().catch(() => undefined)
  }

  /** This node leads these again by the rows they had: what it had decided before may not have been said. */
  ledAgain(partitions: ReadonlySet<PartitionId>): void {
    this.#options.onNewLeaders?.(partitions)
    this.#tell([], [], [...partitions])
  }

  #tell(
    rows: readonly Configuration[],
    seen: readonly SeenRow[] = [],
    again: readonly PartitionId[] = [],
  ): void {
    const { peers } = this.#options
    const body = this.#told(rows, seen, again)
    for (const { nodeId } of peers.members()) {
      if (nodeId === peers.self.nodeId) continue
      peers.call(nodeId, 'rows', body, clusterTimes.callMs).catch(() => undefined)
    }
  }

  #told(
    rows: readonly Configuration[],
    seen: readonly SeenRow[],
    again: readonly PartitionId[] = [],
  ): Buffer {
    return Buffer.from(JSON.stringify({ rows, seen, ...(again.length > 0 && { again }) }))
  }

  #hear(body: Buffer): void {
    const { again, rows, seen } = JSON.parse(body.toString()) as {
      rows: readonly Configuration[]
      seen: readonly SeenRow[]
      again?: readonly PartitionId[]
    }
    this.#learn(rows)
    if (again) this.#options.onNewLeaders?.(new Set(again))
    if (this.#options.rulesOff?.setBack) return
    for (const row of seen) {
      if (row[1] <= (this.#seenRows?.epoch(row[0]) ?? 0)) continue
      this.#seenRows?.see(row)
      this.#mustRead = true
    }
    if (this.#mustRead) this.#options.wake()
  }

  // --- changing ---

  /**
   * Swaps rows, learns what they are now and tells the others. Rejects when that is unknown. Rows that are being swapped
   * already are left as they are: one change at a time. Resolves with those that came through.
   */
  async swap(wanted: readonly WantedChange[]): Promise<Configuration[]> {
    const { configurations, log, lookAgain } = this.#options
    const changes = wanted.filter(({ epoch, fromEpoch = epoch - 1, partition }) => {
      return !this.isSwapping(partition) && this.#rows.get(partition)?.epoch === fromEpoch
    })
    if (changes.length === 0) return []
    const id = newId<string>()
    for (const { partition, replicas } of changes) {
      const members = new Set([...replicas, ...(this.#swapping.get(partition)?.replicas ?? [])])
      this.#swapping.set(partition, { isUnderWay: true, replicas: members })
    }
    let rows: readonly Configuration[]
    try {
      rows = await configurations.swap(
        changes.map(change => {
          const { isHeard: _, ...asked } = change
          return { ...asked, nonce: nonceOfChange(id, change, this.#rows.get(change.partition)) }
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
      lookAgain()
      log.warn('configuration.not-changed', { error: error instanceof Error ? error.message : error })
      throw error
    }
    this.#learn(rows)
    const mine = rows.filter(row => row.nonce.includes(id))
    if (mine.length > 0) this.#tell(mine)
    return mine
  }

  /** Changes rows as an operator has decided, whatever is known of them here. Resolves with those that came through. */
  async decide(wanted: readonly WantedChange[]): Promise<Configuration[]> {
    const id = newId<string>()
    const changes = wanted.map(change => ({ ...change, nonce: nonceOfAdoption(id, change.epoch) }))
    const rows = await this.#options.configurations.swap(changes)
    this.#mustRead = true
    const mine = rows.filter(row => row.nonce.startsWith(id))
    this.#learn(mine)
    this.#tell(mine)
    return mine
  }
}
