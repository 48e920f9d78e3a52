/** Waiting, on whatever clock one is given. */
export interface PauseClock {
  setTimer(ms: number, fn: () => void): unknown
}

/** Resolves when `ms` ms have passed. */
export function pause(clock: PauseClock, ms: number): Promise<void> {
  return new Promise(resolve => clock.setTimer(ms, resolve))
}
