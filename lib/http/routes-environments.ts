/** The environments of an organization: made, changed, deleted. Their list is with the organization. */
import { z } from 'zod'
import { environmentColors, slugShape } from '../accounts/index.js'
import { askerOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

const nameShape = z.string().max(200)
const colorShape = z.enum(environmentColors).nullish()
const newShape = z.object({ name: nameShape, slug: slugShape.optional(), color: colorShape })
const changeShape = z.object({ name: nameShape.optional(), color: colorShape })

export function addEnvironmentRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  const environments = '/api/v1/organizations/:org/environments'

  http.route(
    'POST',
    environments,
    { ...browser, api: { tag: 'Environments', summary: 'Adds an environment', body: newShape, status: 201 } },
    async context => {
      const by = await askerOf(context)
      return { status: 201, body: await context.accounts.addEnvironment(by, await context.body()) }
    },
  )

  http.route(
    'PATCH',
    `${environments}/:env`,
    {
      ...browser,
      api: {
        tag: 'Environments',
        summary: 'Changes the name or colour of an environment',
        body: changeShape,
      },
    },
    async context => {
      const by = await askerOf(context)
      const wanted = await context.body()
      await context.accounts.changeEnvironment(by, context.params.env ?? '', wanted)
      return ok({})
    },
  )

  http.route(
    'DELETE',
    `${environments}/:env`,
    { ...browser, api: { tag: 'Environments', summary: 'Deletes an environment with its keys' } },
    async context => {
      await context.accounts.deleteEnvironment(await askerOf(context), context.params.env ?? '')
      return ok({})
    },
  )
}
