/**
 * A cluster in one process: nodes with their disks on a shared network, before shared configurations. Nodes start, crash,
 * stand still, lose their disks; clients talk to any of them.
 */
import { AppError } from '../../../lib/errors.js'
import type { EntityKey, NodeId } from '../../../lib/ids.js'
import { type Log, silentLog } from '../../../lib/log.js'
import type { StoreId } from '../../../lib/partitions/configuration.js'
import {
  type FailurePointName,
  type HistoryItem,
  openPartitions,
  type Partitions,
  partitionOf,
} from '../../../lib/partitions/index.js'
import { headKey, metaKey, PartitionKeys } from '../../../lib/partitions/keys.js'
import { firstHead, type PartitionHead, parseHead } from '../../../lib/partitions/position.js'
import { openRecord } from '../../../lib/partitions/record.js'
import { allPartitions, type Member, type PartitionId, place } from '../../../lib/ring/index.js'
import { Random } from '../random.js'
import { Changes } from './changes.js'
import { listKind } from './list-kind.js'
import type { SimRulesOff } from './rules.js'
import type { Sessions } from './sessions.js'
import { SimConfigurations } from './sim-configurations.js'
import { SimDisk } from './sim-disk.js'
import { SimNetwork, type SimPeers } from './sim-network.js'
import { Life, type World } from './world.js'

/** What has ended in one of the simulations before must not be computed again: placement depends on names alone. */
export type Placements = Map<string, ReturnType<typeof place>>

export interface SimClusterOptions {
  readonly world: World
  readonly nodes: number
  readonly factor: number
  /** Partitions that exist, all by default. */
  readonly partitions?: readonly PartitionId[]
  readonly placements: Placements
  readonly rulesOff?: SimRulesOff
  /** Copies without which nothing is acknowledged. */
  readonly copiesMin?: number
}

/** How far the clocks of machines are off at most, unless one is set wrong on purpose. */
export const clockOffMs = 20
/** What is not the clocks': time is counted in whole ms, and drawn together while it passes. */
const countedMs = 15

const lateShare = 0.1
const lateMsMax = 10_000

/** What the outside hears of an operation. */
interface Sunk {
  readonly id: string
  readonly index: number
}

const storeIdKey = metaKey('store-id')

export class SimNode {
  life: Life | undefined
  partitions: Partitions | undefined
  peers: SimPeers | undefined
  disk: SimDisk | undefined
  content: ReadonlyMap<string, Buffer> = new Map()
  /** Opened and started, as far as it got. */
  isReady = false
  /** When it became so last. */
  readyAtMs = 0
  /** Its disk takes nothing. */
  isFull = false
  /** It has been told to stop. */
  isLeaving = false
  /** Where it dies next: a failure point, and how often it is reached before. */
  trap: { readonly name: FailurePointName; left: number } | undefined
  pausedAtMs: number | undefined
  #storeId: StoreId | undefined
  #storeIdBytes: Buffer | undefined

  constructor(
    readonly id: NodeId,
    /** How far its wall clock is ahead; a process takes it over at its start. */
    public offsetMs: number,
  ) {}

  get isAlive(): boolean {
    return this.life !== undefined && !this.life.isDead
  }

  /** What its disk would hold after a crash now. */
  get durable(): ReadonlyMap<string, Buffer> {
    return this.disk?.durable ?? this.content
  }

  get storeId(): StoreId | undefined {
    const bytes = this.durable.get(storeIdKey)
    if (bytes !== this.#storeIdBytes) {
      this.#storeIdBytes = bytes
      this.#storeId = bytes && (openRecord(storeIdKey, bytes)?.text as StoreId | undefined)
    }
    return this.#storeId
  }
}

