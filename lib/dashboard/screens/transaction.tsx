/** A transaction by its id: resumes one that goes on in the background, or shows how a recent one ended. */
import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Place } from '../../clients/wire.js'
import { useGo } from '../components/app-link.js'
import { Loading } from '../components/notice.js'
import { TransactionPage } from '../components/transaction-page.js'
import { actionHref } from '../links.js'
import { useLive, useServices } from '../services.js'
import { TransactionRunner } from '../transaction-runner.js'
import { NotFound } from './signed.js'

export default function TransactionScreen({ place, transactionId }: { place: Place; transactionId: string }) {
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

function Attached({ runner, place }: { runner: TransactionRunner; place: Place }) {
  const { view, failure } = useSyncExternalStore(runner.subscribe, runner.getState)
  const go = useGo()
  if (failure && !view) return <NotFound />
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
