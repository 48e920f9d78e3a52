/** Which copies a leader lets go of. */
import t from 'tap'
import { type NodeId, newId } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'
import type { Configuration, StoreId, WantedChange } from '../../../lib/partitions/configuration.js'
import { HandOvers, type HandOversOptions } from '../../../lib/partitions/hand-overs.js'
import { Pace } from '../../../lib/partitions/pace.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const partition = 7 as PartitionId
const [self, second, third] = [newId<StoreId>(), newId<StoreId>(), newId<StoreId>()]

/** The row that a leader asks for, with these copies where those are wanted. */
function changeOf(replicas: readonly StoreId[], wanted: readonly StoreId[]): WantedChange | undefined {
  const clock = new VirtualClock()
  const row: Configuration = { partition, epoch: 5, owner: self, replicas: [...replicas], nonce: '' }
  const asked: WantedChange[] = []
  const rows = {
    led: () => [partition],
    get: () => row,
    fewSinceMs: () => undefined,
    swap: async (changes: readonly WantedChange[]) => {
      asked.push(...changes)
      return []
    },
  }
  const parts = {
    self: { nodeId: newId<NodeId>(), storeId: self },
    factor: 2,
    rows,
    places: { wanted: () => () => [...wanted] },
    leadership: { dropUnnamed: () => undefined },
    pace: new Pace({ atOnceMax: 1, wake: () => undefined, clock }),
    isStopping: () => false,
    clock,
    log: silentLog,
  }
  new HandOvers(parts as unknown as HandOversOptions).moveToPlace()
  return asked[0]
}

/** What is asked for, and done, when the only follower should lead, which has or has not said where it stands. */
async function handedOver(isConfirmed: boolean) {
  const done: string[] = []
  const clock = new VirtualClock()
  const row: Configuration = { partition, epoch: 5, owner: self, replicas: [second], nonce: '' }
  const asked: WantedChange[] = []
  const parts = {
    self: { nodeId: newId<NodeId>(), storeId: self },
    factor: 2,
    rows: {
      led: () => [partition],
      get: () => row,
      before: () => undefined,
      fewSinceMs: () => undefined,
      swap: async (changes: readonly WantedChange[]) => {
        asked.push(...changes)
        return []
      },
    },
    places: { wanted: () => () => [second, self] },
    leadership: { dropUnnamed: () => undefined },
    replication: { following: () => [second], isConfirmed: () => isConfirmed },
    runtime: {
      quiesce: async () => done.push(`quiesce ${handOvers.isHanding(partition)}`),
      hold: async () => done.push(`hold ${handOvers.isHanding(partition)}`),
      release: () => undefined,
    },
    pace: new Pace({ atOnceMax: 1, wake: () => undefined, clock }),
    isStopping: () => false,
    clock,
    log: silentLog,
  }
  const handOvers = new HandOvers(parts as unknown as HandOversOptions)
  handOvers.moveToPlace()
  handOvers.moveToPlace()
  while (handOvers.count > 0) await new Promise(resolve => setImmediate(resolve))
  return { asked, done }
}

t.test('a partition goes to a follower only when that has said that it has everything', async t => {
  t.same(
    (await handedOver(true)).asked.map(({ owner }) => owner),
    [second],
  )
  t.same((await handedOver(false)).asked, [])
})

t.test(
  'work on alarms comes to its end before messages are held, and copies may change meanwhile',
  async t => {
    t.same(
      (await handedOver(true)).done,
      ['quiesce false', 'hold true'],
      'once, however often it is asked for',
    )
  },
)

t.test('a copy is let go when there are enough without it', async t => {
  t.same(changeOf([second, third], [self, third]), { partition, epoch: 6, owner: self, replicas: [third] })
})

t.test('and kept while there are not: its node may only not have been heard for a moment', async t => {
  t.equal(changeOf([second], [self]), undefined)
  t.equal(changeOf([second], [self, third]), undefined)
})
