/** One month to choose a day from. It follows the typed date and never takes the focus from the field. */
import { useEffect, useState } from 'react'
import { Icon } from '../components/icon.js'
import { formatLongDate } from '../format.js'
import { type Day, utcDate } from './moments.js'

interface CalendarProps {
  chosen: Day | null
  min: Day | null
  max: Day | null
  onChoose: (day: Day) => void
}

const dayMs = 86_400_000

const weekDays = Array.from({ length: 7 }, (_none, index) =>
  // The first of August 2021 was a Sunday.
  utcDate({ year: 2021, month: 8, day: 1 + index }).toLocaleDateString(undefined, {
    weekday: 'narrow',
    timeZone: 'UTC',
  }),
)

export function Calendar({ chosen, min, max, onChoose }: CalendarProps) {
  const [month, setMonth] = useState(() => firstOf(chosen ?? nearestToday(min, max)))
  const typed = chosen === null ? null : chosen.year * 12 + chosen.month
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another month moves the calendar
  useEffect(() => {
    if (chosen) setMonth(firstOf(chosen))
  }, [typed])
  const monthAfter = (months: number) =>
    utcDate({ year: month.getUTCFullYear(), month: month.getUTCMonth() + 1 + months, day: 1 })
  const move = (months: number) => setMonth(monthAfter(months))
  const blanks = month.getUTCDay()
  const days = Math.round((monthAfter(1).getTime() - month.getTime()) / dayMs)
  return (
    <fieldset
      // Beside the field where there is room: the labels below it stay in reach.
      className="card absolute top-full left-0 z-30 mt-1 w-72 p-3 shadow-lg sm:top-0 sm:left-full sm:mt-0 sm:ml-2"
      aria-label="Calendar"
      onMouseDown={event => event.preventDefault()}
    >
      <div className="mb-2 flex items-center justify-between">
        <button
          type="button"
          tabIndex={-1}
          aria-label="Previous month"
          className="button plain small px-1.5"
          onClick={() => move(-1)}
        >
          <Icon name="chevronLeft" className="size-4" />
        </button>
        <span className="font-medium" aria-live="polite">
          {month.toLocaleDateString(undefined, { month: 'long', year: 'numeric', timeZone: 'UTC' })}
        </span>
        <button
          type="button"
          tabIndex={-1}
          aria-label="Next month"
          className="button plain small px-1.5"
          onClick={() => move(1)}
        >
          <Icon name="chevronRight" className="size-4" />
        </button>
      </div>
      <div className="grid grid-cols-7 text-center text-sm">
        {weekDays.map((name, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two days may share a letter
          <span key={index} aria-hidden="true" className="py-1 text-muted">
            {name}
          </span>
        ))}
        {Array.from({ length: blanks }, (_none, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: blanks are all alike
          <span key={`blank-${index}`} />
        ))}
        {Array.from({ length: days }, (_none, index) => {
          const day = { year: month.getUTCFullYear(), month: month.getUTCMonth() + 1, day: index + 1 }
          const isChosen = chosen !== null && order(day) === order(chosen)
          const isOut = (min !== null && order(day) < order(min)) || (max !== null && order(day) > order(max))
          return (
            <button
              key={day.day}
              type="button"
              tabIndex={-1}
              disabled={isOut}
              aria-pressed={isChosen}
              aria-label={formatLongDate(utcDate(day), undefined, 'UTC')}
              className={`flatpickr-day grid aspect-square place-items-center rounded-control tabular-nums disabled:opacity-40 ${
                isChosen ? 'bg-accent text-on-accent' : 'hover:not-disabled:bg-sunken'
              }`}
              onClick={() => onChoose(day)}
            >
              {day.day}
            </button>
          )
        })}
      </div>
    </fieldset>
  )
}

/** The first of its month. */
function firstOf({ year, month }: Day): Date {
  return utcDate({ year, month, day: 1 })
}

/** The day that may be chosen next to this one, which is what it is where the person is. */
function nearestToday(min: Day | null, max: Day | null): Day {
  const now = new Date()
  const today = { year: now.getFullYear(), month: now.getMonth() + 1, day: now.getDate() }
  if (max !== null && order(max) < order(today)) return max
  return min !== null && order(min) > order(today) ? min : today
}

/** Days in order, as numbers. */
function order({ year, month, day }: Day): number {
  return year * 10_000 + month * 100 + day
}
