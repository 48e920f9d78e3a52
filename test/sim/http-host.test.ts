/**
 * Thousands of random interleavings of one run and the two HTTP hosts that serve it: effects that arrive late or again,
 * owners that crash, addresses that are asked twice, answer with nothing or not at all, instances that come late or
 * together, a person who cancels. A failing run prints its seed; `SIM_SEED=<seed> node dist/test/sim/http-host.test.js`
 * repeats it.
 */
import t from 'tap'
import { AppError } from '../../lib/errors.js'
import { requestIdFor } from '../../lib/hosts/http-host.js'
import { httpHostKind } from '../../lib/hosts/index.js'
import type { EntityKey, HttpHostId, InstanceId } from '../../lib/ids.js'
import {
  type AnyEntityKind,
  type Decision,
  type Effect,
  type Json,
  storedValue,
} from '../../lib/partitions/entity.js'
import { type HostCall, transactionKind } from '../../lib/transactions/index.js'
import { Random } from './random.js'
import { runSeeds } from './seeds.js'
import { asker, startOf } from './transaction-model.js'

const runs = process.env.TEST_LONG ? 100_000 : 5_000
const stepsMax = 60
/** Longer than the lives of two requests, and of one that was claimed last. */
const settledMs = 300_000
const target: EntityKey = 'transaction:transaction-1'
const { organizationId, environmentId } = startOf()
const sdk = { sdkName: '@interval/sdk', sdkVersion: '2.0.0' }

/** An entity as its records and its effects: what a crash leaves of it. */
class Durable {
  state: unknown
  alarmAtMs: number | null = null
  effects: Effect[] = []
  #records = new Map<string, Json>()

  constructor(
    readonly kind: AnyEntityKind,
    readonly key: EntityKey,
  ) {
    this.state = kind.load(new Map(), key)
  }

  tell(message: object, nowMs: number): unknown {
    const context = { key: this.key, nowMs, historyPending: false }
    const isAlarm = (message as { type: string }).type === 'alarm'
    const decision = this.kind.decide(this.state, message as { type: string }, context) as Decision<
      unknown,
      unknown
    >
    for (const [name, value] of decision.put ?? []) this.#records.set(name, storedValue(value))
    for (const name of decision.del ?? []) this.#records.delete(name)
    if (decision.state === null) this.#records.clear()
    if (decision.alarmAtMs !== undefined) this.alarmAtMs = decision.alarmAtMs
    else if (isAlarm) this.alarmAtMs = null
    if (decision.state === null) this.alarmAtMs = null
    // One that is there under the same id is written over.
    const dropped = [...(decision.dropEffects ?? []), ...(decision.effects ?? []).map(({ id }) => id)]
    const kept = this.effects.filter(({ id }) => !dropped.includes(id))
    this.effects = [...kept, ...(decision.effects ?? [])]
    this.state = decision.state ?? this.kind.load(new Map(), this.key)
    return decision.reply
  }

