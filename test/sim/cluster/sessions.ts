/**
 * Hosts and browsers of a simulated cluster: model processes outside of all faults, and on every node the real edges that
 * they connect to.
 *
 * Holds I5 and I6: per render one accepted answer, processed once unless its confirmation was lost, never shown again once
 * taken; and no promise of a host unsettled ten seconds after the last fault. Rules of the edges can be switched off here,
 * by what is put between an edge and its runtime.
 */
import { randomUUID } from 'node:crypto'
import { type ClientIdentity, type HostIdentity, noStoredRules } from '../../../lib/accounts/index.js'
import { Clients, type ClientsOptions } from '../../../lib/clients/index.js'
import { protocolVersion } from '../../../lib/clients/wire.js'
import { AppError } from '../../../lib/errors.js'
import { Directories, directoryKey, directoryKind, Hosts, hostKind } from '../../../lib/hosts/index.js'
import type { EntityKey, InstanceId } from '../../../lib/ids.js'
import type { Log } from '../../../lib/log.js'
import type { EntityMessage, SendOptions } from '../../../lib/partitions/contract.js'
import type { Partitions } from '../../../lib/partitions/index.js'
import { transactionKind } from '../../../lib/transactions/index.js'
import { ModelBrowser } from './model-browser.js'
import { ModelHost } from './model-host.js'
import type { SimRulesOff } from './rules.js'
import { type LineEnd, SimLine } from './sim-line.js'
import type { Life, World } from './world.js'

const organization = { id: 'organization-1', slug: 'org', name: 'Org' }
const environment = { id: 'environment-1', slug: 'production', name: 'Production' }
const user = { id: 'person-1', email: 'ann@example.com', firstName: null, lastName: null }
const hostIdentity = {
  apiKeyId: 'key-1',
  kind: 'PRODUCTION',
  organization,
  environment,
  user,
} as unknown as HostIdentity
const clientIdentity = { sessionId: 'session-1', user } as unknown as ClientIdentity

/** A browser opens its connection within so long. */
const openMsMax = 10

/** How those ask who can be told to try again. */
const asBrowsers = { deadlineMs: 2_000, isRefusable: true }

/** What nodes offer to hosts and browsers. */
export interface SessionNode {
  /** Lets a host in, or refuses it; both within some time, or never when the node dies. */
  admitHost(host: ModelHost, end: LineEnd, opened: (line: SimLine) => void, refused: () => void): void
  admitBrowser(end: LineEnd): SimLine
}

export interface SessionsOptions {
  readonly world: World
  readonly rulesOff: SimRulesOff
  /** The process takes connections. */
  isReady(life: Life): boolean
}

export class Sessions {
  readonly world: World
  readonly protocol = protocolVersion
  readonly place = { organization: organization.slug, environment: environment.slug }
  readonly slug = 'act'
  readonly hosts: readonly ModelHost[]
  /** Of everything that sessions write to. */
  readonly keys: readonly EntityKey[]
  readonly #rulesOff: SimRulesOff
  readonly #nodes = new Map<Life, SessionNode>()
  readonly #lines = new Set<SimLine>()
  readonly #browsers: ModelBrowser[] = []
  /** When the confirmation of an answer was on disk, by its id. */
  readonly #confirmed = new Map<string, number>()
  readonly #waiting: string[] = []
  /** Renders that hosts have sent. */
  readonly #renders = new Set<string>()
  readonly #isReady: (life: Life) => boolean

  constructor({ isReady, rulesOff, world }: SessionsOptions) {
    this.world = world
    this.#rulesOff = rulesOff
    this.#isReady = isReady
    const { random } = world
    this.hosts = Array.from(
      { length: 1 + random.below(2) },
      () => new ModelHost(this, randomUUID() as InstanceId),
    )
    this.#waiting.push(...Array.from({ length: 2 + random.below(5) }, () => randomUUID()))
    this.keys = [
      directoryKey(environment.id, null),
      ...this.#waiting.map((id): EntityKey => `transaction:${id}`),
      ...this.hosts.map(({ instanceId }): EntityKey => `host:${instanceId}`),
    ]
  }

  /** Hosts connect, and people begin to work. */
  begin(): void {
    for (const host of this.hosts) host.begin()
    for (let people = 1 + this.world.random.below(3); people > 0; people -= 1) void this.#person()
  }

  problem(text: string): void {
    this.world.problem(text)
  }

