/** The original's addresses for signing in and out, for scripts that know them. Success and failure are booleans. */
import { z } from 'zod'
import { AppError } from '../errors.js'
import type { Reply } from './reply.js'
import { emailShape, passwordShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const refused = new Set(['bad-credentials', 'forbidden'])

export function addAuthRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route('POST', '/api/auth/login', browser, async (context): Promise<Reply> => {
    try {
      const { email, password } = await context.body(z.object({ email: emailShape, password: passwordShape }))
      const session = await context.accounts.signIn(email, password, context.origin)
      return { status: 200, body: true, headers: context.setSession(session.token, session.expiresAtMs) }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (refused.has(error.code)) return { status: 401, body: false }
      if (error.code === 'bad-request') return { status: 400, body: false }
      throw error
    }
  })

  http.route('GET', '/api/auth/session', browser, async (context): Promise<Reply> => {
    const identity = await context.session()
    if (identity) return { status: 200, body: true }
    const due = await context.accounts.secondFactorDue(context.token)
    return { status: 401, body: due ? { code: 'NEEDS_MFA' } : false }
  })

  http.route('POST', '/api/auth/logout', browser, async (context): Promise<Reply> => {
    const identity = await context.session()
    if (identity) await context.accounts.signOut(identity, context.origin)
    return { status: 200, body: true, headers: context.clearSession() }
  })
}
