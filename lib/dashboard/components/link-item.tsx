/** A link that a host has named: inside the app without a load, otherwise an ordinary one to a safe address. */
import type { ReactNode } from 'react'
import type { Target } from '../links.js'
import { AppLink } from './app-link.js'

export function LinkItem({
  target,
  className = 'link',
  download,
  children,
}: {
  target: Target
  className?: string
  download?: string | undefined
  children: ReactNode
}) {
  if (target.isInternal) {
    return (
      <AppLink href={target.href} className={className}>
        {children}
      </AppLink>
    )
  }
  return (
    <a href={target.href} className={className} download={download} rel="noreferrer">
      {children}
    </a>
  )
}