export class SimCluster {
  readonly world: World
  readonly network: SimNetwork
  readonly configurations: SimConfigurations
  readonly nodes: readonly SimNode[]
  readonly ids: readonly PartitionId[]
  /** Hash by partition, epoch and seq. */
  readonly #numbers = new Map<string, string>()
  readonly #options: SimClusterOptions
  /** When a node's copy of a partition was written to last, by both. */
  readonly #writtenAtMs = new Map<string, number>()
  /** Hosts and browsers, if there are any: set before the first start. */
  sessions: Sessions | undefined
  /** Of its own, since it changes nothing else. */
  readonly #late: Random
  /** First deliveries of effects: what the outside has heard, by operation. */
  readonly heard = new Map<string, number>()
  readonly history = new Map<EntityKey, { epoch: number; seq: number; ids: readonly string[] }>()
  crashes = 0
  leaves = 0
  /** How far node time may be off in truth: clocks that were wrong when nobody could be asked. */
  excusedMs = clockOffMs

  constructor(options: SimClusterOptions) {
    const { nodes, world } = options
    this.#options = options
    this.world = world
    this.#late = new Random(world.random.seed ^ 0x1a7e)
    this.network = new SimNetwork(world)
    this.ids = options.partitions ?? allPartitions()
    this.configurations = new SimConfigurations(world, this.ids)
    const changes = new Changes(this)
    this.configurations.onSwap = (life, asked) => changes.asked(life, asked)
    this.configurations.onRead = (life, rows) => this.network.fencing.learned(life, rows)
    this.nodes = Array.from(
      { length: nodes },
      (_, index) => new SimNode(`node-${index}` as NodeId, world.random.below(2 * clockOffMs) - clockOffMs),
    )
  }

  get rulesOff(): SimRulesOff | undefined {
    return this.#options.rulesOff
  }

