/**
 * Loaded before a node by `--require`: its wall clock is off by CLOCK_OFFSET_MS, and steps by CLOCK_STEP_MS at each
 * SIGUSR2. What it measures durations with goes on as it is.
 */
'use strict'
const RealDate = Date
const step = Number(process.env.CLOCK_STEP_MS ?? 0)
let offset = Number(process.env.CLOCK_OFFSET_MS ?? 0)
const now = () => RealDate.now() + offset
globalThis.Date = class WrongDate extends RealDate {
  constructor(...words) {
    if (words.length === 0) super(now())
    else super(...words)
  }
  static now() {
    return now()
  }
}
process.on('SIGUSR2', () => {
  offset += step
})
