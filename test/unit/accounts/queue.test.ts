/** What waits in the queue when its time has come: who is reminded, what expires, and that it is said once. */
import t from 'tap'
import { newQueueItemId } from '../../../lib/accounts/index.js'
import type { UserId } from '../../../lib/ids.js'
import { limits } from '../../../lib/limits.js'
import { openQueue } from '../../../lib/node/queue.js'
import type { EffectDispatcher, EntityRuntime } from '../../../lib/partitions/index.js'
import { testAccounts } from '../../support/database.js'
import { rejectsWith } from './rejects-with.js'

const { accounts, clock, database } = await testAccounts(t)
const origin = { address: '192.0.2.1', userAgent: 'test' }
const person = { firstName: 'Ann', lastName: 'Ode', password: 'a good password', organizationName: 'Ours' }
const ann = await accounts.signUp({ ...person, email: 'ann@example.com' }, origin)
const actor = await accounts.actor(ann.user.id, 'ours', 'production')
const { key } = await accounts.createKey(ann.user.id, 'ours', { kind: 'PRODUCTION' }, origin)
const host = await accounts.authenticateKey(key)

let dispatcher: EffectDispatcher | undefined
const runtime = {
  onEffect: (_to: string, given: EffectDispatcher) => {
    dispatcher = given
  },
} as unknown as EntityRuntime
openQueue({ runtime, accounts, directories: {} as never, clock })

const due = async (target: string, what: 'remind' | 'expire'): Promise<void> => {
  const effect = { id: what, to: 'queue', target, payload: what }
  await dispatcher?.dispatch(effect, `queue-item:${target}`, new AbortController().signal)
}

async function deliveries(): Promise<string[]> {
  const { rows } = await database.query<{ recipient: string }>(
    'select recipient from notification_deliveries order by recipient',
  )
  return rows.map(({ recipient }) => recipient)
}

async function waiting(assignee: string | null): Promise<string> {
  const id = newQueueItemId()
  await accounts.queue.enqueue(host, id, { slug: 'pay', assignee, isDeclared: true })
  return id
}

t.test('whom it was given to is reminded, once however often it is said', async t => {
  const id = await waiting('Ann@example.com')
  await due(id, 'remind')
  await due(id, 'remind')
  t.same(await deliveries(), ['ann@example.com'])
})

t.test('nobody is reminded of what is for all, was started, thrown away or never stored', async t => {
  const [free, started, gone] = [await waiting(null), await waiting('ann@example.com'), await waiting(null)]
  const claim = { id: started, slug: 'pay', transactionId: 'transaction-1' }
  await accounts.queue.claim(actor, claim)
  await accounts.queue.dismiss(actor, gone)
  for (const id of [free, started, gone, 'never-stored']) await due(id, 'remind')
  t.same(await deliveries(), ['ann@example.com'])
})

t.test('a console reminds nobody by mail', async t => {
  const { key: developmentKey } = await accounts.createKey(
    ann.user.id,
    'ours',
    { kind: 'DEVELOPMENT' },
    origin,
  )
  const console_ = await accounts.authenticateKey(developmentKey)
  const id = newQueueItemId()
  await accounts.queue.enqueue(console_, id, { slug: 'pay', assignee: 'ann@example.com', isDeclared: true })
  await due(id, 'remind')
  t.same(await deliveries(), ['ann@example.com'], 'the one of production')
  const { rows } = await database.query('select count(*)::integer as count from notifications')
  t.same(rows, [{ count: 2 }], 'it is noted all the same')
  await accounts.queue.dequeue(console_, id)
})

t.test('what nobody has started expires; what was started does not', async t => {
  const [late, started] = [await waiting(null), await waiting(null)]
  await accounts.queue.claim(actor, { id: started, slug: 'pay', transactionId: 'transaction-2' })
  for (const id of [late, started, 'never-stored']) await due(id, 'expire')
  await rejectsWith(t, accounts.queue.dismiss(actor, late), 'not-found')
  await accounts.queue.claim(actor, { id: started, slug: 'pay', transactionId: 'transaction-2' })
  await rejectsWith(
    t,
    accounts.queue.claim(actor, { id: started, slug: 'pay', transactionId: 'transaction-3' }),
    'conflict',
  )
})

