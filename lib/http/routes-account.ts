/** A person's own account: profile, address, second factor, invitations, organizations. Everything here is about who asks. */
import { z } from 'zod'
import { ok } from './reply.js'
import { proofShape } from './routes-identity.js'
import { emailShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const nameShape = z.string().trim().min(1).max(100)

export function addAccountRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route('GET', '/api/v1/account', browser, async context => {
    const identity = await context.signedIn()
    const { accounts } = context
    const [account, owned, invitations, mayCreateOrganizations] = await Promise.all([
      accounts.ownAccount(identity),
      accounts.ownedOrganizations(identity),
      accounts.ownInvitations(identity),
      accounts.mayCreateOrganizations(identity),
    ])
    return ok({ ...account, ownedOrganizations: owned, invitations, mayCreateOrganizations })
  })

  http.route('PATCH', '/api/v1/account', browser, async context => {
    const identity = await context.signedIn()
    const changes = await context.body(
      z.object({
        firstName: nameShape.optional(),
        lastName: nameShape.optional(),
        timeZone: z.string().min(1).max(64).optional(),
        notificationMethod: z.enum(['EMAIL', 'SLACK']).optional(),
      }),
    )
    await context.accounts.changeProfile(identity, changes)
    return ok({})
  })

  http.route('POST', '/api/v1/account/email', browser, async context => {
    const identity = await context.signedIn()
    const { email, ...proof } = await context.body(proofShape.extend({ email: emailShape }))
    return ok({ status: await context.accounts.changeEmail(identity, email, proof, context.origin) })
  })

  http.route('DELETE', '/api/v1/account/email', browser, async context => {
    await context.accounts.cancelEmailChange(await context.signedIn())
    return ok({})
  })

  // The link for the present address, again.
  http.route('POST', '/api/v1/account/email-confirmation', browser, async context => {
    await context.accounts.resendConfirmation(await context.signedIn())
    return ok({})
  })

  http.route('POST', '/api/v1/account/second-factor', browser, async context => {
    const identity = await context.signedIn()
    const proof = await context.body(proofShape)
    const begun = await context.accounts.beginSecondFactor(identity, proof, context.origin)
    return ok(begun, { 'cache-control': 'no-store' })
  })

  http.route('POST', '/api/v1/account/second-factor/finish', browser, async context => {
    const identity = await context.signedIn()
    const { code } = await context.body(z.object({ code: z.string().min(1).max(100) }))
    const recoveryCodes = await context.accounts.finishSecondFactor(identity, code, context.origin)
    return ok({ recoveryCodes }, { 'cache-control': 'no-store' })
  })

  http.route('POST', '/api/v1/account/second-factor/recovery-codes', browser, async context => {
    const identity = await context.signedIn()
    const proof = await context.body(proofShape)
    const recoveryCodes = await context.accounts.renewRecoveryCodes(identity, proof, context.origin)
    return ok({ recoveryCodes }, { 'cache-control': 'no-store' })
  })

  http.route('POST', '/api/v1/account/second-factor/remove', browser, async context => {
    const identity = await context.signedIn()
    await context.accounts.removeSecondFactor(identity, await context.body(proofShape), context.origin)
    return ok({})
  })

  http.route('POST', '/api/v1/invitations/:id/decline', browser, async context => {
    const identity = await context.signedIn()
    await context.accounts.declineInvitation(identity, context.params.id ?? '', context.origin)
    return ok({})
  })

  http.route('POST', '/api/v1/organizations', browser, async context => {
    const identity = await context.signedIn()
    const { name } = await context.body(z.object({ name: nameShape }))
    return {
      status: 201,
      body: await context.accounts.createOrganization(identity, name, context.origin),
    }
  })

  http.route('POST', '/api/v1/organizations/:org/leave', browser, async context => {
    const identity = await context.signedIn()
    await context.accounts.leaveOrganization(identity, context.params.org ?? '', context.origin)
    return ok({})
  })
}
