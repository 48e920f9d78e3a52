/** Two people, or a person and a host, at one item of the queue in the same moment, on a real Postgres: one has it. */
import t from 'tap'
import { newQueueItemId } from '../../../lib/accounts/index.js'
import { testAccounts, testDatabase } from '../../support/database.js'

const database = await testDatabase(t, { isReal: true })
const { accounts } = await testAccounts(t, { database })
const origin = { address: '192.0.2.1', userAgent: 'test' }
const person = { firstName: 'Ann', lastName: 'Ode', password: 'a good password', organizationName: 'Ours' }
const ann = await accounts.signUp({ ...person, email: 'ann@example.com' }, origin)
const actor = await accounts.actor(ann.user.id, 'ours', 'production')
const { key } = await accounts.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
const host = await accounts.authenticateKey(key)
const rounds = 30

async function put(): Promise<string> {
  const id = newQueueItemId()
  await accounts.queue.enqueue(host, id, { slug: 'pay', isDeclared: true })
  return id
}

/** How many of these came through. */
async function through(works: readonly Promise<unknown>[]): Promise<number> {
  const ends = await Promise.allSettled(works)
  return ends.filter(({ status }) => status === 'fulfilled').length
}

t.test('of many runs that claim one item, one has it', async t => {
  for (let round = 0; round < rounds; round += 1) {
    const id = await put()
    const claims = Array.from({ length: 8 }, (_, index) =>
      accounts.queue.claim(actor, { id, slug: 'pay', transactionId: `run-${round}-${index}` }),
    )
    t.equal(await through(claims), 1)
  }
})

t.test('of one run that claims it many times, one time is the first', async t => {
  for (let round = 0; round < rounds; round += 1) {
    const id = await put()
    const claim = { id, slug: 'pay', transactionId: `same-${round}` }
    const claims = await Promise.all(Array.from({ length: 8 }, () => accounts.queue.claim(actor, claim)))
    t.equal(claims.filter(({ isNew }) => isNew).length, 1)
  }
})

t.test('a run, a host and who dismisses it: one of them has it', async t => {
  for (let round = 0; round < rounds; round += 1) {
    const id = await put()
    const count = await through([
      accounts.queue.claim(actor, { id, slug: 'pay', transactionId: `either-${round}` }),
      accounts.queue.dequeue(host, id),
      accounts.queue.dismiss(actor, id),
    ])
    t.equal(count, 1)
  }
})
