/** What is refused while copies are away, and what is held. The copies are played by the test, time is virtual. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import { limits } from '../../../lib/limits.js'
import { openPartitions, VirtualClock } from '../../../lib/partitions/index.js'
import { counterKind } from './support.js'

const settle = () => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve)))

t.test('a browser is refused when copies stay away, a host is held', async t => {
  const clock = new VirtualClock()
  let refusal: AppError | undefined
  let haveCopies = true
  const partitions = await openPartitions({
    storage: { backend: 'memdown' },
    clock,
    replication: {
      send: () => undefined,
      ackedSeq: () => (haveCopies ? Number.POSITIVE_INFINITY : 0),
      confirm: () => undefined,
      refusal: () => refusal,
    },
  })
  partitions.register(counterKind)
  await partitions.start()
  const add = (options: object) => {
    const outcome: { code?: string; reply?: unknown } = {}
    partitions.send('counter:1', { type: 'add', amount: 1 }, options).then(
      reply => Object.assign(outcome, { reply }),
      (error: unknown) => Object.assign(outcome, { code: error instanceof AppError ? error.code : error }),
    )
    return outcome
  }
  const until = async (isDone: () => boolean) => {
    for (let turns = 0; turns < 500 && !isDone(); turns += 1) await settle()
  }
  const browser = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
  const first = add(browser)
  await until(() => first.reply !== undefined)
  t.equal(first.reply, 1)

  haveCopies = false
  const asked = add(browser)
  const host = add({})
  const slow = add(browser)
  for (let turns = 0; turns < 50; turns += 1) await settle()
  clock.advance(limits.copiesAwayMsMax - 1)
  await settle()
  t.same(asked, {}, 'it waits first: most deaths are settled sooner')
  refusal = new AppError('copies-away')
  clock.advance(1)
  await settle()
  t.same(asked, { code: 'copies-away' })
  t.same(slow, { code: 'copies-away' })
  const atOnce = add(browser)
  await settle()
  t.same(atOnce, { code: 'copies-away' }, 'the next one does not wait')
  clock.advance(60_000)
  await settle()
  t.same(host, {}, 'the host goes on waiting')

  refusal = undefined
  const late = add(browser)
  for (let turns = 0; turns < 50; turns += 1) await settle()
  clock.advance(limits.clientCallMsMax)
  await settle()
  t.same(late, { code: 'timeout' }, 'what takes long for another reason has its deadline')
})
