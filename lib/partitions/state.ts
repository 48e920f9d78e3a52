/**
 * The state of a stopped node: opened without changing what it says, listed, shown. `state-verify.ts` checks it,
 * `state-transfer.ts` carries it out and brings it back.
 */
import type { EntityKey } from '../ids.js'
import { createLog } from '../log.js'
import { allPartitions, type PartitionId, partitionOf } from '../ring/index.js'
import { systemClock } from './clock.js'
import { directoryHasStore } from './disk-repair.js'
import type { Effect, Json } from './entity.js'
import { entityDefect, parseEntityHead } from './entity-head.js'
import { headKey, headRange, kindOf, PartitionKeys, parsePartitionKey } from './keys.js'
import { parseEffect } from './pending-commit.js'
import { firstHead, type PartitionHead, parseHead } from './position.js'
import { type Damage, openStore, type Store, type StoredRecord } from './store.js'

/** An open store of a stopped node. Close it. */
export interface StateDirectory {
  readonly store: Store
  readonly heads: ReadonlyMap<PartitionId, PartitionHead>
  close(): Promise<void>
}

export interface EntitySummary {
  readonly key: EntityKey
  readonly kind: string
  readonly partition: PartitionId
  readonly records: number
  readonly bytes: number
  readonly status: 'whole' | 'damaged'
  /** Why it is damaged. */
  readonly reason?: string
}

export interface EntityDetails extends EntitySummary {
  readonly epoch: number
  readonly seq: number
  readonly alarmAtMs: number | null
  readonly values: Readonly<Record<string, Json>>
  readonly effects: readonly Effect[]
  /** Its history is not in Postgres yet. */
  readonly isMarked: boolean
}

export const pageRecords = 1_000
/**
 * Opens the LevelDB directory of a stopped node. Damaged files are repaired first (what was in them is kept in
 * `quarantine/`), since nothing could be read otherwise.
 * @throws Error when a node has it open
 */
export async function openState(
  path: string,
  options: { readonly readOnly?: boolean; readonly onDamage?: (damage: Damage) => void } = {},
): Promise<StateDirectory> {
  const readOnly = options.readOnly ?? true
  if (readOnly && !(await directoryHasStore(path))) throw new Error(`there is no store in ${path}`)
  const store = await openStore({
    backend: 'leveldown',
    path,
    clock: systemClock(),
    log: createLog('interval:state'),
    onFatal: () => undefined,
    readOnly,
    ...(options.onDamage && { onDamage: options.onDamage }),
  })
  return { store, heads: await readHeads(store), close: () => store.close() }
}

/** Every entity, partition by partition. */
export async function* listEntities(state: StateDirectory): AsyncGenerator<EntitySummary> {
  for (const [partition, head] of state.heads) {
    for await (const entity of entitiesOf(state.store, partition, head)) yield entity.summary
  }
}

/** One entity with all it holds; undefined when there is none. */
export async function showEntity(state: StateDirectory, key: EntityKey): Promise<EntityDetails | undefined> {
  const partition = partitionOf(key)
  const partitionHead = state.heads.get(partition) ?? firstHead
  const keys = new PartitionKeys(partition, partitionHead.generation)
  const { records, damaged } = await state.store.range(keys.entityRange(key))
  if (records.length === 0 && damaged.length === 0) return undefined
  return await detailsOf(state.store, keys, new StoredEntity(key, partition, partitionHead, records, damaged))
}

async function readHeads(store: Store): Promise<Map<PartitionId, PartitionHead>> {
  const { records } = await store.range(headRange)
  const stored = new Map(records.map(record => [record.key, parseHead(record.text)]))
  const heads = new Map<PartitionId, PartitionHead>()
  for (const partition of allPartitions()) {
    const head = stored.get(headKey(partition))
    if (head) heads.set(partition, head)
  }
  return heads
}

