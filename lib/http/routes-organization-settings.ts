/** An organization itself: its settings, its owner, its end. Who may is decided by the accounts. */
import { z } from 'zod'
import { slugShape } from '../accounts/index.js'
import type { HttpHostId } from '../ids.js'
import { askerOf, checked } from './context.js'
import { ok } from './reply.js'
import type { HttpHostHooks } from './routes-http-hosts.js'
import { idShape } from './routes-members.js'
import type { HttpServer } from './server.js'

const changeShape = z.object({
  name: z.string().max(200).optional(),
  slug: slugShape.optional(),
  requireSecondFactor: z.boolean().optional(),
})

export function addOrganizationSettingsRoutes(
  http: HttpServer,
  httpHosts: Pick<HttpHostHooks, 'remove'> | undefined,
): void {
  const browser = { caller: 'browser' } as const
  const organization = '/api/v1/organizations/:org'

  http.route(
    'GET',
    `${organization}/settings`,
    { ...browser, api: { tag: 'Organization', summary: 'The settings of an organization' } },
    async context => {
      return ok(await context.accounts.settings(await askerOf(context)))
    },
  )

  http.route(
    'PATCH',
    `${organization}/settings`,
    {
      ...browser,
      api: { tag: 'Organization', summary: 'Changes the settings of an organization', body: changeShape },
    },
    async context => {
      const by = await askerOf(context)
      await context.accounts.changeSettings(by, await context.body())
      return ok({})
    },
  )

  http.route(
    'GET',
    `${organization}/settings/slug`,
    {
      ...browser,
      api: {
        tag: 'Organization',
        summary: 'Whether a slug is free',
        query: { slug: 'The one that is wanted.' },
      },
    },
    async context => {
      const by = await askerOf(context)
      const { slug } = checked({ slug: context.query.get('slug') ?? '' }, z.object({ slug: slugShape }))
      return ok({ isFree: await context.accounts.isSlugFree(by, slug) })
    },
  )

  http.route(
    'PUT',
    `${organization}/owner`,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Organization',
        summary: 'Gives the organization to a member',
        body: z.object({ id: idShape }),
      },
    },
    async context => {
      const by = await askerOf(context)
      const { id } = await context.body()
      await context.accounts.transferOwnership(by, id)
      return ok({})
    },
  )

  // The slug is repeated in the address: not every client sends a body with DELETE.
  http.route(
    'DELETE',
    organization,
    { ...browser, api: { callers: 'people', tag: 'Organization', summary: 'Ends the organization' } },
    async context => {
      const by = await askerOf(context)
      const ended = await context.accounts.closeOrganization(by, context.query.get('slug') ?? undefined)
      // A node that does not hear it finds out when it asks them next.
      for (const id of ended.httpHosts) await httpHosts?.remove(id as HttpHostId)
      return ok({})
    },
  )
}
