/**
 * The browser windows connected to this node: who they are, what they look at, what they are told.
 *
 * A window may be connected here while everything it looks at is owned elsewhere. It is found by its client id, which
 * is derived from the person and the window's own id, so that nobody can take another person's place.
 */
import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Accounts, AccountsService, ClientIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { Directories, Hosts } from '../hosts/index.js'
import type { ClientId, EntityKey, InstanceId, SessionId } from '../ids.js'
import { inTurn } from '../in-turn.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock, EntityRuntime, Signal, Timer } from '../partitions/index.js'
import { PassingMap } from '../passing.js'
import type { ClientSignal } from '../transactions/index.js'
import type { Uploads } from '../uploads/index.js'
import { ClientConnection } from './client-connection.js'
import { ClientRequests } from './client-requests.js'
import type { Request } from './requests.js'
import { type Place, protocolVersion, type Requests } from './wire.js'

export interface ClientsOptions {
  readonly runtime: EntityRuntime
  readonly accounts: Accounts &
    Pick<AccountsService, 'queue' | 'lastProof' | 'lookedAt' | 'organizationIdOf' | 'placeOfTransaction'>
  readonly hosts: Hosts
  readonly directories: Directories
  readonly uploads: Pick<Uploads, 'grant' | 'confirm'>
  readonly clock: Clock
  readonly log: Log
  /** Version of the running build; a browser with another one may reload itself. */
  readonly build: string
  /** New transactions are refused while this is true. */
  isOutboxFull(): boolean
}

/** A run or page that a window is told of. */
export interface Attachment {
  readonly place: Place
  readonly organizationId: string
  readonly instanceId: InstanceId | null
}

/** What one window looks at. */
export interface Window {
  readonly connection: ClientConnection
  readonly clientId: ClientId
  /** Attached transactions and open pages, by entity key. */
  readonly attached: PassingMap<EntityKey, Attachment>
  /** Entities whose state is being read for this window, and how many events of each came meanwhile. */
  readonly reading: PassingMap<EntityKey, { events: number }>
  /** Watched directories: ends the watch. */
  readonly watches: Map<string, () => void>
}

const connectedAgain = 'This window connected again.'
const socketPrefix = 'client:'

/** What the socket of a window is announced as. */
function socketOf(clientId: string): string {
  return `${socketPrefix}${clientId}`
}

export class Clients {
  readonly #options: ClientsOptions
  readonly #requests: ClientRequests
  readonly #connections = new Set<ClientConnection>()
  readonly #windows = new Map<ClientId, Window>()
  #heartbeat: Timer | null = null
  #draining = false

