/**
 * One form's way to the server: busy while it is asked, then what was wrong, at the fields it names or above them. The
 * caret goes to the first field that was refused.
 */
import { type FormEvent, useRef, useState } from 'react'
import { RequestError } from '../connection.js'

export interface Submission {
  readonly isBusy: boolean
  /** What was wrong with the whole. */
  readonly problem: string | null
  /** Field → what was wrong with it. */
  readonly errors: Readonly<Record<string, string>>
  /** Makes the handler of a form. */
  readonly on: (
    work: (event: FormEvent<HTMLFormElement>) => Promise<void>,
  ) => (event: FormEvent<HTMLFormElement>) => void
  /** The same without a form. Resolves to whether it went well. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>
  readonly clear: () => void
}

/** `fields`: the server's names of fields → names in this document, where they differ. */
export function useSubmission(fields: Readonly<Record<string, string>> = {}): Submission {
  const [state, setState] = useState<Pick<Submission, 'isBusy' | 'problem' | 'errors'>>(idle)
  const isBusy = useRef(false)

  const run = async (work: () => Promise<void>): Promise<boolean> => {
    if (isBusy.current) return false
    isBusy.current = true
    setState({ ...idle, isBusy: true })
    try {
      await work()
      setState(idle)
      return true
    } catch (error) {
      const named = error instanceof RequestError ? Object.entries(error.fields) : []
      const errors = Object.fromEntries(named.map(([name, text]) => [fields[name] ?? name, text]))
      const [first] = Object.keys(errors)
      const problem = error instanceof Error ? error.message : 'Something went wrong.'
      setState({ isBusy: false, problem: first === undefined ? problem : null, errors })
      if (first !== undefined) document.getElementById(`input-${first}`)?.focus()
      return false
    } finally {
      isBusy.current = false
    }
  }

  return {
    ...state,
    run,
    on: work => event => {
      event.preventDefault()
      void run(() => work(event))
    },
    clear: () => setState(idle),
  }
}

const idle = { isBusy: false, problem: null, errors: {} }
