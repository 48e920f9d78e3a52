/**
 * Dates and times of the form fields: what hosts send and want back, what people type, and the sentences between. They
 * are days of a calendar and times of a clock, of no zone: whatever is counted is counted in UTC, where no hour and no
 * day is left out, so that they mean the same in every browser.
 */
import { formatLongDate, formatTime } from '../format.js'
import { isRecord } from '../props.js'
import { type Component, type Reading, readEmpty } from './method.js'

export interface Day {
  year: number
  /** 1 to 12. */
  month: number
  day: number
}

export interface Time {
  /** 0 to 23. */
  hour: number
  minute: number
}

/** What is in the fields, as text; hours as on a clock of twelve. */
export interface MomentDraft {
  date: string
  hour: string
  minute: string
  half: string
}

export type MomentKind = 'date' | 'time' | 'datetime'

export function isMomentDraft(draft: unknown): draft is MomentDraft {
  return isRecord(draft) && ['date', 'hour', 'minute', 'half'].every(part => typeof draft[part] === 'string')
}

export function dayOf(value: unknown): Day | null {
  if (!isRecord(value)) return null
  const { year, month, day } = value
  return typeof year === 'number' && typeof month === 'number' && typeof day === 'number'
    ? { year, month, day }
    : null
}

export function timeOf(value: unknown): Time | null {
  if (!isRecord(value)) return null
  const { hour, minute } = value
  return typeof hour === 'number' && typeof minute === 'number' ? { hour, minute } : null
}

export function draftOf(value: unknown): MomentDraft {
  const day = dayOf(value)
  const time = timeOf(value)
  return {
    date: day ? dayText(day) : '',
    hour: time ? String(time.hour % 12 || 12) : '',
    minute: time ? pad(time.minute) : '',
    half: time ? (time.hour < 12 ? 'am' : 'pm') : '',
  }
}

/** `02/25/2022` */
export function dayText({ year, month, day }: Day): string {
  return `${pad(month)}/${pad(day)}/${String(year).padStart(4, '0')}`
}

/** The day that was typed as month/day/year, padded or not; null for anything else and for days that do not exist. */
export function parseDay(text: string): Day | null {
  const match = /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/.exec(text.trim())
  if (!match) return null
  const [month, day, year] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const date = utcDate({ year, month, day })
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? { year, month, day } : null
}

export function parseTime({ hour, minute, half }: MomentDraft): Time | null {
  if (hour === '' || minute === '' || half === '') return null
  return { hour: (Number(hour) % 12) + (half === 'pm' ? 12 : 0), minute: Number(minute) }
}

/** The value that is sent, or what is wrong with what was typed. */
export function readMoment(kind: MomentKind, draft: MomentDraft, component: Component): Reading {
  const hasDate = draft.date.trim() !== ''
  const hasTime = [draft.hour, draft.minute, draft.half].some(part => part !== '')
  if ((kind === 'time' || !hasDate) && (kind === 'date' || !hasTime)) return readEmpty(component)
  const day = parseDay(draft.date)
  const time = parseTime(draft)
  if (kind !== 'time' && day === null) return { error: 'Please enter a valid date.' }
  if (kind !== 'date' && time === null) return { error: 'Please enter a valid time.' }
  const value = { ...(kind === 'time' ? {} : day), ...(kind === 'date' ? {} : time) }
  const problem = rangeProblem(kind, value, component.props.min, component.props.max)
  return problem === null ? { value } : { error: problem }
}

function rangeProblem(kind: MomentKind, value: unknown, min: unknown, max: unknown): string | null {
  const at = instantOf(kind, value)
  const from = instantOf(kind, min)
  const to = instantOf(kind, max)
  if (at === null || ((from === null || at >= from) && (to === null || at <= to))) return null
  const noun = kind === 'time' ? 'time' : 'date'
  if (from !== null && to !== null) {
    return `Please enter a ${noun} between ${written(kind, from)} and ${written(kind, to)}.`
  }
  if (from !== null) return `Please enter a ${noun} on or after ${written(kind, from)}.`
  return `Please enter a ${noun} on or before ${written(kind, to ?? at)}.`
}

/** The date that stands for the value in UTC, or null when the value lacks a part. */
function instantOf(kind: MomentKind, value: unknown): Date | null {
  const day = kind === 'time' ? { year: 2000, month: 1, day: 1 } : dayOf(value)
  const time = kind === 'date' ? { hour: 0, minute: 0 } : timeOf(value)
  return day && time ? utcDate(day, time) : null
}

/** Its parts in UTC are these; days that do not exist run over into the next month. */
export function utcDate({ year, month, day }: Day, time: Time = { hour: 0, minute: 0 }): Date {
  const date = new Date(0)
  // Unlike `Date.UTC`, this takes the years before 100 for what they are.
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(time.hour, time.minute)
  return date
}

function written(kind: MomentKind, date: Date): string {
  if (kind === 'time') return formatTime(date, undefined, 'UTC')
  const day = formatLongDate(date, undefined, 'UTC')
  return kind === 'date' ? day : `${day}, ${formatTime(date, undefined, 'UTC')}`
}

export function pad(value: number): string {
  return String(value).padStart(2, '0')
}
