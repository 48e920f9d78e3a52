/** CONFIRM: two buttons, answered at once. "No" is an answer too, not a cancellation. */
import { textOf } from '../props.js'
import { type FieldProps, immediateMethod } from './method.js'

export const confirm = immediateMethod(ConfirmBlock)

function ConfirmBlock({ component, isDisabled, onAnswer }: FieldProps<unknown>) {
  const help = textOf(component.props, 'helpText')
  const isAsked = !isDisabled
  return (
    <div
      {...(isAsked ? { 'data-io-confirm': '' } : {})}
      className={`grid gap-4 rounded-card border p-5 ${isAsked ? 'border-line-strong' : 'border-line text-muted'}`}
    >
      <div className="grid gap-1">
        <p className="font-medium">{component.label}</p>
        {help !== undefined && <p className="text-sm text-muted">{help}</p>}
      </div>
      {isAsked && (
        <div className="flex gap-3">
          <button type="button" className="button primary" onClick={() => onAnswer?.(true)}>
            Confirm
          </button>
          <button type="button" className="button" onClick={() => onAnswer?.(false)}>
            Cancel
          </button>
        </div>
      )}
    </div>
  )
}
