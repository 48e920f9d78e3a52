/** The one thing the accounts want to know of time: wall clock ms since 1970. */
export interface Clock {
  nowMs(): number
}
