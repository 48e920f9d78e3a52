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
import type { Asker } from './messages.js'

export interface PageStart {
  readonly pageKey: PageKey
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly userId: UserId
  readonly slug: string
  readonly instanceId: InstanceId
}

interface PageRecord extends PageStart {
  readonly clientId: ClientId
  readonly clientGoneAtMs: number | null
  readonly hostGone: boolean
  /** The host has taken it. Until then it is told again. */
  readonly opened: boolean
}

export interface PageState {
  readonly page: PageRecord | null
  readonly layout: PageLayout | null
  readonly loading: LoadingState | null
}

export type PageMessage =
  | { readonly type: 'open'; readonly page: PageStart; readonly asker: Asker }
  | { readonly type: 'leave'; readonly asker: Asker }
  /** This window may have missed something; replied to with null when the page is in another one. */
  | { readonly type: 'refresh'; readonly asker: Asker }
  /** The host has opened it. */
  | { readonly type: 'opened' }
  /** The host could not open it. */
  | { readonly type: 'failed' }
  | { readonly type: 'client-gone'; readonly clientId: ClientId }
  | {
      readonly type: 'set-state'
      readonly asker: Asker
      readonly inputGroupKey: string
      readonly requestId: string
      readonly values: readonly unknown[]
      readonly valuesMeta?: unknown
    }
  | { readonly type: 'layout'; readonly instanceId: InstanceId; readonly layout: PageLayout | null }
  | { readonly type: 'loading'; readonly instanceId: InstanceId; readonly loading: LoadingState }
  | { readonly type: 'redirect'; readonly instanceId: InstanceId; readonly redirect: Redirect }
  | { readonly type: 'host-gone'; readonly instanceId: InstanceId }
  | { readonly type: 'host-back'; readonly instanceId: InstanceId }

/** Reply to `open`: whether the host has yet to be told. */
export interface PageOpened {
  readonly isNew: boolean
  readonly snapshot: PageSnapshot
  readonly instanceId: InstanceId
}

export const pageKind: EntityKind<PageState, PageMessage> = {
  name: 'page',
  load: records => ({
    page: (records.get('page') as unknown as PageRecord | undefined) ?? null,
    layout: (records.get('layout') as unknown as PageLayout | undefined) ?? null,
    loading: (records.get('loading') as unknown as LoadingState | undefined) ?? null,
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
    return { state: null, reply: { accepted: false, reason: 'There is no such page.' } }
  }
  if ('instanceId' in message && message.instanceId !== page.instanceId) {
    return { state, reply: { accepted: false, reason: 'There is no such page.', denied: true } }
  }
  switch (message.type) {
    case 'leave':
      checkOwner(page, message.asker)
      return close(page)
    case 'refresh':
      checkOwner(page, message.asker)
      return refresh(state, page, message.asker.clientId, context)
    case 'opened':
      return { ...stored(state, { ...page, opened: true }), reply: {} }
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
        signals: tell(page, {
          event: 'page.render',
          data: { pageKey: page.pageKey, layout: message.layout },
        }),
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
  return { isNew: !page.opened, snapshot: snapshotOf(state, page), instanceId: page.instanceId }
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
    opened: known?.opened ?? false,
  }
  const after = stored(state, page)
  return {
    ...after,
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

/** Deletes the page; the host is told until it confirms. */
function close(page: PageRecord): PageDecision {
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
