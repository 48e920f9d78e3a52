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
 * A new leader knows nothing of its followers but what they say: until one has confirmed the position that this leader
 * began with, under its hash, neither commits nor reads pass.
 *
 * Invariant: `ackedSeq` never passes what a follower has confirmed with an equal hash. What can go wrong: a follower has
 * something else under the same number, or more than this leader. Then it is `diverged`, and gets a fresh copy.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import type { PartitionId } from '../ring/index.js'
import type { Clock } from './clock.js'
import { encodeCommits, encodedBytes } from './commit-codec.js'
import type { Commit, Committer } from './committer.js'
import type { StoreId } from './configuration.js'
import type { ChainHash, PartitionHead } from './position.js'
import type { RulesOff } from './rules.js'
import type { Replication } from './runtime.js'

/** Everything up to this position is on the follower's disk. */
export interface Held {
  readonly partition: PartitionId
  readonly seq: number
  readonly chain: ChainHash
  /** What was sent does not follow it. */
  readonly gap?: true
}

/** A leader's question to a follower: whether a newer leader is known, and where it stands when `position` is wanted. */
export type ConfirmQuestion = readonly [partition: PartitionId, epoch: number, position: boolean]

export type ConfirmAnswer =
  | { readonly partition: PartitionId; readonly newer: true }
  | { readonly partition: PartitionId }
  | Held

/** A follower's answer for one partition. */
export type AppendAnswer =
  | Held
  /** It knows a newer leader. */
  | { readonly partition: PartitionId; readonly newerEpoch: number }

export interface LeaderReplicationOptions {
  readonly clock: Clock
  readonly log: Log
  readonly rulesOff?: RulesOff | undefined
  readonly committer: () => Committer
  /** One message to a store's node. Rejects with an `AppError` when it may not have arrived. */
  call(to: StoreId, kind: 'append' | 'confirm', body: Buffer): Promise<Buffer>
  /** A follower knows a newer leader of these partitions. */
  outdated(partitions: readonly PartitionId[]): void
  /** A follower holds something else than this leader: it needs a fresh copy. Said at each answer that shows it. */
  diverged(partition: PartitionId, store: StoreId): void
  /** True when the configuration names the store, or may do so by a change of which nothing was heard. */
  mayName(partition: PartitionId, store: StoreId): boolean
  /** Since when the partition's configuration names fewer stores than it must; undefined when there are enough. */
  fewSinceMs(partition: PartitionId): number | undefined
  /** True when this node sees too few of the others. */
  isIsolated(): boolean
  /** False while a message to the store's node would fail at once. */
  isConnected(store: StoreId): boolean
}

/** A store that commits are brought to; another copy to it, or another time of leading, makes another of these. */
export interface Follower {
  readonly store: StoreId
  /** -1 until it has confirmed `base`. */
  ackedSeq: number
  /** Where its leader stood when it began to follow. */
  base: { readonly seq: number; readonly chain: ChainHash }
  /** What is gathered while it is being copied to; undefined once it follows. */
  gathered: { commits: Commit[]; bytes: number } | undefined
  /** Since when it lacks something and has confirmed nothing new. */
  behindSinceMs: number | undefined
}

class Deferred {
  resolve: () => void = () => undefined
  reject: (error: unknown) => void = () => undefined
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve
    this.reject = reject
  })
}

/** A partition whose followers are being asked. */
interface Asked {
  readonly deferred: Deferred
  readonly epoch: number
  readonly answered: Set<StoreId>
}

/** Commits gathered for one copy; beyond it the copy begins anew. */
const gatheredBytesMax = 64 * 1024 * 1024
const messageBytesMax = 1024 * 1024
const retryMs = 50
const caughtUpMs = 5
const confirmMsMax = 10_000

export class LeaderReplication implements Replication {
  readonly #options: LeaderReplicationOptions
  readonly #followers = new Map<PartitionId, Map<StoreId, Follower>>()
  /** Stores a message to which got lost: they are sent everything they lack as soon as they answer again. */
  readonly #lost = new Set<StoreId>()
  /** Partitions for which everything is refused, whose followers are being asked. */
  readonly #probing = new Set<PartitionId>()
  /** Since when a store that was sent something has not answered anything. */
  readonly #unansweredSinceMs = new Map<StoreId, number>()
  /** Partitions to be confirmed at the end of this turn. */
  #confirming: Map<PartitionId, Asked> | undefined

