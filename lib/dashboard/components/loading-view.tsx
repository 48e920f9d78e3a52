/** What a host says while it works: a title, a description, how far it is. */
import type { LoadingState } from '../../sdk/io-call.js'
import { ProgressBar } from '../io/progress.js'

export function LoadingView({ loading }: { loading: LoadingState }) {
  const { label, description, itemsInQueue, itemsCompleted } = loading
  const hasProgress = typeof itemsInQueue === 'number' && itemsInQueue > 0
  const completed = itemsCompleted ?? 0
  return (
    <section role="status" className="card grid gap-3 p-5">
      <div className="flex items-start gap-3">
        <span className="spinner mt-0.5 text-accent" />
        <div className="grid min-w-0 gap-0.5">
          {label !== null && label !== undefined && label !== '' && (
            <p data-pw-label="" className="font-medium break-words">
              {label}
            </p>
          )}
          {description !== null && description !== undefined && description !== '' && (
            <p data-pw-description="" className="break-words text-muted">
              {description}
            </p>
          )}
        </div>
      </div>
      {hasProgress && (
        <div className="grid gap-1.5">
          <ProgressBar completed={completed} total={itemsInQueue} label={label ?? ''} />
          <p className="text-sm text-muted tabular-nums">{`Completed ${completed} of ${itemsInQueue}`}</p>
        </div>
      )}
    </section>
  )
}
