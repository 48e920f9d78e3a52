/**
 * A host: one SDK process, known by the instance id it sends at each connect. The entity remembers to whom it belongs,
 * which connection speaks for it (a newer one fences the older everywhere), and what is needed to settle the calls
 * that an earlier connection left open.
 *
 * Whether its socket is open is known only to the edge that holds it. The entity's alarm asks; when nobody has the
 * socket for longer than the grace, the host is lost: it leaves the directory, and its transactions are told when they
 * ask.
 */
import { AppError } from '../errors.js'
import type {
  ApiKeyId,
  ConnectionId,
  EntityKey,
  EnvironmentId,
  InstanceId,
  OrganizationId,
  UserId,
} from '../ids.js'
import { limits } from '../limits.js'
import type { AlarmMessage, Decision, DecisionContext, EntityKind, Json } from '../partitions/entity.js'

export interface HostState {
  readonly host: HostRecord | null
}

export interface HostRecord {
  readonly instanceId: InstanceId
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly developerId: UserId | null
  readonly apiKeyId: ApiKeyId
  readonly sdkName: string
  readonly sdkVersion: string
  /** The socket that speaks for it, or the last one that did. */
  readonly connectionId: ConnectionId
  readonly goneAtMs: number | null
  /** When that socket declared itself first. */
  readonly attachedAtMs: number
  readonly shuttingDown: boolean
  /** The request by which it was woken, for one run or page. It takes nothing else: it is in no directory. */
  readonly requestId?: string
  /** Time the host itself gave to its newest declaration: older ones that arrive late are ignored. */
  readonly declaredAtMs: number
  /**
   * Counters of the first calls on the newest connections, newest last. A node that died may have been about to settle
   * what the one before it had left, so what was lost may lie above the oldest of them, not only above the newest.
   */
  readonly recentFirstRpcIds: readonly number[]
  /** Calls that must not be settled with `true`: their promise expects an object. Newest last. */
  readonly unsettledByTrue: readonly number[]
}

export interface HostAttach {
  readonly type: 'attach'
  readonly instanceId: InstanceId
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly developerId: UserId | null
  readonly apiKeyId: ApiKeyId
  readonly sdkName: string
  readonly sdkVersion: string
  readonly connectionId: ConnectionId
  readonly declaredAtMs: number
  readonly rpcId: number | null
  readonly firstRpcId: number | null
  /** The request that woke it. It names that once: when it reconnects it is to be known. */
  readonly requestId?: string
}

export interface HostAttached {
  /** False: a newer declaration of this host was applied before; this one changes nothing. */
  readonly applied: boolean
  readonly isNewConnection: boolean
  readonly requestId: string | null
  readonly previousFirstRpcId: number | null
  readonly unsettledByTrue: readonly number[]
}

export type HostEntityMessage =
  | HostAttach
  | { readonly type: 'detach'; readonly connectionId: ConnectionId }
  | { readonly type: 'shutdown'; readonly connectionId: ConnectionId; readonly rpcId: number | null }
  /** What it was woken for is over, and its socket is gone. */
  | { readonly type: 'ended' }
  /** A transaction asks whether this host is still expected. */
  | { readonly type: 'ask' }

/** Calls remembered as not to be settled with `true`. */
const rememberedCallsMax = 16
const rememberedConnectionsMax = 8
/** A connection that stood for so long has settled what was owed, in ms. */
const lastedMs = 60_000

/** The directory that lists what a host serves: of an environment, or of one developer's console in it. */
export function directoryKey(environmentId: string, developerId: string | null): EntityKey {
  return developerId === null ? `environment:${environmentId}` : `environment:${environmentId}.${developerId}`
}

export const hostKey = (instanceId: InstanceId): EntityKey => `host:${instanceId}`

export const hostKind: EntityKind<HostState, HostEntityMessage> = {
  name: 'host',
  load: records => ({ host: (records.get('host') as unknown as HostRecord | undefined) ?? null }),
  decide(state, message, context) {
    switch (message.type) {
      case 'attach':
        return attach(state, message, context)
      case 'detach':
        return detach(state, message.connectionId, context)
      case 'shutdown':
        return shutdown(state, message)
      case 'ended':
        return state.host?.requestId !== undefined
          ? { state: null, alarmAtMs: null, reply: {} }
          : { state, reply: {} }
      case 'ask':
        return answer(state)
      case 'alarm':
        return alarm(state, message, context)
    }
  },
}

function stored(host: HostRecord): { state: HostState; put: Map<string, Json> } {
  return { state: { host }, put: new Map([['host', host as unknown as Json]]) }
}

