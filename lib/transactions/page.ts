/**
 * A live page: a layout that a host keeps rendering while somebody looks. Like a transaction without an end: it has a
 * host, a window, and closes when the window is gone. After a restart of ours both sides come back by the page key.
 */
import type { PageSnapshot, Redirect } from '../clients/wire.js'
import { AppError } from '../errors.js'
import type { ClientId, EnvironmentId, InstanceId, OrganizationId, PageKey, UserId } from '../ids.js'
import { limits } from '../limits.js'
import type {
  AlarmMessage,
  Decision,
  DecisionContext,
  Effect,
  EntityKind,
  Json,
  Signal,
} from '../partitions/entity.js'
import { type LoadingState, type PageLayout, validateAnswer } from '../sdk/index.js'
import type { ClientSignal, HostCall, HostDelivery } from './change.js'
import {
  forgetRequest,
  type HttpHostAnswer,
  type HttpRequest,
  releaseHost,
  wakeHost,
} from './http-request.js'
import type { Asker } from './messages.js'

export interface PageStart {
  readonly pageKey: PageKey
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly userId: UserId
  readonly slug: string
  /** While `http` is there, the HTTP host that is listed under this name; nobody speaks for it. */
  readonly instanceId: InstanceId
  /** As of a run: requests for an HTTP host, and what it is to be told once it has come. */
  readonly http?: { readonly requests: readonly HttpRequest[]; readonly call: Json }
}

interface PageRecord extends PageStart {
  readonly clientId: ClientId
  readonly clientGoneAtMs: number | null
  readonly hostGone: boolean
  /** The host has taken it, or is being woken for it. Until then it is told again. */
  readonly opened: boolean
  /** Its host was woken for it. */
  readonly woken?: true
}

export interface PageState {
  readonly page: PageRecord | null
  readonly layout: PageLayout | null
  readonly loading: LoadingState | null
  /** The newest of what the host has said of it, where its SDK counts its calls. */
  readonly newest: NewestCall | null
}

/** Another process counts its calls from 1. */
interface NewestCall {
  readonly instanceId: string
  readonly number: number
}

interface Numbered {
  readonly instanceId: InstanceId
  /** Number of the call, where the SDK counts them. */
  readonly number?: number
}

export type PageMessage =
  | HttpHostAnswer
  | { readonly type: 'open'; readonly page: PageStart; readonly asker: Asker }
  | { readonly type: 'leave'; readonly asker: Asker }
  /** This window may have missed something; replied to with null when the page is in another one. */
  | { readonly type: 'refresh'; readonly asker: Asker }
  /** The host has opened it. */
  | { readonly type: 'opened' }
  /** The host could not open it. */
  | { readonly type: 'failed' }
  /** A host that was woken for it could not open it. */
  | { readonly type: 'open-failed'; readonly instanceId: InstanceId; readonly reason: string }
  | { readonly type: 'client-gone'; readonly clientId: ClientId }
  | {
      readonly type: 'set-state'
      readonly asker: Asker
      readonly inputGroupKey: string
      readonly requestId: string
      readonly values: readonly unknown[]
      readonly valuesMeta?: unknown
    }
  | ({ readonly type: 'layout'; readonly layout: PageLayout | null } & Numbered)
  | ({ readonly type: 'loading'; readonly loading: LoadingState } & Numbered)
  | ({ readonly type: 'redirect'; readonly redirect: Redirect } & Numbered)
  | { readonly type: 'host-gone'; readonly instanceId: InstanceId }
  | { readonly type: 'host-back'; readonly instanceId: InstanceId }

/** Reply to `open`: whether the host has yet to be told. */
export interface PageOpened {
  readonly isNew: boolean
  readonly snapshot: PageSnapshot
  /** Null while an HTTP host is being woken. */
  readonly instanceId: InstanceId | null
}

