/**
 * Looks into, checks, carries out and brings back the state of a stopped node.
 *
 * Everything but import opens the store without changing what it says. Import validates the whole file before it writes
 * anything, and never replaces an entity unless it is asked to. The file is JSON lines: a header, one line per entity,
 * and a trailer with the number of entities and a checksum of all lines before it, so a file that was cut is refused.
 */
import { crc32 } from 'node:zlib'
import type { EntityKey } from '../ids.js'
import { createLog } from '../log.js'
import { allPartitions, type PartitionId, partitionOf } from '../ring/index.js'
import { systemClock } from './clock.js'
import { Committer } from './committer.js'
import type { DiskOperation } from './disk.js'
import { directoryHasStore } from './disk-repair.js'
import type { Effect, Json } from './entity.js'
import { changeDigest, entityDefect, formatEntityHead, parseEntityHead } from './entity-head.js'
import { headKey, headRange, isEntityKey, kindOf, PartitionKeys, parsePartitionKey } from './keys.js'
import { formatEffect, parseEffect } from './pending-commit.js'
import { type CommitOperation, firstHead, type PartitionHead, parseHead } from './position.js'
import { sealRecord } from './record.js'
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

export interface Problem {
  /** `damage` means that something acknowledged may be missing; a `note` is worth knowing only. */
  readonly severity: 'damage' | 'note'
  readonly what: string
  readonly reason: string
}

export interface ImportResult {
  readonly imported: number
  readonly replaced: number
}

const pageRecords = 1_000
const exportFormat = 1

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

/** Checks everything that can be checked; yields each problem. */
export async function* verify(state: StateDirectory): AsyncGenerator<Problem> {
  const { heads, store } = state
  const told = new Set<string>()
  for (const damage of store.damages)
    yield { severity: 'damage', what: printable(damage.what), reason: damage.reason }
  const known = store.damages.length
  for (const [partition, head] of heads) {
    const keys = new PartitionKeys(partition, head.generation)
    let digest = 0
    const alarms = new Map<EntityKey, number>()
    const present = new Set<EntityKey>()
    for await (const { entityHead, headCrc, summary } of entitiesOf(store, partition, head)) {
      present.add(summary.key)
      digest = changeDigest(digest, headCrc ?? 0, 0)
      if (summary.reason !== undefined)
        yield { severity: 'damage', what: summary.key, reason: summary.reason }
      if (partitionOf(summary.key) !== partition) {
        yield {
          severity: 'damage',
          what: summary.key,
          reason: `it lies in partition ${partition}, where it is not looked for`,
        }
      }
      const alarmAtMs = entityHead?.alarmAtMs ?? null
      if (alarmAtMs !== null) alarms.set(summary.key, alarmAtMs)
    }
    if (digest !== head.digest) {
      yield {
        severity: 'damage',
        what: `partition ${partition}`,
        reason: 'an entity is missing, or older than it was, or its chain of commits has a hole',
      }
    }
    yield* verifyAlarms(store, keys, alarms)
    yield* verifyFollowers(store, keys, present)
  }
  yield* verifyKeys(state)
  // Records with wrong checksums that were found on the way.
  for (const damage of store.damages.slice(known)) {
    if (told.has(damage.what)) continue
    told.add(damage.what)
    yield { severity: 'damage', what: printable(damage.what), reason: damage.reason }
  }
  const count = await store.countQuarantined(pageRecords)
  if (count > 0) {
    const more = count === pageRecords ? ' or more' : ''
    yield { severity: 'note', what: 'quarantine', reason: `${count}${more} records were set aside earlier` }
  }
}

/**
 * All whole entities as JSON lines, each ending in a line feed. Damaged ones are left out and given to `onSkipped`.
 */
export async function* exportState(
  state: StateDirectory,
  options: { readonly onSkipped?: (entity: EntitySummary) => void } = {},
): AsyncGenerator<string> {
  let crc = 0
  let entities = 0
  const line = (value: unknown): string => {
    const text = `${JSON.stringify(value)}\n`
    crc = crc32(text, crc)
    return text
  }
  yield line({ type: 'interval-state', format: exportFormat, storeId: state.store.storeId })
  for (const [partition, head] of state.heads) {
    const keys = new PartitionKeys(partition, head.generation)
    for await (const entity of entitiesOf(state.store, partition, head)) {
      if (entity.summary.status !== 'whole') {
        options.onSkipped?.(entity.summary)
        continue
      }
      const { alarmAtMs, effects, isMarked, key, values } = await detailsOf(state.store, keys, entity)
      entities += 1
      yield line({ type: 'entity', key, alarmAtMs, isMarked, values, effects })
    }
  }
  yield `${JSON.stringify({ type: 'end', entities, crc })}\n`
}

interface ExportedEntity {
  readonly key: EntityKey
  readonly alarmAtMs: number | null
  readonly isMarked: boolean
  readonly values: Readonly<Record<string, Json>>
  readonly effects: readonly Effect[]
}

