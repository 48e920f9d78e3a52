/**
 * Three real nodes: host, browser and leader each on a node of their own; then a node is killed. Every answer that was
 * acknowledged reaches the host, in order, once.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { Events, TransactionSnapshot } from '../../lib/clients/wire.js'
import { partitionOf } from '../../lib/ring/index.js'
import { RawBrowser } from '../bench/raw-browser.js'
import { RawHost } from '../bench/raw-host.js'
import { TestCluster } from '../support/cluster.js'
import { eventuallyTrue } from '../support/eventually.js'

const stepCount = 10

t.test('host, browser and leader on different nodes', { timeout: 280_000 }, async t => {
  const cluster = await TestCluster.start(3)
  t.teardown(() => cluster.stop())
  t.comment(`Postgres: ${cluster.postgres.kind}`)
  const { organization, user, password, liveKey } = await cluster.seed()
  /** What the host was answered, and what browsers were told is taken, by run. */
  const answered = new Map<string, string[]>()
  const acknowledged = new Map<string, string[]>()
  const host = await RawHost.connect(cluster.node(0).endpoint, liveKey, ['ask'], {
    started: (self, transactionId) => void self.ask(transactionId, 'Question 1'),
    answered(self, transactionId, value) {
      const all = answered.get(transactionId) ?? []
      answered.set(transactionId, [...all, (JSON.parse(value) as { values: string[] }).values[0] ?? ''])
      void self.ask(transactionId, `Question ${all.length + 2}`)
    },
  })
  t.teardown(() => host.close())
  const cookie = await cluster.node(1).signIn(user.email, password)
  const place = { organization: organization.slug, environment: 'production' }

  /** Starts a run in a window of its own and answers its first steps. */
  const run = async (): Promise<{ transactionId: string; browser: RawBrowser }> => {
    const transactionId = randomUUID()
    const browser = await RawBrowser.connect(cluster.node(1).address, cookie)
    t.teardown(() => browser.close())
    const seen = new Set<string>()
    const answer = async ({ call }: Events['transaction.render']['step']) => {
      if (seen.has(call.id) || seen.size >= stepCount) return
      seen.add(call.id)
      const value = `answer ${seen.size}`
      await browser.ask('transaction.answer', {
        transactionId,
        requestId: randomUUID(),
        inputGroupKey: call.inputGroupKey,
        renderId: call.id,
        kind: 'RETURN',
        values: [value],
        choice: 'continue',
      })
      acknowledged.set(transactionId, [...(acknowledged.get(transactionId) ?? []), value])
    }
    browser.onEvent = (event, data) => {
      if (event === 'transaction.render') void answer((data as Events['transaction.render']).step)
    }
    const started = await browser.ask('transaction.start', { ...place, transactionId, slug: 'ask' })
    for (const step of (started as { result: TransactionSnapshot }).result.steps) void answer(step)
    return { transactionId, browser }
  }
  const isDone = ({ transactionId }: { transactionId: string }) =>
    answered.get(transactionId)?.length === stepCount && acknowledged.get(transactionId)?.length === stepCount

  const before = await Promise.all(Array.from({ length: 20 }, run))
  await eventuallyTrue('all steps of all runs', () => before.every(isDone), 30_000)
  const statuses = await Promise.all([0, 1, 2].map(index => cluster.status(index)))
  for (const status of statuses) {
    t.ok(
      status.partitions.some(partition => partition.serving && partition.seq > 0),
      'each node leads some of it',
    )
  }

  const owners = await cluster.owners()
  for (const index of [0, 1, 2]) {
    const { address } = cluster.node(index)
    const browser = await RawBrowser.connect(address, await cluster.node(index).signIn(user.email, password))
    t.teardown(() => browser.close())
    const ids = new Set<string>()
    for (const _start of [1, 2, 3]) {
      const transactionId = browser.newId
      ids.add(transactionId)
      t.equal(
        owners[partitionOf(`transaction:${transactionId}`)],
        index,
        'a window is given what its node leads',
      )
      await browser.ask('transaction.start', { ...place, transactionId, slug: 'ask' })
    }
    t.equal(ids.size, 3, 'and another id after each start')
  }

  t.comment('the third node is killed: it held neither host nor browser, but led a third of everything')
  await cluster.node(2).kill()
  const killedAtMs = Date.now()
  const after = await Promise.all(Array.from({ length: 20 }, run))
  await eventuallyTrue('all steps of all runs', () => after.every(isDone), 30_000)
  t.comment(`${Date.now() - killedAtMs} ms from the kill until 20 new runs had ${stepCount} answers each`)
  for (const { transactionId } of [...before, ...after]) {
    t.same(
      answered.get(transactionId),
      acknowledged.get(transactionId),
      'every acknowledged answer arrived, in order, once',
    )
  }
  for (const { transactionId, browser } of before) {
    const attached = await browser.ask('transaction.attach', { transactionId })
    const { status, steps } = (attached as { result: TransactionSnapshot }).result
    t.same([status, steps.length], ['awaiting-input', 1], 'runs from before wait at the same step')
  }
})
