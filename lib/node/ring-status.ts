/**
 * What the nodes of a cluster say of themselves, put together for people and programs.
 *
 * Each node knows for sure only what it serves itself, so everybody who can be reached is asked at once, bounded in
 * time; whoever does not answer is shown as such. The highest epoch wins where two nodes disagree. The registry in
 * Postgres names nodes that are gone; while it is away, the status does without them.
 *
 * What can go wrong: many windows watching. An answer is good for a second, so that they cost one question together.
 */
import { z } from 'zod'
import type { ClusterStatus, EntityPlace, NodeReport, NodeStatus, PartitionPlace } from '../http/index.js'
import type { NodeId } from '../ids.js'
import type { Clock, Configurations, Partitions } from '../partitions/index.js'
import { partitionOf } from '../partitions/index.js'
import { allPartitions, type Peers } from '../ring/index.js'
import { problemsOf } from './ring-problems.js'

const askMsMax = 1_000
const registryMsMax = 500
/** An answer is good for so long, in ms. */
const freshMs = 1_000
const callKind = 'status'
const idTextMax = 64

const reportShape = z.object({
  version: z.string().max(idTextMax),
  boot: z.number(),
  notReady: z.array(z.string().max(200)).max(16),
  hosts: z.number(),
  clients: z.number(),
  outboxRows: z.number(),
  damages: z.number(),
  refusing: z.number().default(0),
  rewound: z.number().default(0),
})
const nodeShape = z.string().max(idTextMax).nullable()
const answerShape = z.object({
  report: reportShape,
  partitions: z
    .array(
      z.object({
        partition: z.number().int().min(0),
        epoch: z.number(),
        owner: nodeShape,
        replicas: z.array(nodeShape).max(16),
        serving: z.boolean(),
        seq: z.number(),
        lag: z.number(),
      }),
    )
    .max(1_024),
})

/** What a node answers when it is asked for its part. */
interface Answer {
  readonly report: NodeReport
  readonly partitions: readonly OwnPlace[]
}

/** A partition as one node knows it: `serving`, `seq` and `lag` are about this node. */
interface OwnPlace extends Pick<PartitionPlace, 'partition' | 'epoch' | 'owner' | 'replicas'> {
  readonly serving: boolean
  readonly seq: number
  readonly lag: number
}

export interface RingStatusOptions {
  readonly partitions: Partitions
  /** Undefined on a node alone. */
  readonly peers: Peers | undefined
  readonly configurations: Pick<Configurations, 'nodes'> | undefined
  /** Copies wanted in a cluster. */
  readonly factor: number
  readonly clock: Clock
  /** What this node says of itself. */
  report(): NodeReport
}

export class RingStatus {
  readonly #options: RingStatusOptions
  #asking: { readonly atMs: number; readonly status: Promise<ClusterStatus> } | undefined

