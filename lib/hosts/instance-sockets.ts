/**
 * The sockets of each instance: the one that its SDK uses, and older ones that are neither read nor closed.
 *
 * SDKs answer a close by connecting once more, and a slow network leaves them with several sockets, each of whose closes
 * makes another one: without an end. So at most one duplicate a minute is closed; others are parked, and whichever of
 * them the SDK speaks on is its own. From 2.0.0 on, older ones are closed when the newest has declared itself: an SDK of
 * those that sees a close while it is connected elsewhere takes itself for reconnecting, and never does so again, until
 * a declaration is answered.
 *
 * Invariant: an instance has one current socket at most. What can go wrong: the SDK goes on with another one than this
 * believes. Then it says something there, or ends the current one.
 */
import type { EntityKey, InstanceId } from '../ids.js'
import type { Clock } from '../partitions/index.js'
import { until } from '../pause.js'
import { placeOf } from './admissions.js'
import type { HostConnection } from './host-connection.js'

/** A socket of an instance was declared. */
export interface Declared {
  readonly place: EntityKey
  /** Number of the call that declared it. */
  readonly rpcId: number
}

/** How soon a second duplicate means that closing duplicates makes more of them, in ms. */
const fenceAgainMs = 60_000
/** How long a close of an older connection is waited for, in ms. */
export const closeMsMax = 1_000
/** How long a host may take to answer the close of an older socket, in ms: longer than there and back to the slowest. */
export const closedMsMax = 2_000
const parkedMax = 8
const replacedReason = 'A new connection was established for this instance id.'

export class InstanceSockets {
  readonly #clock: Clock
  readonly #current = new Map<InstanceId, HostConnection>()
  readonly #parked = new Map<InstanceId, HostConnection[]>()
  /** Connections that were told, or are about to be told, that their key was accepted. */
  readonly #admitted = new WeakSet<HostConnection>()
  readonly #fencedAtMs = new Map<InstanceId, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The socket that the SDK of an instance uses, as far as known. */
  current(instanceId: InstanceId): HostConnection | undefined {
    return this.#current.get(instanceId)
  }

  /** The current socket of every instance. */
  all(): Iterable<HostConnection> {
    return this.#current.values()
  }

  /** Instances that have a current socket. */
  get count(): number {
    return this.#current.size
  }

  isAdmitted(connection: HostConnection): boolean {
    return this.#admitted.has(connection)
  }

  /** Makes a new socket the current one. `admit` is called when it may be told so; never when another has come by then. */
  take(connection: HostConnection, admit: () => void): void {
    const older = this.#current.get(connection.instanceId)
    this.#current.set(connection.instanceId, connection)
    const admitNow = (): void => {
      if (connection.isParked || connection.isClosed) return
      this.#admitted.add(connection)
      admit()
    }
    if (older) this.#fence(older, admitNow)
    else admitNow()
  }

  /**
   * Takes the floor from an older socket, then lets the newer one in: one that is closed is closed with 1008 before that,
   * since an SDK that sees a close while it is connected elsewhere never reconnects again (2.0.0). One that was not let
   * in yet is always closed: an SDK that waits in vain for `authenticated` takes itself for disconnected after 15 s,
   * wherever it is connected by then, and does not reconnect when that connection ends (1.4.0).
   */
  #fence(older: HostConnection, admit: () => void): void {
    const { instanceId } = older
    const nowMs = this.#clock.nowMs()
    const fencedAtMs = this.#fencedAtMs.get(instanceId)
    this.#fencedAtMs.set(instanceId, nowMs)
    const isNotToBeClosed =
      older.sdk?.fencedAtDeclaration || (fencedAtMs !== undefined && nowMs - fencedAtMs < fenceAgainMs)
    if (this.#admitted.has(older) && isNotToBeClosed) {
      this.#keep(older)
      admit()
      return
    }
    older.close(1008, replacedReason)
    void until(this.#clock, () => older.isClosed, closeMsMax).then(admit)
  }

  /** Sets a socket aside: it is neither read nor closed, and not the current one any more. */
  park(connection: HostConnection): void {
    const { instanceId } = connection
    if (this.#current.get(instanceId) === connection) this.#current.delete(instanceId)
    this.#keep(connection)
  }

  #keep(connection: HostConnection): void {
    const { instanceId } = connection
    connection.park()
    const parked = this.#parked.get(instanceId) ?? []
    parked.push(connection)
    if (parked.length > parkedMax) parked.shift()?.close(1008, 'Too many connections of one instance.')
    this.#parked.set(instanceId, parked)
  }

  /** Makes a parked socket the current one. */
  unpark(connection: HostConnection): void {
    connection.unpark()
    this.#forget(connection)
    this.#current.set(connection.instanceId, connection)
  }

  /** Closes parked sockets that are older than the one declared. Resolves when they are closed, or after `closedMsMax`. */
  async closeParked(instanceId: InstanceId, declared: Declared): Promise<void> {
    const older = (this.#parked.get(instanceId) ?? []).filter(connection => isOlder(connection, declared))
    for (const connection of older) {
      this.#forget(connection)
      connection.close(1008, replacedReason)
    }
    await until(this.#clock, () => older.every(connection => connection.isClosed), closedMsMax)
  }

  /**
   * A socket has closed. Returns `other` when it was not the current one; else the parked one that is current from now
   * on, or `none`: then the instance has no socket any more.
   */
  closed(connection: HostConnection): HostConnection | 'none' | 'other' {
    const { instanceId } = connection
    if (this.#current.get(instanceId) !== connection) {
      this.#forget(connection)
      return 'other'
    }
    this.#current.delete(instanceId)
    const parked = this.#parked.get(instanceId) ?? []
    // It may have broken before the SDK knew that it was let in, which then takes no notice of its end (2.0.0).
    const before = connection.firstRpcId === null ? parked.findLast(other => !other.isClosed) : undefined
    if (before?.sdk?.fencedAtDeclaration) {
      this.unpark(before)
      return before
    }
    // The SDK is about to reconnect and takes no notice of these any more.
    for (const other of parked) other.close(1008, 'Replaced.')
    this.#parked.delete(instanceId)
    return 'none'
  }

  #forget(connection: HostConnection): void {
    const { instanceId } = connection
    const left = (this.#parked.get(instanceId) ?? []).filter(other => other !== connection)
    if (left.length > 0) this.#parked.set(instanceId, left)
    else this.#parked.delete(instanceId)
  }

  /** Forgets closes that are so long ago that the next duplicate may be closed again. */
  forgetFences(): void {
    const beforeMs = this.#clock.nowMs() - fenceAgainMs
    for (const [instanceId, atMs] of this.#fencedAtMs)
      if (atMs < beforeMs) this.#fencedAtMs.delete(instanceId)
  }
}

/** Declared before, and silent since. */
export function isOlder(connection: HostConnection, { place, rpcId }: Declared): boolean {
  const { firstRpcId, identity, newestRpcId } = connection
  return firstRpcId !== null && newestRpcId < rpcId && placeOf(identity) === place
}
