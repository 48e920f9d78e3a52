/**
 * How a run gets its host. Mostly it is named at the start and told at once. Where only an HTTP host serves the action,
 * that is asked to connect first; whoever connects because of it is the host from then on.
 */

import type { InstanceId } from '../ids.js'
import type { Decision, DecisionContext } from '../partitions/entity.js'
import { SdkVersion } from '../sdk/index.js'
import { Change } from './change.js'
import { complete } from './ending.js'
import { type HttpHostAnswer, releaseHost, wakeHost } from './http-request.js'
import type { TransactionState } from './state.js'

type Of<Type extends HttpHostAnswer['type']> = Extract<HttpHostAnswer, { type: Type }>
type NodeDecision = Decision<TransactionState, Record<string, never>>

/** Tells the host to run the action. */
export function callStart(change: Change): void {
  const { start } = change
  change.callHost('start', {
    method: 'START_TRANSACTION',
    data: {
      transactionId: start.id,
      actionName: start.slug,
      action: { slug: start.slug, url: start.url },
      environment: start.sdkEnvironment,
      user: {
        email: start.owner.email,
        firstName: start.owner.firstName,
        lastName: start.owner.lastName,
        role: start.owner.role,
        teams: start.owner.teams,
      },
      params: start.params,
      ...(start.paramsMeta !== undefined && { paramsMeta: start.paramsMeta }),
      displayResolvesImmediately: start.appends,
    },
  })
}

/** Makes the first request that is left. */
export function wake(change: Change): void {
  const { start } = change
  const request = start.http?.[0]
  if (request) change.add(wakeHost(request, change.context.key, start))
}

/** An instance has come for this run. */
export function decideHostBound(
  state: TransactionState,
  message: Of<'host-bound'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  const { http, ...start } = change.start
  const { instanceId, sdkName, sdkVersion } = message
  // Said again.
  if (start.woken && start.instanceId === instanceId) return change.done({})
  if (http?.[0]?.requestId !== message.requestId || change.now.completedAtMs !== null) {
    // It was cancelled meanwhile, or another request is being made by now. The host was woken for nothing else.
    change.add(releaseHost(start.id, instanceId))
    return change.done({})
  }
  const sdk = new SdkVersion(sdkName, sdkVersion)
  change.bind({
    ...start,
    instanceId,
    sdkName,
    sdkVersion,
    appends: sdk.displayResolvesImmediately && start.oneCallAtATime !== true,
    sdkEnvironment: sdk.environmentFor(start.place.environment),
    woken: true,
  })
  callStart(change)
  return change.done({})
}

/** Nobody will come because of this request: the next one is made, if there is one. */
export function decideHostUnreachable(
  state: TransactionState,
  message: Of<'host-unreachable'>,
  context: DecisionContext,
): NodeDecision {
  if (state.start === null) return { state: null, reply: {} }
  const change = new Change(state, state.start, context)
  const [failed, ...left] = change.start.http ?? []
  if (failed?.requestId !== message.requestId || change.now.completedAtMs !== null) return change.done({})
  const [next] = left
  if (next) {
    change.bind({ ...change.start, instanceId: next.httpHostId as string as InstanceId, http: left })
    wake(change)
  } else {
    complete(change, { status: 'FAILURE', data: { error: 'HostUnreachable', message: message.reason } })
  }
  return change.done({})
}
