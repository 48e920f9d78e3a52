/** The frame of every dialog that is read or filled in: above a dimmed screen, never higher than it. Rendered only while it is open. */
import { Dialog, DialogHeading, type DialogProps } from '@ariakit/react'
import type { ReactNode } from 'react'

interface DialogFrameProps extends Pick<DialogProps, 'onClose' | 'hideOnInteractOutside'> {
  title: ReactNode
  /** Wider, for what needs the room. */
  isWide?: boolean
  children: ReactNode
}

export function DialogFrame({ title, isWide = false, children, ...rest }: DialogFrameProps) {
  return (
    <Dialog
      open
      backdrop={<div className="bg-black/40" />}
      className={`card fixed inset-4 z-50 m-auto grid h-fit max-h-[calc(100dvh-2rem)] gap-4 overflow-y-auto p-6 shadow-xl ${
        isWide ? 'max-w-xl' : 'max-w-md'
      }`}
      {...rest}
    >
      <DialogHeading className="text-lg font-semibold [overflow-wrap:anywhere]">{title}</DialogHeading>
      {children}
    </Dialog>
  )
}
