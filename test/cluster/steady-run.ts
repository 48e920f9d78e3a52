/**
 * One run of the steady action in a window of its own, and what must hold of it whatever is done to the nodes: each
 * answer that a browser was told is taken reached the action exactly once and in order, a window that asks is never told
 * that a question is open whose answer was taken, and the run ends when it is told to.
 */
import { randomUUID } from 'node:crypto'
import type { Step, TransactionResult, TransactionSnapshot } from '../../lib/clients/wire.js'
import type { ErrorCode } from '../../lib/errors.js'
import { errorKinds } from '../../lib/errors.js'
import { RequestRefused } from '../support/browser-client.js'
import { eventually } from '../support/eventually.js'
import { SteadyBrowser } from '../support/steady-browser.js'
import type { HostProcess } from './host-process.js'

export type SteadyMode = 'prompt' | 'log' | 'display' | 'loading' | 'compute'

export interface SteadyRunOptions {
  readonly address: string
  readonly cookie: string
  readonly organization: string
  readonly host: HostProcess
  /** Prefix of the host's action. */
  readonly prefix: string
  /** Its SDK knows validators. */
  readonly validates: boolean
  readonly mode: SteadyMode
  readonly transactionId?: string
  /** Between seeing a question and answering it. */
  readonly thinkMs?: number
}

const retryMs = 50

export class SteadyRun {
  readonly id: string
  readonly browser: SteadyBrowser
  readonly mode: SteadyMode
  readonly #options: SteadyRunOptions
  /** Where the action runs. */
  #host: HostProcess
  /** Values that the browser was told are taken, by the number of the answer. */
  readonly #acknowledged = new Map<number, string>()
  /** When each of them was, in ms of the wall clock. */
  readonly acknowledgedAtMs: number[] = []
  /** What must not happen, in words. */
  readonly problems: string[] = []
  /** Refusals that passed, by code. */
  readonly refusals: ErrorCode[] = []
  /** Questions by render id: answered ones, and those being answered. */
  readonly #taken = new Set<string>()
  readonly #answering = new Map<string, Promise<void>>()
  #open: Step | null = null
  #answers = 0
  #isStopping = false
  #isPaused = false
  result: TransactionResult | null = null

  private constructor(browser: SteadyBrowser, options: SteadyRunOptions) {
    this.browser = browser
    this.mode = options.mode
    this.#options = options
    this.#host = options.host
    this.id = options.transactionId ?? randomUUID()
    browser.onEvent = frame => {
      if ('transactionId' in frame.data && frame.data.transactionId !== this.id) return
      // An event comes from the leader on another connection than the reply to an answer, which it may overtake or be
      // overtaken by: windows take a step for answered whose answer they were told is taken, whatever is shown later.
      // What a window asks for after that reply is another thing: see `attach`.
      if (frame.event === 'transaction.render') this.#shown(frame.data.step, new Set())
      if (frame.event === 'transaction.snapshot') this.#seen(frame.data, new Set())
      if (frame.event === 'transaction.completed') this.result = frame.data.result
      if (frame.event === 'transaction.usurped') this.problems.push('another window took it')
    }
    browser.onReopened = () => void this.attach().catch(error => this.problems.push(String(error)))
  }

