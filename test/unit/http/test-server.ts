import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AccountsService } from '../../../lib/accounts/index.js'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../../lib/http/index.js'
import { silentLog } from '../../../lib/log.js'
import { freePort } from '../../support/ports.js'

/** Nobody signs in through any provider. */
export const emptySignOn = {
  oidc: {} as never,
  google: null,
  workos: null,
  sealing: {} as never,
  appUrl: 'http://localhost:3000',
  webhookSecret: null,
}

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Record<string, unknown> & { code?: string }
  /** The session cookie it sets, as `name=value`. */
  readonly cookie: string | undefined
}

export type Ask = (
  method: string,
  path: string,
  options?: { body?: unknown; raw?: string; cookie?: string | undefined; headers?: Record<string, string> },
) => Promise<Answer>

/** A server on a free port below the ephemeral range, and a way to ask it. */
export async function testServer(
  t: { teardown(work: () => unknown): unknown },
  accounts: AccountsService,
  overrides: Partial<HttpServerOptions> = {},
): Promise<{ http: HttpServer; ask: Ask; origin: string; dashboard: string }> {
  const dashboard = mkdtempSync(join(tmpdir(), 'interval-server-dashboard-'))
  mkdirSync(join(dashboard, 'assets'))
  writeFileSync(join(dashboard, 'index.html'), '<!doctype html><title>Dashboard</title>')
  writeFileSync(join(dashboard, 'assets', 'main-Ab3dE6gH.js'), 'export {}')
  writeFileSync(join(dashboard, 'assets', 'main-Ab3dE6gH.js.br'), 'compressed')
  const http = createHttpServer({
    accounts,
    log: silentLog,
    health: { notReady: () => [] },
    dashboardDirectory: dashboard,
    ...overrides,
  })
  const port = await listen(http)
  const origin = `http://127.0.0.1:${port}`
  t.teardown(async () => {
    await http.close(100)
    rmSync(dashboard, { recursive: true, force: true })
  })
  const ask: Ask = async (method, path, options = {}) => {
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body))
    const response = await fetch(origin + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(options.cookie !== undefined && { cookie: options.cookie }),
        ...options.headers,
      },
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    let parsed: unknown
    try {
      parsed = JSON.parse(text)
    } catch {
      parsed = {}
    }
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: parsed as Answer['body'],
      cookie: response.headers.get('set-cookie')?.split(';')[0],
    }
  }
  return { http, ask, origin, dashboard }
}

async function listen(http: HttpServer): Promise<number> {
  const port = await freePort()
  await new Promise<void>(fulfil => http.nodeServer.listen(port, '127.0.0.1', fulfil))
  return port
}
