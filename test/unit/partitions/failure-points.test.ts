import { inspect } from 'node:util'
import t from 'tap'
import { Secret, silentLog } from '../../../lib/log.js'
import { openPartitions, parseFailurePoints, VirtualClock } from '../../../lib/partitions/index.js'
import { counterKind } from './support.js'

t.test('INTERVAL_FAILPOINT kills at the n-th time a point is reached', async t => {
  let kills = 0
  const points = parseFailurePoints('commit.after-write:2', () => {
    kills += 1
  })
  points?.reach('commit.after-write')
  points?.reach('commit.before-write')
  t.equal(kills, 0)
  points?.reach('commit.after-write')
  points?.reach('commit.after-write')
  t.equal(kills, 1)
  t.equal(parseFailurePoints(undefined), undefined)
  t.equal(parseFailurePoints(''), undefined)
  for (const text of ['commit', 'commit.after-write:0', 'commit.after-write:x', 'commit.after-write:1:2']) {
    t.throws(() => parseFailurePoints(text), /INTERVAL_FAILPOINT must be NAME/)
  }
})

t.test('a message passes the points in order, and one can hold it', async t => {
  const reached: string[] = []
  let letGo = () => {}
  const held = new Promise<void>(resolve => {
    letGo = resolve
  })
  const partitions = await openPartitions({
    storage: { backend: 'memdown' },
    log: silentLog,
    failurePoints: {
      reach(name) {
        reached.push(name)
        return name === 'reply.before-send' ? held : undefined
      },
    },
  })
  partitions.register(counterKind)
  await partitions.start()
  let isAnswered = false
  const answer = partitions.send('counter:p', { type: 'add', amount: 1 } as never).then(() => {
    isAnswered = true
  })
  while (!reached.includes('reply.before-send')) await new Promise(resolve => setImmediate(resolve))
  t.same(reached, ['decision.after-decide', 'commit.before-write', 'commit.after-write', 'reply.before-send'])
  t.notOk(isAnswered)
  letGo()
  await answer
  await partitions.stop()
})

t.test('virtual timers fire in due order, during advance only', async t => {
  const clock = new VirtualClock(1_000)
  const fired: string[] = []
  clock.setTimer(20, () => fired.push(`b ${clock.nowMs()}`))
  clock.setTimer(10, () => {
    fired.push(`a ${clock.nowMs()}`)
    clock.setTimer(5, () => fired.push(`a2 ${clock.nowMs()}`))
  })
  clock.setTimer(15, () => fired.push('never')).cancel()
  t.equal(clock.nextDueAtMs(), 1_010)
  clock.advance(30)
  t.same(fired, ['a 1010', 'a2 1015', 'b 1020'])
  t.equal(clock.nowMs(), 1_030)
  t.equal(clock.nextDueAtMs(), undefined)
})

t.test('a secret cannot be printed', async t => {
  const secret = new Secret('hunter2')
  for (const text of [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret })]) {
    t.notMatch(text, /hunter2/)
    t.match(text, /\[secret\]/)
  }
  t.equal(secret.reveal(), 'hunter2')
})
