/**
 * One IO group: its fields in a form with one continue button, or a button per choice. Drafts live here, keyed by the
 * group, so that renders and reconnects leave them alone; a copy in the window's memory survives a reload.
 *
 * Errors come from three places and are shown in this order: what the values themselves tell (after the first
 * attempt), what the node refused, what the host found. The last two belong to one render and go at the next edit.
 */

import { type FormEvent, type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import type { Place } from '../../clients/wire.js'
import type { ChoiceButton, IoCall } from '../../sdk/io-call.js'
import { themeClass } from '../io/button-links.js'
import { FieldError } from '../io/field.js'
import { type Component, decodeComponent, type FileTransfer } from '../io/method.js'
import { methodOf } from '../io/registry.js'
import { useServices } from '../services.js'
import type { Answer, StepErrors } from '../transaction-runner.js'
import { Busy } from './submit-button.js'
import { useSteadyPress } from './use-steady-press.js'

interface StepFormProps {
  call: IoCall
  place: Place
  /** Under which drafts are kept: `<transaction>/<group>`. */
  draftKey: string
  /** Answered, or the transaction has ended. */
  isClosed: boolean
  isSending: boolean
  /** Displays alone wait for no one, except with SDKs that show one step at a time. */
  displaysWait: boolean
  refused: StepErrors | undefined
  onAnswer: (answer: Answer) => void
  onState: (values: readonly unknown[]) => void
  /** Files of the field with this index. */
  filesOf?: (component: number) => FileTransfer
}

export function StepForm(props: StepFormProps) {
  const { call } = props
  const { encoding } = useServices()
  const components = useMemo(() => {
    try {
      return call.toRender.map(raw => decodeComponent(raw, encoding))
    } catch {
      return null
    }
  }, [call, encoding])
  if (components === null) return <p className="text-danger">Received invalid message from action.</p>
  return <Fields {...props} components={components} />
}

function Fields({
  call,
  components,
  place,
  draftKey,
  isClosed,
  isSending,
  displaysWait,
  refused,
  onAnswer,
  onState,
  filesOf,
}: StepFormProps & { components: readonly Component[] }) {
  const { memory } = useServices()
  const methods = components.map(component => methodOf(component.methodName))
  const [drafts, setDrafts] = useState<readonly unknown[]>(() => {
    const kept = isClosed ? null : memory.draft(draftKey)
    return components.map((component, index) => kept?.[index] ?? methods[index]?.initial(component))
  })
  /** As they are now, also for what a field tells between two renders. */
  const latest = useRef(drafts)
  const [wasTried, setTried] = useState(false)
  /** How often Continue was pressed in vain. */
  const [attempts, setAttempts] = useState(0)
  /** What was pressed while a field was not ready yet. */
  const [held, setHeld] = useState<{ choice: string | null } | null>(null)
  /** Which render each field was last edited under. */
  const [edited, setEdited] = useState<Readonly<Record<number, string>>>({})
  const form = useRef<HTMLFormElement>(null)
  const off = isClosed || isSending

  const edit = (index: number, draft: unknown) => {
    const next = latest.current.map((old, at) => (at === index ? draft : old))
    latest.current = next
    setDrafts(next)
    setEdited(before => ({ ...before, [index]: call.id }))
    memory.saveDraft(draftKey, next)
  }

  const readings = components.map((component, index) => methods[index]?.read(drafts[index], component))
  const isWaiting = readings.some(reading => reading && 'wait' in reading)
  const errorOf = (index: number): string | null => {
    if (off) return null
    const reading = readings[index]
    if (wasTried && reading && 'error' in reading) return reading.error
    if (edited[index] === call.id) return null
    const refusal = refused?.renderId === call.id ? refused.fields[String(index)] : undefined
    return refusal ?? components[index]?.error ?? null
  }

  const send = (choice: string | null) => {
    // The same fields are judged again by the host; its old words no longer hold.
    setEdited({})
    onAnswer({
      values: readings.map(reading => (reading && 'value' in reading ? reading.value : null)),
      ...(choice === null ? {} : { choice }),
    })
  }

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (off || held !== null) return
    setTried(true)
    const wrong = readings.findIndex(reading => reading && 'error' in reading)
    if (wrong >= 0) {
      setAttempts(attempts + 1)
      return
    }
    const button = (event.nativeEvent as SubmitEvent).submitter
    const choice = call.choiceButtons?.length ? (button?.getAttribute('value') ?? null) : null
    if (isWaiting) setHeld({ choice })
    else send(choice)
  }

  // What was pressed goes out once nothing is waited for any more, unless something turned out wrong.
  useEffect(() => {
    if (held === null || (isWaiting && !off)) return
    setHeld(null)
    if (off) return
    if (readings.some(reading => reading && 'error' in reading)) setAttempts(attempts + 1)
    else send(held.choice)
  })

  useFirstFocus(form, off)
  const errors = components.map((_component, index) => errorOf(index))
  useFirstError(
    call,
    errors.findIndex(error => error !== null),
    `${attempts} ${refused?.renderId ?? ''} ${components.some(component => component.error !== null) ? call.id : ''}`,
  )
  const submitByKey = (event: KeyboardEvent<HTMLFormElement>) => {
    if (event.key !== 'Enter' || !(event.metaKey || event.ctrlKey) || event.defaultPrevented) return
    const button = form.current?.querySelector<HTMLButtonElement>('button[data-pw="continue-button"]')
    if (!button) return
    event.preventDefault()
    form.current?.requestSubmit(button)
  }

  const isImmediate = methods.some(method => method.isImmediate)
  const waits =
    !isImmediate &&
    (methods.some(method => !method.isDisplay) ||
      (call.choiceButtons?.length ?? 0) > 0 ||
      (call.continueButton !== null && call.continueButton !== undefined) ||
      (displaysWait && !components.every(component => component.methodName.startsWith('DISPLAY_PROGRESS'))))
  const wholeError = off
    ? null
    : ((refused?.renderId === call.id ? refused.fields.form : undefined) ??
      call.validationErrorMessage ??
      null)

  return (
    <form
      ref={form}
      className="grid min-w-0 gap-6"
      onSubmit={submit}
      onKeyDown={submitByKey}
      aria-busy={isSending || held !== null}
    >
      {components.map((component, index) => {
        const View = methods[index]?.View
        return (
          View && (
            <View
              // biome-ignore lint/suspicious/noArrayIndexKey: components are known by their position on the wire
              key={index}
              id={idOf(call, index)}
              component={component}
              step={draftKey}
              place={place}
              draft={drafts[index]}
              onDraft={draft => edit(index, draft)}
              isDisabled={off}
              error={errors[index] ?? null}
              files={filesOf?.(index)}
              onState={
                component.isStateful
                  ? state => onState(components.map((_other, at) => (at === index ? state : null)))
                  : undefined
              }
              onAnswer={
                methods[index]?.isImmediate
                  ? value =>
                      onAnswer({ values: components.map((_other, at) => (at === index ? value : null)) })
                  : undefined
              }
            />
          )
        )
      })}
      {wholeError !== null && wholeError !== '' && (
        <div
          data-pw="form-error"
          role="alert"
          className="rounded-control border border-danger/40 bg-danger-soft px-4 py-3"
        >
          <FieldError text={wholeError} />
        </div>
      )}
      {waits && !isClosed && <ContinueButtons call={call} isSending={isSending || held !== null} />}
    </form>
  )
}

