/** A question before something that cannot be undone. The one that changes nothing has the caret. */
import { DialogDismiss } from '@ariakit/react'
import type { ReactNode } from 'react'
import { DialogFrame } from './dialog-frame.js'
import { Problem } from './notice.js'
import { useSubmission } from './submission.js'
import { SubmitButton } from './submit-button.js'

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
  const { isBusy, problem, run } = useSubmission()
  const confirm = async () => {
    if (await run(onConfirmed)) onClose()
  }
  return (
    <DialogFrame title={title} onClose={onClose}>
      <div className="text-muted">{children}</div>
      <Problem text={problem} />
      <div className="flex flex-wrap justify-end gap-3">
        <DialogDismiss className="button" autoFocus>
          {dismissal}
        </DialogDismiss>
        <SubmitButton tone="danger" isBusy={isBusy} onPress={() => void confirm()}>
          {action}
        </SubmitButton>
      </div>
    </DialogFrame>
  )
}
