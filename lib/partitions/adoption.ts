/**
 * What an operator may decide and no node ever does by itself: that a partition goes on with less than what was
 * acknowledged, because those who had it are gone; or that the rows are brought back to where they were, because the
 * database was set back to an older state.
 *
 * Invariant: among the copies that can be reached the highest position leads, so that no more is lost than must be. A
 * partition of which a member answers is not touched, unless its row was set back; then its members stay what they are.
 */
import type { PartitionId } from '../ring/index.js'
import type { Configuration, StoreId } from './configuration.js'
import type { CopyPosition } from './copies.js'
import { comparePositions } from './position.js'

/** A partition that waits for an operator. */
export interface Orphan {
  /** As the nodes know it. */
  readonly row: Configuration
  /** Epoch of the row in the database: lower when it was set back. */
  readonly databaseEpoch: number
  /** The highest that is known to have been there: above the row's when nobody here knows the newest row. */
  readonly seenEpoch: number
  /** Its owner can be reached. */
  readonly isOwnerAlive: boolean
}

export interface Adoption {
  readonly partition: PartitionId
  readonly fromEpoch: number
  readonly epoch: number
  readonly owner: StoreId
  readonly replicas: readonly StoreId[]
  /** The owner's position. */
  readonly seq: number
  /** True when what was acknowledged since that position, if anything, is given up. */
  readonly mayLose: boolean
}

/** Who leads an orphan from now on; undefined when nobody reachable says where it stands. */
export function adoptionOf(
  { databaseEpoch, isOwnerAlive, row, seenEpoch }: Orphan,
  positions: ReadonlyMap<StoreId, CopyPosition>,
  copiesMax: number,
): Adoption | undefined {
  const { partition } = row
  const epochs = [...positions.values()].map(position => Math.max(position.epoch, position.seenEpoch ?? 0))
  const newest = Math.max(row.epoch, seenEpoch, databaseEpoch, ...epochs)
  const epoch = newest + 1
  const fromEpoch = databaseEpoch
  const owned = positions.get(row.owner)
  const isExceeded = owned && [...positions.values()].some(other => comparePositions(other, owned) > 0)
  // A database that has come past what was seen was led by old rows meanwhile: what was acknowledged before may be gone.
  if (isOwnerAlive && owned && !isExceeded && row.epoch === newest) {
    const { owner, replicas } = row
    return {
      partition,
      fromEpoch,
      epoch,
      owner,
      replicas,
      seq: owned.seq,
      mayLose: databaseEpoch >= row.epoch,
    }
  }
  // Of equal ones a member goes before others, so that most stays as it was.
  const ranked = [...positions].sort(
    ([a, one], [b, other]) =>
      comparePositions(other, one) || Number(row.replicas.includes(b)) - Number(row.replicas.includes(a)),
  )
  const [best] = ranked
  if (!best) return undefined
  const [owner, position] = best
  const replicas = ranked
    .slice(1)
    .filter(
      ([, { chain, epoch: at, seq }]) =>
        at === position.epoch &&
        seq === position.seq &&
        chain.high === position.chain.high &&
        chain.low === position.chain.low,
    )
    .map(([store]) => store)
    .slice(0, copiesMax - 1)
  return { partition, fromEpoch, epoch, owner, replicas, seq: position.seq, mayLose: true }
}
