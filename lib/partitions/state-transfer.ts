/**
 * Carries a stopped node's state out and brings it back.
 *
 * The file is JSON lines: a header, one line per entity, and a trailer with the number of entities and a checksum of all
 * lines before it, so a file that was cut or changed is refused. Import validates the whole file before it writes
 * anything, and never replaces an entity unless it is asked to.
 */
import { crc32 } from 'node:zlib'
import type { EntityKey } from '../ids.js'
import { createLog } from '../log.js'
import { allPartitions, partitionOf } from '../ring/index.js'
import { systemClock } from './clock.js'
import { Committer } from './committer.js'
import type { DiskOperation } from './disk.js'
import type { Effect, Json } from './entity.js'
import { changeDigest, formatEntityHead, parseEntityHead } from './entity-head.js'
import { isEntityKey, PartitionKeys } from './keys.js'
import { formatEffect } from './pending-commit.js'
import type { CommitOperation } from './position.js'
import { sealRecord } from './record.js'
import { detailsOf, type EntitySummary, entitiesOf, type StateDirectory } from './state.js'
import type { StoredRecord } from './store.js'

const exportFormat = 1

export interface ImportResult {
  readonly imported: number
  readonly replaced: number
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
