/**
 * Runs one transaction in this window: starts or attaches to it, applies what arrives, sends answers, attaches again
 * after each reconnect. Decisions are in transaction.ts; this file only moves things.
 *
 * What can go wrong: an answer may be accepted while its reply is lost (sent again under the same request id, which
 * the node knows), or refused because the step was rendered anew meanwhile (shown at the step, the values stay).
 */
import type { Params, Place } from '../clients/wire.js'
import type { Connection, RequestError } from './connection.js'
import type { Encoding } from './encoding.js'
import type { FileTransfer } from './io/method.js'
import type { WindowMemory } from './storage.js'
import {
  type EventOfTransaction,
  type TransactionEvent,
  type TransactionView,
  transactionEvents,
  viewAfter,
  viewAfterAnswer,
  viewOfSnapshot,
} from './transaction.js'

export interface StepErrors {
  /** The render that was refused; a newer one is judged afresh. */
  renderId: string
  /** Component index as text, or `form` for the whole. */
  fields: Readonly<Record<string, string>>
}

export interface RunnerState {
  view: TransactionView | null
  /** Why it cannot be shown at all. */
  failure: RequestError | null
  /** Groups whose answer is on its way. */
  sending: ReadonlySet<string>
  errors: Readonly<Record<string, StepErrors>>
}

export interface Answer {
  values: readonly unknown[]
  choice?: string
}

export interface RunnerOptions {
  connection: Connection
  encoding: Encoding
  memory: WindowMemory
  newId: () => string
  transactionId: string
  /** Present for an action's own address; absent when an existing transaction is opened by its id. */
  start?: { place: Place; slug: string; params: Params; queueItemId?: string | undefined }
}

export class TransactionRunner {
  readonly transactionId: string
  readonly #options: RunnerOptions
  readonly #listeners = new Set<() => void>()
  readonly #ends: (() => void)[] = []
  #state: RunnerState = { view: null, failure: null, sending: new Set(), errors: {} }
  #isDone = false

  constructor(options: RunnerOptions) {
    this.#options = options
    this.transactionId = options.transactionId
  }

