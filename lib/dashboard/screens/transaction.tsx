/**
 * A transaction by its id: resumes one that goes on in the background, or shows how one ended. Nodes let go of a run some
 * time after its end; from then on, and for who may see it but did not start it, the history tells of it.
 */
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { useLocation } from 'react-router'
import type { Place, TransactionSnapshot } from '../../clients/wire.js'
import { AppLink, useGo } from '../components/app-link.js'
import { ControlPanel } from '../components/control-panel.js'
import { Banner, Loading, Notice } from '../components/notice.js'
import { ResultView } from '../components/result-view.js'
import { RunDetails } from '../components/run-details.js'
import { Header, sharedAt, TransactionPage } from '../components/transaction-page.js'
import { RequestError } from '../connection.js'
import { formatDateTime } from '../format.js'
import { actionHref, listHref, transactionHref } from '../links.js'
import { useLive, useServices } from '../services.js'
import { viewOfSnapshot } from '../transaction.js'
import { TransactionRunner } from '../transaction-runner.js'
import { NotFound } from './signed.js'

/** Ids as nodes take them; at any other address there is nothing. */
const idPattern = /^[A-Za-z0-9_-]{8,64}$/

export default function TransactionScreen({ place, transactionId }: { place: Place; transactionId: string }) {
  const { search } = useLocation()
  if (!idPattern.test(transactionId)) return <NotFound home={listHref(place)} />
  // Who comes from the history wants what it tells, and takes a run from nobody's window.
  if (new URLSearchParams(search).has('history')) return <Past transactionId={transactionId} />
  return <Present place={place} transactionId={transactionId} />
}

function Present({ place, transactionId }: { place: Place; transactionId: string }) {
  const { memory, encoding, newId } = useServices()
  const { connection } = useLive()
  const [runner, setRunner] = useState<TransactionRunner | null>(null)
  useEffect(() => {
    const made = new TransactionRunner({ connection, encoding, memory, newId, transactionId })
    made.run()
    setRunner(made)
    return () => made.leave()
  }, [connection, encoding, memory, newId, transactionId])
  return runner ? <Attached key={transactionId} runner={runner} place={place} /> : <Loading />
}

/** What a node says of a run that it does not hold, or not for this person. */
const notHere = new Set(['not-found', 'forbidden'])

function Attached({ runner, place }: { runner: TransactionRunner; place: Place }) {
  const { view, failure } = useSyncExternalStore(runner.subscribe, runner.getState)
  const go = useGo()
  if (failure && !view) {
    if (notHere.has(failure.code)) return <Past transactionId={runner.transactionId} />
    return <Notice title="This cannot be shown" text={failure.message} />
  }
  if (!view) return <Loading />
  // The transaction knows better than the address where it belongs.
  const home = view.place ?? place
  return (
    <TransactionPage
      runner={runner}
      place={home}
      slug={view.slug}
      title={view.name}
      description={null}
      ancestors={[]}
      onRestart={() => go(actionHref(home, view.slug))}
    />
  )
}

function Past({ transactionId }: { transactionId: string }) {
  const { api } = useServices()
  const [past, setPast] = useState<TransactionSnapshot | RequestError | null>(null)
  useEffect(() => {
    let isOver = false
    api.pastTransaction(transactionId).then(
      found => !isOver && setPast(found),
      (error: RequestError) => !isOver && setPast(error),
    )
    return () => {
      isOver = true
    }
  }, [api, transactionId])
  if (past === null) return <Loading />
  if (!(past instanceof RequestError)) return <PastRun run={past} />
  if (past.code === 'not-found') return <NotFound />
  return <Notice title="This cannot be shown" text={past.message} />
}

function PastRun({ run }: { run: TransactionSnapshot }) {
  const go = useGo()
  const view = useMemo(() => viewOfSnapshot(null, run), [run])
  return (
    <>
      <main className="mx-auto grid w-full max-w-4xl flex-1 content-start gap-6 px-4 py-6 sm:px-8 sm:py-8">
        <Header
          place={run.place}
          slug={run.slug}
          title={run.name}
          description={`Started ${formatDateTime(new Date(run.startedAtMs))}`}
          ancestors={[]}
          hasEnded
          onRestart={() => go(actionHref(run.place, run.slug))}
        />
        {run.result === null ? (
          <Banner tone="plain" role="status">
            It has not ended yet. Who started it goes on with it.{' '}
            <AppLink className="link" href={transactionHref(run.place, run.transactionId)}>
              Open the run
            </AppLink>
          </Banner>
        ) : (
          <ResultView result={run.result} {...sharedAt(run.place, run.transactionId)} />
        )}
        <RunDetails transactionId={run.transactionId} />
      </main>
      <ControlPanel view={view} place={run.place} slug={run.slug} isPast />
    </>
  )
}
