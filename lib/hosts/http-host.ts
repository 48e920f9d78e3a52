/**
 * An HTTP ("serverless") host: an address that is asked by HTTP to declare what it serves and to run something, and
 * that then connects as an ordinary host, once for each run. The entity remembers where it is, whether it answered last
 * time, what it declared, and the requests of the last minute.
 *
 * Invariant: a request wakes at most one instance. It can be claimed once, within its life, with a key of the same
 * organization and environment; whoever claims it again, or late, gets nothing. The run or page that waits for it hears
 * either `host-bound` or `host-unreachable`, once it is known.
 *
 * What can go wrong: the owner dies between writing the request to the address and noting that. Then the address is
 * asked again under the same request id, and the second instance finds the request claimed.
 */
import { AppError } from '../errors.js'
import {
  type ConnectionId,
  type EntityKey,
  type EnvironmentId,
  type HttpHostId,
  type InstanceId,
  isId,
  type OrganizationId,
} from '../ids.js'
import { limits } from '../limits.js'
import type {
  AlarmMessage,
  Decision,
  DecisionContext,
  Effect,
  EntityKind,
  Json,
} from '../partitions/entity.js'
import type { HttpHostAnswer } from '../transactions/index.js'
import type { Definitions } from './definitions.js'
import type { DirectoryMessage } from './directory.js'
import { directoryKey } from './host.js'

export interface HttpHostRecord {
  readonly id: HttpHostId
  readonly organizationId: OrganizationId
  readonly url: string
  /** It answered when it was asked last. */
  readonly isReachable: boolean
  readonly checkedAtMs: number
  readonly nextCheckAtMs: number
  readonly declared: HttpHostDeclared | null
}

/** What was declared last, with which key's environment. */
export interface HttpHostDeclared {
  readonly environmentId: EnvironmentId
  readonly digest: string
  readonly sdkName: string
  readonly sdkVersion: string
}

/** A run or page that waits for an instance, or has got one in the last minute. */
export interface HttpHostRequest {
  readonly requestId: string
  /** The transaction or page. */
  readonly target: EntityKey
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly expiresAtMs: number
  readonly claimedBy: InstanceId | null
}

export interface HttpHostState {
  readonly host: HttpHostRecord | null
  readonly requests: ReadonlyMap<string, HttpHostRequest>
}

export type HttpHostMessage =
  /** It is registered at this address; said again at each start of a node. */
  | {
      readonly type: 'register'
      readonly id: HttpHostId
      readonly organizationId: OrganizationId
      readonly url: string
      /** Whoever says so asks it now. */
      readonly isBeingChecked?: true
    }
  /** It is registered no more. */
  | { readonly type: 'remove' }
  | {
      readonly type: 'declare'
      readonly organizationId: OrganizationId
      readonly environmentId: EnvironmentId
      readonly digest: string
      readonly definitions: Definitions
      readonly sdkName: string
      readonly sdkVersion: string
    }
  /** It was asked, and did or did not answer. */
  | { readonly type: 'checked'; readonly isReachable: boolean }
  /** Something is to be run there. */
  | {
      readonly type: 'wake'
      readonly requestId: string
      readonly target: EntityKey
      readonly organizationId: OrganizationId
      readonly environmentId: EnvironmentId
    }
  /** An instance has connected because of a request. */
  | {
      readonly type: 'claim'
      readonly requestId: string
      readonly instanceId: InstanceId
      readonly organizationId: OrganizationId
      readonly environmentId: EnvironmentId
      readonly sdkName: string
      readonly sdkVersion: string
    }
  /** The request could not be made, or was refused there. `isUnreachable`: nobody answers at that address. */
  | {
      readonly type: 'failed'
      readonly requestId: string
      readonly reason: string
      readonly isUnreachable: boolean
    }
  /** Whoever wanted an instance does not any more. */
  | { readonly type: 'forget'; readonly requestId: string }

/** Payload of the effects and signals `http-host`: what the node that leads the entity is to do. */
export type HttpHostOrder =
  /** Effect: ask this address to run something. */
  | { readonly run: string; readonly id: HttpHostId; readonly url: string }
  /** Signal: ask this address to declare itself. */
  | { readonly check: HttpHostId; readonly organizationId: OrganizationId; readonly url: string }
  /** Signal: this request is settled: claimed, or nobody waits for its outcome any more. */
  | { readonly settled: string; readonly claimed: Claimed | null }