/**
 * Brings in what `exportState` wrote. `lines` is called twice: once to validate all, once to write.
 * @throws Error, with nothing written, when the file is not whole or an entity exists and `overwrite` is not set
 */
export async function importState(
  state: StateDirectory,
  lines: () => AsyncIterable<string>,
  options: { readonly overwrite?: boolean } = {},
): Promise<ImportResult> {
  const { store } = state
  const existing = new Set<EntityKey>()
  for await (const entity of readExport(lines())) {
    if ((await currentRecords(state, entity.key)).length > 0) existing.add(entity.key)
  }
  if (existing.size > 0 && !options.overwrite) {
    const [first] = existing
    throw new Error(`${existing.size} entities exist already, e.g. ${first}; nothing was imported`)
  }
  const clock = systemClock()
  const committer = new Committer({
    store,
    clock,
    log: createLog('interval:state'),
    sync: true,
    queueBytesMax: 64 * 1024 * 1024,
    onFailure: () => undefined,
    onReady: () => undefined,
  })
  await committer.open(allPartitions())
  let imported = 0
  let pending: Promise<void>[] = []
  for await (const entity of readExport(lines())) {
    const partition = partitionOf(entity.key)
    const before = await currentRecords(state, entity.key)
    const oldEffects = await store.range(committer.keys(partition).effectRange(entity.key))
    const { digestChange, operations } = importOperations(committer, entity, before, oldEffects.records)
    pending.push(committer.commit(partition, operations, digestChange))
    imported += 1
    if (pending.length < 100) continue
    await Promise.all(pending)
    pending = []
  }
  await Promise.all(pending)
  committer.close()
  return { imported, replaced: existing.size }
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
class StoredEntity {
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
      records: this.records.length,
      bytes,
      status: reason === undefined ? 'whole' : 'damaged',
      ...(reason !== undefined && { reason }),
    }
  }
}

async function* entitiesOf(
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
async function* pagesOf(store: Store, gte: string, lt: string): AsyncGenerator<StoredRecord | string> {
  for (let from = gte; ; ) {
    const page = await store.range({ gte: from, lt, limit: pageRecords, bytesMax: 8 * 1024 * 1024 })
    const all = [...page.records, ...page.damaged]
    yield* all.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    if (!page.hasMore || page.lastKey === undefined) return
    from = `${page.lastKey}\0`
  }
}

function keyOf(record: StoredRecord | string): string {
  return typeof record === 'string' ? record : record.key
}

async function detailsOf(store: Store, keys: PartitionKeys, entity: StoredEntity): Promise<EntityDetails> {
  const { key } = entity.summary
  const values = Object.fromEntries(
    entity.records.map(record => [
      parsePartitionKey(record.key)?.rest ?? '',
      JSON.parse(record.text) as Json,
    ]),
  )
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

async function* verifyAlarms(
  store: Store,
  keys: PartitionKeys,
  alarms: Map<EntityKey, number>,
): AsyncGenerator<Problem> {
  const range = keys.classRange('a')
  for await (const record of pagesOf(store, range.gte, range.lt)) {
    const parsed = parsePartitionKey(keyOf(record))
    if (!parsed || typeof record === 'string') continue
    if (alarms.get(parsed.key) === Number.parseInt(parsed.rest, 16)) alarms.delete(parsed.key)
    else
      yield {
        severity: 'note',
        what: parsed.key,
        reason: 'an alarm is stored that is not its own; it will not be delivered',
      }
  }
  for (const key of alarms.keys()) {
    yield { severity: 'damage', what: key, reason: 'its alarm is not in the index and would not fire' }
  }
}

/** Effects and history marks outlive a deleted entity only for a moment. */
async function* verifyFollowers(
  store: Store,
  keys: PartitionKeys,
  present: ReadonlySet<EntityKey>,
): AsyncGenerator<Problem> {
  for (const [name, what] of [
    ['f', 'an effect'],
    ['o', 'a history mark'],
  ] as const) {
    const range = keys.classRange(name)
    for await (const record of pagesOf(store, range.gte, range.lt)) {
      const parsed = parsePartitionKey(keyOf(record))
      if (!parsed || present.has(parsed.key)) continue
      yield { severity: 'note', what: parsed.key, reason: `${what} is stored for it, but it does not exist` }
    }
  }
}

/** Records that belong to nothing: other generations, partitions without a head, keys of no known form. */
async function* verifyKeys({ heads, store }: StateDirectory): AsyncGenerator<Problem> {
  const generations = new Map<string, number>()
  for await (const record of pagesOf(store, 'p', 'q')) {
    const parsed = parsePartitionKey(keyOf(record))
    if (!parsed) {
      yield { severity: 'damage', what: printable(keyOf(record)), reason: 'this key has no known form' }
    } else if (heads.get(parsed.partition)?.generation !== parsed.generation) {
      const name = `partition ${parsed.partition}, generation ${parsed.generation}`
      generations.set(name, (generations.get(name) ?? 0) + 1)
    }
  }
  for (const [what, count] of generations) {
    yield { severity: 'note', what, reason: `${count} records are not in use` }
  }
}

async function currentRecords(state: StateDirectory, key: EntityKey): Promise<readonly StoredRecord[]> {
  const partition = partitionOf(key)
  const keys = new PartitionKeys(partition, state.heads.get(partition)?.generation ?? 0)
  const { records } = await state.store.range(keys.entityRange(key))
  return records
}

/** Yields every entity of an export. @throws Error at the first line that is not as it should be */
async function* readExport(lines: AsyncIterable<string>): AsyncGenerator<ExportedEntity> {
  let crc = 0
  let number = 0
  let entities = 0
  let isEnded = false
  const seen = new Set<string>()
  for await (const text of lines) {
    number += 1
    const line = text.endsWith('\n') ? text.slice(0, -1) : text
    if (line === '') continue
    if (isEnded) throw new Error(`line ${number}: there is something after the end`)
    const value = parseLine(line, number)
    if (number === 1) {
      if (value.type !== 'interval-state') throw new Error('line 1: this is not an exported state')
      if (value.format !== exportFormat)
        throw new Error(`line 1: format ${String(value.format)} is not known`)
    } else if (value.type === 'end') {
      if (value.entities !== entities || value.crc !== crc) {
        throw new Error(`line ${number}: the checksum does not fit: the file was changed or cut`)
      }
      isEnded = true
    } else {
      const entity = parseEntity(value, number)
      if (seen.has(entity.key)) throw new Error(`line ${number}: ${entity.key} is there twice`)
      seen.add(entity.key)
      entities += 1
      yield entity
    }
    crc = crc32(`${line}\n`, crc)
  }
  if (!isEnded) throw new Error(`line ${number}: the file ends too early`)
}

function parseLine(line: string, number: number): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Error(`line ${number}: this is not JSON`)
  }
  if (!isRecord(value)) throw new Error(`line ${number}: this is not an object`)
  return value
}

