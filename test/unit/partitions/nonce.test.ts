/** What a row tells those who were away for some rows. */
import t from 'tap'
import type { Configuration, StoreId } from '../../../lib/partitions/configuration.js'
import {
  adoptedAt,
  isHeard,
  ledSince,
  nonceOfAdoption,
  nonceOfChange,
} from '../../../lib/partitions/nonce.js'
import type { PartitionId } from '../../../lib/ring/index.js'

const partition = 3 as PartitionId
const [a, b] = ['store-a' as StoreId, 'store-b' as StoreId]

function row(epoch: number, owner: StoreId, nonce: string): Configuration {
  return { partition, epoch, owner, replicas: [], nonce }
}

const facts = (nonce: string) => ({
  heard: isHeard({ nonce }),
  led: ledSince({ nonce }),
  adopted: adoptedAt({ nonce }),
})

t.test('the first row says nothing', async t => {
  t.same(facts('founding'), { heard: false, led: 0, adopted: 0 })
})

t.test('since when the same leads is carried on until another does, or it begins anew', async t => {
  const change = (epoch: number, owner: StoreId) => ({ partition, epoch, owner, replicas: [] })
  const first = row(1, a, 'founding')
  t.equal(nonceOfChange('id', change(2, a), first), 'id', 'a copy more')
  const handed = nonceOfChange('id', { ...change(2, b), isHeard: true }, first)
  t.same(facts(handed), { heard: true, led: 2, adopted: 0 })
  const next = nonceOfChange('id', change(3, b), row(2, b, handed))
  t.same(facts(next), { heard: false, led: 2, adopted: 0 }, 'a copy more: what was heard is of one row only')
  const started = nonceOfChange('id', { ...change(4, b), fromEpoch: 3 }, row(3, b, next))
  t.same(facts(started), { heard: false, led: 4, adopted: 0 }, 'the same, started again')
  const adopted = nonceOfAdoption('id', 9)
  t.same(facts(adopted), { heard: false, led: 9, adopted: 9 })
  const taken = nonceOfChange('id', { ...change(12, a), fromEpoch: 9 }, row(9, b, adopted))
  t.same(facts(taken), { heard: false, led: 12, adopted: 9 })
  t.same(facts(nonceOfChange('id', change(13, a), row(12, a, taken))), { heard: false, led: 12, adopted: 9 })
})
