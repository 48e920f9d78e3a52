/**
 * A link inside the app: an ordinary `<a>` whose click changes the history at once, without a load. The address it
 * was clicked at travels along, so that "Go back" knows the way.
 */
import type { AnchorHTMLAttributes, MouseEvent, Ref } from 'react'
import { useLocation, useNavigate } from 'react-router'

interface AppLinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  href: string
  ref?: Ref<HTMLAnchorElement> | undefined
  /** What waits in the queue and is started by following the link. */
  queueItemId?: string
}

export function AppLink({ href, onClick, queueItemId, ...rest }: AppLinkProps) {
  const go = useGo()
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event)
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (event.defaultPrevented || !isPlain || rest.target !== undefined) return
    event.preventDefault()
    go(href, queueItemId === undefined ? {} : { queueItemId })
  }
  return <a {...rest} href={href} onClick={click} />
}

/** Goes to another address of the app; a replaced one hands on where it was come from. */
export function useGo(): (href: string, options?: { replace?: boolean; queueItemId?: string }) => void {
  const navigate = useNavigate()
  const location = useLocation()
  return (href, { replace = false, queueItemId } = {}) => {
    const here = location.pathname + location.search
    navigate(href, { replace, state: { from: replace ? cameFrom(location.state) : here, queueItemId } })
  }
}

/** The address that the present one was reached from, or null. */
export function cameFrom(state: unknown): string | null {
  if (typeof state !== 'object' || state === null || !('from' in state)) return null
  return typeof state.from === 'string' ? state.from : null
}

/** The item of the queue that the present address was opened for, or null. */
export function queueItemOf(state: unknown): string | null {
  if (typeof state !== 'object' || state === null || !('queueItemId' in state)) return null
  return typeof state.queueItemId === 'string' ? state.queueItemId : null
}
