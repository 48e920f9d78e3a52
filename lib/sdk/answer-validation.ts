/**
 * The gate before a host: an answer passes only in the form in which the SDK takes it.
 *
 * The SDK checks types alone, and a wrong type or number of values fails the person's whole action; ranges, lengths,
 * required fields and the pressed button it does not check at all. So all of that is settled here, whatever the browser
 * has checked before. A skipped optional goes out as undefined (null with a meta entry): a plain null makes fields with
 * validators loop for ever. Pure, so that the same answer always gives the same text.
 */
import { AppError } from '../errors.js'
import { messages } from './answer-messages.js'
import {
  absentValue,
  type FileValue,
  isEmptyValue,
  offeredUrls,
  type Props,
  type ValueCheck,
  valueCheck,
} from './answer-values.js'
import { componentState } from './component-states.js'
import type { IoCall, IoComponent } from './io-call.js'
import { ioResponseText } from './io-response.js'
import { decodeSuperjson, encodeSuperjson } from './superjson-codec.js'

/** What a person answered, as the browser sent it. */
export interface Answer {
  readonly kind: 'RETURN' | 'SET_STATE'
  /** superjson JSON, one per component. */
  readonly values: readonly unknown[]
  /** superjson meta of `values`. */
  readonly valuesMeta?: unknown
  /** Value of the pressed choice button. */
  readonly choice?: string | null | undefined
}

export type AnswerCheck =
  | {
      readonly ok: true
      /** For IO_RESPONSE.value. */
      readonly value: string
      /** The components by which the person says that their identity is confirmed: whether it is, is for the caller to know. */
      readonly identityClaims: readonly IoComponent[]
    }
  /** Index of the component as text → message; `form` for the whole. */
  | { readonly ok: false; readonly fields: Record<string, string> }

/** True when the file was sent to where we keep files, for this component. */
export type IsSentFile = (component: number, file: FileValue) => boolean

/**
 * Checks and encodes an answer to `call`. `transactionId` may be a page key. Files that go to places the host has named
 * are known by those; about all others `isSent` is asked, since the host will read whatever address it is given. Never
 * throws.
 */
export function validateAnswer(
  call: IoCall,
  answer: Answer,
  transactionId: string,
  isSent?: IsSentFile,
): AnswerCheck {
  const values = decodedValues(answer)
  if (values === null || values.length !== call.toRender.length) return refused({ form: messages.count })
  const checked = answer.kind === 'RETURN' ? checkReturn(call, values, isSent) : checkStates(call, values)
  if (answer.kind === 'RETURN' && !isChoiceKnown(call, answer.choice)) {
    checked.fields.form = messages.choice
  }
  if (Object.keys(checked.fields).length > 0) return refused(checked.fields)
  // Of what was decoded: two values of an answer may be one, by what is said beside them.
  const identityClaims = call.toRender.filter(
    ({ methodName }, index) =>
      answer.kind === 'RETURN' && methodName === 'CONFIRM_IDENTITY' && checked.values[index] !== false,
  )
  const { json, meta } = encodeSuperjson(checked.values)
  const { id, inputGroupKey } = call
  const choice = hasChoices(call) && answer.kind === 'RETURN' ? answer.choice : undefined
  const encoded = { values: json as unknown[], valuesMeta: meta, choice }
  return {
    ok: true,
    value: ioResponseText({ id, inputGroupKey, transactionId, kind: answer.kind, ...encoded }),
    identityClaims,
  }
}

interface Checked {
  readonly values: unknown[]
  readonly fields: Record<string, string>
}

function refused(fields: Record<string, string>): AnswerCheck {
  return { ok: false, fields }
}

function decodedValues(answer: Answer): unknown[] | null {
  if (!Array.isArray(answer.values)) return null
  try {
    const values = decodeSuperjson(answer.values, answer.valuesMeta, 'refuse')
    return Array.isArray(values) ? values : null
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}

function hasChoices(call: IoCall): boolean {
  return call.choiceButtons !== undefined && call.choiceButtons !== null && call.choiceButtons.length > 0
}

function isChoiceKnown(call: IoCall, choice: string | null | undefined): boolean {
  if (!hasChoices(call)) return true
  return call.choiceButtons?.some(button => button.value === choice) ?? false
}

function checkReturn(call: IoCall, values: readonly unknown[], isSent?: IsSentFile): Checked {
  const checked: Checked = { values: [], fields: {} }
  call.toRender.forEach((component, index) => {
    const result = checkComponent(component, values[index])
    if ('message' in result) checked.fields[String(index)] = result.message
    else if (isSent && !areFilesSent(component, result.value, file => isSent(index, file)))
      checked.fields[String(index)] = messages.file
    else checked.values.push(result.value)
  })
  return checked
}

function checkComponent(component: IoComponent, given: unknown): ValueCheck {
  const { methodName, isOptional, isMultiple } = component
  if (methodName.startsWith('DISPLAY_')) return { value: null }
  const check = valueCheck(methodName)
  if (check === undefined) return isOptional ? { value: undefined } : { message: messages.unsupported }
  if (isMissing(component, given)) {
    if (isOptional) return { value: undefined }
    const standsFor = isMultiple ? undefined : absentValue(methodName)
    return standsFor === undefined
      ? { message: messages.required }
      : check(standsFor, decodedProps(component))
  }
  const known = decodedProps(component)
  return isMultiple ? checkEach(given, element => check(element, known)) : check(given, known)
}

/** True for everything that is no file, and for files whose place the host has named. */
function areFilesSent(component: IoComponent, value: unknown, isSent: (file: FileValue) => boolean): boolean {
  if (component.methodName !== 'UPLOAD_FILE' || value === undefined) return true
  if (offeredUrls(decodedProps(component)).length > 0) return true
  const files = (component.isMultiple ? value : [value]) as readonly FileValue[]
  return files.every(isSent)
}

function isMissing(component: IoComponent, value: unknown): boolean {
  if (value === undefined || value === null) return true
  if (component.isMultiple) return Array.isArray(value) && value.length === 0
  return isEmptyValue(component.methodName, value)
}

/** The first wrong element speaks for all. */
function checkEach(given: unknown, check: (element: unknown) => ValueCheck): ValueCheck {
  if (!Array.isArray(given)) return { message: messages.invalid }
  const values: unknown[] = []
  for (const element of given) {
    const result = check(element)
    if ('message' in result) return result
    values.push(result.value)
  }
  return { value: values }
}

/** The props of a component. Only rows of tables are left encoded: they are many, and their keys are plain text. */
export function decodedProps(component: IoComponent): Props {
  if (component.propsMeta === undefined || component.methodName === 'SELECT_TABLE') return component.props
  try {
    return decodeSuperjson(component.props, component.propsMeta, 'keep') as Props
  } catch (error) {
    // A host that writes nonsense there gets its props taken as they are.
    if (error instanceof AppError) return component.props
    throw error
  }
}

function checkStates(call: IoCall, values: readonly unknown[]): Checked {
  const checked: Checked = { values: [], fields: {} }
  call.toRender.forEach((component, index) => {
    const given = values[index]
    // Null is "no change"; a component without state has nothing to change, and hosts warn about it.
    if (given === null || given === undefined || !component.isStateful) {
      checked.values.push(null)
      return
    }
    const state = componentState(component.methodName, given)
    if (state === undefined) checked.fields[String(index)] = messages.invalid
    else checked.values.push(state)
  })
  return checked
}
