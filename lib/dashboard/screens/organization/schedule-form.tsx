/** A schedule as a form: which action, when, in which zone, with what, and what happens to times that are missed. */
import { useEffect, useState } from 'react'
import type { Place } from '../../../clients/wire.js'
import {
  changeSchedule,
  createSchedule,
  type Missed,
  type Overlap,
  previewTimes,
  type Schedule,
  type ScheduleChanges,
} from '../../api-schedules.js'
import { Select, Tick } from '../../components/choice.js'
import { FormDialog } from '../../components/form-dialog.js'
import { Input, TextArea } from '../../components/input.js'
import { RequestError } from '../../connection.js'
import { isRecord } from '../../props.js'
import { type IntervalUnit, scheduleWords } from '../../schedule-words.js'
import { useDirectory } from '../../services.js'

const previewMs = 300

const presets = [
  ['0 9 * * *', 'Every day'],
  ['0 9 * * 1-5', 'Every weekday'],
  ['0 9 * * 1', 'Every Monday'],
  ['0 * * * *', 'Every hour'],
] as const

export function ScheduleForm({
  place,
  schedule,
  action: only,
  onClose,
  onChanged,
}: {
  place: Place
  /** Null for a new one. */
  schedule: Schedule | null
  /** The action it is for, where that is settled. */
  action: string | null
  onClose: () => void
  onChanged: (words: string) => Promise<void>
}) {
  const before = schedule?.times
  const interval = before && 'every' in before ? before.every : null
  const [action, setAction] = useState(schedule?.action ?? only ?? '')
  const [kind, setKind] = useState<'cron' | 'every'>(interval ? 'every' : 'cron')
  const [cron, setCron] = useState(before && 'cron' in before ? before.cron : presets[0][0])
  const [count, setCount] = useState(String(interval?.count ?? 1))
  const [unit, setUnit] = useState<IntervalUnit>(interval?.unit ?? 'hours')
  const [timeZone, setTimeZone] = useState(schedule?.timeZone ?? ownZone())
  const [params, setParams] = useState(schedule ? paramsText(schedule.params) : '')
  const [missed, setMissed] = useState<Missed>(schedule?.missed ?? 'once')
  const [overlap, setOverlap] = useState<Overlap>(schedule?.overlap ?? 'skip')
  const [asOwner, setAsOwner] = useState(schedule?.runsAsOwner ?? false)
  const [notifyOnSuccess, setNotifyOnSuccess] = useState(schedule?.notifyOnSuccess ?? false)

  const { directory } = useDirectory(place)
  const actions = directory?.actions.filter(({ backgroundable }) => backgroundable) ?? []

  const times: Pick<ScheduleChanges, 'cron' | 'every'> =
    kind === 'cron'
      ? { cron: cron.trim() }
      : {
          every: {
            count: Number(count),
            unit,
            ...(interval?.anchor != null && { anchor: interval.anchor }),
          },
        }
  const save = async () => {
    const changes: ScheduleChanges = {
      ...times,
      timeZone: timeZone.trim(),
      params: paramsOf(params),
      missed,
      overlap,
      notifyOnSuccess,
      ...(asOwner && { runner: 'owner' }),
    }
    if (schedule) await changeSchedule(schedule.id, changes)
    else await createSchedule(place, action.trim(), changes)
    await onChanged(schedule ? 'The schedule was changed.' : `“${action.trim()}” runs by itself from now on.`)
  }

  return (
    <FormDialog
      title={schedule ? `Schedule of “${schedule.action}”` : 'New schedule'}
      submit={schedule ? 'Save' : 'Make the schedule'}
      onSubmit={save}
      onClose={onClose}
      isWide
    >
      {errors => (
        <>
          {!schedule && (
            <>
              <Input
                name="action"
                label="Action"
                required
                list="schedule-actions"
                hint="Its whole path, such as users/clean_up."
                autoComplete="off"
                value={action}
                error={errors.action}
                onChange={event => setAction(event.target.value)}
              />
              <datalist id="schedule-actions">
                {actions.map(({ slug, name }) => (
                  <option key={slug} value={slug}>
                    {name}
                  </option>
                ))}
              </datalist>
            </>
          )}
          <Select
            name="kind"
            label="When"
            value={kind}
            options={[
              { value: 'cron', label: 'At certain times (cron text)' },
              { value: 'every', label: 'At an interval' },
            ]}
            onChange={event => setKind(event.target.value as 'cron' | 'every')}
          />
          {kind === 'cron' ? (
            <div className="grid gap-2">
              <Input
                name="cron"
                label="Cron text"
                required
                className="control font-mono"
                hint="Minute, hour, day of the month, month, day of the week."
                value={cron}
                error={errors.cron}
                onChange={event => setCron(event.target.value)}
              />
              <div className="flex flex-wrap gap-2">
                {presets.map(([text, words]) => (
                  <button key={text} type="button" className="button small" onClick={() => setCron(text)}>
                    {words}
                  </button>
                ))}
              </div>
            </div>
          ) : (
            <div className="grid grid-cols-2 gap-4">
              <Input
                name="every"
                label="Every"
                type="number"
                min={1}
                required
                value={count}
                error={errors.every}
                onChange={event => setCount(event.target.value)}
              />
              <Select
                name="unit"
                label="Unit"
                value={unit}
                options={[
                  { value: 'minutes', label: 'minutes' },
                  { value: 'hours', label: 'hours' },
                  { value: 'days', label: 'days' },
                ]}
                onChange={event => setUnit(event.target.value as IntervalUnit)}
              />
            </div>
          )}
          <Input
            name="timeZone"
            label="Time zone"
            required
            list="schedule-zones"
            autoComplete="off"
            value={timeZone}
            error={errors.timeZone}
            onChange={event => setTimeZone(event.target.value)}
          />
          <datalist id="schedule-zones">
            {Intl.supportedValuesOf('timeZone').map(zone => (
              <option key={zone} value={zone} />
            ))}
          </datalist>
          <Preview times={times} timeZone={timeZone.trim()} />
          <TextArea
            name="params"
            label="Parameters"
            className="control font-mono text-sm"
            rows={3}
            hint="What the action finds as its parameters, one on each line: name = value"
            value={params}
            error={errors.params}
            onChange={event => setParams(event.target.value)}
          />
          <Select
            name="missed"
            label="Missed while everything was down"
            value={missed}
            options={[
              { value: 'once', label: 'Run once when it is up again' },
              { value: 'all', label: 'Make up for each' },
              { value: 'skip', label: 'Leave out' },
            ]}
            onChange={event => setMissed(event.target.value as Missed)}
          />
          <Select
            name="overlap"
            label="Due while it still runs"
            value={overlap}
            options={[
              { value: 'skip', label: 'Leave out' },
              { value: 'queue-one', label: 'Let one wait for its end' },
              { value: 'allow', label: 'Run beside it' },
            ]}
            onChange={event => setOverlap(event.target.value as Overlap)}
          />
          <Tick
            id="schedule-success"
            label="Tell who it runs as of success too"
            hint="Of what goes wrong they hear anyway."
            checked={notifyOnSuccess}
            onChange={setNotifyOnSuccess}
          />
          {!schedule?.runsAsOwner && (
            <Tick
              id="schedule-owner"
              label="Run as whoever owns the organization"
              hint={schedule ? 'Otherwise as the person it runs as now.' : 'Otherwise as you.'}
              checked={asOwner}
              onChange={setAsOwner}
            />
          )}
        </>
      )}
    </FormDialog>
  )
}

