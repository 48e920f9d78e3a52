/**
 * The hosts connected to this node: their sockets, their unconfirmed answers, and the calls that must reach them.
 *
 * One instance has one connection: the newest. What an older socket still says is no longer listened to. Answers a
 * host has not confirmed are kept beyond its connection and sent on the next one, because the promises in its process
 * outlive its sockets.
 */
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { HostIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type ApiKeyId, type ConnectionId, type EntityKey, type InstanceId, newId } from '../ids.js'
import { inTurn } from '../in-turn.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock, Effect, EntityRuntime, Json, Signal, Timer } from '../partitions/index.js'
import { pause, until } from '../pause.js'
import {
  HostMailbox,
  type HostMethodInputs,
  type HostMethodReturns,
  type IncomingCall,
  lostMethod,
  type RpcProblem,
  type RpcResponse,
  returnsBoolean,
} from '../sdk/index.js'
import type { HostCall, HostDelivery, HostReply } from '../transactions/index.js'
import { Admissions, placeOf } from './admissions.js'
import { Confirmations, type Confirmed } from './confirmations.js'
import type { Directories } from './directories.js'
import { held } from './held.js'
import { type HostAttached, hostKey } from './host.js'
import { HostCalls, type HostCallsOptions, numeric } from './host-calls.js'
import { HostConnection } from './host-connection.js'
import { closedMsMax, closeMsMax, type Declared, InstanceSockets, isOlder } from './instance-sockets.js'

export interface HostsOptions extends HostCallsOptions {
  readonly directories: () => Directories
  /** A host used an instance id of another organization. */
  foreignInstance(instanceId: InstanceId, identity: HostIdentity): void
  readonly runtime: EntityRuntime
  readonly clock: Clock
  readonly log: Log
}

export type PresenceHandler = (instanceId: InstanceId, connected: boolean) => void

interface Mailbox {
  readonly state: HostMailbox
  /** Set while no connection is open: then it is forgotten. */
  forget: Timer | null
}

const socketPrefix = 'host:'

/** What the socket of an instance is announced as. */
function socketOf(instanceId: string): string {
  return `${socketPrefix}${instanceId}`
}

function instanceOf(socket: string): InstanceId {
  return socket.slice(socketPrefix.length) as InstanceId
}

/** What is announced of a socket: how far its SDK has counted, and the directory that lists it. */
function aboutFrom(about: string): { newestRpcId: number; directory: string } {
  const end = about.indexOf(' ')
  return { newestRpcId: Number(about.slice(0, end)), directory: about.slice(end + 1) }
}

interface Call {
  readonly method: 'OPEN_PAGE'
  readonly data: HostMethodInputs<'OPEN_PAGE'>
}

/** How long a newer socket waits for the one before it to declare itself, in ms. */
const declaredMsMax = 900
/** How long answers to lost calls may take to be confirmed before a declaration is answered, in ms. */
const lostConfirmedMsMax = 1_000

/** A draining host is closed, answered or not, after twice this. */
const answeredMsMax = 1_500
/** Mailboxes of hosts that are away. */
const awayMailboxesMax = 10_000

export class Hosts {
  readonly #options: HostsOptions
  readonly #calls: HostCalls
  readonly #confirmations: Confirmations
  readonly #sockets: InstanceSockets
  readonly #mailboxes = new Map<InstanceId, Mailbox>()
  readonly #initializing = new WeakMap<HostConnection, Promise<unknown>>()
  /** Id of the INITIALIZE_HOST whose answer makes the connection ready once the host has confirmed it. */
  readonly #readyAt = new WeakMap<HostConnection, string>()
  readonly #ready = new WeakSet<HostConnection>()
  /** The host has the answer to its declaration on these. */
  readonly #introduced = new WeakSet<HostConnection>()
  /** Connections that were sent what earlier ones owed: from then on each answer goes to them as it is made. */
  readonly #settled = new WeakSet<HostConnection>()
  readonly #presence = new Set<PresenceHandler>()
  readonly #admissions: Admissions
  #heartbeat: Timer | null = null
  #draining = false

