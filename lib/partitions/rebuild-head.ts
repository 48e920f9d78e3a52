/**
 * Rebuilds the head of a partition whose own was lost or damaged, from the heads of its entities: the highest position
 * that any of them knows. The hash chain starts anew, so no copy of this partition is taken for an equal one.
 */
import type { PartitionId } from '../ring/index.js'
import { changeDigest, parseEntityHead } from './entity-head.js'
import { PartitionKeys, parsePartitionKey } from './keys.js'
import { comparePositions, firstHead, type PartitionHead, type Position } from './position.js'
import type { Store } from './store.js'

const pageRecords = 1_000

/** The head as far as the records tell; `firstHead` for an empty partition. */
export async function rebuildHead(store: Store, partition: PartitionId): Promise<PartitionHead> {
  const range = {
    gte: new PartitionKeys(partition, 0).prefix.slice(0, 5),
    lt: new PartitionKeys(partition, 0xffff).all().lt,
  }
  let position: Position = firstHead
  let generation = 0
  let digest = 0
  for (let from = range.gte; ; ) {
    const page = await store.range({ gte: from, lt: range.lt, limit: pageRecords })
    for (const record of page.records) {
      const parsed = parsePartitionKey(record.key)
      if (!parsed) continue
      generation = Math.max(generation, parsed.generation)
      if (parsed.class !== 'e' || parsed.rest !== '') continue
      const head = parseEntityHead(record.text)
      if (!head) continue
      if (comparePositions(head, position) > 0) position = { epoch: head.epoch, seq: head.seq }
      digest = changeDigest(digest, record.crc, 0)
    }
    if (!page.hasMore || page.lastKey === undefined) break
    from = `${page.lastKey}\0`
  }
  return {
    ...firstHead,
    epoch: position.epoch,
    seq: position.seq,
    lastEpoch: position.epoch,
    generation,
    digest,
  }
}
