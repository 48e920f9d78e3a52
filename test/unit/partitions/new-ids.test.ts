/** Ids that nobody chose: led here, never twice, and one partition's after the other. */
import t from 'tap'
import type { EntityKey } from '../../../lib/ids.js'
import { NewIds } from '../../../lib/partitions/new-ids.js'
import { partitionOf } from '../../../lib/ring/index.js'
import { keyOf } from '../../../lib/timers/timers.js'

/** The same partitions in each run: ids are random, so their keys come from the order in which ids are first seen. */
const seen = new Map<string, EntityKey>()
function keyFor(id: string): EntityKey {
  const key = seen.get(id) ?? keyOf('one', `id ${seen.size}`)
  seen.set(id, key)
  return key
}
const partition = (id: string): number => partitionOf(keyFor(id))

function newIds(leads: (partition: number) => boolean): NewIds {
  return new NewIds({ keyOf: keyFor, leads: key => leads(partitionOf(key)) })
}

const taken = (ids: NewIds, count: number): string[] => Array.from({ length: count }, () => ids.take())

/** How often the next one is of another partition. */
const changes = (ids: readonly string[]): number =>
  ids.filter((id, at) => at > 0 && partition(id) !== partition(ids[at - 1] as string)).length

t.test('a third of the partitions is led here: those only, evenly, in long runs', async t => {
  const ids = newIds(number => number % 3 === 0)
  const all = taken(ids, 20_000)
  t.equal(new Set(all).size, all.length)
  t.ok(all.every(id => partition(id) % 3 === 0))
  const late = all.slice(10_000)
  t.ok(changes(late) < 200, `${changes(late)} changes in ${late.length}`)
  const counts = new Map<number, number>()
  for (const id of late) counts.set(partition(id), (counts.get(partition(id)) ?? 0) + 1)
  t.equal(counts.size, 86)
  t.ok(Math.max(...counts.values()) < 400, `${Math.max(...counts.values())} of one`)
})

t.test('alone, all are led', async t => {
  const late = taken(
    newIds(() => true),
    20_000,
  ).slice(10_000)
  t.ok(changes(late) < 700, `${changes(late)} changes in ${late.length}`)
})

t.test('led here no more: what waits is not given out', async t => {
  let first = 0
  const ids = newIds(number => number >= first && number < first + 16)
  taken(ids, 5_000)
  first = 100
  // What was being given out is.
  const rest = taken(ids, 5_000)
  const stale = rest.filter(id => partition(id) < 100)
  t.ok(changes(stale) === 0, `${stale.length} of one partition`)
  t.ok(rest.slice(stale.length).every(id => partition(id) >= 100))
})

t.test('nothing is led here: ids all the same', async t => {
  t.equal(
    new Set(
      taken(
        newIds(() => false),
        100,
      ),
    ).size,
    100,
  )
})
