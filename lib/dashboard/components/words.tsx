/**
 * Words of the frame around a screen. Where a form is on screen they are drawn by the style sheet instead of being text:
 * they look the same and are read out the same, but nobody who looks for the words of a field finds them.
 */
import { createContext, useContext } from 'react'

const AreDrawn = createContext(false)

/** Says of all words inside whether they are drawn. */
export const DrawnWords = AreDrawn.Provider

/** `isHint`: for the eye alone, a name says it already. */
export function Words({
  className = '',
  isHint = false,
  children,
}: {
  className?: string
  isHint?: boolean
  children: string
}) {
  if (!useContext(AreDrawn)) return <span className={className}>{children}</span>
  const said = isHint ? { 'aria-hidden': true } : { role: 'img', 'aria-label': children }
  return <span {...said} data-words={children} className={`drawn-words ${className}`} />
}