  /** Opens a window, starts the run and answers its questions from then on. */
  static async start(options: SteadyRunOptions): Promise<SteadyRun> {
    const run = new SteadyRun(await SteadyBrowser.connect(options.address, options.cookie), options)
    const snapshot = await run.#persist('transaction.start', () =>
      run.browser.ask('transaction.start', {
        organization: options.organization,
        environment: 'production',
        transactionId: run.id,
        slug: `${options.prefix}_steady`,
        params: { run: run.id, mode: options.mode },
      }),
    )
    run.#seen(snapshot, run.#taken)
    return run
  }

  /** The run was taken by another host of the same action. */
  hostIs(host: HostProcess): void {
    this.#host = host
  }

  /** The question that waits for an answer. */
  get open(): Step | null {
    return this.#open
  }

  /** Asks for the present state, as a window does after each reconnect. */
  async attach(): Promise<TransactionSnapshot> {
    const taken = new Set(this.#taken)
    const snapshot = await this.#persist('transaction.attach', () =>
      this.browser.ask('transaction.attach', { transactionId: this.id }),
    )
    this.#seen(snapshot, taken)
    return snapshot
  }

  /** Answers nothing by itself until `resume`; resolves when a question is open and nothing is in flight. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await eventually(() => {
      if (this.#answering.size > 0 || this.#open === null)
        throw new Error(`no question is open: ${this.state}`)
    }, 60_000)
  }

  resume(): void {
    this.#isPaused = false
    if (this.#open) this.#answerSoon(this.#open)
  }

  /** Answers the open question now; resolves when the answer was accepted. */
  async answer(): Promise<void> {
    const step = this.#open
    if (!step) throw new Error(`no question is open: ${this.state}`)
    await this.#answer(step)
  }

  /** Tells the action to stop at its next question, and resolves when the run has ended. */
  async stop(deadlineMs = 60_000): Promise<void> {
    this.#isStopping = true
    this.resume()
    let attachedAtMs = Date.now()
    await eventually(async () => {
      if (this.result) return
      if (Date.now() - attachedAtMs > 2_000) {
        attachedAtMs = Date.now()
        await this.attach()
      }
      throw new Error(`it has not ended: ${this.state}`)
    }, deadlineMs)
    this.browser.stop()
  }

  /** What is wrong with this run now that it has ended: nothing, when everything was kept. */
  verdict(): string[] {
    const host = this.#host
    const wrong = [...this.problems]
    const got = host.values(this.id, 'answer')
    const expect = (what: string, values: readonly unknown[], expected: readonly unknown[]): void => {
      if (JSON.stringify(values) === JSON.stringify(expected)) return
      const at = Math.max(0, expected.findIndex((value, index) => value !== values[index]) - 1)
      const part = (list: readonly unknown[]) =>
        `${list.length}, from ${at}: ${JSON.stringify(list.slice(at, at + 8))}`
      wrong.push(`${what} ${part(values)}; not ${part(expected)}`)
    }
    if (host.count(this.id, 'started') !== 1) wrong.push(`started ${host.count(this.id, 'started')} times`)
    const answers = this.acknowledged
    expect('the action got', got, answers)
    if (this.#options.validates) expect('validators ran for', host.values(this.id, 'validated'), answers)
    if (this.result?.status !== 'SUCCESS') wrong.push(`it ended as ${JSON.stringify(this.result)}`)
    return wrong.map(text => `${this.#options.prefix} ${this.mode} ${this.id}: ${text}`)
  }

  /**
   * What the browser was told is taken, in the order it was answered in. It may be told in another one: the reply that a
   * node took along is asked for again, while the next question is answered.
   */
  get acknowledged(): string[] {
    return [...this.#acknowledged].sort(([one], [other]) => one - other).map(([, value]) => value)
  }

  get state(): string {
    const { prefix } = this.#options
    const last = this.#host.notes.filter(note => note.run === this.id).at(-1)
    const window = this.browser.isOpen ? 'connected' : 'away'
    return `${prefix} ${this.mode} ${this.id}, ${this.acknowledged.length} answers, window ${window}, ${this.#answering.size} in flight, the action's last word ${JSON.stringify(last)}`
  }

  #seen(snapshot: TransactionSnapshot, taken: ReadonlySet<string>): void {
    if (snapshot.result) this.result = snapshot.result
    for (const step of snapshot.steps) this.#shown(step, taken)
  }

  /** `taken`: what the browser had been told is taken before it asked. */
  #shown(step: Step, taken: ReadonlySet<string>): void {
    const label = step.call.toRender[0]?.label ?? ''
    if (step.answered || !label.startsWith('Question')) return
    if (taken.has(step.call.id)) {
      this.problems.push(`"${label}" was shown again after its answer was taken`)
      return
    }
    if (this.#taken.has(step.call.id) || this.#answering.has(step.call.id)) return
    // Seen again while the person thinks: thinking does not start anew.
    if (this.#open?.call.id === step.call.id) return
    this.#open = step
    if (!this.#isPaused) this.#answerSoon(step)
  }

  #answerSoon(step: Step): void {
    setTimeout(() => {
      if (this.#isPaused || this.#open !== step) return
      this.#answer(step).catch(error => this.problems.push(String(error)))
    }, this.#options.thinkMs ?? 0)
  }

  #answer(step: Step): Promise<void> {
    const { id: renderId, inputGroupKey } = step.call
    const before = this.#answering.get(renderId)
    if (before) return before
    this.#open = null
    this.#answers += 1
    const number = this.#answers
    const value = this.#isStopping ? 'stop' : `answer ${this.#answers}`
    const data = {
      transactionId: this.id,
      requestId: randomUUID(),
      inputGroupKey,
      renderId,
      kind: 'RETURN' as const,
      values: [value],
    }
    const done = this.#persist('transaction.answer', () => this.browser.ask('transaction.answer', data))
      .then(() => {
        this.#taken.add(renderId)
        this.#acknowledged.set(number, value)
        this.acknowledgedAtMs.push(Date.now())
      })
      .finally(() => this.#answering.delete(renderId))
    this.#answering.set(renderId, done)
    return done
  }

  /** Repeats what was refused for a reason that passes, as the person does. */
  async #persist<Result>(what: string, attempt: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof RequestRefused) || !errorKinds[error.body.code].retryable)
          throw new Error(`${what} failed: ${String(error)}`)
        this.refusals.push(error.body.code)
        await new Promise(resolve => setTimeout(resolve, retryMs))
      }
    }
  }
}
