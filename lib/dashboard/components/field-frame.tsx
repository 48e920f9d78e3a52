/**
 * What stands around a control of the app's own forms: its label above, a hint and what is wrong below, and the
 * attributes that tie them together. Fields of actions have a frame of their own, in io/.
 */
import type { ReactNode } from 'react'

/** What every labelled control takes. */
export interface FieldProps {
  name: string
  label: string
  hint?: string | undefined
  error?: string | undefined
}

interface FieldFrameProps extends Pick<FieldProps, 'label' | 'hint' | 'error'> {
  id: string
  /** The control, given what ties it to the words. */
  children: (tied: Tied) => ReactNode
}

interface Tied {
  id: string
  className: string
  'aria-invalid': boolean
  'aria-describedby': string | undefined
}

export function FieldFrame({ id, label, hint, error, children }: FieldFrameProps) {
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ')
  return (
    <div className="grid grid-cols-1 content-start gap-1.5">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({
        id,
        className: 'control',
        'aria-invalid': error !== undefined,
        'aria-describedby': describedBy === '' ? undefined : describedBy,
      })}
      {hint !== undefined && (
        <p id={`${id}-hint`} className="text-sm text-muted">
          {hint}
        </p>
      )}
      {error !== undefined && (
        <p id={`${id}-error`} className="text-sm text-danger">
          {error}
        </p>
      )}
    </div>
  )
}
