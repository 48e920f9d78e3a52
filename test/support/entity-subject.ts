/** One entity without a node: it is told things, and keeps its state and its records as a commit would leave them. */
import type { EntityKey } from '../../lib/ids.js'
import { type AnyEntityKind, type Decision, storedValue } from '../../lib/partitions/entity.js'

export class Subject {
  state: unknown
  nowMs = 1_000_000
  readonly records = new Map<string, unknown>()

  constructor(
    readonly kind: AnyEntityKind,
    readonly key: EntityKey,
  ) {
    this.state = kind.load(new Map(), key)
  }

  tell(message: object): Decision<unknown, unknown> {
    const context = { key: this.key, nowMs: this.nowMs, historyPending: false }
    const decision = this.kind.decide(this.state, message as { type: string }, context) as Decision<
      unknown,
      unknown
    >
    for (const [name, value] of decision.put ?? []) this.records.set(name, storedValue(value))
    for (const name of decision.del ?? []) this.records.delete(name)
    this.state = decision.state ?? this.kind.load(new Map(), this.key)
    return decision
  }
}
