/**
 * Copies a whole partition to another store: a consistent snapshot, page by page, then the commits that were made
 * meanwhile. Nobody waits for it: the partition goes on working.
 */
import { AppError } from '../errors.js'
import { newId } from '../ids.js'
import type { PartitionId } from '../ring/index.js'
import type { Committer } from './committer.js'
import type { StoreId } from './configuration.js'
import { encodePage } from './copies.js'
import { PartitionKeys } from './keys.js'
import type { LeaderReplication } from './replication.js'
import type { RulesOff } from './rules.js'
import type { Store } from './store.js'

export interface SnapshotsOptions {
  readonly store: Store
  readonly committer: Committer
  readonly replication: LeaderReplication
  readonly rulesOff?: RulesOff | undefined
  /** One message to a store's node. Rejects with an `AppError`. */
  call(to: StoreId, kind: 'snapshot-begin' | 'snapshot-page' | 'snapshot-end', body: Buffer): Promise<Buffer>
}

const pageBytesMax = 256 * 1024
const pageEntriesMax = 2_000

/** Precedes a page, after the partition: the id its receiver gave the snapshot. */
export const snapshotIdBytes = 36

/** Resolves when the store has everything and every commit waits for it. Rejects when it has to begin anew. */
export async function sendSnapshot(
  options: SnapshotsOptions,
  partition: PartitionId,
  to: StoreId,
): Promise<void> {
  const { call, committer, replication, store } = options
  const { epoch } = committer.head(partition)
  const begun = await call(
    to,
    'snapshot-begin',
    Buffer.from(JSON.stringify({ partition, asked: newId(), epoch })),
  )
  const id = begun.toString()
  const { follower, head, pages } = await committer.between(() => {
    const at = committer.writtenHead(partition)
    // Led anew meanwhile: the receiver knows this leader by another epoch.
    if (at.epoch !== epoch) throw new AppError('conflict')
    const follower = replication.beginCopy(partition, to)
    return { follower, head: at, pages: store.pages(new PartitionKeys(partition, at.generation).all()) }
  })
  try {
    for (;;) {
      const entries = await pages.next({ limit: pageEntriesMax, bytesMax: pageBytesMax })
      if (entries.length === 0) break
      const opening = Buffer.alloc(2 + snapshotIdBytes)
      opening.writeUInt16BE(partition, 0)
      opening.write(id, 2)
      await call(to, 'snapshot-page', Buffer.concat([opening, encodePage(entries)]))
    }
    const { generation: _own, ...position } = head
    await call(to, 'snapshot-end', Buffer.from(JSON.stringify({ partition, id, position })))
    if (!replication.endCopy(partition, follower, head)) throw new Error('too much was written meanwhile')
    if (!options.rulesOff?.caughtUp) await replication.caughtUp(partition, to)
  } catch (error) {
    replication.abandonCopy(partition, follower)
    throw error
  } finally {
    await pages.end()
  }
}
