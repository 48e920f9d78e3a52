/** What a timer may be: its parts, their limits, and how they are read from what callers send. */

/**
 * What travels with the call, as the text that is sent. It is never parsed again: a megabyte of text may be fifteen of
 * objects, and thousands of timers may be due at once.
 */
export interface TimerData {
  readonly text: string
  /** It is an object, written as JSON. */
  readonly isJson: boolean
}

/** Data as it comes from a caller. */
export function dataOf(given: string | object): TimerData {
  return typeof given === 'string'
    ? { text: given, isJson: false }
    : { text: JSON.stringify(given), isJson: true }
}

/** Data as it was given. */
export function givenData({ isJson, text }: TimerData): unknown {
  return isJson ? (JSON.parse(text) as unknown) : text
}

/** What is called when the time has come. */
export interface Callback {
  /** `http`, or the name of a transport of the operator's. */
  readonly transport: string
  readonly uri: string
  readonly method: string
}

/** How a call that failed is repeated. */
export interface Retry {
  /** Attempts in all, the first included. */
  readonly attempts: number
  /** Before the second attempt, in ms; twice as long before each further one. */
  readonly backoffMs: number
  readonly backoffMsMax: number
}

/** The index of due times has twelve hexadecimal digits: they end in the year 10889. */
export const lastDueAtMs = 0xffff_ffff_ffff
