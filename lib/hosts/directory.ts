/**
 * The directory of one environment (or of one developer's console): which hosts serve which actions and pages.
 * Declarations are stored by content, so that a hundred equal hosts, or one that reconnects, write next to nothing.
 * Which hosts are connected right now is soft state and not in here; edges know it.
 */
import { AppError } from '../errors.js'
import type { ConnectionId, InstanceId } from '../ids.js'
import { limits } from '../limits.js'
import type { AlarmMessage, Decision, EntityKind, Json } from '../partitions/entity.js'
import type { Definitions } from './definitions.js'

export interface DirectoryHost {
  readonly instanceId: InstanceId
  /** Its newest: a removal because of an older one comes too late. */
  readonly connectionId: ConnectionId
  /** Digest of its definitions. */
  readonly digest: string
  readonly sdkName: string
  readonly sdkVersion: string
  readonly shuttingDown: boolean
  /** Grows with each declaration: the newest host has the highest. */
  readonly order: number
  /**
   * Set for an HTTP host, which is named by its own id here and never connects itself: whether it answered last time.
   */
  readonly isReachable?: boolean
}

export interface DirectoryState {
  readonly hosts: ReadonlyMap<InstanceId, DirectoryHost>
  readonly definitions: ReadonlyMap<string, Definitions>
}

export type DirectoryMessage =
  | {
      readonly type: 'announce'
      readonly instanceId: InstanceId
      readonly connectionId: ConnectionId
      readonly digest: string
      readonly definitions: Definitions
      readonly sdkName: string
      readonly sdkVersion: string
      /** Given by HTTP hosts. */
      readonly isReachable?: boolean
    }
  /** An HTTP host answers, or does not any more. */
  | { readonly type: 'reachable'; readonly instanceId: InstanceId; readonly isReachable: boolean }
  | { readonly type: 'shutdown'; readonly instanceId: InstanceId }
  /** The host that had this connection last is lost. Said at least once, and perhaps when it has long been back. */
  | { readonly type: 'remove'; readonly instanceId: InstanceId; readonly connectionId: ConnectionId }
  | { readonly type: 'read' }
  /** Is there a leader that answers? */
  | { readonly type: 'ready' }

const hostRecord = (instanceId: string): string => `host/${instanceId}`
const definitionsRecord = (digest: string): string => `definitions/${digest}`

export const directoryKind: EntityKind<DirectoryState, DirectoryMessage> = {
  name: 'environment',
  load(records) {
    const hosts = new Map<InstanceId, DirectoryHost>()
    const definitions = new Map<string, Definitions>()
    for (const [name, value] of records) {
      if (name.startsWith('host/')) {
        const host = value as unknown as DirectoryHost
        hosts.set(host.instanceId, host)
      } else if (name.startsWith('definitions/')) {
        definitions.set(name.slice('definitions/'.length), value as unknown as Definitions)
      }
    }
    return { hosts, definitions }
  },
  decide(state, message: DirectoryMessage | AlarmMessage, context): Decision<DirectoryState, unknown> {
    switch (message.type) {
      case 'announce':
        return announce(state, message, context.key)
      case 'shutdown': {
        const host = state.hosts.get(message.instanceId)
        if (!host || host.shuttingDown) return { state, reply: {} }
        return change(state, { ...host, shuttingDown: true }, context.key)
      }
      case 'reachable': {
        const host = state.hosts.get(message.instanceId)
        if (host?.isReachable === undefined || host.isReachable === message.isReachable)
          return { state, reply: {} }
        return change(state, { ...host, isReachable: message.isReachable }, context.key)
      }
      case 'remove':
        return remove(state, message, context.key)
      case 'read':
        return { state, reply: readable(state) }
      case 'ready':
      case 'alarm':
        return { state, reply: {} }
    }
  },
}

/** A directory on its way to the node that asked. */
export interface ReadDirectory {
  readonly hosts: readonly DirectoryHost[]
  readonly definitions: readonly (readonly [digest: string, Definitions])[]
}

function readable(state: DirectoryState): ReadDirectory {
  return { hosts: [...state.hosts.values()], definitions: [...state.definitions] }
}

export function directoryFrom(read: ReadDirectory): DirectoryState {
  return {
    hosts: new Map(read.hosts.map(host => [host.instanceId, host])),
    definitions: new Map(read.definitions),
  }
}

const changed = (key: string) => [{ to: 'directory', target: key, payload: {} }]

function change(state: DirectoryState, host: DirectoryHost, key: string): Decision<DirectoryState, unknown> {
  const hosts = new Map(state.hosts).set(host.instanceId, host)
  return {
    state: { ...state, hosts },
    put: new Map([[hostRecord(host.instanceId), host as unknown as Json]]),
    signals: changed(key),
    reply: {},
  }
}

function announce(
  state: DirectoryState,
  message: Extract<DirectoryMessage, { type: 'announce' }>,
  key: string,
): Decision<DirectoryState, unknown> {
  const { instanceId, connectionId, digest, sdkName, sdkVersion, isReachable } = message
  const before = state.hosts.get(instanceId)
  const isSame = before?.digest === digest && before.sdkVersion === sdkVersion
  if (isSame && !before.shuttingDown && before.isReachable === isReachable) {
    if (before.connectionId === connectionId) return { state, signals: changed(key), reply: {} }
    return change(state, { ...before, connectionId }, key)
  }
  if (!before && state.hosts.size >= limits.hostsPerDirectoryMax) {
    throw new AppError('too-many-requests', 'Too many hosts of this environment have connected lately.')
  }
  let order = 1
  for (const host of state.hosts.values()) if (host.order >= order) order = host.order + 1
  const host: DirectoryHost = {
    instanceId,
    connectionId,
    digest,
    sdkName,
    sdkVersion,
    shuttingDown: false,
    order,
    ...(isReachable !== undefined && { isReachable }),
  }
  const hosts = new Map(state.hosts).set(instanceId, host)
  const isNew = !state.definitions.has(digest)
  const definitions = isNew
    ? new Map(state.definitions).set(digest, message.definitions)
    : new Map(state.definitions)
  const unused = before && before.digest !== digest && !isUsed(hosts, before.digest) ? before.digest : null
  if (unused) definitions.delete(unused)
  const put = new Map([[hostRecord(instanceId), host as unknown as Json]])
  if (isNew) put.set(definitionsRecord(digest), message.definitions as unknown as Json)
  return {
    state: { hosts, definitions },
    put,
    ...(unused && { del: [definitionsRecord(unused)] }),
    signals: changed(key),
    reply: {},
  }
}

function remove(
  state: DirectoryState,
  { instanceId, connectionId }: Extract<DirectoryMessage, { type: 'remove' }>,
  key: string,
): Decision<DirectoryState, unknown> {
  const before = state.hosts.get(instanceId)
  if (before?.connectionId !== connectionId) return { state, reply: {} }
  const hosts = new Map(state.hosts)
  hosts.delete(instanceId)
  const definitions = new Map(state.definitions)
  const unused = !isUsed(hosts, before.digest)
  if (unused) definitions.delete(before.digest)
  return {
    state: { hosts, definitions },
    del: [hostRecord(instanceId), ...(unused ? [definitionsRecord(before.digest)] : [])],
    signals: changed(key),
    reply: {},
  }
}

function isUsed(hosts: ReadonlyMap<InstanceId, DirectoryHost>, digest: string): boolean {
  for (const host of hosts.values()) if (host.digest === digest) return true
  return false
}
