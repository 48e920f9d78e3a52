/** The first account, sign-up, invitations and the proof of an address. */
import { z } from 'zod'
import type { SignedIn } from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { Context } from './context.js'
import { profileOf } from './profile.js'
import { ok, type Reply } from './reply.js'
import { emailShape, passwordShape } from './routes-session.js'
import type { HttpServer } from './server.js'

const nameShape = z.string().trim().min(1).max(100)
const personShape = z.object({ firstName: nameShape, lastName: nameShape, password: passwordShape })
const accountShape = personShape.extend({ email: emailShape, organizationName: nameShape })

async function welcome(context: Context, session: SignedIn, organizationSlug: string): Promise<Reply> {
  const profile = await profileOf(context.accounts, session.user)
  return ok(
    { ...profile, organization: organizationSlug },
    context.setSession(session.token, session.expiresAtMs),
  )
}

export function addSignUpRoutes(http: HttpServer): void {
  const browser = { caller: 'browser' } as const

  http.route('POST', '/api/v1/setup', browser, async context => {
    const session = await context.accounts.setUp(await context.body(accountShape), context.origin)
    return welcome(context, session, session.organization.slug)
  })

  http.route('POST', '/api/v1/signup', browser, async context => {
    const { organizationPromoCode, ...account } = await context.body(
      accountShape.extend({ organizationPromoCode: z.string().max(100).nullish() }),
    )
    const session = await context.accounts.signUp(
      { ...account, promoCode: organizationPromoCode ?? undefined },
      context.origin,
    )
    return welcome(context, session, session.organization.slug)
  })

  http.route('GET', '/api/v1/signup/check', browser, async context => {
    await context.accounts.signUpCheck(context.query.get('email') ?? '', context.origin)
    return ok({ next: 'details' })
  })

  http.route('GET', '/api/v1/invitations/:id', browser, async context => {
    const invitation = await context.accounts.invitation(context.params.id ?? '')
    return ok({
      id: invitation.id,
      email: invitation.email,
      organization: { slug: invitation.organizationSlug, name: invitation.organizationName },
      // Whoever holds the link has read the mails of this address.
      hasAccount: invitation.hasAccount,
    })
  })

  // Somebody who is signed in joins as they are; anybody else makes the account the invitation is for.
  http.route('POST', '/api/v1/invitations/:id/accept', browser, async context => {
    const { accounts, origin } = context
    const id = context.params.id ?? ''
    const identity = await context.session()
    if (identity) {
      const invitation = await accounts.joinInvited(id, identity.user.id, origin)
      const profile = await profileOf(accounts, identity.user)
      return ok({ ...profile, organization: invitation.organizationSlug })
    }
    const session = await accounts.signUpInvited(id, await context.body(personShape), origin)
    return welcome(context, session, session.invitation.organizationSlug)
  })

  http.route('POST', '/api/v1/email-confirmation', browser, async context => {
    const identity = await context.session()
    if (!identity) throw new AppError('not-signed-in')
    const { seal } = await context.body(z.object({ seal: z.string().min(1).max(300) }))
    return ok({ status: await context.accounts.confirmEmail(identity, seal, context.origin) })
  })
}
