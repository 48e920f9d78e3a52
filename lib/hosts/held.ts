/**
 * Hosts are held, not refused: a passing unavailability of ours must never reach an SDK, because a refusal fails the
 * action. A call that fails for a reason that passes is tried again until it succeeds or the host itself is gone.
 */
import { AppError } from '../errors.js'
import type { Clock } from '../partitions/index.js'
import { pause } from '../pause.js'

const firstDelayMs = 20
const delayMsMax = 2_000
const ownFaultsMax = 3

/** Runs `attempt` until it does not fail with a retryable error; gives up when `isOver` says so. */
export async function held<Result>(
  clock: Clock,
  isOver: () => boolean,
  attempt: () => Promise<Result>,
): Promise<Result> {
  let ownFaults = 0
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, delayMsMax)) {
    try {
      return await attempt()
    } catch (error) {
      const passes = error instanceof AppError && error.kind.retryable
      // A fault of ours does not pass by being repeated.
      if (passes && error.code === 'internal') ownFaults += 1
      if (!passes || ownFaults > ownFaultsMax || isOver()) throw error
      await pause(clock, delayMs)
    }
  }
}
