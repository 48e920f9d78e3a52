/**
 * `value` of IO_RESPONSE: what a host is told about one render of a group.
 *
 * `inputGroupKey` is always sent: Python ignores answers without it. Values travel as superjson, so that a skipped
 * optional is undefined rather than null, and options keep their type.
 */

export interface IoResponse {
  /** Of the render that is answered. */
  readonly id: string
  readonly inputGroupKey: string
  /** Or a page key. */
  readonly transactionId: string
  readonly kind: 'RETURN' | 'SET_STATE' | 'CANCELED'
  /** One per component; superjson JSON. Empty for CANCELED. */
  readonly values: readonly unknown[]
  readonly valuesMeta?: unknown
  /** Value of the pressed choice button. */
  readonly choice?: string | null | undefined
}

export function ioResponseText(response: IoResponse): string {
  const { id, inputGroupKey, transactionId, kind, values, valuesMeta, choice } = response
  return JSON.stringify({
    id,
    inputGroupKey,
    transactionId,
    kind,
    values,
    ...(valuesMeta !== undefined && valuesMeta !== null && { valuesMeta }),
    ...(choice !== undefined && choice !== null && { choice }),
  })
}

/** The answer that cancels an action at the render it waits at. */
export function cancelText(call: { id: string; inputGroupKey: string }, transactionId: string): string {
  const { id, inputGroupKey } = call
  return ioResponseText({ id, inputGroupKey, transactionId, kind: 'CANCELED', values: [] })
}
