/** Says when the connection is lost, and shortly that it is back. Fixed at the foot, so that nothing moves. */
import { useEffect, useRef, useState } from 'react'
import { useConnectionState, useLive } from '../services.js'

const confirmationMs = 2_500

export function ConnectionNotice() {
  const { connection } = useLive()
  const state = useConnectionState(connection)
  const wasAway = useRef(false)
  const [isBack, setBack] = useState(false)
  useEffect(() => {
    if (state === 'away') wasAway.current = true
    if (state !== 'open' || !wasAway.current) return
    wasAway.current = false
    setBack(true)
    const timer = setTimeout(() => setBack(false), confirmationMs)
    return () => clearTimeout(timer)
  }, [state])

  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-16 z-50 grid justify-items-center px-4"
    >
      {state === 'away' && (
        <div className="flex items-center gap-3 rounded-control border border-warning/40 bg-warning-soft px-4 py-2.5 text-sm text-warning shadow-lg">
          <span className="spinner" />
          <span>
            <span className="font-medium">The connection to Interval was lost.</span>{' '}
            <span>Trying again; what you typed is kept.</span>
          </span>
        </div>
      )}
      {state === 'open' && isBack && (
        <div className="rounded-control border border-success/40 bg-success-soft px-4 py-2.5 text-sm font-medium text-success shadow-lg">
          Connected again.
        </div>
      )}
    </div>
  )
}