t.test('an action that neither the database nor a host knows is refused', async t => {
  const item = { slug: 'unknown', isDeclared: false }
  await rejectsWith(t, accounts.queue.enqueue(host, newQueueItemId(), item), 'not-found')
})

t.test('a run that was refused puts back what it has claimed, and nothing of another run', async t => {
  const id = await waiting(null)
  const claim = { id, slug: 'pay', transactionId: 'transaction-4' }
  t.equal((await accounts.queue.claim(actor, claim)).isNew, true)
  t.equal((await accounts.queue.claim(actor, claim)).isNew, false, 'said again')
  await accounts.queue.release(actor, { id, transactionId: 'transaction-5' })
  const elsewhere = await accounts.actor(ann.user.id, 'ours', 'development')
  await accounts.queue.release(elsewhere, { id, transactionId: 'transaction-4' })
  const next = { ...claim, transactionId: 'transaction-5' }
  await rejectsWith(t, accounts.queue.claim(actor, next), 'conflict')
  await accounts.queue.release(actor, { id, transactionId: 'transaction-4' })
  t.equal((await accounts.queue.claim(actor, next)).isNew, true)
  await accounts.queue.release(actor, { id, transactionId: 'transaction-5' })
  t.equal((await accounts.queue.dequeue(host, id)).id, id)
})

t.test('what has expired is gone, also while its timer is late; a run that has it keeps it', async t => {
  const place = async (): Promise<string> => {
    const id = newQueueItemId()
    const expiresAtMs = Date.now() + 3_600_000
    await accounts.queue.enqueue(host, id, { slug: 'pay', isDeclared: true, expiresAtMs })
    return id
  }
  const [late, started, current] = [await place(), await place(), await place()]
  const run = { id: started, slug: 'pay', transactionId: 'transaction-6' }
  await accounts.queue.claim(actor, run)
  await database.query(
    "update queued_actions set expires_at = now() - interval '1 second' where id = any($1)",
    [[late, started]],
  )
  const listed = (await accounts.queue.list(actor, ['pay'])).map(({ id }) => id)
  t.notOk(listed.includes(late))
  t.ok(listed.includes(current))
  const claim = { id: late, slug: 'pay', transactionId: 'transaction-7' }
  await rejectsWith(t, accounts.queue.claim(actor, claim), 'not-found')
  await rejectsWith(t, accounts.queue.dequeue(host, late), 'not-found')
  await rejectsWith(t, accounts.queue.assign(actor, late, null), 'not-found')
  await accounts.queue.assign(actor, current, 'ann@example.com')
  t.equal((await accounts.queue.claim(actor, run)).isNew, false)
})

t.test("in a console nobody changes what is another developer's", async t => {
  const developed = await accounts.createKey(ann.user.id, 'ours', { kind: 'DEVELOPMENT' }, origin)
  const ownHost = await accounts.authenticateKey(developed.key)
  const own = await accounts.actor(ann.user.id, 'ours', 'development')
  const other = { ...own, user: { ...own.user, id: 'another' as UserId } }
  const id = newQueueItemId()
  await accounts.queue.enqueue(ownHost, id, { slug: 'pay', isDeclared: true })
  await rejectsWith(t, accounts.queue.assign(other, id, null), 'not-found')
  await rejectsWith(t, accounts.queue.dismiss(other, id), 'not-found')
  await accounts.queue.assign(own, id, 'ann@example.com')
  await accounts.queue.dismiss(own, id)
  const free = await waiting('ann@example.com')
  const manager = { ...actor, user: { ...actor.user, id: 'another' as UserId } }
  await accounts.queue.assign(manager, free, null)
  await accounts.queue.dismiss(manager, free)
})

