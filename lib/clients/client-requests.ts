/**
 * What a browser may ask, one function per method: who is it, may it, then a message to the owner of the entity.
 *
 * What is denied is in the audit log, also where the answer says "not found" because the thing belongs to others. What
 * is simply no longer there (a run that ended long ago, an action that nobody serves any more) is nobody's offence.
 */
import type { Actor, StoredRules } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { type DirectoryView, directoryKey, requestsFor, transactionStart } from '../hosts/index.js'
import type { EntityKey, InstanceId, OrganizationId, PageKey, TransactionId } from '../ids.js'
import { limits } from '../limits.js'
import { type Json, NewIds } from '../partitions/index.js'
import { pause } from '../pause.js'
import { type OpenPageInputs, SdkVersion } from '../sdk/index.js'
import type {
  Asker,
  Attached,
  Located,
  PageOpened,
  PageStart,
  TransactionStart,
} from '../transactions/index.js'
import type { ClientsOptions, Window } from './clients.js'
import type { Request } from './requests.js'
import type { Directory, PageSnapshot, Place, QueueItem, TransactionSnapshot } from './wire.js'

type Of<M extends Request['method']> = Extract<Request, { method: M }>['data']

/** Directory events are sent at most this often. */
const directoryEventMs = 50
/** What a person waits for. */
const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }
/** How often, and how long after another, what may have been missed is asked for. */
const refreshTriesMax = 60
const refreshAgainMs = 500
/** A run that tells its window more without a pause is read as it is. */
const undisturbedTriesMax = 5
/** Directories one window may watch. */
const watchesMax = 16

/** Nothing is there, for anybody: no reason for an audit row. */
class Gone extends AppError {
  constructor(message?: string) {
    super('not-found', message)
  }
}

export class ClientRequests {
  readonly #options: ClientsOptions
  /** Turns over the hosts of an action, so that equal hosts share the runs. */
  #turn = 0
  readonly #newIds: NewIds

  constructor(options: ClientsOptions) {
    this.#options = options
    const { runtime } = options
    this.#newIds = new NewIds({ keyOf: transactionKey, leads: key => runtime.leads(key) })
  }

  /** An id for a transaction that a window of this node may start. */
  newId(): string {
    return this.#newIds.take()
  }

  async handle(window: Window, request: Request): Promise<unknown> {
    try {
      return await this.#handle(window, request)
    } catch (error) {
      if (error instanceof AppError && isDenial(error)) await this.#audit(window, request)
      throw error
    }
  }

