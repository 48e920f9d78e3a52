/**
 * Asks HTTP hosts by HTTP: to declare what they serve, and to run something. What follows from the outcome is decided
 * by the entity (`http-host.ts`); what they serve and run then comes over a websocket like any other host's.
 *
 * The request that makes a host run stays open until the run has ended, since platforms stop what nobody waits for. So
 * its answer says something only while nobody has come because of it: that nobody will.
 *
 * What can go wrong: this node ends. Then the open requests end with it; hosts that run go on over their sockets, unless
 * their platform stops them, and requests that nobody has claimed are made again by the next owner.
 */

import type { HostIdentity } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type HttpHostId, type InstanceId, newSecret, type OrganizationId } from '../ids.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import {
  OutboundError,
  type OutboundFailure,
  type OutboundRequest,
  type OutboundResponse,
} from '../outbound/index.js'
import type { EntityRuntime } from '../partitions/index.js'
import { type Declaration, SdkVersion } from '../sdk/index.js'
import { type HttpRequest, httpHostKey } from '../transactions/index.js'
import { type Definitions, definitionsFrom, digestOf } from './definitions.js'
import type { DirectoryHost } from './directory.js'
import { isHttpHost } from './directory-view.js'
import { hostKey } from './host.js'
import { type Claimed, type HttpHostMessage, type HttpHostOrder, requestIdFor } from './http-host.js'
import { httpHostSecret, signatureHeader, signatureOf } from './http-signature.js'
import { type TeamsAsked, teamWarnings } from './team-warnings.js'

/** An HTTP host as it is registered. */
export interface RegisteredHttpHost {
  readonly id: HttpHostId
  readonly organizationId: OrganizationId
  readonly url: string
}

export interface HttpHostsOptions extends TeamsAsked {
  readonly runtime: EntityRuntime
  readonly log: Log
  readonly outbound: { request(request: OutboundRequest): Promise<OutboundResponse> }
  /** Secret of the installation, from which those of the HTTP hosts are derived. */
  readonly secret: string
  /** True when an instance has a socket, on whichever node. */
  isConnected(instanceId: InstanceId): boolean
  /** Wall-clock time in ms, for signatures. */
  wallMs(): number
  /** As it is registered now; null when it is not. Rejects when the database is away. */
  find(id: HttpHostId): Promise<RegisteredHttpHost | null>
  /** All that are registered. */
  all(): AsyncIterable<RegisteredHttpHost>
  /** For the list that people see; nobody waits for it. */
  checked(id: HttpHostId, isReachable: boolean): Promise<void>
  /** As for other hosts: for the records in the database. */
  declared(identity: HostIdentity, definitions: Definitions): void
}

/** What came of a request: an answer of whatever status, or none. */
type Answer = { readonly status: number } | { readonly reason: string; readonly isUnreachable: boolean }

/** What became of a request; `unknown` where the entity says nothing. */
type Settlement = Claimed | 'given-up' | 'unknown'

/** HTTP hosts that are tried for one run, newest first. */
const requestsPerRunMax = 3
/** SDKs connect again every 3 s by default: one that has not by then is gone, in ms. */
const reconnectsMsMax = 8_000
/** While the database is away at the start of a node, it is asked again after this, in ms. */
const registerAgainMs = 5_000
/**
 * The entity gives a request up by itself and says so. Where it says nothing for this much longer, in ms, another node
 * leads it by now; whether the request was claimed cannot be told here.
 */
const wordLateMsMax = 10_000

const failures: Record<OutboundFailure, string> = {
  'invalid-url': 'The address of the HTTP host is not valid.',
  'address-refused': 'The address of the HTTP host is not allowed on this server.',
  unreachable: 'The HTTP host cannot be reached.',
  timeout: 'The HTTP host did not answer in time.',
  'too-large': 'The answer of the HTTP host is too large.',
  failed: 'The HTTP host broke off the connection.',
}

export class HttpHosts {
  readonly #options: HttpHostsOptions
  /** Requests of this node that nobody has claimed yet: called when that does not matter any more. */
  readonly #unsettled = new Map<string, (claimed: Claimed | null) => void>()
  /** Requests for runs that are open, by the address they were made to. */
  readonly #runs = new Map<string, number>()
  #open = 0
  #isStopped = false

