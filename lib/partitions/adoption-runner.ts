/**
 * Finds the partitions that wait for an operator, asks where their copies stand, and carries out what was decided.
 *
 * Nothing here happens by itself: `ring adopt` shows what would be done, and does it when it is told to accept the loss.
 * Which copy leads is decided by `adoption`. What can go wrong: a store that could still come back is away just now. Then
 * it is not asked, and what it alone has is given up; so the list is shown first.
 */
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import { type Adoption, adoptionOf, type Orphan } from './adoption.js'
import { clusterTimes } from './cluster-times.js'
import type { StoreId } from './configuration.js'
import type { CopyPosition } from './copies.js'
import type { Evidence } from './evidence.js'
import type { Followership } from './followership.js'
import type { RowTable } from './row-table.js'

export interface AdoptionOptions {
  readonly self: StoreId
  /** Copies of each partition, the leader's included. */
  readonly factor: number
  readonly rows: RowTable
  readonly evidence: Evidence
  readonly followership: Followership
  readonly log: Log
}

/**
 * What an operator has to decide: partitions whose members are all gone, and those whose rows were set back. With
 * `isDecided` they go on with the highest copies that can be reached. A partition of which a member answers is left.
 * Resolves with those that were adopted, or would be.
 */
export async function adopt(options: AdoptionOptions, isDecided: boolean): Promise<readonly Adoption[]> {
  const { factor, log, rows } = options
  await rows.read()
  const orphans = orphansOf(options)
  if (orphans.length === 0) return []
  const positions = await positionsOf(
    options,
    orphans.map(orphan => orphan.row.partition),
  )
  const adoptions = orphans.flatMap(orphan => {
    const known = [...positions].flatMap(([store, byPartition]) => {
      const position = byPartition.get(orphan.row.partition)
      return position ? [[store, position] as const] : []
    })
    return adoptionOf(orphan, new Map(known), factor) ?? []
  })
  if (!isDecided) return adoptions
  const changed = await rows.decide(
    adoptions.map(({ epoch, fromEpoch, owner, partition, replicas }) => ({
      epoch,
      fromEpoch,
      owner,
      partition,
      replicas,
    })),
  )
  log.warn('partitions.adopted', { count: changed.length })
  const adopted = new Set(changed.map(row => row.partition))
  return adoptions.filter(adoption => adopted.has(adoption.partition))
}

function orphansOf({ evidence, rows, self }: AdoptionOptions): Orphan[] {
  const isGone = (store: StoreId) => store !== self && evidence.isDead(store, clusterTimes.takeOverAfterMs)
  const orphans: Orphan[] = []
  for (const row of rows.all()) {
    const databaseEpoch = rows.seen.databaseEpoch(row.partition)
    if (databaseEpoch === undefined && ![row.owner, ...row.replicas].every(isGone)) continue
    const isOwnerAlive = row.owner === self || evidence.isConnected(row.owner)
    const seenEpoch = rows.seen.epoch(row.partition)
    orphans.push({ row, databaseEpoch: databaseEpoch ?? row.epoch, seenEpoch, isOwnerAlive })
  }
  return orphans
}

/** Where all copies that can be reached stand. Rejects when one of them does not answer after all. */
async function positionsOf(
  { evidence, followership, self }: AdoptionOptions,
  partitions: readonly PartitionId[],
): Promise<Map<StoreId, Map<PartitionId, CopyPosition>>> {
  const positions = new Map<StoreId, Map<PartitionId, CopyPosition>>()
  for (const store of [self, ...evidence.stores()]) {
    if (positions.has(store) || (store !== self && !evidence.isConnected(store))) continue
    const answer =
      store === self
        ? partitions.map(partition => followership.position(partition))
        : await followership.positionsAt(store, partitions)
    positions.set(store, new Map(answer.map(position => [position.partition, position])))
  }
  return positions
}