  /**
   * Who tried what; the things themselves are named by ids, which are no secrets. It is a row of the organization whose
   * things they are.
   */
  async #audit(window: Window, request: Request): Promise<void> {
    const { identity, address } = window.connection
    const { data } = request
    this.#options.accounts.audit({
      name: 'access.denied',
      userId: identity.user.id,
      organizationId: await this.#organizationOf(window, data).catch(() => null),
      address,
      details: {
        what: request.method,
        ...('organization' in data && { organization: data.organization, environment: data.environment }),
        ...('transactionId' in data && { transaction: data.transactionId }),
        ...('pageKey' in data && { page: data.pageKey }),
        ...('slug' in data && { slug: data.slug }),
      },
    })
  }

  /** Null where nobody knows. */
  async #organizationOf(window: Window, data: Request['data']): Promise<OrganizationId | null> {
    const { accounts, runtime } = this.#options
    if ('organization' in data) return accounts.organizationIdOf(data.organization)
    const key: EntityKey | null =
      'transactionId' in data
        ? transactionKey(data.transactionId)
        : 'pageKey' in data
          ? `page:${data.pageKey}`
          : null
    const known = key && window.attached.get(key)
    if (known) return known.organizationId as OrganizationId
    if (!key || !('transactionId' in data)) return null
    const located = await runtime.send<Located>(key, { type: 'locate' }, inTime)
    const place = located ?? (await accounts.placeOfTransaction(data.transactionId))
    return (place?.organizationId as OrganizationId | undefined) ?? null
  }

  async #handle(window: Window, request: Request): Promise<unknown> {
    switch (request.method) {
      case 'directory.watch':
        return this.#watch(window, request.data)
      case 'directory.unwatch':
        window.watches.get(placeName(request.data))?.()
        window.watches.delete(placeName(request.data))
        return {}
      case 'transaction.start':
        return { ...(await this.#start(window, request.data)), newId: this.newId() }
      case 'transaction.attach':
        return this.#attach(window, request.data.transactionId)
      case 'transaction.answer':
        return this.#answer(window, request.data)
      case 'transaction.upload':
        return this.#upload(window, request.data)
      case 'transaction.uploaded':
        return this.#uploaded(window, request.data)
      case 'transaction.cancel':
        return this.#ask(window, request.data.transactionId, { type: 'cancel' })
      case 'transaction.leave':
        return this.#leave(window, request.data.transactionId)
      case 'transaction.redirected':
        return this.#ask(window, request.data.transactionId, { type: 'redirected' })
      case 'queue.list':
        return this.#queue(window, request.data)
      case 'page.open':
        return this.#openPage(window, request.data)
      case 'page.setState':
        return this.#setPageState(window, request.data)
      case 'page.leave':
        return this.#leavePage(window, request.data.pageKey)
      default:
        throw new AppError('not-found')
    }
  }

  // Directories

  async #watch(window: Window, place: Place): Promise<Directory> {
    const actor = await this.#actor(window, place)
    this.#options.accounts.lookedAt(actor)
    const key = directoryOf(actor)
    const name = placeName(place)
    if (!window.watches.has(name)) {
      if (window.watches.size >= watchesMax) throw new AppError('too-many-requests')
      let pending = false
      const changed = () => {
        if (pending) return
        pending = true
        this.#options.clock.setTimer(directoryEventMs, () => {
          pending = false
          if (window.watches.has(name)) this.#sendDirectory(window, place)
        })
      }
      const endList = this.#options.directories.watch(key, changed)
      const endRights = this.#options.accounts.onRightsChanged(organizations => {
        if (organizations === null || organizations.has(actor.organization.id)) changed()
      })
      window.watches.set(name, () => {
        endList()
        endRights()
      })
    }
    return this.#directory(actor)
  }

  /** The list as this person may see it now. */
  async #directory(actor: Actor): Promise<Directory> {
    const { view, rules } = await this.#view(actor)
    return view.directory(actor, rules)
  }

  /** What hosts declare, and what is set about who may use it. */
  async #view(actor: Actor): Promise<{ view: DirectoryView; rules: StoredRules }> {
    const { directories, accounts } = this.#options
    const [view, rules] = await Promise.all([
      directories.view(directoryOf(actor)),
      accounts.accessRules(actor),
    ])
    return { view, rules }
  }

  /** Asks again who the person is: rights may have changed while the list was open. */
  #sendDirectory(window: Window, place: Place): void {
    this.#actor(window, place)
      .then(async actor => {
        const directory = await this.#directory(actor)
        window.connection.send('directory', { ...place, directory })
      })
      .catch((error: unknown) => {
        this.#options.log.debug('directory.not-sent', { error })
        if (!(error instanceof AppError) || error.kind.retryable) return
        // The person may not see this place any more, nor what was in it.
        const name = placeName(place)
        window.watches.get(name)?.()
        window.watches.delete(name)
        window.connection.send('directory', { ...place, directory: { actions: [], pages: [], hosts: 0 } })
        // It connects again, is told why, and leads to where that is mended.
        if (error.code === 'second-factor-required') window.connection.close(1008, error.message)
      })
  }

  // Transactions

  async #start(window: Window, data: Of<'transaction.start'>): Promise<TransactionSnapshot> {
    const actor = await this.#actor(window, data)
    const key = transactionKey(data.transactionId)
    const asker = askerOf(window, actor)
    const { view, rules } = await this.#view(actor)
    const offer = view.action(data.slug, actor, rules)
    const host = offer && this.#next(offer.hosts, actor)
    if (!offer || !host) {
      // It may be running already, on a host that is away for a moment.
      const running = await this.#tryAttach(window, key, placeOf(data), asker)
      if (running) return running
      if (offer) throw new AppError('host-not-found')
      throw view.has('action', data.slug) ? new AppError('not-found') : new Gone()
    }
    if (this.#options.isOutboxFull())
      throw new AppError('queue-full', 'The history cannot take more right now.')
    const { hasClaimed, ...params } = await this.#params(actor, data)
    const start = transactionStart({
      id: data.transactionId as TransactionId,
      actor,
      offer,
      host,
      ...params,
      shownParams: data.params ?? {},
      origin: window.connection.origin,
    })
    const { clock } = this.#options
    const askedAtMs = clock.nowMs()
    let attached: Attached
    try {
      // It may have been started before, and go on while this is asked.
      attached = await this.#readUndisturbed(window, key, () =>
        this.#options.runtime.send<Attached>(key, { type: 'start', start, asker }, inTime),
      )
    } catch (error) {
      // What an earlier try has claimed, that try may have started.
      if (hasClaimed && isRefusal(error, clock.nowMs() - askedAtMs)) await this.#putBack(actor, data)
      throw error
    }
    return this.#attached(window, key, placeOf(data), asker, attached)
  }

  /** What the action is started with: what is asked for, above what waited in the queue. */
  async #params(
    actor: Actor,
    data: Of<'transaction.start'>,
  ): Promise<Pick<TransactionStart, 'params' | 'paramsMeta'> & { readonly hasClaimed: boolean }> {
    const { params = {}, paramsMeta, queueItemId, slug, transactionId } = data
    if (queueItemId === undefined) {
      return {
        hasClaimed: false,
        params,
        ...(paramsMeta !== undefined && { paramsMeta: paramsMeta as Json }),
      }
    }
    const claim = { id: queueItemId, slug, transactionId }
    const waited = await this.#options.accounts.queue.claim(actor, claim)
    const meta = paramsMeta ?? waited.paramsMeta
    return {
      hasClaimed: waited.isNew,
      params: { ...(waited.params as TransactionStart['params'] | null), ...params },
      ...(meta !== null && meta !== undefined && { paramsMeta: meta as Json }),
    }
  }

  /** What waited in the queue waits on: its run was refused, and does not exist. */
  async #putBack(actor: Actor, data: Of<'transaction.start'>): Promise<void> {
    const { queueItemId: id, transactionId } = data
    if (id === undefined) return
    try {
      await this.#options.accounts.queue.release(actor, { id, transactionId })
    } catch (error) {
      // The same run may still claim it, should the person try again.
      this.#options.log.warn('queue.not-released', { item: id, transaction: transactionId, error })
    }
  }

  /** What waits for this person, of the actions that they may run, and what waits for others where they decide that. */
  async #queue(window: Window, place: Place): Promise<{ items: QueueItem[] }> {
    const actor = await this.#actor(window, place)
    const { view, rules } = await this.#view(actor)
    const items: QueueItem[] = []
    const runnable = view.directory(actor, rules).actions.filter(({ viewOnly }) => !viewOnly)
    const names = new Map(runnable.map(({ name, slug }) => [slug, name]))
    for (const item of await this.#options.accounts.queue.list(actor, [...names.keys()])) {
      const { assignee, createdAt, expiresAt, id, slug } = item
      const mine = assignee?.id === actor.user.id
      const others = assignee !== null && !mine ? assignee.email : null
      items.push({ id, slug, name: names.get(slug) ?? slug, mine, others, createdAt, expiresAt })
    }
    return { items }
  }

  /**
   * The newest hosts come last. All that serve the action take turns; in a console the newest takes all, since it is
   * the one the developer has just changed.
   */
  #next<Host>(hosts: readonly Host[], actor: Actor): Host | undefined {
    if (actor.environment.slug === 'development') return hosts.at(-1)
    this.#turn += 1
    return hosts[this.#turn % Math.max(1, hosts.length)]
  }

  async #attach(window: Window, transactionId: string): Promise<TransactionSnapshot> {
    const key = transactionKey(transactionId)
    const { asker, place } = await this.#askerFor(window, key)
    const attached = await this.#readUndisturbed(window, key, () => this.#sendAttach(key, asker))
    return this.#attached(window, key, place, asker, attached)
  }

  async #tryAttach(
    window: Window,
    key: EntityKey,
    place: Place,
    asker: Asker,
  ): Promise<TransactionSnapshot | null> {
    try {
      const attached = await this.#readUndisturbed(window, key, () => this.#sendAttach(key, asker))
      return this.#attached(window, key, place, asker, attached)
    } catch (error) {
      if (error instanceof AppError && error.code === 'not-found') return null
      throw error
    }
  }

  /** Sends the window what it may have missed of something it looks at. Tried again for as long as it looks at it. */
  async refresh(window: Window, key: EntityKey): Promise<void> {
    for (let tries = 0; tries < refreshTriesMax; tries++) {
      const watched = window.attached.get(key)
      if (!watched || window.connection.isClosed) return
      try {
        if (key.startsWith('page:')) await this.#refreshPage(window, key, watched.place)
        else await this.#refreshTransaction(window, key, watched.place)
        return
      } catch (error) {
        if (!(error instanceof AppError) || !error.kind.retryable) {
          this.#options.log.debug('client.not-refreshed', { key, error })
          return
        }
        await pause(this.#options.clock, refreshAgainMs)
      }
    }
  }

  async #refreshTransaction(window: Window, key: EntityKey, place: Place): Promise<void> {
    const asker = runnerOf(window, await this.#actor(window, place))
    const attached = await this.#readUndisturbed(window, key, () =>
      this.#options.runtime.send<Attached | null>(key, { type: 'refresh', asker }, inTime),
    )
    if (attached === null) {
      window.attached.delete(key)
      return
    }
    const { instanceId } = attached
    const hostConnected = this.#watchOver(window, key, instanceId)
    window.connection.send('transaction.snapshot', { ...attached.snapshot, hostConnected })
  }

  async #refreshPage(window: Window, key: EntityKey, place: Place): Promise<void> {
    const asker = runnerOf(window, await this.#actor(window, place))
    const opened = await this.#readUndisturbed(window, key, () =>
      this.#options.runtime.send<PageOpened | null>(key, { type: 'refresh', asker }, inTime),
    )
    if (opened === null) return
    const { instanceId } = opened
    const hostConnected = this.#watchOver(window, key, instanceId)
    window.connection.send('page.snapshot', { ...opened.snapshot, hostConnected })
  }

  /**
   * What is read of an entity may be older than an event of it that has come meanwhile: then it is read again, so that
   * what replaces everything a window has seen is never older than what it has seen.
   */
  async #readUndisturbed<Result>(
    window: Window,
    key: EntityKey,
    read: () => Promise<Result>,
  ): Promise<Result> {
    for (let tries = 1; ; tries++) {
      const reading = { events: 0 }
      window.reading.set(key, reading)
      try {
        const result = await read()
        if (reading.events === 0 || tries >= undisturbedTriesMax) return result
      } finally {
        if (window.reading.get(key) === reading) window.reading.delete(key)
      }
    }
  }

  #sendAttach(key: EntityKey, asker: Asker): Promise<Attached> {
    return this.#send<Attached>(key, { type: 'attach', asker })
  }

  #attached(
    window: Window,
    key: EntityKey,
    place: Place,
    { organizationId }: Asker,
    attached: Attached,
  ): TransactionSnapshot {
    const { instanceId, snapshot } = attached
    window.attached.delete(key)
    window.attached.set(key, { place, organizationId, instanceId })
    this.#letGoOldest(window)
    return { ...snapshot, hostConnected: this.#isHostConnected(key, instanceId) }
  }

  /** A window leaves a run before it starts the next. One that never leaves lets go of the oldest. */
  #letGoOldest(window: Window): void {
    const runs = [...window.attached.keys()].filter(key => key.startsWith('transaction:'))
    for (const key of runs.slice(0, Math.max(0, runs.length - limits.transactionsPerClientMax))) {
      window.attached.delete(key)
      this.#options.runtime
        .send(key, { type: 'client-gone', clientId: window.clientId })
        .catch((error: unknown) => {
          // It finds out by itself, later.
          this.#options.log.debug('client.gone-not-told', { key, error })
        })
    }
  }

  /** True while the host is connected. One may have been bound since the window began to look. */
  #watchOver(window: Window, key: EntityKey, instanceId: InstanceId | null): boolean {
    const watched = window.attached.get(key)
    if (instanceId !== null && (!watched || watched.instanceId === instanceId))
      return this.#options.hosts.isConnected(instanceId)
    if (watched) window.attached.set(key, { ...watched, instanceId })
    return this.#isHostConnected(key, instanceId)
  }

  /** Tells the entity what is known softly, so that it says when that changes. Nobody misses one that is still to come. */
  #isHostConnected(key: EntityKey, instanceId: InstanceId | null): boolean {
    if (instanceId === null) return true
    const connected = this.#options.hosts.isConnected(instanceId)
    const type = connected ? 'host-back' : 'host-gone'
    this.#options.runtime.send(key, { type, instanceId }).catch(() => undefined)
    return connected
  }

  async #leave(window: Window, transactionId: string): Promise<unknown> {
    const key = transactionKey(transactionId)
    const result = await this.#ask(window, transactionId, { type: 'leave' })
    window.attached.delete(key)
    return result
  }

  /** What the owner wants to know of the person's proof of identity is looked up only where it asks for it. */
  async #answer(window: Window, data: Of<'transaction.answer'>): Promise<unknown> {
    const { transactionId, ...answer } = data
    try {
      return await this.#ask(window, transactionId, { type: 'answer', ...answer })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'identity-unproven') throw error
      const { sessionId } = window.connection.identity
      const step = `${transactionId}/${answer.inputGroupKey}`
      const { organizationId } = await this.#currentAsker(window, transactionKey(transactionId))
      const identity = await this.#options.accounts.lastProof(sessionId, step, organizationId)
      if (identity === null) throw error
      const proven = { type: 'answer', ...answer, identity }
      return this.#ask(window, transactionId, proven)
    }
  }

  async #upload(window: Window, data: Of<'transaction.upload'>): Promise<unknown> {
    const asker = await this.#currentAsker(window, transactionKey(data.transactionId))
    const { origin } = window.connection
    return { files: await withGone(() => this.#options.uploads.grant({ ...data, asker, origin })) }
  }

  async #uploaded(window: Window, { transactionId, uploadId }: Of<'transaction.uploaded'>): Promise<unknown> {
    const asker = await this.#currentAsker(window, transactionKey(transactionId))
    await withGone(() => this.#options.uploads.confirm(asker, transactionId, uploadId))
    return {}
  }

  async #ask(window: Window, transactionId: string, message: { type: string }): Promise<unknown> {
    const key = transactionKey(transactionId)
    return this.#send(key, { ...message, asker: await this.#currentAsker(window, key) })
  }

  /** Asked anew each time: rights may have been taken away since the window was opened. */
  async #currentAsker(window: Window, key: EntityKey): Promise<Asker> {
    const place = window.attached.get(key)?.place
    if (place) return runnerOf(window, await this.#actor(window, place))
    return (await this.#askerFor(window, key)).asker
  }

  /** For who may ask this entity: when it says that it is not there, then it has ended. */
  #send<Reply>(key: EntityKey, message: { type: string; asker: Asker }): Promise<Reply> {
    return withGone(() => this.#options.runtime.send<Reply>(key, message, inTime))
  }

  /** Finds out where a transaction is and who this person is there. */
  async #askerFor(window: Window, key: EntityKey): Promise<{ asker: Asker; place: Place }> {
    const located = await this.#options.runtime.send<Located>(key, { type: 'locate' }, inTime)
    if (!located) throw new Gone('There is no such transaction.')
    const actor = await this.#actor(window, located.place)
    if (actor.organization.id !== located.organizationId) {
      throw new AppError('not-found', 'There is no such transaction.')
    }
    return { asker: runnerOf(window, actor), place: located.place }
  }

  // Pages

  async #openPage(window: Window, data: Of<'page.open'>): Promise<PageSnapshot> {
    const actor = await this.#actor(window, data)
    const asker = askerOf(window, actor)
    const key: EntityKey = `page:${data.pageKey}`
    if (!window.attached.has(key) && countPages(window) >= limits.pagesPerClientMax) {
      throw new AppError('too-many-requests', 'Too many pages are open in this window.')
    }
    const { view, rules } = await this.#view(actor)
    const offer = view.page(data.slug, actor, rules)
    if (!offer) throw view.has('page', data.slug) ? new AppError('not-found') : new Gone()
    const host = this.#next(offer.hosts, actor)
    const requests = host && requestsFor(host, offer.hosts)
    const page: PageStart = {
      pageKey: data.pageKey as PageKey,
      organizationId: actor.organization.id,
      environmentId: actor.environment.id,
      userId: actor.user.id,
      slug: data.slug,
      instanceId: host?.instanceId ?? noHost,
      ...(requests && { http: { requests, call: openCall(actor, data, host) as unknown as Json } }),
    }
    const opened = await this.#options.runtime.send<PageOpened>(key, { type: 'open', page, asker }, inTime)
    if (opened.isNew && !host) {
      // A page that was open goes on with the host it has, connected or not; a new one needs a host.
      await this.#options.runtime.send(key, { type: 'failed' }, inTime)
      throw new AppError('host-not-found')
    }
    window.attached.set(key, {
      place: placeOf(data),
      organizationId: actor.organization.id,
      instanceId: opened.instanceId,
    })
    if (opened.isNew && host) await this.#openOnHost(window, key, actor, data, host)
    return { ...opened.snapshot, hostConnected: this.#isHostConnected(key, opened.instanceId) }
  }

  async #openOnHost(
    window: Window,
    key: EntityKey,
    actor: Actor,
    data: Of<'page.open'>,
    host: { instanceId: InstanceId; sdkName: string; sdkVersion: string },
  ): Promise<void> {
    try {
      const call = openCall(actor, data, host)
      const answer = await this.#options.hosts.call(host.instanceId, 'OPEN_PAGE', call)
      if (answer.type === 'ERROR')
        throw new AppError('host-not-found', answer.message ?? 'The host could not open this page.')
      await this.#options.runtime.send(key, { type: 'opened' }, inTime)
    } catch (error) {
      window.attached.delete(key)
      await this.#options.runtime.send(key, { type: 'failed' }).catch(() => undefined)
      throw error
    }
  }

  #setPageState(window: Window, data: Of<'page.setState'>): Promise<unknown> {
    const { pageKey, ...state } = data
    return this.#askPage(window, pageKey, { type: 'set-state', ...state })
  }

  async #leavePage(window: Window, pageKey: string): Promise<unknown> {
    const result = await this.#askPage(window, pageKey, { type: 'leave' })
    window.attached.delete(`page:${pageKey}`)
    return result
  }

  async #askPage(window: Window, pageKey: string, message: { type: string }): Promise<unknown> {
    const key: EntityKey = `page:${pageKey}`
    const place = window.attached.get(key)?.place
    if (!place) throw new Gone('This page is not open in this window.')
    const asker = runnerOf(window, await this.#actor(window, place))
    return this.#send(key, { ...message, asker })
  }

  #actor(window: Window, place: Place): Promise<Actor> {
    return this.#options.accounts.actor(
      window.connection.identity.user.id,
      place.organization,
      place.environment,
    )
  }
}

