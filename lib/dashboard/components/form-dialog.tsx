/**
 * A form in a dialog. What the server says about a field stands beside it and takes the caret there; what it says about
 * the whole stands above the buttons. Rendered only while it is open.
 */

import { Dialog, DialogDismiss, DialogHeading } from '@ariakit/react'
import { type FormEvent, type ReactNode, useRef, useState } from 'react'
import { RequestError } from '../connection.js'
import { messageOf } from '../use-loaded.js'
import { Problem } from './notice.js'
import { SubmitButton } from './submit-button.js'

export type FieldErrors = Readonly<Record<string, string>>

interface FormDialogProps {
  title: string
  submit: string
  /** Does it; the dialog closes when it resolves. */
  onSubmit: () => Promise<void>
  onClose: () => void
  /** Given what is wrong with fields, by name. */
  children: (errors: FieldErrors) => ReactNode
  /** Wider, for what needs the room. */
  isWide?: boolean
}

export function FormDialog({ title, submit, onSubmit, onClose, children, isWide = false }: FormDialogProps) {
  const [errors, setErrors] = useState<FieldErrors>({})
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const form = useRef<HTMLFormElement>(null)

  const send = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setProblem(null)
    setErrors({})
    try {
      await onSubmit()
      onClose()
    } catch (error) {
      setBusy(false)
      const fields = error instanceof RequestError ? error.fields : {}
      const first = Object.keys(fields)
        .map(name => form.current?.elements.namedItem(name))
        .find(control => control instanceof HTMLElement)
      if (first === undefined) setProblem(messageOf(error))
      else {
        setErrors(fields)
        ;(first as HTMLElement).focus()
      }
    }
  }
  return (
    <Dialog
      open
      onClose={onClose}
      backdrop={<div className="bg-black/40" />}
      className={`card fixed inset-4 z-50 m-auto grid h-fit max-h-[calc(100dvh-2rem)] gap-4 overflow-y-auto p-6 shadow-xl ${
        isWide ? 'max-w-xl' : 'max-w-md'
      }`}
    >
      <DialogHeading className="text-lg font-semibold">{title}</DialogHeading>
      <form ref={form} className="grid gap-4" onSubmit={send}>
        {children(errors)}
        <Problem text={problem} />
        <div className="mt-2 flex flex-wrap justify-end gap-3">
          <DialogDismiss className="button">Cancel</DialogDismiss>
          <SubmitButton isBusy={isBusy}>{submit}</SubmitButton>
        </div>
      </form>
    </Dialog>
  )
}
