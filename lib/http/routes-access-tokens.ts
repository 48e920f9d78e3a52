/** A person's access tokens. Made and revoked by who is signed in, never by a token. */
import { z } from 'zod'
import { tokenDaysMax } from '../accounts/index.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

const tokenShape = z
  .object({
    name: z.string().trim().min(1).max(100),
    scope: z.enum(['read', 'write']),
    /** Until it ends. */
    days: z.number().int().min(1).max(tokenDaysMax),
  })
  .strict()

const path = '/api/v1/access-tokens'

export function addAccessTokenRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    path,
    { ...browser, api: { callers: 'people', tag: 'Access tokens', summary: 'Lists your access tokens' } },
    async context => {
      const { user } = await context.signedIn()
      return ok({ tokens: await context.accounts.accessTokens(user.id) })
    },
  )

  http.route(
    'POST',
    path,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Access tokens',
        summary: 'Makes an access token; its text is told once',
        status: 201,
        body: tokenShape,
      },
    },
    async context => {
      const { user } = await context.signedIn()
      const wanted = await context.body()
      return { status: 201, body: await context.accounts.createAccessToken(user.id, wanted, context.origin) }
    },
  )

  http.route(
    'DELETE',
    `${path}/:id`,
    { ...browser, api: { callers: 'people', tag: 'Access tokens', summary: 'Revokes an access token' } },
    async context => {
      const { user } = await context.signedIn()
      await context.accounts.revokeAccessToken(user.id, context.params.id ?? '', context.origin)
      return ok({})
    },
  )
}
