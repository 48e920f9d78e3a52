/** The members of an organization and the invitations that wait. Who may do what is decided by the accounts. */
import { z } from 'zod'
import { givenRoles } from '../accounts/index.js'
import { askerOf } from './context.js'
import { limitOf } from './page-limit.js'
import { ok } from './reply.js'
import { emailShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const searchCharactersMax = 200

export const idShape = z.string().min(1).max(200)
const roleShape = z.enum(givenRoles)
const teamsShape = z.array(idShape).max(1_000)

const inviteShape = z.object({ email: emailShape, role: roleShape, teams: teamsShape.default([]) })
const changeShape = z.object({ role: roleShape.optional(), teams: teamsShape.optional() })

export function addMemberRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/organizations/:org/members',
    {
      ...browser,
      api: {
        tag: 'Members',
        summary: 'Lists members with their roles and teams',
        query: {
          search: 'Part of a name or an address.',
          cursor: 'The `next` of the page before.',
          limit: 'Of a page.',
        },
      },
    },
    async context => {
      const { accounts, query } = context
      const page = await accounts.members(await askerOf(context), {
        search: query.get('search')?.slice(0, searchCharactersMax),
        cursor: query.get('cursor') ?? undefined,
        ...limitOf(query.get('limit')),
      })
      return ok(page)
    },
  )

  http.route(
    'PATCH',
    '/api/v1/organizations/:org/members/:id',
    {
      ...browser,
      api: { tag: 'Members', summary: 'Changes the role and teams of a member', body: changeShape },
    },
    async context => {
      const by = await askerOf(context)
      const { role, teams } = await context.body()
      await context.accounts.changeMember(by, context.params.id ?? '', { role, teamIds: teams })
      return ok({})
    },
  )

  http.route(
    'DELETE',
    '/api/v1/organizations/:org/members/:id',
    { ...browser, api: { tag: 'Members', summary: 'Removes a member: their keys and sockets end' } },
    async context => {
      await context.accounts.removeMember(await askerOf(context), context.params.id ?? '')
      return ok({})
    },
  )

  http.route(
    'GET',
    '/api/v1/organizations/:org/invitations',
    { ...browser, api: { tag: 'Invitations', summary: 'Lists invitations that nobody has followed yet' } },
    async context => {
      return ok({ invitations: await context.accounts.invitations(await askerOf(context)) })
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations/:org/invitations',
    {
      ...browser,
      api: { tag: 'Invitations', summary: 'Invites somebody by mail', body: inviteShape, status: 201 },
    },
    async context => {
      const by = await askerOf(context)
      const { email, role, teams } = await context.body()
      return { status: 201, body: await context.accounts.invite(by, { email, role, teamIds: teams }) }
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations/:org/invitations/:id/resend',
    { ...browser, api: { tag: 'Invitations', summary: 'Sends an invitation once more' } },
    async context => {
      await context.accounts.resendInvitation(await askerOf(context), context.params.id ?? '')
      return ok({})
    },
  )

  http.route(
    'DELETE',
    '/api/v1/organizations/:org/invitations/:id',
    { ...browser, api: { tag: 'Invitations', summary: 'Takes an invitation back' } },
    async context => {
      await context.accounts.revokeInvitation(await askerOf(context), context.params.id ?? '')
      return ok({})
    },
  )
}
