/** Single sign-on as an organization sets it up, and its directory. Who may is decided by the accounts. */
import { z } from 'zod'
import { joiningRoles } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import { SignOnError } from '../sign-on/index.js'
import { signedInAskerOf } from './context.js'
import { ok } from './reply.js'
import { redirectUriOf, type SignOnHooks } from './routes-sso.js'
import type { HttpServer } from './server.js'

const shortShape = z.string().trim().min(1).max(500)

const settingsShape = z.object({
  provider: z
    .object({
      issuer: shortShape,
      clientId: shortShape,
      /** Left out or empty: the one that is stored is kept. */
      clientSecret: z.string().trim().max(2_000).nullish(),
    })
    .nullable(),
  role: z.enum(joiningRoles),
  groupClaim: z.string().trim().min(1).max(200).default('groups'),
  groups: z
    .array(z.object({ value: z.string().trim().min(1).max(300), teamId: z.string().min(1).max(64) }))
    .max(limits.signOnGroupsMax)
    .default([]),
  isRequired: z.boolean().default(false),
})

export function addSignOnSettingsRoutes(http: HttpServer, hooks: SignOnHooks): void {
  const browser = { caller: 'browser' } as const
  const base = '/api/v1/organizations/:org/sso'

  http.route(
    'GET',
    base,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Single sign-on',
        summary: 'How people sign in elsewhere: provider, domains, directory',
      },
    },
    async context => {
      const by = await signedInAskerOf(context)
      const [settings, directory] = await Promise.all([
        context.accounts.singleSignOn(by),
        context.accounts.directory(by),
      ])
      return ok({
        ...settings,
        hasWorkOs: settings.hasWorkOs && hooks.workos !== null,
        redirectUri: redirectUriOf(hooks.appUrl),
        directory: {
          ...directory,
          url: new URL(`/scim/v2/${directory.organizationId}`, hooks.appUrl).href,
        },
      })
    },
  )

  http.route(
    'PUT',
    base,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Single sign-on',
        summary: 'Sets the provider, whom it lets in as what, and whether passwords are closed',
        body: settingsShape,
      },
    },
    async context => {
      const by = await signedInAskerOf(context)
      const body = await context.body()
      const wanted = {
        ...body,
        provider: body.provider && {
          ...body.provider,
          clientSecret: body.provider.clientSecret || undefined,
        },
      }
      const client = await context.accounts.triedProvider(by, wanted)
      if (client !== null) {
        const refusal = hooks.oidc.refusal(client.issuer)
        if (refusal !== undefined) throw issuerError(refusal)
        await hooks.oidc.check(client).catch((error: unknown) => {
          throw error instanceof SignOnError ? issuerError(error.message) : error
        })
      }
      await context.accounts.setSingleSignOn(by, wanted)
      return ok({})
    },
  )

  http.route(
    'POST',
    `${base}/domains`,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Single sign-on',
        summary: 'Claims a domain; tells the record that proves it',
        status: 201,
        body: z.object({ domain: z.string().min(1).max(300) }),
      },
    },
    async context => {
      const by = await signedInAskerOf(context)
      const { domain } = await context.body()
      const id = await context.accounts.addDomain(by, domain)
      return { status: 201, body: { id } }
    },
  )

  http.route(
    'POST',
    `${base}/domains/:id/check`,
    {
      ...browser,
      api: { callers: 'people', tag: 'Single sign-on', summary: 'Looks for the record of a domain' },
    },
    async context => {
      const by = await signedInAskerOf(context)
      await context.accounts.checkDomain(by, context.params.id ?? '')
      return ok({})
    },
  )

  http.route(
    'DELETE',
    `${base}/domains/:id`,
    { ...browser, api: { callers: 'people', tag: 'Single sign-on', summary: 'Gives a domain up' } },
    async context => {
      const by = await signedInAskerOf(context)
      await context.accounts.removeDomain(by, context.params.id ?? '')
      return ok({})
    },
  )

  // A new token; one that was there before ends. It is told this once.
  http.route(
    'POST',
    `${base}/directory`,
    {
      ...browser,
      api: {
        callers: 'people',
        tag: 'Single sign-on',
        summary: 'Makes a token for the directory, told once; an older one ends',
        status: 201,
        body: z.object({ role: z.enum(joiningRoles) }),
      },
    },
    async context => {
      const by = await signedInAskerOf(context)
      const { role } = await context.body()
      const token = await context.accounts.openDirectory(by, role)
      return { status: 201, body: { token } }
    },
  )

  http.route(
    'DELETE',
    `${base}/directory`,
    {
      ...browser,
      api: { callers: 'people', tag: 'Single sign-on', summary: 'Ends the directory: people and teams stay' },
    },
    async context => {
      const by = await signedInAskerOf(context)
      await context.accounts.closeDirectory(by)
      return ok({})
    },
  )
}

function issuerError(message: string): AppError {
  return new AppError('invalid-value', message, { fields: { 'provider.issuer': message } })
}