/**
 * Everything that exists is named by an id nobody guesses, or by a slug the person was shown. So whoever asks for
 * something that is there, but not for them, is worth a row.
 */
function isDenial(error: AppError): boolean {
  return error.code === 'forbidden' || (error.code === 'not-found' && !(error instanceof Gone))
}

/** For who may ask: what is not there has ended. */
async function withGone<Result>(ask: () => Promise<Result>): Promise<Result> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof AppError && error.code === 'not-found') throw new Gone(error.message)
    throw error
  }
}

/**
 * True when it was certainly not carried out. After a `timeout`, or where a node is away, it may have been; so it may
 * where its copies were found to be away only after it had been taken: then it is carried out when they are back.
 */
function isRefusal(error: unknown, tookMs: number): boolean {
  if (!(error instanceof AppError)) return false
  if (error.code === 'copies-away' || error.code === 'isolated') return tookMs < limits.copiesAwayMsMax / 2
  return !error.kind.retryable || error.code === 'queue-full' || error.code === 'storage-full'
}

/** Stands for a host in a page that turns out not to be open yet, and goes no further. */
const noHost = 'none' as InstanceId

const transactionKey = (id: string): EntityKey => `transaction:${id}`
const placeName = (place: Place): string => `${place.organization}+${place.environment}`

