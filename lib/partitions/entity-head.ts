/**
 * The head of an entity: what its records must be. It is written in the same batch as they are. A kind whose entities
 * have one record has it in the head: one key in place of two.
 *
 * Invariant: the number of records and the sum of their checksums (modulo 2^32, over key and text) are those in the
 * head. An entity that lost a record, kept one it deleted, or got an older one back is therefore recognised when it is
 * activated, and set aside as a whole rather than served in part.
 */
import type { PartitionHead, Position } from './position.js'

/** The record of an entity of a kind that has no other. The checksum of the head it lies in is its own. */
export interface OnlyRecord {
  readonly name: string
  readonly text: string
}

export interface EntityHead extends Position {
  /** How many there are beside the head. */
  readonly records: number
  readonly digest: number
  readonly alarmAtMs: number | null
  readonly only?: OnlyRecord | undefined
}

/** Digest of an entity or a partition after `added` came and `removed` went. */
export function changeDigest(digest: number, added: number, removed: number): number {
  return (digest + added - removed) >>> 0
}

export function formatEntityHead(head: EntityHead): string {
  const { only } = head
  const text = `[${head.records},${head.digest},${head.alarmAtMs},${head.epoch},${head.seq}]`
  return only ? `${text}${only.name}\0${only.text}` : text
}

/** True for the text of a head with the only record in it: no other has its separator. */
export function hasOnlyRecord(text: string): boolean {
  return text.includes('\0')
}

/** Undefined when the text is none that `formatEntityHead` makes. */
export function parseEntityHead(text: string): EntityHead | undefined {
  const end = text.indexOf(']') + 1
  const match = /^\[(\d+),(\d+),(null|\d+),(\d+),(\d+)\]$/.exec(text.slice(0, end))
  if (!match) return undefined
  const nameEnd = text.indexOf('\0', end)
  if (end < text.length && nameEnd <= end) return undefined
  const [, records, digest, alarm, epoch, seq] = match
  const only =
    end < text.length ? { name: text.slice(end, nameEnd), text: text.slice(nameEnd + 1) } : undefined
  return {
    records: Number(records),
    digest: Number(digest),
    alarmAtMs: alarm === 'null' ? null : Number(alarm),
    epoch: Number(epoch),
    seq: Number(seq),
    only,
  }
}

/** Says why an entity is damaged; undefined when it is whole. `crcs` are the checksums of its records. */
export function entityDefect(
  head: EntityHead | undefined,
  crcs: Iterable<number>,
  partition: PartitionHead,
): string | undefined {
  let count = 0
  let digest = 0
  for (const crc of crcs) {
    count += 1
    digest = changeDigest(digest, crc, 0)
  }
  if (!head) return count === 0 ? undefined : 'its head is lost'
  if (head.records !== count) return `it has ${count} records in place of ${head.records}`
  if (head.digest !== digest) return 'its records are not those it was committed with'
  if (head.epoch > partition.epoch || (head.epoch === partition.epoch && head.seq > partition.seq)) {
    return 'it is newer than its partition'
  }
  return undefined
}
