/** SELECT_SINGLE: a combobox over the options. The draft is the index of the chosen one. */
import { useState } from 'react'
import { flagOf } from '../props.js'
import { ClearButton, controlProps, FieldFrame } from './field.js'
import { type FieldProps, inputMethod, readEmpty } from './method.js'
import { indexOfDefault, type Option, optionsOf } from './options.js'
import { Picture } from './picture.js'
import { whenPointedAt } from './pointer.js'

/** More than this is unreadable anyway; typing narrows it down. */
const shownOptionsMax = 500

export const selectSingle = inputMethod<number | null>({
  initial: component => {
    const index = indexOfDefault(optionsOf(component.props), component.props.defaultValue)
    return index < 0 ? null : index
  },
  accepts: (draft): draft is number | null => draft === null || Number.isInteger(draft),
  read: (draft, component) => {
    const option = draft === null ? undefined : optionsOf(component.props)[draft]
    return option ? { value: option.original } : readEmpty(component)
  },
  View: SingleField,
})

function SingleField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<number | null>) {
  const options = optionsOf(component.props)
  const off = isDisabled || flagOf(component.props, 'disabled')
  const [isOpen, setOpen] = useState(false)
  const [typed, setTyped] = useState('')
  const [active, setActive] = useState(0)
  const chosen = draft === null ? undefined : options[draft]
  const needle = typed.trim().toLowerCase()
  const shown = options
    .map((option, index) => ({ option, index }))
    .filter(({ option }) => option.label.toLowerCase().includes(needle))
    .slice(0, shownOptionsMax)

  const open = () => {
    if (off || isOpen) return
    setOpen(true)
    const at = needle === '' ? shown.findIndex(({ index }) => index === draft) : 0
    setActive(Math.max(0, at))
  }
  const close = () => {
    setOpen(false)
    setTyped('')
  }
  const choose = (index: number | null) => {
    onDraft(index)
    close()
  }
  const keyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault()
      if (!isOpen) open()
      else if (shown.length > 0) {
        setActive((active + (event.key === 'ArrowDown' ? 1 : shown.length - 1)) % shown.length)
      }
    } else if (event.key === 'Enter' && isOpen) {
      // The choice is meant, not the whole form.
      event.preventDefault()
      const picked = shown[active]
      if (picked) choose(picked.index)
    } else if (event.key === 'Escape' && isOpen) {
      event.preventDefault()
      close()
    } else if (event.key === 'Backspace' && typed === '' && component.isOptional) onDraft(null)
  }

  return (
    <FieldFrame id={id} component={component} error={error}>
      <div className="iv-select-container relative">
        <div className="relative">
          {typed === '' && chosen && (
            <span
              className={`iv-select__single-value pointer-events-none absolute inset-y-0 left-0 flex max-w-[calc(100%-4.5rem)] items-center truncate pl-3 ${off ? 'text-muted' : ''}`}
            >
              {chosen.label}
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
              isOpen && shown[active] ? `${id}-option-${shown[active].index}` : undefined
            }
            autoComplete="off"
            className="control pr-10"
            value={typed}
            placeholder={chosen ? undefined : 'Select…'}
            disabled={off}
            // Not the click that a label passes on: a menu would cover what is below.
            onMouseDown={open}
            onBlur={close}
            onKeyDown={keyDown}
            onChange={event => {
              setTyped(event.target.value)
              setActive(0)
              setOpen(true)
            }}
          />
          {component.isOptional && chosen && !off && <ClearButton id={id} onClear={() => choose(null)} />}
          <svg
            aria-hidden="true"
            viewBox="0 0 24 24"
            className="pointer-events-none absolute top-1/2 right-3 size-4 -translate-y-1/2 text-muted"
            fill="none"
            stroke="currentColor"
            strokeWidth="2"
          >
            <path d="m6 9 6 6 6-6" strokeLinecap="round" strokeLinejoin="round" />
          </svg>
        </div>
        {isOpen && (
          <div
            ref={scrollToMenu}
            className="iv-select__menu card absolute inset-x-0 top-full z-30 mt-1 scroll-mb-16 overflow-hidden shadow-lg"
          >
            <div
              id={`${id}-list`}
              role="listbox"
              aria-label="Options"
              className="max-h-72 overflow-y-auto p-1"
            >
              {shown.map(({ option, index }, position) => (
                <OptionRow
                  key={index}
                  id={`${id}-option-${index}`}
                  option={option}
                  isActive={position === active}
                  isChosen={index === draft}
                  onHover={() => setActive(position)}
                  onChoose={() => choose(index)}
                />
              ))}
              {shown.length === 0 && <p className="px-3 py-2 text-muted">No options</p>}
            </div>
          </div>
        )}
      </div>
    </FieldFrame>
  )
}

/** Stable, so that it runs once per opening. */
function scrollToMenu(menu: HTMLElement | null): void {
  menu?.scrollIntoView({ block: 'nearest' })
}

interface OptionRowProps {
  id: string
  option: Option
  isActive: boolean
  isChosen: boolean
  onHover: () => void
  onChoose: () => void
}

/** Keys are handled by the input, which keeps the focus; hence no focus and no key handler here. */
function OptionRow({ id, option, isActive, isChosen, onHover, onChoose }: OptionRowProps) {
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: focus stays in the combobox, see aria-activedescendant
    // biome-ignore lint/a11y/useKeyWithClickEvents: the combobox handles the keys
    <div
      id={id}
      ref={isActive ? element => element?.scrollIntoView({ block: 'nearest' }) : undefined}
      role="option"
      aria-selected={isChosen}
      className={`flex items-center gap-3 rounded-control px-3 py-2 ${isActive ? 'bg-accent-soft' : ''} ${isChosen ? 'font-medium' : ''}`}
      onMouseDown={event => event.preventDefault()}
      onMouseMove={whenPointedAt(onHover)}
      onClick={onChoose}
    >
      <Picture image={option.image} words={option.label} scale="small" />
      <span className="min-w-0">
        {option.label}
        {option.description !== undefined && (
          <span className="block text-sm font-normal text-muted">{option.description}</span>
        )}
      </span>
    </div>
  )
}
