/** Which node leads a run: one line for operators, asked again while it is on screen. */
import { useEffect, useState } from 'react'
import type { EntityPlace } from '../../http/cluster-status.js'
import { shortId } from '../format.js'
import { useLive, useServices } from '../services.js'

const askMs = 5_000

export function LedBy({ transactionId }: { transactionId: string }) {
  const { api } = useServices()
  const { session } = useLive()
  const isShown = session.isOperator
  const [place, setPlace] = useState<EntityPlace | null>(null)
  useEffect(() => {
    if (!isShown) return
    let isOver = false
    const ask = (): void => {
      api.placeOfTransaction(transactionId).then(
        found => !isOver && setPlace(found),
        () => undefined,
      )
    }
    ask()
    const timer = setInterval(ask, askMs)
    return () => {
      isOver = true
      clearInterval(timer)
    }
  }, [api, transactionId, isShown])
  if (place === null) return null
  const copies = place.replicas.filter(id => id !== null).map(shortId)
  return (
    <p className="border-t border-line px-4 py-2 text-sm text-muted sm:px-8">
      Led by node <code className="font-mono">{shortId(place.node)}</code>
      {place.address !== null && ` at ${place.address}`}, partition {place.partition}
      {copies.length > 0 && `, copied to ${copies.join(', ')}`}
    </p>
  )
}
