/**
 * Effects that are stored and not confirmed: dispatched in order, again after a failure, until their target confirms.
 *
 * A lane is (to, target, entity). Within a lane effects leave one after the other, in the order they were committed;
 * lanes do not wait for each other. A confirmed effect's record is dropped by a later commit.
 *
 * Memory is bounded: beyond `effectsMax` a partition's effects are paged out (they are on disk anyway) and read again
 * when there is room, a page at a time, in rotation.
 *
 * Invariant: an effect is never dispatched twice at once; every stored effect is in memory, or in a partition that is
 * still to be read. What can go wrong: the node dies between confirmation and drop. Then it is dispatched again, under
 * the same id.
 */
import { setMaxListeners } from 'node:events'
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import type { Log } from '../log.js'
import { PassingMap, PassingSet } from '../passing.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock, Timer } from './clock.js'
import type { EffectDispatcher } from './contract.js'
import type { FailurePoints } from './failure-points.js'
import { type PartitionKeys, parsePartitionKey } from './keys.js'
import type { LazyDrops } from './lazy-drops.js'
import { type EffectOrder, type OrderedEffect, parseEffect } from './pending-commit.js'
import type { Store } from './store.js'

export interface EffectsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  readonly drops: LazyDrops
  readonly keys: (partition: PartitionId) => PartitionKeys
  /** True when the commit of this number is on disk and on every replica; its effects stay where they are until then. */
  readonly isReleased: (partition: PartitionId, seq: number) => boolean
  /**
   * Makes sure that this node still leads the partition, or rejects; undefined where there is nobody to ask. Asked before
   * whatever does not leave directly after its commit: meanwhile another node may have undone it.
   */
  readonly confirm?: (partition: PartitionId) => Promise<void> | undefined
  /** Effects kept in memory. */
  readonly effectsMax: number
  readonly failurePoints?: FailurePoints | undefined
}

interface Lane {
  readonly to: string
  readonly target: string
  readonly key: EntityKey
  readonly partition: PartitionId
  queue: OrderedEffect[]
  phase: 'ready' | 'dispatching' | 'waiting'
  failures: number
  retry: Timer | undefined
  /** Asked for again while being dispatched: a failure is not waited out. */
  isWanted: boolean
  /** The effect in flight was dropped meanwhile. */
  isCancelled: boolean
  /** Its partition is led by another node now. */
  isGone: boolean
}

/** Which entities' effects of a partition are in memory: keys k with after < k ≤ until. */
interface Window {
  readonly after: string
  /** Undefined: to the end. */
  readonly until: string | undefined
}

interface Slot {
  readonly partition: PartitionId
  readonly lanes: PassingMap<EntityKey, Lane[]>
  /** Undefined: nothing was read yet. */
  window: Window | undefined
  /** Where the next page starts. */
  next: string
  isLoading: boolean
  /** The page being read may be older than a failed commit. */
  mustReload: boolean
  /** What was committed while a page was being read. */
  late: { readonly key: EntityKey; readonly effects: readonly OrderedEffect[] }[]
}

const retryMsMin = 100
const retryMsMax = 30_000
const pageEffectsMax = 1_000
const pageBytesMax = 8 * 1024 * 1024
const loadsAtOnceMax = 16
const rotationMs = 1_000
/** What is sent longer after its commit is not sent directly after it. */
const directMs = 1_000

export class Effects {
  readonly #options: EffectsOptions
  readonly #dispatchers = new Map<string, EffectDispatcher>()
  readonly #slots = new Map<PartitionId, Slot>()
  /** Lanes by what `redispatch` names. */
  readonly #targets = new PassingMap<string, PassingSet<Lane>>()
  readonly #abort = new AbortController()
  /** When effects came with their commit; those read from the disk are not in it. */
  readonly #committedAtMs = new WeakMap<OrderedEffect, number>()
  #isStarted = false
  #count = 0
  #inFlight = 0
  #loads = 0
  #rotation: Timer | undefined
  #idleWaiters: (() => void)[] = []

