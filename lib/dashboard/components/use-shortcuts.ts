/**
 * The keyboard's own ways around. Keys that stand for themselves mean nothing where something is typed, and can be
 * switched off in the command bar: who speaks instead of typing would set them off with any word.
 */
import { useEffect, useRef } from 'react'
import type { Place } from '../../clients/wire.js'
import { accountHref, listHref } from '../links.js'
import { SingleKeys } from '../single-keys.js'
import { useGo } from './app-link.js'

const name = 'interval:single-keys'

/** Ctrl+K or ⌘K wherever the caret is, and single keys where nothing is typed. */
export function useShortcuts(place: Place, onCommands: () => void): void {
  const go = useGo()
  const goals = { commands: onCommands, home: () => go(listHref(place)), account: () => go(accountHref()) }
  const latest = useRef(goals)
  latest.current = goals
  useEffect(() => {
    const single = new SingleKeys()
    const press = (event: KeyboardEvent) => {
      if (event.altKey) return
      if (event.key.toLowerCase() === 'k' && event.ctrlKey !== event.metaKey && !event.shiftKey) {
        event.preventDefault()
        latest.current.commands()
        return
      }
      if (event.ctrlKey || event.metaKey || event.defaultPrevented) return
      if (isTypedInto(event.target) || !areSingleKeysOn()) return
      const goal = single.press(event.key, event.timeStamp)
      if (goal === null) return
      event.preventDefault()
      latest.current[goal]()
    }
    window.addEventListener('keydown', press)
    return () => window.removeEventListener('keydown', press)
  }, [])
}

/** In this browser. True where nothing was said, or nothing can be kept. */
export function areSingleKeysOn(): boolean {
  try {
    return localStorage.getItem(name) !== 'off'
  } catch {
    return true
  }
}

export function switchSingleKeys(isOn: boolean): void {
  try {
    if (isOn) localStorage.removeItem(name)
    else localStorage.setItem(name, 'off')
  } catch {
    // Not kept, then.
  }
}

/** Something that takes keys for itself has the focus: a field, a form with its sheets and tables, a menu, a dialog. */
function isTypedInto(target: EventTarget | null): boolean {
  return (
    target instanceof Element &&
    target.closest(
      'input, textarea, select, [contenteditable], form, dialog, [role="dialog"], [role="menu"], [role="listbox"]',
    ) !== null
  )
}
