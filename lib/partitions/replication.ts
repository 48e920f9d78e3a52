/**
 * The leader's side of replication: brings every commit to the partition's followers and knows what each of them has.
 *
 * Commits are sent when their batch is written here, all of one batch for one follower in one message. A follower
 * answers with its position, on disk. When a message is lost the follower's answer to the next shows the gap, and
 * everything it lacks is sent again: the committer keeps commits until all followers have them.
 *
 * A follower is `copying` while it is sent a snapshot: commits are then gathered for it. It is `following` from the end
 * of its copy on, and every commit waits for it, before the configuration names it; a follower that is to go counts
 * until the configuration without it is known.
 *
 * Invariant: `ackedSeq` never passes what a follower has confirmed with an equal hash. What can go wrong: a follower has
 * something else under the same number. Then it is `diverged`, and gets a fresh copy.
 */
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import { encodeCommits, encodedBytes } from './commit-codec.js'
import type { Commit, Committer } from './committer.js'
import type { StoreId } from './configuration.js'
import type { ChainHash } from './position.js'
import type { Replication } from './runtime.js'

/** Everything up to this position is on the follower's disk. */
export interface Held {
  readonly partition: PartitionId
  readonly seq: number
  readonly chain: ChainHash
  /** What was sent does not follow it. */
  readonly gap?: true
}

/** A follower's answer for one partition. */
export type AppendAnswer =
  | Held
  /** It knows a newer leader. */
  | { readonly partition: PartitionId; readonly newerEpoch: number }

export interface LeaderReplicationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly committer: () => Committer
  /** One message to a store's node. Rejects with an `AppError` when it may not have arrived. */
  call(to: StoreId, kind: 'append' | 'confirm', body: Buffer): Promise<Buffer>
  /** A follower knows a newer leader of these partitions. */
  outdated(partitions: readonly PartitionId[]): void
  /** A follower holds something else than this leader: it needs a fresh copy. */
  diverged(partition: PartitionId, store: StoreId): void
}

interface Follower {
  readonly store: StoreId
  ackedSeq: number
  /** What is gathered while it is being copied to; undefined once it follows. */
  gathered: { commits: Commit[]; bytes: number } | undefined
}

class Deferred {
  resolve: () => void = () => undefined
  reject: (error: unknown) => void = () => undefined
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
}

/** Commits gathered for one copy; beyond it the copy begins anew. */
const gatheredBytesMax = 64 * 1024 * 1024
const messageBytesMax = 1024 * 1024
const retryMs = 50
const confirmMsMax = 10_000

export class LeaderReplication implements Replication {
  readonly #options: LeaderReplicationOptions
  readonly #followers = new Map<PartitionId, Map<StoreId, Follower>>()
  /** Stores a message to which got lost: they are sent everything they lack as soon as they answer again. */
  readonly #lost = new Set<StoreId>()
  /** Partitions to be confirmed at the end of this turn. */
  #confirming: Map<PartitionId, Deferred> | undefined

  constructor(options: LeaderReplicationOptions) {
    this.#options = options
  }

  /** Begins to lead a partition whose followers are known to have everything up to `seq`. */
  lead(partition: PartitionId, stores: readonly StoreId[], seq: number): void {
    const followers = new Map<StoreId, Follower>()
    for (const store of stores) followers.set(store, { store, ackedSeq: seq, gathered: undefined })
    this.#followers.set(partition, followers)
  }

  resign(partition: PartitionId): void {
    this.#followers.delete(partition)
  }

