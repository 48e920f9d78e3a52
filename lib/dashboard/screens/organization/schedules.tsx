/**
 * Schedules of an environment: what runs by itself, when next, paused or not; with an id in the address, one of them and
 * what came of it. An action in the address shows those of the action alone.
 */
import { MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { useMemo, useState } from 'react'
import { useLocation, useNavigate } from 'react-router'
import type { Place } from '../../../clients/wire.js'
import type { Organization } from '../../api.js'
import {
  actOnSchedule,
  deleteSchedule,
  type Schedule,
  type ScheduleRun,
  schedulesOf,
  scheduleWithRuns,
} from '../../api-schedules.js'
import { AppLink } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { Select } from '../../components/choice.js'
import { Icon } from '../../components/icon.js'
import { Menu } from '../../components/menu.js'
import { ObjectTree } from '../../components/object-tree.js'
import { Badge, Empty, Section } from '../../components/section.js'
import { formatDateTime } from '../../format.js'
import { organizationHref, pastRunHref } from '../../links.js'
import { scheduleWords } from '../../schedule-words.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import { ScheduleForm } from './schedule-form.js'
import type { SectionProps } from './sections.js'

type Open = { kind: 'new' } | { kind: 'edit' | 'delete'; schedule: Schedule } | null

export default function SchedulesSection({ organization, rest }: SectionProps) {
  const [id] = rest
  return id === undefined ? <List organization={organization} /> : <One organization={organization} id={id} />
}

function List({ organization }: { organization: Organization }) {
  const { search } = useLocation()
  const navigate = useNavigate()
  const query = new URLSearchParams(search)
  const environment = query.get('environment') ?? 'production'
  const action = query.get('action')
  const place = useMemo(
    () => ({ organization: organization.slug, environment }),
    [organization.slug, environment],
  )
  const schedules = useLoaded(useMemo(() => () => schedulesOf(place), [place]))
  const [open, setOpen] = useState<Open>(null)
  const [done, setDone] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const changed = async (words: string) => {
    setProblem(null)
    await schedules.reload()
    setDone(words)
  }
  const act = async (schedule: Schedule, verb: 'pause' | 'resume' | 'run') => {
    setDone(null)
    try {
      await actOnSchedule(schedule.id, verb)
      const words = { pause: 'is paused', resume: 'goes on', run: 'runs now' }[verb]
      await changed(`“${schedule.action}” ${words}.`)
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  const environments = organization.environments.filter(({ slug }) => slug !== 'development')
  const shown = schedules.value?.filter(schedule => action === null || schedule.action === action)
  return (
    <Section
      title="Schedules"
      text={
        action === null ? (
          'Actions that run by themselves. They must be allowed to run in the background.'
        ) : (
          <>
            Those of <code className="font-mono">{action}</code>.{' '}
            <AppLink className="link" href={organizationHref(place, 'schedules')}>
              Show all
            </AppLink>
          </>
        )
      }
      actions={
        <button type="button" className="button primary" onClick={() => setOpen({ kind: 'new' })}>
          New schedule
        </button>
      }
      problem={problem ?? schedules.problem}
      done={done}
      isLoading={schedules.value === null}
    >
      {environments.length > 1 && (
        <div className="max-w-60">
          <Select
            name="environment"
            label="Environment"
            value={environment}
            options={environments.map(({ name, slug }) => ({ value: slug, label: name }))}
            onChange={event =>
              void navigate({ search: `?environment=${event.target.value}` }, { replace: true })
            }
          />
        </div>
      )}
      {shown?.length === 0 ? (
        <Empty title="Nothing runs by itself yet">
          Make a schedule for an action: every morning, every hour, or by a cron text.
        </Empty>
      ) : (
        <ul className="card divide-y divide-line" aria-label="Schedules">
          {shown?.map(schedule => (
            <li key={schedule.id} className="flex items-center gap-2 px-4 py-3">
              <div className="min-w-0 flex-1">
                <p className="flex flex-wrap items-center gap-x-2 font-medium">
                  <AppLink
                    className="break-words hover:underline"
                    href={organizationHref(place, 'schedules', schedule.id)}
                  >
                    {schedule.action}
                  </AppLink>
                  {schedule.isPaused && <Badge tone="warning">Paused</Badge>}
                </p>
                <p className="text-sm break-words text-muted">
                  {scheduleWords(schedule.times)} · {schedule.timeZone}
                </p>
                <p className="text-sm text-muted">{nextWords(schedule)}</p>
              </div>
              <ScheduleMenu
                schedule={schedule}
                onAct={verb => void act(schedule, verb)}
                onOpen={kind => setOpen({ kind, schedule })}
              />
            </li>
          ))}
        </ul>
      )}
      {open !== null && open.kind !== 'delete' && (
        <ScheduleForm
          place={place}
          schedule={open.kind === 'edit' ? open.schedule : null}
          action={action}
          onClose={() => setOpen(null)}
          onChanged={changed}
        />
      )}
      {open?.kind === 'delete' && (
        <Ask
          title={`Delete the schedule of “${open.schedule.action}”?`}
          action="Delete the schedule"
          onClose={() => setOpen(null)}
          onConfirmed={async () => {
            await deleteSchedule(open.schedule.id)
            await changed('The schedule was deleted.')
          }}
        >
          It does not run again. What has run stays in the history.
        </Ask>
      )}
    </Section>
  )
}

function nextWords({ isPaused, timeZone, upcomingMs }: Schedule): string {
  const [next] = upcomingMs
  if (isPaused) return 'Does not run until it goes on.'
  return next === undefined ? 'Does not run again.' : `Next ${zonedWords(next, timeZone)}`
}

/** A time in the zone of the schedule, and the reader's own where that differs. */
function zonedWords(atMs: number, timeZone: string): string {
  const here = formatDateTime(new Date(atMs))
  const there = zoned(atMs, timeZone)
  return there === here ? here : `${there} (${here} here)`
}

function zoned(atMs: number, timeZone: string): string {
  const at = new Date(atMs)
  try {
    return at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short', timeZone })
  } catch {
    // A zone that this browser does not know.
    return formatDateTime(at)
  }
}

function ScheduleMenu({
  schedule,
  onAct,
  onOpen,
}: {
  schedule: Schedule
  onAct: (verb: 'pause' | 'resume' | 'run') => void
  onOpen: (kind: 'edit' | 'delete') => void
}) {
  const item = 'rounded-control px-2.5 py-1.5 text-left data-[active-item]:bg-sunken'
  return (
    <MenuProvider placement="bottom-end">
      <MenuButton className="button plain small" aria-label={`Options for ${schedule.action}`}>
        <Icon name="more" className="size-4" />
      </MenuButton>
      <Menu className="w-44">
        <MenuItem className={item} onClick={() => onAct('run')}>
          Run now
        </MenuItem>
        <MenuItem className={item} onClick={() => onAct(schedule.isPaused ? 'resume' : 'pause')}>
          {schedule.isPaused ? 'Resume' : 'Pause'}
        </MenuItem>
        <MenuItem className={item} onClick={() => onOpen('edit')}>
          Edit…
        </MenuItem>
        <MenuItem className={item} onClick={() => onOpen('delete')}>
          Delete…
        </MenuItem>
      </Menu>
    </MenuProvider>
  )
}

const runWords: Readonly<Record<string, readonly [string, 'plain' | 'success' | 'danger' | 'warning']>> = {
  WAITING: ['Waits', 'warning'],
  STARTING: ['Starts', 'warning'],
  RUNNING: ['Runs', 'warning'],
  SUCCESS: ['Completed', 'success'],
  FAILURE: ['Error', 'danger'],
  SKIPPED: ['Skipped', 'plain'],
}

const causeWords: Readonly<Record<string, string>> = { missed: 'made up for', manual: 'by hand' }

function One({ organization, id }: { organization: Organization; id: string }) {
  const loaded = useLoaded(useMemo(() => () => scheduleWithRuns(id), [id]))
  const schedule = loaded.value?.schedule
  const place = { organization: organization.slug, environment: schedule?.environment ?? 'production' }
  const list = `${organizationHref(place, 'schedules')}?environment=${encodeURIComponent(place.environment)}`
  return (
    <Section
      title={schedule?.action ?? 'Schedule'}
      text={schedule && `${scheduleWords(schedule.times)} · ${schedule.timeZone}`}
      actions={
        <AppLink className="button" href={list}>
          All schedules
        </AppLink>
      }
      problem={loaded.problem}
      isLoading={loaded.value === null}
    >
      {schedule && <About schedule={schedule} />}
      <section className="grid gap-3" aria-labelledby="schedule-runs">
        <div className="flex items-center gap-3">
          <h3 id="schedule-runs" className="flex-1 font-semibold">
            Runs
          </h3>
          <button type="button" className="button small" onClick={() => void loaded.reload()}>
            Refresh
          </button>
        </div>
        {loaded.value?.runs.length === 0 ? (
          <Empty title="It has not run yet" />
        ) : (
          <ul className="card divide-y divide-line" aria-label="Runs">
            {loaded.value?.runs.map(run => (
              <Run key={run.id} run={run} place={place} />
            ))}
          </ul>
        )}
      </section>
    </Section>
  )
}

function About({ schedule }: { schedule: Schedule }) {
  const facts: [string, string][] = [
    [
      'Runs as',
      schedule.runsAsOwner ? 'Whoever owns the organization' : (schedule.runner ?? 'Somebody who is gone'),
    ],
    ['Missed while everything was down', missedWords[schedule.missed]],
    ['Due while it still runs', overlapWords[schedule.overlap]],
    ['Told by mail or Slack', schedule.notifyOnSuccess ? 'Success and what went wrong' : 'What went wrong'],
  ]
  return (
    <section className="card grid gap-4 p-5" aria-label="About this schedule">
      <dl className="grid gap-x-6 gap-y-3 sm:grid-cols-2">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt className="text-sm text-muted">{name}</dt>
            <dd className="break-words">{value}</dd>
          </div>
        ))}
        <div>
          <dt className="text-sm text-muted">Next times</dt>
          <dd>
            {schedule.isPaused ? (
              <Badge tone="warning">Paused</Badge>
            ) : (
              <ul>
                {schedule.upcomingMs.map(atMs => (
                  <li key={atMs}>{zoned(atMs, schedule.timeZone)}</li>
                ))}
              </ul>
            )}
          </dd>
        </div>
        {Object.keys(schedule.params).length > 0 && (
          <div className="min-w-0">
            <dt className="text-sm text-muted">Started with</dt>
            <dd>
              <ObjectTree value={schedule.params} />
            </dd>
          </div>
        )}
      </dl>
    </section>
  )
}

const missedWords = {
  once: 'Runs once when it is up again',
  all: 'Each one is made up for',
  skip: 'Left out',
}
const overlapWords = { skip: 'Left out', 'queue-one': 'One waits for its end', allow: 'Runs beside it' }

function Run({ run, place }: { run: ScheduleRun; place: Place }) {
  const [words, tone] = runWords[run.status] ?? [run.status, 'plain']
  const cause = causeWords[run.cause]
  return (
    <li className="flex items-center gap-4 px-4 py-3">
      <div className="min-w-0 flex-1">
        <p>
          {run.dueAtMs !== null && formatDateTime(new Date(run.dueAtMs))}
          {cause !== undefined && <span className="text-muted"> · {cause}</span>}
          {run.ticks > 1 && <span className="text-muted"> · {run.ticks} times</span>}
        </p>
        {run.details !== null && <p className="text-sm break-words text-muted">{run.details}</p>}
      </div>
      {run.transactionId !== null && (
        <AppLink className="link text-sm" href={pastRunHref(place, run.transactionId)}>
          Open
        </AppLink>
      )}
      <Badge tone={tone}>{words}</Badge>
    </li>
  )
}