export const pageKind: EntityKind<PageState, PageMessage> = {
  name: 'page',
  load: records => ({
    page: (records.get('page') as unknown as PageRecord | undefined) ?? null,
    layout: (records.get('layout') as unknown as PageLayout | undefined) ?? null,
    loading: (records.get('loading') as unknown as LoadingState | undefined) ?? null,
    newest: (records.get('newest') as unknown as NewestCall | undefined) ?? null,
  }),
  brings: message => content.has(message.type),
  decide,
}

/** What a full disk cannot take. */
const content: ReadonlySet<PageMessage['type'] | 'alarm'> = new Set(['open', 'set-state', 'layout'] as const)

type PageDecision = Decision<PageState, unknown>

function decide(
  state: PageState,
  message: PageMessage | AlarmMessage,
  context: DecisionContext,
): PageDecision {
  if (message.type === 'open') return open(state, message.page, message.asker, context)
  const { page } = state
  if (!page) {
    if ('asker' in message) throw new AppError('not-found', 'There is no such page.')
    if (message.type === 'host-bound') return release(context, message.instanceId)
    return { state: null, reply: { accepted: false, reason: 'There is no such page.' } }
  }
  if (message.type === 'host-bound') return bound(state, page, message, context)
  if (message.type === 'host-unreachable') return unreachable(state, page, message, context)
  if ('instanceId' in message && (page.http || message.instanceId !== page.instanceId)) {
    return { state, reply: { accepted: false, reason: 'There is no such page.', denied: true } }
  }
  if ('number' in message && message.number !== undefined) {
    const { instanceId, number } = message
    const { newest } = state
    // Said before what is shown, it comes late: its connection is gone, or its leader was away for a moment.
    if (newest?.instanceId === instanceId && number < newest.number)
      return { state, reply: { accepted: true } }
    return withNewest(said({ ...state, newest: { instanceId, number } }, page, message, context))
  }
  return said(state, page, message, context)
}

function withNewest(decision: PageDecision): PageDecision {
  if (!decision.state?.newest) return decision
  return {
    ...decision,
    put: new Map([...(decision.put ?? []), ['newest', decision.state.newest as unknown as Json]]),
  }
}

function said(
  state: PageState,
  page: PageRecord,
  message: Exclude<PageMessage, HttpHostAnswer | { readonly type: 'open' }> | AlarmMessage,
  context: DecisionContext,
): PageDecision {
  switch (message.type) {
    case 'leave':
      checkOwner(page, message.asker)
      return close(page)
    case 'refresh':
      checkOwner(page, message.asker)
      return refresh(state, page, message.asker.clientId, context)
    case 'opened':
      return { ...stored(state, { ...page, opened: true }), reply: {} }
    case 'open-failed':
      return failedWith(state, page, { error: 'PageNotOpened', message: message.reason })
    case 'failed':
      return { state: null, alarmAtMs: null, reply: {} }
    case 'client-gone':
      if (message.clientId !== page.clientId || page.clientGoneAtMs !== null) return { state, reply: {} }
      return {
        ...stored(state, { ...page, clientGoneAtMs: context.nowMs }),
        signals: [
          {
            to: 'client',
            target: page.clientId,
            payload: { probe: true, gone: true } satisfies ClientSignal,
          },
        ],
        alarmAtMs: context.nowMs + limits.pageGraceMs,
        reply: {},
      }
    case 'set-state':
      checkOwner(page, message.asker)
      return setState(state, page, message)
    case 'layout':
      return {
        state: { ...state, layout: message.layout, loading: null },
        put: new Map([['layout', message.layout as unknown as Json]]),
        del: ['loading'],
        signals: [
          ...tell(page, {
            event: 'page.render',
            data: { pageKey: page.pageKey, layout: message.layout },
          }),
          // A window that began to look when nobody was bound does not know yet whom to watch over.
          ...(page.woken && state.layout === null ? tell(page, { probe: true, gone: true }) : []),
        ],
        reply: { accepted: true },
      }
    case 'loading':
      return {
        state: { ...state, loading: message.loading },
        put: new Map([['loading', message.loading as unknown as Json]]),
        signals: tell(page, {
          event: 'page.loading',
          data: { pageKey: page.pageKey, loading: message.loading },
        }),
        reply: { accepted: true },
      }
    case 'redirect':
      return {
        state,
        signals: tell(page, {
          event: 'page.redirect',
          data: { pageKey: page.pageKey, redirect: message.redirect },
        }),
        reply: { accepted: true },
      }
    case 'host-gone':
    case 'host-back': {
      const hostGone = message.type === 'host-gone'
      if (page.hostGone === hostGone) return { state, reply: {} }
      return {
        ...stored(state, { ...page, hostGone }),
        signals: tell(page, {
          event: 'page.host',
          data: { pageKey: page.pageKey, hostConnected: !hostGone },
        }),
        reply: {},
      }
    }
    case 'alarm':
      return alarm(state, page, context)
  }
}

