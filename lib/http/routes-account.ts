/** A person's own account: profile, address, second factor, invitations, organizations. Everything here is about who asks. */
import { z } from 'zod'
import { ok } from './reply.js'
import { proofShape } from './routes-identity.js'
import { emailShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const nameShape = z.string().trim().min(1).max(100)

export function addAccountRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/account',
    { ...browser, api: { callers: 'people', tag: 'Account', summary: 'Your account' } },
    async context => {
      const identity = await context.signedIn()
      const { accounts } = context
      const [account, owned, invitations, mayCreateOrganizations] = await Promise.all([
        accounts.ownAccount(identity),
        accounts.ownedOrganizations(identity),
        accounts.ownInvitations(identity),
        accounts.mayCreateOrganizations(identity),
      ])
      return ok({ ...account, ownedOrganizations: owned, invitations, mayCreateOrganizations })
    },
  )

  http.route(
    'PATCH',
    '/api/v1/account',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Changes names, time zone and how you are told things',
        body: z.object({
          firstName: nameShape.optional(),
          lastName: nameShape.optional(),
          timeZone: z.string().min(1).max(64).optional(),
          notificationMethod: z.enum(['EMAIL', 'SLACK']).optional(),
        }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const changes = await context.body()
      await context.accounts.changeProfile(identity, changes)
      return ok({})
    },
  )

  http.route(
    'POST',
    '/api/v1/account/email',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Asks for another address: a link is sent to it',
        body: proofShape.extend({ email: emailShape }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { email, ...proof } = await context.body()
      return ok({ status: await context.accounts.changeEmail(identity, email, proof, context.origin) })
    },
  )

  http.route(
    'DELETE',
    '/api/v1/account/email',
    {
      ...browser,
      api: { callers: 'people', tag: 'Account', summary: 'Forgets the address that was asked for' },
    },
    async context => {
      await context.accounts.cancelEmailChange(await context.signedIn())
      return ok({})
    },
  )

  // The link for the present address, again.
  http.route(
    'POST',
    '/api/v1/account/email-confirmation',
    {
      ...browser,
      api: { callers: 'people', tag: 'Account', summary: 'Sends the link that proves your address again' },
    },
    async context => {
      await context.accounts.resendConfirmation(await context.signedIn())
      return ok({})
    },
  )

  http.route(
    'POST',
    '/api/v1/account/second-factor',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Begins to set up a second factor; tells its secret',
        body: proofShape,
      },
    },
    async context => {
      const identity = await context.signedIn()
      const proof = await context.body()
      const begun = await context.accounts.beginSecondFactor(identity, proof, context.origin)
      return ok(begun, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'POST',
    '/api/v1/account/second-factor/finish',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Switches it on with its first code; tells the recovery codes',
        body: z.object({ code: z.string().min(1).max(100) }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { code } = await context.body()
      const recoveryCodes = await context.accounts.finishSecondFactor(identity, code, context.origin)
      return ok({ recoveryCodes }, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'POST',
    '/api/v1/account/second-factor/recovery-codes',
    {
      ...browser,
      api: { callers: 'people', tag: 'Account', summary: 'Makes new recovery codes', body: proofShape },
    },
    async context => {
      const identity = await context.signedIn()
      const proof = await context.body()
      const recoveryCodes = await context.accounts.renewRecoveryCodes(identity, proof, context.origin)
      return ok({ recoveryCodes }, { 'cache-control': 'no-store' })
    },
  )

  http.route(
    'POST',
    '/api/v1/account/second-factor/remove',
    {
      ...browser,
      api: { callers: 'people', tag: 'Account', summary: 'Switches the second factor off', body: proofShape },
    },
    async context => {
      const identity = await context.signedIn()
      await context.accounts.removeSecondFactor(identity, await context.body(), context.origin)
      return ok({})
    },
  )

  http.route(
    'POST',
    '/api/v1/invitations/:id/decline',
    {
      ...browser,
      api: { callers: 'people', tag: 'Invitations', summary: 'Declines an invitation for your address' },
    },
    async context => {
      const identity = await context.signedIn()
      await context.accounts.declineInvitation(identity, context.params.id ?? '', context.origin)
      return ok({})
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Organization',
        summary: 'Makes an organization',
        status: 201,
        body: z.object({ name: nameShape }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { name } = await context.body()
      return {
        status: 201,
        body: await context.accounts.createOrganization(identity, name, context.origin),
      }
    },
  )

  http.route(
    'POST',
    '/api/v1/organizations/:org/leave',
    { ...browser, api: { callers: 'people', tag: 'Organization', summary: 'Leaves an organization' } },
    async context => {
      const identity = await context.signedIn()
      await context.accounts.leaveOrganization(identity, context.params.org ?? '', context.origin)
      return ok({})
    },
  )
}
