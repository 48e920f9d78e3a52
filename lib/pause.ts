/** Waiting, on whatever clock one is given. */
export interface PauseClock {
  setTimer(ms: number, fn: () => void): unknown
}

/** Resolves when `ms` ms have passed. */
export function pause(clock: PauseClock, ms: number): Promise<void> {
  return new Promise(resolve => clock.setTimer(ms, resolve))
}

const lookAgainMs = 10

/** Resolves when `isDone` says so, which is asked again and again, or after `msMax`. */
export async function until(
  clock: PauseClock & { nowMs(): number },
  isDone: () => boolean,
  msMax: number,
): Promise<void> {
  const untilMs = clock.nowMs() + msMax
  while (!isDone() && clock.nowMs() < untilMs) await pause(clock, lookAgainMs)
}
