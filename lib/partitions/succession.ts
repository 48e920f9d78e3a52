/**
 * Who leads a partition next, of those who held it under its row and can be reached.
 *
 * Every member has every commit that was acknowledged, but some have more than others: the highest position leads, and
 * whoever stands at the same with the same hash follows at once. Invariant: no member's position exceeds the new
 * leader's. What can go wrong: a member has promised an epoch that no row reaches. It would refuse whoever leads below,
 * so the row leaps above it.
 */
import type { PartitionId } from '../ring/index.js'
import { type Configuration, isMember, type StoreId, type WantedChange } from './configuration.js'
import type { CopyPosition } from './copies.js'
import { comparePositions } from './position.js'
import type { RulesOff } from './rules.js'

/** What other stores have said of where their copies stand. */
export type HeardPositions = ReadonlyMap<StoreId, ReadonlyMap<PartitionId, CopyPosition>>

/** The row after this one: led by the highest position, with those as followers that have the same. */
export function successionOf(
  row: Configuration,
  self: StoreId,
  own: CopyPosition,
  heard: HeardPositions,
  rulesOff?: RulesOff,
): WantedChange {
  const { partition } = row
  if (rulesOff?.positions) {
    const reached = [...heard.keys()].filter(store => isMember(row, store))
    return { partition, epoch: row.epoch + 1, owner: self, replicas: reached }
  }
  let owner = self
  let best = own
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
  if (owner !== self && isEqual(own)) candidates.push(self)
  const replicas = candidates.filter(store => store !== owner && isMember(row, store))
  // What a member has promised without a row, it keeps: it would refuse whoever leads below that.
  const promises = [own, ...[...heard.values()].map(byId => byId.get(partition))]
  const promised = Math.max(row.epoch, ...promises.map(position => position?.promisedEpoch ?? 0))
  return { partition, fromEpoch: row.epoch, epoch: promised + 1, owner, replicas }
}
