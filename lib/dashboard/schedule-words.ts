/**
 * When a schedule runs, in words: for the cron texts that people write, and for intervals. What has no simple words is
 * shown as it is written. Pure.
 */

export type IntervalUnit = 'minutes' | 'hours' | 'days'

export type Times = { cron: string } | { every: { count: number; unit: IntervalUnit; anchor: string | null } }

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** `Every day at 9:00 AM`. Times are those of the schedule's own zone. */
export function scheduleWords(times: Times, locale?: string): string {
  if ('every' in times) {
    const { count, unit } = times.every
    return count === 1 ? `Every ${unit.slice(0, -1)}` : `Every ${count} ${unit}`
  }
  return cronWords(times.cron.trim(), locale) ?? times.cron
}

/** Null for what has no simple words. */
function cronWords(cron: string, locale: string | undefined): string | null {
  const [minute, hour, day, month, weekday, ...more] = cron.split(/\s+/)
  if (minute === undefined || hour === undefined || weekday === undefined || more.length > 0) return null
  if (month !== '*') return null
  const isEveryDay = day === '*' && weekday === '*'
  if (hour === '*' && isEveryDay) {
    if (minute === '*') return 'Every minute'
    const step = /^(?:\*|0)\/(\d+)$/.exec(minute)?.[1]
    // Each hour begins anew: with 7 the last of its minutes is 56, and the next is 4 later.
    if (step !== undefined && (Number(step) === 0 || 60 % Number(step) > 0)) return null
    if (step !== undefined) return step === '1' ? 'Every minute' : `Every ${step} minutes`
    return /^\d{1,2}$/.test(minute) ? `Every hour, at minute ${Number(minute)}` : null
  }
  if (!/^\d{1,2}$/.test(minute) || !/^\d{1,2}$/.test(hour)) return null
  const at = timeWords(Number(hour), Number(minute), locale)
  if (at === null) return null
  if (isEveryDay) return `Every day at ${at}`
  if (day === '*') {
    const names = weekdayWords(weekday)
    return names === null ? null : `Every ${names} at ${at}`
  }
  if (weekday === '*' && /^\d{1,2}$/.test(day ?? '')) return `On day ${Number(day)} of every month at ${at}`
  return null
}

function timeWords(hour: number, minute: number, locale: string | undefined): string | null {
  if (hour > 23 || minute > 59) return null
  const options = { timeStyle: 'short', timeZone: 'UTC' } as const
  return new Date(Date.UTC(2000, 0, 1, hour, minute)).toLocaleTimeString(locale, options)
}

function weekdayWords(weekday: string): string | null {
  if (weekday === '1-5') return 'weekday'
  const numbers = weekday.split(',').map(part => (/^[0-7]$/.test(part) ? Number(part) % 7 : Number.NaN))
  if (numbers.some(Number.isNaN)) return null
  const names = numbers.map(number => days[number])
  const last = names.pop()
  return names.length === 0 ? (last ?? null) : `${names.join(', ')} and ${last}`
}