/** Whoever asks anew is there, whatever was said of it before. */
function refresh(
  state: PageState,
  page: PageRecord,
  clientId: string,
  context: DecisionContext,
): PageDecision {
  if (page.clientId !== clientId) return { state, reply: null }
  if (page.clientGoneAtMs === null) return { state, reply: openedOf(state, page) }
  const back: PageRecord = { ...page, clientGoneAtMs: null }
  return {
    ...stored(state, back),
    alarmAtMs: context.nowMs + limits.clientGraceMs,
    reply: openedOf(state, back),
  }
}

function stored(state: PageState, page: PageRecord): { state: PageState; put: Map<string, Json> } {
  return { state: { ...state, page }, put: new Map([['page', page as unknown as Json]]) }
}

function tell(page: PageRecord, signal: ClientSignal): Signal[] {
  return page.clientGoneAtMs === null ? [{ to: 'client', target: page.clientId, payload: signal }] : []
}

function snapshotOf(state: PageState, page: PageRecord): PageSnapshot {
  return {
    pageKey: page.pageKey,
    hostConnected: !page.hostGone,
    layout: state.layout,
    loading: state.loading,
  }
}

function openedOf(state: PageState, page: PageRecord): PageOpened {
  const instanceId = page.http ? null : page.instanceId
  return { isNew: !page.opened, snapshot: snapshotOf(state, page), instanceId }
}

/** A page is looked at by the one person who opened it. */
function checkOwner(page: PageStart, asker: Asker): void {
  if (page.organizationId !== asker.organizationId || page.userId !== asker.userId) {
    throw new AppError('not-found', 'There is no such page.')
  }
}

function open(state: PageState, start: PageStart, asker: Asker, context: DecisionContext): PageDecision {
  const known = state.page
  if (known) {
    checkOwner(known, asker)
    if (known.slug !== start.slug) throw new AppError('conflict', 'This page key belongs to another page.')
  }
  const page: PageRecord = {
    ...(known?.opened ? known : start),
    clientId: asker.clientId,
    clientGoneAtMs: null,
    hostGone: known?.hostGone ?? false,
    opened: known?.opened ?? start.http !== undefined,
  }
  const after = stored(state, page)
  return {
    ...after,
    ...(!known && { effects: wakeFirst(page, context) }),
    alarmAtMs: context.nowMs + limits.clientGraceMs,
    reply: openedOf(after.state, page),
  }
}

function setState(
  state: PageState,
  page: PageRecord,
  message: Extract<PageMessage, { type: 'set-state' }>,
): PageDecision {
  const call = state.layout?.children
  if (!call || call.inputGroupKey !== message.inputGroupKey) throw new AppError('call-superseded')
  const { values, valuesMeta } = message
  const checked = validateAnswer(call, { kind: 'SET_STATE', values, valuesMeta }, page.pageKey)
  if (!checked.ok) throw new AppError('invalid-value', undefined, { fields: checked.fields })
  const delivery: HostDelivery = {
    transactionId: page.pageKey,
    inputGroupKey: call.inputGroupKey,
    deliveryId: `${call.id}:${message.requestId}`,
    value: checked.value,
  }
  return { state, signals: [{ to: 'host', target: page.instanceId, payload: delivery }], reply: {} }
}