  /** Starts a node, again and again until it runs. */
  start(node: SimNode): void {
    if (node.isAlive) return
    const { world } = this
    const life = new Life(world, node.id, node.offsetMs)
    node.life = life
    node.isReady = false
    node.isLeaving = false
    node.trap = undefined
    node.pausedAtMs = undefined
    const witnesses = this.nodes.filter(other => other !== node && other.isReady)
    const disk = new SimDisk(world, life, node.content)
    node.disk = disk
    disk.isFull = () => node.isFull
    disk.onWritten = operations => {
      for (const { key, ...rest } of operations) {
        if (key.startsWith('h/') && 'value' in rest) this.#checkHead(node, key, rest.value)
      }
    }
    this.#open(node, life, disk, witnesses).catch((error: unknown) => {
      if (life.isDead) return
      this.#log(node).debug('start.failed', {
        error: error instanceof Error ? error.stack : error,
      })
      // The process ends, and is started again.
      this.crash(node)
      world.schedule(300 + world.random.next() * 700, () => this.start(node))
    })
  }

  async #open(node: SimNode, life: Life, disk: SimDisk, witnesses: readonly SimNode[]): Promise<void> {
    const { configurations, network, world } = this
    const { copiesMin = 1, factor, placements, rulesOff } = this.#options
    const partitions = await openPartitions({
      storage: { backend: 'leveldown', path: 'unused', sync: rulesOff?.synced !== true },
      disk,
      clock: life.clock,
      random: () => world.random.next(),
      log: this.#log(node),
      onFatal: error => {
        // Another process is this node: it ends for good.
        if (error instanceof AppError && error.code === 'conflict') return this.crash(node)
        if (!node.isFull || life.isDead) return world.problem(`${node.id} disk: ${String(error)}`)
        // As a node does: it ends.
        this.crash(node)
        world.schedule(300 + world.random.next() * 700, () => this.start(node))
      },
      failurePoints: {
        reach: name => {
          const { trap } = node
          if (trap?.name === name && node.life === life) {
            trap.left -= 1
            if (trap.left <= 0) this.crash(node)
          }
          return life.isDead ? new Promise<void>(() => undefined) : undefined
        },
      },
      cluster: async ({ boot, storeId }) => {
        const self: Member = {
          nodeId: node.id,
          storeId,
          boot,
          channelAddress: `${node.id}:1`,
          forwardAddress: `${node.id}:2`,
        }
        const peers = network.join(life, self)
        node.peers = peers
        return {
          peers,
          configurations: configurations.connect(life),
          factor,
          copiesMin,
          ...(rulesOff && { rulesOff }),
          place: (members, options) => {
            const name = `${options.factor} ${members.join()}`
            let placement = placements.get(name)
            if (!placement) {
              placement = place(members, options)
              placements.set(name, placement)
            }
            return placement
          },
        }
      },
    })
    node.partitions = partitions
    partitions.register(
      listKind(
        rulesOff?.effects !== true,
        () => world.nowMs,
        lateMs => {
          if (lateMs < -2 * this.excusedMs - countedMs)
            world.problem(`I7: an alarm came ${Math.round(-lateMs)} ms early on ${node.id}`)
        },
      ),
    )
    partitions.onEffect('sink', {
      dispatch: async effect => {
        if (life.isDead) return await new Promise(() => undefined)
        this.#hear(effect.payload as unknown as Sunk)
        await world.wait(world.random.next() * 5, life)
        if (world.random.chance(0.1)) throw new Error('away')
      },
    })
    if (rulesOff?.effects) partitions.onSignal('sink', ({ payload }) => this.#hear(payload as Sunk))
    this.sessions?.open(life, partitions, this.#log(node))
    partitions.setHistoryWriter({
      write: async batch => {
        await world.wait(world.random.next() * 5, life)
        if (configurations.faults.isAway) throw new Error('away')
        const write = () => {
          for (const item of batch) this.#writeHistory(item)
        }
        write()
        // A statement whose answer was lost is made again, and one of the two is carried out late.
        if (this.#late.chance(lateShare)) world.schedule(this.#late.next() * lateMsMax, write)
      },
    })
    await partitions.start()
    node.isReady = true
    node.readyAtMs = world.nowMs
    // Somebody could be asked all the time.
    const isSure = witnesses.some(
      other => other.isReady && network.heardSince(node.id, other.id) <= life.startedMs,
    )
    if (!isSure)
      this.excusedMs = Math.max(this.excusedMs, ...this.nodes.map(other => Math.abs(other.offsetMs)))
  }

  /** SIGKILL. */
  crash(node: SimNode): void {
    const { disk, life, peers } = node
    if (!life || life.isDead) return
    this.crashes += 1
    life.end()
    if (disk) node.content = new Map(disk.crash())
    if (peers) this.network.died(peers)
    node.disk = undefined
    node.partitions = undefined
    node.isReady = false
  }

  /** SIGTERM: the node hands over what it leads, stops, and the process ends. */
  leave(node: SimNode): void {
    const { life, partitions } = node
    if (!life || life.isDead || !partitions || !node.isReady) return
    node.isReady = false
    node.isLeaving = true
    this.leaves += 1
    const end = () => {
      if (!life.isDead) this.crash(node)
    }
    // It is ended when it takes too long.
    this.world.schedule(9_000, end, life)
    this.world.schedule(0, () => void partitions.stop({ deadlineMs: 4_000 }).then(end, end), life)
  }

  /** Loses the disk of a node that is down. */
  wipe(node: SimNode): void {
    node.content = new Map()
  }

  /** True when what every partition acknowledged is also on another disk that is meant to have it. */
  mayWipe(node: SimNode): boolean {
    const { storeId } = node
    if (storeId === undefined || this.configurations.swapsUnderWay > 0) return false
    const stores = new Set(this.nodes.flatMap(other => (other === node ? [] : (other.storeId ?? []))))
    return [...this.configurations.truth.rows.values()].every(row => {
      const members = [row.owner, ...row.replicas]
      return !members.includes(storeId) || members.some(store => stores.has(store))
    })
  }

  pause(node: SimNode): void {
    const { life } = node
    if (!life || life.isDead || life.isPaused) return
    life.isPaused = true
    node.pausedAtMs = this.world.nowMs
    this.network.disturbed(node.id)
    this.network.changed()
  }

  resume(node: SimNode): void {
    const { life } = node
    if (!life || life.isDead || !life.isPaused) return
    node.peers?.forgive(this.world.nowMs - (node.pausedAtMs ?? this.world.nowMs))
    life.resume()
    this.network.disturbed(node.id)
    this.network.changed()
  }

  nodeOf(storeId: StoreId): SimNode | undefined {
    return this.nodes.find(node => node.storeId === storeId)
  }

  head(node: SimNode, partition: PartitionId): PartitionHead | undefined {
    const key = headKey(partition)
    const bytes = node.durable.get(key)
    const text = bytes && openRecord(key, bytes)?.text
    return text === undefined ? undefined : parseHead(text)
  }

  /** A list as it is on a node's disk. */
  stored(node: SimNode, key: EntityKey): readonly string[] {
    const partition = partitionOf(key)
    const head = this.head(node, partition)
    if (!head) return []
    const name = new PartitionKeys(partition, head.generation).record(key, 'ids')
    const bytes = node.durable.get(name)
    const text = bytes && openRecord(name, bytes)?.text
    return text === undefined ? [] : (JSON.parse(text) as string[])
  }

  /** Everything of a partition on a node's disk, without what differs by store. */
  content(node: SimNode, partition: PartitionId): string {
    // Of one that nothing was ever written to there is no head either.
    const head = this.head(node, partition) ?? firstHead
    const { prefix } = new PartitionKeys(partition, head.generation)
    const lines: string[] = []
    for (const [key, bytes] of node.durable) {
      if (key.startsWith(prefix)) lines.push(`${key.slice(prefix.length)} ${bytes.toString('latin1')}`)
    }
    const { chain, seq } = head
    return `${seq} ${chain.high} ${chain.low}\n${lines.sort().join('\n')}`
  }

  #hear({ id, index }: Sunk): void {
    const known = this.heard.get(id)
    if (known !== undefined && known !== index)
      this.world.problem(`effect of ${id} was sent with index ${known}, then ${index}`)
    this.heard.set(id, index)
  }

  /** When a node's copy of a partition was written to last. */
  writtenAtMs(node: SimNode, partition: PartitionId): number {
    return this.#writtenAtMs.get(`${node.id} ${headKey(partition)}`) ?? 0
  }

  #writeHistory(item: HistoryItem): void {
    const { epoch, seq } = item.version
    const known = this.#options.rulesOff?.newest ? undefined : this.history.get(item.key)
    if (known && (known.epoch > epoch || (known.epoch === epoch && known.seq > seq))) return
    const ids = (item.records.get('ids') as readonly string[] | undefined) ?? []
    this.history.set(item.key, { epoch, seq, ids })
  }

  /** I1: a number is used for one content. */
  #checkHead(node: SimNode, key: string, bytes: Buffer): void {
    const text = openRecord(key, bytes)?.text
    if (text === undefined) return
    this.#writtenAtMs.set(`${node.id} ${key}`, this.world.nowMs)
    const { chain, lastEpoch, seq } = parseHead(text)
    if (seq === 0) return
    const name = `${key} epoch ${lastEpoch} seq ${seq}`
    const content = `${chain.high} ${chain.low}`
    const known = this.#numbers.get(name)
    if (known !== undefined && known !== content)
      this.world.problem(`I1: ${name} has two contents, on ${node.id}`)
    this.#numbers.set(name, content)
  }

  #log(node: SimNode): Log {
    if (process.env.SIM_TRACE === undefined) return silentLog
    const say = (event: string, fields: object = {}) => this.world.trace(node.id, event, fields)
    const log: Log = { debug: say, info: say, warn: say, error: say, child: () => log }
    return log
  }
}
