/**
 * The ticks of a schedule: instants, computed from a cron text or an interval in a time zone. Nothing is kept; the next
 * tick follows from the one before, on whichever node.
 *
 * Clocks are set forward and back, and a tick is neither lost nor doubled by it:
 *
 * - A time that the clocks skip ticks at the end of the gap. What falls together there is one tick.
 * - A time that they show twice ticks once, the first time. Only a cron text with `*` for its hours goes on through the
 *   second hour as well: "every five minutes" means no hour of silence.
 * - Intervals of minutes and hours are lengths of time and do not look at clocks; intervals of days do.
 *
 * What can go wrong: a text that is valid and never comes true (30 February). It has no next tick, and is refused where
 * schedules are made.
 */
import { Cron } from 'croner'
import { AppError } from '../../errors.js'
import { TimeZone } from './time-zone.js'

const unitMs = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 } as const

export type IntervalUnit = keyof typeof unitMs
export const intervalUnits = Object.keys(unitMs) as [IntervalUnit, ...IntervalUnit[]]

export type ScheduleTimes =
  /** Five fields, or six with seconds in front. */
  | { readonly cron: string; readonly timeZone: string }
  /** The anchor is the first tick, in ms since 1970. */
  | {
      readonly every: number
      readonly unit: IntervalUnit
      readonly anchorMs: number
      readonly timeZone: string
    }

/** The latest ticks of a stretch of time. */
export interface LatestTicks {
  /** In order, at most as many as asked for. */
  readonly ticks: readonly number[]
  /** The first tick of all, also where it is not among them; null when there is none. */
  readonly firstMs: number | null
  /** There were more before these. */
  readonly isMore: boolean
}

const cronCharactersMax = 120
/** A hundred years in minutes. */
const everyMax = 52_560_000
/** What time zones say of years before is of no use to anybody. */
const anchorMsMin = Date.UTC(2000, 0, 1)
const anchorMsMax = Date.UTC(2200, 0, 1)

export class Calendar {
  readonly #zone: TimeZone
  readonly #next: (afterMs: number) => number | null

  /** @throws AppError `invalid-value` that names the field: `cron`, `every`, `anchor` or `timeZone` */
  constructor(times: ScheduleTimes) {
    this.#zone = new TimeZone(times.timeZone)
    this.#next = 'cron' in times ? this.#cron(times.cron) : this.#interval(times)
  }

  /** The first tick after an instant, in ms since 1970; null when there is none any more. */
  next(afterMs: number): number | null {
    return this.#next(afterMs)
  }

  /** The last `max` ticks t with afterMs < t ≤ untilMs. It takes some ms when there were a great many. */
  latest(afterMs: number, untilMs: number, max: number): LatestTicks {
    const first = this.next(afterMs)
    if (first === null || first > untilMs) return { ticks: [], firstMs: null, isMore: false }
    let ticks = this.#ticks(afterMs, untilMs, max)
    if (ticks) return { ticks, firstMs: first, isMore: false }
    // Too many: looks for the earliest second from which on there are not.
    let [tooEarly, lateEnough] = [afterMs, untilMs]
    ticks = []
    while (lateEnough - tooEarly > 500 && ticks.length < max) {
      const middle = Math.floor((tooEarly + lateEnough) / 2)
      const found = this.#ticks(middle, untilMs, max)
      if (found) [lateEnough, ticks] = [middle, found]
      else tooEarly = middle
    }
    return { ticks, firstMs: first, isMore: true }
  }

  /** Undefined when there are more than `max`. */
  #ticks(afterMs: number, untilMs: number, max: number): number[] | undefined {
    const ticks: number[] = []
    for (let tick = this.next(afterMs); tick !== null && tick <= untilMs; tick = this.next(tick)) {
      if (ticks.length === max) return undefined
      ticks.push(tick)
    }
    return ticks
  }

  #cron(text: string): (afterMs: number) => number | null {
    const zone = this.#zone
    const { cron, isEveryHour } = parseCron(text)
    const nextWall = (wallMs: number) => nextRun(cron, wallMs)
    return afterMs => {
      const wall = nextWall(zone.latestWallAt(afterMs))
      const next = wall === null ? null : zone.firstInstantOf(wall)
      const repeated = isEveryHour ? nextInRepeat(zone, nextWall, afterMs) : null
      if (next === null || repeated === null) return next ?? repeated
      return Math.min(next, repeated)
    }
  }

  #interval(times: Extract<ScheduleTimes, { every: number }>): (afterMs: number) => number | null {
    const { every, unit, anchorMs } = times
    if (!Number.isInteger(every) || every < 1 || every > everyMax)
      throw invalid('every', `a whole number from 1 to ${everyMax}`)
    if (!(anchorMs >= anchorMsMin && anchorMs <= anchorMsMax))
      throw invalid('anchor', 'a time from the year 2000 to 2199')
    const zone = this.#zone
    const stepMs = every * unitMs[unit]
    const after = (startMs: number, ms: number) =>
      startMs + Math.max(0, Math.floor((ms - startMs) / stepMs) + 1) * stepMs
    if (unit !== 'days') return afterMs => after(anchorMs, afterMs)
    const anchorWallMs = anchorMs + zone.offsetMs(anchorMs)
    return afterMs => zone.firstInstantOf(after(anchorWallMs, zone.latestWallAt(afterMs)))
  }
}

/**
 * The library looks through a thousand years, by recursion, so a text that never comes true may be more than the stack
 * holds. Calendars repeat after four hundred: what is not found before is not found at all.
 */
function nextRun(cron: Cron, wallMs: number): number | null {
  try {
    return cron.nextRun(new Date(wallMs))?.getTime() ?? null
  } catch {
    return null
  }
}

/** The next tick in an hour that the clocks show for the second time. */
function nextInRepeat(
  zone: TimeZone,
  nextWall: (wallMs: number) => number | null,
  afterMs: number,
): number | null {
  const change = zone.changeNear(afterMs)
  if (!change || change.afterMs >= change.beforeMs) return null
  const wall = nextWall(Math.max(afterMs, change.atMs - 1) + change.afterMs)
  if (wall === null) return null
  const tick = wall - change.afterMs
  return tick < change.atMs + change.beforeMs - change.afterMs ? tick : null
}

function parseCron(text: string): { cron: Cron; isEveryHour: boolean } {
  const fields = text.trim().split(/\s+/)
  if (text.length > cronCharactersMax) throw invalid('cron', `at most ${cronCharactersMax} characters`)
  if (fields.length < 5 || fields.length > 6)
    throw invalid('cron', 'five fields (minute hour day month weekday), or six with seconds in front')
  // Words such as @daily, and ? which means another time with each reading.
  if (!/^[\dA-Za-z*,\-/#+ ]+$/.test(fields.join(' '))) throw invalid('cron', 'characters that mean nothing')
  try {
    // Walls are computed as in Greenwich, where clocks are never set.
    const cron = new Cron(fields.join(' '), { utcOffset: 0, mode: '5-or-6-parts', paused: true })
    return { cron, isEveryHour: fields.at(-4) === '*' }
  } catch (error) {
    throw invalid('cron', error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'not valid')
  }
}

function invalid(field: string, message: string): AppError {
  return new AppError('invalid-value', `${field}: ${message}`, { fields: { [field]: message } })
}
