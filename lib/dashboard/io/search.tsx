/**
 * SEARCH: the host finds, the person chooses. What is typed goes out as state after a pause; until the render that
 * follows, the results are hidden. Values of earlier answers stay valid, so the draft keeps whole results.
 */
import { useEffect, useRef, useState } from 'react'
import { flagOf, isRecord, recordsOf, textOf } from '../props.js'
import { ClearButton, controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, type Reading, readEmpty } from './method.js'
import { imageOf, Picture } from './picture.js'
import { whenPointedAt } from './pointer.js'

interface Found {
  value: string
  label: string
}

const pauseMs = 500
/** After this time a render that brings nothing new is an answer too, in ms. */
const repeatMs = 300
const shownResultsMax = 200

export const search = inputMethod<Found[]>({
  initial: component => {
    const wanted = component.isMultiple ? component.multipleDefault : [component.props.defaultValue]
    return wanted
      .map(value => resultsOf(component).find(result => result.value === value))
      .filter(result => result !== undefined)
      .map(({ value, label }) => ({ value, label }))
  },
  accepts: (draft): draft is Found[] => Array.isArray(draft) && draft.every(isFound),
  read: readSearch,
  View: SearchField,
})

function isFound(item: unknown): item is Found {
  return isRecord(item) && typeof item.value === 'string' && typeof item.label === 'string'
}

function readSearch(draft: readonly Found[], component: Component): Reading {
  const [first] = draft
  if (first === undefined) return readEmpty(component)
  return { value: component.isMultiple ? draft.map(result => result.value) : first.value }
}

function resultsOf(component: Component) {
  return recordsOf(component.props, 'results').map(result => ({
    value: String(result.value),
    label: String(result.label ?? ''),
    description: textOf(result, 'description'),
    image: imageOf(result),
  }))
}

/**
 * Asks the host one question at a time; while it works on one, only the newest of the others is kept. Hosts answer with
 * two equal renders, and the second must not pass for the answer to the next question: a render that brings nothing new
 * counts only when nothing else comes for a moment.
 */
function useQuestion(
  component: Component,
  onState: ((state: unknown) => void) | undefined,
  onAnswer: () => void,
): { ask: (query: string) => void; isOpen: () => boolean } {
  const latest = useRef({ onState, onAnswer })
  latest.current = { onState, onAnswer }
  const asked = useRef(false)
  const next = useRef<string | null>(null)
  const grace = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const values = resultsOf(component)
    .map(result => result.value)
    .join()
  const before = useRef(values)
  const ask = (query: string) => {
    if (asked.current) {
      next.current = query
      return
    }
    asked.current = true
    latest.current.onState?.({ queryTerm: query })
  }
  const answered = () => {
    clearTimeout(grace.current)
    asked.current = false
    const query = next.current
    next.current = null
    if (query === null) latest.current.onAnswer()
    else ask(query)
  }
  const isFirst = useRef(true)
  // biome-ignore lint/correctness/useExhaustiveDependencies: each render of the host brings new props
  useEffect(() => {
    const isNew = values !== before.current
    before.current = values
    if (isFirst.current || !asked.current) {
      isFirst.current = false
      return
    }
    clearTimeout(grace.current)
    if (isNew) answered()
    else grace.current = setTimeout(answered, repeatMs)
  }, [component.props])
  useEffect(() => () => clearTimeout(grace.current), [])
  return { ask, isOpen: () => asked.current }
}

