/**
 * One run: a cluster of three to seven nodes, clients that talk to any of them, faults of the kinds this seed chose, an
 * end in peace, and the check. A seed repeats the run exactly.
 */
import type { EntityKey } from '../../../lib/ids.js'
import type { Configuration } from '../../../lib/partitions/configuration.js'
import { failurePointNames, partitionOf } from '../../../lib/partitions/index.js'
import { allPartitions, type PartitionId } from '../../../lib/ring/index.js'
import { History } from './history.js'
import type { AppendMessage, AppendReply, ListMessage, ListState } from './list-kind.js'
import type { SimRulesOff } from './rules.js'
import { seedIds } from './seeded-ids.js'
import { Sessions } from './sessions.js'
import { clockOffMs, type Placements, SimCluster, type SimNode } from './sim-cluster.js'
import { World } from './world.js'

export interface SeedOptions {
  readonly seed: number
  readonly placements: Placements
  readonly rulesOff?: SimRulesOff
  /** Probability that a message between nodes arrives twice. */
  readonly duplicates?: number
}

export interface SeedResult {
  readonly problems: readonly string[]
  readonly acked: number
  readonly read: number
  readonly crashes: number
  readonly faults: ReadonlyMap<string, number>
  /** What happened beside the faults that were chosen: writes lost, messages doubled. */
  readonly counts: ReadonlyMap<string, number>
  readonly events: number
  readonly virtualMs: number
  /** Of everything that was answered, all that happened and all that was drawn: equal when a run is repeated. */
  readonly digest: string
}

/** Kinds of faults, and how likely each is in a run that has it. */
const faultKinds = [
  'crash',
  'crash-in-write',
  'trap',
  'wipe',
  'crash-all',
  'cut',
  'cut-one-way',
  'split',
  'isolate',
  'heal',
  'pause',
  'reset',
  'away',
  'away-from-one',
  'loss',
  'slow',
  'clock',
  'leave',
  'full-disk',
  'rewind',
] as const

type FaultKind = (typeof faultKinds)[number]

/** Every so many seeds all partitions have rows. */
const fullEvery = 50
/** Every so many seeds, the first among them, there are hosts and browsers too. */
export const sessionsEvery = 5
/** How long a promise of a host may be unsettled after the last fault. */
const settledMsMax = 10_000
/** How long people and actions may take to come to their ends when nothing is in their way. */
const finishedMsMax = 40_000
/** How long it may take until there are as many copies as there should be when nothing is in the way. */
const restoredMsMax = 30_000

export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const unseed = seedIds(options.seed)
  const run = new Run(options)
  await run.all().finally(unseed)
  const { cluster, faults, history, world } = run
  return {
    problems: world.problems,
    acked: history.acked,
    read: history.read,
    crashes: cluster.crashes,
    faults,
    counts: world.counts,
    events: world.events,
    virtualMs: world.nowMs,
    digest: [history.digest, world.events, world.random.next()].join(),
  }
}

class Run {
  readonly world: World
  readonly cluster: SimCluster
  readonly history: History
  readonly keys: readonly EntityKey[]
  readonly faults = new Map<string, number>()
  readonly #kinds: readonly FaultKind[]
  #nextId = 0
  readonly #factor: number
  readonly #sessions: Sessions | undefined
  #isPeaceful = false
  /** The rows as they were in a backup of the database. */
  #backup: ReadonlyMap<PartitionId, Configuration> | undefined
  #clientsLeft = 0
  #areClientsWanted = true

