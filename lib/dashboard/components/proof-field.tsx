/** Where changes to an account ask once more who is there: the password, or a code for who has none. */
import { useState } from 'react'
import type { Proof } from '../api-account.js'
import { Input } from './input.js'

export interface ProofEntry {
  readonly proof: Proof
  readonly field: { name: string; value: string; onChange: (event: { target: { value: string } }) => void }
  readonly isCode: boolean
  readonly clear: () => void
}

/** `name` must be the only one of its kind in the document. */
export function useProof(name: string, hasPassword: boolean): ProofEntry {
  const [value, setValue] = useState('')
  return {
    proof: hasPassword ? { password: value } : { code: value },
    field: { name, value, onChange: event => setValue(event.target.value) },
    isCode: !hasPassword,
    clear: () => setValue(''),
  }
}

export function ProofField({ entry, error }: { entry: ProofEntry; error?: string | undefined }) {
  return (
    <Input
      {...entry.field}
      label={entry.isCode ? 'Code of your authenticator app' : 'Your password'}
      type={entry.isCode ? 'text' : 'password'}
      inputMode={entry.isCode ? 'numeric' : 'text'}
      autoComplete={entry.isCode ? 'one-time-code' : 'current-password'}
      required
      maxLength={1_000}
      error={error}
    />
  )
}
