/** What a store remembers of the rows, and what it says when a database shows less. */
import t from 'tap'
import type { Configuration, StoreId } from '../../../lib/partitions/configuration.js'
import { nonceOfAdoption } from '../../../lib/partitions/nonce.js'
import { SeenRows } from '../../../lib/partitions/seen-rows.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const partition = 3 as PartitionId

function row(epoch: number, nonce: string): Configuration {
  return { partition, epoch, owner: 'store-a' as StoreId, replicas: [], nonce }
}

function disk() {
  const notes = new Map<string, string>()
  const written: string[] = []
  return {
    written,
    noted: async (name: string) => notes.get(name),
    note: async (name: string, text: string) => {
      written.push(text)
      notes.set(name, text)
    },
  }
}

async function seenOn(store: ReturnType<typeof disk>, cluster = 'one'): Promise<SeenRows> {
  const seen = new SeenRows(store)
  await seen.load(cluster)
  return seen
}

t.test('a row that is older than what was seen before a restart stands', async t => {
  const store = disk()
  const before = await seenOn(store)
  before.see([partition, 7, 'g'])
  await before.save()
  const seen = await seenOn(store)
  t.same(seen.compare([row(5, 'e')], seen.all()), [partition])
  t.same(seen.compare([row(5, 'e')], seen.all()), [], 'it is said once')
  t.equal(seen.databaseEpoch(partition), 5)
  t.same(seen.lost(), [[partition, 7, 'g']])
  await seen.save()
  const again = await seenOn(store)
  t.ok(again.isSetBack(partition), 'also after another restart')
  t.equal((await seenOn(store, 'two')).epoch(partition), 0, 'rows of another cluster say nothing')
})

t.test(
  'it stands however far others have come by the old rows, until it is adopted or set right',
  async t => {
    const seen = await seenOn(disk())
    seen.see([partition, 7, 'g'])
    seen.compare([row(5, 'e')], seen.all())
    for (const other of [row(6, 'x'), row(7, 'y'), row(8, 'z')]) {
      seen.see([other.partition, other.epoch, other.nonce])
      seen.compare([other], seen.all())
      t.ok(seen.isSetBack(partition), `epoch ${other.epoch}`)
    }
    seen.see([partition, 9, nonceOfAdoption('id', 9)])
    t.notOk(seen.isSetBack(partition), 'an operator has adopted it')

    const other = await seenOn(disk())
    other.see([partition, 7, 'g'])
    other.compare([row(5, 'e')], other.all())
    other.compare([row(7, 'g')], other.all())
    t.notOk(other.isSetBack(partition), 'the database was set right again')
    t.same(other.compare([row(7, 'h')], other.all()), [partition], 'the same number twice')
  },
)

t.test(
  'an adoption that was missed is seen later; what was learned while the database was asked is no evidence',
  async t => {
    const seen = await seenOn(disk())
    seen.see([partition, 7, 'g'])
    const before = seen.all()
    seen.see([partition, 8, 'h'])
    t.same(seen.compare([row(7, 'g')], before), [])
    seen.compare([row(5, 'e')], seen.all())
    t.ok(seen.isSetBack(partition))
    seen.compare([row(12, 'l~9@9')], seen.all())
    t.notOk(seen.isSetBack(partition))
  },
)

t.test('many rows are one or two writes', async t => {
  const store = disk()
  const seen = await seenOn(store)
  const saved = Array.from({ length: 50 }, (_, epoch) => {
    seen.see([partition, epoch + 1, `n${epoch}`])
    return seen.save()
  })
  await Promise.all(saved)
  t.ok(store.written.length <= 2, `${store.written.length}`)
  t.equal((await seenOn(store)).epoch(partition), 50)
})
