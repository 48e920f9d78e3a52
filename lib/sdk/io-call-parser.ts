/**
 * The texts inside calls of hosts (IO calls, page layouts, results), parsed by hand into the types of `io-call.ts`.
 *
 * These run for every step of every action, and props can be megabytes, so only what the server itself relies on is
 * checked: ids, kinds, flags, and the one or two props per method without which the method cannot be answered. Methods
 * nobody here knows are kept; the dashboard says that it cannot show them. A text that fails is `invalid-value` (or
 * `too-large`), which the caller shows as "Received invalid message from action.".
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type {
  ButtonTheme,
  ChoiceButton,
  IoCall,
  IoComponent,
  PageError,
  PageLayout,
  ReportedResult,
  ResultStatus,
} from './io-call.js'
import { isRecord, parseJson } from './json.js'

const choicesMax = 100
const menuItemsMax = 1_000
const pageErrorsMax = 100
/** Room for what is nested inside props beyond the envelope. */
const depthMax = limits.frameDepthMax

/** Parses `ioCall` of SEND_IO_CALL. */
export function parseIoCall(text: string): IoCall {
  return ioCall(contentJson(text, 'IO call'), 'IO call')
}

/** Parses `page` of SEND_PAGE. */
export function parsePageLayout(text: string): PageLayout {
  const page = record(contentJson(text, 'page'), 'page')
  if (page.kind !== 'BASIC') throw invalid('page', 'kind')
  const layout: PageLayout = { kind: 'BASIC' }
  // Absent and null differ here: not set, and still loading.
  if (page.title !== undefined) layout.title = optionalText(page.title, 'title')
  if (page.description !== undefined) layout.description = optionalText(page.description, 'description')
  layout.menuItems = optionalList(page.menuItems, menuItemsMax, 'menuItems')
  layout.children =
    page.children === undefined || page.children === null ? null : ioCall(page.children, 'page')
  layout.errors = optionalList(page.errors, pageErrorsMax, 'errors')?.map(pageError) ?? null
  return layout
}

/**
 * Parses what MARK_TRANSACTION_COMPLETE brought. The status stands beside the result, in it (Python, 0.21), or nowhere
 * (then nothing was returned).
 */
export function parseTransactionResult(completion: {
  readonly resultStatus?: ResultStatus | undefined
  readonly result?: string | undefined
}): ReportedResult {
  const { resultStatus, result } = completion
  if (result === undefined) return { status: resultStatus ?? 'SUCCESS', data: null }
  const parsed = record(contentJson(result, 'result'), 'result')
  const status = resultStatus ?? parsed.status
  if (status !== 'SUCCESS' && status !== 'FAILURE' && status !== 'CANCELED' && status !== 'REDIRECTED') {
    throw invalid('result', 'status')
  }
  const meta = parsed.meta ?? undefined
  return { status, data: parsed.data ?? null, ...(meta !== undefined && { meta }) }
}

function contentJson(text: string, what: string): unknown {
  try {
    return parseJson(text, { bytesMax: limits.ioCallBytesMax, depthMax, prototypeKeys: 'strip' })
  } catch (error) {
    if (error instanceof AppError && error.code === 'too-large') throw error
    // Not `invalid-frame`: the frame was fine and the connection goes on.
    throw new AppError('invalid-value', `The ${what} is not valid JSON within the limits.`)
  }
}

function ioCall(value: unknown, what: string): IoCall {
  const call = record(value, what)
  if (call.kind !== undefined && call.kind !== 'RENDER') throw invalid(what, 'kind')
  if (!Array.isArray(call.toRender)) throw invalid(what, 'toRender')
  if (call.toRender.length > limits.componentsPerCallMax) {
    throw new AppError('too-large', `The ${what} has more than ${limits.componentsPerCallMax} components.`)
  }
  return {
    id: identifier(call.id, `${what}: id`),
    inputGroupKey: identifier(call.inputGroupKey, `${what}: inputGroupKey`),
    kind: 'RENDER',
    toRender: call.toRender.map(component),
    validationErrorMessage: optionalText(call.validationErrorMessage, 'validationErrorMessage'),
    choiceButtons: optionalList(call.choiceButtons, choicesMax, 'choiceButtons')?.map(choiceButton) ?? null,
    continueButton: continueButton(call.continueButton),
  }
}

const methodNamePattern = /^[A-Z][A-Z0-9_]{0,63}$/

function component(value: unknown, index: number): IoComponent {
  const what = `component ${index}`
  const given = record(value, what)
  const { methodName, label, propsMeta } = given
  if (typeof methodName !== 'string' || !methodNamePattern.test(methodName)) throw invalid(what, 'methodName')
  if (typeof label !== 'string') throw invalid(what, 'label')
  const props = given.props === undefined || given.props === null ? {} : record(given.props, `${what}: props`)
  checkProps(methodName, props, what)
  return {
    methodName,
    label,
    props,
    ...(propsMeta !== undefined && propsMeta !== null && { propsMeta }),
    isStateful: flag(given.isStateful, `${what}: isStateful`),
    isOptional: flag(given.isOptional, `${what}: isOptional`),
    isMultiple: flag(given.isMultiple, `${what}: isMultiple`),
    multipleProps: multipleProps(given.multipleProps, what),
    validationErrorMessage: optionalText(given.validationErrorMessage, `${what}: validationErrorMessage`),
  }
}

