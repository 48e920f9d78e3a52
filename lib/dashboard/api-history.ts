/** The history of runs: pages, counts, what it can be narrowed down to, one run, and where an export is. */
import type { Place } from '../clients/wire.js'
import { callApi, listOf, momentOf } from './api.js'
import { isRecord } from './props.js'

/** A run in the list. */
export interface PastRunRow {
  id: string
  slug: string
  name: string
  /** `SUCCESS`, `FAILURE`, `CANCELED`, `REDIRECTED`; null while it has not ended. */
  result: string | null
  /** Who started it: their name, or else their address. */
  person: string
  startedAtMs: number | null
  endedAtMs: number | null
}

/** What a list is narrowed down to, as it stands in the address; empty texts are no filter. */
export interface HistoryFilter {
  search: string
  action: string
  person: string
  status: string
  /** Days, `YYYY-MM-DD`, of the reader's time zone. */
  from: string
  until: string
}

export const filterNames = ['search', 'action', 'person', 'status', 'from', 'until'] as const

export interface HistoryFacets {
  actions: { slug: string; name: string }[]
  /** Empty for who may only see their own. */
  people: { email: string; name: string }[]
}

/** What was entered in a step. */
export interface InputOfRun {
  atMs: number
  choice: string | null
  fields: { label: string; value: unknown }[]
}

/** What the history knows of a run beside what its screen shows. */
export interface RunDetails {
  person: string
  host: string | null
  startedAtMs: number | null
  endedAtMs: number | null
  params: Record<string, unknown>
  inputs: InputOfRun[]
}

function pathOf({ organization, environment }: Place): string {
  return `/api/v1/organizations/${encodeURIComponent(organization)}/environments/${encodeURIComponent(environment)}/transactions`
}

/** The filter as the API takes it: days become moments, the last day counts whole. */
function queryOf(filter: HistoryFilter, more: Record<string, string> = {}): string {
  const query = new URLSearchParams()
  for (const name of filterNames) {
    const value = filter[name].trim()
    if (value === '') continue
    if (name !== 'from' && name !== 'until') query.set(name, value)
    else {
      const day = new Date(`${value}T00:00:00`)
      if (Number.isNaN(day.getTime())) continue
      if (name === 'until') {
        day.setDate(day.getDate() + 1)
        // Where a day begins at one, because the clock is moved at midnight, the next one does not.
        day.setHours(0, 0, 0, 0)
      }
      query.set(name, day.toISOString())
    }
  }
  for (const [name, value] of Object.entries(more)) query.set(name, value)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

/** A page of the history, newest first. */
export async function historyPage(
  place: Place,
  filter: HistoryFilter,
  cursor: string | null,
): Promise<{ runs: PastRunRow[]; next: string | null }> {
  const more = cursor === null ? {} : { cursor }
  const body = await callApi('GET', pathOf(place) + queryOf(filter, more))
  return {
    runs: listOf(body, 'transactions').map(row => ({
      id: String(row.id ?? ''),
      slug: String(row.slug ?? ''),
      name: String(row.name ?? row.slug ?? ''),
      result: typeof row.resultStatus === 'string' ? row.resultStatus : null,
      person: personOf(row.owner),
      startedAtMs: momentOf(row.createdAt),
      endedAtMs: momentOf(row.completedAt),
    })),
    next: typeof body.next === 'string' ? body.next : null,
  }
}

/** How many runs there are on all pages. */
export async function historyCount(
  place: Place,
  filter: HistoryFilter,
): Promise<{ count: number; isMore: boolean }> {
  const body = await callApi('GET', `${pathOf(place)}/count${queryOf(filter)}`)
  return { count: Number(body.count ?? 0), isMore: body.isMore === true }
}

export async function historyFacets(place: Place): Promise<HistoryFacets> {
  const body = await callApi('GET', `${pathOf(place)}/facets`)
  return {
    actions: listOf(body, 'actions').map(({ slug, name }) => ({
      slug: String(slug ?? ''),
      name: String(name ?? slug ?? ''),
    })),
    people: listOf(body, 'people').map(({ email, name }) => ({
      email: String(email ?? ''),
      name: String(name ?? ''),
    })),
  }
}

/** Where the browser downloads the list as a file. */
export function exportHref(place: Place, filter: HistoryFilter, format: 'csv' | 'json'): string {
  return `${pathOf(place)}/export${queryOf(filter, { format })}`
}

export async function runDetails(id: string): Promise<RunDetails> {
  const body = await callApi('GET', `/api/v1/transactions/${encodeURIComponent(id)}`)
  return {
    person: personOf(body.owner),
    host: typeof body.host === 'string' ? body.host : null,
    startedAtMs: momentOf(body.startedAtMs),
    endedAtMs: momentOf(body.completedAtMs),
    params: isRecord(body.params) ? body.params : {},
    inputs: listOf(body, 'inputs').map(input => ({
      atMs: momentOf(input.atMs) ?? 0,
      choice: typeof input.choice === 'string' ? input.choice : null,
      fields: listOf(input, 'fields').map(({ label, value }) => ({ label: String(label ?? ''), value })),
    })),
  }
}

function personOf(owner: unknown): string {
  if (!isRecord(owner)) return 'Somebody who is gone'
  const name = [owner.firstName, owner.lastName]
    .filter(part => typeof part === 'string' && part !== '')
    .join(' ')
  return name === '' ? String(owner.email ?? '') : name
}
