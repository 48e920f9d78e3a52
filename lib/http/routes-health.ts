/** Whether this node lives and whether it may be given work. Asked by balancers and orchestrators, without a session. */
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface HealthOptions {
  /** Reasons not to send work here: not in the ring yet, draining, isolated. None: ready. */
  notReady(): Promise<readonly string[]> | readonly string[]
  /** The commit of the build, if it is known. */
  readonly commit?: string | undefined
}

export function addHealthRoutes(http: HttpServer, health: HealthOptions): void {
  const open = { caller: 'open', isAlways: true } as const
  const readiness = async (): Promise<readonly string[]> => {
    try {
      return await health.notReady()
    } catch {
      return ['the check failed']
    }
  }
  http.route('GET', '/health/live', open, () => ok({ status: 'live' }))
  http.route('GET', '/health/ready', open, async () => {
    const reasons = await readiness()
    return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0, reasons } }
  })
  // As the original has them.
  http.route('GET', '/health-check', open, async ({ accounts }) => {
    const [reasons, database] = await Promise.all([readiness(), accounts.database.healthy()])
    const healthy = reasons.length === 0 && database
    return { status: healthy ? 200 : 503, body: { app: true, db: database, wss: reasons.length === 0 } }
  })
  http.route('GET', '/health-check/app', open, async () => {
    const reasons = await readiness()
    return {
      status: reasons.length === 0 ? 200 : 503,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: reasons.length === 0 ? 'OK' : reasons.join(', '),
    }
  })
  http.route('GET', '/health-check/rev', open, () => ({
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: health.commit ?? '',
  }))
}