  constructor(options: HostsOptions) {
    this.#options = options
    this.#sockets = new InstanceSockets(options.clock)
    this.#confirmations = new Confirmations(options.clock, confirmed => this.#tellConfirmed(confirmed))
    this.#calls = new HostCalls(options, this.#confirmations, (connection, deliveries) => {
      for (const delivery of deliveries) this.#write(connection, delivery)
    })
    const { runtime } = options
    this.#admissions = new Admissions({
      runtime,
      isConnected: instanceId => this.isConnected(instanceId),
      declared: (instanceId, place) => this.#declared(instanceId, place),
    })
    const reach = (signal: Signal) => ({ socket: socketOf(signal.target) })
    const dispatch = (effect: Effect, key: EntityKey) => this.#dispatch(effect, key)
    runtime.onEffect('host', { dispatch }, effect => socketOf(effect.target))
    runtime.onSignal('host', (signal, key) => this.#deliver(signal, key), reach)
    runtime.onSignal('host-probe', signal => this.#probe(signal), reach)
    runtime.onAsk('host-call', (name, body) =>
      this.#calledFromElsewhere(instanceOf(name), body as unknown as Call),
    )
    runtime.onAsk('host-declared', async (name, body) => {
      await this.#declaredElsewhere(name as InstanceId, body as unknown as Declared)
      return null
    })
    runtime.onMissed('host', concerns => {
      for (const connection of this.#sockets.all())
        this.#askForAllMissed(connection, key => concerns(key, connection.instanceId))
    })
    runtime.locations.onChange((name, connected, directory) => {
      if (name.startsWith(socketPrefix))
        this.#presenceChanged(instanceOf(name), connected, aboutFrom(directory).directory)
    })
    runtime.locations.onTaken((name, about) => {
      if (name.startsWith(socketPrefix)) this.#taken(instanceOf(name), about)
    })
    this.#beat()
  }

  /** Hosts that are connected and initialised. */
  get count(): number {
    return this.#sockets.count
  }

  /** True when it is connected and initialised, on whichever node. */
  isConnected(instanceId: InstanceId): boolean {
    return this.#options.runtime.locations.isPresent(socketOf(instanceId))
  }

  /** Runs the handler whenever a host becomes reachable or unreachable, on whichever node. */
  onPresence(handler: PresenceHandler): void {
    this.#presence.add(handler)
  }

  /** Keys of all open sockets, to be asked whether they are revoked. */
  openKeys(): ApiKeyId[] {
    return [...new Set([...this.#sockets.all()].map(connection => connection.identity.apiKeyId))]
  }

  closeRevoked(keys: readonly ApiKeyId[]): void {
    for (const connection of this.#sockets.all()) {
      if (keys.includes(connection.identity.apiKeyId)) connection.close(1008, 'This API key was revoked.')
    }
  }

  /** Resolves when a host may be let in; see `Admissions`. */
  prepare(instanceId: InstanceId, identity: HostIdentity): Promise<void> {
    return this.#admissions.prepare(instanceId, identity)
  }

  /** Takes a socket whose key was accepted. It is the only one of its instance from now on. */
  accept(socket: WebSocket, stream: Duplex, instanceId: InstanceId, identity: HostIdentity): void {
    const older = this.#sockets.current(instanceId)
    if (older && !isSamePlace(older.identity, identity)) {
      socket.on('error', () => socket.terminate())
      socket.close(1008, 'This instance id belongs to somebody else.')
      this.#options.clock.setTimer(closeMsMax, () => socket.terminate())
      this.#options.foreignInstance(instanceId, identity)
      return
    }
    const connection = new HostConnection(socket, stream, {
      id: newId<ConnectionId>(),
      instanceId,
      identity,
      clock: this.#options.clock,
      events: {
        called: (caller, call) => this.#called(caller, call),
        responseAcked: (caller, rpcId) => this.#responseAcked(caller, rpcId),
        responseUnsent: (caller, response) => this.#responseUnsent(caller, response),
        problem: (caller, problem) => this.#problem(caller, problem),
        spoke: caller => this.#spoke(caller),
        closed: caller => this.#closed(caller),
      },
    })
    const mailbox = this.#mailboxes.get(instanceId)
    mailbox?.forget?.cancel()
    if (mailbox) mailbox.forget = null
    this.#sockets.take(connection, () => this.#admit(connection))
  }

  /** Says that the key was accepted. Whether the host confirms that is seen by what it says next. */
  #admit(connection: HostConnection): void {
    connection.rpc.sendAuthenticated().catch((error: unknown) => {
      this.#options.log.debug('host.not-confirmed', { instance: connection.instanceId, error })
    })
  }

  /** Resolves when no socket of the instance here is let in and undeclared, or after `declaredMsMax`. */
  async #declared(instanceId: InstanceId, place: EntityKey): Promise<void> {
    const connection = this.#sockets.current(instanceId)
    if (!connection || placeOf(connection.identity) !== place || !this.#sockets.isAdmitted(connection)) return
    await until(
      this.#options.clock,
      () => connection.isClosed || this.#readyAt.has(connection),
      declaredMsMax,
    )
  }

  /**
   * Closes all older sockets of an instance, here and elsewhere, before the declaration of its newest is answered. An SDK
   * that sees a close while it is connected takes itself for reconnecting, and would never do so again (2.0.0): that
   * answer puts it right. Its pings end with the older socket, though: that a network dropped it silently is then noticed
   * when it has something to say.
   */
  async #closeOlder({ identity, instanceId }: HostConnection, declaration: IncomingCall): Promise<void> {
    const declared = { place: placeOf(identity), rpcId: numeric(declaration.rpcId) ?? 0 }
    const body = declared as unknown as Json
    await Promise.all([
      this.#sockets.closeParked(instanceId, declared),
      this.#options.runtime.askOthers('host-declared', instanceId, body, closedMsMax + 500),
    ])
  }

  async #declaredElsewhere(instanceId: InstanceId, declared: Declared): Promise<void> {
    const connection = this.#sockets.current(instanceId)
    if (connection && isOlder(connection, declared)) this.#leftBehind(instanceId)
    await this.#sockets.closeParked(instanceId, declared)
  }

  /**
   * An SDK calls on a parked socket: that is the one it uses, unless it has called on another one since. Frames of two
   * sockets may overtake each other, but the SDK counts its calls over all of them.
   */
  #spoke(connection: HostConnection): void {
    const { instanceId } = connection
    const current = this.#sockets.current(instanceId)
    if (current === connection || (current && current.newestRpcId > connection.newestRpcId)) return
    this.#sockets.unpark(connection)
    if (current) this.#sockets.park(current)
    for (const run of current?.runs ?? []) connection.speaksOf(run)
    // What was written to the other socket since was acknowledged there and thrown away.
    if (this.#settled.has(connection))
      for (const { rpcId, method, data } of this.#mailboxes.get(instanceId)?.state.owed() ?? [])
        void connection.rpc.sendResponse(rpcId, method, data)
    if (!this.#ready.has(connection)) {
      if (this.#introduced.has(connection)) this.#becomeReady(connection)
      return
    }
    this.#announce(connection)
    this.#askForAllMissed(connection)
  }

  /** The SDK goes on with a connection that was parked for one that is gone. */
  #takenBack(connection: HostConnection): void {
    if (!this.#ready.has(connection)) return
    this.#announce(connection)
    this.#askForAllMissed(connection)
  }

  /** Calls a connected host, wherever it is. Rejects with `host-not-found` when it is connected nowhere. */
  async call<Method extends 'OPEN_PAGE'>(
    instanceId: InstanceId,
    method: Method,
    data: HostMethodInputs<Method>,
  ): Promise<HostMethodReturns<Method>> {
    const call = { method, data } as unknown as Json
    const deadlineMs = limits.hostCallMsMax + 1_000
    const answer = await this.#options.runtime.ask('host-call', socketOf(instanceId), call, deadlineMs)
    return answer as unknown as HostMethodReturns<Method>
  }

  async #calledFromElsewhere(instanceId: InstanceId, { method, data }: Call): Promise<Json> {
    const connection = this.#sockets.current(instanceId)
    if (!connection || !this.#ready.has(connection)) throw new AppError('host-not-found')
    return (await connection.rpc.call(method, data).result) as unknown as Json
  }

  #presenceChanged(instanceId: InstanceId, connected: boolean, directory: string): void {
    if (directory !== '') this.#options.directories().presenceChanged(directory as EntityKey)
    for (const handler of this.#presence) handler(instanceId, connected)
  }

  /**
   * The instance has a socket at another node, too. The newer is the one on which the SDK has called last; it counts its
   * calls over all its sockets.
   */
  #taken(instanceId: InstanceId, about: string): void {
    const connection = this.#sockets.current(instanceId)
    // One that is still to be let in becomes the newest by that.
    if (!connection || !this.#sockets.isAdmitted(connection)) return
    if (connection.newestRpcId <= aboutFrom(about).newestRpcId) {
      this.#leftBehind(instanceId)
      return
    }
    // Else it is about to be, and says so then.
    if (!this.#ready.has(connection)) return
    this.#announce(connection)
    this.#askForAllMissed(connection)
  }

  /**
   * The instance has connected to another node. What it still says here counts, but it is not spoken to here any more.
   * It is not closed: see `InstanceSockets`.
   */
  #leftBehind(instanceId: InstanceId): void {
    const connection = this.#sockets.current(instanceId)
    if (!connection) return
    this.#sockets.park(connection)
    this.#keepMailbox(instanceId)
    this.#options.runtime.locations.withdraw(socketOf(instanceId))
  }

  /**
   * Tells hosts to connect again, one after another over `spreadMs`, each when it has been answered what it asked.
   * Resolves when all have been told.
   */
  async drain(spreadMs: number): Promise<void> {
    this.#draining = true
    this.#heartbeat?.cancel()
    await this.disconnect(spreadMs)
  }

  /** Closes all sockets, as `drain` does: hosts come back after their retry interval. */
  async disconnect(spreadMs = 0): Promise<void> {
    const { clock } = this.#options
    await inTurn([...this.#sockets.all()], spreadMs, clock, async connection => {
      // An SDK that is dropped before it is introduced never comes back.
      await until(clock, () => connection.isClosed || this.#ready.has(connection), answeredMsMax)
      connection.pause()
      await until(clock, () => connection.isClosed || connection.rpc.runningCount === 0, answeredMsMax)
      connection.close(1012, 'Closing briefly for a planned restart.')
      connection.resume()
    })
  }

  /**
   * Calls wait until the host is initialised: an action that goes on while its SDK reconnects may speak before the SDK
   * has introduced itself.
   */
  async #called(connection: HostConnection, call: IncomingCall): Promise<unknown> {
    const { instanceId } = connection
    if (call.method === 'INITIALIZE_HOST') {
      const isFirst = !this.#initializing.has(connection)
      const known = this.#mailboxes.get(instanceId)?.state
      const redelivery = isFirst && known ? known.connected(connection.firstRpcId ?? call.rpcId) : null
      known?.received(call.rpcId, call.method)
      const answer = await this.#initialize(connection, call, redelivery)
      this.#mailboxes.get(instanceId)?.state.computed(call.rpcId, answer)
      return answer
    }
    // An SDK may call before it has declared itself on a new connection: an action goes on while it reconnects.
    await connection.whenInitialized
    await this.#initializing.get(connection)
    const mailbox = this.#mailboxes.get(instanceId)?.state
    mailbox?.received(call.rpcId, call.method)
    const answer = await this.#calls.handle(connection, call).catch((error: unknown) => {
      if (!returnsBoolean(call.method)) throw error
      // This connection has long been gone. On the one that the host has now it is like a call that never arrived.
      this.#options.log.warn('host.call-given-up', { method: call.method, error })
      return true
    })
    mailbox?.computed(call.rpcId, answer)
    const current = this.#sockets.current(instanceId)
    // The SDK has moved on to another socket, and hears only there. Heard twice, it does no harm.
    if (current && current !== connection && this.#settled.has(current))
      void current.rpc.sendResponse(call.rpcId, call.method, answer)
    return answer
  }

  /** Declarations of one connection are applied one after another. */
  #initialize(
    connection: HostConnection,
    call: IncomingCall & { method: 'INITIALIZE_HOST' },
    redelivery: ReturnType<HostMailbox['connected']> | null,
  ): Promise<unknown> {
    const before = this.#initializing.get(connection)
    const isFirst = before === undefined
    const firstRpcId = isFirst ? numeric(connection.firstRpcId ?? call.rpcId) : null
    const after = (before ?? Promise.resolve())
      .then(() => this.#calls.initialize(connection, call, firstRpcId))
      .then(async ({ answer, attached }) => {
        if (isFirst) await this.#settle(connection, call, attached, redelivery)
        if (attached.previousFirstRpcId !== null && connection.sdk?.fencedAtDeclaration)
          await this.#closeOlder(connection, call)
        this.#readyAt.set(connection, call.rpcId)
        return answer
      })
      .catch((error: unknown) => {
        // A refused initialisation would leave the SDK half dead; a closed socket makes it try again.
        const message = error instanceof AppError ? error.message : 'The host could not be registered.'
        if (error instanceof AppError && error.code === 'forbidden')
          this.#options.foreignInstance(connection.instanceId, connection.identity)
        connection.close(1008, message)
        throw error
      })
    this.#initializing.set(
      connection,
      after.catch(() => undefined),
    )
    connection.beginInitialization()
    return after
  }

  /**
   * Sends what earlier connections of this instance still owe it.
   *
   * Among the lost calls may be the declaration of a connection that broke before anybody heard it. Answered `true`, its
   * promise rejects, upon which an SDK takes itself for disconnected (1.4.0) and would not reconnect next time. The
   * answer to the declaration of this connection puts that right if it comes later: so this resolves when the host has
   * confirmed the answers to lost calls.
   */
  async #settle(
    connection: HostConnection,
    call: IncomingCall,
    attached: HostAttached,
    redelivery: ReturnType<HostMailbox['connected']> | null,
  ): Promise<void> {
    let owed = redelivery
    let mailbox = this.#mailboxes.get(connection.instanceId)
    if (!mailbox) {
      const state = new HostMailbox({
        lastFirstId: attached.previousFirstRpcId,
        objectIds: attached.unsettledByTrue,
      })
      mailbox = { state, forget: null }
      this.#mailboxes.set(connection.instanceId, mailbox)
    }
    if (owed === null) {
      // There was none when the call came. It may have been made meanwhile, for a connection that is gone again.
      owed = mailbox.state.connected(connection.firstRpcId ?? call.rpcId)
      mailbox.state.received(call.rpcId, call.method)
    }
    const answers = new Map(
      // Also what was answered since that call came, on a socket that the SDK had left for this one by then.
      [...owed.recent, ...owed.responses, ...mailbox.state.owed()].map(answer => [answer.rpcId, answer]),
    )
    answers.delete(call.rpcId)
    let confirmed: Promise<void> | null = null
    for (const { rpcId, method, data } of answers.values()) {
      const sent = connection.rpc.sendResponse(rpcId, method, data)
      // What was lost and answered on a connection before this one.
      if (method === lostMethod) confirmed = sent
    }
    for (const rpcId of owed.lostIds)
      if (!answers.has(rpcId)) confirmed = connection.rpc.sendResponse(rpcId, lostMethod, true)
    this.#settled.add(connection)
    if (!confirmed) return
    const late = pause(this.#options.clock, lostConfirmedMsMax)
    await Promise.race([confirmed, late])
  }

  #responseAcked(connection: HostConnection, rpcId: string): void {
    this.#mailboxes.get(connection.instanceId)?.state.confirmed(rpcId)
    if (this.#readyAt.get(connection) !== rpcId) return
    this.#introduced.add(connection)
    this.#becomeReady(connection)
  }

  /**
   * The host has read the answer to its initialisation. Not before: an SDK drops a start that arrives in the same
   * breath as that answer.
   */
  #becomeReady(connection: HostConnection): void {
    if (this.#ready.has(connection) || this.#sockets.current(connection.instanceId) !== connection) return
    this.#ready.add(connection)
    this.#announce(connection)
    this.#askForAllMissed(connection)
    this.#options.runtime.redispatch('host', connection.instanceId)
  }

  /** An answer that was too late for its connection goes to the next one, if that is there already. */
  #responseUnsent(connection: HostConnection, response: RpcResponse): void {
    const newer = this.#sockets.current(connection.instanceId)
    if (!newer || newer === connection || !this.#initializing.has(newer)) return
    if (response.method === 'INITIALIZE_HOST') return
    void newer.rpc.sendResponse(response.rpcId, response.method, response.data)
  }

  #problem(connection: HostConnection, problem: RpcProblem): void {
    this.#options.log.warn('host.problem', {
      instance: connection.instanceId,
      kind: problem.kind,
      method: problem.method,
      error: problem.error instanceof AppError ? problem.error.message : problem.error,
    })
    if (problem.kind === 'handler-failed')
      this.#mailboxes.get(connection.instanceId)?.state.confirmed(problem.rpcId)
  }

  #closed(connection: HostConnection): void {
    const { instanceId } = connection
    const next = this.#sockets.closed(connection)
    if (next === 'other') return
    if (next !== 'none') {
      this.#takenBack(next)
      return
    }
    this.#keepMailbox(instanceId)
    if (connection.directory === null) return
    const detach = { type: 'detach', connectionId: connection.id }
    this.#options.runtime.send(hostKey(instanceId), detach).catch((error: unknown) => {
      // The entity asks by itself later.
      this.#options.log.debug('host.detach-failed', { instance: instanceId, error })
    })
    if (this.#ready.has(connection)) this.#options.runtime.locations.withdraw(socketOf(instanceId))
  }

  #announce(connection: HostConnection): void {
    const { directory, instanceId, newestRpcId } = connection
    this.#options.runtime.locations.announce(socketOf(instanceId), `${newestRpcId} ${directory ?? ''}`)
  }

  #keepMailbox(instanceId: InstanceId): void {
    const mailbox = this.#mailboxes.get(instanceId)
    if (!mailbox) return
    if (this.#mailboxes.size - this.#sockets.count > awayMailboxesMax) {
      this.#mailboxes.delete(instanceId)
      return
    }
    mailbox.forget = this.#options.clock.setTimer(limits.hostGraceMs, () =>
      this.#mailboxes.delete(instanceId),
    )
  }

  /** Confirmed by the host's ACK: from then on it is in the host's hands. */
  async #dispatch(effect: Effect, key: EntityKey): Promise<void> {
    const instanceId = effect.target as InstanceId
    const connection = this.#sockets.current(instanceId)
    if (!connection || !this.#ready.has(connection)) {
      if (await this.#isLost(instanceId)) return
      throw new AppError('host-not-found')
    }
    const call = effect.payload as unknown as HostCall
    if (connection.sdk && !connection.sdk.supports(call.method)) return
    // The entity made the data for this method; see HostCall.
    const write = () => connection.rpc.call(call.method, call.data as never)
    if (call.method === 'START_TRANSACTION' && connection.sdk?.startsTwice) {
      // First, so that what is noted as written really is.
      await connection.paced(() => undefined)
      const reply = await this.#options.runtime.send<HostReply>(key, { type: 'start-written', instanceId })
      if (reply.accepted) await write().acked
      return
    }
    const { acked, result } = await connection.paced(write)
    if (call.method === 'OPEN_PAGE') this.#pageOpened(key, instanceId, result)
    await acked
  }

  /** A page that a host was woken for learns when the host could not open it. */
  #pageOpened(key: EntityKey, instanceId: InstanceId, result: Promise<unknown>): void {
    const failed = (reason: string) =>
      this.#options.runtime.send(key, { type: 'open-failed', instanceId, reason })
    result
      .then(async answer => {
        const { type, message } = answer as HostMethodReturns<'OPEN_PAGE'> & { message?: string }
        if (type === 'ERROR') await failed(message ?? 'The host could not open this page.')
      })
      .catch((error: unknown) => this.#options.log.debug('page.not-opened', { key, error }))
  }

  /** A host that is lost will never be told; nobody has to wait for that. */
  async #isLost(instanceId: InstanceId): Promise<boolean> {
    const reply = await this.#options.runtime.send<{ lost?: boolean }>(hostKey(instanceId), { type: 'ask' })
    return reply.lost === true
  }

  #deliver(signal: Signal, key: EntityKey): void {
    const connection = this.#sockets.current(signal.target as InstanceId)
    if (!connection || !this.#ready.has(connection)) return
    this.#write(connection, signal.payload as HostDelivery, key.startsWith('transaction:'))
  }

  #askForAllMissed(connection: HostConnection, concerns: (key: EntityKey) => boolean = () => true): void {
    for (const id of connection.runs)
      if (concerns(`transaction:${id}`)) void this.#askForMissed(connection, id)
  }

  /** Asks for the answers that this node may have missed, until it is told or the host is gone. */
  async #askForMissed(connection: HostConnection, transactionId: string): Promise<void> {
    const { instanceId } = connection
    const message = { type: 'host-missed', instanceId }
    const isOver = () => connection.isClosed || this.#sockets.current(instanceId) !== connection
    try {
      const reply = await held(this.#options.clock, isOver, () =>
        this.#options.runtime.send<HostReply>(`transaction:${transactionId}`, message),
      )
      if (!reply.accepted || isOver()) return
      for (const delivery of reply.deliveries ?? []) this.#write(connection, delivery)
    } catch (error) {
      this.#options.log.debug('deliveries.not-asked', { transaction: transactionId, error })
    }
  }

  /** Writes an answer to the host, once per connection; that it was confirmed is told to transactions. */
  #write(
    connection: HostConnection,
    { deliveryId, transactionId, value }: HostDelivery,
    confirms = true,
  ): void {
    if (!connection.claimDelivery(deliveryId)) return
    const { result } = connection.rpc.call('IO_RESPONSE', { transactionId, value })
    if (!confirms) return
    const { instanceId } = connection
    // All SDKs answer this call at once. An ACK would not do: a socket that the SDK has left for another one
    // acknowledges what it throws away.
    result.then(
      () => this.#confirmations.add(transactionId, instanceId, deliveryId),
      (error: unknown) => {
        if (error instanceof AppError && error.code === 'queue-full') connection.releaseDelivery(deliveryId)
        this.#options.log.debug('delivery.unconfirmed', { transaction: transactionId, error })
      },
    )
  }

  /** When this is lost, the answer counts as unconfirmed and the host's next repeat settles it. */
  #tellConfirmed({ transactionId, instanceId, deliveryIds }: Confirmed): void {
    for (const deliveryId of deliveryIds) {
      this.#options.runtime
        .send(`transaction:${transactionId}`, { type: 'answer-delivered', instanceId, deliveryId })
        .catch((error: unknown) =>
          this.#options.log.debug('delivery.unconfirmed', { transaction: transactionId, error }),
        )
    }
  }

  #probe(signal: Signal): void {
    const { connectionId } = signal.payload as { connectionId: ConnectionId }
    const instanceId = signal.target as InstanceId
    if (this.#sockets.current(instanceId)?.id === connectionId) return
    this.#options.runtime.send(hostKey(instanceId), { type: 'detach', connectionId }).catch(() => undefined)
  }

  /** One timer for all sockets. */
  #beat(): void {
    this.#heartbeat = this.#options.clock.setTimer(limits.pingIntervalMs, () => {
      const silentSinceMs = this.#options.clock.nowMs() - limits.hostSilentMsMax
      for (const connection of this.#sockets.all()) {
        if (connection.lastHeardMs < silentSinceMs)
          connection.close(1011, 'Nothing was heard from this host.')
        else connection.ping()
      }
      this.#sockets.forgetFences()
      if (!this.#draining) this.#beat()
    })
  }
}

/** An instance belongs to one environment, and in development to one person: whoever holds another key is another. */
function isSamePlace(one: HostIdentity, other: HostIdentity): boolean {
  return (
    one.organization.id === other.organization.id &&
    one.environment.id === other.environment.id &&
    one.kind === other.kind &&
    (one.kind === 'PRODUCTION' || one.user.id === other.user.id)
  )
}
