/** Labelled fields to type into, of the app's own forms (signing in, keys); fields of actions are in io/. */
import type { InputHTMLAttributes, TextareaHTMLAttributes } from 'react'
import { FieldFrame, type FieldProps } from './field-frame.js'

type InputProps = FieldProps & InputHTMLAttributes<HTMLInputElement>

/** Two fields of one name on a page are told apart by an `id` of their own. */
export function Input({ label, hint, error, id, ...rest }: InputProps) {
  return (
    <FieldFrame id={id ?? `input-${rest.name}`} label={label} hint={hint} error={error}>
      {tied => <input {...tied} {...rest} />}
    </FieldFrame>
  )
}

type TextAreaProps = FieldProps & TextareaHTMLAttributes<HTMLTextAreaElement>

/** The same for several lines. */
export function TextArea({ label, hint, error, id, ...rest }: TextAreaProps) {
  return (
    <FieldFrame id={id ?? `input-${rest.name}`} label={label} hint={hint} error={error}>
      {tied => <textarea {...tied} {...rest} />}
    </FieldFrame>
  )
}
