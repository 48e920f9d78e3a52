/** Puts the timers of one node together: the ways in which they call, and what they may call. */
import type { Config } from '../config/index.js'
import { createLog } from '../log.js'
import { Outbound } from '../outbound/index.js'
import type { Clock, Partitions } from '../partitions/index.js'
import { packageVersion } from '../root.js'
import { httpTransport, loadTransports, Timers } from '../timers/index.js'

export interface NodeTimers {
  readonly timers: Timers
  /** Ends calls under way, `msMax` at most, and closes connections. */
  stop(msMax: number): Promise<void>
}

/** How long transports of the operator's may take to let go, in ms. */
const shutdownMsMax = 1_000

/**
 * Before the partitions start: alarms of timers have to find who makes their calls. Rejects, in one sentence, when a
 * transport cannot be loaded.
 */
export async function openTimers(config: Config, partitions: Partitions, clock: Clock): Promise<NodeTimers> {
  const { callbacks, secret, transports: paths } = config.timers
  const outbound = new Outbound({ allow: callbacks.allow })
  const http = httpTransport({ outbound, secret: secret?.reveal(), version: packageVersion })
  const taken = new Set(['http'])
  const custom = await loadTransports(paths, { folder: config.folder, taken, clock })
  const timers = new Timers({
    runtime: partitions,
    clock,
    log: createLog('interval:timers'),
    transports: new Map([['http', http], ...custom.transports]),
  })
  return {
    timers,
    async stop(msMax) {
      await timers.firings.stop(msMax)
      await custom.shutdown(shutdownMsMax)
      outbound.close()
    },
  }
}