/** Who has come, and for what. */
export interface Claimed {
  readonly instanceId: InstanceId
  readonly target: EntityKey
}

/** The name of an HTTP host among the instances of its directory. It is no instance, and never connects as one. */
export const listedAs = (id: HttpHostId): InstanceId => id as string as InstanceId

const separator = '.'

/** `secret` is what nobody can guess; the HTTP host can be told from the id, whichever node is asked. */
export function requestIdFor(id: HttpHostId, secret: string): string {
  return `${id}${separator}${secret}`
}

/** The HTTP host a request was made for; null for text that is no request id. */
export function httpHostOf(requestId: string): HttpHostId | null {
  const end = requestId.indexOf(separator)
  const id = requestId.slice(0, Math.max(0, end))
  return isId(id) ? (id as string as HttpHostId) : null
}

export const httpHostKind: EntityKind<HttpHostState, HttpHostMessage> = {
  name: 'http-host',
  load(records) {
    const requests = new Map<string, HttpHostRequest>()
    for (const [name, value] of records) {
      if (!name.startsWith(requestPrefix)) continue
      const request = value as unknown as HttpHostRequest
      requests.set(request.requestId, request)
    }
    return { host: (records.get(hostRecord) as unknown as HttpHostRecord | undefined) ?? null, requests }
  },
  brings: message => message.type === 'wake' || message.type === 'declare',
  decide(state, message, context) {
    const change = new HttpHostChange(state, context)
    switch (message.type) {
      case 'register':
        register(change, message)
        return change.done({})
      case 'remove':
        remove(change)
        return change.done({})
      case 'declare':
        declare(change, message)
        return change.done({})
      case 'checked':
        checked(change, message.isReachable)
        return change.done({})
      case 'wake':
        wake(change, message)
        return change.done({})
      case 'claim':
        return change.done({ accepted: claim(change, message) })
      case 'failed':
        if (message.isUnreachable) checked(change, false)
        giveUp(change, message.requestId, message.reason)
        return change.done({})
      case 'forget':
        change.settle(message.requestId)
        change.dropRequest(message.requestId)
        return change.done({})
      case 'alarm':
        alarm(change, message)
        return change.done({})
    }
  },
}

const hostRecord = 'host'
const requestPrefix = 'request/'

/** Collects what one message changes. */
class HttpHostChange {
  readonly context: DecisionContext
  host: HttpHostRecord | null
  #requests: ReadonlyMap<string, HttpHostRequest>
  /** The same, once it is a copy that may be changed. */
  #own: Map<string, HttpHostRequest> | null = null
  readonly #put = new Map<string, Json>()
  readonly #del: string[] = []
  readonly #effects: Effect[] = []
  readonly #dropEffects: string[] = []
  readonly #signals: { to: string; target: string; payload: HttpHostOrder }[] = []

  constructor(state: HttpHostState, context: DecisionContext) {
    this.context = context
    this.host = state.host
    this.#requests = state.requests
  }

