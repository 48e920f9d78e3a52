/**
 * To a provider and back, under the original's addresses. These are pages a browser goes to, so they answer with
 * redirects; what went wrong is told by the sign-in screen, by a word in its address.
 *
 * Invariant: a session begins only in the browser that left (sealed cookie, state), for the way it left on (nonce, PKCE),
 * and once. What can go wrong is all one to whoever tries: they are back at the sign-in screen.
 */
import {
  type ExternalClaims,
  NotLetIn,
  type OrganizationProvider,
  type Sealing,
  type SignedIn,
  type SignOnProblem,
} from '../accounts/index.js'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import {
  type Claims,
  type OidcClient,
  type OidcProviders,
  SignOnError,
  type WorkOs,
  type WorkOsProfile,
} from '../sign-on/index.js'
import type { Context } from './context.js'
import type { Reply } from './reply.js'
import type { HttpServer } from './server.js'
import { type Way, wayCookie, wayMsMax } from './sign-on-way.js'

const callbackPath = '/api/auth/sso/callback'
const fromCharactersMax = 1_000
const hintCharactersMax = 254

export interface SignOnHooks {
  /** Providers that organizations have named. */
  readonly oidc: OidcProviders
  /** Google, where the operator has registered with it. */
  readonly google: { readonly oidc: OidcProviders; readonly client: OidcClient } | null
  /** Null where the operator has no account there. */
  readonly workos: WorkOs | null
  readonly sealing: Sealing
  /** Origin of the dashboard. */
  readonly appUrl: string
}

/** Where providers send people back to. It is registered there. */
export function redirectUriOf(appUrl: string): string {
  return new URL(callbackPath, appUrl).href
}

