/** A question before something that cannot be undone. The one that changes nothing has the caret. */
import { Dialog, DialogDismiss, DialogHeading } from '@ariakit/react'
import { type ReactNode, useState } from 'react'
import { Problem } from './notice.js'

interface AskProps {
  title: string
  children: ReactNode
  /** What is pressed to do it, e.g. "Delete the schedule". */
  action: string
  dismissal?: string
  /** Does it; the dialog stays with the message when it rejects. */
  onConfirmed: () => Promise<void>
  onClose: () => void
}

/** Render it only while it is asked. */
export function Ask({ title, children, action, dismissal = 'Keep it', onConfirmed, onClose }: AskProps) {
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const confirm = async () => {
    setBusy(true)
    setProblem(null)
    try {
      await onConfirmed()
      onClose()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : 'Something went wrong.')
      setBusy(false)
    }
  }
  return (
    <Dialog
      open
      onClose={onClose}
      backdrop={<div className="bg-black/40" />}
      className="card fixed inset-4 z-50 m-auto grid h-fit max-w-md gap-4 p-6 shadow-xl"
    >
      <DialogHeading className="text-lg font-semibold">{title}</DialogHeading>
      <div className="text-muted">{children}</div>
      <Problem text={problem} />
      <div className="flex flex-wrap justify-end gap-3">
        <DialogDismiss className="button" autoFocus>
          {dismissal}
        </DialogDismiss>
        <button type="button" className="button danger bg-red-500" disabled={isBusy} onClick={confirm}>
          {action}
        </button>
      </div>
    </Dialog>
  )
}
