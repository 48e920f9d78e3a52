/**
 * What is typed for something that is asked for and not there yet, as the command bar, whose file is loaded with its first
 * use. Otherwise it would be lost, or end in whatever field has the focus.
 */
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'

export interface Typed {
  readonly text: string
  /** Enter was pressed behind it. */
  readonly isEntered: boolean
}

export interface TypedAhead {
  /** So far. */
  readonly typed: Typed
  /** From now on keys are meant for what is to come. */
  begin(): void
  /** It is there and takes keys itself. Returns what is its; nothing the second time. */
  take(): Typed
}

const nothing: Typed = { text: '', isEntered: false }

/** `giveUp`: Escape was pressed meanwhile. */
export function useTypedAhead(giveUp: () => void): TypedAhead {
  const [typed, setTyped] = useState(nothing)
  const current = useRef(nothing)
  const stop = useRef<(() => void) | null>(null)
  const leave = useRef(giveUp)
  leave.current = giveUp

  const take = useCallback(() => {
    const taken = current.current
    current.current = nothing
    setTyped(nothing)
    stop.current?.()
    stop.current = null
    return taken
  }, [])

  const begin = useCallback(() => {
    if (stop.current !== null) return
    const press = (event: KeyboardEvent) => {
      // Some layouts need Ctrl and Alt for a letter.
      const isShortcut = (event.ctrlKey || event.metaKey) && !event.getModifierState('AltGraph')
      if (isShortcut) return
      event.preventDefault()
      event.stopPropagation()
      if (event.key === 'Escape') {
        take()
        leave.current()
        return
      }
      current.current = typedWith(current.current, event.key)
      setTyped(current.current)
    }
    window.addEventListener('keydown', press, true)
    stop.current = () => window.removeEventListener('keydown', press, true)
  }, [take])

  useEffect(() => () => stop.current?.(), [])
  return useMemo(() => ({ typed, begin, take }), [typed, begin, take])
}

/** One key more. What stands behind Enter is not for this any more. */
function typedWith(typed: Typed, key: string): Typed {
  const letters = [...typed.text]
  if (typed.isEntered) return typed
  if (key === 'Enter') return { ...typed, isEntered: true }
  if (key === 'Backspace') return { ...typed, text: letters.slice(0, -1).join('') }
  return [...key].length === 1 ? { ...typed, text: typed.text + key } : typed
}
