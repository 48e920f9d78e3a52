import type { IoCall } from './io-call.js'

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
    }
  /** Index of the component as text → message; `form` for the whole. */
  | { readonly ok: false; readonly fields: Record<string, string> }

/** `transactionId` may be a page key. */
export function validateAnswer(_call: IoCall, _answer: Answer, _transactionId: string): AnswerCheck {
  return { ok: false, fields: {} }
}
