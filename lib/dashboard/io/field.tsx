/** The frame of a field: label above, help and error below, all tied to the control by id. */
import type { ReactNode } from 'react'
import { Icon } from '../components/icon.js'
import { textOf } from '../props.js'
import type { Component } from './method.js'

interface FrameProps {
  id: string
  component: Component
  error: string | null
  children: ReactNode
  /** For controls that a label does not reach by itself. */
  onLabel?: () => void
}

export function FieldFrame({ id, component, error, children, onLabel }: FrameProps) {
  return (
    <div className="grid max-w-2xl gap-1.5">
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the control itself is reached by the keyboard */}
      <label htmlFor={id} id={`${id}-label`} className="justify-self-start font-medium" onClick={onLabel}>
        <LabelWords component={component} />
      </label>
      {children}
      <FieldNotes id={id} component={component} error={error} />
    </div>
  )
}

/** The same for several controls under one heading. */
export function FieldGroup({ id, component, error, children }: FrameProps) {
  return (
    <fieldset className="grid gap-1.5" aria-describedby={describedBy(id, component, error)}>
      <legend className="mb-1.5 font-medium">
        <LabelWords component={component} />
      </legend>
      {children}
      <FieldNotes id={id} component={component} error={error} />
    </fieldset>
  )
}

export function LabelWords({ component }: { component: Component }) {
  return (
    <>
      {component.label}
      {component.isOptional && <span className="font-normal text-muted"> (optional)</span>}
    </>
  )
}

export function FieldNotes({ id, component, error }: Omit<FrameProps, 'children'>) {
  const help = textOf(component.props, 'helpText')
  return (
    <>
      {help !== undefined && help !== '' && (
        <p id={`${id}-help`} className="text-sm text-muted">
          {help}
        </p>
      )}
      {error !== null && <FieldError id={`${id}-error`} text={error} />}
    </>
  )
}

export function FieldError({ id, text }: { id?: string; text: string }) {
  return (
    <p id={id} data-pw="field-error" className="scroll-my-24 text-sm font-medium text-danger">
      {text}
    </p>
  )
}

/** Takes away what was chosen, inside the right end of a control. Beside one that may be left empty, there being no empty choice. */
export function ClearButton({ id, onClear }: { id: string; onClear: () => void }) {
  return (
    <button
      type="button"
      aria-label="Clear"
      aria-describedby={`${id}-label`}
      className="absolute inset-y-0 right-8 grid w-8 place-items-center text-muted hover:text-ink"
      onClick={() => {
        onClear()
        document.getElementById(id)?.focus()
      }}
    >
      <Icon name="close" className="size-4" />
    </button>
  )
}

/** Attributes of a box to tick: it cannot be required, unticked being an answer. */
export function tickProps(id: string, component: Component, error: string | null) {
  return { id, 'aria-invalid': error !== null, 'aria-describedby': describedBy(id, component, error) }
}

/** Attributes that every other control of a field carries. */
export function controlProps(id: string, component: Component, error: string | null) {
  return {
    id,
    'aria-invalid': error !== null,
    'aria-required': !component.isOptional,
    'aria-describedby': describedBy(id, component, error),
  }
}

function describedBy(id: string, component: Component, error: string | null): string | undefined {
  const ids = [textOf(component.props, 'helpText') ? `${id}-help` : '', error === null ? '' : `${id}-error`]
  return ids.filter(part => part !== '').join(' ') || undefined
}
