/**
 * Thousands of random interleavings of one transaction with crashes, drops and repeats at any point. A failing run
 * prints its seed; `SIM_SEED=<seed> node dist/test/sim/transaction.test.js` repeats it.
 */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { TransactionSnapshot } from '../../lib/clients/wire.js'
import { AppError } from '../../lib/errors.js'
import type { ConnectionId } from '../../lib/ids.js'
import type { TransactionMessage } from '../../lib/transactions/index.js'
import { Random } from './random.js'
import { runSeeds } from './seeds.js'
import {
  asker,
  type ClientSignal,
  Host,
  type HostCall,
  type HostDelivery,
  type Observed,
  Owner,
  startOf,
} from './transaction-model.js'

const runs = process.env.TEST_LONG ? 50_000 : 4_000
const stepsMax = 3_000

/** A queue of things in flight on one connection: delivered in order, lost together. */
type Wire = (() => void)[]

function simulate(seed: number): string | null {
  const random = new Random(seed)
  let nowMs = 1_000_000
  const observed: Observed = {
    processed: new Map(),
    acknowledged: new Map(),
    accepted: [],
    shownAfterAnswer: [],
    unproven: [],
  }
  /** The last proof of identity, as the accounts keep it, and the groups for which one counted when it was used. */
  let proof: { atMs: number; step: string } | null = null
  const proven = new Set<string>()
  const owner = new Owner(() => nowMs)
  const wires = { hostUp: [] as Wire, hostDown: [] as Wire, browserUp: [] as Wire, browserDown: [] as Wire }
  let written = new Set<string>()
  let faultsLeft = 12
  /** Deliveries whose confirmation by the host is on disk. */
  const confirmed = new Set<string>()
  const writtenAgain: string[] = []

  const host: Host = new Host(random, observed, proven, (message, replied) => {
    const connection = host.connection
    if (!connection) return
    wires.hostUp.push(() => {
      const generation = owner.generation
      owner.send(message, reply => {
        if (generation !== owner.generation || host.connection !== connection) return
        wires.hostDown.push(() => replied(reply as never))
        const { deliveries } = reply as { deliveries?: readonly HostDelivery[] }
        for (const delivery of deliveries ?? []) deliver(delivery)
      })
    })
  })

  // The browser: attached or not, the steps it sees, and what it has asked without an answer.
  let browserOnline = false
  let steps = new Map<string, { renderId: string; answered: boolean }>()
  let completed = false
  const unanswered = new Map<string, TransactionMessage>()
  const show = (group: string, renderId: string, answered: boolean) => {
    if (observed.acknowledged.get(group) === renderId && !answered) observed.shownAfterAnswer.push(renderId)
    steps.set(group, { renderId, answered })
  }
  const ask = (requestId: string, message: TransactionMessage, answered: (reply: unknown) => void) => {
    unanswered.set(requestId, message)
    if (!browserOnline) return
    wires.browserUp.push(() => {
      const generation = owner.generation
      owner.send(identified(message), reply => {
        if (generation !== owner.generation) return
        wires.browserDown.push(() => {
          unanswered.delete(requestId)
          answered(reply)
        })
      })
    })
  }
  /** What the browser's edge adds to an answer, and what of it should count. */
  const identified = (message: TransactionMessage): TransactionMessage => {
    if (message.type !== 'answer' || proof === null) return message
    const group = owner.state.groups.find(({ inputGroupKey }) => inputGroupKey === message.inputGroupKey)
    const graceMs = group?.call.toRender[0]?.props.gracePeriodMs
    const identity = { ageMs: nowMs - proof.atMs, isForStep: proof.step === message.inputGroupKey }
    if (identity.isForStep || (Number(graceMs) > 0 && identity.ageMs <= Number(graceMs)))
      proven.add(message.inputGroupKey)
    return { ...message, identity }
  }
  const replaced = (reply: unknown) => {
    if (reply instanceof AppError) throw new Error(`refused: ${reply.code}`)
    const { snapshot } = reply as { snapshot: TransactionSnapshot }
    steps = new Map()
    for (const step of snapshot.steps) show(step.call.inputGroupKey, step.call.id, step.answered)
    completed = snapshot.result !== null && snapshot.status === 'completed'
  }
  const answered = (group: string, renderId: string) => (reply: unknown) => {
    const step = steps.get(group)
    // Asked again, until it is proven or denied.
    if (reply instanceof AppError && reply.code === 'identity-unproven') return
    if (!(reply instanceof AppError)) observed.acknowledged.set(group, renderId)
    if (step?.renderId === renderId) step.answered = true
  }

  /** The host's edge writes an answer, once per connection. */
  const deliver = (delivery: HostDelivery) => {
    const { connection } = host
    if (!connection || written.has(delivery.deliveryId)) return
    if (confirmed.has(delivery.deliveryId)) writtenAgain.push(delivery.deliveryId)
    written.add(delivery.deliveryId)
    const generation = owner.generation
    wires.hostDown.push(() => {
      host.respond(delivery.value)
      // The ISocket ACK.
      wires.hostUp.unshift(() => {
        if (generation !== owner.generation || host.connection !== connection) return
        const { deliveryId } = delivery
        owner.send({ type: 'answer-delivered', instanceId: startOf().instanceId, deliveryId }, () =>
          confirmed.add(deliveryId),
        )
      })
    })
  }

  owner.onSignal = signal => {
    if (signal.to === 'client' && browserOnline) {
      const payload = signal.payload as ClientSignal
      if ('probe' in payload) return
      wires.browserDown.push(() => {
        if (payload.event === 'transaction.render') {
          const { call, answered: isAnswered } = payload.data.step
          show(call.inputGroupKey, call.id, isAnswered)
        } else if (payload.event === 'transaction.completed') completed = true
      })
    }
    if (signal.to === 'host') deliver(signal.payload as HostDelivery)
  }
  const dispatched = new Set<string>()
  owner.onEffects = () => {
    if (!host.connection) return
    for (const effect of owner.effects.values()) {
      if (dispatched.has(effect.id)) continue
      dispatched.add(effect.id)
      const call = effect.payload as unknown as HostCall
      const generation = owner.generation
      wires.hostDown.push(() => {
        if (call.method === 'START_TRANSACTION') host.start()
        wires.hostUp.unshift(() => {
          if (generation === owner.generation) owner.effects.delete(effect.id)
        })
      })
    }
  }

  const dropHost = () => {
    host.connection = null
    wires.hostUp = []
    wires.hostDown = []
    dispatched.clear()
  }
  const dropBrowser = () => {
    browserOnline = false
    wires.browserUp = []
    wires.browserDown = []
  }
  const connectHost = () => {
    host.connection = randomUUID() as ConnectionId
    written = new Set()
    owner.onEffects()
    host.reconnected()
  }
  const connectBrowser = () => {
    browserOnline = true
    const waiting = [...unanswered]
    ask(
      'attach',
      owner.state.start ? { type: 'attach', asker } : { type: 'start', start: startOf(), asker },
      replaced,
    )
    for (const [id, message] of waiting) {
      if (message.type === 'answer') ask(id, message, answered(message.inputGroupKey, message.renderId))
    }
  }
  const typeSomething = () => {
    const open = [...steps].filter(([group, step]) => !step.answered && !unansweredFor(group))
    const asks = open.filter(([group]) => groupIsAsk(group))
    if (asks.length === 0) return
    const [group, step] = random.pick(asks)
    const requestId = randomUUID()
    ask(
      requestId,
      {
        type: 'answer',
        asker,
        requestId,
        inputGroupKey: group,
        renderId: step.renderId,
        kind: 'RETURN',
        values: valuesFor(group, requestId),
      },
      answered(group, step.renderId),
    )
  }
  /** To a question for the identity: mostly yes, whether or not it was proven. */
  const valuesFor = (group: string, requestId: string): unknown[] => {
    const asked = owner.state.groups.find(({ inputGroupKey }) => inputGroupKey === group)
    if (asked?.call.toRender[0]?.methodName !== 'CONFIRM_IDENTITY') return [`typed ${requestId}`]
    if (random.chance(0.3)) proof = { atMs: nowMs, step: group }
    return [random.chance(0.8)]
  }
  const unansweredFor = (group: string) =>
    [...unanswered.values()].some(message => message.type === 'answer' && message.inputGroupKey === group)
  const groupIsAsk = (group: string) =>
    owner.state.groups.some(candidate => candidate.inputGroupKey === group && !candidate.displayOnly)

  connectBrowser()
  for (let step = 0; step < stepsMax; step++) {
    nowMs += 1
    const choices: (() => void)[] = []
    for (const wire of Object.values(wires)) if (wire.length > 0) choices.push(() => wire.shift()?.())
    if (owner.hasWork) choices.push(() => owner.commitOne(false))
    if (!host.connection) choices.push(connectHost)
    if (!browserOnline) choices.push(connectBrowser)
    choices.push(typeSomething)
    if (faultsLeft > 0 && random.chance(0.05)) {
      faultsLeft -= 1
      const fault = random.pick(['crash', 'crash-before-reply', 'drop-host', 'drop-browser'] as const)
      if (fault === 'drop-host') dropHost()
      else if (fault === 'drop-browser') dropBrowser()
      else {
        if (fault === 'crash-before-reply' && owner.hasWork) owner.commitOne(true)
        else owner.crash()
        dropHost()
        dropBrowser()
      }
      continue
    }
    if (host.isDone && completed) break
    random.pick(choices)()
  }

  if (!host.isDone) return 'the action did not finish'
  if (!completed) return 'the browser was not told the end'
  for (const [render, count] of observed.processed) {
    // A RETURN may be doubled only when our crash lost the host's ACK; it never is without a fault.
    if (count > 1 && faultsLeft === 12) return `render ${render} was processed ${count} times`
  }
  if (writtenAgain.length > 0) return `written again after the host had confirmed it: ${writtenAgain[0]}`
  if (observed.shownAfterAnswer.length > 0)
    return `shown again after its answer: ${observed.shownAfterAnswer[0]}`
  if (observed.unproven.length > 0) return `confirmed without a proof: ${observed.unproven[0]}`
  for (const group of observed.acknowledged.keys()) {
    const renders = observed.accepted.filter(entry => entry.startsWith(`${group}=`))
    if (renders.length !== 1) return `group ${group} was accepted ${renders.length} times`
  }
  return null
}

t.test('a transaction survives any interleaving of crashes, drops and repeats', async t => {
  runSeeds(t, { file: 'dist/test/sim/transaction.test.js', runs, simulate })
})