  /** Another owner reads what is there. */
  crash(): void {
    this.state = this.kind.load(new Map(this.#records), this.key)
  }

  /** Effects that may be delivered now: the first to each target. */
  get deliverable(): Effect[] {
    const first = new Map<string, Effect>()
    for (const effect of this.effects) {
      const lane = `${effect.to} ${effect.target}`
      if (!first.has(lane)) first.set(lane, effect)
    }
    return [...first.values()]
  }
}

interface Instance {
  readonly id: InstanceId
  readonly requestId: string
  readonly host: Durable
  /** It has heard what became of its claim. */
  isAnswered: boolean
  wasAccepted: boolean
  isStarted: boolean
  isReleased: boolean
  isDone: boolean
}

function simulate(seed: number): string | null {
  const random = new Random(seed)
  let nowMs = 1_000_000
  const run = new Durable(transactionKind, target)
  const hosts = ['http-host-1', 'http-host-2'].map(name => new Durable(httpHostKind, `http-host:${name}`))
  const entities = [run, ...hosts]
  const instances: Instance[] = []
  let isCanceled = false
  let isFaulty = true

  const http = hosts.map(({ key }) => {
    const httpHostId = key.slice('http-host:'.length) as HttpHostId
    return { httpHostId, requestId: requestIdFor(httpHostId, 'secret') }
  })
  for (const [index, host] of hosts.entries())
    if (random.chance(0.9))
      host.tell(
        { type: 'register', id: http[index]?.httpHostId, organizationId, url: 'https://example.com' },
        nowMs,
      )
  const instanceId = http[0]?.httpHostId as string as InstanceId
  run.tell({ type: 'start', start: { ...startOf(), instanceId, http }, asker }, nowMs)

  const deliver = (from: Durable, effect: Effect): void => {
    if (effect.to === 'entity') {
      const entity = entities.find(({ key }) => key === effect.target)
      try {
        entity?.tell(effect.payload as object, nowMs)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
      }
    } else if (effect.to === 'http-host') askToRun(from, effect)
    else {
      const instance = instances.find(({ id }) => id === effect.target)
      const { method } = effect.payload as unknown as HostCall
      if (instance && method === 'START_TRANSACTION') instance.isStarted = true
      if (instance && method === 'CLOSE_PAGE') instance.isReleased = true
    }
    // Else its confirmation was lost, and it comes again.
    const isConfirmed = effect.to !== 'http-host' && (!isFaulty || random.chance(0.7))
    if (isConfirmed) from.effects = from.effects.filter(other => other !== effect)
  }

  const askToRun = (host: Durable, effect: Effect): void => {
    const requestId = effect.id
    const outcome = random.next()
    if (outcome < 0.5 && instances.length < 6) {
      const id = `instance-${instances.length}` as InstanceId
      instances.push({
        ...{ id, requestId, host },
        ...{ isAnswered: false, wasAccepted: false, isStarted: false, isReleased: false, isDone: false },
      })
    } else if (outcome < 0.7) {
      host.tell({ type: 'failed', requestId, reason: 'it failed', isUnreachable: random.chance(0.5) }, nowMs)
    }
  }

  const claim = (instance: Instance): void => {
    const { id, requestId, host } = instance
    const message = { type: 'claim', requestId, instanceId: id, organizationId, environmentId, ...sdk }
    const reply = host.tell(message, nowMs) as { accepted: boolean }
    instance.wasAccepted ||= reply.accepted
    instance.isAnswered = !isFaulty || random.chance(0.7)
  }

  const complete = (instance: Instance): void => {
    run.tell({ type: 'complete', instanceId: instance.id, status: 'SUCCESS', data: 'done' }, nowMs)
    instance.isDone = true
  }

  const passTime = (ms: number): void => {
    nowMs += ms
    for (const entity of entities)
      if (entity.alarmAtMs !== null && entity.alarmAtMs <= nowMs)
        entity.tell({ type: 'alarm', dueAtMs: entity.alarmAtMs }, nowMs)
  }

  const choices = (): (() => void)[] => [
    ...entities.flatMap(from => from.deliverable.map(effect => () => deliver(from, effect))),
    ...instances.filter(instance => !instance.isAnswered).map(instance => () => claim(instance)),
    ...instances
      .filter(({ isStarted, isDone }) => isStarted && !isDone)
      .map(instance => () => complete(instance)),
  ]
  const cancel = (): void => {
    isCanceled = true
    run.tell({ type: 'cancel', asker }, nowMs)
  }
  for (let step = 0; step < stepsMax; step++) {
    const possible = choices()
    possible.push(() => passTime(random.below(20_000)))
    if (random.chance(0.2)) possible.push(() => random.pick(entities).crash())
    if (random.chance(0.05)) possible.push(cancel)
    if (random.chance(0.02)) possible.push(() => random.pick(hosts).tell({ type: 'remove' }, nowMs))
    random.pick(possible)()
  }

  isFaulty = false
  for (const endMs = nowMs + settledMs; nowMs < endMs; passTime(5_000))
    for (let round = 0; round < 20; round++) for (const choose of choices()) choose()

  const started = instances.filter(instance => instance.isStarted)
  const { now, result, start } = run.state as {
    now: { status: string; completedAtMs: number | null }
    result: { status: string; data: { error?: string } | string | null } | null
    start: { instanceId: string }
  }
  if (started.length > 1) return `it was started on ${started.length} instances`
  if (now.completedAtMs === null) return 'it waits for ever'
  if (started[0] && start.instanceId !== started[0].id) return 'it is bound to another than it was started on'
  if (result?.status === 'FAILURE' && started.length > 0) return 'it was given up and started'
  if (result?.status === 'CANCELED' && !isCanceled) return 'nobody cancelled it'
  for (const instance of instances)
    if (instance.wasAccepted && !instance.isStarted && !instance.isReleased)
      return `${instance.id} was taken and is told nothing`
  for (const host of hosts) {
    const { requests } = host.state as { requests: ReadonlyMap<string, unknown> }
    if (requests.size > 0) return `${host.key} keeps requests`
    if (host.effects.some(({ to }) => to === 'http-host')) return `${host.key} is asked for ever`
  }
  return null
}

t.test('a run is started once or not at all, and whoever was woken for it hears of it', async t => {
  runSeeds(t, { file: 'dist/test/sim/http-host.test.js', runs, simulate })
})
