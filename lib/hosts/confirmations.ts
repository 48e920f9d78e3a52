/**
 * Answers a host has confirmed, on their way to the transaction. The next call of the host for the same transaction
 * usually follows within a millisecond and takes the confirmation along, which saves a commit for every step; when
 * none follows, the confirmation goes by itself after `waitMs`.
 *
 * What can go wrong: the process ends in between. Then the answer counts as unconfirmed, and is written again if the
 * host shows that it still waits for it.
 */
import type { InstanceId } from '../ids.js'
import type { Clock } from '../partitions/index.js'
import { PassingMap } from '../passing.js'

export interface Confirmed {
  readonly transactionId: string
  readonly instanceId: InstanceId
  readonly deliveryIds: string[]
}

const waitMs = 10

export class Confirmations {
  readonly #clock: Clock
  readonly #send: (confirmed: Confirmed) => void
  readonly #waiting = new PassingMap<string, Confirmed>()
  #isTimed = false

  constructor(clock: Clock, send: (confirmed: Confirmed) => void) {
    this.#clock = clock
    this.#send = send
  }

  add(transactionId: string, instanceId: InstanceId, deliveryId: string): void {
    const waiting = this.#waiting.get(transactionId)
    if (waiting) waiting.deliveryIds.push(deliveryId)
    else this.#waiting.set(transactionId, { transactionId, instanceId, deliveryIds: [deliveryId] })
    if (this.#isTimed) return
    this.#isTimed = true
    this.#clock.setTimer(waitMs, () => this.#flush())
  }

  /** What waits for this transaction; the caller brings it there. */
  take(transactionId: string, instanceId: InstanceId): readonly string[] | undefined {
    const waiting = this.#waiting.get(transactionId)
    if (waiting?.instanceId !== instanceId) return undefined
    this.#waiting.delete(transactionId)
    return waiting.deliveryIds
  }

  #flush(): void {
    this.#isTimed = false
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const confirmed of all) this.#send(confirmed)
  }
}