function countPages(window: Window): number {
  let count = 0
  for (const key of window.attached.keys()) if (key.startsWith('page:')) count += 1
  return count
}

/** In the console everybody has a directory of their own. */
function directoryOf(actor: Actor): EntityKey {
  const isConsole = actor.environment.slug === 'development'
  return directoryKey(actor.environment.id, isConsole ? actor.user.id : null)
}

const placeOf = ({ organization, environment }: Place): Place => ({ organization, environment })

/** Who may go on with what they have started: whoever may still run actions here. */
function runnerOf(window: Window, actor: Actor): Asker {
  const isConsole = actor.environment.slug === 'development'
  if (!actor.permissions.has(isConsole ? 'RUN_DEV_ACTIONS' : 'RUN_PROD_ACTIONS'))
    throw new AppError('forbidden')
  return askerOf(window, actor)
}

function askerOf(window: Window, actor: Actor): Asker {
  return {
    clientId: window.clientId,
    userId: actor.user.id,
    organizationId: actor.organization.id,
  }
}

/** What a host is told to open a page. */
function openCall(
  actor: Actor,
  data: Of<'page.open'>,
  host: { sdkName: string; sdkVersion: string },
): OpenPageInputs {
  const { email, firstName, lastName } = actor.user
  return {
    pageKey: data.pageKey,
    page: { slug: data.slug },
    environment: new SdkVersion(host.sdkName, host.sdkVersion).environmentFor(actor.environment.slug),
    user: { email, firstName, lastName, role: actor.role, teams: [...actor.teams] },
    params: data.params ?? {},
    ...(data.paramsMeta !== undefined && { paramsMeta: data.paramsMeta }),
  }
}
