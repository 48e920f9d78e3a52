/**
 * What a host asks a browser to show: IO calls, loading states, page layouts and results, in the one form that the
 * rest of the system uses, whichever SDK they came from. `methods.ts` and `io-call-parser.ts` produce them.
 */

export interface IoComponent {
  /** `INPUT_TEXT`, `DISPLAY_TABLE`, … */
  methodName: string
  label: string
  /** superjson JSON; decode with `propsMeta`. */
  props: Record<string, unknown>
  propsMeta?: unknown
  /** The host answers SET_STATE for this component. */
  isStateful: boolean
  isOptional: boolean
  isMultiple: boolean
  multipleProps?: { defaultValue?: unknown[] | null } | null
  validationErrorMessage?: string | null
}

export type ButtonTheme = 'primary' | 'secondary' | 'danger' | 'default'

export interface ChoiceButton {
  label: string
  value: string
  theme?: ButtonTheme | null
}

export interface IoCall {
  /** New at each render. */
  id: string
  /** The same for all renders of one group. */
  inputGroupKey: string
  kind: 'RENDER'
  toRender: IoComponent[]
  validationErrorMessage?: string | null
  /** Replaces the single submit button. */
  choiceButtons?: ChoiceButton[] | null
  continueButton?: { label?: string | null; theme?: ChoiceButton['theme'] } | null
}

const texts = new WeakMap<IoCall, string>()

/** The call as JSON, made once however often it is stored and shown. A call is never changed. */
export function ioCallText(call: IoCall): string {
  let text = texts.get(call)
  if (text === undefined) {
    text = JSON.stringify(call)
    texts.set(call, text)
  }
  return text
}

export interface LoadingState {
  label?: string | null
  description?: string | null
  itemsInQueue?: number | null
  itemsCompleted?: number | null
}

export interface PageError {
  layoutKey?: 'title' | 'description' | 'children' | 'menuItems' | null
  error: string
  message: string
  cause?: string | null
  stack?: string | null
}

export interface PageLayout {
  kind: 'BASIC'
  /** Absent: not set; null: still loading. */
  title?: string | null
  description?: string | null
  menuItems?: unknown[] | null
  children?: IoCall | null
  errors?: PageError[] | null
}

export type ResultStatus = 'SUCCESS' | 'FAILURE' | 'CANCELED' | 'REDIRECTED'

/** What an action returned, as its host reported it. */
export interface ReportedResult {
  status: ResultStatus
  /** Success: superjson JSON of what the action returned. Failure: `{error, message, cause?}` or null. */
  data: unknown
  meta?: unknown
}

/** Where a host sends the person. `route` is a slug of the same place; its `params` are plain JSON. */
export type Redirect =
  | { url: string; download?: string; replace?: boolean }
  | { route: string; params?: Record<string, unknown>; replace?: boolean }
