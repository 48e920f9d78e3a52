/** The first account, sign-up, invitations and the proof of an address. */
import { z } from 'zod'
import type { SignedIn } from '../accounts/index.js'
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

  http.route(
    'POST',
    '/api/v1/setup',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Makes the first account of an installation',
        body: accountShape,
      },
    },
    async context => {
      const session = await context.accounts.setUp(await context.body(), context.origin)
      return welcome(context, session, session.organization.slug)
    },
  )

  http.route(
    'POST',
    '/api/v1/signup',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Makes an account with an organization',
        body: accountShape.extend({ organizationPromoCode: z.string().max(100).nullish() }),
      },
    },
    async context => {
      const { organizationPromoCode, ...account } = await context.body()
      const session = await context.accounts.signUp(
        { ...account, promoCode: organizationPromoCode ?? undefined },
        context.origin,
      )
      return welcome(context, session, session.organization.slug)
    },
  )

  http.route(
    'GET',
    '/api/v1/signup/check',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Whether an account may be made for an address',
        query: { email: 'The address.' },
      },
    },
    async context => {
      await context.accounts.signUpCheck(context.query.get('email') ?? '', context.origin)
      return ok({ next: 'details' })
    },
  )

  http.route(
    'GET',
    '/api/v1/invitations/:id',
    { ...browser, api: { callers: 'anybody', tag: 'Invitations', summary: 'What an invitation is for' } },
    async context => {
      const invitation = await context.accounts.invitation(context.params.id ?? '')
      return ok({
        id: invitation.id,
        email: invitation.email,
        organization: { slug: invitation.organizationSlug, name: invitation.organizationName },
        // Whoever holds the link has read the mails of this address.
        hasAccount: invitation.hasAccount,
      })
    },
  )

  // Somebody who is signed in joins as they are; anybody else makes the account the invitation is for.
  http.route(
    'POST',
    '/api/v1/invitations/:id/accept',
    {
      ...browser,
      api: { callers: 'anybody', tag: 'Invitations', summary: 'Follows an invitation', body: personShape },
    },
    async context => {
      const { accounts, origin } = context
      const id = context.params.id ?? ''
      const identity = await context.session()
      if (identity) {
        const invitation = await accounts.joinInvited(id, identity.user.id, origin)
        const profile = await profileOf(accounts, identity.user)
        return ok({ ...profile, organization: invitation.organizationSlug })
      }
      const session = await accounts.signUpInvited(id, await context.body(), origin)
      return welcome(context, session, session.invitation.organizationSlug)
    },
  )

  http.route(
    'POST',
    '/api/v1/email-confirmation',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Follows the link that proves an address',
        body: z.object({ seal: z.string().min(1).max(300) }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { seal } = await context.body()
      return ok({ status: await context.accounts.confirmEmail(identity, seal, context.origin) })
    },
  )
}
