import t from 'tap'
import { AppError } from '../../../lib/errors.js'
import {
  HostMailbox,
  HostRpc,
  type IncomingCall,
  parseIoCall,
  parsePageLayout,
  parseTransactionResult,
  SdkVersion,
  validateAnswer,
} from '../../../lib/sdk/index.js'
import {
  hostileFrame,
  hostileMeta,
  hostileValue,
  type Random,
  runSeed,
  seededRandom,
} from '../../support/hostile-frames.js'

const frames = process.env.TEST_LONG === '1' ? 1_000_000 : 100_000
const seed = runSeed()

t.setTimeout(frames === 100_000 ? 120_000 : 1_200_000)

class World {
  readonly #random: Random
  #rpc: HostRpc
  #mailbox = new HostMailbox()
  calls = 0
  refusals = 0
  answersAccepted = 0
  answersRefused = 0
  surprise: unknown = null

  constructor(random: Random) {
    this.#random = random
    this.#rpc = this.#connect()
  }

  #connect(): HostRpc {
    return new HostRpc({
      sendText: text => {
        JSON.parse(text)
      },
      after: () => () => {},
      onCall: call => this.#onCall(call),
      onResponseAcked: rpcId => this.#mailbox.confirmed(rpcId),
      onProblem: ({ error }) => {
        this.refusals++
        if (!(error instanceof AppError)) this.surprise ??= error
      },
    })
  }

  feed(frame: string | Buffer): void {
    try {
      this.#rpc.onText(frame)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.refusals++
      this.#rpc.close()
      this.#rpc = this.#connect()
      if (this.#random() < 0.001) this.#mailbox.connected(String(this.calls + 1))
    }
  }

  async #onCall(call: IncomingCall): Promise<unknown> {
    this.calls++
    this.#mailbox.received(call.rpcId, call.method)
    const answer = this.#handle(call)
    this.#mailbox.computed(call.rpcId, answer)
    return answer
  }

  #handle(call: IncomingCall): unknown {
    if (call.method === 'SEND_IO_CALL') this.#answer(call.data.ioCall)
    if (call.method === 'SEND_PAGE' && call.data.page !== undefined) parsePageLayout(call.data.page)
    if (call.method === 'MARK_TRANSACTION_COMPLETE') parseTransactionResult(call.data)
    if (call.method === 'INITIALIZE_HOST') {
      const version = new SdkVersion(call.data.sdkName, call.data.sdkVersion)
      return { type: 'success', environment: version.environmentFor('production') }
    }
    return true
  }

  #answer(ioCall: string): void {
    const call = parseIoCall(ioCall)
    const random = this.#random
    for (const kind of ['RETURN', 'SET_STATE'] as const) {
      const values = call.toRender.map(() => hostileValue(random))
      if (random() < 0.05) values.push(null)
      const checked = validateAnswer(call, { kind, values, valuesMeta: hostileMeta(random) }, 'transaction')
      if (checked.ok) {
        this.answersAccepted++
        JSON.parse(checked.value)
      } else this.answersRefused++
    }
  }
}

t.test(`${frames} hostile frames cause nothing but AppErrors`, async t => {
  const random = seededRandom(seed)
  const world = new World(random)
  const rssBefore = process.memoryUsage().rss
  let at = 0
  try {
    for (; at < frames; at++) {
      world.feed(hostileFrame(random))
      if (at % 500 === 499) await new Promise(resolve => setImmediate(resolve))
      if (world.surprise !== null) throw world.surprise
    }
  } catch (error) {
    t.fail(`frame ${at}: repeat with TEST_SEED=${seed} (TEST_LONG=${process.env.TEST_LONG ?? ''})`, { error })
    return
  }
  t.equal(
    Object.getOwnPropertyNames(Object.prototype).includes('polluted'),
    false,
    'no prototype was touched',
  )
  t.ok(world.calls > frames / 20, `valid calls got through (${world.calls} did)`)
  t.ok(world.refusals > frames / 20, `invalid ones were refused (${world.refusals} were)`)
  t.ok(world.answersAccepted > 0 && world.answersRefused > 0, 'answers were checked both ways')
  const grownBytes = process.memoryUsage().rss - rssBefore
  t.ok(grownBytes < 400_000_000, `memory stays bounded (grew ${Math.round(grownBytes / 1e6)} MB)`)
})