  /** Make it before the peers start: it answers their questions. */
  constructor(options: RingStatusOptions) {
    this.#options = options
    options.peers?.onCall(callKind, () => Buffer.from(JSON.stringify(this.#own())))
  }

  /** The whole cluster, at most a second old. Never rejects for a node that does not answer. */
  status(): Promise<ClusterStatus> {
    const nowMs = this.#options.clock.nowMs()
    if (this.#asking === undefined || nowMs - this.#asking.atMs >= freshMs) {
      this.#asking = { atMs: nowMs, status: this.#ask() }
    }
    return this.#asking.status
  }

  /** Where an entity is looked after, as far as this node knows. */
  placeOf(key: string): EntityPlace {
    const { partitions, peers } = this.#options
    const partition = partitionOf(key)
    const node = partitions.ring.ownerOf(partition)
    const row = this.#ownPartitions().find(each => each.partition === partition)
    const member = peers?.members().find(each => each.nodeId === node)
    return {
      partition,
      epoch: row?.epoch ?? 0,
      node,
      address: member?.channelAddress ?? null,
      replicas: row?.replicas ?? [],
    }
  }

  #own(): Answer {
    return { report: this.#options.report(), partitions: this.#ownPartitions() }
  }

  /** A node alone serves everything, in one copy. */
  #ownPartitions(): readonly OwnPlace[] {
    const { cluster, ring } = this.#options.partitions
    if (cluster) return cluster.status()
    return allOf(ring.self)
  }

  async #ask(): Promise<ClusterStatus> {
    const { partitions, peers, configurations, factor, clock } = this.#options
    const self = partitions.ring.self
    const registered = await within(configurations?.nodes(), registryMsMax, clock)
    const members = peers?.members() ?? []
    const addresses = new Map<string, string>()
    for (const node of [...(registered ?? []), ...members]) addresses.set(node.nodeId, node.channelAddress)
    const own = this.#own()
    const answers = new Map<string, Answer>([[self, own]])
    const others = new Set<string>([...addresses.keys(), ...namedIn(own)].filter(id => id !== self))
    await Promise.all(
      [...others].map(async id => {
        const answer = await this.#askOne(id as NodeId)
        if (answer) answers.set(id, answer)
      }),
    )
    const merged = mergePlaces(answers)
    // A node alone keeps no position of a whole partition.
    const places = peers ? merged : merged.map(place => ({ ...place, seq: null, lag: null }))
    const nowMs = clock.nowMs()
    const nodes = [self, ...[...others].sort()].map((id): NodeStatus => {
      const condition = peers?.condition(id as NodeId)
      const heardAtMs = condition === undefined || condition.kind === 'refused' ? null : condition.heardAtMs
      const served = places.filter(place => place.servedBy === id)
      return {
        id,
        address: addresses.get(id) ?? null,
        condition: id === self ? 'self' : (condition?.kind ?? 'silent'),
        heardMsAgo:
          heardAtMs === null || !Number.isFinite(heardAtMs)
            ? null
            : Math.max(0, Math.round(nowMs - heardAtMs)),
        isMember: id === self || members.some(member => member.nodeId === id),
        report: answers.get(id)?.report ?? null,
        serves: served.length,
        copies: places.filter(place => place.replicas.includes(id)).length,
        lag: Math.max(0, ...served.map(place => place.lag ?? 0)),
      }
    })
    const wanted = peers ? factor : 1
    const missing = places.map(place => Math.max(0, wanted - 1 - place.replicas.length))
    const status = {
      node: self,
      isCluster: peers !== undefined,
      factor: wanted,
      nodes,
      partitions: places,
      degraded: missing.filter(count => count > 0).length,
      copiesMissing: missing.reduce((sum, count) => sum + count, 0),
      unserved: places.filter(place => place.servedBy === null).length,
    }
    return { ...status, problems: problemsOf(status) }
  }

  async #askOne(id: NodeId): Promise<Answer | null> {
    const { peers } = this.#options
    if (peers?.condition(id).kind !== 'connected') return null
    try {
      const body = await peers.call(id, callKind, Buffer.alloc(0), askMsMax)
      return answerShape.parse(JSON.parse(body.toString()))
    } catch {
      // It is shown as a node that did not answer.
      return null
    }
  }
}

function allOf(node: NodeId): OwnPlace[] {
  return allPartitions().map(partition => ({
    partition,
    epoch: 0,
    owner: node,
    replicas: [],
    serving: true,
    seq: 0,
    lag: 0,
  }))
}

function namedIn(answer: Answer): string[] {
  const ids = answer.partitions.flatMap(({ owner, replicas }) => [owner, ...replicas])
  return [...new Set(ids)].filter(id => id !== null)
}

/** By partition: the row of the highest epoch, and who serves it under the highest. */
export function mergePlaces(answers: ReadonlyMap<string, Pick<Answer, 'partitions'>>): PartitionPlace[] {
  const places = new Map<number, PartitionPlace>()
  for (const [id, { partitions }] of answers) {
    for (const { partition, epoch, owner, replicas, serving, seq, lag } of partitions) {
      const known = places.get(partition)
      const isNewer = known === undefined || epoch > known.epoch
      const place = isNewer
        ? { partition, epoch, owner, replicas, servedBy: null, seq: null, lag: null }
        : known
      const isServer = serving && (isNewer || (epoch === known.epoch && known.servedBy === null))
      places.set(partition, isServer ? { ...place, servedBy: id, seq, lag } : place)
    }
  }
  return [...places.values()].sort((a, b) => a.partition - b.partition)
}

/** What comes in time, else undefined. */
async function within<T>(promise: Promise<T> | undefined, ms: number, clock: Clock): Promise<T | undefined> {
  if (promise === undefined) return undefined
  return await new Promise(resolve => {
    const timer = clock.setTimer(ms, () => resolve(undefined))
    promise.then(
      value => {
        timer.cancel()
        resolve(value)
      },
      () => {
        timer.cancel()
        resolve(undefined)
      },
    )
  })
}
