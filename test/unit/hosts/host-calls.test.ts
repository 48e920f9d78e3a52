/** What a host has said of its run is tried on when its socket has gone: nobody else would settle its promise. */
import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import { HostCalls, type HostCallsOptions } from '../../../lib/hosts/host-calls.js'
import type { HostConnection } from '../../../lib/hosts/host-connection.js'
import { limits } from '../../../lib/limits.js'
import { silentLog } from '../../../lib/log.js'
import { VirtualClock } from '../../../lib/partitions/clock.js'
import { SdkVersion } from '../../../lib/sdk/index.js'
import { type TransactionMessage, transactionKind } from '../../../lib/transactions/index.js'
import { asker, startOf } from '../../sim/transaction-model.js'

/** A host that said a line of its log and is gone, and a leader that cannot be reached before `reachedAfterMs`. */
function sayAndGo(reachedAfterMs: number) {
  const clock = new VirtualClock()
  const reachedAtMs = clock.nowMs() + reachedAfterMs
  let tries = 0
  const runtime = {
    async send() {
      tries += 1
      if (clock.nowMs() < reachedAtMs) throw new AppError('unavailable')
      return { accepted: true }
    },
  }
  const calls = new HostCalls(
    { runtime, clock, log: silentLog } as unknown as HostCallsOptions,
    {} as never,
    () => undefined,
  )
  const connection = {
    sdk: new SdkVersion('@interval/sdk', '2.0.0'),
    instanceId: 'instance-1',
    rpc: { isClosed: true },
    lastHeardMs: clock.nowMs(),
  } as unknown as HostConnection
  const data = { transactionId: 'transaction-1', data: 'a line', index: 0, timestamp: 0 }
  const outcome = { settled: 'not yet' as unknown }
  calls.handle(connection, { rpcId: '9', method: 'SEND_LOG', data } as never).then(
    answer => Object.assign(outcome, { settled: answer }),
    (error: unknown) => Object.assign(outcome, { settled: (error as AppError).code }),
  )
  const pass = async (ms: number) => {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
      await new Promise(resolve => setImmediate(resolve))
      clock.advance(Math.min(leftMs, 1_000))
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  return { outcome, pass, tries: () => tries }
}

t.test('a line of a host whose socket has gone is written when its leader is reached', async t => {
  const { outcome, pass, tries } = sayAndGo(30_000)
  await pass(20_000)
  t.equal(outcome.settled, 'not yet')
  await pass(20_000)
  t.equal(outcome.settled, true)
  t.ok(tries() < 40, `${tries()} tries`)
})

t.test('a host that stays away for longer than it is expected is given up', async t => {
  const { outcome, pass } = sayAndGo(Number.POSITIVE_INFINITY)
  await pass(limits.hostGraceMs - 10_000)
  t.equal(outcome.settled, 'not yet')
  await pass(20_000)
  t.equal(outcome.settled, 'unavailable')
})

t.test(
  'a redirect or a loading state that comes when the host has gone on takes nothing from its step',
  async t => {
    const clock = new VirtualClock()
    const key = 'transaction:transaction-1' as const
    let state = transactionKind.load(new Map(), key)
    const tell = (message: TransactionMessage) => {
      const decision = transactionKind.decide(state, message, {
        key,
        nowMs: clock.nowMs(),
        historyPending: false,
      })
      state = decision.state ?? state
      return decision.reply
    }
    const start = startOf()
    tell({ type: 'start', start, asker })
    /** What a host says by way of one node. */
    const edge = (isCutOff: () => boolean) => {
      const runtime = {
        async send(_key: string, message: TransactionMessage) {
          if (isCutOff()) throw new AppError('unavailable')
          return tell(message)
        },
      }
      const options = { runtime, clock, log: silentLog } as unknown as HostCallsOptions
      const calls = new HostCalls(options, { take: () => undefined } as never, () => undefined)
      const connection = {
        sdk: new SdkVersion('@interval/sdk', '2.0.0'),
        instanceId: start.instanceId,
        rpc: { isClosed: isCutOff() },
        lastHeardMs: clock.nowMs(),
        speaksOf: () => undefined,
      } as unknown as HostConnection
      return (rpcId: string, method: string, data: object) =>
        calls.handle(connection, {
          rpcId,
          method,
          data: { transactionId: 'transaction-1', ...data },
        } as never)
    }
    let isCut = true
    const first = edge(() => isCut)
    const late = [
      first('7', 'SEND_LOADING_CALL', { loading: { label: 'a moment' } }),
      first('8', 'SEND_REDIRECT', { redirect: { url: 'https://example.com' } }),
    ]
    const toRender = [{ methodName: 'INPUT_TEXT', label: 'name', props: {} }]
    const ioCall = JSON.stringify({ id: 'render-1', inputGroupKey: 'group-1', kind: 'RENDER', toRender })
    t.equal(
      await edge(() => false)('9', 'SEND_IO_CALL', { ioCall }),
      true,
      'it has connected to another node',
    )
    isCut = false
    for (let left = 3; left > 0; left -= 1) {
      await new Promise(resolve => setImmediate(resolve))
      clock.advance(1_000)
    }
    t.same(await Promise.all(late), [true, true])
    t.match(state.now, { status: 'awaiting-input', loading: null, redirect: null })
    t.equal(state.groups.length, 1)
    t.equal(state.result, null)
  },
)