export function addSignOnRoutes(http: HttpServer, hooks: SignOnHooks, log: Log): void {
  const { oidc, google, workos } = hooks
  const redirectUri = redirectUriOf(hooks.appUrl)
  const cookie = wayCookie(hooks.sealing, http.cookie.name.startsWith('__Host-'))

  const leave = (context: Context, url: string, way: Omit<Way, 'expiresAtMs'>): Reply => {
    const expiresAtMs = context.accounts.clock.nowMs() + wayMsMax
    return { status: 303, headers: { location: url, 'set-cookie': cookie.set({ ...way, expiresAtMs }) } }
  }

  const back = (problem: SignOnProblem, way?: Way | null): Reply => {
    const location =
      way?.step != null
        ? '/authentication-not-confirmed'
        : `/login?${new URLSearchParams({ ...(way?.from && { from: way.from }), problem })}`
    return { status: 303, headers: { location, 'set-cookie': cookie.clear() } }
  }

  /** What the address asks for, bounded. */
  const askedOf = async (
    context: Context,
  ): Promise<Pick<Way, 'from' | 'invitation' | 'step'> & { hint: string | undefined }> => {
    const step = context.query.get('step')
    if (step !== null) await context.signedIn()
    return {
      from: ownPath(context.query.get('from')),
      invitation: context.query.get('invitation')?.slice(0, 100) ?? null,
      step: step?.slice(0, 500) ?? null,
      hint: context.query.get('email')?.slice(0, hintCharactersMax) || undefined,
    }
  }

  const departTo = async (
    context: Context,
    client: OidcClient,
    providers: OidcProviders,
    kind: 'oidc' | 'google',
    organization: string | null,
  ): Promise<Reply> => {
    const { hint, ...asked } = await askedOf(context)
    const departure = await providers.depart(client, {
      redirectUri,
      loginHint: hint,
      again: asked.step !== null,
    })
    const { url, state, nonce, verifier } = departure
    return leave(context, url, { kind, organization, state, nonce, verifier, ...asked })
  }

  const departThroughWorkOs = async (
    context: Context,
    through: WorkOs,
    provider: OrganizationProvider | null,
  ): Promise<Reply> => {
    const { hint, ...asked } = await askedOf(context)
    const state = randomText()
    const to = provider?.workOsOrganizationId
    const url = through.departure({
      redirectUri,
      state,
      to: to == null ? 'google' : { organization: to },
      loginHint: hint,
    })
    return leave(context, url, {
      kind: to == null ? 'workos-google' : 'workos',
      organization: provider?.organizationId ?? null,
      state,
      nonce: '',
      verifier: '',
      ...asked,
    })
  }

  /** Whose provider is meant: by the organization, or by an address. */
  const wantedProvider = (context: Context): Promise<OrganizationProvider | null> => {
    const organization = context.query.get('organization')
    if (organization !== null) return context.accounts.providerOfOrganization(organization)
    const email = context.query.get('email') ?? `@${context.query.get('domain') ?? ''}`
    return context.accounts.providerOf(email.slice(0, hintCharactersMax))
  }

  /** Somebody is back: who the provider says they are, let in. */
  const arrive = async (context: Context, way: Way): Promise<SignedIn | 'confirmed'> => {
    const { accounts, origin } = context
    if (way.kind === 'google' || way.kind === 'workos-google') {
      const claims = await googleClaims(context, way)
      return accounts.enterWithGoogle(claims, way.invitation, origin)
    }
    const provider = await accounts.providerOfOrganization(way.organization ?? '')
    if (provider === null) throw new NotLetIn('not-set-up')
    const claims = await organizationClaims(context, way, provider)
    if (way.step !== null) return confirm(context, way, provider, claims)
    return accounts.enterOrganization(provider, claims, origin)
  }

  const confirm = async (
    context: Context,
    way: Way,
    { organizationId }: OrganizationProvider,
    claims: ExternalClaims,
  ): Promise<'confirmed'> => {
    const who = await context.signedIn()
    await context.accounts.confirmThrough(who, organizationId, claims, way.step || null, context.origin)
    return 'confirmed'
  }

  const googleClaims = async (context: Context, way: Way): Promise<ExternalClaims> => {
    if (way.kind === 'workos-google') {
      const profile = await profileOf(context)
      if (profile.connectionType !== 'GoogleOAuth') throw new NotLetIn('failed')
      return { ...fromWorkOs(profile), emailVerified: isGoogleSure(profile.email, profile.raw) }
    }
    if (google === null) throw new NotLetIn('not-set-up')
    const claims = await google.oidc.arrive(google.client, addressOf(context), way, { groupClaim: 'groups' })
    const raw = { email_verified: claims.emailVerified, hd: claims.hostedDomain }
    return { ...claims, emailVerified: isGoogleSure(claims.email, raw), groups: null }
  }

  const organizationClaims = async (
    context: Context,
    way: Way,
    provider: OrganizationProvider,
  ): Promise<ExternalClaims | Claims> => {
    if (way.kind === 'workos') {
      const profile = await profileOf(context)
      // The code of another organization's connection says nothing about this one.
      if (profile.organizationId === null || profile.organizationId !== provider.workOsOrganizationId) {
        throw new NotLetIn('failed')
      }
      // The connection of the organization says it, of its own domains.
      return { ...fromWorkOs(profile), emailVerified: true }
    }
    if (provider.oidc === null) throw new NotLetIn('not-set-up')
    const { groupClaim } = provider
    return oidc.arrive(provider.oidc, addressOf(context), way, { groupClaim, again: way.step !== null })
  }

  const profileOf = async (context: Context): Promise<WorkOsProfile> => {
    if (workos === null) throw new NotLetIn('not-set-up')
    return workos.profile(context.query.get('code') ?? '')
  }

  /** The callback's address as the provider knows it, whatever stands before us. */
  const addressOf = (context: Context): URL => {
    const address = new URL(redirectUri)
    address.search = context.query.toString()
    return address
  }

  const problemOf = (error: unknown, context: Context, organization: string | null): SignOnProblem => {
    if (error instanceof NotLetIn) return error.problem
    if (error instanceof AppError && error.code !== 'internal') {
      return error.code === 'unavailable' ? 'unreachable' : 'failed'
    }
    if (!(error instanceof SignOnError)) throw error
    log.debug('sign-on.failed', { organization, error })
    context.accounts.audit({
      name: 'session.refused',
      address: context.origin.address,
      organizationId: organization as never,
      details: { reason: error.message },
    })
    return error.reason === 'unreachable' ? 'unreachable' : 'failed'
  }

  const open = { caller: 'open', isCounted: true } as const

  /**
   * Another site may lead a browser here, and to a provider that lets it in as somebody else at once. So nobody leaves from
   * there: they come to the sign-in screen, or to where they are signed in already.
   */
  const fromElsewhere = ({ request, query }: Context): Reply | null => {
    const site = request.headers['sec-fetch-site']
    if (site === undefined || site === 'same-origin' || site === 'none') return null
    const from = ownPath(query.get('from'))
    const location = from === null ? '/login' : `/login?${new URLSearchParams({ from })}`
    return { status: 303, headers: { location } }
  }

  http.route('GET', '/api/auth/sso/auth', open, async context => {
    if (context.method !== 'GET') return { status: 405 }
    const elsewhere = fromElsewhere(context)
    if (elsewhere) return elsewhere
    const provider = await wantedProvider(context)
    try {
      if (provider?.oidc) return await departTo(context, provider.oidc, oidc, 'oidc', provider.organizationId)
      if (provider?.workOsOrganizationId != null && workos && !context.query.has('step')) {
        return await departThroughWorkOs(context, workos, provider)
      }
    } catch (error) {
      return back(problemOf(error, context, provider?.organizationId ?? null))
    }
    return back('not-set-up')
  })

  http.route('GET', '/api/auth/sso/sign-in-with-google', open, async context => {
    if (context.method !== 'GET') return { status: 405 }
    const elsewhere = fromElsewhere(context)
    if (elsewhere) return elsewhere
    try {
      // Google lets nobody be asked anew.
      if (context.query.has('step')) return back('not-set-up')
      if (google) return await departTo(context, google.client, google.oidc, 'google', null)
      if (workos) return await departThroughWorkOs(context, workos, null)
    } catch (error) {
      return back(problemOf(error, context, null))
    }
    return back('not-set-up')
  })

  http.route('GET', callbackPath, open, async context => {
    if (context.method !== 'GET') return { status: 405 }
    const way = cookie.read(context.request.headers.cookie, context.accounts.clock.nowMs())
    // Not this browser's, or of another way than the last it left on.
    if (way === null || context.query.get('state') !== way.state) return back('cancelled')
    try {
      await context.accounts.takeState(way.state, wayMsMax)
      if (context.query.get('code') === null) throw new NotLetIn('cancelled')
      const arrived = await arrive(context, way)
      if (arrived === 'confirmed') {
        const headers = { location: '/authentication-confirmed', 'set-cookie': cookie.clear() }
        return { status: 303, headers }
      }
      const session = context.setSession(arrived.token, arrived.expiresAtMs)['set-cookie'] ?? ''
      return { status: 303, headers: { location: way.from ?? '/', 'set-cookie': [session, cookie.clear()] } }
    } catch (error) {
      return back(problemOf(error, context, way.organization), way)
    }
  })
}

/** What WorkOS' profile comes to here. */
function fromWorkOs(profile: WorkOsProfile): Omit<ExternalClaims, 'emailVerified'> {
  const { id, email, firstName, lastName, groups } = profile
  return { issuer: 'workos', subject: id, email, firstName, lastName, groups }
}

/**
 * Whether Google answers for the address: for its own mailboxes, and for those of the organizations it keeps (`hd`). An
 * address elsewhere was somebody's once, when they told Google.
 */
function isGoogleSure(email: string | null, raw: Readonly<Record<string, unknown>>): boolean {
  const isVerified = [raw.email_verified, raw.verified_email].some(said => said === true || said === 'true')
  const isTheirs =
    /@(gmail|googlemail)\.com$/i.test(email ?? '') ||
    (typeof raw.hd === 'string' && (email ?? '').toLowerCase().endsWith(`@${raw.hd.toLowerCase()}`))
  return isVerified && isTheirs
}

/** A path of this origin, or null: `//host` and `/\host` are others. */
function ownPath(text: string | null): string | null {
  if (text === null || text.length > fromCharactersMax || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text)) return null
  return text.startsWith('/api/') ? null : text
}

function randomText(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
}
