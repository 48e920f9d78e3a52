/** What time it is among nodes whose wall clocks differ. The others are played by the test. */
import t from 'tap'
import type { NodeId } from '../../../lib/ids.js'
import { silentLog } from '../../../lib/log.js'
import { systemClock, VirtualClock } from '../../../lib/partitions/index.js'
import { NodeTime } from '../../../lib/partitions/node-time.js'
import type { Member, PeerCondition, Peers } from '../../../lib/ring/index.js'

const hourMs = 3_600_000

class Other {
  readonly nodeId: NodeId
  condition: PeerCondition['kind'] = 'connected'
  isSettled = true
  lagMs = 0
  roundTripMs = 4
  constructor(
    name: string,
    readonly clock: VirtualClock,
    public aheadMs: number,
  ) {
    this.nodeId = name as NodeId
  }

  say(): Buffer {
    const body = Buffer.alloc(17)
    const nowMs = this.clock.nowMs() + this.aheadMs
    body.writeDoubleBE(nowMs, 0)
    body.writeDoubleBE(nowMs - this.lagMs, 8)
    body.writeUInt8(this.isSettled ? 1 : 0, 16)
    return body
  }
}

function nodeAmong(clock: VirtualClock, others: readonly Other[], aheadMs = 0) {
  let heard: ((from: Member, body: Buffer, roundTripMs: number) => void) | undefined
  const peers = {
    condition: (id: NodeId) => ({ kind: others.find(other => other.nodeId === id)?.condition }),
    call: async (id: NodeId) => others.find(other => other.nodeId === id)?.say(),
    onCall: () => undefined,
    setBeacon: () => undefined,
    onBeacon: (handler: typeof heard) => {
      heard = handler
    },
  } as unknown as Peers
  const own = {
    nowMs: () => clock.nowMs() + aheadMs,
    setTimer: (ms: number, fn: () => void) => clock.setTimer(ms, fn),
    soon: (fn: () => void) => clock.soon(fn),
  }
  const time = new NodeTime({ peers, clock: own, log: silentLog })
  const ids = others.map(other => other.nodeId)
  return {
    time,
    settle: () => time.settle(() => ids, 5_000),
    beacons() {
      for (const other of others)
        if (other.condition === 'connected')
          heard?.({ nodeId: other.nodeId, boot: 1 } as Member, other.say(), other.roundTripMs)
    },
  }
}

t.test('a wall clock an hour ahead is corrected before anything is led', async t => {
  const clock = new VirtualClock()
  const { time, settle } = nodeAmong(clock, [new Other('b', clock, 0), new Other('c', clock, 10)], hourMs)
  await settle()
  t.ok(Math.abs(time.nowMs() - clock.nowMs() - 5) <= 1, 'the median of the others')
  t.ok(time.dueMs() <= clock.nowMs(), 'alarms wait for the slowest clock')
})

t.test('nodes that start together take the median of all', async t => {
  const clock = new VirtualClock()
  const others = [new Other('b', clock, 3), new Other('c', clock, -hourMs)]
  for (const other of others) other.isSettled = false
  const { time, settle } = nodeAmong(clock, others)
  await settle()
  t.equal(time.nowMs(), clock.nowMs())
})

t.test('a node alone trusts its clock, without waiting for those that are gone', async t => {
  const clock = new VirtualClock()
  const gone = new Other('b', clock, hourMs)
  gone.condition = 'refused'
  const { time, settle } = nodeAmong(clock, [gone])
  await settle()
  t.equal(time.nowMs(), clock.nowMs())
  t.equal(time.dueMs(), clock.nowMs())
})

t.test('one that is silent is waited for, not for ever', async t => {
  const clock = new VirtualClock()
  const silent = new Other('b', clock, 0)
  silent.condition = 'silent'
  const { settle } = nodeAmong(clock, [silent])
  let isSettled = false
  const done = settle().then(() => {
    isSettled = true
  })
  for (let passedMs = 0; passedMs < 4_900; passedMs += 100) {
    await new Promise<void>(resolve => setImmediate(resolve))
    t.notOk(isSettled && passedMs < 4_800)
    clock.advance(100)
  }
  for (let turns = 0; turns < 20; turns += 1) {
    await new Promise<void>(resolve => setImmediate(resolve))
    clock.advance(50)
  }
  await done
})

t.test('time is drawn together slowly, and never goes back', async t => {
  const clock = new VirtualClock()
  const others = [new Other('b', clock, -40), new Other('c', clock, -40)]
  for (const other of others) other.condition = 'refused'
  const { beacons, settle, time } = nodeAmong(clock, others)
  await settle()
  for (const other of others) other.condition = 'connected'
  let last = time.nowMs()
  for (let second = 0; second < 60; second += 1) {
    clock.advance(500)
    beacons()
    const nowMs = time.nowMs()
    t.ok(nowMs >= last)
    t.ok(nowMs - last >= 490, 'half a percent at most')
    t.ok(time.dueMs() <= clock.nowMs() - 40, 'alarms by the slowest clock')
    last = nowMs
  }
  t.ok(
    Math.abs(time.nowMs() - (clock.nowMs() - 40)) <= 6,
    'in the end all have one time, as far as it can be known',
  )
})

t.test('what a slow answer may be wrong by is no difference', async t => {
  const clock = new VirtualClock()
  // Clocks agree, but all of the way is on one side.
  const others = [new Other('b', clock, 0), new Other('c', clock, 0)]
  for (const other of others) other.roundTripMs = 60
  const { beacons, settle, time } = nodeAmong(clock, others)
  await settle()
  for (let second = 0; second < 60; second += 1) {
    clock.advance(500)
    beacons()
    t.equal(time.nowMs(), clock.nowMs())
  }
  t.ok(time.dueMs() < clock.nowMs(), 'alarms wait for what it may be')
})

t.test('what a slow clock has accepted is not early after its node is gone', async t => {
  const clock = new VirtualClock()
  const slow = new Other('b', clock, -30)
  const { beacons, settle, time } = nodeAmong(clock, [slow, new Other('c', clock, 0)])
  await settle()
  beacons()
  slow.condition = 'refused'
  for (let second = 0; second < 10; second += 1) {
    clock.advance(1_000)
    beacons()
    t.ok(time.dueMs() <= clock.nowMs() - 20)
  }
})

t.test('a step of the wall clock moves nothing', t => {
  const clock = systemClock()
  const before = clock.nowMs()
  const now = Date.now
  t.teardown(() => {
    Date.now = now
  })
  for (const stepMs of [hourMs, -hourMs, 200, -200]) {
    Date.now = () => now() + stepMs
    const passedMs = clock.nowMs() - before
    t.ok(passedMs >= 0 && passedMs < 5_000)
  }
  t.end()
})