t.test(
  'what others wait for is seen by who decides about it, after their own; of actions they may run',
  async t => {
    await database.query('delete from queued_actions')
    const bob = await accounts.signUp(
      { ...person, email: 'bob@example.com', organizationName: 'Theirs' },
      origin,
    )
    await database.query(
      `insert into memberships (id, person_id, organization_id, permissions) values ('bob', $1, $2, '{ACTION_RUNNER}')`,
      [bob.user.id, actor.organization.id],
    )
    const runner = await accounts.actor(bob.user.id, 'ours', 'production')
    const put = async (slug: string, assignee: string | null): Promise<string> => {
      const id = newQueueItemId()
      await accounts.queue.enqueue(host, id, { slug, assignee, isDeclared: true })
      return id
    }
    const secret = await put('payroll', 'bob@example.com')
    const [his, hers, free] = [
      await put('pay', 'bob@example.com'),
      await put('pay', 'ann@example.com'),
      await put('pay', null),
    ]
    const list = async (who: typeof actor, slugs: string[]) =>
      (await accounts.queue.list(who, slugs)).map(({ id }) => id)
    t.same(await list(actor, ['pay']), [hers, free, his])
    t.same(await list(runner, ['pay', 'payroll']), [secret, his, free])
    t.same(await list(actor, []), [])
    const claim = { id: his, slug: 'pay', transactionId: 'transaction-8' }
    await rejectsWith(t, accounts.queue.claim(actor, claim), 'not-found')
    // Many that somebody may not run do not stand in front of those they may.
    await database.query(
      `insert into queued_actions (id, organization_id, environment_id, action_slug, created_at)
     select 'many' || i, $1, $2, 'payroll', now() - interval '1 day' from generate_series(1, 300) i`,
      [actor.organization.id, actor.environment.id],
    )
    t.same(await list(runner, ['pay']), [his, free])
  },
)

t.test('no more waits in an environment than there is room for', async t => {
  await database.query(
    `insert into queued_actions (id, organization_id, environment_id, action_slug)
     select 'full' || i, $1, $2, 'pay' from generate_series(1, $3::integer) i`,
    [actor.organization.id, actor.environment.id, limits.queueItemsMax],
  )
  const item = { slug: 'pay', isDeclared: true }
  await rejectsWith(t, accounts.queue.enqueue(host, newQueueItemId(), item), 'queue-full')
  await database.query('delete from queued_actions')
})

t.test('what was claimed by a run that never came to be waits again', async t => {
  const held = new Set<string>()
  const settle = () => accounts.queue.settle(async id => held.has(id))
  const age = (minutes: number) =>
    database.query(
      "update queued_actions set claimed_at = claimed_at - $1 * interval '1 minute', missing_at = missing_at - $1 * interval '1 minute'",
      [minutes],
    )
  const claimed = async (transactionId: string, more: object = {}): Promise<string> => {
    const id = newQueueItemId()
    await accounts.queue.enqueue(host, id, { slug: 'pay', isDeclared: true, ...more })
    await accounts.queue.claim(actor, { id, slug: 'pay', transactionId })
    return id
  }
  const lost = await claimed('never-began')
  const late = await claimed('never-began-late', { expiresAtMs: Date.now() + 60_000 })
  const running = await claimed('runs')
  const ended = await claimed('has-ended')
  held.add('runs')
  await database.query(
    `insert into transactions (id, organization_id, environment_id, action_slug, action_name, status, created_at, updated_at,
       epoch, seq)
     values ('has-ended', $1, $2, 'pay', 'pay', 'COMPLETED', now(), now(), 1, 1)`,
    [actor.organization.id, actor.environment.id],
  )
  t.equal(await settle(), 0, 'not at once')
  await age(20)
  t.equal(await settle(), 0, 'nor before it was looked for twice: the history may be late')
  await age(5)
  t.equal(await settle(), 0)
  await database.query(`update queued_actions set expires_at = now() - interval '1 second' where id = $1`, [
    late,
  ])
  await age(10)
  t.equal(await settle(), 2)
  const { rows } = await database.query('select id, transaction_id from queued_actions order by id')
  t.same(
    rows,
    [
      { id: lost, transaction_id: null },
      { id: running, transaction_id: 'runs' },
    ].sort((a, b) => (a.id < b.id ? -1 : 1)),
    'one that has expired meanwhile is gone, and so is what is in the history',
  )
  t.notOk(rows.some(({ id }) => id === ended))
  t.same(
    (await accounts.queue.list(actor, ['pay'])).map(({ id }) => id),
    [lost],
  )
  t.equal((await accounts.queue.claim(actor, { id: lost, slug: 'pay', transactionId: 'begins' })).isNew, true)
})
