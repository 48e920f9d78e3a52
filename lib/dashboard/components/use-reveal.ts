/** Bringing into view what is new on a screen that grows. */
import { type RefObject, useEffect, useRef } from 'react'

/** Room around what is brought into view, in px. */
const revealMarginPx = 24
/** So long what is above it may still grow, since parts of it are loaded when they are shown first, in ms. */
const revealGrowsMs = 2_000
/** What says that the person looks elsewhere. */
const lookingEvents = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const

/**
 * Brings what is new into view: the next question, or how it ended. Not what was there when the screen opened, which is
 * read from the top; gently, unless the person prefers less motion. `undefined`: nothing is known yet.
 */
export function useReveal(newest: string | null | undefined): RefObject<HTMLDivElement | null> {
  const target = useRef<HTMLDivElement>(null)
  const known = useRef<string | null | undefined>(undefined)
  useEffect(() => {
    const isFirst = known.current === undefined
    if (newest === undefined || newest === known.current) return
    // Between two questions there is none; the second is new all the same.
    if (newest !== null || isFirst) known.current = newest
    const element = target.current
    if (isFirst || newest === null || element === null) return
    const reveal = () => {
      const panel = document.querySelector('[data-pw-control-panel]')?.getBoundingClientRect().height ?? 0
      const bar = document.querySelector('header.sticky')?.getBoundingClientRect().height ?? 0
      element.style.scrollMarginTop = `${bar + revealMarginPx}px`
      element.style.scrollMarginBottom = `${panel + revealMarginPx}px`
      const room = window.innerHeight - panel - bar - 2 * revealMarginPx
      const isCalm = window.matchMedia('(prefers-reduced-motion: reduce)').matches
      element.scrollIntoView({
        // Of what is larger than the screen, the beginning.
        block: element.getBoundingClientRect().height > room ? 'start' : 'nearest',
        behavior: isCalm ? 'auto' : 'smooth',
      })
    }
    reveal()
    const observer = new ResizeObserver(reveal)
    observer.observe(document.body)
    const end = () => {
      observer.disconnect()
      clearTimeout(timer)
      for (const name of lookingEvents) window.removeEventListener(name, end)
    }
    const timer = setTimeout(end, revealGrowsMs)
    for (const name of lookingEvents) window.addEventListener(name, end, { passive: true })
    return end
  }, [newest])
  return target
}
