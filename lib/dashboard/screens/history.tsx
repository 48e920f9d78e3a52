/**
 * The history of an environment: every run that the person may see, newest first. What it is narrowed down to stands in
 * the address, so that a list can be sent to somebody. Pages follow each other by "Show older runs".
 */

import { MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { useCallback, useEffect, useRef, useState } from 'react'
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
import { Select } from '../components/choice.js'
import { Icon } from '../components/icon.js'
import { Input } from '../components/input.js'
import { Menu } from '../components/menu.js'
import { Loading, Problem } from '../components/notice.js'
import { ResultBadge } from '../components/result-badge.js'
import { Empty, Section } from '../components/section.js'
import { formatDateTime, formatDuration } from '../format.js'
import { isConsole, pastRunHref } from '../links.js'
import { messageOf } from '../use-loaded.js'

const typingMs = 300

export default function HistoryScreen({ place }: { place: Place }) {
  const { search } = useLocation()
  const filter = filterOf(search)
  return (
    <main className="mx-auto w-full max-w-5xl px-4 py-8 sm:px-8">
      <Section
        title="History"
        text={isConsole(place) ? 'Runs of your own console.' : 'Runs that you may see, newest first.'}
        actions={<Exports place={place} filter={filter} />}
      >
        <Filters place={place} filter={filter} />
        <Runs key={search} place={place} filter={filter} />
      </Section>
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
      <Menu className="w-52">
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

interface Option {
  readonly value: string
  readonly label: string
}

const statuses: readonly Option[] = [
  { value: '', label: 'Any result' },
  { value: 'open', label: 'Not ended yet' },
  { value: 'success', label: 'Completed' },
  { value: 'failure', label: 'Error' },
  { value: 'canceled', label: 'Canceled' },
  { value: 'redirected', label: 'Redirected' },
]

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
      <div className="col-span-2">
        <Input
          id="history-search"
          name="search"
          type="search"
          label="Search"
          placeholder="An action, a person, or the id of a run"
          value={typed}
          onChange={event => setTyped(event.target.value)}
        />
      </div>
      <Select
        id="history-action"
        name="action"
        label="Action"
        value={filter.action}
        options={withChosen(
          'Any action',
          facets.actions.map(({ slug, name }) => ({ value: slug, label: name })),
          filter.action,
        )}
        onChange={event => change({ action: event.target.value })}
      />
      <Select
        id="history-status"
        name="status"
        label="Result"
        value={filter.status}
        options={statuses}
        onChange={event => change({ status: event.target.value })}
      />
      {facets.people.length > 0 && (
        <Select
          id="history-person"
          name="person"
          label="Person"
          value={filter.person}
          options={withChosen(
            'Anybody',
            facets.people.map(({ email, name }) => ({ value: email, label: name || email })),
            filter.person,
          )}
          onChange={event => change({ person: event.target.value })}
        />
      )}
      <Input
        id="history-from"
        name="from"
        type="date"
        label="From"
        value={filter.from}
        max={filter.until || undefined}
        onChange={event => change({ from: event.target.value })}
      />
      <Input
        id="history-until"
        name="until"
        type="date"
        label="Until"
        value={filter.until}
        min={filter.from || undefined}
        onChange={event => change({ until: event.target.value })}
      />
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
function withChosen(any: string, options: readonly Option[], chosen: string): readonly Option[] {
  const isOffered = chosen === '' || options.some(({ value }) => value === chosen)
  return [{ value: '', label: any }, ...options, ...(isOffered ? [] : [{ value: chosen, label: chosen }])]
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
      setProblem(messageOf(error))
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
      <Problem text={problem} />
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
    <Empty title={isFiltered ? 'Nothing found' : 'No runs yet'}>
      {isFiltered
        ? 'No run matches all of this. Clear a filter, or look at another time.'
        : 'Run an action: what was entered, what it said and how it ended is kept here.'}
    </Empty>
  )
}
