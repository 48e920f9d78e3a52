/** Calendars that were parsed, so that a schedule which ticks each second is not parsed each second. Bounded. */
import { Calendar, type ScheduleTimes } from './calendar.js'

const calendarsMax = 1_000

export class Calendars {
  readonly #known = new Map<string, Calendar>()

  /** Throws as `Calendar` does. */
  of(times: ScheduleTimes): Calendar {
    const name = JSON.stringify(times)
    const known = this.#known.get(name)
    if (known) return known
    const calendar = new Calendar(times)
    if (this.#known.size >= calendarsMax) this.#known.delete(this.#known.keys().next().value ?? '')
    this.#known.set(name, calendar)
    return calendar
  }
}
