/**
 * INPUT_SLIDER: a range with a linked text field. It stands at its minimum but counts as empty until it is touched.
 * Digits typed on the range set the number, and a minus begins one where there is something below zero; keys that follow
 * within a moment extend it.
 */
import { type KeyboardEvent, useRef, useState } from 'react'
import { flagOf, numberOf } from '../props.js'
import { controlProps, FieldFrame } from './field.js'
import { type Component, type FieldProps, inputMethod, isText, type Reading, readEmpty } from './method.js'
import { initialNumber, rangeProblem } from './number.js'
import { numberText, plainNumber } from './number-text.js'
import { SignButton } from './sign-button.js'

const extendMsMax = 1_500

export const slider = inputMethod<string>({
  initial: initialNumber,
  accepts: isText,
  read: readSlider,
  View: SliderField,
})

function boundsOf(component: Component): { min: number; max: number; step: number } {
  const min = numberOf(component.props, 'min') ?? 0
  return {
    min,
    max: numberOf(component.props, 'max') ?? Math.max(min, 100),
    step: numberOf(component.props, 'step') ?? 1,
  }
}

export function readSlider(draft: string, component: Component): Reading {
  if (draft.trim() === '') return readEmpty(component)
  const typed = plainNumber(draft)
  if (typed === null) return { error: 'Please enter a valid number.' }
  const value = Number(typed)
  const { min, max } = boundsOf(component)
  const problem = rangeProblem(value, min, max)
  return problem === null ? { value } : { error: problem }
}

function SliderField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  const { min, max, step } = boundsOf(component)
  const off = isDisabled || flagOf(component.props, 'disabled')
  const reading = readSlider(draft, component)
  const inRange = 'value' in reading && typeof reading.value === 'number' ? reading.value : null
  // A number out of range leaves the handle where it was.
  const [handle, setHandle] = useState(inRange ?? min)
  if (inRange !== null && inRange !== handle) setHandle(inRange)
  const typed = useRef({ text: '', atMs: 0 })
  const typeOnRange = (event: KeyboardEvent) => {
    if (event.metaKey || event.ctrlKey) return
    const isMinus = event.key === '-' && min < 0
    if (!isMinus && !/^[0-9.]$/.test(event.key)) return
    event.preventDefault()
    const isFresh = isMinus || event.timeStamp - typed.current.atMs > extendMsMax
    const text = (isFresh ? '' : typed.current.text) + event.key
    typed.current = { text, atMs: event.timeStamp }
    onDraft(text)
  }
  return (
    <FieldFrame id={id} component={component} error={error}>
      <div className="flex items-center gap-4">
        <input
          type="range"
          aria-label="Slider"
          aria-describedby={`${id}-label`}
          className="h-6 min-w-0 flex-1 accent-accent"
          min={min}
          max={max}
          step={step}
          value={handle}
          disabled={off}
          onChange={event => onDraft(numberText(event.target.valueAsNumber))}
          onKeyDown={typeOnRange}
          onBlur={() => {
            typed.current = { text: '', atMs: 0 }
          }}
        />
        <input
          {...controlProps(id, component, error)}
          type="text"
          inputMode={Number.isInteger(step) ? 'numeric' : 'decimal'}
          autoComplete="off"
          className="control w-24! text-right tabular-nums"
          value={draft}
          disabled={off}
          onFocus={event => event.currentTarget.select()}
          onChange={event => onDraft(event.target.value)}
        />
        {min < 0 && !off && <SignButton id={id} draft={draft} onDraft={onDraft} className="-ml-2" />}
      </div>
    </FieldFrame>
  )
}