function attach(
  state: HostState,
  message: HostAttach,
  context: DecisionContext,
): Decision<HostState, HostAttached> {
  const before = state.host
  const isSamePlace =
    before?.organizationId === message.organizationId &&
    before.environmentId === message.environmentId &&
    before.developerId === message.developerId
  if (before && !isSamePlace) throw new AppError('forbidden', 'This instance id belongs to somebody else.')
  const isNewConnection = before?.connectionId !== message.connectionId
  const applied = isNewConnection || !before || message.declaredAtMs >= before.declaredAtMs
  const unsettledByTrue = before?.unsettledByTrue ?? []
  const recentFirstRpcIds = before?.recentFirstRpcIds ?? []
  const { type: _type, rpcId, firstRpcId, requestId: named, ...identity } = message
  const requestId = before ? before.requestId : named
  // The first declaration of a connection may be said twice, when the edge never heard the reply: it is answered alike.
  const earlierFirstRpcIds = isNewConnection
    ? recentFirstRpcIds
    : firstRpcId === null
      ? []
      : recentFirstRpcIds.slice(0, -1)
  const host: HostRecord = {
    ...identity,
    ...(requestId !== undefined && { requestId }),
    declaredAtMs: applied ? message.declaredAtMs : (before?.declaredAtMs ?? 0),
    goneAtMs: null,
    attachedAtMs: isNewConnection ? context.nowMs : (before?.attachedAtMs ?? context.nowMs),
    shuttingDown: isNewConnection ? false : (before?.shuttingDown ?? false),
    recentFirstRpcIds:
      isNewConnection && firstRpcId !== null
        ? remembered([...recentFirstRpcIds, firstRpcId], before?.attachedAtMs ?? 0, context.nowMs)
        : recentFirstRpcIds,
    unsettledByTrue:
      rpcId === null ? unsettledByTrue : [...unsettledByTrue, rpcId].slice(-rememberedCallsMax),
  }
  return {
    ...stored(host),
    alarmAtMs: context.nowMs + limits.hostGraceMs,
    reply: {
      applied,
      isNewConnection,
      requestId: requestId ?? null,
      previousFirstRpcId: earlierFirstRpcIds[0] ?? null,
      unsettledByTrue,
    },
  }
}

/**
 * The oldest is kept while connections follow one another quickly, as they do when an SDK opens one after another until a
 * node answers: nothing of before that is settled until one of them has lasted.
 */
function remembered(firstRpcIds: readonly number[], attachedAtMs: number, nowMs: number): number[] {
  if (firstRpcIds.length <= rememberedConnectionsMax) return [...firstRpcIds]
  if (nowMs - attachedAtMs > lastedMs) return firstRpcIds.slice(-rememberedConnectionsMax)
  const [oldest = 0, ...newer] = firstRpcIds
  return [oldest, ...newer.slice(-(rememberedConnectionsMax - 1))]
}

function detach(
  state: HostState,
  connectionId: ConnectionId,
  context: DecisionContext,
): Decision<HostState, unknown> {
  const { host } = state
  if (!host || host.connectionId !== connectionId || host.goneAtMs !== null) return { state, reply: {} }
  return {
    ...stored({ ...host, goneAtMs: context.nowMs }),
    alarmAtMs: context.nowMs + limits.hostGraceMs,
    reply: {},
  }
}

function shutdown(
  state: HostState,
  message: { connectionId: ConnectionId; rpcId: number | null },
): Decision<HostState, unknown> {
  const { host } = state
  if (!host || host.connectionId !== message.connectionId) return { state, reply: {} }
  const unsettledByTrue =
    message.rpcId === null
      ? host.unsettledByTrue
      : [...host.unsettledByTrue, message.rpcId].slice(-rememberedCallsMax)
  return { ...stored({ ...host, shuttingDown: true, unsettledByTrue }), reply: {} }
}

/** Reply to `ask`: an unknown host is one whose grace ended before. */
export type HostAsked = { readonly lost: true } | { readonly lost: false; readonly attachedAtMs: number }

function answer(state: HostState): Decision<HostState, HostAsked> {
  if (!state.host) return { state: null, reply: { lost: true } }
  return { state, reply: { lost: false, attachedAtMs: state.host.attachedAtMs } }
}

function alarm(
  state: HostState,
  _message: AlarmMessage,
  context: DecisionContext,
): Decision<HostState, unknown> {
  const { host } = state
  if (!host) return { state: null, reply: {} }
  if (host.goneAtMs === null) {
    return {
      state,
      signals: [{ to: 'host-probe', target: host.instanceId, payload: { connectionId: host.connectionId } }],
      alarmAtMs: context.nowMs + limits.pingIntervalMs * 2,
      reply: {},
    }
  }
  if (host.goneAtMs + limits.hostGraceMs > context.nowMs) {
    return { state, alarmAtMs: host.goneAtMs + limits.hostGraceMs, reply: {} }
  }
  return {
    state: null,
    alarmAtMs: null,
    effects: [
      {
        id: `${host.instanceId}:lost:${host.connectionId}`,
        to: 'entity',
        target: directoryKey(host.environmentId, host.developerId),
        payload: { type: 'remove', instanceId: host.instanceId, connectionId: host.connectionId },
      },
    ],
    reply: {},
  }
}
