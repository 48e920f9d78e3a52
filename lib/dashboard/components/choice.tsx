/** Labelled choices of the app's own forms: one of several in a list, or yes and no. */
import type { ReactNode, SelectHTMLAttributes } from 'react'
import { FieldFrame, type FieldProps } from './field-frame.js'

type SelectProps = FieldProps &
  SelectHTMLAttributes<HTMLSelectElement> & {
    options: readonly { readonly value: string; readonly label: string }[]
  }

export function Select({ label, hint, error, options, id, ...rest }: SelectProps) {
  return (
    <FieldFrame id={id ?? `select-${rest.name}`} label={label} hint={hint} error={error}>
      {tied => (
        <select {...tied} {...rest}>
          {options.map(({ value, label: words }) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      )}
    </FieldFrame>
  )
}

interface TickProps {
  /** Unique on the page. */
  id: string
  label: ReactNode
  hint?: string
  checked: boolean
  disabled?: boolean
  onChange: (checked: boolean) => void
}

export function Tick({ id, label, hint, checked, disabled = false, onChange }: TickProps) {
  return (
    <div className="flex items-start gap-2.5">
      <input
        id={id}
        type="checkbox"
        className="tick mt-0.5"
        checked={checked}
        disabled={disabled}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={event => onChange(event.target.checked)}
      />
      <div className="min-w-0">
        <label htmlFor={id}>{label}</label>
        {hint !== undefined && (
          <p id={`${id}-hint`} className="text-sm text-muted">
            {hint}
          </p>
        )}
      </div>
    </div>
  )
}