function SearchField({ id, component, draft, onDraft, isDisabled, error, onState }: FieldProps<Found[]>) {
  const off = isDisabled || flagOf(component.props, 'disabled')
  const [isOpen, setOpen] = useState(false)
  const [typed, setTyped] = useState('')
  const [active, setActive] = useState(0)
  const [isLoading, setLoading] = useState(false)
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const question = useQuestion(component, onState, () => setLoading(false))
  useEffect(() => () => clearTimeout(timer.current), [])

  const results = resultsOf(component).slice(0, shownResultsMax)
  const single = component.isMultiple ? undefined : draft[0]
  const ask = (query: string) => {
    setTyped(query)
    setOpen(true)
    setActive(0)
    setLoading(true)
    clearTimeout(timer.current)
    timer.current = setTimeout(() => question.ask(query), pauseMs)
  }
  const close = () => {
    setOpen(false)
    setTyped('')
    clearTimeout(timer.current)
    if (!question.isOpen()) setLoading(false)
  }
  const choose = (result: Found | undefined) => {
    if (!result) return
    const found = { value: result.value, label: result.label }
    if (!component.isMultiple) onDraft([found])
    else if (!draft.some(other => other.label === found.label && other.value === found.value))
      onDraft([...draft, found])
    close()
  }
  const keyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      if (!isOpen) setOpen(true)
      else setActive(Math.max(0, Math.min(results.length - 1, active + (event.key === 'ArrowDown' ? 1 : -1))))
    } else if (event.key === 'Enter' && isOpen) {
      event.preventDefault()
      if (!isLoading) choose(results[active])
    } else if (event.key === 'Escape') close()
    else if (event.key === 'Backspace' && typed === '') onDraft(draft.slice(0, -1))
  }

  return (
    <FieldFrame id={id} component={component} error={error}>
      <div className="iv-select-container relative grid gap-2">
        {component.isMultiple && draft.length > 0 && (
          <ul className="flex flex-wrap gap-1.5">
            {draft.map(result => (
              <li
                key={result.value}
                className="flex items-center gap-1 rounded-full bg-accent-soft py-0.5 pr-1 pl-3 text-sm"
              >
                <span className="iv-select__multi-value__label">{result.label}</span>
                {!off && (
                  <button
                    type="button"
                    aria-label={`Remove ${result.label}`}
                    className="grid size-6 place-items-center rounded-full hover:bg-sunken"
                    onClick={() => onDraft(draft.filter(other => other !== result))}
                  >
                    <svg
                      aria-hidden="true"
                      viewBox="0 0 24 24"
                      className="size-3.5"
                      stroke="currentColor"
                      strokeWidth="2"
                    >
                      <path d="m6 6 12 12M18 6 6 18" />
                    </svg>
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
        <div className="relative">
          {single && typed === '' && (
            <span
              data-pw-selected-search-result=""
              className={`iv-select__single-value pointer-events-none absolute inset-y-0 left-0 flex max-w-[calc(100%-4.5rem)] items-center truncate pl-3 ${off ? 'text-muted' : ''}`}
            >
              {single.label}
            </span>
          )}
          <input
            {...controlProps(id, component, error)}
            type="text"
            role="combobox"
            aria-expanded={isOpen}
            aria-controls={`${id}-list`}
            aria-autocomplete="list"
            aria-activedescendant={
              isOpen && !isLoading && results[active] ? `${id}-option-${active}` : undefined
            }
            autoComplete="off"
            className="control"
            value={typed}
            placeholder={single ? undefined : (textOf(component.props, 'placeholder') ?? 'Find…')}
            disabled={off}
            // Not the click that a label passes on: a menu would cover what is below.
            onMouseDown={() => setOpen(true)}
            onBlur={close}
            onKeyDown={keyDown}
            onChange={event => ask(event.target.value)}
          />
          {component.isOptional && single && !off && <ClearButton id={id} onClear={() => onDraft([])} />}
        </div>
        {isOpen && (
          <div className="iv-select__menu card absolute inset-x-0 top-full z-30 mt-1 overflow-hidden shadow-lg">
            {isLoading && <p className="px-3 py-2 text-muted">Loading...</p>}
            {!isLoading && results.length === 0 && <p className="px-3 py-2 text-muted">No results found.</p>}
            {!isLoading && results.length > 0 && (
              <div
                id={`${id}-list`}
                role="listbox"
                aria-label="Results"
                className="max-h-72 overflow-y-auto p-1"
              >
                {results.map((result, position) => (
                  // biome-ignore lint/a11y/useFocusableInteractive: focus stays in the combobox
                  // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox handles the keys
                  <div
                    key={result.value}
                    id={`${id}-option-${position}`}
                    role="option"
                    aria-selected={draft.some(other => other.value === result.value)}
                    data-pw-search-result=""
                    {...(position === active ? { 'data-pw-search-result-focused': 'true' } : {})}
                    className={`flex items-center gap-3 rounded-control px-3 py-2 ${position === active ? 'bg-accent-soft' : ''}`}
                    onMouseDown={event => event.preventDefault()}
                    onMouseMove={whenPointedAt(() => setActive(position))}
                    onClick={() => choose(result)}
                  >
                    <Picture image={result.image} words={result.label} scale="small" />
                    <span className="min-w-0">
                      {result.label}
                      {result.description !== undefined && (
                        <span className="block text-sm text-muted">{result.description}</span>
                      )}
                    </span>
                  </div>
                ))}
              </div>
            )}
          </div>
        )}
      </div>
    </FieldFrame>
  )
}