/** Makes the first request that is left. */
function wakeFirst(page: PageRecord, context: DecisionContext): Effect[] {
  const request = page.http?.requests[0]
  return request ? [wakeHost(request, context.key, page)] : []
}

/** An instance has come for this page. */
function bound(
  state: PageState,
  page: PageRecord,
  message: Extract<HttpHostAnswer, { type: 'host-bound' }>,
  context: DecisionContext,
): PageDecision {
  const { http, ...rest } = page
  const { instanceId } = message
  // Said again.
  if (page.woken && page.instanceId === instanceId) return { state, reply: {} }
  if (http?.requests[0]?.requestId !== message.requestId)
    return { state, effects: [releaseHost(page.pageKey, instanceId)], reply: {} }
  const call: HostCall = { method: 'OPEN_PAGE', data: http.call }
  return {
    ...stored(state, { ...rest, instanceId, woken: true }),
    effects: [
      { id: `${page.pageKey}:open`, to: 'host', target: instanceId, payload: call as unknown as Json },
    ],
    alarmAtMs: context.nowMs + limits.clientGraceMs,
    reply: {},
  }
}

/** Nobody will come because of this request: the next one is made; without one, the page says so. */
function unreachable(
  state: PageState,
  page: PageRecord,
  message: Extract<HttpHostAnswer, { type: 'host-unreachable' }>,
  context: DecisionContext,
): PageDecision {
  const [failed, ...requests] = page.http?.requests ?? []
  if (!page.http || failed?.requestId !== message.requestId) return { state, reply: {} }
  const [next] = requests
  if (next) {
    const instanceId = next.httpHostId as string as InstanceId
    const changed = { ...page, instanceId, http: { ...page.http, requests } }
    return { ...stored(state, changed), effects: wakeFirst(changed, context), reply: {} }
  }
  return failedWith(state, page, { error: 'HostUnreachable', message: message.reason })
}

/** Shows an error in place of a layout. */
function failedWith(
  state: PageState,
  page: PageRecord,
  error: { error: string; message: string },
): PageDecision {
  const layout: PageLayout = { kind: 'BASIC', errors: [error] }
  return {
    state: { ...state, layout, loading: null },
    put: new Map([['layout', layout as unknown as Json]]),
    del: ['loading'],
    signals: tell(page, { event: 'page.render', data: { pageKey: page.pageKey, layout } }),
    reply: {},
  }
}

/** It was closed before anybody came. */
function release(context: DecisionContext, instanceId: InstanceId): PageDecision {
  const pageKey = context.key.slice('page:'.length) as PageKey
  return { state: null, effects: [releaseHost(pageKey, instanceId)], reply: {} }
}

/** Deletes the page; the host is told until it confirms. */
function close(page: PageRecord): PageDecision {
  const request = page.http?.requests[0]
  if (page.http) {
    return { state: null, alarmAtMs: null, effects: request ? [forgetRequest(request)] : [], reply: {} }
  }
  const call: HostCall = { method: 'CLOSE_PAGE', data: { pageKey: page.pageKey } }
  const effect: Effect = {
    id: `${page.pageKey}:close`,
    to: 'host',
    target: page.instanceId,
    payload: call as unknown as Json,
  }
  return { state: null, alarmAtMs: null, effects: [effect], reply: {} }
}

function alarm(state: PageState, page: PageRecord, context: DecisionContext): PageDecision {
  if (page.clientGoneAtMs === null) {
    return {
      state,
      signals: [{ to: 'client', target: page.clientId, payload: { probe: true } satisfies ClientSignal }],
      alarmAtMs: context.nowMs + limits.clientGraceMs,
      reply: {},
    }
  }
  if (page.clientGoneAtMs + limits.pageGraceMs > context.nowMs) {
    return { state, alarmAtMs: page.clientGoneAtMs + limits.pageGraceMs, reply: {} }
  }
  return close(page)
}
