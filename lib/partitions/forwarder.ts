/**
 * Brings a request to the node that leads its partition, wherever that is meanwhile.
 *
 * A request makes one hop. When the one that is asked does not lead any more, or nobody does for a moment, it is tried
 * again as soon as a row changes, until its deadline. Repeats are recognised by the entities, not here. Who may be told
 * no is told so when the leader has been away for long, and then at once.
 *
 * Invariant: only the node that serves a partition hands a request to it. What can go wrong: a call fails and was carried
 * out all the same. Then it is repeated, and answered like the first.
 */
import { AppError } from '../errors.js'
import type { NodeId } from '../ids.js'
import { limits } from '../limits.js'
import type { ForwardRequest, InboundHandler, PartitionId, Peers } from '../ring/index.js'
import type { Clock } from './clock.js'
import { clusterTimes } from './cluster-times.js'
import type { Evidence } from './evidence.js'
import type { RowTable } from './row-table.js'

export interface ForwarderOptions {
  readonly peers: Pick<Peers, 'self' | 'call' | 'onCall' | 'condition'>
  readonly rows: RowTable
  readonly evidence: Evidence
  /** This node leads the partition and takes messages for it. */
  serves(partition: PartitionId): boolean
  /** This node sees too few of the others. */
  isIsolated(): boolean
  readonly clock: Clock
}

const forwardMsMax = 10_000
const retryMsMin = 10
const retryMsMax = 200

/** What a request waits out: its partition has no leader for a moment. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'timeout', 'draining'])

export class Forwarder {
  readonly #options: ForwarderOptions
  #inbound: InboundHandler | undefined

  constructor(options: ForwarderOptions) {
    this.#options = options
    options.peers.onCall('send', async (_from, body) => {
      const request = JSON.parse(body.toString()) as ForwardRequest
      if (!this.#inbound || !options.serves(request.partition)) throw new AppError('unavailable')
      return Buffer.from(JSON.stringify((await this.#inbound(request)) ?? null))
    })
  }

  /** Takes the requests for what this node leads. Given once. */
  onInbound(handler: InboundHandler): void {
    this.#inbound = handler
  }

  /**
   * Brings a request to the leader, wherever it is meanwhile, until the deadline, and resolves with the reply.
   * Rejects with the leader's `AppError`; `unavailable` when the time is over; `copies-away` or `isolated` when the
   * request is refusable and its leader has been away for `copiesAwayMsMax`.
   */
  async forward(request: ForwardRequest): Promise<unknown> {
    const { clock, peers, rows } = this.#options
    const sinceMs = clock.nowMs()
    const untilMs = sinceMs + (request.deadlineMs ?? forwardMsMax)
    let { isNew, ...rest } = request
    for (let delayMs = retryMsMin; ; delayMs = Math.min(delayMs * 2, retryMsMax)) {
      const leftMs = untilMs - clock.nowMs()
      if (leftMs <= 0) throw new AppError('unavailable')
      const owner = rows.ownerOf(request.partition)
      if (request.isRefusable && this.#isUnreachable(owner, sinceMs)) {
        throw new AppError(this.#options.isIsolated() ? 'isolated' : 'copies-away')
      }
      try {
        if (owner === peers.self.nodeId) {
          if (this.#inbound && this.#options.serves(request.partition))
            return await this.#inbound(isNew ? request : rest)
        } else {
          const body = Buffer.from(JSON.stringify(isNew ? request : rest))
          const reply = await peers.call(owner, 'send', body, Math.min(leftMs, clusterTimes.callMs))
          return JSON.parse(reply.toString()) as unknown
        }
      } catch (error) {
        const passes = error instanceof AppError && passing.has(error.code)
        if (!passes) throw error
        // It may have been carried out: then there is something under this key.
        isNew = false
      }
      await rows.changed(Math.min(delayMs, leftMs))
    }
  }

  /** True when a leader has been away for so long that those who need not wait for it should not. */
  #isUnreachable(owner: NodeId, askedSinceMs: number): boolean {
    const { clock, evidence, peers } = this.#options
    const longAgoMs = clock.nowMs() - limits.copiesAwayMsMax
    if (owner === peers.self.nodeId) return askedSinceMs <= longAgoMs
    const condition = peers.condition(owner)
    if (condition.kind === 'connected') return false
    const awaySinceMs = condition.kind === 'refused' ? condition.sinceMs : condition.heardAtMs
    return Math.max(awaySinceMs, evidence.startedAtMs) <= longAgoMs || askedSinceMs <= longAgoMs
  }
}
