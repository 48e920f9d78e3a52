/**
 * Row 9: wall clocks that are wrong and that jump, while timers wait and the node that leads them is killed. A timer is
 * never called early by the clock of whoever asked for it, whichever node took it and whichever calls.
 */
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../lib/root.js'
import { TestCluster } from '../support/cluster.js'
import { eventually } from '../support/eventually.js'
import { TimerClient } from '../support/timer-client.js'
import { TimerReceiver } from '../support/timer-receiver.js'

t.setTimeout(300_000)

const hourMs = 3_600_000
const count = process.env.TEST_LONG ? 3_000 : 600
/** How far two clocks may be taken for each other's, on one machine: half a round trip and what is rounded away. */
const errorMs = 5
/** What a death may add: it is noticed, its followers take over, and what is due is called. */
const lateMsMax = process.env.TEST_LONG ? 3_000 : 10_000

t.test('three nodes: one an hour ahead, one 200 ms behind that jumps by an hour and back', async t => {
  const preload = join(packageRoot, 'test/support/wrong-clock.cjs')
  const cluster = await TestCluster.start(3, ['--timers:auth=open', '--timers:callbacks:allow=127.0.0.0/8'], {
    NODE_OPTIONS: `--require=${preload}`,
    CLOCK_STEP_MS: String(hourMs),
  })
  t.teardown(() => cluster.stop())
  const receiver = await TimerReceiver.start()
  t.teardown(() => receiver.stop())
  const wrong = [0, -200, hourMs]
  for (const [index, offset] of wrong.entries()) {
    if (offset === 0) continue
    const node = cluster.node(index)
    await node.kill()
    await node.run({ CLOCK_OFFSET_MS: String(offset), CLOCK_STEP_MS: String(offset < 0 ? hourMs : 0) })
    await cluster.settled(3)
  }
  const client = new TimerClient(cluster.servers.map(({ address }) => address))
  t.teardown(() => client.close())

  const due = new Map<string, { earliestMs: number; latestMs: number }>()
  const killedAtMs: number[] = []
  const make = async (number: number): Promise<void> => {
    const timeout = 3_000 + (number % 50) * 100
    const path = `/${number}`
    const uri = `${receiver.address}${path}`
    const answer = await client.post({ timeout, callback: { transport: 'http', method: 'post', uri } })
    t.equal(answer.status, 201)
    due.set(path, { earliestMs: answer.askedAtMs + timeout, latestMs: answer.atMs + timeout })
  }
  for (let number = 0; number < count; number += 50)
    await Promise.all(Array.from({ length: 50 }, (_, at) => make(number + at)))

  process.kill(cluster.node(1).pid, 'SIGUSR2')
  await cluster.node(2).kill()
  killedAtMs.push(Date.now())
  process.kill(cluster.node(0).pid, 'SIGUSR2')

  await eventually(() => {
    const missing = [...due.keys()].filter(path => receiver.at(path).length === 0)
    if (missing.length > 0) throw new Error(`${missing.length} of ${count} were not called`)
  }, 60_000)
  const early = [...due].map(([path, { earliestMs }]) => earliestMs - (receiver.at(path)[0]?.atMs ?? 0))
  const late = [...due].map(([path, { latestMs }]) => {
    const sinceMs = Math.max(latestMs, ...killedAtMs)
    return (receiver.at(path)[0]?.atMs ?? Number.POSITIVE_INFINITY) - sinceMs
  })
  const firings = receiver.calls.map(({ headers }) => headers['x-timer-firing'])
  t.comment(
    `${count} timers, the earliest ${Math.max(...early)} ms early, the latest ${Math.max(...late)} ms late`,
  )
  t.comment(`${firings.length - new Set(firings).size} calls repeated`)
  t.ok(Math.max(...early) <= errorMs, `${Math.max(...early)} ms early`)
  t.ok(Math.max(...late) <= lateMsMax, `${Math.max(...late)} ms late`)
})
