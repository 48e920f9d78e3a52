/** The teams of an organization. Who may do what is decided by the accounts. */
import { z } from 'zod'
import { slugShape } from '../accounts/index.js'
import { askerOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

const nameShape = z.string().max(200)
const renameShape = z.object({ name: nameShape })
const newShape = z.object({ name: nameShape, slug: slugShape.optional() })

export function addTeamRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const
  const teams = '/api/v1/organizations/:org/teams'

  http.route('GET', teams, { ...browser, api: { tag: 'Teams', summary: 'Lists teams' } }, async context => {
    return ok({ teams: await context.accounts.teams(await askerOf(context)) })
  })

  http.route(
    'POST',
    teams,
    { ...browser, api: { tag: 'Teams', summary: 'Adds a team', body: newShape, status: 201 } },
    async context => {
      const by = await askerOf(context)
      return { status: 201, body: await context.accounts.addTeam(by, await context.body()) }
    },
  )

  http.route(
    'GET',
    `${teams}/:id`,
    { ...browser, api: { tag: 'Teams', summary: 'One team with its members' } },
    async context => {
      return ok(await context.accounts.team(await askerOf(context), context.params.id ?? ''))
    },
  )

  http.route(
    'PATCH',
    `${teams}/:id`,
    { ...browser, api: { tag: 'Teams', summary: 'Renames a team', body: renameShape } },
    async context => {
      const by = await askerOf(context)
      const { name } = await context.body()
      await context.accounts.renameTeam(by, context.params.id ?? '', name)
      return ok({})
    },
  )

  http.route(
    'DELETE',
    `${teams}/:id`,
    { ...browser, api: { tag: 'Teams', summary: 'Deletes a team' } },
    async context => {
      await context.accounts.deleteTeam(await askerOf(context), context.params.id ?? '')
      return ok({})
    },
  )

  http.route(
    'PUT',
    `${teams}/:id/members/:person`,
    { ...browser, api: { tag: 'Teams', summary: 'Puts a member into a team' } },
    async context => {
      const { id = '', person = '' } = context.params
      await context.accounts.addToTeam(await askerOf(context), id, person)
      return ok({})
    },
  )

  http.route(
    'DELETE',
    `${teams}/:id/members/:person`,
    { ...browser, api: { tag: 'Teams', summary: 'Takes a member out of a team' } },
    async context => {
      const { id = '', person = '' } = context.params
      await context.accounts.takeFromTeam(await askerOf(context), id, person)
      return ok({})
    },
  )
}
