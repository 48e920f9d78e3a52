/** When what a field has opened is closed because the focus has gone elsewhere. */
import { type FocusEvent, type RefObject, useEffect, useRef } from 'react'

/**
 * What is open may make the page longer. Closed at once, it would let the page move under a pointer that is pressed,
 * and the press would end beside what it began on: no click. So it is closed when that click has been.
 */
export function useFocusLeave(
  isOpen: boolean,
  close: () => void,
): { ref: RefObject<HTMLDivElement | null>; onBlur: (event: FocusEvent) => void } {
  const ref = useRef<HTMLDivElement>(null)
  const isPressed = useRef(false)
  const latest = useRef(close)
  latest.current = close
  useEffect(() => {
    if (!isOpen) return
    let timer: ReturnType<typeof setTimeout> | undefined
    const press = () => {
      isPressed.current = true
    }
    // The release of a scroll bar is not heard of.
    const forget = () => {
      isPressed.current = false
    }
    const release = () => {
      forget()
      // The click comes after the release, in the same task; it may lead back, as that on a label does.
      timer = setTimeout(() => {
        if (!ref.current?.contains(document.activeElement)) latest.current()
      })
    }
    window.addEventListener('mousedown', press, true)
    window.addEventListener('keydown', forget, true)
    for (const name of ['mouseup', 'dragend']) window.addEventListener(name, release, true)
    return () => {
      forget()
      clearTimeout(timer)
      window.removeEventListener('mousedown', press, true)
      window.removeEventListener('keydown', forget, true)
      for (const name of ['mouseup', 'dragend']) window.removeEventListener(name, release, true)
    }
  }, [isOpen])
  const onBlur = (event: FocusEvent) => {
    if (!isPressed.current && !event.currentTarget.contains(event.relatedTarget)) close()
  }
  return { ref, onBlur }
}
