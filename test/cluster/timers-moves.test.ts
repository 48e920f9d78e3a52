/**
 * Timers move with their partitions: a node is stopped and comes back while they are being called, and each is called
 * once, in its time. Nothing dies here, so nothing may be called twice.
 */
import t from 'tap'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { TimerClient } from '../support/timer-client.js'
import { TimerReceiver } from '../support/timer-receiver.js'

t.setTimeout(300_000)

const count = process.env.TEST_LONG ? 6_000 : 900
/** From the first to the last, in ms: longer than a stop and a start take. */
const spreadMs = 20_000
/** A partition that is handed over is held for a moment, and what is due meanwhile waits. */
const lateMsMax = process.env.TEST_LONG ? 2_000 : 10_000

t.test('three nodes, one is stopped and started again under calls', async t => {
  const cluster = await TestCluster.start(3, ['--timers:auth=open', '--timers:callbacks:allow=127.0.0.0/8'])
  t.teardown(() => cluster.stop())
  const receiver = await TimerReceiver.start()
  t.teardown(() => receiver.stop())
  const client = new TimerClient(cluster.servers.map(({ address }) => address))
  t.teardown(() => client.close())

  const due = new Map<string, { earliestMs: number; latestMs: number }>()
  for (let from = 0; from < count; from += 50) {
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        const path = `/${from + at}`
        const timeout = 2_000 + Math.floor(((from + at) * spreadMs) / count)
        const uri = `${receiver.address}${path}`
        const answer = await client.post({ timeout, callback: { transport: 'http', method: 'post', uri } })
        if (answer.status !== 201) throw new Error(`${answer.status} ${answer.reason}`)
        due.set(path, { earliestMs: answer.askedAtMs + timeout, latestMs: answer.atMs + timeout })
      }),
    )
  }
  const leaving = cluster.node(2)
  await eventually(() => {
    if (receiver.calls.length < count / 20) throw new Error('nothing is called yet')
  })
  const before = receiver.calls.length
  await leaving.kill('SIGTERM')
  const between = receiver.calls.length
  await leaving.run()
  await cluster.settled(3)
  const after = receiver.calls.length
  t.ok(
    before < between && after > between,
    `${before} calls before, ${between} when it had left, ${after} when it was back`,
  )

  await eventually(() => {
    const missing = [...due.keys()].filter(path => receiver.at(path).length === 0)
    if (missing.length > 0) throw new Error(`${missing.length} of ${count} were not called`)
  }, 60_000)
  t.equal(receiver.calls.length, count, 'each once')
  const earlyMs = Math.max(
    ...[...due].map(([path, { earliestMs }]) => earliestMs - (receiver.at(path)[0]?.atMs ?? 0)),
  )
  const lateMs = Math.max(
    ...[...due].map(([path, { latestMs }]) => (receiver.at(path)[0]?.atMs ?? 0) - latestMs),
  )
  t.ok(earlyMs <= 0, `the earliest ${earlyMs} ms early`)
  t.ok(lateMs <= lateMsMax, `the latest ${lateMs} ms late`)
})
