/** What the browser's tab and its history call the screen: screen readers say it first. */
import { useEffect } from 'react'

/** `undefined`: another part of the screen says it. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    if (title === undefined || title === '') return
    document.title = `${title} · Interval`
    return () => {
      document.title = 'Interval'
    }
  }, [title])
}