  /** Stores that every commit of the partition waits for. */
  following(partition: PartitionId): StoreId[] {
    const followers = [...(this.#followers.get(partition)?.values() ?? [])]
    return followers.filter(follower => !follower.gathered).map(follower => follower.store)
  }

  /** Gathers commits for a store from now on; the snapshot it will be sent holds everything before. */
  beginCopy(partition: PartitionId, store: StoreId): void {
    this.#followers.get(partition)?.set(store, { store, ackedSeq: 0, gathered: { commits: [], bytes: 0 } })
  }

  /** The snapshot, up to `seq`, is on the store's disk: every commit waits for it from now on. False: begin anew. */
  endCopy(partition: PartitionId, store: StoreId, seq: number): boolean {
    const follower = this.#followers.get(partition)?.get(store)
    if (!follower?.gathered) return false
    const { commits } = follower.gathered
    follower.gathered = undefined
    follower.ackedSeq = seq
    this.#send(store, commits)
    return true
  }

  drop(partition: PartitionId, store: StoreId): void {
    if (this.#followers.get(partition)?.delete(store)) this.#options.committer().acked(partition)
  }

  ackedSeq(partition: PartitionId): number {
    let seq = Number.POSITIVE_INFINITY
    for (const follower of this.#followers.get(partition)?.values() ?? []) {
      if (!follower.gathered && follower.ackedSeq < seq) seq = follower.ackedSeq
    }
    return seq
  }

  /** How far each store is behind, in commits: for the status. */
  lag(partition: PartitionId, store: StoreId): number {
    const follower = this.#followers.get(partition)?.get(store)
    return follower ? Math.max(0, this.#options.committer().head(partition).seq - follower.ackedSeq) : 0
  }

  send(commits: readonly Commit[]): void {
    const byStore = new Map<StoreId, Commit[]>()
    for (const commit of commits) {
      for (const follower of this.#followers.get(commit.partition)?.values() ?? []) {
        if (follower.gathered) this.#gather(commit, follower, follower.gathered)
        else if (!this.#lost.has(follower.store)) {
          const list = byStore.get(follower.store)
          if (list) list.push(commit)
          else byStore.set(follower.store, [commit])
        }
      }
    }
    for (const [store, list] of byStore) this.#send(store, list)
  }

  confirm(partition: PartitionId): Promise<void> | undefined {
    if (this.following(partition).length === 0) return undefined
    this.#confirming ??= this.#confirmSoon()
    let waiting = this.#confirming.get(partition)
    if (!waiting) {
      waiting = new Deferred()
      this.#confirming.set(partition, waiting)
    }
    return waiting.promise
  }

  #confirmSoon(): Map<PartitionId, Deferred> {
    const waiting = new Map<PartitionId, Deferred>()
    this.#options.clock.soon(() => {
      if (this.#confirming === waiting) this.#confirming = undefined
      const untilMs = this.#options.clock.nowMs() + confirmMsMax
      for (const [partition, { resolve, reject }] of waiting) {
        this.#confirmed(partition, untilMs).then(resolve, reject)
      }
    })
    return waiting
  }

  /** Asks every follower, until each has answered or is none any more. */
  async #confirmed(partition: PartitionId, untilMs: number): Promise<void> {
    const { clock, committer } = this.#options
    const answered = new Set<StoreId>()
    for (;;) {
      if (!committer().leads(partition)) throw new AppError('unavailable')
      const { epoch } = committer().head(partition)
      const open = this.following(partition).filter(store => !answered.has(store))
      if (open.length === 0) return
      await Promise.all(
        open.map(async store => {
          try {
            const body = Buffer.from(JSON.stringify([[partition, epoch]]))
            const newer = JSON.parse(
              (await this.#options.call(store, 'confirm', body)).toString(),
            ) as PartitionId[]
            if (newer.length > 0) this.#options.outdated(newer)
            else answered.add(store)
          } catch {
            // It may be gone; whether it still counts is seen in the next round.
          }
        }),
      )
      if (open.every(store => answered.has(store))) continue
      if (clock.nowMs() >= untilMs) throw new AppError('unavailable')
      await new Promise<void>(resolve => clock.setTimer(retryMs, resolve))
    }
  }

  #gather(commit: Commit, follower: Follower, gathered: { commits: Commit[]; bytes: number }): void {
    gathered.bytes += commit.bytes
    if (gathered.bytes > gatheredBytesMax) this.#followers.get(commit.partition)?.delete(follower.store)
    else gathered.commits.push(commit)
  }

  #send(store: StoreId, commits: readonly Commit[]): void {
    for (let at = 0; at < commits.length; ) {
      const part: Commit[] = []
      for (let bytes = 0; at < commits.length && bytes < messageBytesMax; at += 1) {
        const commit = commits[at] as Commit
        part.push(commit)
        bytes += encodedBytes(commit)
      }
      const body = encodeCommits(part)
      this.#options.call(store, 'append', body).then(
        answer => this.#answered(store, answer),
        (error: unknown) => this.#failed(store, error),
      )
    }
  }

  #answered(store: StoreId, body: Buffer): void {
    const answers = JSON.parse(body.toString()) as AppendAnswer[]
    const newer: PartitionId[] = []
    for (const answer of answers) {
      if ('newerEpoch' in answer) newer.push(answer.partition)
      else this.#confirmedUpTo(store, answer)
    }
    if (newer.length === 0) return
    this.#options.outdated(newer)
    // If it is the follower that is behind the times, it takes the commits a moment later.
    this.#lose(store)
  }

  #confirmedUpTo(store: StoreId, answer: Held): void {
    const { partition, seq, chain } = answer
    const committer = this.#options.committer()
    const follower = this.#followers.get(partition)?.get(store)
    if (!follower || follower.gathered || !committer.leads(partition)) return
    const { head } = committer.unacked(partition).find(commit => commit.head.seq === seq) ?? {
      head: committer.head(partition),
    }
    if (head.seq === seq && (head.chain.high !== chain.high || head.chain.low !== chain.low)) {
      this.#options.diverged(partition, store)
      return
    }
    if (seq > follower.ackedSeq) {
      follower.ackedSeq = seq
      committer.acked(partition)
    }
    if (!answer.gap) return
    // It did not take what it was sent: something before was lost on the way, or on its disk.
    const first = committer.unacked(partition)[0]?.head.seq ?? committer.head(partition).seq + 1
    if (seq + 1 < first) this.#options.diverged(partition, store)
    else this.#lose(store)
  }

  #failed(store: StoreId, error: unknown): void {
    this.#options.log.debug('append.failed', {
      store,
      error: error instanceof Error ? error.message : String(error),
    })
    this.#lose(store)
  }

  /** Sends everything a store lacks, after a moment; again and again until it answers or follows nothing. */
  #lose(store: StoreId): void {
    if (this.#lost.has(store)) return
    this.#lost.add(store)
    this.#options.clock.setTimer(retryMs, () => {
      this.#lost.delete(store)
      const committer = this.#options.committer()
      const commits: Commit[] = []
      for (const [partition, followers] of this.#followers) {
        const follower = followers.get(store)
        if (!follower || follower.gathered || !committer.leads(partition)) continue
        for (const commit of committer.unacked(partition)) {
          if (commit.head.seq > follower.ackedSeq) commits.push(commit)
        }
      }
      this.#send(store, commits)
    })
  }
}
