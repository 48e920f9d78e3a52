/** Where partitions should live: even, agreed on by all, and moved little when members come and go. */
import t from 'tap'
import type { NodeId } from '../../../lib/ids.js'
import { partitionCount } from '../../../lib/ring/index.js'
import { ownersMax, place } from '../../../lib/ring/placement.js'
import { Random } from '../../sim/random.js'

/** Node ids as they are in life (UUIDs), the same in every run. */
function nodeIds(count: number, seed: number): NodeId[] {
  const random = new Random(seed)
  const hex = (digits: number): string =>
    Array.from({ length: digits }, () => random.below(16).toString(16)).join('')
  return Array.from({ length: count }, () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}` as NodeId)
}

type Placement = readonly (readonly NodeId[])[]

function loads(placement: Placement, members: readonly NodeId[]): number[] {
  return members.map(member => placement.filter(([owner]) => owner === member).length)
}

function moved(before: Placement, after: Placement): number {
  return before.filter((copies, partition) => copies[0] !== after[partition]?.[0]).length
}

t.test('owners are even, on distinct nodes, whatever the order of the members', async t => {
  for (const count of [1, 2, 3, 4, 5, 7, 10, 20]) {
    let worst = 0
    for (let seed = 1; seed <= 10; seed++) {
      const members = nodeIds(count, seed)
      const placement = place(members, { factor: 3 })
      t.equal(placement.length, partitionCount)
      t.ok(placement.every(copies => new Set(copies).size === Math.min(3, count)))
      const most = Math.max(...loads(placement, members))
      worst = Math.max(worst, most / (partitionCount / count))
      t.ok(most <= ownersMax(count))
      t.same(place([...members].reverse(), { factor: 3 }), placement)
    }
    t.comment(`${count} nodes: owners max/mean ${worst.toFixed(3)}, worst of 10 rings`)
    if ([3, 5, 10].includes(count)) t.ok(worst <= 1.15, `${count} nodes within 1.15`)
  }
})

t.test('a join and a leave move little', async t => {
  for (const count of [3, 5, 10]) {
    const figures: string[] = []
    for (let seed = 1; seed <= 10; seed++) {
      const members = nodeIds(count + 1, seed)
      const before = place(members.slice(0, count), { factor: 2 })
      const after = place(members, { factor: 2, current: before })
      const joiner = members[count]
      const toJoiner = after.filter(copies => copies[0] === joiner).length
      const byCap = moved(before, after) - toJoiner
      const fair = Math.ceil(partitionCount / (count + 1))
      figures.push(`${toJoiner}+${byCap}`)
      t.ok(toJoiner <= ownersMax(count + 1))
      // Only what the bound forces moves between nodes that stay: never more than the bound has displaced.
      const displaced = Math.max(0, toJoiner - fair) + byCap
      t.ok(displaced <= Math.ceil(partitionCount * 0.15), `${displaced} beyond the fair share ${fair}`)

      const back = place(members.slice(0, count), { factor: 2, current: after })
      const orphaned = toJoiner
      t.ok(moved(after, back) <= orphaned + Math.ceil(partitionCount * 0.15))
    }
    t.comment(
      `${count} → ${count + 1} nodes: to the joiner + by the bound: ${figures.join(' ')} (fair ${Math.ceil(256 / (count + 1))})`,
    )
  }
})

t.test('when an owner goes, its partitions go to a node that has the data', async t => {
  const members = nodeIds(5, 3)
  const before = place(members, { factor: 2 })
  const [gone, ...rest] = members
  const after = place(rest, { factor: 2, current: before })
  const orphans = before.flatMap((copies, partition) => (copies[0] === gone ? [partition] : []))
  const kept = orphans.filter(partition => before[partition]?.includes(after[partition]?.[0] as NodeId))
  t.comment(`${kept.length} of ${orphans.length} orphans go to a holder of their data`)
  t.ok(kept.length >= orphans.length * 0.8)
})

t.test('a placement that fits is left alone', async t => {
  const members = nodeIds(5, 9)
  const placement = place(members, { factor: 3 })
  t.same(
    place(members, { factor: 3, current: placement }).map(([owner]) => owner),
    placement.map(([owner]) => owner),
  )
})

t.test('no members, no places', async t => {
  t.ok(place([], { factor: 2 }).every(copies => copies.length === 0))
})
