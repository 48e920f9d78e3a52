/**
 * The copies this store holds of partitions that other nodes lead: takes their leaders' commits, and whole snapshots.
 *
 * A commit is taken only when it follows the copy's own position, number and hash, and only from a leader that no newer
 * one is known to have replaced. "I have it" is said when it is on disk. A snapshot is written beside the old copy, into
 * a new key generation, and takes its place in one write at its end; until then the old copy stands.
 *
 * Invariant: a copy at position (epoch, seq) with a hash holds exactly what its leader held there. What can go wrong: the
 * node dies in the middle of a snapshot. Then the old copy is there as before, and half a generation that nothing points
 * to. So it is with an old generation whose removal was cut short. The next start removes either.
 */
import { AppError } from '../errors.js'
import { newId } from '../ids.js'
import type { Log } from '../log.js'
import type { PartitionId } from '../ring/index.js'
import { decodeCommits, type SentCommit } from './commit-codec.js'
import type { Committer } from './committer.js'
import type { DiskEntry, DiskOperation } from './disk.js'
import { headKey, headRange, PartitionKeys, parsePartitionKey, sealedFrom } from './keys.js'
import {
  type ChainHash,
  type CommitOperation,
  chainAfter,
  firstHead,
  formatHead,
  type PartitionHead,
  type Position,
} from './position.js'
import { isWhole, sealRecord } from './record.js'
import type { AppendAnswer } from './replication.js'
import type { RulesOff } from './rules.js'
import type { Store } from './store.js'

export interface CopiesOptions {
  readonly store: Store
  readonly committer: Committer
  readonly log: Log
  readonly rulesOff?: RulesOff | undefined
  /** The highest epoch known of a partition, and whether the sender leads it then. */
  accepts(
    partition: PartitionId,
    from: string,
    epoch: number,
  ): { readonly ok: boolean; readonly epoch: number }
}

/** A position with the hash that says which history led there. */
export interface CopyPosition extends Position {
  readonly partition: PartitionId
  readonly chain: ChainHash
  /** The highest epoch that the store has seen or promised. */
  readonly seenEpoch?: number
  /** An epoch that was promised although no row that the store has seen reaches it: the next one must exceed it. */
  readonly promisedEpoch?: number
}

interface Copy {
  /** After everything that was taken. */
  head: PartitionHead
  /** After everything on disk. */
  durable: PartitionHead
  /** Of the generation that was written to last. */
  keys: PartitionKeys
  /** The last write of it that is under way; settled when `durable` has caught up with `head`. */
  writing: Promise<void> | undefined
  /** A snapshot that is being received. */
  incoming: { readonly asked: string; readonly id: string; readonly generation: number } | undefined
  /** Steps of snapshots, one after the other. */
  steps: Promise<unknown>
}