/** The records of one entity and what they say about it. */
export class StoredEntity {
  readonly summary: EntitySummary
  readonly entityHead: ReturnType<typeof parseEntityHead>
  readonly headCrc: number | undefined
  readonly records: readonly StoredRecord[]

  constructor(
    key: EntityKey,
    partition: PartitionId,
    partitionHead: PartitionHead,
    records: readonly StoredRecord[],
    damaged: readonly string[],
  ) {
    const first = records[0]
    const hasHead = first !== undefined && parsePartitionKey(first.key)?.rest === ''
    this.entityHead = hasHead ? parseEntityHead(first.text) : undefined
    this.headCrc = hasHead ? first.crc : undefined
    this.records = hasHead ? records.slice(1) : records
    const crcs = this.records.map(record => record.crc)
    const reason =
      damaged.length > 0 ? 'a record of it is damaged' : entityDefect(this.entityHead, crcs, partitionHead)
    let bytes = 0
    for (const record of records) bytes += record.key.length + record.bytes.length
    this.summary = {
      key,
      kind: kindOf(key),
      partition,
      records: this.records.length + (this.entityHead?.only ? 1 : 0),
      bytes,
      status: reason === undefined ? 'whole' : 'damaged',
      ...(reason !== undefined && { reason }),
    }
  }
}

/** The entities of one partition, whole or not. */
export async function* entitiesOf(
  store: Store,
  partition: PartitionId,
  head: PartitionHead,
): AsyncGenerator<StoredEntity> {
  const range = new PartitionKeys(partition, head.generation).classRange('e')
  let key: EntityKey | undefined
  let records: StoredRecord[] = []
  let damaged: string[] = []
  for await (const record of pagesOf(store, range.gte, range.lt)) {
    const recordKey = typeof record === 'string' ? record : record.key
    const parsed = parsePartitionKey(recordKey)
    if (!parsed) continue
    if (parsed.key !== key) {
      if (key !== undefined) yield new StoredEntity(key, partition, head, records, damaged)
      key = parsed.key
      records = []
      damaged = []
    }
    if (typeof record === 'string') damaged.push(record)
    else records.push(record)
  }
  if (key !== undefined) yield new StoredEntity(key, partition, head, records, damaged)
}

/** Records of a range in key order; a damaged one appears as its key. */
export async function* pagesOf(store: Store, gte: string, lt: string): AsyncGenerator<StoredRecord | string> {
  for (let from = gte; ; ) {
    const page = await store.range({ gte: from, lt, limit: pageRecords, bytesMax: 8 * 1024 * 1024 })
    const all = [...page.records, ...page.damaged]
    yield* all.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    if (!page.hasMore || page.lastKey === undefined) return
    from = `${page.lastKey}\0`
  }
}

export function keyOf(record: StoredRecord | string): string {
  return typeof record === 'string' ? record : record.key
}

export async function detailsOf(
  store: Store,
  keys: PartitionKeys,
  entity: StoredEntity,
): Promise<EntityDetails> {
  const { key } = entity.summary
  const texts = entity.records.map(
    record => [parsePartitionKey(record.key)?.rest ?? '', record.text] as const,
  )
  const only = entity.entityHead?.only
  if (only) texts.push([only.name, only.text])
  const values = Object.fromEntries(texts.map(([name, text]) => [name, JSON.parse(text) as Json]))
  const stored = await store.range(keys.effectRange(key))
  const effects = stored.records
    .map(record => parseEffect(parsePartitionKey(record.key)?.rest ?? '', record.text))
    .sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1] || a.order[2] - b.order[2])
    .map(({ effect }) => effect)
  return {
    ...entity.summary,
    epoch: entity.entityHead?.epoch ?? 0,
    seq: entity.entityHead?.seq ?? 0,
    alarmAtMs: entity.entityHead?.alarmAtMs ?? null,
    values,
    effects,
    isMarked: (await store.get(keys.mark(key))) !== undefined,
  }
}
