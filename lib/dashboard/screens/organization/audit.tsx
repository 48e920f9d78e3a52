/** Who did what, newest first: filtered by person, kind of event and time, read page by page, or as a file. */
import { useCallback, useEffect, useMemo, useState } from 'react'
import { type AuditFilter, type AuditRow, OrganizationApi } from '../../api-organization.js'
import { Select } from '../../components/choice.js'
import { Input } from '../../components/input.js'
import { Empty, Section } from '../../components/section.js'
import { formatDateTime } from '../../format.js'
import { messageOf, useLoaded } from '../../use-loaded.js'
import type { SectionProps } from './sections.js'

const typingMs = 300
const nothing = { person: '', event: '', from: '', to: '' }

export default function AuditSection({ organization }: SectionProps) {
  const api = useMemo(() => new OrganizationApi(organization.slug), [organization.slug])
  const [typed, setTyped] = useState(nothing)
  const [filter, setFilter] = useState<AuditFilter>(nothing)
  const [more, setMore] = useState<{ rows: AuditRow[]; next: string | null } | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const events = useLoaded(useCallback(() => api.auditEvents(), [api]))
  const first = useLoaded(
    useCallback(async () => {
      const page = await api.audit(filter, null)
      setMore(null)
      return page
    }, [api, filter]),
  )
  useEffect(() => {
    const timer = setTimeout(
      () =>
        setFilter({
          person: typed.person.trim(),
          event: typed.event,
          from: momentOf(typed.from, 0),
          to: momentOf(typed.to, 1),
        }),
      typingMs,
    )
    return () => clearTimeout(timer)
  }, [typed])

  const rows = [...(first.value?.rows ?? []), ...(more?.rows ?? [])]
  const next = more ? more.next : (first.value?.next ?? null)
  const loadMore = async () => {
    try {
      const page = await api.audit(filter, next)
      setMore({ rows: [...(more?.rows ?? []), ...page.rows], next: page.next })
    } catch (error) {
      setProblem(messageOf(error))
    }
  }
  const set = (name: keyof AuditFilter) => (event: { target: { value: string } }) =>
    setTyped(known => ({ ...known, [name]: event.target.value }))
  return (
    <Section
      title="Audit log"
      text="Who did what in this organization, and who was refused. Nothing in it can be changed."
      actions={
        <>
          <a className="button" href={api.auditFile(filter, 'csv')} download>
            CSV
          </a>
          <a className="button" href={api.auditFile(filter, 'json')} download>
            JSON
          </a>
        </>
      }
      problem={problem ?? first.problem}
      isLoading={first.value === null}
    >
      <search className="card grid gap-4 p-4 sm:grid-cols-2 xl:grid-cols-4">
        <Input
          name="person"
          type="search"
          label="Person"
          placeholder="Part of an address"
          value={typed.person}
          onChange={set('person')}
        />
        <Select
          name="event"
          label="Event"
          value={typed.event}
          onChange={set('event')}
          options={[
            { value: '', label: 'All' },
            ...(events.value ?? []).map(event => ({ value: event, label: wordsOf(event) })),
          ]}
        />
        <Input name="from" type="date" label="From" value={typed.from} onChange={set('from')} />
        <Input name="to" type="date" label="To" value={typed.to} onChange={set('to')} />
      </search>
      {rows.length === 0 ? (
        <Empty title="Nothing fits.">Choose another person, event or time.</Empty>
      ) : (
        <ol className="card divide-y divide-line" aria-label="Events">
          {rows.map(row => (
            <li
              key={row.id}
              className="grid gap-x-4 gap-y-0.5 px-4 py-2.5 sm:grid-cols-[11rem_minmax(0,1fr)]"
            >
              <time dateTime={row.at} className="text-sm text-muted">
                {formatDateTime(new Date(row.at))}
              </time>
              <div className="min-w-0">
                <p>
                  <span className="font-medium">{wordsOf(row.event)}</span>
                  <span className="[overflow-wrap:anywhere] text-muted">
                    {row.person !== null && ` · ${row.person.email ?? 'somebody who has left'}`}
                    {row.address !== null && ` · ${row.address}`}
                  </span>
                </p>
                {Object.keys(row.details).length > 0 && (
                  <p className="font-mono text-xs text-muted [overflow-wrap:anywhere]">
                    {detailsOf(row.details)}
                  </p>
                )}
              </div>
            </li>
          ))}
        </ol>
      )}
      {next !== null && (
        <button type="button" className="button justify-self-start" onClick={loadMore}>
          Show more
        </button>
      )}
    </Section>
  )
}

/** `member.removed` → `Member removed`. */
function wordsOf(event: string): string {
  const words = event.replaceAll(/[.-]/g, ' ')
  return words.slice(0, 1).toUpperCase() + words.slice(1)
}

function detailsOf(details: Record<string, unknown>): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}

/** The beginning of a day where the browser is, so many days later. */
function momentOf(day: string, daysLater: number): string {
  if (day === '') return ''
  const date = new Date(`${day}T00:00:00`)
  if (Number.isNaN(date.getTime())) return ''
  date.setDate(date.getDate() + daysLater)
  return date.toISOString()
}