  constructor({ duplicates, placements, rulesOff, seed }: SeedOptions) {
    this.world = new World(seed)
    const { random } = this.world
    const nodes = random.pick([3, 3, 3, 4, 5, 7])
    const factor = random.pick([2, 2, 3])
    this.keys = Array.from({ length: 3 + random.below(4) }, (): EntityKey => `list:${random.below(100_000)}`)
    this.#factor = Math.min(factor, nodes)
    this.#sessions =
      seed % sessionsEvery === 1
        ? new Sessions({
            world: this.world,
            rulesOff: rulesOff ?? {},
            isReady: life => this.cluster.nodes.some(node => node.life === life && node.isReady),
          })
        : undefined
    const keys = [...this.keys, ...(this.#sessions?.keys ?? [])]
    const partitions: readonly PartitionId[] =
      seed % fullEvery === 0 ? allPartitions() : [...new Set(keys.map(key => partitionOf(key)))]
    this.cluster = new SimCluster({
      world: this.world,
      nodes,
      factor,
      partitions,
      placements,
      ...(rulesOff && { rulesOff }),
    })
    this.cluster.sessions = this.#sessions
    this.cluster.network.duplicates = duplicates ?? 0
    this.history = new History(this.cluster, this.keys)
    this.#kinds = faultKinds.filter(kind => kind === 'heal' || random.chance(0.4))
  }

  async all(): Promise<void> {
    const { cluster, world } = this
    const [first] = cluster.nodes
    if (!first) return
    cluster.start(first)
    if (!(await world.run(20_000, () => first.isReady))) world.problem('the first node does not start')
    for (const node of cluster.nodes) cluster.start(node)
    await world.run(2_000)
    this.#sessions?.begin()
    for (let client = 2 + world.random.below(4); client > 0; client -= 1) {
      this.#clientsLeft += 1
      void this.#client().then(() => {
        this.#clientsLeft -= 1
      })
    }
    const untilMs = world.nowMs + 3_000 + world.random.below(6_000)
    const pace = 100 + world.random.below(1_500)
    while (world.nowMs < untilMs && world.problems.length === 0) {
      await world.run(world.random.next() * pace)
      if (this.#sessions && world.random.chance(0.4)) this.#sessions.breakAny()
      const kind = world.random.pick(this.#kinds)
      if (kind === 'rewind') await this.#rewind()
      else this.#fault(kind)
    }
    this.#peace()
    const faultMs = world.nowMs
    await world.run(5_000)
    this.#areClientsWanted = false
    await this.#checkWritable()
    await world.run(10_000, () => this.#clientsLeft === 0)
    await this.#checkSessions(faultMs)
    if (world.problems.length > 0) return
    if (!(await world.run(3_000, () => cluster.nodes.every(node => node.isReady)))) {
      world.problem(`nodes do not start: ${cluster.nodes.map(node => `${node.id} ${node.isReady}`).join()}`)
    }
    if (!(await this.#becomesQuiet())) world.problem('effects or history do not come to an end')
    if (!(await world.run(restoredMsMax, () => this.#areCopiesRestored())))
      world.problem('rule 8: partitions have fewer copies than they should when all nodes are there')
    await this.#checkEnd()
  }

  async #checkSessions(faultMs: number): Promise<void> {
    const { world } = this
    const sessions = this.#sessions
    if (!sessions) return
    await world.run(Math.max(0, faultMs + settledMsMax - world.nowMs))
    sessions.checkSettled(faultMs)
    await world.run(finishedMsMax, () => sessions.isDone)
    sessions.check()
  }

  #areCopiesRestored(): boolean {
    const { configurations, ids } = this.cluster
    return ids.every(partition => 1 + (configurations.row(partition)?.replicas.length ?? 0) >= this.#factor)
  }

  // --- faults ---

  #fault(kind: Exclude<FaultKind, 'rewind'>): void {
    const { cluster, world } = this
    const { random } = world
    const alive = cluster.nodes.filter(node => node.isAlive)
    const [one, other] = [random.pick(cluster.nodes), random.pick(cluster.nodes)]
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
    switch (kind) {
      case 'crash':
        if (alive.length > 1 || random.chance(0.3)) this.#crash(one)
        return
      case 'crash-in-write':
        this.#crashInWrite(one, 1_000)
        return
      case 'trap':
        one.trap = { name: random.pick(failurePointNames), left: 1 + random.below(5) }
        world.schedule(random.pick([300, 5_000]), () => this.#startAgain(one))
        return
      case 'crash-all':
        if (random.chance(0.7)) return
        for (const node of alive) this.#crash(node)
        return
      case 'wipe':
        if (!cluster.mayWipe(one)) return
        cluster.crash(one)
        cluster.wipe(one)
        world.schedule(random.next() * 3_000, () => this.#startAgain(one))
        return
      case 'cut':
      case 'cut-one-way':
        if (one === other) return
        cluster.network.cut(one.id, other.id)
        if (kind === 'cut') cluster.network.cut(other.id, one.id)
        world.schedule(random.next() * 6_000, () => cluster.network.heal())
        return
      case 'split': {
        const side = new Set(cluster.nodes.filter(() => random.chance(0.5)))
        for (const a of cluster.nodes) {
          for (const b of cluster.nodes) if (side.has(a) !== side.has(b)) cluster.network.cut(a.id, b.id)
        }
        world.schedule(random.next() * 8_000, () => cluster.network.heal())
        return
      }
      case 'isolate': {
        // From nodes and Postgres, not from clients: it does not know that it was replaced.
        for (const node of cluster.nodes) {
          if (node === one) continue
          cluster.network.cut(one.id, node.id)
          cluster.network.cut(node.id, one.id)
        }
        cluster.configurations.faults.awayFrom.add(one.id)
        world.schedule(2_000 + random.next() * 4_000, () => {
          cluster.configurations.faults.awayFrom.delete(one.id)
          cluster.network.heal()
        })
        return
      }
      case 'heal':
        cluster.network.heal()
        return
      case 'pause':
        cluster.pause(one)
        world.schedule(random.next() * random.pick([200, 2_000, 6_000]), () => cluster.resume(one))
        return
      case 'reset':
        cluster.network.resetAny()
        return
      case 'away':
        cluster.configurations.faults.isAway = true
        world.schedule(random.next() * 4_000, () => {
          cluster.configurations.faults.isAway = false
        })
        return
      case 'away-from-one':
        cluster.configurations.faults.awayFrom.add(one.id)
        world.schedule(random.next() * 6_000, () => cluster.configurations.faults.awayFrom.delete(one.id))
        return
      case 'loss':
        cluster.configurations.faults.loss = random.next() * 0.5
        return
      case 'full-disk':
        // Every write fails: the process ends, and cannot start before there is room.
        one.isFull = true
        world.schedule(random.next() * 4_000, () => {
          one.isFull = false
        })
        return
      case 'leave':
        if (alive.length === 1) return
        cluster.leave(one)
        world.schedule(random.next() * 8_000, () => this.#startAgain(one))
        return
      case 'clock':
        // The wall clock steps: nothing of this life sees it, the next one starts with it.
        // Hosts and browsers are lost to nodes that find an hour gone, and nobody to ask.
        one.offsetMs = random.pick(this.#sessions ? [-300, 300] : [-3_600_000, -300, 300, 3_600_000])
        if (random.chance(0.7) && alive.length > 1) this.#crash(one)
        world.schedule(6_000 + random.next() * 3_000, () => {
          one.offsetMs = random.below(2 * clockOffMs) - clockOffMs
        })
        return
      case 'slow':
        cluster.network.delayMsMax = random.pick([1, 2, 10, 50])
    }
  }

  /**
   * Postgres is set back to a backup, with the nodes up or down, and an operator adopts what stands. All of them can be
   * reached meanwhile: a node alone with an old row cannot know better.
   */
  async #rewind(): Promise<void> {
    const { cluster, world } = this
    const { random } = world
    if (!this.#backup || random.chance(0.2)) {
      this.#backup = new Map(cluster.configurations.truth.rows)
      return
    }
    this.faults.set('rewind', (this.faults.get('rewind') ?? 0) + 1)
    this.#calm()
    // Who lives has read the newest rows.
    await world.run(2_000)
    cluster.configurations.setBack(this.#backup)
    this.#backup = undefined
    const alive = cluster.nodes.filter(node => node.isAlive)
    const isEverybody = random.chance(0.4)
    if (isEverybody) for (const node of alive) cluster.crash(node)
    else if (alive.length > 1 && random.chance(0.5)) cluster.crash(random.pick(alive))
    if (!isEverybody) await world.run(random.next() * 4_000)
    const areReady = () => cluster.nodes.every(node => node.isReady)
    for (let left = 40; left > 0; left -= 1) {
      this.#calm()
      for (const node of cluster.nodes) this.#startAgain(node)
      await world.run(1_000)
      if (!areReady()) continue
      await world.run(2_500)
      const standing = cluster.nodes.filter(node => (node.partitions?.cluster?.rewound ?? 0) > 0)
      if (areReady() && standing.length === 0) return
      for (const { life, partitions } of standing) {
        world.schedule(0, () => void partitions?.cluster?.adopt(true).catch(() => undefined), life)
        await world.run(1_500)
      }
    }
    world.problem('partitions whose rows were set back still stand after an operator adopted them')
  }

  /** Nothing is in the way of anybody, but who is dead stays dead. */
  #calm(): void {
    const { cluster } = this
    cluster.configurations.faults.isAway = false
    cluster.configurations.faults.awayFrom.clear()
    cluster.configurations.faults.loss = 0
    cluster.network.delayMsMax = 2
    cluster.network.heal()
    for (const node of cluster.nodes) {
      node.trap = undefined
      node.isFull = false
      cluster.resume(node)
    }
  }

  #crash(node: SimNode): void {
    this.cluster.crash(node)
    const { random } = this.world
    this.world.schedule(random.next() * random.pick([30, 1_000, 5_000]), () => this.#startAgain(node))
  }

  /** Dies in the middle of a write, when others may have what its own disk has not, and is back before they notice. */
  #crashInWrite(node: SimNode, triesLeft: number): void {
    if (triesLeft === 0 || !node.isReady) return
    if (node.disk?.isWriting) {
      this.cluster.crash(node)
      this.world.schedule(this.world.random.next() * 30, () => this.#startAgain(node))
    } else this.world.schedule(0.4, () => this.#crashInWrite(node, triesLeft - 1))
  }

  #startAgain(node: SimNode): void {
    // One that is just leaving is started when it has left.
    if (node.isAlive && node.isLeaving) this.world.schedule(100, () => this.#startAgain(node))
    if (!node.isAlive) this.cluster.start(node)
  }

  #peace(): void {
    const { cluster } = this
    this.#isPeaceful = true
    this.#calm()
    for (const node of cluster.nodes) {
      // One that is just leaving takes its partitions along for some seconds, as the only copy perhaps.
      if (node.isLeaving) cluster.crash(node)
      this.#startAgain(node)
    }
  }

  // --- clients ---

  async #client(): Promise<void> {
    const { keys, world } = this
    const { random } = world
    while (this.#areClientsWanted) {
      await world.wait(random.next() * (this.#isPeaceful ? 1_000 : 150))
      const key = random.pick(keys)
      if (random.chance(0.35)) await this.#read(key)
      else await this.#append(key, random.chance(0.75))
    }
  }

  #message(key: EntityKey): AppendMessage {
    const { random } = this.world
    const id = `i${this.#nextId++}`
    const others = this.keys.filter(other => other !== key)
    const wakeInMs = random.below(1_500)
    const message: AppendMessage = {
      type: 'append',
      id,
      ...(random.chance(0.15) && others.length > 0 && { other: random.pick(others) }),
      ...(random.chance(0.1) && { wakeInMs }),
    }
    this.history.sent(key, message)
    return message
  }

  async #append(key: EntityKey, isRepeated: boolean): Promise<void> {
    const message = this.#message(key)
    for (let tries = isRepeated ? 6 : 1; tries > 0 && this.#areClientsWanted; tries -= 1) {
      const node = this.#anyNode()
      const reply = node && (await this.#ask<AppendReply>(node, key, message))
      if (reply) return this.history.appended(key, message.id, reply.index, node.id)
      await this.world.wait(this.world.random.next() * 300)
    }
  }

  async #read(key: EntityKey): Promise<void> {
    const floor = this.history.floor(key)
    const node = this.#anyNode()
    const state = node && (await this.#ask<ListState>(node, key, { type: 'read' }))
    if (state) this.history.was(key, state, floor, node.id)
  }

  #anyNode(): SimNode | undefined {
    const ready = this.cluster.nodes.filter(node => node.isReady)
    return ready.length > 0 ? this.world.random.pick(ready) : undefined
  }

  /** The answer; undefined when there is none in time, an error, or the node died. */
  async #ask<Reply>(
    node: SimNode,
    key: EntityKey,
    message: ListMessage,
    deadlineMs = 2_000,
  ): Promise<Reply | undefined> {
    const { world } = this
    const { life, partitions } = node
    return await new Promise<Reply | undefined>(resolve => {
      const timer = world.schedule(deadlineMs + 500, () => resolve(undefined))
      const done = (reply: Reply | undefined) => {
        if (life?.isDead) return
        timer.cancel()
        resolve(reply)
      }
      const ask = () => {
        partitions?.send<Reply>(key, message, { deadlineMs }).then(done, () => done(undefined))
      }
      world.schedule(0, ask, life)
    })
  }

  // --- the end ---

  /** I9: every partition with a member that lives takes writes, through any node. */
  async #checkWritable(): Promise<void> {
    const { cluster, world } = this
    let open = 0
    for (const key of this.keys) {
      const row = cluster.configurations.row(partitionOf(key))
      const members = row ? [row.owner, ...row.replicas] : []
      if (!members.some(store => cluster.nodeOf(store)?.isAlive)) continue
      for (const node of cluster.nodes) {
        // One that waits for the members of its rows takes up to 5 s more; the partition must be writable through others.
        if (!node.isReady) continue
        const message = this.#message(key)
        open += 1
        void this.#ask<AppendReply>(node, key, message, 1_500).then(reply => {
          open -= 1
          if (reply) this.history.appended(key, message.id, reply.index, node.id)
          else {
            world.problem(
              `I9: ${key} (partition ${partitionOf(key)}) takes no write through ${node.id}: ${JSON.stringify(this.#situation(key))}`,
            )
          }
        })
      }
    }
    await world.run(4_000, () => open === 0)
  }

  #situation(key: EntityKey): object {
    const { cluster } = this
    const row = cluster.configurations.row(partitionOf(key))
    return {
      epoch: row?.epoch,
      owner: row && cluster.nodeOf(row.owner)?.id,
      replicas: row?.replicas.map(store => cluster.nodeOf(store)?.id),
      alive: cluster.nodes.map(node => `${node.id}${node.isReady ? '' : ' not ready'}`),
      seen: cluster.nodes.map(node => {
        const status = node.partitions?.cluster?.status().find(entry => entry.partition === partitionOf(key))
        return status && `${status.epoch} ${status.owner} ${status.serving} ${status.seq} ${status.lag}`
      }),
    }
  }

  async #becomesQuiet(): Promise<boolean> {
    const { cluster, world } = this
    for (let left = 240; left > 0; left -= 1) {
      await world.run(250)
      if (left < 236 && cluster.nodes.every(node => this.#isQuiet(node))) return true
    }
    return false
  }

  #isQuiet(node: SimNode): boolean {
    const stats = node.partitions?.stats()
    if (!stats || stats.effectsInMemory > 0 || stats.outboxRows > 0 || stats.commitQueueBytes > 0)
      return false
    // A node that had nobody to ask when its clock was wrong by an hour has set alarms an hour off: they may remain.
    const isWaitedFor = this.cluster.excusedMs > 10 * clockOffMs ? /\n[fo]\// : /\n(?:[fo]\/|a\/[^ ]*list:)/
    return this.cluster.ids.every(partition => {
      const row = this.cluster.configurations.row(partition)
      return row?.owner !== node.storeId || !isWaitedFor.test(this.cluster.content(node, partition))
    })
  }

  async #checkEnd(): Promise<void> {
    const { cluster, keys, world } = this
    const final = new Map<EntityKey, readonly string[]>()
    for (const key of keys) {
      const row = cluster.configurations.row(partitionOf(key))
      const owner = row && cluster.nodeOf(row.owner)
      if (!row || !owner) continue
      let state: ListState | undefined
      let isOver = false
      void this.#ask<ListState>(owner, key, { type: 'read' }).then(reply => {
        state = reply
        isOver = true
      })
      await world.run(3_000, () => isOver)
      if (!state) world.problem(`${key} cannot be read in the end`)
      else final.set(key, state.ids)
    }
    this.history.check(final)
    for (const partition of cluster.ids) {
      const row = cluster.configurations.row(partition)
      const owner = row && cluster.nodeOf(row.owner)
      if (!row || !owner) continue
      const content = cluster.content(owner, partition)
      for (const store of row.replicas) {
        const node = cluster.nodeOf(store)
        if (!node || cluster.content(node, partition) === content) continue
        world.problem(`I2: the copies of partition ${partition} on ${owner.id} and ${node.id} differ at rest`)
      }
    }
    for (const node of cluster.nodes) {
      const damages = node.partitions?.stats().damages ?? []
      if (damages.length > 0) world.problem(`${node.id} found damage: ${JSON.stringify(damages.slice(0, 2))}`)
    }
  }
}
