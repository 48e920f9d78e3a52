/**
 * Tools for who develops: only where the operator has switched them on. Then anybody who reaches the port may use them,
 * since suites and shell scripts do.
 */
import { AppError } from '../errors.js'
import { RateLimits } from './rate-limits.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface DevelopmentTools {
  /** Closes the sockets of hosts and browsers of this node, as a restart would. Resolves when all are told. */
  disconnectAll(): Promise<void>
}

const disconnectsPerMinuteMax = 60

export function addDevelopmentRoutes(http: HttpServer, tools: DevelopmentTools): void {
  const rates = new RateLimits({
    perMinuteMax: disconnectsPerMinuteMax,
    callersMax: 1,
    nowMs: () => performance.now(),
  })

  http.route('GET', '/api/system/reboot', { caller: 'open' }, async () => {
    if (!rates.take('').isAllowed) throw new AppError('too-many-requests')
    await tools.disconnectAll()
    return ok({ disconnected: true }, { 'cache-control': 'no-store' })
  })
}
