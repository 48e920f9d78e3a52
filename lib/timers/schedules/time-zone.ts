/**
 * A time zone: what its clocks show at an instant, and the instant at which they show a time. Times that clocks show are
 * "walls": ms since 1970 as if the clock stood in Greenwich.
 *
 * Invariant: `firstInstantOf` never goes back when its argument goes on. So a list of walls becomes a list of instants
 * in the same order, over each change of the clocks. What can go wrong: two changes within three days are taken for one;
 * no zone has had that since 1970 outside of wars.
 */
import { AppError } from '../../errors.js'

/** Longer than any change of a clock (Samoa left out a whole day) and any offset together. */
const aroundMs = 36 * 3_600_000

export class TimeZone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat

  /** @throws AppError `invalid-value` when there is no such zone; the field is `timeZone` */
  constructor(name: string) {
    try {
      // An offset such as +02:00 is no zone: it knows nothing of summers.
      if (!/^[A-Za-z]/.test(name)) throw new RangeError()
      this.#format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' })
    } catch {
      const message = 'not a time zone of the IANA database, e.g. Europe/Berlin'
      throw new AppError('invalid-value', `timeZone: ${message}`, { fields: { timeZone: message } })
    }
    this.name = name
  }

  /** What the zone adds to Greenwich at this instant, in ms. */
  offsetMs(atMs: number): number {
    const match = /GMT(?:([+-])(\d{2}):(\d{2})(?::(\d{2}))?)?$/.exec(this.#format.format(atMs))
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = match ?? []
    const ms = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000
    return sign === '-' ? -ms : ms
  }

  /** The change of the clocks between two instants: the first ms of what holds afterwards; null when there is none. */
  changeBetween(fromMs: number, toMs: number): ClockChange | null {
    const beforeMs = this.offsetMs(fromMs)
    const afterMs = this.offsetMs(toMs)
    if (beforeMs === afterMs) return null
    let [low, high] = [fromMs, toMs]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.offsetMs(middle) === beforeMs) low = middle
      else high = middle
    }
    return { atMs: high, beforeMs, afterMs }
  }

  /** The change near an instant, if there is one. */
  changeNear(atMs: number): ClockChange | null {
    return this.changeBetween(atMs - aroundMs, atMs + aroundMs)
  }

  /**
   * The first instant at which the clocks show this wall, or a later one: the end of the gap for a time that they skip,
   * the first of two for one that they show twice.
   */
  firstInstantOf(wallMs: number): number {
    const change = this.changeNear(wallMs)
    if (!change) return wallMs - this.offsetMs(wallMs)
    if (wallMs - change.beforeMs < change.atMs) return wallMs - change.beforeMs
    return Math.max(change.atMs, wallMs - change.afterMs)
  }

  /** The latest wall that the clocks have shown up to an instant: later than what they show when they were set back. */
  latestWallAt(atMs: number): number {
    const wallMs = atMs + this.offsetMs(atMs)
    const change = this.changeBetween(atMs - aroundMs, atMs)
    return change ? Math.max(wallMs, change.atMs - 1 + change.beforeMs) : wallMs
  }
}

/** Clocks are set forward or back. */
export interface ClockChange {
  /** First instant at which the new offset holds. */
  readonly atMs: number
  readonly beforeMs: number
  readonly afterMs: number
}