  get #id(): string {
    return this.context.key.slice(this.context.key.indexOf(':') + 1)
  }

  get requests(): ReadonlyMap<string, HttpHostRequest> {
    return this.#requests
  }

  #changeRequests(): Map<string, HttpHostRequest> {
    this.#own ??= new Map(this.#requests)
    this.#requests = this.#own
    return this.#own
  }

  setHost(host: HttpHostRecord): void {
    this.host = host
    this.#put.set(hostRecord, host as unknown as Json)
  }

  dropHost(): void {
    this.host = null
    this.#del.push(hostRecord)
  }

  putRequest(request: HttpHostRequest): void {
    this.#changeRequests().set(request.requestId, request)
    this.#put.set(`${requestPrefix}${request.requestId}`, request as unknown as Json)
  }

  dropRequest(requestId: string): void {
    if (!this.requests.has(requestId)) return
    this.#changeRequests().delete(requestId)
    this.#del.push(`${requestPrefix}${requestId}`)
  }

  /** Asks the address to run something: again after a crash, until the request is settled. */
  askToRun(requestId: string, { id, url }: HttpHostRecord): void {
    const payload: HttpHostOrder = { run: requestId, id, url }
    // A lane of its own: one request does not wait for the outcome of another.
    this.#effects.push({ id: requestId, to: 'http-host', target: requestId, payload })
  }

  askToDeclare({ id, organizationId, url }: HttpHostRecord): void {
    this.#signals.push({ to: 'http-host', target: this.#id, payload: { check: id, organizationId, url } })
  }

  /** The request is not made again, and its outcome not waited for. */
  settle(requestId: string): void {
    const request = this.requests.get(requestId)
    if (!request) return
    const { claimedBy, target } = request
    const claimed = claimedBy === null ? null : { instanceId: claimedBy, target }
    this.#dropEffects.push(requestId)
    this.#signals.push({ to: 'http-host', target: this.#id, payload: { settled: requestId, claimed } })
  }

  tell(target: EntityKey, answer: HttpHostAnswer): void {
    // Asked again after it had failed, a request may find another instance.
    const id = `${answer.requestId}:${answer.type === 'host-bound' ? answer.instanceId : 'unreachable'}`
    this.#effects.push({ id, to: 'entity', target, payload: answer as unknown as Json })
  }

  tellDirectory(
    environmentId: EnvironmentId,
    message: Extract<DirectoryMessage, { type: 'announce' | 'remove' | 'reachable' }>,
  ): void {
    this.#effects.push({
      id: `directory:${message.type}:${'digest' in message ? message.digest : ''}:${this.context.nowMs}`,
      to: 'entity',
      target: directoryKey(environmentId, null),
      payload: message as unknown as Json,
    })
  }

  done<Reply>(reply: Reply): Decision<HttpHostState, Reply> {
    const { host, requests } = this
    const isEmpty = host === null && requests.size === 0
    let dueAtMs = host?.nextCheckAtMs ?? Number.POSITIVE_INFINITY
    for (const { expiresAtMs } of requests.values()) dueAtMs = Math.min(dueAtMs, expiresAtMs)
    return {
      state: isEmpty ? null : { host, requests },
      put: this.#put,
      del: this.#del,
      effects: this.#effects,
      dropEffects: this.#dropEffects,
      signals: this.#signals,
      alarmAtMs: isEmpty ? null : dueAtMs,
      reply,
    }
  }
}

/** Checked at once when it is new, or has moved, or was not checked lately: all nodes say this when they start. */
function register(change: HttpHostChange, message: Extract<HttpHostMessage, { type: 'register' }>): void {
  const { host } = change
  const { nowMs } = change.context
  const { type: _type, isBeingChecked, ...registered } = message
  const nextCheckAtMs = isBeingChecked ? nowMs + limits.httpHostUnreachableCheckMs : nowMs
  if (host?.url === message.url && host.organizationId === message.organizationId) {
    const isOld = nowMs - host.checkedAtMs >= limits.httpHostUnreachableCheckMs
    if (isOld && host.nextCheckAtMs > nowMs) change.setHost({ ...host, nextCheckAtMs })
    return
  }
  const declared = host?.organizationId === message.organizationId ? host.declared : null
  change.setHost({
    ...registered,
    isReachable: host?.isReachable ?? false,
    checkedAtMs: host?.checkedAtMs ?? 0,
    nextCheckAtMs,
    declared,
  })
}

function remove(change: HttpHostChange): void {
  const { host } = change
  for (const requestId of [...change.requests.keys()]) giveUp(change, requestId, 'The HTTP host was removed.')
  if (!host) return
  leaveDirectory(change, host)
  change.dropHost()
}

function leaveDirectory(change: HttpHostChange, { id, declared }: HttpHostRecord): void {
  if (!declared) return
  change.tellDirectory(declared.environmentId, {
    type: 'remove',
    instanceId: listedAs(id),
    connectionId: registration(id),
  })
}

/** Stands where others have a connection: all that is said of an HTTP host in a directory comes in order. */
function registration(id: HttpHostId): ConnectionId {
  return id as string as ConnectionId
}