function ContinueButtons({ call, isSending }: { call: IoCall; isSending: boolean }) {
  const buttons: Partial<ChoiceButton>[] = call.choiceButtons?.length
    ? call.choiceButtons
    : [{ label: call.continueButton?.label || 'Continue', theme: call.continueButton?.theme ?? 'primary' }]
  const steadyPress = useSteadyPress()
  return (
    <div className="flex flex-wrap gap-3">
      {buttons.map((button, index) => (
        <button
          {...steadyPress}
          key={button.value ?? button.label ?? index}
          type="submit"
          data-pw="continue-button"
          value={button.value ?? button.label}
          disabled={isSending}
          className={`button relative ${themeClass(button.theme ?? (index === 0 ? 'primary' : 'secondary'))}`}
        >
          <Busy isBusy={isSending && index === 0}>{button.label}</Busy>
        </button>
      ))}
    </div>
  )
}

/** Puts the caret into a new step's first field, unless the person is busy elsewhere. Scrolling is the page's. */
function useFirstFocus(form: React.RefObject<HTMLFormElement | null>, off: boolean): void {
  const isOff = useRef(off)
  useEffect(() => {
    if (isOff.current) return
    const active = document.activeElement
    if (active !== null && active !== document.body) return
    const first = form.current?.querySelector<HTMLElement>(
      'input:not(:disabled, [type="search"]), textarea:not(:disabled), select:not(:disabled)',
    )
    // Neither a field that opens something when it gets the caret, nor, past it, the next one.
    if (first && first.dataset.noFirstFocus === undefined) first.focus({ preventScroll: true })
  }, [form])
}

/** After an attempt that failed, here or at the host, brings the first wrong field into view and the caret into it. */
function useFirstError(call: IoCall, index: number, occasion: string): void {
  const known = useRef(occasion)
  useEffect(() => {
    if (known.current === occasion) return
    known.current = occasion
    if (index < 0) return
    const id = idOf(call, index)
    document.getElementById(id)?.focus()
    document.getElementById(`${id}-error`)?.scrollIntoView({ block: 'nearest' })
  }, [call, index, occasion])
}

function idOf(call: IoCall, index: number): string {
  return `f-${call.inputGroupKey.replace(/[^A-Za-z0-9_-]/g, '')}-${index}`
}
