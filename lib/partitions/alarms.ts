/**
 * Alarms: each entity has at most one. They lie on disk in the order they are due; only the near future is in memory,
 * so a million far alarms cost nothing, and one timer of the operating system serves them all.
 *
 * Invariant: every alarm of a partition with due ≤ `loadedUntilMs` is in memory; the rest is read when that time comes
 * near, a few partitions at a time: what is due now shares the disk with it. A partition that has nothing further is not
 * read again until something is set. An alarm is never delivered before its time. Those that became due while the node was down are delivered at the
 * start, a few at a time, so that they do not shut out what is new. What can go wrong: the entity moved its alarm
 * meanwhile. The entity decides: it is delivered only if it is still the entity's alarm.
 *
 * Alarms of a kind whose work is done outside the entities have a lane of their own: while that work has no room for
 * more, they wait, and nobody else's do.
 */
import type { EntityKey } from '../ids.js'
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock, Timer } from './clock.js'
import { kindOf, type PartitionKeys, parsePartitionKey } from './keys.js'
import type { Store } from './store.js'

/** `delivered`: nothing more to do. `again`: it could not be delivered now and is tried again soon. */
export type AlarmOutcome = 'delivered' | 'again'

export interface AlarmsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly keys: (partition: PartitionId) => PartitionKeys
  readonly deliver: (partition: PartitionId, key: EntityKey, dueAtMs: number) => Promise<AlarmOutcome>
  /** Alarms kept in memory. */
  readonly alarmsMax: number
}

interface Alarm {
  readonly partition: PartitionId
  readonly key: EntityKey
  readonly dueAtMs: number
}

/** Alarms that are delivered in turn. */
interface Lane {
  /** By due time; what it holds beyond `#alarms` is stale. */
  heap: Alarm[]
  delivering: number
  readonly hasRoom: () => boolean
}

interface Slot {
  loadedUntilMs: number
  isLoading: boolean
  /** The first alarm that was set beyond what is read, while it is read. */
  beyondMs: number
  /** Entities whose alarms have changed while a page is read: it may hold what they were before. */
  readonly changed: Set<EntityKey>
  /** Grows when what is being read is no longer wanted. */
  round: number
}

/** How far ahead alarms are read. */
const horizonMs = 60_000
/** Read again when less than this is left. */
const refillMs = 20_000
const atOnceMax = 64
/** Partitions read at once, after the start. */
const loadsAtOnceMax = 4
const againMs = 1_000
const nothingLoaded = -1
const everything = Number.POSITIVE_INFINITY
/** As far as the keys of alarms reach, in ms: twelve hexadecimal digits, the year 10889. */
const lastMs = 2 ** 48 - 2
/** Beyond it an operating system's timer would have to be split; alarms are re-examined this often at least. */
const sleepMsMax = 60_000

export class Alarms {
  readonly #options: AlarmsOptions
  readonly #slots = new Map<PartitionId, Slot>()
  /** In memory, by key. */
  readonly #alarms = new Map<EntityKey, Alarm>()
  readonly #common: Lane = { heap: [], delivering: 0, hasRoom: () => true }
  /** By kind. */
  readonly #held = new Map<string, Lane>()
  readonly #lanes: Lane[] = [this.#common]
  #loads = 0
  /** The least `loadedUntilMs` of all partitions that are not being read; null: to be looked for. */
  #boundaryMs: number | null = null
  #timer: Timer | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #isStarted = false

  constructor(options: AlarmsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#alarms.size
  }

  /** Alarms of this kind wait while there is no room for what they cause. Say so before the start. */
  hold(kind: string, hasRoom: () => boolean): void {
    const lane: Lane = { heap: [], delivering: 0, hasRoom }
    this.#held.set(kind, lane)
    this.#lanes.push(lane)
  }

  /** There is room again for a kind that is held. */
  resume(): void {
    this.#schedule()
  }

  /** An alarm that was delivered comes again after a moment, unless its entity has another one by then. */
  again(alarm: Alarm, afterMs = againMs): void {
    if (!this.#isStarted) return
    this.#options.clock.setTimer(afterMs, () => {
      if (!this.#isStarted || this.#alarms.has(alarm.key) || !this.#slots.has(alarm.partition)) return
      this.#remember(alarm)
      this.#schedule()
    })
  }

