/**
 * What changed about keys, rights and access rules since the last look, by whichever node or tool. The database notes
 * each change in the table `changes` (see its migration); a node looks every few seconds and forgets what it remembers
 * about it.
 *
 * Invariant: no change is missed. Rows become visible in the order of commits, not of their ids, so each look begins at
 * the oldest transaction that was still open at the look before; what that shows twice is known by its id. What can go
 * wrong: a node could not look for so long that rows it has not seen are deleted. Then everything counts as changed.
 */
import type { Queryable } from '../database/index.js'
import type { Log } from '../log.js'
import type { Clock } from './clock.js'

const keptMs = 3_600_000
/** Younger than what is deleted, whatever the clocks of node and database say. */
const gapMsMax = keptMs / 2
const pruneEveryMs = keptMs
/** More at once count as everything. */
const rowsMax = 10_000

export interface Changes {
  /** Nobody knows what changed: everything may have. */
  readonly everything: boolean
  /** Organizations in which rights or access rules changed. */
  readonly organizations: ReadonlySet<string>
  /** Keys that were revoked or deleted. */
  readonly keys: ReadonlySet<string>
}

const everythingChanged: Changes = { everything: true, organizations: new Set(), keys: new Set() }

export class ChangeFeed {
  readonly #database: Queryable
  readonly #clock: Clock
  readonly #log: Log
  #last: { readonly floor: bigint; readonly atMs: number; readonly ids: ReadonlySet<string> } | null = null
  #prunedAtMs: number

  constructor(options: { database: Queryable; clock: Clock; log: Log }) {
    this.#database = options.database
    this.#clock = options.clock
    this.#log = options.log
    this.#prunedAtMs = options.clock.nowMs()
  }

  /** What changed since the last call that succeeded. Rejects with `unavailable` when the database is away. */
  async poll(): Promise<Changes> {
    const last = this.#last
    const atMs = this.#clock.nowMs()
    const { rows } = await this.#database.query<{
      floor: string
      changes: { id: string; organization: string | null; key: string | null }[]
    }>(
      `select pg_snapshot_xmin(pg_current_snapshot())::text as floor, coalesce((
         select jsonb_agg(jsonb_build_object('id', id::text, 'organization', organization_id, 'key', api_key_id))
         from (select * from changes where transaction >= $1::text::xid8 limit $2) as newest), '[]') as changes`,
      [last?.floor.toString() ?? null, rowsMax],
    )
    this.#prune(atMs)
    const floor = BigInt(rows[0]?.floor ?? 0)
    const found = rows[0]?.changes ?? []
    this.#last = { floor, atMs, ids: new Set(found.map(change => change.id)) }
    // A smaller number than before: this is another database, e.g. one restored from a copy.
    const isContinuous = last !== null && atMs - last.atMs < gapMsMax && floor >= last.floor
    if (!isContinuous || found.length >= rowsMax) return everythingChanged
    const fresh = found.filter(change => !last.ids.has(change.id))
    return {
      everything: false,
      organizations: new Set(
        fresh.flatMap(change =>
          change.key === null && change.organization !== null ? [change.organization] : [],
        ),
      ),
      keys: new Set(fresh.flatMap(change => (change.key === null ? [] : [change.key]))),
    }
  }

  /** Any node deletes what all have seen; nobody waits for it. */
  #prune(nowMs: number): void {
    if (nowMs - this.#prunedAtMs < pruneEveryMs) return
    this.#prunedAtMs = nowMs
    this.#database
      .query(`delete from changes where at < now() - $1 * interval '1 ms'`, [keptMs])
      .catch((error: unknown) => this.#log.debug('changes.not-pruned', { error }))
  }
}
