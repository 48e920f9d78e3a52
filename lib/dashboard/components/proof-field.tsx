/** Where changes to an account ask once more who is there: a code of the second factor, or the password for who has none. */
import { useState } from 'react'
import type { OwnAccount, Proof } from '../api-account.js'
import { Input } from './input.js'

export interface ProofEntry {
  readonly proof: Proof
  readonly field: { name: string; value: string; onChange: (event: { target: { value: string } }) => void }
  readonly isCode: boolean
  readonly clear: () => void
}

/** What decides which of the two it is. */
export type ProofAccount = Pick<OwnAccount, 'secondFactor'>

/** `name` must be the only one of its kind in the document. */
export function useProof(name: string, account: ProofAccount): ProofEntry {
  const [value, setValue] = useState('')
  const isCode = account.secondFactor?.kind === 'TOTP'
  return {
    proof: isCode ? { code: value } : { password: value },
    field: { name, value, onChange: event => setValue(event.target.value) },
    isCode,
    clear: () => setValue(''),
  }
}

export function ProofField({ entry, error }: { entry: ProofEntry; error?: string | undefined }) {
  return (
    <Input
      {...entry.field}
      label={entry.isCode ? 'Code of your authenticator app' : 'Your password'}
      type={entry.isCode ? 'text' : 'password'}
      autoComplete={entry.isCode ? 'one-time-code' : 'current-password'}
      autoCapitalize="none"
      spellCheck={false}
      hint={entry.isCode ? 'Six digits of your app, or a recovery code.' : undefined}
      required
      maxLength={1_000}
      error={error}
    />
  )
}