  constructor(options: HttpHostsOptions) {
    this.#options = options
    const { runtime } = options
    runtime.onEffect('http-host', {
      dispatch: (effect, _key, signal) => this.#run(effect.payload as unknown as HttpHostOrder, signal),
    })
    runtime.onSignal('http-host', signal => this.#ordered(signal.payload as HttpHostOrder))
  }

  /** Requests for runs that are open now. */
  get open(): number {
    return this.#open
  }

  /** Makes the entities know what is registered. Every node says it when it starts; they are asked once all the same. */
  start(): void {
    this.#registerAll().catch((error: unknown) => {
      if (this.#isStopped) return
      this.#options.log.warn('http-hosts.not-read', { error })
      this.#options.clock.setTimer(registerAgainMs, () => {
        if (!this.#isStopped) this.start()
      })
    })
  }

  stop(): void {
    this.#isStopped = true
  }

  async #registerAll(): Promise<void> {
    for await (const host of this.#options.all()) {
      if (this.#isStopped) return
      await this.register(host)
    }
  }

  /** It is to be asked from now on; at once, if it is new. */
  async register({ id, organizationId, url }: RegisteredHttpHost): Promise<void> {
    await this.#tell(id, { type: 'register', id, organizationId, url })
  }

  /** Nothing is asked of it any more, and nothing of it is listed. */
  async remove(id: HttpHostId): Promise<void> {
    await this.#tell(id, { type: 'remove' })
  }

  /** Asks it now to declare itself. Resolves with whether it did; then what it serves is known. */
  async check(host: RegisteredHttpHost): Promise<boolean> {
    const { id, organizationId, url } = host
    await this.#tell(id, { type: 'register', id, organizationId, url, isBeingChecked: true })
    const answer = await this.#ask(id, url, { httpHostId: id }, limits.httpHostAnswerMsMax)
    // The answer of a node that ends is no answer.
    if (this.#isStopped) throw new AppError('draining')
    const isReachable = isGood(answer)
    await this.#tell(id, { type: 'checked', isReachable })
    this.#options.checked(id, isReachable).catch((error: unknown) => {
      this.#options.log.debug('http-host.not-recorded', { id, error })
    })
    if (!isReachable) this.#options.log.warn('http-host.unreachable', { id, ...answer })
    return isReachable
  }

  /** What the SDK behind an address says it serves. Rejects with `forbidden` or `not-found`. */
  async declare(
    identity: HostIdentity,
    declared: { id: HttpHostId; sdkName: string; sdkVersion: string; declaration: Declaration },
  ): Promise<{ invalidSlugs: string[]; warnings: string[] }> {
    if (identity.kind !== 'PRODUCTION')
      throw new AppError('forbidden', 'HTTP hosts need a live API key, not one for development.')
    const { id, sdkName, sdkVersion, declaration } = declared
    const definitions = definitionsFrom(declaration, new SdkVersion(sdkName, sdkVersion))
    await this.#tell(id, {
      type: 'declare',
      organizationId: identity.organization.id,
      environmentId: identity.environment.id,
      digest: digestOf(definitions),
      definitions,
      sdkName,
      sdkVersion,
    })
    this.#options.declared(identity, definitions)
    const warnings = await teamWarnings(this.#options, identity.organization.id, definitions)
    return { invalidSlugs: declaration.invalidSlugs, warnings }
  }

  /** What its requests are signed with. */
  secretOf(id: HttpHostId): string {
    return httpHostSecret(this.#options.secret, id)
  }

  async #tell(id: HttpHostId, message: HttpHostMessage): Promise<void> {
    await this.#options.runtime.send(httpHostKey(id), message)
  }

  #ordered(order: HttpHostOrder): void {
    if ('settled' in order) {
      this.#unsettled.get(order.settled)?.(order.claimed)
      return
    }
    if (!('check' in order)) return
    const { check: id, organizationId, url } = order
    this.#checkAsRegistered({ id, organizationId, url }).catch((error: unknown) => {
      // It is due again in half a minute.
      this.#options.log.debug('http-host.not-checked', { id, error })
    })
  }

  /** The database has the last word on what is registered, as far as it is there. */
  async #checkAsRegistered(known: RegisteredHttpHost): Promise<void> {
    const registered = await this.#options.find(known.id).catch(() => known)
    if (registered === null) await this.remove(known.id)
    else await this.check(registered)
  }

  /**
   * Resolves when the request is settled: claimed, given up, or failed and told so. Rejects when the node ends before
   * that; then it is made again elsewhere. What the entity has given up is ended here: a host that never answers would
   * take up room until the longest run has passed. Where its word is missing the request goes on, since somebody may run
   * because of it.
   */
  async #run(order: HttpHostOrder, signal: AbortSignal): Promise<void> {
    if (!('run' in order)) return
    const { run: requestId, id, url } = order
    const ending = new AbortController()
    const asked = this.#askToRun(id, url, requestId, ending.signal)
    const settled = this.#settlement(requestId, signal)
    // A good answer says nothing while nobody has come: it may be from something that queues requests.
    const failed = asked.then<Answer | Settlement>(answer => (isGood(answer) ? settled : answer))
    const first = await Promise.race([failed, settled])
    if (first === 'given-up') ending.abort()
    if (first === 'given-up' || first === 'unknown') return
    if ('instanceId' in first) {
      this.#watch(asked, first)
      return
    }
    if (this.#isStopped) throw new AppError('draining')
    const reason = 'reason' in first ? first.reason : `The HTTP host answered with status ${first.status}.`
    const isUnreachable = 'isUnreachable' in first && first.isUnreachable
    await this.#tell(id, { type: 'failed', requestId, reason, isUnreachable })
  }

  /** Waits for the word of the entity, hardly longer than a request lives. Rejects when the node ends. */
  async #settlement(requestId: string, signal: AbortSignal): Promise<Settlement> {
    let end: (settlement: Settlement) => void = () => undefined
    let abort: () => void = () => undefined
    const said = new Promise<Settlement>((resolve, reject) => {
      end = resolve
      abort = () => reject(new AppError('unavailable'))
    })
    const settle = (claimed: Claimed | null): void => end(claimed ?? 'given-up')
    const longestMs = limits.httpHostRequestMsMax + wordLateMsMax
    const late = this.#options.clock.setTimer(longestMs, () => end('unknown'))
    this.#unsettled.set(requestId, settle)
    signal.addEventListener('abort', abort)
    try {
      return await said
    } finally {
      late.cancel()
      signal.removeEventListener('abort', abort)
      if (this.#unsettled.get(requestId) === settle) this.#unsettled.delete(requestId)
    }
  }

  /**
   * The answer to a request that woke somebody says that the function has ended, or that whatever stands before it waits
   * no longer. If its socket is gone as well, it will not come back: its run need not wait for the grace.
   */
  #watch(asked: Promise<Answer>, { instanceId, target }: Claimed): void {
    const { clock, log, runtime } = this.#options
    const look = async (): Promise<void> => {
      if (this.#isStopped || this.#options.isConnected(instanceId)) return
      await runtime.send(hostKey(instanceId), { type: 'ended' })
      if (target.startsWith('transaction:')) await runtime.send(target, { type: 'host-lost', instanceId })
    }
    asked.then(answer => {
      // A connection that breaks says nothing about the function.
      if ('reason' in answer) return
      clock.setTimer(reconnectsMsMax, () => {
        look().catch((error: unknown) => log.debug('http-host.end-not-told', { instance: instanceId, error }))
      })
    })
  }

  /** These requests stay open while something runs, so they are counted. */
  async #askToRun(id: HttpHostId, url: string, requestId: string, signal: AbortSignal): Promise<Answer> {
    const { origin } = new URL(url)
    const runs = this.#runs.get(origin) ?? 0
    if (this.#open >= limits.httpHostRunsPerNodeMax || runs >= limits.httpHostRunsPerOriginMax)
      return { reason: 'The HTTP host runs as much as it may at once.', isUnreachable: false }
    this.#open += 1
    this.#runs.set(origin, runs + 1)
    try {
      return await this.#ask(id, url, { requestId }, limits.httpHostRunMsMax, signal)
    } finally {
      this.#open -= 1
      const left = (this.#runs.get(origin) ?? 1) - 1
      if (left > 0) this.#runs.set(origin, left)
      else this.#runs.delete(origin)
    }
  }

  /** Resolves with what came of it, whatever that is. */
  async #ask(
    id: HttpHostId,
    url: string,
    question: object,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const body = JSON.stringify(question)
    const { outbound, secret, wallMs } = this.#options
    try {
      return await outbound.request({
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/json',
          [signatureHeader]: signatureOf(httpHostSecret(secret, id), body, wallMs()),
        },
        body,
        timeoutMs,
        ...(signal && { signal }),
      })
    } catch (error) {
      const reason = error instanceof OutboundError ? error.reason : 'failed'
      if (!(error instanceof OutboundError)) this.#options.log.error('http-host.not-asked', { id, error })
      return { reason: failures[reason], isUnreachable: reason !== 'timeout' && reason !== 'too-large' }
    }
  }
}

function isGood(answer: Answer): answer is { readonly status: number } {
  return 'status' in answer && answer.status >= 200 && answer.status < 300
}

/**
 * Requests for those of these hosts that must be woken, in the order in which they are tried, beginning with `first`;
 * undefined where `first` is connected itself.
 */
export function requestsFor(
  first: DirectoryHost,
  hosts: readonly DirectoryHost[],
): readonly [HttpRequest, ...HttpRequest[]] | undefined {
  if (!isHttpHost(first)) return undefined
  const others = hosts.filter(host => host !== first && isHttpHost(host)).reverse()
  const requestOf = ({ instanceId }: DirectoryHost): HttpRequest => {
    const httpHostId = instanceId as string as HttpHostId
    return { httpHostId, requestId: requestIdFor(httpHostId, newSecret()) }
  }
  return [requestOf(first), ...others.slice(0, requestsPerRunMax - 1).map(requestOf)]
}