/** The next times of what stands in the form, as the server sees them. Its room is kept, so that nothing jumps. */
function Preview({ times, timeZone }: { times: Pick<ScheduleChanges, 'cron' | 'every'>; timeZone: string }) {
  const [upcoming, setUpcoming] = useState<readonly number[] | null>(null)
  const asked = JSON.stringify({ ...times, timeZone })
  useEffect(() => {
    let isOver = false
    const timer = setTimeout(() => {
      previewTimes(JSON.parse(asked) as Parameters<typeof previewTimes>[0]).then(
        found => !isOver && setUpcoming(found),
        () => !isOver && setUpcoming(null),
      )
    }, previewMs)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [asked])
  const words = times.cron !== undefined ? scheduleWords({ cron: times.cron }) : null
  return (
    <div className="min-h-28 rounded-control bg-sunken px-4 py-3 text-sm" role="status">
      <p className="font-medium">{words ?? 'Next times'}</p>
      {upcoming === null || upcoming.length === 0 ? (
        <p className="text-muted">These times never come.</p>
      ) : (
        <ul className="text-muted">
          {upcoming.slice(0, 3).map(atMs => (
            <li key={atMs}>{inZone(atMs, timeZone)}</li>
          ))}
        </ul>
      )}
    </div>
  )
}

function inZone(atMs: number, timeZone: string): string {
  try {
    return new Date(atMs).toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'short', timeZone })
  } catch {
    return new Date(atMs).toISOString()
  }
}

function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || 'Etc/UTC'
}

/** `name = value` by lines: what reads as JSON is that, anything else is text. */
function paramsText(params: Readonly<Record<string, unknown>>): string {
  return Object.entries(params)
    .map(([name, value]) => `${name} = ${plainOf(value)}`)
    .join('\n')
}

function plainOf(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return isPlainText(value) ? value : JSON.stringify(value)
}

function isPlainText(text: string): boolean {
  if (text === '' || text.trim() !== text || /[\r\n]/.test(text)) return false
  try {
    JSON.parse(text)
    return false
  } catch {
    return true
  }
}

function paramsOf(text: string): Record<string, unknown> {
  const params: Record<string, unknown> = {}
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const at = line.indexOf('=')
    const name = line.slice(0, at).trim()
    if (at < 0 || name === '') {
      const message = `Write “name = value”: ${line.trim().slice(0, 40)}`
      throw new RequestError({ code: 'invalid-value', message, fields: { params: message } })
    }
    params[name] = readValue(line.slice(at + 1).trim())
  }
  return params
}

function readValue(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) || Array.isArray(value) ? text : value
  } catch {
    return text
  }
}