/** What the commits of one message still have to write. */
class Writes {
  readonly done: Promise<void>
  #resolve: () => void = () => undefined
  #reject: (error: AppError) => void = () => undefined
  #left = 0

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Whoever waits for it hears of a failure; nobody has to.
    this.done.catch(() => undefined)
  }

  began(): void {
    this.#left += 1
  }

  /** One is on disk, or failed. Never in the turn in which it began. */
  ended(error?: unknown): void {
    this.#left -= 1
    if (error !== undefined) this.#reject(new AppError('unavailable', undefined, { cause: error }))
    else if (this.#left === 0) this.#resolve()
  }

  /** Resolves when all that have begun are on disk; rejects with `unavailable` when one failed. */
  async all(): Promise<void> {
    if (this.#left > 0) await this.done
  }
}

/** The disk holds this head, of a copy that was not replaced meanwhile. */
function reached(copy: Copy, head: PartitionHead): void {
  if (head.generation === copy.durable.generation && head.seq > copy.durable.seq) copy.durable = head
}

const generationMax = 0xffff
const removePageMax = 1_000

export class Copies {
  readonly #options: CopiesOptions
  readonly #copies = new Map<PartitionId, Copy>()

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /** What this store holds, as read at its opening. */
  load(heads: ReadonlyMap<PartitionId, PartitionHead>): void {
    for (const [partition, head] of heads) this.set(partition, head)
  }

  /**
   * Removes generations that no head points to. Partitions whose head was lost are left: which generation was theirs is
   * not known for sure. Call it before anything is led, since that writes heads.
   */
  async sweep(): Promise<void> {
    const { records } = await this.#options.store.range(headRange)
    const stored = new Set(records.map(record => record.key))
    for (const partition of this.#copies.keys()) {
      if (stored.has(headKey(partition))) await this.#step(partition, copy => this.#sweep(partition, copy))
    }
  }

  async #sweep(partition: PartitionId, copy: Copy): Promise<void> {
    const kept = [copy.durable.generation, copy.incoming?.generation]
    const { lt } = new PartitionKeys(partition, generationMax).all()
    for (let from = new PartitionKeys(partition, 0).all().gte; ; ) {
      const { lastKey } = await this.#options.store.range({ gte: from, lt, limit: 1 })
      const generation = lastKey === undefined ? undefined : parsePartitionKey(lastKey)?.generation
      if (generation === undefined) return
      if (!kept.includes(generation)) {
        await this.#remove(partition, generation)
        this.#options.log.info('copy.leftovers-removed', { partition, generation })
      }
      from = new PartitionKeys(partition, generation).all().lt
    }
  }

  /** Where a partition stands that this node led until now, or leads. */
  set(partition: PartitionId, head: PartitionHead): void {
    const copy = this.#copy(partition)
    copy.head = head
    copy.durable = head
    copy.writing = undefined
    copy.incoming = undefined
  }

  /** The disk will hold this head when `written` resolves. */
  expect(partition: PartitionId, head: PartitionHead, written: Promise<void>): void {
    const copy = this.#copy(partition)
    copy.head = head
    this.#track(copy, head, written)
  }

  /** Resolves when everything these copies took is on disk. */
  async settled(partitions: readonly PartitionId[]): Promise<void> {
    for (const partition of partitions) await this.#copies.get(partition)?.writing
  }

  head(partition: PartitionId): PartitionHead {
    return this.#copy(partition).durable
  }

  /** Where this store stands, on disk. */
  position(partition: PartitionId): CopyPosition {
    const { committer } = this.#options
    const head = committer.leads(partition) ? committer.writtenHead(partition) : this.#copy(partition).durable
    return { partition, epoch: head.lastEpoch, seq: head.seq, chain: head.chain }
  }

  /** Takes a message of commits; resolves with the answers when everything taken is on disk. */
  async append(from: string, body: Buffer): Promise<Buffer> {
    const answers = new Map<PartitionId, AppendAnswer | undefined>()
    const gaps = new Set<PartitionId>()
    const writes = new Writes()
    const known = new Set<PartitionId>()
    for (const commit of decodeCommits(body)) {
      const { partition } = commit
      const accepted = this.#options.accepts(partition, from, commit.position.epoch)
      if (!accepted.ok || this.#options.committer.leads(partition)) {
        answers.set(partition, { partition, newerEpoch: accepted.epoch })
        continue
      }
      if (!answers.get(partition)) answers.set(partition, undefined)
      const taken = this.#take(commit, writes)
      if (taken === 'gap') gaps.add(partition)
      else if (taken === 'known') known.add(partition)
    }
    await writes.all()
    // What came before may still be on its way to the disk.
    await this.settled([...known])
    const list = [...answers].map(([partition, answer]): AppendAnswer => {
      const { chain, seq } = this.#copy(partition).durable
      return answer ?? { partition, seq, chain, ...(gaps.has(partition) && { gap: true }) }
    })
    return Buffer.from(JSON.stringify(list))
  }

  #take(sent: SentCommit, writes: Writes): 'taken' | 'known' | 'gap' {
    const copy = this.#copy(sent.partition)
    const { head } = copy
    if (sent.position.seq <= head.seq) return 'known'
    const follows =
      sent.previous.seq === head.seq &&
      sent.previousChain.high === head.chain.high &&
      sent.previousChain.low === head.chain.low
    if (!(follows || this.#options.rulesOff?.predecessor)) return 'gap'
    const chain = chainAfter(sent.previousChain, sent.position, sent.operations)
    if (chain.high !== sent.chain.high || chain.low !== sent.chain.low) return 'gap'
    if (copy.keys.generation !== head.generation)
      copy.keys = new PartitionKeys(sent.partition, head.generation)
    const operations: CommitOperation[] = []
    for (const operation of sent.operations) {
      if (operation.type === 'put' && !isWhole(operation.key, operation.value)) return 'gap'
      // One by one: copying objects into each other costs a microsecond each.
      const key = copy.keys.prefix + operation.key
      operations.push(
        operation.type === 'put' ? { type: 'put', key, value: operation.value } : { type: 'del', key },
      )
    }
    // A leader sends commits only to who has its snapshot already: one that has begun since is a late repeat.
    copy.incoming = undefined
    const { epoch, seq } = sent.position
    const { generation } = head
    const next: PartitionHead = { epoch, seq, lastEpoch: epoch, generation, chain, digest: sent.digest }
    copy.head = next
    copy.writing = writes.done
    writes.began()
    this.#options.committer.copy(sent.partition, operations, next, error => {
      if (error === undefined) {
        reached(copy, next)
        if (copy.head === next) copy.writing = undefined
      }
      writes.ended(error)
    })
    return 'taken'
  }

  #track(copy: Copy, head: PartitionHead, written: Promise<void>): Promise<void> {
    const done = written.then(() => {
      if (copy.writing === done) copy.writing = undefined
      reached(copy, head)
    })
    copy.writing = done
    // Whoever waits for it hears of a failure; nobody has to.
    done.catch(() => undefined)
    return done
  }

  /**
   * Begins to receive a snapshot, in place of one that was being received. `epoch` is the one its sender leads under:
   * a leader that was replaced must not overwrite what came after it. Resolves with an id for its pages and its end: it is
   * made here, anew, so that late repeats of an earlier transfer's messages cannot put together an old copy again.
   */
  async beginSnapshot(partition: PartitionId, asked: string, from: string, epoch: number): Promise<string> {
    return await this.#step(partition, async copy => {
      const { committer } = this.#options
      if (!this.#options.accepts(partition, from, epoch).ok || committer.leads(partition)) {
        throw new AppError('conflict')
      }
      // Begun again, it would lose the pages that have come.
      if (copy.incoming?.asked === asked) throw new AppError('conflict')
      const generation = (copy.durable.generation + 1) % (generationMax + 1)
      const id = newId()
      copy.incoming = { asked, id, generation }
      // Nothing that belongs to the old copy may reach the disk after the new one.
      await this.settled([partition])
      await committer.between(() => undefined)
      await this.#remove(partition, generation)
      return id
    })
  }

  async takePage(partition: PartitionId, id: string, entries: readonly DiskEntry[]): Promise<void> {
    await this.#step(partition, copy => this.#takePage(copy, partition, id, entries))
  }

  async #takePage(
    { incoming }: Copy,
    partition: PartitionId,
    id: string,
    entries: readonly DiskEntry[],
  ): Promise<void> {
    if (incoming?.id !== id) throw new AppError('conflict')
    const { prefix } = new PartitionKeys(partition, incoming.generation)
    const operations: DiskOperation[] = []
    for (const { key, bytes } of entries) {
      if (!isWhole(key, bytes)) throw new AppError('invalid-frame', 'a record of the snapshot is damaged')
      operations.push({ type: 'put', key: prefix + key, value: bytes })
    }
    // Whole or not at all: the head that points to it is written last, synced.
    await this.#options.store.write(operations, false)
  }

  /** The snapshot is complete: it takes the place of the old copy. */
  async endSnapshot(
    partition: PartitionId,
    id: string,
    from: string,
    position: Omit<PartitionHead, 'generation'>,
  ): Promise<void> {
    await this.#step(partition, copy => this.#endSnapshot(copy, partition, id, from, position))
  }

  async #endSnapshot(
    copy: Copy,
    partition: PartitionId,
    id: string,
    from: string,
    position: Omit<PartitionHead, 'generation'>,
  ): Promise<void> {
    const { accepts, committer } = this.#options
    const isAccepted = accepts(partition, from, position.epoch).ok && !committer.leads(partition)
    if (copy.incoming?.id !== id || !isAccepted) throw new AppError('conflict')
    const before = copy.durable
    const head = { ...position, generation: copy.incoming.generation }
    const key = headKey(partition)
    await this.#options.store.write(
      [{ type: 'put', key, value: sealRecord(key, formatHead(head)).bytes }],
      true,
    )
    this.set(partition, head)
    this.#remove(partition, before.generation).catch((error: unknown) =>
      this.#options.log.warn('copy.not-removed', { partition, error }),
    )
  }

  #copy(partition: PartitionId): Copy {
    let copy = this.#copies.get(partition)
    if (!copy) {
      copy = {
        head: firstHead,
        durable: firstHead,
        keys: new PartitionKeys(partition, firstHead.generation),
        writing: undefined,
        incoming: undefined,
        steps: Promise.resolve(),
      }
      this.#copies.set(partition, copy)
    }
    return copy
  }

  async #step<T>(partition: PartitionId, step: (copy: Copy) => Promise<T>): Promise<T> {
    const copy = this.#copy(partition)
    const done = copy.steps.then(() => step(copy))
    copy.steps = done.catch(() => undefined)
    return await done
  }

  async #remove(partition: PartitionId, generation: number): Promise<void> {
    const range = new PartitionKeys(partition, generation).all()
    for (;;) {
      const { records, damaged } = await this.#options.store.range({ ...range, limit: removePageMax })
      const keys = [...records.map(record => record.key), ...damaged]
      if (keys.length === 0) return
      await this.#options.store.write(
        keys.map(key => ({ type: 'del', key })),
        false,
      )
    }
  }
}

/** A page of a snapshot as bytes: keys without partition and generation. */
export function encodePage(entries: readonly DiskEntry[]): Buffer {
  const parts: Buffer[] = []
  for (const entry of entries) {
    const key = Buffer.from(entry.key.slice(sealedFrom(entry.key)))
    const opening = Buffer.allocUnsafe(6)
    opening.writeUInt16BE(key.length, 0)
    opening.writeUInt32BE(entry.bytes.length, 2)
    parts.push(opening, key, entry.bytes)
  }
  return Buffer.concat(parts)
}

/** @throws RangeError when the bytes are none that `encodePage` makes */
export function decodePage(bytes: Buffer): DiskEntry[] {
  const entries: DiskEntry[] = []
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 6 + bytes.readUInt16BE(at)
    const end = keyEnd + bytes.readUInt32BE(at + 2)
    if (end > bytes.length) throw new RangeError('a page is cut short')
    entries.push({ key: bytes.toString('utf8', at + 6, keyEnd), bytes: bytes.subarray(keyEnd, end) })
    at = end
  }
  return entries
}
