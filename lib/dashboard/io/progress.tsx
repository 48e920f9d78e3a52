/** The three progress displays: steps, without an end in sight, through a list. */
import { Icon } from '../components/icon.js'
import { flagOf, isRecord, numberOf, recordsOf, textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'

export const progressSteps = displayMethod(({ component }: FieldProps<unknown>) => {
  const steps = isRecord(component.props.steps) ? component.props.steps : {}
  const completed = numberOf(steps, 'completed') ?? 0
  const total = numberOf(steps, 'total') ?? 0
  return (
    <Frame label={component.label}>
      <ProgressBar completed={completed} total={total} label={component.label} />
      <p className="text-sm text-muted">
        Completed {completed} of {total}
      </p>
      {textOf(component.props, 'currentStep') !== undefined && (
        <p>{textOf(component.props, 'currentStep')}</p>
      )}
      {textOf(component.props, 'subTitle') !== undefined && (
        <p className="text-sm text-muted">{textOf(component.props, 'subTitle')}</p>
      )}
    </Frame>
  )
})

export const progressIndeterminate = displayMethod(({ component }: FieldProps<unknown>) => (
  <div className="flex items-center gap-3" role="status">
    <span className="spinner text-accent" />
    <span>{component.label}</span>
  </div>
))

export const progressThroughList = displayMethod(({ component }: FieldProps<unknown>) => (
  <Frame label={component.label}>
    <ul className="grid gap-1.5">
      {recordsOf(component.props, 'items').map((item, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no identity but their place
        <li key={index} className="flex items-start gap-2.5">
          {flagOf(item, 'isComplete') ? (
            <Icon name="check" className="mt-0.5 size-5 text-success" />
          ) : (
            <span className="mt-1.5 mx-1.5 size-2 flex-none rounded-full bg-line-strong" />
          )}
          <span>
            {textOf(item, 'label')}
            {textOf(item, 'resultDescription') !== undefined && (
              <span className="block text-sm text-muted">{textOf(item, 'resultDescription')}</span>
            )}
          </span>
        </li>
      ))}
    </ul>
  </Frame>
))

function Frame({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div className="grid gap-2">
      <p className="font-medium">{label}</p>
      {children}
    </div>
  )
}

export function ProgressBar({
  completed,
  total,
  label,
}: {
  completed: number
  total: number
  label: string
}) {
  const share = total > 0 ? Math.min(1, Math.max(0, completed / total)) : 0
  return (
    <div
      role="progressbar"
      aria-label={label === '' ? 'Progress' : label}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={completed}
      className="h-2 overflow-hidden rounded-full bg-sunken"
    >
      <div
        className="h-full rounded-full bg-accent transition-[width]"
        style={{ width: `${share * 100}%` }}
      />
    </div>
  )
}
