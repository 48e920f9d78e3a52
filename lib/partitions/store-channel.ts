/**
 * Messages from store to store: what is said to a copy is for that copy alone, not for whatever its node has now.
 *
 * A node can come back with an empty disk, or with an older copy of its directory, at the same address. Each message
 * therefore begins with the id of the store it is meant for, and the life of the sender's store is compared with the
 * last one heard. Invariant: no store acts on what was meant for another, or on what an earlier life of the sender said
 * after a later one was heard.
 */
import { AppError } from '../errors.js'
import type { CallHandler, Peers } from '../ring/index.js'
import { clusterTimes } from './cluster-times.js'
import type { StoreId } from './configuration.js'
import type { Evidence } from './evidence.js'
import type { RulesOff } from './rules.js'

export interface StoreChannelOptions {
  readonly peers: Pick<Peers, 'self' | 'call' | 'onCall'>
  readonly evidence: Evidence
  readonly rulesOff?: RulesOff | undefined
}

export class StoreChannel {
  readonly #options: StoreChannelOptions
  /** The last life of each store that was heard: what an earlier one says does not count any more. */
  readonly #boots = new Map<string, number>()

  constructor(options: StoreChannelOptions) {
    this.#options = options
  }

  /** One message to a store. Rejects with an `AppError`: `unavailable` when its node is unknown or has another store. */
  async call(
    to: StoreId,
    kind: string,
    body: Buffer,
    deadlineMs: number = clusterTimes.callMs,
  ): Promise<Buffer> {
    const { evidence, peers } = this.#options
    const node = evidence.nodeOf(to)
    if (!node || evidence.isReplaced(to)) throw new AppError('unavailable')
    const target = Buffer.from(to)
    const message = Buffer.concat([Buffer.of(target.length), target, body])
    return await peers.call(node.nodeId, kind, message, deadlineMs)
  }

  /**
   * Handles what is meant for this store: a message for the one that was here before is not for this one, and is
   * answered with `conflict`.
   */
  onCall(kind: string, handler: CallHandler): void {
    const { peers, rulesOff } = this.#options
    peers.onCall(kind, async (from, body) => {
      const start = 1 + body.readUInt8(0)
      const isMine = body.toString('utf8', 1, start) === peers.self.storeId
      if (!isMine && !rulesOff?.storeIdentity) throw new AppError('conflict')
      if (from.boot < (this.#boots.get(from.storeId) ?? 0)) throw new AppError('conflict')
      this.#boots.set(from.storeId, from.boot)
      return await handler(from, body.subarray(start))
    })
  }
}