  anyNode(): SessionNode | undefined {
    const ready = [...this.#nodes].filter(([life]) => this.#isReady(life))
    return ready.length > 0 ? this.world.random.pick(ready)[1] : undefined
  }

  /** A connection of somebody's breaks. */
  breakAny(): void {
    const open = [...this.#lines].filter(line => line.isOpen)
    if (open.length === 0) return
    this.world.count('sockets broken', 1)
    this.world.random.pick(open).break()
  }

  /** Infinite when it is not. */
  confirmedAtMs(deliveryId: string): number {
    return this.#confirmed.get(deliveryId) ?? Number.POSITIVE_INFINITY
  }

  /** Starts one run after another, until there are no more. */
  async #person(): Promise<void> {
    for (;;) {
      const id = this.#waiting.shift()
      if (id === undefined) return
      const browser = new ModelBrowser(this, id)
      this.#browsers.push(browser)
      while (!browser.isDone && !this.#isUnknown(id)) await this.world.wait(50)
      browser.leave()
    }
  }

  get isDone(): boolean {
    return (
      this.#waiting.length === 0 &&
      this.#browsers.every(({ isDone, run }) => isDone && this.hosts.some(host => host.isDone(run)))
    )
  }

  #isUnknown(run: string): boolean {
    return this.hosts.some(host => host.isUnknown(run))
  }

  /** I6, ten seconds after the last fault. */
  checkSettled(faultMs: number): void {
    for (const host of this.hosts) {
      if (!host.isReady) this.problem('I6: a host is not connected 10 s after the last fault')
      for (const call of host.unsettled(faultMs))
        this.problem(`I6: a host's promise is not settled 10 s after the last fault: ${call}`)
    }
  }

  /** In the end, when all has gone on: what was taken has come to the host, as it was. */
  check(): void {
    const { world } = this
    world.count('runs of hosts', this.#browsers.length)
    world.count(
      'answers taken',
      this.#browsers.reduce((sum, { taken }) => sum + taken.size, 0),
    )
    for (const { isDone, run, situation, taken } of this.#browsers) {
      const hosts = this.hosts.map(host => host.situation(run)).join('; ')
      if (this.#isUnknown(run)) world.count('results unknown', 1)
      else if (!isDone) this.problem(`I6: the window of ${run} was not told its end: ${situation}; ${hosts}`)
      if (!this.hosts.some(host => host.isDone(run)))
        this.problem(`I6: the run ${run} has not ended: ${hosts}`)
      for (const [render, value] of taken) {
        const got = this.hosts.map(host => host.processed(render)).find(found => found !== undefined)
        if (got !== value) this.problem(`I5: ${value} was taken for ${render}, the host was told ${got}`)
      }
    }
  }

  // --- nodes ---

  /** Before the start of a node: its kinds and its edges. */
  open(life: Life, partitions: Partitions, log: Log): void {
    const { world } = this
    partitions.register(transactionKind)
    partitions.register(hostKind)
    partitions.register(directoryKind)
    const runtime = this.#between(partitions)
    const directories: { current?: Directories } = {}
    const hosts = new Hosts({
      runtime,
      clock: life.clock,
      log,
      directories: () => directories.current as Directories,
      foreignInstance: () => this.problem('a host was taken for another'),
      denied: (_connection, id) => this.problem(`a host was denied ${id}`),
      dashboardUrl: () => 'http://localhost',
      unknownTeams: async () => [],
      notify: async () => true,
      declared: () => undefined,
    })
    directories.current = new Directories(partitions, instanceId => hosts.isConnected(instanceId))
    const actor = {
      user,
      role: 'admin',
      permissions: new Set(['RUN_PROD_ACTIONS']),
      teams: [],
      organization,
      environment,
    }
    const clients = new Clients({
      runtime: partitions,
      accounts: {
        actor: async () => actor,
        accessRules: async () => noStoredRules,
        audit: () => undefined,
        lookedAt: () => undefined,
        onRightsChanged: () => () => undefined,
      },
      hosts,
      directories: directories.current,
      uploads: {},
      clock: life.clock,
      log,
      build: 'simulated',
      isOutboxFull: () => partitions.outboxFull,
    } as unknown as ClientsOptions)
    this.#nodes.set(life, {
      admitHost: (host, end, opened, refused) => {
        const admit = () => {
          hosts.prepare(host.instanceId, hostIdentity).then(
            () => {
              if (life.isDead) return
              const line = this.#line(life, end)
              hosts.accept(line.ends.socket, line.ends.stream, host.instanceId, hostIdentity)
              opened(line)
            },
            () => world.schedule(world.random.next() * openMsMax, refused),
          )
        }
        world.schedule(world.random.next() * openMsMax, admit, life, true)
        life.onEnd(() => world.schedule(world.random.next() * openMsMax, refused))
      },
      admitBrowser: end => {
        const line = this.#line(life, end)
        const from = { address: '127.0.0.1', origin: 'http://localhost' }
        const { socket, stream } = line.ends
        world.schedule(0, () => clients.accept(socket, stream, clientIdentity, from), life, true)
        return line
      },
    })
    life.onEnd(() => this.#nodes.delete(life))
  }

  #line(life: Life, end: LineEnd): SimLine {
    const line = new SimLine(this.world, life, end)
    this.#lines.add(line)
    line.once('close', () => this.#lines.delete(line))
    life.onEnd(() => this.#lines.delete(line))
    return line
  }

  /** What hosts' edges say to entities: looked at, and changed by the rules that are off. */
  #between(partitions: Partitions): Partitions {
    const off = this.#rulesOff
    const send = async <Reply>(
      key: EntityKey,
      message: EntityMessage,
      options?: SendOptions,
    ): Promise<Reply> => {
      const said = message as {
        type: string
        call?: { id: string }
        delivered?: readonly string[]
        deliveryId?: string
      }
      const isRefused = off.held && key.startsWith('transaction:')
      const changed = off.renders ? this.#unknown(said) : message
      let reply: Reply
      try {
        reply = await partitions.send<Reply>(key, changed, isRefused ? asBrowsers : options)
      } catch (error) {
        throw isRefused ? new AppError('forbidden') : error
      }
      if (said.type === 'answer-delivered' && said.deliveryId) this.#confirm(said.deliveryId)
      for (const id of said.delivered ?? []) this.#confirm(id)
      return off.settled && said.type === 'attach' ? { ...reply, previousFirstRpcId: null } : reply
    }
    return Object.assign(Object.create(partitions) as Partitions, { send })
  }

  #confirm(deliveryId: string): void {
    if (!this.#confirmed.has(deliveryId)) this.#confirmed.set(deliveryId, this.world.nowMs)
  }

  /** A repeat of a render is taken for a new one. */
  #unknown(said: { readonly type: string; readonly call?: { readonly id: string } }): EntityMessage {
    if (said.type !== 'io-call' || !said.call) return said
    const isKnown = this.#renders.has(said.call.id)
    this.#renders.add(said.call.id)
    return isKnown ? { ...said, call: { ...said.call, id: randomUUID() } } : said
  }
}
