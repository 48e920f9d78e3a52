/**
 * Where everything lies in LevelDB. Keys are text:
 *
 *     m/<name>                               about the store: format, id, boot
 *     h/<partition>                          position of a partition: epoch, seq, hash chain, generation, digest
 *     p<partition><generation>/a/<due>/<key> alarm index: an empty record per entity with an alarm
 *     p<partition><generation>/e/<key>\0      head of an entity: alarm, position, and its only record or what its records are
 *     p<partition><generation>/e/<key>\0name  one record of it
 *     p<partition><generation>/f/<key>\0id    an effect that is not confirmed yet
 *     p<partition><generation>/o/<key>       mark: history of this entity is not in Postgres yet
 *     q/<time>/<original key>                quarantine: bytes that failed their checksum, and what belonged to them
 *
 * <partition> and <generation> are four hex digits, <due> twelve. Everything of one partition and generation is one
 * contiguous range, so a copy for a replica is one range read, and a fresh copy can be built beside the old one and
 * switched to by writing the partition's head. Everything of one entity is one contiguous range too, so activating it
 * is one range read. Effects, marks and alarms have ranges of their own, so a start reads only those, however many
 * entities there are.
 *
 * Invariant: an entity key holds no control characters, so `\0` ends it in every key and no entity's range can reach
 * into another's.
 */
import type { EntityKey } from '../ids.js'
import type { PartitionId } from '../ring/index.js'

export interface KeyRange {
  readonly gte: string
  readonly lt: string
}

export const metaRange: KeyRange = { gte: 'm/', lt: 'm0' }
export const headRange: KeyRange = { gte: 'h/', lt: 'h0' }
export const quarantineRange: KeyRange = { gte: 'q/', lt: 'q0' }
export const quarantinePrefix = 'q/'
/** Everything that belongs to partitions, of any generation. */
export const partitionsRange: KeyRange = { gte: 'p', lt: 'q' }

export function metaKey(name: string): string {
  return `m/${name}`
}

export function headKey(partition: PartitionId): string {
  return `h/${hex(partition, 4)}`
}

/** Length of `p<partition><generation>/`: what follows does not change when a partition is copied. */
const prefixLength = 10

export type RecordClass = 'a' | 'e' | 'f' | 'o'

/** The keys of one generation of one partition. */
export class PartitionKeys {
  readonly prefix: string

  constructor(
    readonly partition: PartitionId,
    readonly generation: number,
  ) {
    this.prefix = `p${hex(partition, 4)}${hex(generation, 4)}/`
  }

  all(): KeyRange {
    return { gte: this.prefix, lt: `${this.prefix.slice(0, -1)}0` }
  }

  /** Everything of one class: alarms, entities, effects or outbox marks. */
  classRange(name: RecordClass): KeyRange {
    return { gte: `${this.prefix}${name}/`, lt: `${this.prefix}${name}0` }
  }

  entityHead(key: EntityKey): string {
    return `${this.prefix}e/${key}\0`
  }

  record(key: EntityKey, name: string): string {
    return `${this.prefix}e/${key}\0${name}`
  }

  entityRange(key: EntityKey): KeyRange {
    return { gte: `${this.prefix}e/${key}\0`, lt: `${this.prefix}e/${key}\x01` }
  }

  /** All entities of one kind whose key sorts after `key`; of all of them when it is empty. */
  kindRange(kind: string, key: string): KeyRange {
    return {
      gte: `${this.prefix}e/${key === '' ? `${kind}:` : `${key}\x01`}`,
      lt: `${this.prefix}e/${kind};`,
    }
  }

  effect(key: EntityKey, id: string): string {
    return `${this.prefix}f/${key}\0${id}`
  }

  effectRange(key: EntityKey): KeyRange {
    return { gte: `${this.prefix}f/${key}\0`, lt: `${this.prefix}f/${key}\x01` }
  }

  /** Effects of all entities whose key sorts after `key`. */
  effectsAfter(key: string): KeyRange {
    return { gte: key === '' ? `${this.prefix}f/` : `${this.prefix}f/${key}\x01`, lt: `${this.prefix}f0` }
  }

  alarm(dueAtMs: number, key: EntityKey): string {
    return `${this.prefix}a/${dueText(dueAtMs)}/${key}`
  }

  /** Alarms with `afterMs` < due ≤ `untilMs`. */
  alarmRange(afterMs: number, untilMs: number): KeyRange {
    return {
      gte: `${this.prefix}a/${hex(Math.max(0, afterMs + 1), 12)}`,
      lt: `${this.prefix}a/${hex(untilMs + 1, 12)}`,
    }
  }

  mark(key: EntityKey): string {
    return `${this.prefix}o/${key}`
  }
}

/** What a key of a partition says about its record. */
export interface ParsedKey {
  readonly partition: PartitionId
  readonly generation: number
  readonly class: RecordClass
  readonly key: EntityKey
  /** Record name, effect id, or due time; empty for an entity's head and a mark. */
  readonly rest: string
}

/** Undefined for a key outside the layout. */
export function parsePartitionKey(text: string): ParsedKey | undefined {
  const match = /^p([0-9a-f]{4})([0-9a-f]{4})\/([aefo])\//.exec(text)
  if (!match) return undefined
  const [, partitionText = '', generationText = '', classText = ''] = match
  const body = text.slice(prefixLength + 2)
  const common = {
    partition: Number.parseInt(partitionText, 16) as PartitionId,
    generation: Number.parseInt(generationText, 16),
    class: classText as RecordClass,
  }
  if (classText === 'a') {
    const slash = body.indexOf('/')
    return { ...common, key: body.slice(slash + 1) as EntityKey, rest: body.slice(0, slash) }
  }
  if (classText === 'o') return { ...common, key: body as EntityKey, rest: '' }
  const end = body.indexOf('\0')
  if (end < 0) return undefined
  return { ...common, key: body.slice(0, end) as EntityKey, rest: body.slice(end + 1) }
}

/** Where the part of a key begins that its record's checksum covers: independent of the generation it is stored under. */
export function sealedFrom(key: string): number {
  return key.charCodeAt(0) === 0x70 ? prefixLength : 0
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
const keyPattern = /^[a-z][a-z-]*:[^\u0000-\u001f\u007f\ud800-\udfff]{1,512}$/

/**
 * True for text that may be an entity's key: a lower-case kind, a colon, and 1 to 512 printable characters of
 * the basic plane (beyond it, the order of JavaScript's strings is not that of the bytes on disk).
 */
export function isEntityKey(text: string): text is EntityKey {
  return keyPattern.test(text)
}

/** The kind of a key: what stands before its first colon. */
export function kindOf(key: string): string {
  return key.slice(0, key.indexOf(':'))
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

const byteTexts = Array.from({ length: 256 }, (_, byte) => hex(byte, 2))
const lowMs = 2 ** 24
/** The upper half of the due time before: it changes every five hours. */
let high = { ofMs: -1, text: '' }

/** A due time in twelve digits: by hand, at a tenth of what `toString` costs each timer. */
function dueText(dueAtMs: number): string {
  const ofMs = Math.floor(dueAtMs / lowMs)
  if (ofMs !== high.ofMs) high = { ofMs, text: hex(ofMs, 6) }
  const low = dueAtMs - ofMs * lowMs
  return `${high.text}${byteTexts[low >> 16]}${byteTexts[(low >> 8) & 255]}${byteTexts[low & 255]}`
}
