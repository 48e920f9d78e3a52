/** Signing in and out, and the sessions of a person. */
import { z } from 'zod'
import { AppError } from '../errors.js'
import { profileOf } from './profile.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

/** Passwords are checked where they are made; here they only have to be bounded. */
export const passwordShape = z.string().min(1).max(1_000)
export const emailShape = z.string().min(1).max(320)

/** `hasTools`: the command bar offers the tools of `routes-development.ts`; `hasGoogle`: people may sign in with Google. */
export function addSessionRoutes(
  http: HttpServer,
  { hasTools, hasGoogle }: { readonly hasTools: boolean; readonly hasGoogle: boolean },
): void {
  const browser = { caller: 'browser' } as const

  http.route(
    'GET',
    '/api/v1/session',
    {
      ...browser,
      api: { callers: 'anybody', tag: 'Session', summary: 'Who is signed in, and where they may go' },
    },
    async context => {
      const identity = await context.session()
      if (identity) {
        const profile = await profileOf(context.accounts, identity.user)
        return ok(hasTools ? { ...profile, developmentTools: true } : profile)
      }
      if (await context.accounts.secondFactorDue(context.token)) {
        const { code, message } = new AppError('not-signed-in', 'Enter the code of your second factor.')
        const body = { code, message, setupNeeded: false, signUpEnabled: false, secondFactorNeeded: true }
        return { status: 401, body }
      }
      const [setupNeeded, signUpEnabled] = await Promise.all([
        context.accounts.setupNeeded(),
        context.accounts.signUpEnabled(),
      ])
      const { code, message } = new AppError('not-signed-in')
      return {
        status: 401,
        body: { code, message, setupNeeded, signUpEnabled, ...(hasGoogle && { google: true }) },
        // A cookie that is worth nothing any more.
        ...(context.token !== undefined && { headers: context.clearSession() }),
      }
    },
  )

  http.route(
    'POST',
    '/api/v1/session',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Signs in with a password',
        body: z.object({ email: emailShape, password: passwordShape }),
      },
    },
    async context => {
      const { email, password } = await context.body()
      const session = await context.accounts.signIn(email, password, context.origin)
      const cookie = context.setSession(session.token, session.expiresAtMs)
      if (session.secondFactorDue) return ok({ next: 'second-factor' }, cookie)
      return ok(await profileOf(context.accounts, session.user), cookie)
    },
  )

  // The second step, for who has a second factor: the cookie is that of the first.
  http.route(
    'POST',
    '/api/v1/session/second-factor',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'Enters the code of a second factor, after the password',
        body: z.object({ code: z.string().min(1).max(100) }),
      },
    },
    async context => {
      const { code } = await context.body()
      const session = await context.accounts.enterSecondFactor(context.token, code, context.origin)
      return ok(
        await profileOf(context.accounts, session.user),
        context.setSession(session.token, session.expiresAtMs),
      )
    },
  )

  http.route(
    'DELETE',
    '/api/v1/session',
    { ...browser, api: { callers: 'anybody', tag: 'Session', summary: 'Signs out' } },
    async context => {
      const identity = await context.session()
      if (identity) await context.accounts.signOut(identity, context.origin)
      return ok({}, context.clearSession())
    },
  )

  // The first step of signing in. It answers the same for everybody, so that nobody learns who has an account.
  http.route(
    'POST',
    '/api/v1/session/check',
    {
      ...browser,
      api: {
        callers: 'anybody',
        tag: 'Session',
        summary: 'How an address signs in',
        body: z.object({ email: emailShape }),
      },
    },
    async context => {
      const { email } = await context.body()
      // By the domain of the address, whoever has it.
      const provider = await context.accounts.providerOf(email)
      return ok({ next: 'password', ...(provider && { singleSignOn: { required: provider.isRequired } }) })
    },
  )

  http.route(
    'GET',
    '/api/v1/sessions',
    { ...browser, api: { callers: 'people', tag: 'Session', summary: 'Lists your sessions' } },
    async context => {
      const identity = await context.signedIn()
      const sessions = await context.accounts.sessions(identity.user.id)
      return ok({
        sessions: sessions.map(session => ({ ...session, current: session.id === identity.sessionId })),
      })
    },
  )

  http.route(
    'DELETE',
    '/api/v1/sessions/:id',
    { ...browser, api: { callers: 'people', tag: 'Session', summary: 'Ends one of your sessions' } },
    async context => {
      const identity = await context.signedIn()
      await context.accounts.endSession(identity.user.id, context.params.id ?? '', context.origin)
      const own = context.params.id === identity.sessionId
      return ok({}, own ? context.clearSession() : undefined)
    },
  )

  http.route(
    'POST',
    '/api/v1/password',
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Account',
        summary: 'Changes your password; other sessions end, and access tokens when you say so',
        body: z.object({
          current: passwordShape,
          password: passwordShape,
          endsTokens: z.boolean().optional(),
        }),
      },
    },
    async context => {
      const identity = await context.signedIn()
      const { current, password: wanted, endsTokens = false } = await context.body()
      await context.accounts.changePassword(identity, { current, wanted, endsTokens }, context.origin)
      return ok({})
    },
  )
}
