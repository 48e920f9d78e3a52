/**
 * Keeps refusals from filling the audit log. Who is refused decides how often that happens: without a bound a stranger
 * with a wrong key writes as many rows as they have bandwidth, fills the disk, and pushes out of the waiting rows what
 * matters. So each of them gets so many rows a minute; the rest is counted, and one row tells how many.
 *
 * Invariant: nothing is dropped in silence, and nothing but refusals is ever held back.
 */
import type { AuditEvent } from './contract.js'

const minuteMs = 60_000
/** Callers counted apart within one minute; all others share a count. */
const callersMax = 10_000
const refusals: ReadonlySet<string> = new Set(['access.denied', 'session.refused'])

interface Count {
  readonly first: AuditEvent
  rows: number
}

export class RefusalLimits {
  readonly #rowsPerMinuteMax: number
  #minute = 0
  #counts = new Map<string, Count>()

  constructor(rowsPerMinuteMax: number) {
    this.#rowsPerMinuteMax = rowsPerMinuteMax
  }

  /** True when the event is to be written; false when it is only counted. */
  take(event: AuditEvent): boolean {
    if (!refusals.has(event.name)) return true
    const caller = JSON.stringify([event.name, event.userId ?? event.address ?? null])
    const isCountedApart = this.#counts.has(caller) || this.#counts.size < callersMax
    const key = isCountedApart ? caller : event.name
    const count = this.#counts.get(key) ?? { first: isCountedApart ? event : { name: event.name }, rows: 0 }
    this.#counts.set(key, count)
    count.rows += 1
    return count.rows <= this.#rowsPerMinuteMax
  }

  /** What was only counted until now, one event for each caller; to be asked often, it answers once a minute. */
  summaries(nowMs: number): AuditEvent[] {
    const minute = Math.floor(nowMs / minuteMs)
    return minute === this.#minute ? [] : this.#startMinute(minute)
  }

  /** The same at once, for the end. */
  rest(): AuditEvent[] {
    return this.#startMinute(this.#minute)
  }

  #startMinute(minute: number): AuditEvent[] {
    const counted = this.#counts
    this.#minute = minute
    this.#counts = new Map()
    const events: AuditEvent[] = []
    for (const { first, rows } of counted.values()) {
      if (rows <= this.#rowsPerMinuteMax) continue
      const { userId = null, address = null } = first
      const count = rows - this.#rowsPerMinuteMax
      events.push({ name: 'refusals.repeated', userId, address, details: { what: first.name, count } })
    }
    return events
  }
}
