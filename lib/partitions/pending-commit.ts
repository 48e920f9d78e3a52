/**
 * Turns a decision into the operations of one commit. Pure: it changes nothing, so a decision that cannot be written
 * (a record too large, a value JSON cannot hold) is refused without a trace.
 */
import { AppError } from '../errors.js'
import { type Decision, type Effect, JsonText } from './entity.js'
import { changeDigest, formatEntityHead, type OnlyRecord } from './entity-head.js'
import type { PartitionKeys } from './keys.js'
import type { LiveEntity } from './live-entity.js'
import type { CommitOperation, Position } from './position.js'
import { sealRecord } from './record.js'

/** Position of the commit that made an effect, and its place there: effects of one lane leave in this order. */
export type EffectOrder = readonly [epoch: number, seq: number, index: number]

export interface OrderedEffect {
  readonly effect: Effect
  readonly order: EffectOrder
  readonly bytes: number
}

export interface PendingCommit {
  readonly operations: CommitOperation[]
  /** New checksums by record name; undefined: the record is deleted. */
  readonly recordChanges: ReadonlyMap<string, number | undefined>
  readonly digest: number
  readonly only: OnlyRecord | undefined
  readonly headCrc: number | undefined
  readonly alarmAtMs: number | null
  readonly digestChange: number
  readonly effects: readonly OrderedEffect[]
}

/** True when the decision leaves nothing to write. */
export function changesNothing(decision: Decision<unknown, unknown>, alarmAtMs: number | null): boolean {
  return (
    decision.state !== null &&
    (decision.alarmAtMs === undefined || decision.alarmAtMs === alarmAtMs) &&
    !decision.history &&
    !decision.put?.size &&
    !decision.del?.length &&
    !decision.effects?.length &&
    !decision.dropEffects?.length
  )
}

/** @throws AppError `too-large` when a record is; Error when a value is not JSON */
export function buildCommit(
  entity: LiveEntity,
  decision: Decision<unknown, unknown>,
  keys: PartitionKeys,
  position: Position,
  recordBytesMax: number,
): PendingCommit {
  const operations: CommitOperation[] = []
  const put = (key: string, text: string): number => {
    const { bytes, crc } = sealRecord(key, text)
    if (bytes.length > recordBytesMax) throw new AppError('too-large')
    operations.push({ type: 'put', key, value: bytes, crc })
    return crc
  }
  const recordChanges = new Map<string, number | undefined>()
  let { digest } = entity
  let count = entity.records.size
  const isDeleted = decision.state === null
  let only = isDeleted ? undefined : entity.only
  const remove = (name: string): void => {
    if (only?.name === name) only = undefined
    const crc = entity.records.get(name)
    if (crc === undefined || recordChanges.has(name)) return
    operations.push({ type: 'del', key: keys.record(entity.key, name) })
    recordChanges.set(name, undefined)
    digest = changeDigest(digest, 0, crc)
    count -= 1
  }
  for (const name of isDeleted ? entity.records.keys() : (decision.del ?? [])) remove(name)
  const names = entity.kind.recordNames
  const onlyName = names?.length === 1 ? names[0] : undefined
  if (!isDeleted && decision.put) {
    for (const [name, value] of decision.put) {
      if (name === '') throw new Error('a record needs a name')
      const text: string | undefined = value instanceof JsonText ? value.text : JSON.stringify(value)
      if (text === undefined) throw new Error(`record ${name} is not JSON`)
      if (name === onlyName) {
        // It may lie beside the head still: it has been imported.
        remove(name)
        only = { name, text }
        continue
      }
      const crc = put(keys.record(entity.key, name), text)
      const before = recordChanges.has(name) ? undefined : entity.records.get(name)
      if (before === undefined) count += 1
      recordChanges.set(name, crc)
      digest = changeDigest(digest, crc, before ?? 0)
    }
  }
  const alarmAtMs = isDeleted
    ? null
    : decision.alarmAtMs === undefined
      ? entity.alarmAtMs
      : decision.alarmAtMs
  if (alarmAtMs !== null && !(Number.isSafeInteger(alarmAtMs) && alarmAtMs >= 0)) {
    throw new Error('the time of an alarm must be whole ms')
  }
  if (alarmAtMs !== entity.alarmAtMs) {
    if (entity.alarmAtMs !== null) {
      operations.push({ type: 'del', key: keys.alarm(entity.alarmAtMs, entity.key) })
    }
    if (alarmAtMs !== null) put(keys.alarm(alarmAtMs, entity.key), '')
  }
  for (const id of decision.dropEffects ?? []) {
    operations.push({ type: 'del', key: keys.effect(entity.key, id) })
  }
  const effects: OrderedEffect[] = []
  for (const [index, effect] of (decision.effects ?? []).entries()) {
    const order: EffectOrder = [position.epoch, position.seq, index]
    const text = formatEffect(effect, order)
    put(keys.effect(entity.key, effect.id), text)
    effects.push({ effect, order, bytes: text.length })
  }
  if (decision.history) put(keys.mark(entity.key), '')
  let headCrc = entity.headCrc
  if (isDeleted) {
    if (headCrc !== undefined) operations.push({ type: 'del', key: keys.entityHead(entity.key) })
    headCrc = undefined
  } else {
    const head = { records: count, digest, alarmAtMs, epoch: position.epoch, seq: position.seq, only }
    headCrc = put(keys.entityHead(entity.key), formatEntityHead(head))
  }
  return {
    operations,
    recordChanges,
    digest,
    only,
    headCrc,
    alarmAtMs,
    digestChange: changeDigest(0, headCrc ?? 0, entity.headCrc ?? 0),
    effects,
  }
}

export function formatEffect(effect: Effect, order: EffectOrder): string {
  return JSON.stringify({ order, to: effect.to, target: effect.target, payload: effect.payload })
}

/** The effect stored under `id`; the record's checksum vouches for its shape. */
export function parseEffect(id: string, text: string): OrderedEffect {
  const { order, to, target, payload } = JSON.parse(text) as Omit<Effect, 'id'> & { order: EffectOrder }
  return { effect: { id, to, target, payload }, order, bytes: text.length }
}