  getState = (): RunnerState => this.#state

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  run(): void {
    const { connection, memory } = this.#options
    for (const event of transactionEvents) this.#ends.push(this.#listen(event))
    this.#ends.push(
      connection.onOpened(() => {
        // Without a snapshot the first request is still waiting and is sent again by the connection.
        if (this.#state.view && !this.#state.view.isUsurped) this.#attach()
      }),
    )
    memory.markRunning(this.transactionId)
    if (this.#options.start) {
      const { place, slug, params, queueItemId } = this.#options.start
      this.#await(
        connection.request('transaction.start', {
          ...place,
          transactionId: this.transactionId,
          slug,
          params,
          ...(queueItemId === undefined ? {} : { queueItemId }),
        }),
      )
    } else this.#attach()
  }

  /** Takes the transaction back from another window. */
  takeOver(): void {
    this.#attach()
  }

  answer(inputGroupKey: string, renderId: string, answer: Answer): void {
    if (this.#state.sending.has(inputGroupKey)) return
    const { [inputGroupKey]: _cleared, ...errors } = this.#state.errors
    this.#set({ sending: new Set([...this.#state.sending, inputGroupKey]), errors })
    this.#options.connection
      .request('transaction.answer', {
        transactionId: this.transactionId,
        requestId: this.#options.newId(),
        inputGroupKey,
        renderId,
        kind: 'RETURN',
        ...this.#options.encoding.encodeValues(answer.values),
        ...(answer.choice === undefined ? {} : { choice: answer.choice }),
      })
      .then(
        () => this.#answered(inputGroupKey, renderId),
        (error: RequestError) => this.#refused(inputGroupKey, renderId, error),
      )
  }

  /** Tells the host a new state of one component. The next renders are the answer; failures show as no change. */
  setState(inputGroupKey: string, renderId: string, values: readonly unknown[]): void {
    this.#options.connection
      .request('transaction.answer', {
        transactionId: this.transactionId,
        requestId: this.#options.newId(),
        inputGroupKey,
        renderId,
        kind: 'SET_STATE',
        ...this.#options.encoding.encodeValues(values),
      })
      .catch(() => undefined)
  }

  /** Files that are chosen for one field, and told of when they have been sent. */
  files(inputGroupKey: string, component: number): FileTransfer {
    const { connection, newId } = this.#options
    const { transactionId } = this
    return {
      async ask(files) {
        const data = { transactionId, requestId: newId(), inputGroupKey, component, files: [...files] }
        return (await connection.request('transaction.upload', data)).files
      },
      async confirm(uploadId) {
        await connection.request('transaction.uploaded', { transactionId, uploadId })
      },
    }
  }

  /** Tells the node that the redirect is being followed; waits briefly so that it is known before a full load. */
  async redirected(): Promise<void> {
    this.#options.memory.markEnded(this.transactionId)
    const told = this.#options.connection.request('transaction.redirected', {
      transactionId: this.transactionId,
    })
    await Promise.race([told.catch(() => undefined), new Promise(resolve => setTimeout(resolve, 500))])
  }

  /** The person goes elsewhere. */
  leave(): void {
    if (this.#isDone) return
    this.#isDone = true
    for (const end of this.#ends) end()
    this.#options.memory.markEnded(this.transactionId)
    // Where one was not let in, there is nothing to leave.
    if (this.#state.failure && !this.#state.view) return
    this.#options.connection
      .request('transaction.leave', { transactionId: this.transactionId })
      .catch(() => undefined)
  }

  #listen<E extends EventOfTransaction>(event: E): () => void {
    return this.#options.connection.on(event, data => {
      const { view } = this.#state
      if (!view || data.transactionId !== this.transactionId) return
      this.#apply(viewAfter(view, { event, data } as TransactionEvent))
    })
  }

  #attach(): void {
    this.#await(this.#options.connection.request('transaction.attach', { transactionId: this.transactionId }))
  }

  #await(snapshot: Promise<Parameters<typeof viewOfSnapshot>[1]>): void {
    snapshot.then(
      received => {
        this.#set({ failure: null })
        this.#apply(viewOfSnapshot(this.#state.view, received))
      },
      (error: RequestError) => {
        if (this.#isDone) return
        // A finished transaction leaves the node after a while; what is on screen stays.
        if (this.#state.view?.result) return
        this.#options.memory.markEnded(this.transactionId)
        this.#set({ failure: error })
      },
    )
  }

  #apply(view: TransactionView): void {
    if (this.#isDone) return
    if (view.result) this.#options.memory.markEnded(this.transactionId)
    this.#set({ view })
  }

  #answered(inputGroupKey: string, renderId: string): void {
    const { view } = this.#state
    this.#options.memory.deleteDraft(this.draftKey(inputGroupKey))
    this.#set({
      view: view && viewAfterAnswer(view, inputGroupKey, renderId),
      sending: this.#sendingWithout(inputGroupKey),
    })
  }

  #refused(inputGroupKey: string, renderId: string, error: RequestError): void {
    if (error.code === 'already-answered') {
      this.#answered(inputGroupKey, renderId)
      return
    }
    const fields = Object.keys(error.fields).length > 0 ? error.fields : { form: error.message }
    this.#set({
      sending: this.#sendingWithout(inputGroupKey),
      errors: { ...this.#state.errors, [inputGroupKey]: { renderId, fields } },
    })
  }

  draftKey(inputGroupKey: string): string {
    return `${this.transactionId}/${inputGroupKey}`
  }

  #sendingWithout(inputGroupKey: string): ReadonlySet<string> {
    return new Set([...this.#state.sending].filter(key => key !== inputGroupKey))
  }

  #set(change: Partial<RunnerState>): void {
    if (this.#isDone) return
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }
}
