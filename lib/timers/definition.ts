/** What a timer may be: its parts, their limits, and how they are read from what callers send. */

/** What travels with the call. */
export type TimerData = string | { readonly [name: string]: unknown }

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
