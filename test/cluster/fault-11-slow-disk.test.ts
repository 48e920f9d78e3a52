/**
 * Fault 11: one disk of three takes 500 ms for each write. What has a copy there waits for it, and nothing else happens
 * to it: no take-over, no refusal. What has none there does not notice.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { partitionOf } from '../../lib/ring/index.js'
import { RawHost } from '../bench/raw-host.js'
import { BrowserClient } from '../support/browser-client.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'

t.setTimeout(300_000)
const slowMs = 500
const rounds = 60
const skip = process.env.TEST_LONG === undefined && 'a part of npm run test:long'

t.test('row 11: a slow disk costs latency, and only to what is on it', { skip }, async t => {
  const cluster = await TestCluster.start(3)
  t.teardown(() => cluster.stop())
  const seeded = await cluster.seed()
  const edge = cluster.node(0)
  const cookie = await edge.signIn(seeded.user.email, seeded.password)
  const place = { organization: seeded.organization.slug, environment: 'production' }
  const slow = cluster.node(2)
  await slow.kill('SIGTERM')
  await slow.run({ INTERVAL_FAILPOINT: `commit.before-write:delay=${slowMs}` })
  await cluster.settled(3, 2, 120_000)
  const slowNode = (await cluster.status(2)).node
  const browser = await BrowserClient.connect(edge.address, cookie)
  const events = { started: () => undefined, answered: () => undefined }
  const host = await RawHost.connect(edge.endpoint, seeded.liveKey, ['action'], events)
  t.teardown(() => {
    browser.close()
    host.close()
  })
  const places = async (): Promise<Map<number, { epoch: number; isSlow: boolean }>> => {
    const found = new Map<number, { epoch: number; isSlow: boolean }>()
    for (const index of [0, 1, 2]) {
      const { node, partitions } = await cluster.status(index)
      for (const { partition, serving, epoch, replicas } of partitions)
        if (serving) found.set(partition, { epoch, isSlow: [node, ...replicas].includes(slowNode) })
    }
    return found
  }
  const before = await places()
  const isSlow = (id: string): boolean => before.get(partitionOf(`transaction:${id}`))?.isSlow ?? false
  const start = async (wanted: boolean): Promise<string> => {
    let transactionId = randomUUID()
    while (isSlow(transactionId) !== wanted) transactionId = randomUUID()
    await eventually(
      () => browser.ask('transaction.start', { ...place, transactionId, slug: 'action' }),
      60_000,
    )
    return transactionId
  }
  const measure = async (transactionId: string): Promise<number[]> => {
    const tookMs: number[] = []
    for (let index = 0; index < rounds; index++) {
      const startedMs = performance.now()
      const line = { transactionId, data: `line ${index}`, index, timestamp: index + 1 }
      t.equal(await host.call('SEND_LOG', line), true)
      tookMs.push(performance.now() - startedMs)
    }
    return tookMs.sort((a, b) => a - b)
  }
  const [there, elsewhere] = [await start(true), await start(false)]
  const [slowMsSeen, quickMsSeen] = await Promise.all([measure(there), measure(elsewhere)])
  const middle = (values: number[] = []): number => values[Math.floor(values.length / 2)] ?? 0
  const last = (values: number[] = []): number => values.at(-1) ?? 0
  t.ok(
    middle(slowMsSeen) >= slowMs * 0.9,
    `what is on the slow disk waits for it: ${middle(slowMsSeen).toFixed(0)} ms`,
  )
  t.ok(last(slowMsSeen) < slowMs * 6, `and not much longer: ${last(slowMsSeen).toFixed(0)} ms at most`)
  t.ok(middle(quickMsSeen) < 100, `what is not does not: ${middle(quickMsSeen).toFixed(1)} ms`)
  t.ok(last(quickMsSeen) < slowMs * 0.8, `${last(quickMsSeen).toFixed(0)} ms at most`)
  const after = await places()
  for (const id of [there, elsewhere]) {
    const partition = partitionOf(`transaction:${id}`)
    t.same(after.get(partition), before.get(partition), 'nobody was removed')
  }
  const slowCount = [...before.values()].filter(found => found.isSlow).length
  t.comment(
    `every write of one node took ${slowMs} ms more; ${slowCount} of 256 partitions have a copy there`,
  )
  t.comment(
    `${rounds} lines each: on it ${middle(slowMsSeen).toFixed(0)} ms (slowest ${last(slowMsSeen).toFixed(0)}), elsewhere ${middle(quickMsSeen).toFixed(1)} ms (slowest ${last(quickMsSeen).toFixed(0)})`,
  )
})
