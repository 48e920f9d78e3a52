/** What people set about the actions and pages of an environment. Who may is decided by the accounts. */
import { z } from 'zod'
import { askerOf } from './context.js'
import { ok } from './reply.js'
import { idShape } from './routes-members.js'
import type { HttpServer } from './server.js'

const target = z.object({
  to: z.string().trim().min(1).max(320),
  method: z.enum(['EMAIL', 'SLACK']).nullable().default(null),
})

const settingsShape = z.object({
  name: z.string().max(200).nullable().optional(),
  description: z.string().max(2_000).nullable().optional(),
  backgroundable: z.boolean().nullable().optional(),
  isArchived: z.boolean().optional(),
  notifications: z.array(target).max(20).optional(),
})

const accessShape = z.object({
  availability: z.enum(['ORGANIZATION', 'GROUPS']).nullable(),
  teams: z
    .array(z.object({ id: idShape, level: z.enum(['VIEWER', 'RUNNER', 'ADMINISTRATOR']) }))
    .max(1_000)
    .default([]),
})

export function addActionSettingsRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  const settings = '/api/v1/organizations/:org/environments/:env/settings'

  http.route(
    'GET',
    settings,
    { ...browser, api: { tag: 'Actions', summary: 'Lists actions and pages with who may run them' } },
    async context => {
      const by = await askerOf(context)
      return ok(await context.accounts.actionSettings(by, context.params.env ?? ''))
    },
  )

  http.route(
    'PATCH',
    `${settings}/actions/:id`,
    {
      ...browser,
      api: {
        tag: 'Actions',
        summary: 'Changes how an action is shown and who hears of it',
        body: settingsShape,
      },
    },
    async context => {
      const by = await askerOf(context)
      const { env = '', id = '' } = context.params
      await context.accounts.changeAction(by, env, id, await context.body())
      return ok({})
    },
  )

  for (const kind of ['action', 'page'] as const) {
    http.route(
      'PUT',
      `${settings}/${kind}s/:id/access`,
      {
        ...browser,
        api: {
          tag: 'Actions',
          summary: `Says who may run ${kind === 'action' ? 'an action' : 'what is in a page'}`,
          body: accessShape,
        },
      },
      async context => {
        const by = await askerOf(context)
        const { env = '', id = '' } = context.params
        await context.accounts.setAccess(by, env, { kind, id }, await context.body())
        return ok({})
      },
    )
  }
}