  /** Reads the near future of `partitions` and begins to deliver. */
  async start(
    partitions: readonly PartitionId[],
    isEmpty: (partition: PartitionId) => boolean,
  ): Promise<void> {
    this.#isStarted = true
    const stored: PartitionId[] = []
    for (const partition of partitions) {
      const loadedUntilMs = isEmpty(partition) ? everything : nothingLoaded
      this.#slots.set(partition, {
        loadedUntilMs,
        isLoading: false,
        beyondMs: everything,
        changed: new Set(),
        round: 0,
      })
      if (loadedUntilMs === nothingLoaded) stored.push(partition)
    }
    this.#boundaryMs = null
    await Promise.all(stored.map(partition => this.#load(partition)))
    this.#run()
  }

  /** Forgets partitions that another node leads now. */
  end(partitions: ReadonlySet<PartitionId>): void {
    for (const partition of partitions) {
      const slot = this.#slots.get(partition)
      if (slot) slot.round += 1
      this.#slots.delete(partition)
    }
    this.#boundaryMs = null
    for (const alarm of [...this.#alarms.values()]) {
      if (partitions.has(alarm.partition)) this.#alarms.delete(alarm.key)
    }
  }

  stop(): void {
    this.#isStarted = false
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /** The entity's alarm is now (on disk) at `dueAtMs`; null: it has none. */
  set(partition: PartitionId, key: EntityKey, dueAtMs: number | null): void {
    const slot = this.#slots.get(partition)
    if (!slot) return
    // A page that is being read may hold the old time, and may end after the new one.
    if (slot.isLoading) slot.changed.add(key)
    if (dueAtMs === null || this.#isFar(slot, dueAtMs)) {
      this.#alarms.delete(key)
      return
    }
    this.#remember({ partition, key, dueAtMs })
    if (this.#alarms.size > this.#options.alarmsMax) this.#shrink()
    this.#schedule()
  }

  /** True for an alarm that need not be in memory; it is read when its time comes near. */
  #isFar(slot: Slot, dueAtMs: number): boolean {
    const nearUntilMs = this.#options.clock.nowMs() + horizonMs
    if (slot.isLoading) {
      if (dueAtMs > nearUntilMs) slot.beyondMs = Math.min(slot.beyondMs, dueAtMs)
      return dueAtMs > nearUntilMs
    }
    if (dueAtMs > slot.loadedUntilMs) return true
    if (dueAtMs <= nearUntilMs) return false
    slot.loadedUntilMs = dueAtMs - 1
    if (this.#boundaryMs !== null) this.#boundaryMs = Math.min(this.#boundaryMs, slot.loadedUntilMs)
    return true
  }

  /** Reads a partition's alarms again: after a failed commit, memory and disk may differ. */
  reload(partition: PartitionId): void {
    const slot = this.#slots.get(partition)
    if (!slot) return
    for (const alarm of [...this.#alarms.values()]) {
      if (alarm.partition === partition) this.#alarms.delete(alarm.key)
    }
    slot.loadedUntilMs = nothingLoaded
    this.#boundaryMs = null
    if (slot.isLoading) this.#restart(slot, partition)
    else void this.#load(partition)
  }

  #restart(slot: Slot, partition: PartitionId): void {
    slot.round += 1
    slot.isLoading = false
    void this.#load(partition)
  }

  async #load(partition: PartitionId): Promise<void> {
    const slot = this.#slots.get(partition)
    if (!slot || slot.isLoading) return
    slot.isLoading = true
    slot.beyondMs = everything
    slot.changed.clear()
    this.#boundaryMs = null
    const { round } = slot
    const { alarmsMax, clock, keys, log, store } = this.#options
    const untilMs = clock.nowMs() + horizonMs
    const limit = Math.max(8, Math.floor(alarmsMax / Math.max(1, this.#slots.size)))
    this.#loads += 1
    try {
      const range = keys(partition).alarmRange(slot.loadedUntilMs, untilMs)
      const page = await store.range({ ...range, limit })
      if (slot.round !== round || !this.#isStarted) return
      let lastDueAtMs = slot.loadedUntilMs
      for (const record of page.records) {
        const parsed = parsePartitionKey(record.key)
        if (!parsed) continue
        const dueAtMs = Number.parseInt(parsed.rest, 16)
        if (!slot.changed.has(parsed.key)) this.#remember({ partition, key: parsed.key, dueAtMs })
        lastDueAtMs = Math.max(lastDueAtMs, dueAtMs)
      }
      this.#schedule()
      // A full page may end among alarms of the same ms; those are read again with the next one.
      const loadedUntilMs = page.hasMore
        ? await this.#finishMs(partition, lastDueAtMs, slot, round)
        : (await this.#nextAfter(partition, untilMs)) - 1
      if (slot.round !== round) return
      slot.loadedUntilMs = Math.min(loadedUntilMs, slot.beyondMs - 1)
      slot.isLoading = false
    } catch (error) {
      if (slot.round !== round || !this.#isStarted) return
      // What was not read is still to be read, from where it was.
      log.warn('alarms.read-failed', { partition, error })
      clock.setTimer(againMs, () => {
        if (slot.round !== round || !this.#isStarted) return
        slot.isLoading = false
        void this.#load(partition)
      })
    } finally {
      this.#loads -= 1
      this.#boundaryMs = null
      this.#schedule()
    }
  }

  /** When the first alarm after `ms` is due; `everything` when there is none. */
  async #nextAfter(partition: PartitionId, ms: number): Promise<number> {
    const { keys, store } = this.#options
    const { damaged, records } = await store.range({ ...keys(partition).alarmRange(ms, lastMs), limit: 1 })
    const next = records[0] && parsePartitionKey(records[0].key)
    if (next) return Number.parseInt(next.rest, 16)
    // What could not be read says nothing of what is behind it.
    return damaged.length > 0 ? ms + 1 : everything
  }

  /** Reads all alarms due in exactly that ms, so that the boundary of what is loaded is exact. */
  async #finishMs(partition: PartitionId, dueAtMs: number, slot: Slot, round: number): Promise<number> {
    const { keys, store } = this.#options
    const page = await store.range(keys(partition).alarmRange(dueAtMs - 1, dueAtMs))
    if (slot.round !== round || !this.#isStarted) return slot.loadedUntilMs
    for (const record of page.records) {
      const parsed = parsePartitionKey(record.key)
      if (parsed && !slot.changed.has(parsed.key)) this.#remember({ partition, key: parsed.key, dueAtMs })
    }
    return dueAtMs
  }

  #remember(alarm: Alarm): void {
    const known = this.#alarms.get(alarm.key)
    if (known?.dueAtMs === alarm.dueAtMs) return
    this.#alarms.set(alarm.key, alarm)
    const lane = this.#laneOf(alarm)
    push(lane.heap, alarm)
    if (lane.heap.length > 2 * this.#alarms.size + 1_024) {
      const fresh = lane.heap.filter(other => this.#alarms.get(other.key) === other)
      lane.heap = sorted(fresh)
    }
  }

  #laneOf({ key }: Alarm): Lane {
    return (this.#held.size > 0 && this.#held.get(kindOf(key))) || this.#common
  }

  /** Too many: the later half goes back to being on disk only. */
  #shrink(): void {
    const all = sorted(this.#alarms.values())
    const kept = all.slice(0, Math.ceil(all.length / 2))
    for (const alarm of all.slice(kept.length)) {
      const slot = this.#slots.get(alarm.partition)
      if (slot) slot.loadedUntilMs = Math.min(slot.loadedUntilMs, alarm.dueAtMs - 1)
    }
    this.#boundaryMs = null
    // What is beyond its partition's new boundary would be read twice.
    this.#alarms.clear()
    for (const lane of this.#lanes) lane.heap = []
    for (const alarm of kept) {
      if (alarm.dueAtMs > (this.#slots.get(alarm.partition)?.loadedUntilMs ?? nothingLoaded)) continue
      this.#alarms.set(alarm.key, alarm)
      push(this.#laneOf(alarm).heap, alarm)
    }
  }

  #run(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAtMs = Number.POSITIVE_INFINITY
    if (!this.#isStarted) return
    const nowMs = this.#options.clock.nowMs()
    for (const lane of this.#lanes) this.#runLane(lane, nowMs)
    if (this.#refillAtMs() <= nowMs) this.#refill(nowMs)
    this.#schedule()
  }

  #refill(nowMs: number): void {
    for (const [partition, slot] of this.#slots) {
      if (this.#loads >= loadsAtOnceMax) return
      const isNear = slot.loadedUntilMs < nowMs + refillMs
      if (isNear && !slot.isLoading && this.#mayRefill(slot, nowMs)) void this.#load(partition)
    }
  }

  /** When a partition is to be read again. */
  #refillAtMs(): number {
    if (this.#loads >= loadsAtOnceMax) return Number.POSITIVE_INFINITY
    if (this.#boundaryMs === null) {
      this.#boundaryMs = everything
      for (const slot of this.#slots.values()) {
        if (!slot.isLoading && slot.loadedUntilMs < this.#boundaryMs) this.#boundaryMs = slot.loadedUntilMs
      }
    }
    const hasSpace = this.#alarms.size < this.#options.alarmsMax / 2
    return this.#boundaryMs + 1 - (hasSpace ? refillMs : 0)
  }

  #runLane(lane: Lane, nowMs: number): void {
    for (let first = lane.heap[0]; first && isOpen(lane); first = lane.heap[0]) {
      if (this.#alarms.get(first.key) !== first) {
        pop(lane.heap)
        continue
      }
      if (first.dueAtMs > nowMs) return
      pop(lane.heap)
      this.#alarms.delete(first.key)
      void this.#deliver(first, lane)
    }
  }

  /** A partition that is ahead of a full memory waits for room. */
  #mayRefill(slot: Slot, nowMs: number): boolean {
    return this.#alarms.size < this.#options.alarmsMax / 2 || slot.loadedUntilMs < nowMs
  }

  async #deliver(alarm: Alarm, lane: Lane): Promise<void> {
    lane.delivering += 1
    let outcome: AlarmOutcome = 'again'
    try {
      outcome = await this.#options.deliver(alarm.partition, alarm.key, alarm.dueAtMs)
    } catch (error) {
      this.#options.log.warn('alarm.not-delivered', { key: alarm.key, error })
    }
    lane.delivering -= 1
    if (outcome === 'again') this.again(alarm)
    this.#schedule()
  }

  #schedule(): void {
    if (!this.#isStarted) return
    const nowMs = this.#options.clock.nowMs()
    let wakeAtMs = nowMs + sleepMsMax
    for (const lane of this.#lanes) {
      const first = lane.heap[0]
      if (first && first.dueAtMs < wakeAtMs && isOpen(lane)) wakeAtMs = first.dueAtMs
    }
    wakeAtMs = Math.max(Math.min(wakeAtMs, this.#refillAtMs()), nowMs)
    if (this.#timer && this.#timerAtMs <= wakeAtMs) return
    this.#timer?.cancel()
    this.#timerAtMs = wakeAtMs
    this.#timer = this.#options.clock.setTimer(wakeAtMs - nowMs, () => this.#run())
  }
}

/** True while one more alarm of the lane may be delivered. */
function isOpen(lane: Lane): boolean {
  return lane.delivering < atOnceMax && lane.hasRoom()
}

function push(heap: Alarm[], alarm: Alarm): void {
  heap.push(alarm)
  let at = heap.length - 1
  while (at > 0) {
    const parentAt = (at - 1) >> 1
    const parent = heap[parentAt]
    if (!parent || parent.dueAtMs <= alarm.dueAtMs) break
    heap[at] = parent
    at = parentAt
  }
  heap[at] = alarm
}

function pop(heap: Alarm[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let at = 0
  for (;;) {
    let childAt = 2 * at + 1
    let child = heap[childAt]
    const right = heap[childAt + 1]
    if (child && right && right.dueAtMs < child.dueAtMs) {
      childAt += 1
      child = right
    }
    if (!child || child.dueAtMs >= last.dueAtMs) break
    heap[at] = child
    at = childAt
  }
  heap[at] = last
}

/** A sorted array is a heap. */
function sorted(alarms: Iterable<Alarm>): Alarm[] {
  return [...alarms].sort((a, b) => a.dueAtMs - b.dueAtMs)
}
