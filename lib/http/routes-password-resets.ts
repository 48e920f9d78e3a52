/** A new password for who has forgotten theirs. Nothing here tells whether an address has an account. */
import { z } from 'zod'
import { ok } from './reply.js'
import { emailShape, passwordShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const sealShape = z.string().min(1).max(100)

export function addPasswordResetRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'POST',
    '/api/v1/password-reset',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Asks for a link for a new password',
        status: 202,
        body: z.object({ email: emailShape }),
      },
    },
    async context => {
      const { email } = await context.body()
      await context.accounts.requestPasswordReset(email, context.origin)
      return { status: 202, body: {} }
    },
  )

  // Before anybody chooses a password for nothing. By POST: addresses are logged.
  http.route(
    'POST',
    '/api/v1/password-reset/check',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Whether such a link is good',
        body: z.object({ seal: sealShape }),
      },
    },
    async context => {
      const { seal } = await context.body()
      await context.accounts.checkPasswordReset(seal)
      return ok({})
    },
  )

  http.route(
    'POST',
    '/api/v1/password-reset/complete',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Chooses a new password with it; all sessions and access tokens end',
        body: z.object({ seal: sealShape, password: passwordShape }),
      },
    },
    async context => {
      const { seal, password } = await context.body()
      await context.accounts.resetPassword(seal, password, context.origin)
      // Whoever was signed in here is so no more.
      return ok({}, context.clearSession())
    },
  )
}
