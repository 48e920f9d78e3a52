/**
 * Where partitions should live, decided by the list of members alone, so that nodes that see the same members agree
 * without a word. It is a wish: who may act is decided elsewhere (the configuration rows), and moves follow it slowly.
 *
 * Consistent hashing (ringpop's ring, FarmHash fingerprint32) moves little when members come and go, but spreads 256
 * partitions over a few nodes unevenly. So no node gets more than `loadMax` times the mean ("Consistent Hashing with
 * Bounded Loads", Mirrokni, Thorup and Zadimoghaddam, 2016): what finds its node full goes on to the next one with
 * room. Unlike the paper, every partition asks its first choice before any displaced one is placed, so that one
 * displacement never causes another.
 *
 * Invariants: the same members in any order give the same answer; each partition has min(factor, members) different
 * nodes; no node owns more than max(⌈mean⌉, ⌊loadMax × mean⌋) partitions. What can go wrong: replicas keep the same
 * bound only where distinct nodes allow it (two nodes and a factor of two do not).
 */
import farmhash from 'farmhash'
import HashRing from 'ringpop/lib/ring/index.js'
import type { NodeId } from '../ids.js'
import { allPartitions, partitionCount } from './index.js'

/** Points of each node on the circle: at 1,000 the first choices are within some percent of the mean already. */
const replicaPoints = 1_000

export interface PlacementOptions {
  /** Copies of each partition, the owner's included. */
  readonly factor: number
  /** Most partitions of one node, as a multiple of the mean. */
  readonly loadMax?: number
  /** Where partitions live now, `[owner, ...replicas]` by partition: those that may stay do. */
  readonly current?: readonly (readonly NodeId[])[]
}

/** By partition, 0 to 255: `[owner, ...replicas]` where it should live; empty lists when there are no members. */
export function place(members: readonly NodeId[], options: PlacementOptions): readonly (readonly NodeId[])[] {
  const names = [...new Set(members)].sort()
  const copies = Math.min(options.factor, names.length)
  const placed: NodeId[][] = allPartitions().map(() => [])
  if (copies === 0) return placed

  const preferences = preferencesOf(names)
  const current = options.current ?? []
  for (let copy = 0; copy < copies; copy++) {
    placeCopies(placed, preferences, current, new Room(names, options.loadMax ?? 1.15), copy === 0)
  }
  return placed
}

/** Most owners one node may have among `memberCount`. */
export function ownersMax(memberCount: number, loadMax = 1.15): number {
  const mean = partitionCount / memberCount
  return Math.max(Math.ceil(mean), Math.floor(loadMax * mean))
}

/** How much each node may still take of one kind of copy. */
class Room {
  readonly #left = new Map<NodeId, number>()

  constructor(names: readonly NodeId[], loadMax: number) {
    for (const name of names) this.#left.set(name, ownersMax(names.length, loadMax))
  }

  of(name: NodeId): number {
    return this.#left.get(name) ?? Number.NEGATIVE_INFINITY
  }

  take(name: NodeId): void {
    this.#left.set(name, this.of(name) - 1)
  }
}

/** Adds one copy of every partition to `placed`. */
function placeCopies(
  placed: NodeId[][],
  preferences: readonly (readonly NodeId[])[],
  current: readonly (readonly NodeId[])[],
  room: Room,
  isOwner: boolean,
): void {
  const candidatesOf = (partition: number): readonly NodeId[] =>
    (preferences[partition] ?? []).filter(name => !placed[partition]?.includes(name))
  const assign = (partition: number, name: NodeId): void => {
    placed[partition]?.push(name)
    room.take(name)
  }

  // Those that are at their first choice already come first, so that a full node keeps what it has.
  const order = allPartitions() as number[]
  const isHome = (partition: number): boolean => {
    const first = candidatesOf(partition)[0]
    const held = current[partition] ?? []
    return first !== undefined && (isOwner ? held[0] === first : held.includes(first))
  }
  const homes = new Set(order.filter(isHome))
  const displaced: number[] = []
  for (const partition of [...homes, ...order.filter(partition => !homes.has(partition))]) {
    const first = candidatesOf(partition)[0]
    if (first !== undefined && room.of(first) > 0) assign(partition, first)
    else displaced.push(partition)
  }
  for (const partition of displaced.sort((a, b) => a - b)) {
    const candidates = candidatesOf(partition)
    const choice =
      current[partition]?.find(name => candidates.includes(name) && room.of(name) > 0) ??
      candidates.find(name => room.of(name) > 0) ??
      [...candidates].sort((a, b) => room.of(b) - room.of(a))[0]
    if (choice !== undefined) assign(partition, choice)
  }
}

/** By partition: all members in the order in which the hash circle meets them. */
function preferencesOf(names: readonly NodeId[]): readonly (readonly NodeId[])[] {
  const circle = new HashRing({ hashFunc: farmhash.fingerprint32, replicaPoints })
  for (const name of names) circle.addServer(name)
  return allPartitions().map(partition => circle.lookupN(`partition-${partition}`, names.length) as NodeId[])
}
