/** Proving once more who one is, for actions that ask for it. */
import { z } from 'zod'
import { ok } from './reply.js'
import { passwordShape } from './routes-session.js'
import type { HttpServer } from './server.js'

/** A password or a code of a second factor. */
export const proofShape = z.object({
  password: passwordShape.optional(),
  code: z.string().max(100).optional(),
})

/** `<transaction>/<group>` */
const stepShape = z.string().max(200)

export function addIdentityRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/session/identity',
    { ...browser, api: { callers: 'people', tag: 'Session', summary: 'What you can prove yourself with' } },
    async context => {
      const identity = await context.signedIn()
      const [proof, organization] = await Promise.all([
        context.accounts.proofKind(identity),
        context.accounts.organizationOfSession(identity.sessionId),
      ])
      // Who came through a provider may prove it there.
      return ok({ proof, ...(organization !== null && { signOn: { organization } }) })
    },
  )

  http.route(
    'POST',
    '/api/v1/session/identity',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Session',
        summary: 'Proves once more who you are, for an action',
        body: proofShape.extend({ step: stepShape.nullish() }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { step, ...proof } = await context.body()
      await context.accounts.confirmIdentity(identity, proof, step ?? null, context.origin)
      return ok({})
    },
  )
}
