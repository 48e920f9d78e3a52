/**
 * Which calls of one host instance are not settled yet, over all of its connections. Pure state, no socket.
 *
 * Calls that an SDK has made survive its reconnects: the promise waits for an answer with the old RPC id, on whatever
 * connection, for ever. So an answer is kept until its ACK came, and delivered again on the next connection; and an id
 * that was lost on the way (sent by the host, never received here) is answered `true`, since an `await ctx.log()` would
 * hang for good otherwise. Node and Python count their ids upwards in one counter per process, shared by all clients in
 * it: on a new connection whose first call has id n, everything above the highest id seen and below n either was lost
 * or belongs to another client of that process, and SDKs ignore answers to ids they do not know.
 *
 * INITIALIZE_HOST and BEGIN_HOST_SHUTDOWN are never answered `true`: their answers are objects. Ids that are not
 * decimal numbers switch the rule about lost ids off for the instance. After a crash of this process only the first id of
 * the previous connection is known; then at most `lostAfterCrashMax` ids below n are answered.
 */
import { limits } from '../limits.js'
import { PassingMap } from '../passing.js'

export interface HeldResponse {
  readonly rpcId: string
  readonly method: string
  readonly data: unknown
}

/** What is worth storing, so that a restarted process can settle what its predecessor left. */
export interface MailboxSnapshot {
  /** First RPC id of the newest connection; null before the first, or when ids are not numbers. */
  readonly lastFirstId: number | null
  /** Ids of INITIALIZE_HOST and BEGIN_HOST_SHUTDOWN calls, newest last. */
  readonly objectIds: readonly number[]
}

export interface Redelivery {
  /** Answers confirmed lately, oldest first: a socket had them, the SDK perhaps not. */
  readonly recent: readonly HeldResponse[]
  /** Kept answers, oldest first. */
  readonly responses: readonly HeldResponse[]
  /** Ids to be answered `true`, ascending. The host ignores the method name of an answer. */
  readonly lostIds: readonly string[]
}

export interface MailboxLimits {
  readonly responsesMax: number
  readonly responseBytesMax: number
}

/** Most ids that are answered `true` on one new connection. */
export const lostIdsMax = 2_048
const objectIdsMax = 256
/** Confirmed answers that are sent once more on the next connection. */
const recentMax = 256
const recentCharactersMax = 1_024
/** What a lost call is taken for; the host ignores the method name of an answer. */
export const lostMethod = 'SEND_LOG'

interface Held {
  readonly method: string
  /** Undefined while the answer is being computed. */
  response?: { readonly data: unknown; readonly bytes: number }
}

export class HostMailbox {
  readonly #limits: MailboxLimits
  /** Unsettled calls by RPC id, in order of arrival. */
  readonly #calls = new PassingMap<string, Held>()
  /**
   * The newest confirmed answers, oldest first. An ACK says that a socket of the SDK got them, not that the SDK did:
   * one that has just moved on to another socket acknowledges on the older and throws away. Sent twice they do no harm.
   */
  readonly #recent = new PassingMap<string, HeldResponse>()
  #responseBytes = 0
  #responseCount = 0
  #droppedCount = 0
  /** Highest id received; null before the first, and after a crash. */
  #highestId: number | null = null
  #lastFirstId: number | null
  #numeric = true
  readonly #objectIds: Set<number>

