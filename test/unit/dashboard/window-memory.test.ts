/** What a window remembers over a reload, with storage that is full, forbidden or wrong. */
import t from 'tap'
import { uuidFrom } from '../../../lib/dashboard/random.js'
import { WindowMemory, type WindowStorage } from '../../../lib/dashboard/storage.js'

function storage(): WindowStorage & { items: Map<string, string> } {
  const items = new Map<string, string>()
  return {
    items,
    getItem: key => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: key => void items.delete(key),
  }
}

t.test('the client id is made once', async t => {
  let made = 0
  const memory = new WindowMemory(storage(), () => `client-${++made}-id`)
  t.equal(memory.clientId(), memory.clientId())
  t.equal(made, 1)
})

t.test('drafts and transactions are bounded, the oldest leave first', async t => {
  const memory = new WindowMemory(storage(), () => 'x')
  for (let index = 0; index < 60; index++) {
    memory.saveDraft(`d${index}`, [index])
    memory.markRunning(`t${index}`)
  }
  t.equal(memory.draft('d0'), null)
  t.same(memory.draft('d59'), [59])
  t.equal(memory.isRunning('t0'), false)
  t.equal(memory.isRunning('t59'), true)
  memory.saveDraft('large', ['x'.repeat(400_000)])
  t.equal(memory.draft('large'), null, 'what is too large is not kept')
  memory.deleteDraft('d59')
  t.equal(memory.draft('d59'), null)
})

t.test('nonsense and refusal in the storage are survived', async t => {
  const broken = storage()
  broken.items.set('interval.drafts', '[1')
  broken.items.set('interval.running', '{"a":1}')
  const memory = new WindowMemory(broken, () => 'abcdefgh')
  t.equal(memory.draft('x'), null)
  t.equal(memory.isRunning('a'), false)
  const forbidden = new WindowMemory(
    {
      getItem: () => {
        throw new Error('forbidden')
      },
      setItem: () => {
        throw new Error('full')
      },
      removeItem: () => undefined,
    },
    () => 'abcdefgh',
  )
  forbidden.saveDraft('x', [1])
  t.equal(forbidden.clientId(), 'abcdefgh')
})

t.test('ids are UUIDs of version 4', async t => {
  const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  t.match(
    uuidFrom(count => new Uint8Array(count)),
    pattern,
  )
  t.match(
    uuidFrom(count => new Uint8Array(count).fill(255)),
    pattern,
  )
})
