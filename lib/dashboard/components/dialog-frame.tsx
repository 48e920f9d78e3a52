/**
 * The frame of every dialog that is read or filled in: above a dimmed screen, never higher than it. Rendered only while it
 * is open.
 */
import { Dialog, DialogHeading, type DialogProps } from '@ariakit/react'
import type { ReactNode } from 'react'

interface DialogFrameProps extends Omit<DialogProps, 'title' | 'className' | 'open' | 'backdrop'> {
  title: ReactNode
  /** What it is about. */
  text?: ReactNode
  /** Wider, for what needs the room. */
  isWide?: boolean
}

export function DialogFrame({ title, text, isWide = false, children, ...rest }: DialogFrameProps) {
  return (
    <Dialog
      open
      backdrop={<div className="bg-black/40" />}
      className={`card fixed inset-4 z-50 m-auto grid h-fit max-h-[calc(100dvh-2rem)] gap-4 overflow-y-auto p-6 shadow-xl ${
        isWide ? 'max-w-xl' : 'max-w-md'
      }`}
      {...rest}
    >
      <div className="grid gap-1 [overflow-wrap:anywhere]">
        <DialogHeading className="text-lg font-semibold">{title}</DialogHeading>
        {text !== undefined && <p className="text-muted">{text}</p>}
      </div>
      {children}
    </Dialog>
  )
}