  constructor(options: ClientsOptions) {
    this.#options = options
    this.#requests = new ClientRequests(options)
    const { runtime } = options
    runtime.onSignal(
      'client',
      (signal, key) => this.#tell(signal, key),
      signal => ({ socket: socketOf(signal.target) }),
    )
    runtime.onMissed('client', concerns => {
      for (const window of this.#windows.values()) {
        for (const key of window.attached.keys())
          if (concerns(key, window.clientId)) void this.#requests.refresh(window, key)
      }
    })
    runtime.locations.onTaken(name => {
      const window = this.#windows.get(name.slice(socketPrefix.length) as ClientId)
      if (name.startsWith(socketPrefix) && window) window.connection.close(1008, connectedAgain)
    })
    options.hosts.onPresence((instanceId, connected) => this.#presenceChanged(instanceId, connected))
    options.accounts.onRightsChanged(organizations => void this.#showOut(organizations))
    this.#beat()
  }

  get count(): number {
    return this.#connections.size
  }

  /** Sessions of all open sockets, to be asked whether they are revoked. */
  openSessions(): SessionId[] {
    return [...new Set([...this.#connections].map(connection => connection.identity.sessionId))]
  }

  closeRevoked(sessions: readonly SessionId[]): void {
    for (const connection of this.#connections) {
      if (sessions.includes(connection.identity.sessionId)) connection.close(4401, 'Your session has ended.')
    }
  }

  /** Takes a socket whose session was accepted. */
  accept(
    socket: WebSocket,
    stream: Duplex,
    identity: ClientIdentity,
    from: { address: string; origin: string },
  ): void {
    const connection = new ClientConnection(socket, stream, {
      identity,
      ...from,
      clock: this.#options.clock,
      log: this.#options.log,
      events: {
        requested: (caller, request) => this.#requested(caller, request),
        closed: caller => this.#closed(caller),
      },
    })
    this.#connections.add(connection)
    this.#options.clock.setTimer(limits.authenticationMsMax, () => {
      if (connection.clientId === null) connection.close(1008, 'The first request must be `hello`.')
    })
  }

  /** Tells browsers to connect again, one after another over `spreadMs`. Resolves when all have been told. */
  async drain(spreadMs: number): Promise<void> {
    this.#draining = true
    this.#heartbeat?.cancel()
    await this.disconnect(spreadMs)
  }

  /** Closes all sockets, as a restart would: browsers come back at once. */
  async disconnect(spreadMs = 0): Promise<void> {
    await inTurn([...this.#connections], spreadMs, this.#options.clock, connection =>
      connection.close(1012, 'Closing briefly for a planned restart.'),
    )
  }

  async #requested(connection: ClientConnection, request: Request): Promise<unknown> {
    if (request.method === 'hello') return this.#hello(connection, request.data)
    if (request.method === 'ping') return {}
    const window = connection.clientId === null ? undefined : this.#windows.get(connection.clientId)
    if (window?.connection !== connection)
      throw new AppError('bad-request', 'The first request must be `hello`.')
    return this.#requests.handle(window, request)
  }

  #hello(connection: ClientConnection, data: Requests['hello']['data']): Requests['hello']['result'] {
    if (data.protocol !== protocolVersion) {
      throw new AppError('bad-request', `This server speaks protocol ${protocolVersion}. Reload the page.`)
    }
    if (connection.clientId !== null)
      throw new AppError('bad-request', 'This connection has said hello already.')
    const userId = connection.identity.user.id
    const clientId = createHash('sha256')
      .update(`${userId}\0${data.client}`)
      .digest('base64url')
      .slice(0, 32) as ClientId
    const older = this.#windows.get(clientId)
    connection.clientId = clientId
    if (older?.connection !== connection) {
      this.#windows.set(clientId, {
        connection,
        clientId,
        attached: new PassingMap(),
        reading: new PassingMap(),
        watches: new Map(),
      })
      if (older) {
        for (const stop of older.watches.values()) stop()
        older.connection.close(1008, connectedAgain)
      }
      this.#options.runtime.locations.announce(socketOf(clientId))
    }
    return { protocol: protocolVersion, userId, build: this.#options.build, newId: this.#requests.newId() }
  }

  #tell(signal: Signal, key: EntityKey): void {
    const window = this.#windows.get(signal.target as ClientId)
    const payload = signal.payload as ClientSignal
    const reading = window?.reading.get(key)
    if ('probe' in payload) {
      // One that is being attached asks once more.
      if (reading) reading.events += 1
      else if (!window?.attached.has(key)) this.#gone(key, signal.target as ClientId)
      else if (payload.gone) void this.#requests.refresh(window, key)
      return
    }
    if (!window) return
    if (reading) reading.events += 1
    if (payload.event === 'transaction.usurped') window.attached.delete(key)
    window.connection.send(payload.event, payload.data)
  }

  #presenceChanged(instanceId: InstanceId, connected: boolean): void {
    const type = connected ? 'host-back' : 'host-gone'
    for (const window of this.#windows.values()) {
      for (const [key, watched] of window.attached) {
        if (watched.instanceId !== instanceId) continue
        this.#options.runtime.send(key, { type, instanceId }).catch((error: unknown) => {
          this.#options.log.debug('presence.not-told', { key, error })
        })
      }
    }
  }

  /**
   * Ends the sockets of people who look at something of a place where they are not any more. They connect again, and are
   * shown what is left to them. When nobody can say who is where, everything stays as it is.
   */
  async #showOut(organizations: ReadonlySet<string> | null): Promise<void> {
    for (const { attached, connection } of [...this.#windows.values()]) {
      const places = new Map<string, Place>()
      for (const { organizationId, place } of attached.values())
        if (organizations === null || organizations.has(organizationId))
          places.set(`${place.organization}+${place.environment}`, place)
      for (const { organization, environment } of places.values()) {
        try {
          await this.#options.accounts.actor(connection.identity.user.id, organization, environment)
        } catch (error) {
          if (error instanceof AppError && !error.kind.retryable) {
            connection.close(1008, 'What this window showed is not open to you any more.')
          }
        }
      }
    }
  }

  #closed(connection: ClientConnection): void {
    this.#connections.delete(connection)
    const { clientId } = connection
    if (clientId === null) return
    const window = this.#windows.get(clientId)
    if (window?.connection !== connection) return
    this.#windows.delete(clientId)
    this.#options.runtime.locations.withdraw(socketOf(clientId))
    for (const stop of window.watches.values()) stop()
    for (const key of window.attached.keys()) this.#gone(key, clientId)
  }

  /** The entity finds out by itself, later, when this message is lost. */
  #gone(key: EntityKey, clientId: ClientId): void {
    this.#options.runtime.send(key, { type: 'client-gone', clientId }).catch((error: unknown) => {
      this.#options.log.debug('client.gone-not-told', { key, error })
    })
  }

  #beat(): void {
    this.#heartbeat = this.#options.clock.setTimer(limits.pingIntervalMs, () => {
      const silentSinceMs = this.#options.clock.nowMs() - limits.clientSilentMsMax
      for (const connection of this.#connections) {
        if (connection.lastHeardMs < silentSinceMs)
          connection.close(1008, 'Nothing was heard from this browser.')
        else connection.ping()
      }
      if (!this.#draining) this.#beat()
    })
  }
}
