/** What the ring needs of time: node time that never goes back, and timers that do not keep the process alive. */
export interface RingClock {
  nowMs(): number
  setTimer(ms: number, fn: () => void): { cancel(): void }
}
