/**
 * Checks a stopped node's state: checksums, entity digests, partition digests, the alarm index, and what belongs to
 * nothing. Changes nothing.
 */
import type { EntityKey } from '../ids.js'
import { partitionOf } from '../ring/index.js'
import { changeDigest } from './entity-head.js'
import { PartitionKeys, parsePartitionKey } from './keys.js'
import { entitiesOf, keyOf, pageRecords, pagesOf, type StateDirectory } from './state.js'
import type { Store } from './store.js'

export interface Problem {
  /** `damage` means that something acknowledged may be missing; a `note` is worth knowing only. */
  readonly severity: 'damage' | 'note'
  readonly what: string
  readonly reason: string
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

function printable(key: string): string {
  return key.replaceAll('\0', ' ')
}
