/**
 * A form in a dialog. What the server says about a field stands beside it and takes the caret there; what it says about
 * the whole stands above the buttons. Rendered only while it is open.
 */
import { DialogDismiss } from '@ariakit/react'
import { type FormEvent, type ReactNode, useRef, useState } from 'react'
import { RequestError } from '../connection.js'
import { messageOf } from '../use-loaded.js'
import { DialogFrame } from './dialog-frame.js'
import { Problem } from './notice.js'
import { SubmitButton } from './submit-button.js'

export type FieldErrors = Readonly<Record<string, string>>

interface FormDialogProps {
  title: string
  submit: string
  dismissal?: string
  /** What is sent takes something away. */
  isDangerous?: boolean
  /** The server's names of fields → names in this form, where they differ. */
  fields?: Readonly<Record<string, string>>
  /** Does it; the dialog closes when it resolves. */
  onSubmit: () => Promise<void>
  onClose: () => void
  /** Given what is wrong with fields, by name. */
  children: (errors: FieldErrors) => ReactNode
  /** Wider, for what needs the room. */
  isWide?: boolean
}

export function FormDialog({
  title,
  submit,
  dismissal = 'Cancel',
  isDangerous = false,
  fields = {},
  onSubmit,
  onClose,
  children,
  isWide = false,
}: FormDialogProps) {
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
      const told = error instanceof RequestError ? Object.entries(error.fields) : []
      const named = Object.fromEntries(told.map(([name, text]) => [fields[name] ?? name, text]))
      const first = Object.keys(named)
        .map(name => form.current?.elements.namedItem(name))
        .find(control => control instanceof HTMLElement)
      if (first === undefined) setProblem(messageOf(error))
      else {
        setErrors(named)
        ;(first as HTMLElement).focus()
      }
    }
  }
  return (
    <DialogFrame title={title} onClose={onClose} isWide={isWide}>
      <form ref={form} className="grid gap-4" onSubmit={send}>
        {children(errors)}
        <Problem text={problem} />
        <div className="mt-2 flex flex-wrap justify-end gap-3">
          <DialogDismiss className="button">{dismissal}</DialogDismiss>
          <SubmitButton isBusy={isBusy} tone={isDangerous ? 'danger' : 'primary'}>
            {submit}
          </SubmitButton>
        </div>
      </form>
    </DialogFrame>
  )
}