/** Its key says in which environment it serves; a key of another one moves it there. */
function declare(change: HttpHostChange, message: Extract<HttpHostMessage, { type: 'declare' }>): void {
  const { host } = change
  if (!host || host.organizationId !== message.organizationId)
    throw new AppError('not-found', 'There is no such HTTP host in this organization.')
  const { environmentId, digest, sdkName, sdkVersion } = message
  const declared: HttpHostDeclared = { environmentId, digest, sdkName, sdkVersion }
  const before = host.declared
  if (before?.environmentId !== environmentId) leaveDirectory(change, host)
  const isSame =
    host.isReachable &&
    before?.environmentId === environmentId &&
    before.digest === digest &&
    before.sdkName === sdkName &&
    before.sdkVersion === sdkVersion
  if (isSame) return
  change.setHost({ ...host, isReachable: true, declared })
  change.tellDirectory(environmentId, {
    type: 'announce',
    instanceId: listedAs(host.id),
    connectionId: registration(host.id),
    digest,
    definitions: message.definitions,
    sdkName,
    sdkVersion,
    isReachable: true,
  })
}

function checked(change: HttpHostChange, isReachable: boolean): void {
  const { host } = change
  if (!host) return
  const { nowMs } = change.context
  const nextMs = isReachable ? limits.httpHostCheckMs : limits.httpHostUnreachableCheckMs
  change.setHost({ ...host, isReachable, checkedAtMs: nowMs, nextCheckAtMs: nowMs + nextMs })
  if (host.isReachable === isReachable || !host.declared) return
  change.tellDirectory(host.declared.environmentId, {
    type: 'reachable',
    instanceId: listedAs(host.id),
    isReachable,
  })
}

function wake(change: HttpHostChange, message: Extract<HttpHostMessage, { type: 'wake' }>): void {
  const { host, requests } = change
  const { requestId, target, organizationId, environmentId } = message
  // Said again.
  if (requests.has(requestId)) return
  const isThere = host?.organizationId === organizationId
  if (!isThere || requests.size >= limits.httpHostRequestsMax) {
    const reason = isThere ? 'The HTTP host has too many requests.' : 'The HTTP host was removed.'
    change.tell(target, { type: 'host-unreachable', requestId, reason })
    return
  }
  const expiresAtMs = change.context.nowMs + limits.httpHostRequestMsMax
  change.putRequest({ requestId, target, organizationId, environmentId, expiresAtMs, claimedBy: null })
  change.askToRun(requestId, host)
}

/** Remembered for another life: the same instance may say it again, and no other one gets it. */
function claim(change: HttpHostChange, message: Extract<HttpHostMessage, { type: 'claim' }>): boolean {
  const { requestId, instanceId, organizationId, environmentId, sdkName, sdkVersion } = message
  const request = change.requests.get(requestId)
  if (!request || request.expiresAtMs <= change.context.nowMs) return false
  if (request.organizationId !== organizationId || request.environmentId !== environmentId) return false
  if (request.claimedBy !== null) return request.claimedBy === instanceId
  const expiresAtMs = change.context.nowMs + limits.httpHostRequestMsMax
  change.putRequest({ ...request, expiresAtMs, claimedBy: instanceId })
  change.settle(requestId)
  change.tell(request.target, { type: 'host-bound', requestId, instanceId, sdkName, sdkVersion })
  return true
}

/** Nobody will come for this request. One that was claimed is in good hands. */
function giveUp(change: HttpHostChange, requestId: string, reason: string): void {
  const request = change.requests.get(requestId)
  if (!request || request.claimedBy !== null) return
  change.settle(requestId)
  change.dropRequest(requestId)
  change.tell(request.target, { type: 'host-unreachable', requestId, reason })
}

function alarm(change: HttpHostChange, _message: AlarmMessage): void {
  const { nowMs } = change.context
  for (const { requestId, expiresAtMs, claimedBy } of [...change.requests.values()]) {
    if (expiresAtMs > nowMs) continue
    if (claimedBy !== null) change.dropRequest(requestId)
    else giveUp(change, requestId, 'The HTTP host did not connect in time.')
  }
  const { host } = change
  if (!host || host.nextCheckAtMs > nowMs) return
  // Should the check be lost, the next one is due as if it had failed.
  change.setHost({ ...host, nextCheckAtMs: nowMs + limits.httpHostUnreachableCheckMs })
  change.askToDeclare(host)
}