  constructor(options: LeaderReplicationOptions) {
    this.#options = options
  }

  /** Begins to lead a partition at this position; what its followers have is for them to say. */
  lead(partition: PartitionId, stores: readonly StoreId[], base: PartitionHead): void {
    const followers = new Map<StoreId, Follower>()
    const ackedSeq = this.#options.rulesOff?.positions ? base.seq : -1
    const behindSinceMs = ackedSeq < base.seq ? this.#options.clock.nowMs() : undefined
    for (const store of stores) {
      followers.set(store, { store, ackedSeq, base, gathered: undefined, behindSinceMs })
    }
    this.#followers.set(partition, followers)
  }

  resign(partition: PartitionId): void {
    const stores = [...(this.#followers.get(partition)?.keys() ?? [])]
    this.#followers.delete(partition)
    for (const store of stores) this.#forgetIdle(store)
  }

  /** Whether a store answers is of no interest once it follows nothing. */
  #forgetIdle(store: StoreId): void {
    for (const followers of this.#followers.values()) if (followers.has(store)) return
    this.#unansweredSinceMs.delete(store)
  }

  /** Stores that every commit of the partition waits for. */
  following(partition: PartitionId): StoreId[] {
    const followers = [...(this.#followers.get(partition)?.values() ?? [])]
    return followers.filter(follower => !follower.gathered).map(follower => follower.store)
  }

  /**
   * Gathers commits for a store from now on; the snapshot it will be sent holds everything before. What is returned
   * stands for this copy and no later one. Throws `conflict` when the store is waited for already: it would not be,
   * while it is copied to.
   */
  beginCopy(partition: PartitionId, store: StoreId): Follower {
    const followers = this.#followers.get(partition)
    const known = followers?.get(store)
    if (!followers || (known && !known.gathered)) throw new AppError('conflict')
    const base = { seq: 0, chain: { high: 0, low: 0 } }
    const gathered = { commits: [], bytes: 0 }
    const follower: Follower = { store, ackedSeq: -1, base, gathered, behindSinceMs: undefined }
    followers.set(store, follower)
    return follower
  }

  /** The snapshot, up to `head`, is on the store's disk: every commit waits for it from now on. False: begin anew. */
  endCopy(partition: PartitionId, follower: Follower, head: PartitionHead): boolean {
    if (!this.#isCurrent(partition, follower) || !follower.gathered) return false
    const { commits } = follower.gathered
    this.#unansweredSinceMs.delete(follower.store)
    follower.ackedSeq = head.seq
    follower.base = head
    follower.gathered = undefined
    follower.behindSinceMs = commits.length > 0 ? this.#options.clock.nowMs() : undefined
    this.#send(follower.store, commits)
    return true
  }

  /** Forgets a copy that failed, unless its store has come to follow in another way meanwhile. */
  abandonCopy(partition: PartitionId, follower: Follower): void {
    if (this.#isCurrent(partition, follower)) this.drop(partition, follower.store)
  }

  #isCurrent(partition: PartitionId, follower: Follower): boolean {
    return this.#followers.get(partition)?.get(follower.store) === follower
  }

  /**
   * Resolves when a store that has just begun to follow has everything that may have been acknowledged without it.
   * Rejects with `unavailable` when it follows no more.
   */
  async caughtUp(partition: PartitionId, store: StoreId): Promise<void> {
    const { clock, committer } = this.#options
    const { seq } = committer().head(partition)
    for (;;) {
      const follower = this.#followers.get(partition)?.get(store)
      if (!follower || follower.gathered) throw new AppError('unavailable')
      if (follower.ackedSeq >= seq) return
      await pause(clock, caughtUpMs)
    }
  }

  /** Waits for a store no longer. A row that names it, or may, has to be changed first: it could lead by it. */
  drop(partition: PartitionId, store: StoreId): void {
    const follower = this.#followers.get(partition)?.get(store)
    const isCounted = follower !== undefined && !follower.gathered
    if (isCounted && this.#options.mayName(partition, store) && !this.#options.rulesOff?.removalKnown) return
    if (!this.#followers.get(partition)?.delete(store)) return
    this.#forgetIdle(store)
    this.#options.committer().acked(partition)
  }

  ackedSeq(partition: PartitionId): number {
    if (this.#options.rulesOff?.followersFirst) return Number.POSITIVE_INFINITY
    if (this.#options.fewSinceMs(partition) !== undefined) return -1
    let seq = Number.POSITIVE_INFINITY
    for (const follower of this.#followers.get(partition)?.values() ?? []) {
      if (!follower.gathered && follower.ackedSeq < seq) seq = follower.ackedSeq
    }
    return seq
  }

  /**
   * Why nothing is acknowledged for the partition: a store that must have it has not answered for `copiesAwayMsMax`, or
   * there are too few stores. Undefined when all is well, or may be in a moment.
   */
  refusal(partition: PartitionId): AppError | undefined {
    const untilMs = this.#options.clock.nowMs() - limits.copiesAwayMsMax
    let sinceMs = this.#options.fewSinceMs(partition) ?? Number.POSITIVE_INFINITY
    for (const { behindSinceMs, gathered, store } of this.#followers.get(partition)?.values() ?? []) {
      if (gathered) continue
      if (behindSinceMs !== undefined) sinceMs = Math.min(sinceMs, behindSinceMs)
      sinceMs = Math.min(sinceMs, this.#unansweredSinceMs.get(store) ?? Number.POSITIVE_INFINITY)
    }
    if (sinceMs > untilMs) return undefined
    this.#probe(partition)
    return new AppError(this.#options.isIsolated() ? 'isolated' : 'copies-away')
  }

  /** Asks the followers of a partition for which everything is refused: nothing else might notice that they are back. */
  #probe(partition: PartitionId): void {
    if (this.#probing.has(partition)) return
    const asked = this.confirm(partition)
    if (!asked) return
    this.#probing.add(partition)
    asked.catch(() => undefined).finally(() => this.#probing.delete(partition))
  }

  /** A follower has said that it has what this leader began with, and so everything that was acknowledged. */
  isConfirmed(partition: PartitionId, store: StoreId): boolean {
    return (this.#followers.get(partition)?.get(store)?.ackedSeq ?? -1) >= 0
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
        if (follower.gathered) {
          this.#gather(commit, follower, follower.gathered)
          continue
        }
        follower.behindSinceMs ??= this.#options.clock.nowMs()
        if (!this.#lost.has(follower.store)) {
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
    let asked = this.#confirming.get(partition)
    if (!asked) {
      const { epoch } = this.#options.committer().head(partition)
      asked = { deferred: new Deferred(), epoch, answered: new Set() }
      this.#confirming.set(partition, asked)
    }
    if (!this.#options.rulesOff?.confirm) return asked.deferred.promise
    asked.deferred.promise.catch(() => undefined)
    return undefined
  }

  #confirmSoon(): Map<PartitionId, Asked> {
    const asked = new Map<PartitionId, Asked>()
    this.#options.clock.soon(() => {
      if (this.#confirming === asked) this.#confirming = undefined
      void this.#confirmAll(asked)
    })
    return asked
  }

  /** Asks every follower, until each has answered or is none any more: one message for all partitions of a follower. */
  async #confirmAll(asked: Map<PartitionId, Asked>): Promise<void> {
    const { clock } = this.#options
    const untilMs = clock.nowMs() + confirmMsMax
    const busy = new Set<StoreId>()
    for (;;) {
      const open = this.#openQuestions(asked)
      if (asked.size === 0) return
      if (clock.nowMs() >= untilMs) {
        for (const { deferred } of asked.values()) deferred.reject(new AppError('unavailable'))
        return
      }
      let wake: () => void = () => undefined
      const woken = new Promise<void>(resolve => {
        wake = resolve
      })
      for (const [store, questions] of open) {
        if (busy.has(store)) continue
        busy.add(store)
        this.#ask(store, questions, asked).then(hasAnswered => {
          busy.delete(store)
          if (hasAnswered) wake()
        })
      }
      const timer = clock.setTimer(retryMs, wake)
      await woken
      timer.cancel()
    }
  }

  /** What is still to be asked, by follower; partitions that are settled meanwhile leave `asked`. */
  #openQuestions(asked: Map<PartitionId, Asked>): Map<StoreId, ConfirmQuestion[]> {
    const committer = this.#options.committer()
    const open = new Map<StoreId, ConfirmQuestion[]>()
    for (const [partition, { answered, deferred, epoch }] of asked) {
      // Led anew under a later epoch, it is another life: what was decided before is not true any more.
      if (!committer.leads(partition) || committer.head(partition).epoch !== epoch) {
        deferred.reject(new AppError('unavailable'))
        asked.delete(partition)
        continue
      }
      let isDone = true
      for (const follower of this.#followers.get(partition)?.values() ?? []) {
        const isProven = follower.ackedSeq >= follower.base.seq
        if (follower.gathered || (answered.has(follower.store) && isProven)) continue
        isDone = false
        const question: ConfirmQuestion = [partition, epoch, !isProven]
        const questions = open.get(follower.store)
        if (questions) questions.push(question)
        else open.set(follower.store, [question])
      }
      if (!isDone) continue
      deferred.resolve()
      asked.delete(partition)
    }
    return open
  }

  async #ask(
    store: StoreId,
    questions: readonly ConfirmQuestion[],
    asked: ReadonlyMap<PartitionId, Asked>,
  ): Promise<boolean> {
    let answers: ConfirmAnswer[]
    try {
      const reply = await this.#call(store, 'confirm', Buffer.from(JSON.stringify(questions)))
      answers = JSON.parse(reply.toString()) as ConfirmAnswer[]
    } catch {
      // It may be gone; whether it still counts is seen in the next round.
      return false
    }
    const newer: PartitionId[] = []
    for (const answer of answers) {
      if ('newer' in answer) newer.push(answer.partition)
      else {
        asked.get(answer.partition)?.answered.add(store)
        if ('seq' in answer) this.#confirmedUpTo(store, answer)
      }
    }
    if (newer.length > 0) this.#options.outdated(newer)
    return questions.every(([partition]) => {
      const follower = this.#followers.get(partition)?.get(store)
      return !newer.includes(partition) && (!follower || follower.ackedSeq >= follower.base.seq)
    })
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
      this.#call(store, 'append', body).then(
        answer => this.#answered(store, answer),
        (error: unknown) => this.#failed(store, error),
      )
    }
  }

  async #call(store: StoreId, kind: 'append' | 'confirm', body: Buffer): Promise<Buffer> {
    if (!this.#unansweredSinceMs.has(store)) {
      this.#unansweredSinceMs.set(store, this.#options.clock.nowMs())
    }
    const answer = await this.#options.call(store, kind, body)
    this.#unansweredSinceMs.delete(store)
    return answer
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
    if (!this.#options.rulesOff?.positions) {
      const own = this.#chainAt(partition, follower, seq)
      const isAhead = seq > committer.head(partition).seq
      if (isAhead || (own && (own.high !== chain.high || own.low !== chain.low))) {
        this.#options.diverged(partition, store)
        return
      }
      // What this leader has forgotten was acknowledged without it: it is behind, or a late answer.
      if (!own && !answer.gap && follower.ackedSeq >= 0) return
    }
    if (follower.ackedSeq < 0 && seq < follower.base.seq) {
      this.#options.diverged(partition, store)
      return
    }
    if (seq > follower.ackedSeq) {
      follower.ackedSeq = seq
      const isBehind = seq < committer.head(partition).seq
      follower.behindSinceMs = isBehind ? this.#options.clock.nowMs() : undefined
      committer.acked(partition)
    }
    if (!answer.gap) return
    // It did not take what it was sent: something before was lost on the way, or on its disk.
    const first = committer.unacked(partition)[0]?.head.seq ?? committer.head(partition).seq + 1
    if (seq + 1 < first) this.#options.diverged(partition, store)
    else this.#lose(store)
  }

  /** The hash after a commit, as far as it is remembered: at the begin, and from the first that a follower may lack. */
  #chainAt(partition: PartitionId, { base }: Follower, seq: number): ChainHash | undefined {
    if (seq === base.seq) return base.chain
    const committer = this.#options.committer()
    const head = committer.head(partition)
    if (seq === head.seq) return head.chain
    return committer.unacked(partition).find(commit => commit.head.seq === seq)?.head.chain
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
    const again = (): void => {
      if (!this.#options.isConnected(store) && this.#isFollowing(store)) {
        this.#options.clock.setTimer(retryMs, again)
        return
      }
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
    }
    this.#options.clock.setTimer(retryMs, again)
  }

  #isFollowing(store: StoreId): boolean {
    for (const followers of this.#followers.values()) if (followers.has(store)) return true
    return false
  }
}
