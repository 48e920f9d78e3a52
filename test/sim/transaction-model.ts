/**
 * A model of everything around one transaction, for the seeded test: a disk that keeps only what was committed, an
 * owner that decides ahead of it and may crash at any point, a host that behaves like the SDKs (it repeats its last
 * call after every reconnect, answered or not), and a browser that repeats unanswered requests.
 *
 * Messages travel in queues that lose what is in flight when a connection drops. Nothing here knows the real runtime:
 * it is the decision core alone that must survive.
 */
import { randomUUID } from 'node:crypto'
import { AppError } from '../../lib/errors.js'
import type {
  ClientId,
  ConnectionId,
  EntityKey,
  EnvironmentId,
  InstanceId,
  OrganizationId,
  TransactionId,
  UserId,
} from '../../lib/ids.js'
import {
  type Decision,
  type Effect,
  type Json,
  type Signal,
  storedValue,
} from '../../lib/partitions/entity.js'
import type { IoCall } from '../../lib/sdk/index.js'
import {
  type Asker,
  type ClientSignal,
  type HostCall,
  type HostDelivery,
  type HostReply,
  type TransactionMessage,
  type TransactionStart,
  type TransactionState,
  transactionKind,
} from '../../lib/transactions/index.js'
import type { Random } from './random.js'

export const key: EntityKey = 'transaction:transaction-1'
const instanceId = 'instance-1' as InstanceId

interface Waiting {
  readonly decision: Decision<TransactionState, unknown>
  readonly done: (result: unknown) => void
}

/** Owner and disk. Effects are kept like records and dispatched until they are confirmed. */
export class Owner {
  readonly records = new Map<string, Json>()
  readonly effects = new Map<string, Effect>()
  #state: TransactionState
  #queue: Waiting[] = []
  generation = 0
  onSignal: (signal: Signal) => void = () => undefined
  onEffects: () => void = () => undefined

  constructor(readonly nowMs: () => number) {
    this.#state = transactionKind.load(this.records, key)
  }

  /** Decides at once; `done` is called when the commit is on disk, or never. Refusals are final at once. */
  send(message: TransactionMessage, done: (result: unknown) => void): void {
    try {
      const context = { key, nowMs: this.nowMs(), historyPending: false }
      const decision = transactionKind.decide(this.#state, message, context)
      this.#state = decision.state ?? transactionKind.load(new Map(), key)
      this.#queue.push({ decision: decision as Decision<TransactionState, unknown>, done })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      this.#queue.push({ decision: { state: this.#state, reply: error }, done })
    }
  }

  get hasWork(): boolean {
    return this.#queue.length > 0
  }

  /** One commit reaches the disk; then what depends on it leaves. `crashBefore` loses everything after the disk. */
  commitOne(crashBeforeReply: boolean): void {
    const next = this.#queue.shift()
    if (!next) return
    const { decision, done } = next
    for (const [name, value] of decision.put ?? []) {
      this.records.set(name, structuredClone(storedValue(value)))
    }
    for (const name of decision.del ?? []) this.records.delete(name)
    if (decision.state === null) this.records.clear()
    for (const effect of decision.effects ?? []) this.effects.set(effect.id, effect)
    for (const id of decision.dropEffects ?? []) this.effects.delete(id)
    if (crashBeforeReply) {
      this.crash()
      return
    }
    for (const signal of decision.signals ?? []) this.onSignal(signal)
    done(decision.reply)
    this.onEffects()
  }

  crash(): void {
    this.#queue = []
    this.generation += 1
    this.#state = transactionKind.load(new Map(this.records), key)
  }

  get state(): TransactionState {
    return this.#state
  }
}

type Step =
  | { readonly kind: 'ask'; readonly refusals: number }
  | { readonly kind: 'identify'; readonly graceMs: number; readonly refusals: 0 }
  | { readonly kind: 'show' }
  | { readonly kind: 'log' }

/** What the checker looks at in the end. */
export interface Observed {
  /** RETURNs the host has processed, by render id. */
  readonly processed: Map<string, number>
  /** Answers that were acknowledged to the browser, by group. */
  readonly acknowledged: Map<string, string>
  /** Answers the host has accepted, in order. */
  readonly accepted: string[]
  readonly shownAfterAnswer: string[]
  /** Confirmations of identity the host was given without a proof that counted. */
  readonly unproven: string[]
}

/** A host with one action of several steps, as the SDKs run it. */
export class Host {
  connection: ConnectionId | null = null
  readonly steps: Step[]
  #at = -1
  #last: IoCall | null = null
  #group = ''
  #refusalsLeft = 0
  #returned = new Set<string>()
  #waitsForReply: 'show' | 'log' | 'complete' | null = null
  isDone = false
  started = false

