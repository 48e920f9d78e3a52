/**
 * Postgres, as the nodes of a simulated cluster see it: the rows are one truth, and what lies between it and a node is
 * slow, away, or loses answers. A statement whose answer was lost may still be carried out a moment later.
 */
import { AppError } from '../../../lib/errors.js'
import type {
  Change,
  Configuration,
  Configurations,
  RegisteredNode,
} from '../../../lib/partitions/configuration.js'
import { isMember } from '../../../lib/partitions/configuration.js'
import { MemoryConfigurations } from '../../../lib/partitions/memory-configurations.js'
import { adoptedAt } from '../../../lib/partitions/nonce.js'
import type { PartitionId } from '../../../lib/ring/index.js'
import type { Life, World } from './world.js'

export interface ConfigurationFaults {
  /** Nobody reaches it. */
  isAway: boolean
  /** Processes that do not reach it. */
  readonly awayFrom: Set<string>
  /** Probability that an answer is lost. */
  loss: number
}

type Swap = Configurations['swap']

export class SimConfigurations {
  readonly truth = new MemoryConfigurations()
  readonly faults: ConfigurationFaults = { isAway: false, awayFrom: new Set(), loss: 0 }
  /** Takes the place of every change, and may carry it out: for tests of one that is refused, or whose answer is lost. */
  aroundSwap: ((life: Life, changes: readonly Change[], swap: Swap) => ReturnType<Swap>) | undefined
  /** Hears which changes are asked for. */
  onSwap: ((life: Life, changes: readonly Change[]) => void) | undefined
  /** Hears which rows a process knows now. */
  onRead: ((life: Life, rows: readonly Configuration[]) => void) | undefined
  /** Changes that were asked for and not carried out yet. */
  swapsUnderWay = 0
  /** What a process has read, and knows with the nodes that it reads next. */
  readonly #read = new WeakMap<Life, readonly Configuration[]>()
  /** How many nodes a process knows to be registered. */
  readonly #registered = new WeakMap<Life, number>()
  /** Rows that a backup has taken the place of. */
  readonly #lost = new Map<PartitionId, Configuration>()
  readonly #world: World
  readonly #partitions: ReadonlySet<PartitionId>

  /** Only these partitions get rows, so that a run is short; nothing is ever sent to the others. */
  constructor(world: World, partitions: readonly PartitionId[]) {
    this.#world = world
    this.#partitions = new Set(partitions)
  }

  connect(life: Life): Configurations {
    const { truth } = this
    const swap: Swap = async changes => {
      if (life.isDead) return await new Promise(() => undefined)
      this.onSwap?.(life, changes)
      const rows = await this.#change(life, changes)
      this.onRead?.(life, rows)
      return rows
    }
    return {
      cluster: () => this.#ask(life, () => truth.cluster()),
      register: (node: RegisteredNode, founding) =>
        this.#ask(life, () => {
          const founded = new Map([...founding].filter(([partition]) => this.#partitions.has(partition)))
          return truth.register(node, founded)
        }),
      read: async () => {
        const rows = await this.#ask(life, () => truth.read())
        this.#read.set(life, rows)
        return rows
      },
      nodes: async () => {
        const nodes = await this.#ask(life, () => truth.nodes())
        this.#registered.set(life, nodes.length)
        this.onRead?.(life, this.#read.get(life) ?? [])
        return nodes
      },
      forget: node => this.#ask(life, () => truth.forget(node)),
      swap: changes => (this.aroundSwap ? this.aroundSwap(life, changes, swap) : swap(changes)),
    }
  }

  #change(life: Life, changes: readonly Change[]): Promise<readonly Configuration[]> {
    this.swapsUnderWay += 1
    return this.#ask(
      life,
      () => {
        this.swapsUnderWay -= 1
        return this.#swap(changes)
      },
      () => {
        this.swapsUnderWay -= 1
      },
    )
  }

  /** How many nodes a process knows to be registered. */
  registeredFor(life: Life): number | undefined {
    return this.#registered.get(life)
  }

  /** Restores a backup. What was there before counts on, for the nodes, until newer rows are made. */
  setBack(backup: ReadonlyMap<PartitionId, Configuration>): void {
    for (const [partition, row] of backup) {
      const newest = this.newest(partition)
      if (newest) this.#lost.set(partition, newest)
      this.truth.rows.set(partition, row)
    }
  }

  /** The row that nodes go by, also when the database has lost it. */
  newest(partition: PartitionId): Configuration | undefined {
    const row = this.row(partition)
    const lost = this.#lost.get(partition)
    return lost && row && lost.epoch >= row.epoch && adoptedAt(row) < lost.epoch ? lost : row
  }

  row(partition: PartitionId): Configuration | undefined {
    return this.truth.rows.get(partition)
  }

  async #swap(changes: readonly Change[]): Promise<readonly Configuration[]> {
    for (const change of changes) {
      const row = this.truth.rows.get(change.partition)
      if (row?.epoch !== (change.fromEpoch ?? change.epoch - 1)) continue
      // An operator may give a partition to anybody.
      if (adoptedAt(change) !== change.epoch && !isMember(row, change.owner)) {
        this.#world.problem(
          `I3: partition ${change.partition} epoch ${change.epoch} goes to ${change.owner}, no member`,
        )
      }
    }
    const rows = await this.truth.swap(changes)
    for (const row of rows) this.#world.trace('postgres', 'row', row)
    return rows
  }

  async #ask<T>(life: Life, execute: () => Promise<T>, lost: () => void = () => undefined): Promise<T> {
    if (life.isDead) return await new Promise(() => undefined)
    const { random } = this.#world
    const delayMs = random.chance(0.03) && !this.#world.isCalm ? random.next() * 300 : 0.3 + random.next() * 2
    // The statement is on its way whatever becomes of the node.
    await this.#world.wait(delayMs)
    if (this.faults.isAway || this.faults.awayFrom.has(life.name)) {
      lost()
      await this.#world.wait(random.next() * 300, life)
      throw new AppError('unavailable')
    }
    if (random.chance(this.faults.loss)) {
      const isLate = random.chance(0.4)
      if (!isLate) {
        if (random.chance(0.5)) await execute()
        else lost()
      } else this.#world.schedule(random.next() * 300, () => void execute().catch(() => undefined))
      await this.#world.wait(random.next() * 200, life)
      throw new AppError('unavailable')
    }
    let result: { readonly value: T } | { readonly error: unknown }
    try {
      result = { value: await execute() }
    } catch (error) {
      result = { error }
    }
    await this.#world.wait(0.2 + random.next(), life)
    if ('error' in result) throw result.error
    return result.value
  }
}