/** Props without which a method can be neither shown nor answered. */
const requiredProps: ReadonlyMap<
  string,
  readonly (readonly [string, 'list' | 'record' | 'text' | 'number'])[]
> = new Map([
  ['DISPLAY_CODE', [['code', 'text']]],
  ['DISPLAY_HTML', [['html', 'text']]],
  ['DISPLAY_IMAGE', [['url', 'text']]],
  ['DISPLAY_VIDEO', [['url', 'text']]],
  ['DISPLAY_METADATA', [['data', 'list']]],
  ['DISPLAY_TABLE', [['data', 'list']]],
  ['DISPLAY_GRID', [['data', 'list']]],
  ['DISPLAY_PROGRESS_STEPS', [['steps', 'record']]],
  ['DISPLAY_PROGRESS_THROUGH_LIST', [['items', 'list']]],
  [
    'INPUT_SLIDER',
    [
      ['min', 'number'],
      ['max', 'number'],
    ],
  ],
  ['INPUT_SPREADSHEET', [['columns', 'record']]],
  ['SEARCH', [['results', 'list']]],
  ['SELECT_TABLE', [['data', 'list']]],
  ['SELECT_SINGLE', [['options', 'list']]],
  ['SELECT_MULTIPLE', [['options', 'list']]],
])

function checkProps(methodName: string, props: Record<string, unknown>, what: string): void {
  for (const [name, type] of requiredProps.get(methodName) ?? []) {
    const value = props[name]
    const matches =
      type === 'list'
        ? Array.isArray(value)
        : type === 'record'
          ? isRecord(value)
          : // Python may write a limit as Infinity, which superjson turns into text.
            type === 'number'
            ? typeof value === 'number' || typeof value === 'string'
            : typeof value === 'string'
    if (!matches) throw invalid(`${what} (${methodName})`, name)
  }
}

function multipleProps(value: unknown, what: string): { defaultValue?: unknown[] | null } | null {
  if (value === undefined || value === null) return null
  const { defaultValue } = record(value, `${what}: multipleProps`)
  if (defaultValue === undefined || defaultValue === null) return {}
  if (!Array.isArray(defaultValue)) throw invalid(what, 'multipleProps.defaultValue')
  return { defaultValue }
}

function choiceButton(value: unknown, index: number): ChoiceButton {
  const what = `choice ${index}`
  const button = record(value, what)
  if (typeof button.label !== 'string') throw invalid(what, 'label')
  const chosen = button.value ?? button.label
  if (typeof chosen !== 'string') throw invalid(what, 'value')
  return { label: button.label, value: chosen, theme: theme(button.theme) }
}

function continueButton(value: unknown): NonNullable<IoCall['continueButton']> | null {
  if (value === undefined || value === null) return null
  const button = record(value, 'continueButton')
  return { label: optionalText(button.label, 'continueButton: label'), theme: theme(button.theme) }
}

/** An unknown theme is no reason to lose the step. */
function theme(value: unknown): ButtonTheme | null {
  return value === 'primary' || value === 'secondary' || value === 'danger' || value === 'default'
    ? value
    : null
}

const layoutKeys = ['title', 'description', 'children', 'menuItems'] as const

function pageError(value: unknown, index: number): PageError {
  const what = `page error ${index}`
  const given = record(value, what)
  if (typeof given.error !== 'string' || typeof given.message !== 'string') throw invalid(what, 'message')
  return {
    layoutKey: layoutKeys.find(key => key === given.layoutKey) ?? null,
    error: given.error,
    message: given.message,
    cause: typeof given.cause === 'string' ? given.cause : null,
    stack: typeof given.stack === 'string' ? given.stack : null,
  }
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (!isRecord(value)) throw new AppError('invalid-value', `The ${what} is not an object.`)
  return value
}

function identifier(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 128) throw invalid(what, 'id')
  return value
}

function flag(value: unknown, what: string): boolean {
  if (value === undefined || value === null) return false
  if (typeof value !== 'boolean') throw invalid(what, 'boolean')
  return value
}

function optionalText(value: unknown, what: string): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') throw invalid(what, 'text')
  return value
}

function optionalList(value: unknown, lengthMax: number, what: string): unknown[] | null {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value) || value.length > lengthMax) throw invalid(what, 'list')
  return value
}

/** Names the place, never the value: it may be secret, and large. */
function invalid(what: string, field: string): AppError {
  return new AppError('invalid-value', `The ${what} is not valid: ${field}.`)
}
