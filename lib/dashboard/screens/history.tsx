/**
 * The history of an environment: every run that the person may see, newest first. What it is narrowed down to stands in
 * the address, so that a list can be sent to somebody. Pages follow each other by "Show older runs".
 */

import { Menu, MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import { useLocation, useNavigate } from 'react-router'
import type { Place } from '../../clients/wire.js'
import {
  exportHref,
  filterNames,
  type HistoryFacets,
  type HistoryFilter,
  historyCount,
  historyFacets,
  historyPage,
  type PastRunRow,
} from '../api-history.js'
import { AppLink } from '../components/app-link.js'
import { Icon } from '../components/icon.js'
import { Banner, Loading } from '../components/notice.js'
import { ResultBadge } from '../components/result-badge.js'
import { formatDateTime, formatDuration } from '../format.js'
import { isConsole, pastRunHref } from '../links.js'
import { useTitle } from '../use-title.js'

const typingMs = 300

export default function HistoryScreen({ place }: { place: Place }) {
  useTitle('History')
  const { search } = useLocation()
  const filter = filterOf(search)
  return (
    <main className="mx-auto grid w-full max-w-5xl content-start gap-6 px-4 py-8 sm:px-8">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 flex-1">
          <h2 className="text-2xl font-semibold tracking-tight">History</h2>
          <p className="text-muted">
            {isConsole(place) ? 'Runs of your own console.' : 'Runs that you may see, newest first.'}
          </p>
        </div>
        <Exports place={place} filter={filter} />
      </header>
      <Filters place={place} filter={filter} />
      <Runs key={search} place={place} filter={filter} />
    </main>
  )
}

function filterOf(search: string): HistoryFilter {
  const query = new URLSearchParams(search)
  return Object.fromEntries(
    filterNames.map(name => [name, query.get(name) ?? '']),
  ) as unknown as HistoryFilter
}

function Exports({ place, filter }: { place: Place; filter: HistoryFilter }) {
  const item = 'rounded-control px-2.5 py-1.5 data-[active-item]:bg-sunken'
  return (
    <MenuProvider placement="bottom-end">
      <MenuButton className="button small">
        Export
        <Icon name="chevronDown" className="size-4" />
      </MenuButton>
      <Menu unmountOnHide gutter={4} className="card z-40 grid w-52 gap-0.5 p-1.5 shadow-xl outline-none">
        {(['csv', 'json'] as const).map(format => (
          <MenuItem
            key={format}
            className={item}
            render={<a href={exportHref(place, filter, format)} download={`history.${format}`} />}
          >
            As {format.toUpperCase()}
          </MenuItem>
        ))}
        <p className="border-t border-line px-2.5 pt-1.5 text-sm text-muted">
          At most the newest 100,000 runs: choose days for older ones.
        </p>
      </Menu>
    </MenuProvider>
  )
}

const statuses = [
  ['', 'Any result'],
  ['open', 'Not ended yet'],
  ['success', 'Completed'],
  ['failure', 'Error'],
  ['canceled', 'Canceled'],
  ['redirected', 'Redirected'],
] as const

function Filters({ place, filter }: { place: Place; filter: HistoryFilter }) {
  const navigate = useNavigate()
  const { organization, environment } = place
  const [facets, setFacets] = useState<HistoryFacets>({ actions: [], people: [] })
  const [typed, setTyped] = useState(filter.search)
  const latest = useRef(filter)
  latest.current = filter
  useEffect(() => {
    let isOver = false
    historyFacets({ organization, environment }).then(
      found => !isOver && setFacets(found),
      // The list can be looked through without them.
      () => undefined,
    )
    return () => {
      isOver = true
    }
  }, [organization, environment])

  const change = useCallback(
    (part: Partial<HistoryFilter>) => {
      const next = { ...latest.current, ...part }
      const query = new URLSearchParams(Object.entries(next).filter(([, value]) => value.trim() !== ''))
      void navigate({ search: query.toString() }, { replace: true })
    },
    [navigate],
  )
  useEffect(() => {
    if (typed.trim() === latest.current.search) return
    const timer = setTimeout(() => change({ search: typed.trim() }), typingMs)
    return () => clearTimeout(timer)
  }, [typed, change])

  const isFiltered = filterNames.some(name => filter[name] !== '')
  return (
    <search className="card grid grid-cols-2 gap-x-4 gap-y-3 p-4 lg:grid-cols-4">
      <Field id="history-search" label="Search" className="col-span-2">
        <input
          id="history-search"
          type="search"
          className="control"
          placeholder="An action, a person, or the id of a run"
          value={typed}
          onChange={event => setTyped(event.target.value)}
        />
      </Field>
      <Field id="history-action" label="Action">
        <select
          id="history-action"
          className="control"
          value={filter.action}
          onChange={event => change({ action: event.target.value })}
        >
          <option value="">Any action</option>
          {withChosen(
            facets.actions.map(({ slug, name }) => [slug, name] as const),
            filter.action,
          ).map(([slug, name]) => (
            <option key={slug} value={slug}>
              {name}
            </option>
          ))}
        </select>
      </Field>
      <Field id="history-status" label="Result">
        <select
          id="history-status"
          className="control"
          value={filter.status}
          onChange={event => change({ status: event.target.value })}
        >
          {statuses.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </Field>
      {facets.people.length > 0 && (
        <Field id="history-person" label="Person">
          <select
            id="history-person"
            className="control"
            value={filter.person}
            onChange={event => change({ person: event.target.value })}
          >
            <option value="">Anybody</option>
            {withChosen(
              facets.people.map(({ email, name }) => [email, name || email] as const),
              filter.person,
            ).map(([email, name]) => (
              <option key={email} value={email}>
                {name}
              </option>
            ))}
          </select>
        </Field>
      )}
      <Field id="history-from" label="From">
        <input
          id="history-from"
          type="date"
          className="control"
          value={filter.from}
          max={filter.until || undefined}
          onChange={event => change({ from: event.target.value })}
        />
      </Field>
      <Field id="history-until" label="Until">
        <input
          id="history-until"
          type="date"
          className="control"
          value={filter.until}
          min={filter.from || undefined}
          onChange={event => change({ until: event.target.value })}
        />
      </Field>
      <div className="flex items-end">
        <button
          type="button"
          className="button"
          disabled={!isFiltered && typed === ''}
          onClick={() => {
            setTyped('')
            change({ search: '', action: '', person: '', status: '', from: '', until: '' })
          }}
        >
          Clear
        </button>
      </div>
    </search>
  )
}

/** What is chosen by the address is an option, also where nobody offers it any more. */
function withChosen(
  options: readonly (readonly [string, string])[],
  chosen: string,
): readonly (readonly [string, string])[] {
  return chosen === '' || options.some(([value]) => value === chosen)
    ? options
    : [...options, [chosen, chosen]]
}

function Field({
  id,
  label,
  className = '',
  children,
}: {
  id: string
  label: string
  className?: string
  children: ReactNode
}) {
  return (
    <div className={`grid gap-1.5 ${className}`}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children}
    </div>
  )
}

interface Known {
  runs: readonly PastRunRow[]
  next: string | null
}

function Runs({ place, filter }: { place: Place; filter: HistoryFilter }) {
  const [known, setKnown] = useState<Known | null>(null)
  const [total, setTotal] = useState<string>('')
  const [problem, setProblem] = useState<string | null>(null)
  const [isLoading, setLoading] = useState(false)
  const asked = useRef({ place, filter })

  const load = useCallback(async (before: Known | null) => {
    const { place, filter } = asked.current
    setLoading(true)
    try {
      const { runs, next } = await historyPage(place, filter, before?.next ?? null)
      setKnown({ runs: [...(before?.runs ?? []), ...runs], next })
      setProblem(null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
    } finally {
      setLoading(false)
    }
  }, [])
  useEffect(() => {
    void load(null)
    const { place, filter } = asked.current
    historyCount(place, filter).then(
      ({ count, isMore }) =>
        setTotal(`${isMore ? 'More than ' : ''}${count.toLocaleString()} ${count === 1 ? 'run' : 'runs'}`),
      () => undefined,
    )
  }, [load])

  if (known === null && problem === null) return <Loading />
  return (
    <section className="grid gap-3" aria-label="Runs">
      <p className="min-h-6 text-sm text-muted" role="status">
        {known?.runs.length === 0 ? '' : total}
      </p>
      {problem !== null && (
        <Banner tone="danger" role="alert">
          {problem}
        </Banner>
      )}
      {known?.runs.length === 0 && <Nothing filter={filter} />}
      {known !== null && known.runs.length > 0 && (
        <ul className="card divide-y divide-line" data-pw-history="">
          {known.runs.map(run => (
            <li key={run.id}>
              <AppLink
                href={pastRunHref(place, run.id)}
                className="grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 px-4 py-3 outline-offset-[-2px] hover:bg-sunken sm:grid-cols-[minmax(0,1fr)_12rem_11rem]"
              >
                <span className="min-w-0">
                  <span className="block truncate font-medium">{run.name}</span>
                  <span className="block truncate text-sm text-muted">{run.slug}</span>
                </span>
                <span className="justify-self-end sm:order-last sm:justify-self-end">
                  <ResultBadge result={run.result} />
                </span>
                <span className="col-span-2 text-sm text-muted sm:col-span-1">
                  <span className="block truncate">{run.person}</span>
                  {run.startedAtMs !== null && (
                    <span className="block">
                      {formatDateTime(new Date(run.startedAtMs))}
                      {run.endedAtMs !== null && ` · ${formatDuration(run.endedAtMs - run.startedAtMs)}`}
                    </span>
                  )}
                </span>
              </AppLink>
            </li>
          ))}
        </ul>
      )}
      {known?.next != null && (
        <button
          type="button"
          className="button justify-self-center"
          disabled={isLoading}
          onClick={() => void load(known)}
        >
          Show older runs
        </button>
      )}
    </section>
  )
}

function Nothing({ filter }: { filter: HistoryFilter }) {
  const isFiltered = filterNames.some(name => filter[name] !== '')
  return (
    <section className="card grid justify-items-center gap-2 px-6 py-14 text-center">
      <h3 className="text-lg font-semibold">{isFiltered ? 'Nothing found' : 'No runs yet'}</h3>
      <p className="max-w-md text-muted">
        {isFiltered
          ? 'No run matches all of this. Clear a filter, or look at another time.'
          : 'Run an action: what was entered, what it said and how it ended is kept here.'}
      </p>
    </section>
  )
}
