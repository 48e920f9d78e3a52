/**
 * A host as the SDKs are: one process with one instance id that outlives its sockets, whose calls wait without a deadline,
 * and which says its last call of each run again after each reconnect, answered or not.
 *
 * What it knows of the answers it was given is what the checker looks at: a question is answered once, an answer that was
 * confirmed is not given again, nothing of a passing nature is refused, and no promise is left alone.
 */
import { randomUUID } from 'node:crypto'
import type { InstanceId } from '../../../lib/ids.js'
import type { Sessions } from './sessions.js'
import type { SimLine } from './sim-line.js'

const retryMs = 300
/** As the SDKs: a call that was not acknowledged is made again under a new id. */
const ackMsMax = 5_000
const authenticatedMsMax = 10_000

/** A promise in the host's process. */
interface Call {
  readonly method: string
  readonly data: object
  readonly sinceMs: number
  readonly resolve: (answer: unknown) => void
}

interface Rpc {
  readonly id: string
  readonly kind: 'CALL' | 'RESPONSE'
  readonly methodName: string
  readonly data?: unknown
}

interface Step {
  readonly kind: 'ask' | 'show' | 'log' | 'loading'
  readonly refusals: number
}

interface Run {
  readonly id: string
  readonly steps: readonly Step[]
  at: number
  /** The group it waits for, and what its answer does. */
  open: { readonly group: string; readonly answer: (value: string) => void; refusalsLeft: number } | undefined
  /** What is said again after a reconnect. */
  last: string | undefined
  isDone: boolean
  /** Its completion was lost: SDKs do not say it again, and nobody will know the result. */
  isUnknown: boolean
}

export class ModelHost {
  readonly version: string
  readonly #sessions: Sessions
  #line: SimLine | undefined
  /** Makes the others of another connection void. */
  #connection = 0
  #connectedAtMs = 0
  #isAuthenticated = false
  #isReady = false
  #nextRpcId = 1
  readonly #calls = new Map<string, Call>()
  /** Messages that were not acknowledged: ends the timer. */
  readonly #unacked = new Map<string, () => void>()
  readonly #runs = new Map<string, Run>()
  #waiters: (() => void)[] = []
  /** By render: how often its answer was processed, over which connection last. */
  readonly #processed = new Map<string, { readonly connection: number; readonly value: string }>()

  constructor(
    sessions: Sessions,
    readonly instanceId: InstanceId,
  ) {
    this.#sessions = sessions
    this.version = sessions.world.random.pick(['2.0.0', '2.0.0', '1.4.0', '0.38.0'])
  }

