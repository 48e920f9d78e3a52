/**
 * What hosts call, one function per method: check, hand to the entity, answer in the words of the SDK's version.
 * An answer to a host is given only after what it acknowledges is durable.
 */
import type { HostIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type EntityKey, isId, newId, type TransactionId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { EntityRuntime, Json } from '../partitions/index.js'
import {
  type IncomingCall,
  type InitializeHostReturns,
  parseIoCall,
  parsePageLayout,
  parseTransactionResult,
  returnsBoolean,
  SdkVersion,
  type ServerMethodInputs,
} from '../sdk/index.js'
import {
  type HostDelivery,
  type HostReply,
  httpHostKey,
  type PageMessage,
  type TransactionMessage,
} from '../transactions/index.js'
import type { Confirmations } from './confirmations.js'
import { definitionsFrom, digestOf, withoutAccess } from './definitions.js'
import { held } from './held.js'
import { directoryKey, type HostAttach, type HostAttached, hostKey } from './host.js'
import type { HostConnection } from './host-connection.js'
import { type HttpHostMessage, httpHostOf } from './http-host.js'
import { type TeamsAsked, teamWarnings } from './team-warnings.js'

export interface HostCallsOptions extends TeamsAsked {
  readonly runtime: EntityRuntime
  readonly log: Log
  /** Absolute address of the dashboard, without a slash at the end. */
  dashboardUrl(connection: HostConnection): string
  /** `id` is the notification's unless it has a key of its own: it may be said again. */
  notify(identity: HostIdentity, notification: ServerMethodInputs<'NOTIFY'>, id: string): Promise<boolean>
  /** A host spoke of a run or page that is another host's. */
  denied(connection: HostConnection, id: string): void
  /** A host has declared something new; for the records in the database, which nobody waits for. */
  declared(connection: HostConnection, definitions: HostDeclaration): void
}

export type HostDeclaration = Pick<ServerMethodInputs<'INITIALIZE_HOST'>, 'actions' | 'pages'>

/** Text of the error a person sees when a host has sent an IO call that cannot be read. */
const invalidCallMessage = 'Received invalid message from action.'
/** In the words of the original. */
const claimRefused = 'Invalid action request'

type Inputs<Method extends IncomingCall['method']> = ServerMethodInputs<Method>

export class HostCalls {
  readonly #options: HostCallsOptions
  readonly #confirmations: Confirmations
  readonly #deliver: (connection: HostConnection, deliveries: readonly HostDelivery[]) => void

  /** `deliver` writes answers that came with the reply to a call. */
  constructor(
    options: HostCallsOptions,
    confirmations: Confirmations,
    deliver: (connection: HostConnection, deliveries: readonly HostDelivery[]) => void,
  ) {
    this.#options = options
    this.#deliver = deliver
    this.#confirmations = confirmations
  }

  /** Handles any call but INITIALIZE_HOST. A call that can never succeed is refused: hosts wait without a deadline. */
  async handle(connection: HostConnection, call: IncomingCall): Promise<unknown> {
    const { sdk } = connection
    if (sdk === null)
      return returnsBoolean(call.method) ? false : { type: 'error', message: 'Not initialized.' }
    try {
      return await this.#handle(connection, sdk, call)
    } catch (error) {
      if (connection.rpc.isClosed) throw error
      this.#options.log.warn('host.call-refused', { method: call.method, error })
      const message = error instanceof AppError ? error.message : 'The server could not handle this call.'
      if (call.method === 'SEND_IO_CALL') return sdk.sendIoCallFailure(message)
      return returnsBoolean(call.method) ? false : { type: 'error', message }
    }
  }

  #handle(connection: HostConnection, sdk: SdkVersion, call: IncomingCall): Promise<unknown> {
    switch (call.method) {
      case 'SEND_IO_CALL':
        return this.#ioCall(connection, sdk, call.data, call.rpcId)
      case 'SEND_LOADING_CALL':
        return this.#either(connection, call.data.transactionId, {
          type: 'loading',
          instanceId: connection.instanceId,
          loading: call.data.loading,
          ...numbered(call.rpcId),
        })
      case 'SEND_REDIRECT':
        return this.#either(connection, call.data.transactionId, {
          type: 'redirect',
          instanceId: connection.instanceId,
          redirect: call.data.redirect,
          ...numbered(call.rpcId),
        })
      case 'SEND_LOG':
        return this.#toTransaction(connection, call.data.transactionId, {
          type: 'log',
          instanceId: connection.instanceId,
          index: call.data.index ?? null,
          text: call.data.data,
          atMs: call.data.timestamp ?? this.#options.clock.nowMs(),
        }).then(accepted)
      case 'MARK_TRANSACTION_COMPLETE':
        return this.#complete(connection, call.data)
      case 'SEND_PAGE':
        return this.#page(connection, call.data, call.rpcId)
      case 'NOTIFY':
        return this.#notify(connection, call.data)
      case 'BEGIN_HOST_SHUTDOWN':
        return this.#shutdown(connection, call.rpcId)
      case 'INITIALIZE_HOST':
        throw new AppError('internal')
    }
  }

  /**
   * Registers the host and what it serves. The host entity decides whether this declaration is the newest; the
   * directory is told; only then is the host answered. Rejects only when the connection must be closed: SDKs do not
   * survive a refused re-initialisation.
   */
  async initialize(
    connection: HostConnection,
    call: IncomingCall & { method: 'INITIALIZE_HOST' },
    firstRpcId: number | null,
  ): Promise<{ answer: InitializeHostReturns; attached: HostAttached }> {
    const { identity, instanceId } = connection
    const { data } = call
    const sdk = new SdkVersion(data.sdkName, data.sdkVersion)
    connection.sdk = sdk
    const isDevelopment = identity.kind === 'DEVELOPMENT'
    const definitions = isDevelopment ? withoutAccess(data) : definitionsFrom(data, sdk)
    const developerId = isDevelopment ? identity.user.id : null
    const attached = await this.#held(connection, () =>
      this.#options.runtime.send<HostAttached>(hostKey(instanceId), {
        type: 'attach',
        instanceId,
        organizationId: identity.organization.id,
        environmentId: identity.environment.id,
        developerId,
        apiKeyId: identity.apiKeyId,
        sdkName: sdk.name ?? '',
        sdkVersion: sdk.version ?? '',
        connectionId: connection.id,
        declaredAtMs: data.timestamp ?? this.#options.clock.nowMs(),
        rpcId: numeric(call.rpcId),
        firstRpcId,
        ...(data.requestId && { requestId: data.requestId }),
      } satisfies HostAttach),
    )
    const directory = directoryKey(identity.environment.id, developerId)
    const { requestId } = attached
    if (requestId !== null) {
      // Also when it reconnects: the node before may have died when it was about to.
      const isClaimed = await this.#claim(connection, sdk, requestId)
      if (!isClaimed && data.requestId) {
        connection.directory = directory
        this.#options.denied(connection, `request of HTTP host ${httpHostOf(requestId) ?? 'unknown'}`)
        const answer = sdk.structuredInitError ? ({ type: 'error', message: claimRefused } as const) : null
        return { answer, attached }
      }
    } else if (attached.applied) {
      await this.#held(connection, () =>
        this.#options.runtime.send(directory, {
          type: 'announce',
          instanceId,
          connectionId: connection.id,
          digest: digestOf(definitions),
          definitions: { actions: definitions.actions, pages: definitions.pages },
          sdkName: sdk.name ?? '',
          sdkVersion: sdk.version ?? '',
        }),
      )
      this.#options.declared(connection, definitions)
    }
    connection.directory = directory
    return { answer: await this.#welcome(connection, sdk, data.invalidSlugs, definitions), attached }
  }

  /** True when this host is the one that was woken by this request, which it can be once. */
  async #claim(connection: HostConnection, sdk: SdkVersion, requestId: string): Promise<boolean> {
    const { identity, instanceId } = connection
    const httpHostId = httpHostOf(requestId)
    return (
      httpHostId !== null &&
      identity.kind === 'PRODUCTION' &&
      (await this.#held(connection, () =>
        this.#options.runtime.send<{ accepted: boolean }>(httpHostKey(httpHostId), {
          type: 'claim',
          requestId,
          instanceId,
          organizationId: identity.organization.id,
          environmentId: identity.environment.id,
          sdkName: sdk.name ?? '',
          sdkVersion: sdk.version ?? '',
        } satisfies HttpHostMessage),
      ).then(reply => reply.accepted))
    )
  }

  async #welcome(
    connection: HostConnection,
    sdk: SdkVersion,
    invalidSlugs: string[],
    definitions: HostDeclaration,
  ): Promise<InitializeHostReturns> {
    const { organization, environment } = connection.identity
    return {
      type: 'success',
      environment: sdk.environmentFor(environment.slug),
      invalidSlugs,
      organization: { name: organization.name, slug: organization.slug },
      dashboardUrl: this.#options.dashboardUrl(connection),
      warnings: await this.#warnings(connection, definitions),
    }
  }

  #warnings(connection: HostConnection, definitions: HostDeclaration): Promise<string[]> {
    return teamWarnings(this.#options, connection.identity.organization.id, definitions)
  }

  async #ioCall(
    connection: HostConnection,
    sdk: SdkVersion,
    data: Inputs<'SEND_IO_CALL'>,
    rpcId: string,
  ): Promise<unknown> {
    let call: ReturnType<typeof parseIoCall>
    try {
      call = parseIoCall(data.ioCall)
    } catch (error) {
      this.#options.log.info('io-call.invalid', { transaction: data.transactionId, error: String(error) })
      return sdk.sendIoCallFailure(invalidCallMessage)
    }
    connection.speaksOf(data.transactionId)
    const delivered = this.#confirmations.take(data.transactionId, connection.instanceId)
    const reply = await this.#toTransaction(connection, data.transactionId, {
      type: 'io-call',
      instanceId: connection.instanceId,
      connectionId: connection.id,
      call,
      bytes: data.ioCall.length,
      ...(delivered && { delivered }),
      ...numbered(rpcId),
    })
    if (!reply.accepted) return sdk.sendIoCallFailure(reply.reason)
    if (reply.deliveries) this.#deliver(connection, reply.deliveries)
    return true
  }

  async #complete(connection: HostConnection, data: Inputs<'MARK_TRANSACTION_COMPLETE'>): Promise<boolean> {
    let result: ReturnType<typeof parseTransactionResult>
    try {
      result = parseTransactionResult(data)
    } catch {
      result = {
        status: 'FAILURE',
        data: { error: 'InvalidResult', message: 'The host sent a result that cannot be read.' },
      }
    }
    connection.forgets(data.transactionId)
    const reply = await this.#toTransaction(connection, data.transactionId, {
      type: 'complete',
      instanceId: connection.instanceId,
      status: result.status,
      data: result.data as Json,
      ...(result.meta !== undefined && { meta: result.meta as Json }),
    })
    return accepted(reply)
  }

  async #page(connection: HostConnection, data: Inputs<'SEND_PAGE'>, rpcId: string): Promise<boolean> {
    if (!isId(data.pageKey)) return false
    let layout: ReturnType<typeof parsePageLayout> | null
    try {
      layout = data.page === undefined ? null : parsePageLayout(data.page)
    } catch {
      const error = { error: 'InvalidPage', message: 'The host sent a page that cannot be read.' }
      layout = { kind: 'BASIC', errors: [error] }
    }
    return accepted(
      await this.#toPage(connection, data.pageKey, {
        type: 'layout',
        instanceId: connection.instanceId,
        layout,
        ...numbered(rpcId),
      }),
    )
  }

  #notify(connection: HostConnection, notification: Inputs<'NOTIFY'>): Promise<boolean> {
    const id = newId<string>()
    return this.#held(connection, () => this.#options.notify(connection.identity, notification, id))
  }

  async #shutdown(connection: HostConnection, rpcId: string): Promise<{ type: 'success' }> {
    connection.shuttingDown = true
    const message = { type: 'shutdown', connectionId: connection.id, rpcId: numeric(rpcId) }
    await this.#held(connection, () => this.#options.runtime.send(hostKey(connection.instanceId), message))
    const { directory } = connection
    if (directory) {
      const { instanceId } = connection
      await this.#held(connection, () =>
        this.#options.runtime.send(directory, { type: 'shutdown', instanceId }),
      )
    }
    return { type: 'success' }
  }

  /** Loading states and redirects name a transaction or a page in the same field. */
  async #either(
    connection: HostConnection,
    id: string,
    message: Extract<TransactionMessage, { type: 'loading' | 'redirect' }>,
  ): Promise<boolean> {
    const reply = await this.#toTransaction(connection, id, message)
    if (reply.accepted || !isId(id)) return reply.accepted
    return accepted(await this.#toPage(connection, id, message))
  }

  #toTransaction(connection: HostConnection, id: string, message: TransactionMessage): Promise<HostReply> {
    if (!isId(id)) return Promise.resolve({ accepted: false, reason: 'There is no such transaction.' })
    const key: EntityKey = `transaction:${id as TransactionId}`
    return this.#told(
      connection,
      id,
      this.#heldOn(connection, () => this.#options.runtime.send<HostReply>(key, message)),
    )
  }

  #toPage(connection: HostConnection, pageKey: string, message: PageMessage): Promise<HostReply> {
    const sent = this.#heldOn(connection, () =>
      this.#options.runtime.send<HostReply>(`page:${pageKey}`, message),
    )
    return this.#told(connection, pageKey, sent)
  }

  /** Records it when a host spoke of a run or page of another one. */
  async #told(connection: HostConnection, id: string, sent: Promise<HostReply>): Promise<HostReply> {
    const reply = await sent
    if (!reply.accepted && reply.denied) this.#options.denied(connection, id)
    return reply
  }

  /** What is said of a connection is over with it. */
  #held<Result>(connection: HostConnection, attempt: () => Promise<Result>): Promise<Result> {
    return held(this.#options.clock, () => connection.rpc.isClosed, attempt)
  }

  /**
   * What is said of a run or page is tried on while the host is expected back: its promise is settled on the next
   * connection, and by nobody else when that comes to this node.
   */
  #heldOn<Result>(connection: HostConnection, attempt: () => Promise<Result>): Promise<Result> {
    const { clock } = this.#options
    const isOver = () =>
      connection.rpc.isClosed && clock.nowMs() - connection.lastHeardMs > limits.hostGraceMs
    return held(clock, isOver, attempt)
  }
}

function accepted(reply: HostReply): boolean {
  return reply.accepted
}

/** SDKs count their calls; anything else is left out of what depends on the order. */
export function numeric(rpcId: string): number | null {
  return /^[1-9][0-9]{0,14}$/.test(rpcId) ? Number(rpcId) : null
}

function numbered(rpcId: string): { readonly number?: number } {
  const number = numeric(rpcId)
  return number === null ? {} : { number }
}