  constructor(
    random: Random,
    readonly observed: Observed,
    /** Groups for which a proof that counted was given, whoever says so. */
    readonly proven: ReadonlySet<string>,
    readonly call: (message: TransactionMessage, replied: (reply: HostReply) => void) => void,
  ) {
    this.steps = Array.from({ length: 1 + random.below(5) }, (): Step => {
      const kind = random.pick(['ask', 'ask', 'identify', 'show', 'log'] as const)
      if (kind === 'identify') return { kind, graceMs: random.pick([0, 50, 1_000]), refusals: 0 }
      return kind === 'ask' ? { kind, refusals: random.chance(0.3) ? 1 + random.below(2) : 0 } : { kind }
    })
  }

  start(): void {
    if (this.started) return
    this.started = true
    this.#next()
  }

  /** IO_RESPONSE arrives. */
  respond(value: string): void {
    const answer = JSON.parse(value) as { id: string; inputGroupKey: string; kind: string; values: unknown[] }
    if (
      answer.inputGroupKey !== this.#group ||
      this.#returned.has(answer.inputGroupKey) ||
      answer.kind !== 'RETURN'
    )
      return
    const { processed } = this.observed
    processed.set(answer.id, (processed.get(answer.id) ?? 0) + 1)
    if (this.#refusalsLeft > 0) {
      this.#refusalsLeft -= 1
      this.#render('Not good enough.')
      return
    }
    this.#returned.add(answer.inputGroupKey)
    const isIdentified = this.steps[this.#at]?.kind === 'identify' && answer.values[0] !== false
    if (isIdentified && !this.proven.has(answer.inputGroupKey))
      this.observed.unproven.push(answer.inputGroupKey)
    this.observed.accepted.push(`${answer.inputGroupKey}=${answer.values[0]}`)
    this.#next()
  }

  /** After a reconnect: the last call again; whatever else was lost is settled by the edge with `true`. */
  reconnected(): void {
    if (!this.started || this.isDone) return
    if (this.#last) this.#sendCall(this.#last)
    if (this.#waitsForReply === 'show' || this.#waitsForReply === 'log') {
      this.#waitsForReply = null
      this.#next()
    } else if (this.#waitsForReply === 'complete') this.#complete()
  }

  #next(): void {
    this.#at += 1
    const step = this.steps[this.#at]
    if (!step) {
      this.#waitsForReply = 'complete'
      this.#complete()
      return
    }
    if (step.kind === 'log') {
      this.#waitsForReply = 'log'
      const index = this.#at
      this.call({ type: 'log', instanceId, index, text: `line ${index}`, atMs: 0 }, () =>
        this.#replied('log'),
      )
      return
    }
    this.#group = randomUUID()
    if (step.kind === 'show') this.#waitsForReply = 'show'
    else this.#refusalsLeft = step.refusals
    this.#render(null)
  }

  #render(validationErrorMessage: string | null): void {
    const step = this.steps[this.#at]
    const methods = { show: 'DISPLAY_HEADING', ask: 'INPUT_TEXT', identify: 'CONFIRM_IDENTITY', log: '' }
    this.#last = {
      id: randomUUID(),
      inputGroupKey: this.#group,
      kind: 'RENDER',
      validationErrorMessage,
      toRender: [
        {
          methodName: methods[step?.kind ?? 'ask'],
          label: `step ${this.#at}`,
          props: step?.kind === 'identify' ? { gracePeriodMs: step.graceMs } : {},
          isStateful: false,
          isOptional: false,
          isMultiple: false,
        },
      ],
    }
    this.#sendCall(this.#last)
  }

  #sendCall(call: IoCall): void {
    const { connection } = this
    if (!connection) return
    this.call({ type: 'io-call', instanceId, connectionId: connection, call, bytes: 100 }, () =>
      this.#replied('show'),
    )
  }

  #replied(what: 'show' | 'log' | 'complete'): void {
    if (this.#waitsForReply !== what) return
    this.#waitsForReply = null
    if (what === 'complete') this.isDone = true
    else this.#next()
  }

  #complete(): void {
    this.call({ type: 'complete', instanceId, status: 'SUCCESS', data: 'done' }, () =>
      this.#replied('complete'),
    )
  }
}

export function startOf(): TransactionStart {
  return {
    id: 'transaction-1' as TransactionId,
    organizationId: 'organization-1' as OrganizationId,
    environmentId: 'environment-1' as EnvironmentId,
    place: { organization: 'org', environment: 'production' },
    developerId: null,
    owner: {
      id: 'person-1' as UserId,
      email: 'a@example.com',
      firstName: null,
      lastName: null,
      role: 'admin',
      teams: [],
    },
    slug: 'action',
    name: 'Action',
    backgroundable: false,
    warnOnClose: true,
    instanceId,
    sdkName: '@interval/sdk',
    sdkVersion: '2.0.0',
    appends: true,
    sdkEnvironment: 'production',
    params: {},
    url: 'http://localhost/dashboard/org/actions/action',
  }
}

export const asker: Asker = {
  clientId: 'client-0001' as ClientId,
  userId: 'person-1' as UserId,
  organizationId: 'organization-1' as OrganizationId,
}

export type { ClientSignal, HostCall, HostDelivery }