  constructor(options: EffectsOptions) {
    this.#options = options
    // Each dispatcher in flight may listen to it; Node takes more than ten for a leak.
    setMaxListeners(0, this.#abort.signal)
  }

  /** Effects in memory. */
  get count(): number {
    return this.#count
  }

  get inFlight(): number {
    return this.#inFlight
  }

  register(to: string, dispatcher: EffectDispatcher): void {
    this.#dispatchers.set(to, dispatcher)
    for (const lanes of this.#targets.values()) for (const lane of lanes) if (lane.to === to) this.#pump(lane)
  }

  /** Reads what is stored and begins to dispatch. Resolves when the first page of every partition was read. */
  async start(
    partitions: readonly PartitionId[],
    isEmpty: (partition: PartitionId) => boolean,
  ): Promise<void> {
    this.#isStarted = true
    const waiting: PartitionId[] = []
    for (const partition of partitions) {
      const slot = this.#slot(partition)
      if (isEmpty(partition)) slot.window = { after: '', until: undefined }
      else waiting.push(partition)
    }
    const worker = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        if (this.#count < this.#options.effectsMax) await this.#load(this.#slot(next))
      }
    }
    await Promise.all(Array.from({ length: loadsAtOnceMax }, worker))
    this.#rotate()
  }

  /** Forgets partitions that another node leads now; what is in flight there is not heard of again. */
  end(partitions: ReadonlySet<PartitionId>): void {
    for (const partition of partitions) {
      const slot = this.#slots.get(partition)
      if (!slot) continue
      this.#slots.delete(partition)
      for (const lane of [...slot.lanes.values()].flat()) {
        lane.isGone = true
        lane.retry?.cancel()
        this.#count -= lane.queue.length
        const id = targetId(lane.to, lane.target)
        const others = this.#targets.get(id)
        others?.delete(lane)
        if (others?.size === 0) this.#targets.delete(id)
      }
      slot.lanes.clear()
    }
  }

  /** Takes over effects whose commit is on disk. */
  add(partition: PartitionId, key: EntityKey, effects: readonly OrderedEffect[]): void {
    const slot = this.#slot(partition)
    if (slot.isLoading) {
      slot.late.push({ key, effects })
      return
    }
    if (!contains(slot.window, key)) return
    const nowMs = this.#options.clock.nowMs()
    for (const item of effects) this.#committedAtMs.set(item, nowMs)
    this.#merge(slot, key, effects)
    if (this.#count > this.#options.effectsMax) this.#makeRoom()
  }

  /** Forgets effects whose deletion was committed. One that is in flight is not repeated. */
  cancel(partition: PartitionId, key: EntityKey, ids: readonly string[]): void {
    const slot = this.#slot(partition)
    for (const late of slot.late) {
      if (late.key !== key) continue
      const kept = late.effects.filter(({ effect }) => !ids.includes(effect.id))
      slot.late[slot.late.indexOf(late)] = { key, effects: kept }
    }
    for (const lane of [...(slot.lanes.get(key) ?? [])]) {
      const inFlight = lane.phase === 'dispatching' ? lane.queue[0] : undefined
      const before = lane.queue.length
      lane.queue = lane.queue.filter(item => item === inFlight || !ids.includes(item.effect.id))
      this.#count -= before - lane.queue.length
      if (inFlight && ids.includes(inFlight.effect.id)) lane.isCancelled = true
      if (lane.queue.length === 0) this.#removeLane(slot, lane)
    }
  }

  redispatch(to: string, target: string): void {
    for (const lane of this.#targets.get(targetId(to, target)) ?? []) {
      lane.failures = 0
      if (lane.phase === 'dispatching') lane.isWanted = true
      else this.#pump(lane)
    }
  }

  /** Reads a partition's effects again: after a failed commit, memory and disk may differ. */
  reload(partition: PartitionId): void {
    const slot = this.#slot(partition)
    this.#pageOut(slot)
    slot.next = ''
    slot.mustReload = slot.isLoading
    if (this.#isStarted) void this.#load(slot)
  }

  /** Aborts what is in flight and waits until its dispatchers have returned, `deadlineMs` at most. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStarted = false
    this.#rotation?.cancel()
    for (const lanes of this.#targets.values()) for (const lane of lanes) lane.retry?.cancel()
    this.#abort.abort()
    if (this.#inFlight === 0 && this.#loads === 0) return
    await new Promise<void>(resolve => {
      const timer = this.#options.clock.setTimer(deadlineMs, resolve)
      this.#idleWaiters.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  #slot(partition: PartitionId): Slot {
    let slot = this.#slots.get(partition)
    if (!slot) {
      slot = {
        partition,
        lanes: new PassingMap(),
        window: undefined,
        next: '',
        isLoading: false,
        mustReload: false,
        late: [],
      }
      this.#slots.set(partition, slot)
    }
    return slot
  }

  #merge(slot: Slot, key: EntityKey, effects: readonly OrderedEffect[]): void {
    const touched = new Set<Lane>()
    for (const item of effects) {
      const lane = this.#lane(slot, key, item.effect.to, item.effect.target)
      if (lane.queue.some(queued => queued.effect.id === item.effect.id)) continue
      // Pages and commits come in order almost always; only a page read beside a commit may have to be woven in.
      let at = lane.queue.length
      const first = lane.phase === 'dispatching' ? 1 : 0
      while (at > first && isBefore(item.order, lane.queue[at - 1]?.order)) at -= 1
      lane.queue.splice(at, 0, item)
      this.#count += 1
      touched.add(lane)
    }
    for (const lane of touched) if (lane.phase === 'ready') this.#pump(lane)
  }

  #lane(slot: Slot, key: EntityKey, to: string, target: string): Lane {
    let lanes = slot.lanes.get(key)
    if (!lanes) {
      lanes = []
      slot.lanes.set(key, lanes)
    }
    let lane = lanes.find(candidate => candidate.to === to && candidate.target === target)
    if (!lane) {
      lane = {
        to,
        target,
        key,
        partition: slot.partition,
        queue: [],
        phase: 'ready',
        failures: 0,
        retry: undefined,
        isWanted: false,
        isCancelled: false,
        isGone: false,
      }
      lanes.push(lane)
      const id = targetId(to, target)
      const others = this.#targets.get(id)
      if (others) others.add(lane)
      else this.#targets.set(id, new PassingSet<Lane>().add(lane))
    }
    return lane
  }

  #removeLane(slot: Slot, lane: Lane): void {
    lane.retry?.cancel()
    const lanes = slot.lanes.get(lane.key)?.filter(other => other !== lane) ?? []
    if (lanes.length === 0) slot.lanes.delete(lane.key)
    else slot.lanes.set(lane.key, lanes)
    const id = targetId(lane.to, lane.target)
    const others = this.#targets.get(id)
    others?.delete(lane)
    if (others?.size === 0) this.#targets.delete(id)
    if (slot.lanes.size === 0 && slot.window && !isWhole(slot.window)) this.#rotateSoon(0)
  }

  #pump(lane: Lane): void {
    if (!this.#isStarted || lane.phase === 'dispatching') return
    const dispatcher = this.#dispatchers.get(lane.to)
    const first = lane.queue[0]
    if (!dispatcher || !first) return
    lane.retry?.cancel()
    lane.retry = undefined
    lane.phase = 'dispatching'
    lane.isWanted = false
    this.#inFlight += 1
    this.#dispatch(dispatcher, first, lane).then(
      () => this.#settle(lane, first, undefined),
      (error: unknown) => this.#settle(lane, first, { error }),
    )
  }

  async #dispatch(dispatcher: EffectDispatcher, item: OrderedEffect, lane: Lane): Promise<void> {
    const { failurePoints } = this.#options
    if (!this.#isDirect(item, lane)) {
      await this.#options.confirm?.(lane.partition)
      if (lane.isGone) throw new AppError('unavailable')
    }
    if (failurePoints) await failurePoints.reach('effect.before-dispatch')
    await dispatcher.dispatch(item.effect, lane.key, this.#abort.signal)
    if (failurePoints) await failurePoints.reach('effect.after-confirm')
  }

  #isDirect(item: OrderedEffect, lane: Lane): boolean {
    const atMs = this.#committedAtMs.get(item) ?? Number.NEGATIVE_INFINITY
    return lane.failures === 0 && this.#options.clock.nowMs() - atMs <= directMs
  }

  #settle(lane: Lane, item: OrderedEffect, failure: { readonly error: unknown } | undefined): void {
    this.#inFlight -= 1
    if (lane.isGone) {
      this.#wakeIdle()
      return
    }
    const slot = this.#slot(lane.partition)
    if (!failure || lane.isCancelled) {
      lane.isCancelled = false
      lane.phase = 'ready'
      lane.failures = 0
      lane.queue.shift()
      this.#count -= 1
      if (!failure) {
        const keys = this.#options.keys(lane.partition)
        this.#options.drops.add(lane.partition, keys.effect(lane.key, item.effect.id))
      }
      if (lane.queue.length === 0) this.#removeLane(slot, lane)
      else this.#pump(lane)
    } else {
      lane.phase = 'waiting'
      this.#options.log.debug('effect.not-confirmed', {
        to: lane.to,
        target: lane.target,
        key: lane.key,
        effect: item.effect.id,
        failures: lane.failures + 1,
        error: failure.error instanceof Error ? failure.error.message : String(failure.error),
      })
      if (!contains(slot.window, lane.key)) this.#forgetLane(slot, lane)
      else if (lane.isWanted) this.#pump(lane)
      else this.#retryLater(lane)
    }
    this.#wakeIdle()
  }

  #retryLater(lane: Lane): void {
    const delayMs = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(lane.failures, 20))
    lane.failures += 1
    if (!this.#isStarted) return
    // Spread, so that a target that comes back is not met by everybody at once.
    lane.retry = this.#options.clock.setTimer(delayMs * (0.75 + this.#options.random() / 4), () => {
      lane.retry = undefined
      this.#pump(lane)
    })
  }

  #forgetLane(slot: Slot, lane: Lane): void {
    this.#count -= lane.queue.length
    lane.queue = []
    this.#removeLane(slot, lane)
  }

  /** Drops a partition's effects from memory, except those in flight. */
  #pageOut(slot: Slot): void {
    if (slot.window) slot.next = slot.window.after
    slot.window = undefined
    for (const lane of [...slot.lanes.values()].flat()) {
      if (lane.phase === 'dispatching') {
        this.#count -= lane.queue.length - 1
        lane.queue.length = 1
      } else this.#forgetLane(slot, lane)
    }
  }

  /** Reads the next page of a partition, in place of what it has in memory. */
  async #load(slot: Slot): Promise<void> {
    if (slot.isLoading) return
    slot.isLoading = true
    this.#loads += 1
    try {
      const after = slot.next
      const { drops, keys, store } = this.#options
      const partitionKeys = keys(slot.partition)
      const { records, hasMore } = await store.range({
        ...partitionKeys.effectsAfter(after),
        limit: pageEffectsMax,
        bytesMax: pageBytesMax,
      })
      if (this.#slots.get(slot.partition) !== slot) return
      const byEntity = new Map<EntityKey, OrderedEffect[]>()
      for (const record of records) {
        const parsed = parsePartitionKey(record.key)
        if (!parsed || drops.has(slot.partition, record.key)) continue
        const effects = byEntity.get(parsed.key) ?? []
        effects.push(parseEffect(parsed.rest, record.text))
        byEntity.set(parsed.key, effects)
      }
      const last = records.at(-1)
      let until: string | undefined
      if (hasMore && last) {
        until = parsePartitionKey(last.key)?.key
        const lastKey = until as EntityKey
        // The page may end in the middle of an entity: its effects must come as one, or their order is lost.
        const rest = await store.range({ gte: `${last.key}\0`, lt: partitionKeys.effectRange(lastKey).lt })
        if (this.#slots.get(slot.partition) !== slot) return
        const effects = byEntity.get(lastKey) ?? []
        for (const record of rest.records) {
          effects.push(parseEffect(parsePartitionKey(record.key)?.rest ?? '', record.text))
        }
        byEntity.set(lastKey, effects)
      }
      slot.window = { after, until }
      slot.next = until ?? ''
      slot.isLoading = false
      for (const [key, effects] of byEntity) {
        // A page also shows what is being written, or waits for replicas: that is added when it has arrived there.
        const released = effects.filter(({ order }) => this.#options.isReleased(slot.partition, order[1]))
        released.sort((a, b) => (isBefore(a.order, b.order) ? -1 : 1))
        if (released.length > 0) this.#merge(slot, key, released)
      }
    } catch (error) {
      this.#options.log.warn('effects.read-failed', { partition: slot.partition, error })
      this.#rotateSoon(rotationMs)
    } finally {
      slot.isLoading = false
      this.#loads -= 1
      const { late } = slot
      slot.late = []
      if (this.#slots.get(slot.partition) === slot) {
        for (const { key, effects } of late) this.add(slot.partition, key, effects)
        if (slot.mustReload) this.reload(slot.partition)
      }
      this.#wakeIdle()
    }
  }

  #makeRoom(): void {
    let victim: Slot | undefined
    for (const slot of this.#slots.values()) {
      if (slot.isLoading || !slot.window || slot.lanes.size === 0) continue
      if (!victim || slot.lanes.size > victim.lanes.size) victim = slot
    }
    if (victim) this.#pageOut(victim)
    this.#rotateSoon(rotationMs)
  }

  #rotateSoon(delayMs: number): void {
    if (!this.#isStarted || this.#rotation) return
    this.#rotation = this.#options.clock.setTimer(delayMs, () => {
      this.#rotation = undefined
      this.#rotate()
    })
  }

  /** Gives the next partition that is not whole in memory its turn. */
  #rotate(): void {
    const partial = [...this.#slots.values()].filter(
      slot => !slot.isLoading && !(slot.window && isWhole(slot.window)),
    )
    const next = partial.find(slot => !slot.window) ?? partial.find(slot => isStuck(slot))
    if (next) {
      const resumeAt = next.window ? (next.window.until ?? '') : next.next
      if (next.window) this.#pageOut(next)
      next.next = resumeAt
      // Begin again from the start of this partition's round after the others had theirs.
      this.#slots.delete(next.partition)
      this.#slots.set(next.partition, next)
      if (this.#count >= this.#options.effectsMax * 0.75) this.#makeRoom()
      void this.#load(next)
    }
    if (partial.length > 0) this.#rotateSoon(rotationMs)
  }

  #wakeIdle(): void {
    if (this.#inFlight > 0 || this.#loads > 0) return
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const wake of waiters) wake()
  }
}

function targetId(to: string, target: string): string {
  return `${to}\0${target}`
}

function contains(window: Window | undefined, key: EntityKey): boolean {
  return window !== undefined && key > window.after && (window.until === undefined || key <= window.until)
}

function isWhole(window: Window): boolean {
  return window.after === '' && window.until === undefined
}

/** True when nothing of a page is on its way: its targets are away. */
function isStuck(slot: Slot): boolean {
  for (const lanes of slot.lanes.values())
    for (const lane of lanes) if (lane.phase === 'dispatching') return false
  return true
}

function isBefore(a: EffectOrder, b: EffectOrder | undefined): boolean {
  if (!b) return false
  return (a[0] - b[0] || a[1] - b[1] || a[2] - b[2]) < 0
}
