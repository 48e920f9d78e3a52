/**
 * A person's window: starts a run, answers its questions, sometimes twice, and asks again under the same ids when it lost
 * its connection. A question whose answer it was told is taken is not to be seen again.
 */
import { randomUUID } from 'node:crypto'
import type { EventFrame, ReplyFrame, Step, TransactionSnapshot } from '../../../lib/clients/wire.js'
import { errorKinds } from '../../../lib/errors.js'
import type { Sessions } from './sessions.js'
import type { SimLine } from './sim-line.js'

const retryMs = 100
const openedMsMax = 3_000

type Outcome = { readonly result: unknown } | { readonly code: string }

export class ModelBrowser {
  readonly #sessions: Sessions
  readonly run: string
  readonly #client = randomUUID()
  #line: SimLine | undefined
  #connection = 0
  /** The window has its run before it. */
  #isAttached = false
  #hasStarted = false
  #nextId = 1
  readonly #asked = new Map<number, (outcome: Outcome) => void>()
  /** By group. */
  #steps = new Map<string, { readonly renderId: string; readonly answered: boolean }>()
  /** Value that was acknowledged, by render. */
  readonly taken = new Map<string, string>()
  readonly #answering = new Set<string>()
  isDone = false

  constructor(sessions: Sessions, run: string) {
    this.#sessions = sessions
    this.run = run
    this.#connect()
    void this.#answer()
  }

  /** For the words of a failure. */
  get situation(): string {
    const steps = [...this.#steps.values()].map(
      ({ answered, renderId }) => `${renderId}${answered ? ' answered' : ''}`,
    )
    const window = this.#isAttached ? 'attached' : this.#line?.isOpen ? 'connected' : 'away'
    return `${window}, ${this.taken.size} answers taken, ${this.#answering.size} under way, sees ${steps.join() || 'nothing'}`
  }

  /** Looks no longer. */
  leave(): void {
    this.isDone = true
    this.#line?.break()
  }

  // --- connecting ---

  #connect(): void {
    const { world } = this.#sessions
    if (this.isDone) return
    const node = this.#sessions.anyNode()
    const again = () => void world.schedule(retryMs, () => this.#connect())
    if (!node) {
      again()
      return
    }
    this.#connection += 1
    const connection = this.#connection
    const isCurrent = () => this.#connection === connection
    const closed = () => {
      if (!isCurrent()) return
      this.#connection += 1
      this.#isAttached = false
      this.#line = undefined
      const waiting = [...this.#asked.values()]
      this.#asked.clear()
      for (const settle of waiting) settle({ code: 'lost' })
      again()
    }
    this.#line = node.admitBrowser({ received: text => isCurrent() && this.#received(text), closed })
    world.schedule(openedMsMax, () => {
      if (isCurrent() && !this.#isAttached) {
        this.#line?.break()
        closed()
      }
    })
    void this.#open(isCurrent)
  }

  async #open(isCurrent: () => boolean): Promise<void> {
    const { world } = this.#sessions
    await this.#ask('hello', { client: this.#client, protocol: this.#sessions.protocol })
    while (isCurrent() && !this.#isAttached) {
      const taken = new Map(this.taken)
      // What comes behind the reply in the same piece is newer than it.
      const heard = (outcome: Outcome) => {
        if (!isCurrent() || !('result' in outcome)) return
        this.#hasStarted = true
        this.#isAttached = true
        this.#replaced(outcome.result as TransactionSnapshot, taken)
      }
      if (this.#hasStarted) await this.#ask('transaction.attach', { transactionId: this.run }, heard)
      else {
        const start = { ...this.#sessions.place, transactionId: this.run, slug: this.#sessions.slug }
        await this.#ask('transaction.start', start, heard)
      }
      if (!this.#isAttached) await world.wait(retryMs + world.random.next() * 200)
    }
  }

  /** `heard` hears the outcome before anything that comes after it. */
  #ask(method: string, data: object, heard?: (outcome: Outcome) => void): Promise<Outcome> {
    return new Promise(resolve => {
      if (!this.#line?.isOpen) return resolve({ code: 'lost' })
      const id = this.#nextId++
      this.#asked.set(id, outcome => {
        heard?.(outcome)
        resolve(outcome)
      })
      this.#sessions.world.trace(`window of ${this.run}`, 'said', { id, method, data })
      this.#line.say(JSON.stringify({ id, method, data }))
    })
  }

  #received(text: string): void {
    this.#sessions.world.trace(`window of ${this.run}`, 'heard', { text })
    const frame = JSON.parse(text) as ReplyFrame | EventFrame
    if ('id' in frame) {
      const settle = this.#asked.get(frame.id)
      this.#asked.delete(frame.id)
      settle?.('error' in frame ? { code: frame.error.code } : { result: frame.result })
    } else if (frame.event === 'transaction.render') this.#shown(frame.data.step)
    else if (frame.event === 'transaction.snapshot') this.#replaced(frame.data, new Map())
    else if (frame.event === 'transaction.completed') this.isDone = true
  }

  /** `taken`: what it had been told is taken before it asked. */
  #replaced(snapshot: TransactionSnapshot, taken: ReadonlyMap<string, string>): void {
    this.#steps = new Map()
    for (const step of snapshot.steps) {
      if (!step.answered && taken.has(step.call.id))
        this.#sessions.problem(
          `I5: ${step.call.id} of ${this.run} was shown again after its answer was taken`,
        )
      this.#shown(step)
    }
    if (snapshot.result) this.isDone = true
  }

  #shown({ answered, call }: Step): void {
    if (call.toRender[0]?.methodName !== 'INPUT_TEXT') return
    this.#steps.set(call.inputGroupKey, { renderId: call.id, answered })
  }

  // --- answering ---

  async #answer(): Promise<void> {
    const { world } = this.#sessions
    while (!this.isDone) {
      await world.wait(20 + world.random.next() * 300)
      for (const [inputGroupKey, { answered, renderId }] of this.#steps) {
        if (answered || this.taken.has(renderId) || this.#answering.has(renderId)) continue
        this.#answering.add(renderId)
        const presses = world.random.chance(0.2) ? 2 : 1
        const pressed = Array.from({ length: presses }, () => this.#press(inputGroupKey, renderId))
        void Promise.all(pressed).finally(() => this.#answering.delete(renderId))
      }
    }
  }

  /** One press of the button, until it is known what became of it. */
  async #press(inputGroupKey: string, renderId: string): Promise<void> {
    const { world } = this.#sessions
    const requestId = randomUUID()
    const value = `typed ${requestId}`
    const data = {
      transactionId: this.run,
      requestId,
      inputGroupKey,
      renderId,
      kind: 'RETURN',
      values: [value],
    }
    while (!this.isDone) {
      if (!this.#isAttached) {
        await world.wait(50)
        continue
      }
      const outcome = await this.#ask('transaction.answer', data)
      if ('result' in outcome) {
        const before = this.taken.get(renderId)
        if (before !== undefined && before !== value)
          this.#sessions.problem(`I5: two answers to ${renderId} of ${this.run} were taken`)
        this.taken.set(renderId, value)
        return
      }
      const isPassing =
        outcome.code === 'lost' || errorKinds[outcome.code as keyof typeof errorKinds].retryable
      if (!isPassing) return
      await world.wait(retryMs + world.random.next() * 100)
    }
  }
}
