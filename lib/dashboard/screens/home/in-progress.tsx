/** Runs of this person that go on in the background: go on with one, or cancel it. */
import { useCallback, useEffect, useState } from 'react'
import type { Place } from '../../../clients/wire.js'
import type { TransactionRow } from '../../api.js'
import { AppLink } from '../../components/app-link.js'
import { Ask } from '../../components/ask.js'
import { formatDateTime } from '../../format.js'
import { transactionHref } from '../../links.js'
import { useLive, useServices } from '../../services.js'

/** History is written a moment after it happens: what was just left may not be there at the first look. */
const refreshMs: readonly number[] = [1_500, 3_000]
const refreshMsMax = 15_000

export function InProgress({ place }: { place: Place }) {
  const { api } = useServices()
  const { connection } = useLive()
  const [rows, setRows] = useState<readonly TransactionRow[]>([])
  const [cancelling, setCancelling] = useState<TransactionRow | null>(null)
  const { organization, environment } = place

  const load = useCallback(async () => {
    const found = await api.transactions({ organization, environment }, true)
    setRows(found.filter(row => row.backgroundable))
  }, [api, organization, environment])

  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const again = async (round: number) => {
      // The list of actions is worth showing without it.
      await load().catch(() => undefined)
      if (!isOver) timer = setTimeout(again, refreshMs[round] ?? refreshMsMax, round + 1)
    }
    void again(0)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [load])

  if (rows.length === 0) return null
  return (
    <section className="grid gap-3" aria-labelledby="in-progress">
      <h3 id="in-progress" className="font-semibold">
        In progress
      </h3>
      <ul className="card divide-y divide-line">
        {rows.map(row => (
          <li key={row.id} className="flex items-center gap-3 px-4 py-3">
            <span className="min-w-0 flex-1">
              <span className="block truncate font-medium">{row.name}</span>
              <span className="block text-sm text-muted">
                {row.status === 'AWAITING_INPUT' ? 'Waits for you' : 'Runs'}
                {row.startedAtMs !== null && ` · started ${formatDateTime(new Date(row.startedAtMs))}`}
              </span>
            </span>
            <button
              type="button"
              className="button plain small"
              aria-label={`Cancel ${row.name}`}
              onClick={() => setCancelling(row)}
            >
              Cancel
            </button>
            <AppLink className="button small" href={transactionHref(place, row.id)}>
              Continue
            </AppLink>
          </li>
        ))}
      </ul>
      {cancelling !== null && (
        <Ask
          title={`Cancel “${cancelling.name}”?`}
          action="Cancel the run"
          dismissal="Let it run"
          onConfirmed={async () => {
            await connection.request('transaction.cancel', { transactionId: cancelling.id })
            setRows(rows.filter(row => row !== cancelling))
          }}
          onClose={() => setCancelling(null)}
        >
          It ends for you at once. What it has done already stays done.
        </Ask>
      )}
    </section>
  )
}
