/** Has what is too old forgotten, by one node at a time. */
import { forgetOld, type Kept, takeTurn } from '../accounts/index.js'
import type { Database } from '../database/index.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import { Sweep, type SweepClock } from '../sweep.js'

const lookEveryMs = 60_000

/** Null where everything is kept. */
export function retentionSweep(options: {
  readonly database: Database
  readonly kept: Kept
  readonly clock: SweepClock
  readonly log: Log
}): Sweep | null {
  const { clock, database, kept, log } = options
  if (Math.max(kept.historyDays, kept.notificationDays, kept.auditDays) === 0) return null
  const sweep: Sweep = new Sweep({
    clock,
    everyMs: lookEveryMs,
    async round() {
      try {
        if (!(await takeTurn(database, 'forget', limits.forgetEveryMs))) return
        const forgotten = await forgetOld(database, kept, () => sweep.isStopped)
        if (Object.values(forgotten).some(count => count > 0)) log.info('old.forgotten', { ...forgotten })
      } catch (error) {
        log.warn('old.not-forgotten', { error })
      }
    },
  })
  return sweep
}