  constructor(
    snapshot: MailboxSnapshot = { lastFirstId: null, objectIds: [] },
    mailboxLimits?: MailboxLimits,
  ) {
    this.#lastFirstId = snapshot.lastFirstId
    this.#objectIds = new Set(snapshot.objectIds.slice(-objectIdsMax))
    this.#limits = mailboxLimits ?? {
      responsesMax: limits.heldResponsesPerHostMax,
      responseBytesMax: limits.heldResponsesBytesMax,
    }
  }

  /** Calls received whose answer was not confirmed. */
  get unsettledCount(): number {
    return this.#calls.size
  }

  /** UTF-16 units of JSON kept. */
  get responseBytes(): number {
    return this.#responseBytes
  }

  /** Answers given up because of the bounds; for a metric. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  snapshot(): MailboxSnapshot {
    return { lastFirstId: this.#lastFirstId, objectIds: [...this.#objectIds] }
  }

  /**
   * The first call of a new connection came, with this id; call it before `received`. Says what to send now. The kept
   * answers stay kept until they are confirmed.
   */
  connected(firstRpcId: string): Redelivery {
    const firstId = decimal(firstRpcId)
    if (firstId === null) this.#numeric = false
    const lostIds = firstId === null || !this.#numeric ? [] : this.#lostBelow(firstId)
    this.#lastFirstId = this.#numeric ? firstId : null
    const responses: HeldResponse[] = []
    for (const [rpcId, { method, response }] of this.#calls) {
      if (response !== undefined) responses.push({ rpcId, method, data: response.data })
    }
    // Until they are confirmed they are owed like any other answer: this connection may be gone before the next frame.
    for (const rpcId of lostIds) {
      this.#calls.set(rpcId, { method: lostMethod })
      this.computed(rpcId, true)
    }
    return { recent: [...this.#recent.values()], responses, lostIds }
  }

  /** Answers that may not have reached the SDK: to be sent when it turns out to use another socket. */
  owed(): HeldResponse[] {
    const responses: HeldResponse[] = [...this.#recent.values()]
    for (const [rpcId, { method, response }] of this.#calls)
      if (response !== undefined) responses.push({ rpcId, method, data: response.data })
    return responses
  }

  /** A call came. */
  received(rpcId: string, method: string): void {
    const id = decimal(rpcId)
    if (id === null) this.#numeric = false
    else {
      if (this.#highestId === null || id > this.#highestId) this.#highestId = id
      if (answersObject(method)) this.#rememberObjectId(id)
    }
    // A process that was started anew under the old instance id counts from 1 again.
    this.confirmed(rpcId)
    this.#recent.delete(rpcId)
    this.#calls.set(rpcId, { method })
    this.#boundCalls()
  }

  /** The answer is known (and may have been sent). A refused initialisation is not kept for the next connection. */
  computed(rpcId: string, data: unknown): void {
    const held = this.#calls.get(rpcId)
    if (held === undefined || held.response !== undefined) return
    if (held.method === 'INITIALIZE_HOST' && !isSuccess(data)) {
      this.#calls.delete(rpcId)
      return
    }
    const bytes = typeof data === 'boolean' ? 5 : (JSON.stringify(data ?? null)?.length ?? 0)
    held.response = { data, bytes }
    this.#responseBytes += bytes
    this.#responseCount++
    this.#boundResponses()
  }

  /** The host has acknowledged the answer, or the call will never be answered. */
  confirmed(rpcId: string): void {
    const held = this.#calls.get(rpcId)
    if (held === undefined) return
    this.#calls.delete(rpcId)
    if (held.response === undefined) return
    this.#responseBytes -= held.response.bytes
    this.#responseCount--
    if (held.response.bytes > recentCharactersMax) return
    this.#recent.set(rpcId, { rpcId, method: held.method, data: held.response.data })
    if (this.#recent.size > recentMax) {
      for (const oldest of this.#recent.keys()) {
        this.#recent.delete(oldest)
        break
      }
    }
  }

  #lostBelow(firstId: number): string[] {
    // Every id of ours up to the highest was received: connections are ordered, and so are they among themselves.
    const known = this.#highestId ?? this.#lastFirstId
    if (known === null) return []
    const lost: string[] = []
    for (let id = Math.max(known + 1, firstId - lostIdsMax); id < firstId; id++) {
      if (!this.#objectIds.has(id)) lost.push(String(id))
    }
    return lost
  }

  #rememberObjectId(id: number): void {
    this.#objectIds.add(id)
    if (this.#objectIds.size <= objectIdsMax) return
    for (const oldest of this.#objectIds) {
      this.#objectIds.delete(oldest)
      return
    }
  }

  /** The oldest answers go first: the host has most likely had them. */
  #boundResponses(): void {
    for (const [rpcId, held] of this.#calls) {
      const withinBytes = this.#responseBytes <= this.#limits.responseBytesMax
      if (withinBytes && this.#responseCount <= this.#limits.responsesMax) return
      if (held.response === undefined) continue
      this.confirmed(rpcId)
      this.#droppedCount++
    }
  }

  /** Calls being computed are bounded by the RPC; twice the bound here only guards against a caller that forgets. */
  #boundCalls(): void {
    if (this.#calls.size <= this.#limits.responsesMax + limits.hostCallsRunningMax) return
    for (const rpcId of this.#calls.keys()) {
      this.confirmed(rpcId)
      this.#droppedCount++
      return
    }
  }
}

function answersObject(method: string): boolean {
  return method === 'INITIALIZE_HOST' || method === 'BEGIN_HOST_SHUTDOWN'
}

function isSuccess(data: unknown): boolean {
  return typeof data === 'object' && data !== null && 'type' in data && data.type === 'success'
}

/** A positive decimal counter within the safe range, or null. */
function decimal(rpcId: string): number | null {
  return /^[1-9][0-9]{0,14}$/.test(rpcId) ? Number(rpcId) : null
}
