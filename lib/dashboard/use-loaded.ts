/** What a screen asks the server for when it opens, and again when it says so. The newest answer counts. */
import { useCallback, useEffect, useRef, useState } from 'react'

export interface Loaded<Value> {
  /** Null until the first answer; an older one stays while it is asked again. */
  readonly value: Value | null
  readonly problem: string | null
  reload(): Promise<void>
}

/** Asks when the screen opens and whenever `load` is another function: memoize it. */
export function useLoaded<Value>(load: () => Promise<Value>): Loaded<Value> {
  const [state, setState] = useState<{ value: Value | null; problem: string | null }>({
    value: null,
    problem: null,
  })
  const turn = useRef(0)
  const reload = useCallback(async () => {
    turn.current += 1
    const mine = turn.current
    try {
      const value = await load()
      if (mine === turn.current) setState({ value, problem: null })
    } catch (error) {
      const problem = messageOf(error)
      if (mine === turn.current) setState(known => ({ ...known, problem }))
    }
  }, [load])
  useEffect(() => {
    void reload()
    return () => {
      turn.current += 1
    }
  }, [reload])
  return { ...state, reload }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Something went wrong.'
}
