/** The dashboard (live) and the console's index: what waits for the person, and the top level of actions. */
import type { Place } from '../../clients/wire.js'
import { ActionList } from '../components/action-list.js'
import { AppLink } from '../components/app-link.js'
import { Loading, Notice } from '../components/notice.js'
import { Onboarding } from '../components/onboarding.js'
import { isConsole } from '../links.js'
import { useDirectory } from '../services.js'
import { entriesOf } from '../tree.js'
import { useTitle } from '../use-title.js'
import { InProgress } from './home/in-progress.js'
import { Queue } from './home/queue.js'

export function ListScreen({ place }: { place: Place }) {
  const { directory, failure } = useDirectory(place)
  const inConsole = isConsole(place)
  useTitle(inConsole ? 'Console' : 'Actions')
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
      <Queue place={place} />
      {!inConsole && <InProgress place={place} />}
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
