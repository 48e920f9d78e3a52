/** The dashboard (live) and the console's index: what is waiting to be resumed, and the top level of actions. */
import { useEffect, useState } from 'react'
import type { Place } from '../../clients/wire.js'
import type { TransactionRow } from '../api.js'
import { ActionList } from '../components/action-list.js'
import { AppLink } from '../components/app-link.js'
import { Loading, Notice } from '../components/notice.js'
import { Onboarding } from '../components/onboarding.js'
import { formatDateTime } from '../format.js'
import { isConsole, transactionHref } from '../links.js'
import { useDirectory, useServices } from '../services.js'
import { entriesOf } from '../tree.js'

export function ListScreen({ place }: { place: Place }) {
  const { directory, failure } = useDirectory(place)
  const inConsole = isConsole(place)
  if (failure)
    return (
      <Notice
        title={failure.code === 'not-found' ? 'Not found' : 'This list cannot be shown'}
        text={failure.message}
      />
    )
  if (!directory) return <Loading />
  const entries = entriesOf(directory, null)
  return (
    <main className="mx-auto grid w-full max-w-4xl gap-8 px-4 py-8 sm:px-8">
      <header className="grid gap-1">
        <h2 className="text-2xl font-semibold tracking-tight">{inConsole ? 'Console' : 'Actions'}</h2>
        {inConsole && (
          <p className="text-muted">
            {directory.hosts === 0
              ? 'Your own code, running on your own machine, seen by you alone.'
              : `Your own code. ${directory.hosts === 1 ? 'One host is' : `${directory.hosts} hosts are`} connected.`}
          </p>
        )}
      </header>
      {!inConsole && <Resumable place={place} />}
      {entries.length > 0 && <ActionList place={place} entries={entries} />}
      {entries.length === 0 && inConsole && <Onboarding place={place} hosts={directory.hosts} />}
      {entries.length === 0 && !inConsole && (
        <section className="card grid justify-items-center gap-2 px-6 py-14 text-center">
          <h3 className="text-lg font-semibold">No live actions yet</h3>
          <p className="max-w-md text-muted">
            Actions appear here as soon as a host connects with a live key. Try them out in the console first.
          </p>
          <AppLink className="button primary mt-3" href={`/dashboard/${place.organization}/develop/actions`}>
            Open the console
          </AppLink>
        </section>
      )}
    </main>
  )
}

/** History is written a moment after it happens: what was just left may not be there at the first look. */
const refreshMs: readonly number[] = [1_500, 3_000]
const refreshMsMax = 15_000

/** Transactions of this person that go on in the background and wait for them. */
function Resumable({ place }: { place: Place }) {
  const { api } = useServices()
  const [rows, setRows] = useState<readonly TransactionRow[]>([])
  const { organization, environment } = place
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const load = async (round: number) => {
      try {
        const found = await api.transactions({ organization, environment }, true)
        if (!isOver) setRows(found.filter(row => row.backgroundable))
      } catch {
        // The list of actions is worth showing without it.
      }
      if (!isOver) timer = setTimeout(load, refreshMs[round] ?? refreshMsMax, round + 1)
    }
    void load(0)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [api, organization, environment])
  if (rows.length === 0) return null
  return (
    <section className="grid gap-3">
      <h3 className="font-semibold">In progress</h3>
      <ul className="card divide-y divide-line">
        {rows.map(row => (
          <li key={row.id} className="flex items-center gap-4 px-4 py-3">
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{row.name}</span>
              {row.startedAtMs !== null && (
                <span className="block text-sm text-muted">
                  Started {formatDateTime(new Date(row.startedAtMs))}
                </span>
              )}
            </span>
            <AppLink className="button small" href={transactionHref(place, row.id)}>
              Continue
            </AppLink>
          </li>
        ))}
      </ul>
    </section>
  )
}