  begin(): void {
    this.#connectSoon(0)
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** Calls that nobody has settled, made before. */
  unsettled(beforeMs: number): string[] {
    // The declaration of a connection that has ended concerns nobody: another one has been made since.
    return [...this.#calls.values()]
      .filter(call => call.sinceMs < beforeMs && call.method !== 'INITIALIZE_HOST')
      .map(call => `${call.method} since ${call.sinceMs.toFixed(1)} ms`)
  }

  isDone(run: string): boolean {
    return this.#runs.get(run)?.isDone === true
  }

  isUnknown(run: string): boolean {
    return this.#runs.get(run)?.isUnknown === true
  }

  /** For the words of a failure. */
  situation(runId: string): string {
    const run = this.#runs.get(runId)
    const state = `host ${this.version}, ${this.#isReady ? 'ready' : this.#isAuthenticated ? 'let in' : 'away'}`
    return run ? `${state}, at ${run.at} of ${run.steps.length}, ${run.isDone ? 'done' : run.last}` : state
  }

  /** What it has made of the answer to a render. */
  processed(render: string): string | undefined {
    return this.#processed.get(render)?.value
  }

  // --- connecting ---

  #connectSoon(delayMs: number): void {
    this.#sessions.world.schedule(delayMs, () => this.#connect())
  }

  #connect(): void {
    const { world } = this.#sessions
    const node = this.#sessions.anyNode()
    if (!node) {
      this.#connectSoon(retryMs)
      return
    }
    this.#connection += 1
    const connection = this.#connection
    const isCurrent = () => this.#connection === connection
    const failed = () => {
      if (!isCurrent()) return
      this.#connection += 1
      this.#closed()
      this.#connectSoon(retryMs)
    }
    node.admitHost(
      this,
      { received: text => isCurrent() && this.#received(text), closed: failed },
      line => {
        if (!isCurrent()) return line.break()
        this.#line = line
        this.#connectedAtMs = world.nowMs
      },
      failed,
    )
    world.schedule(authenticatedMsMax, () => {
      if (isCurrent() && !this.#isAuthenticated) {
        this.#line?.break()
        failed()
      }
    })
  }

  #closed(): void {
    this.#line = undefined
    this.#isAuthenticated = false
    this.#isReady = false
    for (const end of this.#unacked.values()) end()
    this.#unacked.clear()
  }

  /** An SDK that is not connected throws at once, which is nobody's promise: the action waits for it here. */
  async #connected(): Promise<void> {
    while (!this.#isAuthenticated || !this.#line?.isOpen) {
      await new Promise<void>(resolve => this.#waiters.push(resolve))
    }
  }

  async #declare(): Promise<void> {
    const connection = this.#connection
    const answer = (await this.#call('INITIALIZE_HOST', {
      sdkName: '@interval/sdk',
      sdkVersion: this.version,
      timestamp: 1_700_000_000_000 + this.#sessions.world.nowMs,
      actions: [{ slug: this.#sessions.slug, access: 'entire-organization' }],
      groups: [],
    })) as { type?: string } | null | true
    if (connection !== this.#connection) return
    if (answer === true || answer?.type !== 'success')
      return this.#sessions.problem(`I6: a host's declaration was answered ${JSON.stringify(answer)}`)
    this.#isReady = true
    for (const run of this.#runs.values()) {
      if (run.last === undefined) continue
      const data = { transactionId: run.id, ioCall: run.last }
      void this.#call('SEND_IO_CALL', data).then(reply => {
        if (reply !== true) run.last = undefined
      })
    }
  }

  // --- the wire ---

  #received(text: string): void {
    const frame = JSON.parse(text) as { type: 'MESSAGE' | 'ACK'; id: string; data: string }
    if (frame.type === 'MESSAGE')
      this.#sessions.world.trace(`host ${this.instanceId}`, 'heard', { data: frame.data })
    if (frame.type === 'ACK') {
      this.#unacked.get(frame.id)?.()
      this.#unacked.delete(frame.id)
      return
    }
    this.#line?.say(JSON.stringify({ type: 'ACK', id: frame.id }))
    if (frame.data === 'authenticated') {
      this.#isAuthenticated = true
      void this.#declare()
      for (const wake of this.#waiters.splice(0)) wake()
      return
    }
    const rpc = JSON.parse(frame.data) as Rpc
    if (rpc.kind === 'RESPONSE') {
      const call = this.#calls.get(rpc.id)
      this.#forget(call)
      if (call?.method === 'MARK_TRANSACTION_COMPLETE' && rpc.methodName !== call.method) {
        const run = this.#runs.get((call.data as { transactionId: string }).transactionId)
        if (run) run.isUnknown = true
      }
      call?.resolve(rpc.data)
      return
    }
    this.#called(rpc)
    this.#say(JSON.stringify({ id: rpc.id, kind: 'RESPONSE', methodName: rpc.methodName }))
  }

  /** Also under the ids of its repeats. */
  #forget(call: Call | undefined): void {
    for (const [id, other] of this.#calls) if (other === call) this.#calls.delete(id)
  }

  #say(data: string, notAcked: () => void = () => undefined): void {
    const id = randomUUID()
    this.#sessions.world.trace(`host ${this.instanceId}`, 'said', { data })
    this.#line?.say(JSON.stringify({ type: 'MESSAGE', id, data }))
    const timer = this.#sessions.world.schedule(ackMsMax, () => {
      this.#unacked.delete(id)
      notAcked()
    })
    this.#unacked.set(id, () => timer.cancel())
  }

  #call(method: string, data: object): Promise<unknown> {
    return new Promise(resolve => {
      const call = { method, data, sinceMs: this.#sessions.world.nowMs, resolve }
      const make = () => {
        const id = String(this.#nextRpcId++)
        this.#calls.set(id, call)
        this.#say(JSON.stringify({ id, kind: 'CALL', methodName: method, data }), () => {
          if ([...this.#calls.values()].includes(call)) make()
        })
      }
      make()
    })
  }

  // --- runs ---

  #called({ data, methodName }: Rpc): void {
    const { transactionId, value } = data as { transactionId: string; value: string }
    if (methodName === 'START_TRANSACTION') this.#start(transactionId)
    else if (methodName === 'IO_RESPONSE') this.#answered(transactionId, value)
    else if (methodName === 'CLOSE_TRANSACTION') {
      const run = this.#runs.get(transactionId)
      if (run) run.last = undefined
    }
  }

  #start(id: string): void {
    const { random } = this.#sessions.world
    if (this.#runs.has(id)) return
    const steps = Array.from({ length: 2 + random.below(4) }, (): Step => {
      const kind = random.pick(['ask', 'ask', 'ask', 'show', 'log', 'log', 'loading'] as const)
      return { kind, refusals: kind === 'ask' && random.chance(0.3) ? 1 : 0 }
    })
    const run: Run = { id, steps, at: 0, open: undefined, last: undefined, isDone: false, isUnknown: false }
    this.#runs.set(id, run)
    void this.#act(run)
  }

  async #act(run: Run): Promise<void> {
    const { world } = this.#sessions
    const transactionId = run.id
    const call = async (method: string, data: object): Promise<void> => {
      await this.#connected()
      const answer = await this.#call(method, { transactionId, ...data })
      if (answer !== true)
        this.#sessions.problem(
          `I6: a host's ${method} of ${transactionId} was refused: ${JSON.stringify(answer)}`,
        )
    }
    for (const [index, step] of run.steps.entries()) {
      run.at = index
      await world.wait(world.random.next() * world.random.pick([5, 300]))
      if (step.kind === 'log') await call('SEND_LOG', { data: `line ${index}`, index, timestamp: 0 })
      else if (step.kind === 'loading') await call('SEND_LOADING_CALL', { label: `step ${index}` })
      else if (step.kind === 'show') {
        run.last = this.#render(`show ${index}`, randomUUID(), 'DISPLAY_HEADING')
        await call('SEND_IO_CALL', { ioCall: run.last })
      } else await this.#ask(run, `ask ${index}`, step.refusals, call)
    }
    await call('MARK_TRANSACTION_COMPLETE', {
      resultStatus: 'SUCCESS',
      result: JSON.stringify({ schemaVersion: 1, status: 'SUCCESS', data: 'done' }),
    })
    run.isDone = true
  }

  async #ask(
    run: Run,
    label: string,
    refusals: number,
    call: (method: string, data: object) => Promise<void>,
  ): Promise<void> {
    const group = randomUUID()
    const render = async () => {
      run.last = this.#render(label, group, 'INPUT_TEXT')
      await call('SEND_IO_CALL', { ioCall: run.last })
    }
    await new Promise<void>(resolve => {
      const answer = () => {
        const { open } = run
        if (open?.group !== group) return
        if (open.refusalsLeft === 0) {
          run.open = undefined
          resolve()
          return
        }
        open.refusalsLeft -= 1
        void render()
      }
      run.open = { group, answer, refusalsLeft: refusals }
      void render()
    })
  }

  /** IO_RESPONSE. Each RETURN of the open group runs the validators, which take their time. */
  #answered(runId: string, text: string): void {
    const run = this.#runs.get(runId)
    const { id, inputGroupKey, kind, values } = JSON.parse(text) as {
      id: string
      inputGroupKey: string
      kind: string
      values: readonly string[]
    }
    if (kind !== 'RETURN' || run?.open?.group !== inputGroupKey) return
    const sessions = this.#sessions
    const connection = this.#connection
    const before = this.#processed.get(id)
    const value = String(values[0])
    this.#processed.set(id, { connection, value })
    const { answer } = run.open
    if (before) {
      // What was lost with the node that had heard it cannot be known to the next.
      const confirmedAtMs = sessions.confirmedAtMs(id)
      if (before.connection === connection || before.value !== value || confirmedAtMs < this.#connectedAtMs)
        sessions.problem(`I5: the answer to ${id} was processed twice`)
      return
    }
    sessions.world.schedule(sessions.world.random.next() * sessions.world.random.pick([5, 400]), () =>
      answer(value),
    )
  }

  #render(label: string, inputGroupKey: string, methodName: string): string {
    const component = {
      methodName,
      label,
      props: {},
      isStateful: false,
      isOptional: false,
      isMultiple: false,
    }
    return JSON.stringify({ id: randomUUID(), inputGroupKey, kind: 'RENDER', toRender: [component] })
  }
}
