/**
 * What is at the address of a slug: an action (starts a transaction), a page, or a group. The transaction's id is kept
 * in the history entry, so that the address stays the action's own, a reload in the middle goes on, and any new visit
 * starts anew. Once a transaction is shown, a change of the list (its host went away) does not take it off the screen.
 */
import { useEffect, useMemo, useState } from 'react'
import { useLocation } from 'react-router'
import type { Directory, Place } from '../../clients/wire.js'
import { queueItemOf } from '../components/app-link.js'
import { Loading, Notice } from '../components/notice.js'
import { TransactionPage } from '../components/transaction-page.js'
import { listHref } from '../links.js'
import { useDirectory, useLive, useServices } from '../services.js'
import { TransactionRunner } from '../transaction-runner.js'
import { actionOf, ancestorsOf, emptyDirectory, pageOf } from '../tree.js'
import { GroupScreen } from './group.js'
import { NotFound } from './signed.js'

export default function ActionScreen({ place, slug }: { place: Place; slug: string }) {
  const watched = useDirectory(place)
  const { key, search, state } = useLocation()
  // Each navigation is a visit of its own, also to the same address.
  return (
    <Visit
      key={`${key} ${slug} ${search}`}
      place={place}
      slug={slug}
      search={search}
      queued={queueItemOf(state)}
      {...watched}
    />
  )
}

interface VisitProps {
  place: Place
  slug: string
  search: string
  /** What waits in the queue and is started by this visit. */
  queued: string | null
  directory: Directory | null
  failure: { message: string } | null
}

function Visit({ place, slug, search, queued, directory, failure }: VisitProps) {
  const { memory } = useServices()
  const [resumed] = useState(() => {
    const id = transactionIdOfHistory()
    return id !== null && memory.isRunning(id) ? id : null
  })
  // Once it has run, what waited is done: a reload after the end starts the action anew, with nothing.
  const [queueItemId] = useState(() =>
    resumed !== null || transactionIdOfHistory() === null ? queued : null,
  )
  const [isAction, setAction] = useState(resumed !== null)
  const action = directory ? actionOf(directory, slug) : undefined
  const page = directory ? pageOf(directory, slug) : undefined
  if (action && !isAction) setAction(true)

  if (isAction || action) {
    return (
      <Run
        place={place}
        slug={slug}
        search={search}
        resumed={resumed}
        queueItemId={queueItemId}
        title={action?.name || (slug.split('/').at(-1) ?? slug)}
        description={action?.description ?? null}
        directory={directory ?? emptyDirectory}
      />
    )
  }
  if (directory && page)
    return <GroupScreen place={place} page={page} search={search} directory={directory} />
  if (failure) return <Notice title="This cannot be shown" text={failure.message} />
  return directory ? <NotFound home={listHref(place)} /> : <Loading />
}

interface RunProps {
  place: Place
  slug: string
  search: string
  resumed: string | null
  queueItemId: string | null
  title: string
  description: string | null
  directory: Directory
}

function Run({ place, slug, search, resumed, queueItemId, title, description, directory }: RunProps) {
  const { memory, encoding, newId } = useServices()
  const { connection } = useLive()
  const { organization, environment } = place
  const [attempt, setAttempt] = useState(0)
  const [runner, setRunner] = useState<TransactionRunner | null>(null)

  useEffect(() => {
    const made = new TransactionRunner({
      connection,
      encoding,
      memory,
      newId,
      transactionId: attempt === 0 && resumed !== null ? resumed : (connection.takeNewId() ?? newId()),
      start: {
        place: { organization, environment },
        slug,
        params: Object.fromEntries(new URLSearchParams(search)),
        ...(attempt === 0 && queueItemId !== null && { queueItemId }),
      },
    })
    window.history.replaceState({ ...window.history.state, transactionId: made.transactionId }, '')
    made.run()
    setRunner(made)
    return () => made.leave()
  }, [
    connection,
    encoding,
    memory,
    newId,
    organization,
    environment,
    slug,
    search,
    resumed,
    queueItemId,
    attempt,
  ])

  const ancestors = useMemo(() => ancestorsOf(directory, slug), [directory, slug])
  if (!runner) return <Loading />
  return (
    <TransactionPage
      key={runner.transactionId}
      runner={runner}
      place={place}
      slug={slug}
      title={title}
      description={description}
      ancestors={ancestors}
      onRestart={() => setAttempt(attempt + 1)}
    />
  )
}

function transactionIdOfHistory(): string | null {
  const state: unknown = window.history.state
  if (typeof state !== 'object' || state === null || !('transactionId' in state)) return null
  return typeof state.transactionId === 'string' ? state.transactionId : null
}
