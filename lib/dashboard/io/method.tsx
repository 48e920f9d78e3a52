/**
 * What an IO method is to the browser. A *draft* is what the person has typed or ticked so far, as plain JSON so that
 * it survives a reload; `read` turns it into the value that is sent, or into the sentence that says what is wrong.
 * One file per method; `registry.ts` is the only list of them.
 */
import type { ComponentType } from 'react'
import type { Place, UploadGrant } from '../../clients/wire.js'
import type { IoComponent } from '../../sdk/io-call.js'
import type { Encoding } from '../encoding.js'
import { isRecord, type Props } from '../props.js'

/** A component of an IO call with its props decoded. */
export interface Component {
  methodName: string
  label: string
  props: Props
  isStateful: boolean
  isOptional: boolean
  isMultiple: boolean
  multipleDefault: readonly unknown[]
  /** What the host found wrong with the last answer. */
  error: string | null
}

/** `wait`: nothing is wrong, but it is not there yet; what was pressed is sent as soon as it is. */
export type Reading = { value: unknown } | { error: string } | { wait: true }

/** How files get to where they are kept. */
export interface FileTransfer {
  /** Asks for a place for each. Rejects with a `RequestError`. */
  ask: (files: readonly { name: string; type: string; size: number }[]) => Promise<UploadGrant[]>
  /** Says that one has been sent. */
  confirm: (uploadId: string) => Promise<void>
}

export interface FieldProps<Draft> {
  /** Id of the control: starts with a letter, usable in CSS as it is. */
  id: string
  component: Component
  /** Names the step to the server: `<transaction>/<group>`. */
  step: string
  place: Place
  draft: Draft
  onDraft: (draft: Draft) => void
  /** Answered, ended or on its way: shown, not editable. */
  isDisabled: boolean
  error: string | null
  /** For files, where the step can be answered. */
  files?: FileTransfer | undefined
  /** Tells the host a new state of this component; absent where it has none. */
  onState?: ((state: unknown) => void) | undefined
  /** Answers the whole step with this value at once, for methods that have buttons of their own. */
  onAnswer?: ((value: unknown) => void) | undefined
}

export interface Method {
  /** Shows something and asks nothing; its value is always null. */
  isDisplay: boolean
  /** Alone in its step and answered by its own buttons. */
  isImmediate: boolean
  initial: (component: Component) => unknown
  read: (draft: unknown, component: Component) => Reading
  View: ComponentType<FieldProps<unknown>>
}

interface InputMethod<Draft> {
  initial: (component: Component) => Draft
  /** Drafts come back from storage, where anything may lie. */
  accepts: (draft: unknown) => draft is Draft
  read: (draft: Draft, component: Component) => Reading
  View: ComponentType<FieldProps<Draft>>
}

export function inputMethod<Draft>({ initial, accepts, read, View }: InputMethod<Draft>): Method {
  return {
    isDisplay: false,
    isImmediate: false,
    initial,
    read: (draft, component) => read(accepts(draft) ? draft : initial(component), component),
    View: props => <View {...props} draft={accepts(props.draft) ? props.draft : initial(props.component)} />,
  }
}

export function displayMethod(View: ComponentType<FieldProps<unknown>>): Method {
  return { isDisplay: true, isImmediate: false, initial: () => null, read: () => ({ value: null }), View }
}

export function immediateMethod(View: ComponentType<FieldProps<unknown>>): Method {
  return { isDisplay: false, isImmediate: true, initial: () => null, read: () => ({ value: null }), View }
}

export const requiredText = 'This field is required.'

/** Reading of a field that was left empty: fine when optional. */
export function readEmpty(component: Component): Reading {
  return component.isOptional ? { value: undefined } : { error: requiredText }
}

export function isText(draft: unknown): draft is string {
  return typeof draft === 'string'
}

/** The component as the methods want it. Throws when the host sent something else than a component. */
export function decodeComponent(raw: IoComponent, encoding: Encoding): Component {
  if (!isRecord(raw) || typeof raw.methodName !== 'string' || typeof raw.label !== 'string') {
    throw new TypeError('not a component')
  }
  const props = encoding.decode(raw.props ?? {}, raw.propsMeta)
  if (!isRecord(props)) throw new TypeError('props are not an object')
  return {
    methodName: raw.methodName,
    label: raw.label,
    props,
    isStateful: raw.isStateful === true,
    isOptional: raw.isOptional === true,
    isMultiple: raw.isMultiple === true,
    multipleDefault: raw.multipleProps?.defaultValue ?? [],
    error: raw.validationErrorMessage ?? null,
  }
}