function parseEntity(value: Record<string, unknown>, number: number): ExportedEntity {
  const { alarmAtMs, effects, isMarked, key, type, values } = value
  const isAlarm = alarmAtMs === null || (Number.isSafeInteger(alarmAtMs) && Number(alarmAtMs) >= 0)
  if (
    type !== 'entity' ||
    typeof key !== 'string' ||
    !isEntityKey(key) ||
    !isAlarm ||
    typeof isMarked !== 'boolean' ||
    !isRecord(values) ||
    Object.hasOwn(values, '') ||
    !Array.isArray(effects) ||
    !effects.every(isEffect)
  ) {
    throw new Error(`line ${number}: this is not an entity`)
  }
  return {
    key,
    alarmAtMs: alarmAtMs as number | null,
    isMarked,
    values: values as Record<string, Json>,
    effects,
  }
}

function isEffect(value: unknown): value is Effect {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    typeof value.to === 'string' &&
    typeof value.target === 'string' &&
    value.payload !== undefined
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function importOperations(
  committer: Committer,
  entity: ExportedEntity,
  before: readonly StoredRecord[],
  oldEffects: readonly StoredRecord[],
): { operations: CommitOperation[]; digestChange: number } {
  const partition = partitionOf(entity.key)
  const keys = committer.keys(partition)
  const { epoch, seq } = committer.head(partition)
  const operations: CommitOperation[] = [...before, ...oldEffects].map(
    ({ key }): DiskOperation => ({ type: 'del', key }),
  )
  const put = (key: string, text: string): number => {
    const { bytes, crc } = sealRecord(key, text)
    operations.push({ type: 'put', key, value: bytes, crc })
    return crc
  }
  const oldHead = before[0] && before[0].key === keys.entityHead(entity.key) ? before[0] : undefined
  const oldAlarmAtMs = oldHead && parseEntityHead(oldHead.text)?.alarmAtMs
  if (typeof oldAlarmAtMs === 'number')
    operations.push({ type: 'del', key: keys.alarm(oldAlarmAtMs, entity.key) })
  let digest = 0
  const values = Object.entries(entity.values)
  for (const [name, value] of values) {
    digest = changeDigest(digest, put(keys.record(entity.key, name), JSON.stringify(value)), 0)
  }
  const { alarmAtMs } = entity
  if (alarmAtMs !== null) put(keys.alarm(alarmAtMs, entity.key), '')
  for (const [index, effect] of entity.effects.entries()) {
    put(keys.effect(entity.key, effect.id), formatEffect(effect, [epoch, seq + 1, index]))
  }
  if (entity.isMarked) put(keys.mark(entity.key), '')
  const head = { records: values.length, digest, alarmAtMs, epoch, seq: seq + 1 }
  const headCrc = put(keys.entityHead(entity.key), formatEntityHead(head))
  return { operations, digestChange: changeDigest(0, headCrc, oldHead?.crc ?? 0) }
}

function printable(key: string): string {
  return key.replaceAll('\0', ' ')
}
