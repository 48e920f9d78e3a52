/**
 * OpenID Connect: to the provider with a browser, and back with what it says of the person. The protocol is
 * `openid-client`'s; here is what is asked, and what is taken.
 *
 * Invariant: nothing is taken but an id token that the issuer signed for this client, for this very way (nonce, PKCE);
 * requests go to public or allowed addresses only. What can go wrong: the issuer is away or somebody else's. Then its
 * document is asked for again after a while, and nobody signs in meanwhile.
 */
import { createHash } from 'node:crypto'
import type { Configuration } from 'openid-client'
import { Outbound, OutboundError, parseAllowList } from '../outbound/index.js'
import { type ProviderFetch, providerFetch } from './provider-fetch.js'
import { SignOnError } from './sign-on-error.js'

export const googleIssuer = 'https://accounts.google.com'

/** How long an issuer's document is believed, and how long a failure is. */
const freshMs = 600_000
const failedMs = 5_000
/** How long before they are back somebody may have proven it at the provider, in seconds: the way back takes a moment. */
const againSecondsMax = 120
const providersMax = 200
const textCharactersMax = 500
const groupsMax = 1_000
const groupCharactersMax = 300

/** A registration at a provider. */
export interface OidcClient {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
}

/** What a browser needs to go there, and what must be remembered until it is back. */
export interface Departure {
  readonly url: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** What a provider says of somebody. */
export interface Claims {
  readonly issuer: string
  readonly subject: string
  /** Null when it tells none. */
  readonly email: string | null
  /** Whether it says that the address is the person's. */
  readonly emailVerified: boolean
  readonly firstName: string | null
  readonly lastName: string | null
  /** Null when it tells none: not that there are none. */
  readonly groups: readonly string[] | null
  /** Google: the domain of the organization that keeps the account. */
  readonly hostedDomain: string | null
}

export class OidcProviders {
  readonly #outbound: Outbound
  /** Only to ask what is refused where nothing was named. */
  readonly #strict = new Outbound({ allow: [] })
  readonly #fetch: ProviderFetch
  readonly #nowMs: () => number
  readonly #allowed: ReturnType<typeof parseAllowList>
  readonly #known = new Map<string, { atMs: number; lastsMs: number; found: Promise<Configuration> }>()

  /** `allow`: as given to `outbound`; only hosts named there are asked without TLS. */
  constructor(options: { outbound: Outbound; allow: readonly string[]; nowMs: () => number }) {
    this.#outbound = options.outbound
    this.#fetch = providerFetch(options.outbound)
    this.#nowMs = options.nowMs
    this.#allowed = parseAllowList(options.allow)
  }

  /** Undefined when the issuer may be asked, as far as can be told without asking; else one sentence. */
  refusal(issuer: string): string | undefined {
    if (!URL.canParse(issuer)) return 'This is not a URL.'
    const url = new URL(issuer)
    if (url.search !== '' || url.hash !== '') return 'An issuer has neither a query nor a fragment.'
    const refused = this.#outbound.refusal(issuer)
    if (refused !== undefined) return refused
    if (url.protocol === 'http:' && !this.#mayBePlain(url)) return 'The issuer must begin with https.'
    return undefined
  }

  /** Rejects with `SignOnError` `unreachable` unless the issuer answers as one. */
  async check(client: OidcClient): Promise<void> {
    await this.#configuration(client, true)
  }

  /** Rejects with `SignOnError`. */
  async depart(
    client: OidcClient,
    wanted: { redirectUri: string; loginHint?: string | undefined; again?: boolean },
  ): Promise<Departure> {
    const [configuration, oidc] = await Promise.all([this.#configuration(client), library()])
    const state = oidc.randomState()
    const nonce = oidc.randomNonce()
    const verifier = oidc.randomPKCECodeVerifier()
    const url = oidc.buildAuthorizationUrl(configuration, {
      redirect_uri: wanted.redirectUri,
      scope: 'openid email profile',
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...(wanted.loginHint !== undefined && { login_hint: wanted.loginHint }),
      // Somebody who is to prove it once more, not to be waved through.
      ...(wanted.again && { prompt: 'login', max_age: '0' }),
    })
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#mayBePlain(url))) {
      throw new SignOnError('unreachable', 'The issuer names no address to sign in at.')
    }
    return { url: url.href, state, nonce, verifier }
  }

  /** `address`: where the provider sent the browser. Rejects with `SignOnError`. */
  async arrive(
    client: OidcClient,
    address: URL,
    departure: Pick<Departure, 'state' | 'nonce' | 'verifier'>,
    wanted: { groupClaim: string; again?: boolean },
  ): Promise<Claims> {
    const [configuration, oidc] = await Promise.all([this.#configuration(client), library()])
    try {
      const tokens = await oidc.authorizationCodeGrant(configuration, address, {
        expectedState: departure.state,
        expectedNonce: departure.nonce,
        pkceCodeVerifier: departure.verifier,
        idTokenExpected: true,
        ...(wanted.again && { maxAge: againSecondsMax }),
      })
      const token = tokens.claims()
      if (token === undefined) throw new SignOnError('refused', 'The provider sent no id token.')
      const inToken: Record<string, unknown> = token
      const more = needsMore(inToken, wanted.groupClaim) && configuration.serverMetadata().userinfo_endpoint
      const info: Record<string, unknown> = more
        ? await oidc.fetchUserInfo(configuration, tokens.access_token, token.sub)
        : {}
      return claimsOf(combined(inToken, info), token.iss, token.sub, wanted.groupClaim)
    } catch (error) {
      throw asSignOnError(error, 'refused')
    }
  }

  #configuration(client: OidcClient, isFresh = false): Promise<Configuration> {
    const key = createHash('sha256')
      .update(JSON.stringify([client.issuer, client.clientId, client.clientSecret]))
      .digest('base64')
    const nowMs = this.#nowMs()
    const known = this.#known.get(key)
    if (!isFresh && known && nowMs - known.atMs < known.lastsMs) return known.found
    const refused = this.refusal(client.issuer)
    if (refused !== undefined) return Promise.reject(new SignOnError('unreachable', refused))
    const entry = { atMs: nowMs, lastsMs: freshMs, found: this.#discover(client) }
    entry.found.catch(() => {
      entry.lastsMs = failedMs
    })
    this.#known.delete(key)
    if (this.#known.size >= providersMax) this.#known.delete(this.#known.keys().next().value ?? '')
    this.#known.set(key, entry)
    return entry.found
  }

  async #discover({ issuer, clientId, clientSecret }: OidcClient): Promise<Configuration> {
    const url = new URL(issuer)
    const isPlain = url.protocol === 'http:'
    const oidc = await library()
    try {
      return await oidc.discovery(url, clientId, clientSecret, undefined, {
        [oidc.customFetch]: (address, options) => this.#fetch(address, options),
        ...(isPlain && { execute: [oidc.allowInsecureRequests] }),
      })
    } catch (error) {
      throw asSignOnError(error, 'unreachable')
    }
  }

  /** Where the operator has named the place, they answer for the way there. */
  #mayBePlain(url: URL): boolean {
    if (this.#allowed.permitsName(url.hostname.toLowerCase())) return true
    // Refused without the list and taken with it: an address that was named.
    return this.#strict.refusal(url.href) !== undefined && this.#outbound.refusal(url.href) === undefined
  }
}

/** Loaded where it is used: most nodes never ask a provider. */
function library(): Promise<typeof import('openid-client')> {
  return import('openid-client')
}

/** True when the id token leaves out what the provider may tell on request. */
function needsMore(token: Record<string, unknown>, groupClaim: string): boolean {
  return (
    typeof token.email !== 'string' || token.email_verified === undefined || token[groupClaim] === undefined
  )
}

/** What the token says goes first. That an address was verified is said of the address beside it only. */
function combined(token: Record<string, unknown>, info: Record<string, unknown>): Record<string, unknown> {
  const { email_verified, xms_edov, ...others } = info
  const isSame = typeof token.email !== 'string' || token.email === info.email
  return { ...others, ...(isSame && { email_verified, xms_edov }), ...token }
}

function claimsOf(
  claims: Record<string, unknown>,
  issuer: string,
  subject: string,
  groupClaim: string,
): Claims {
  const groups = claims[groupClaim]
  return {
    issuer,
    subject,
    email: text(claims.email),
    // `xms_edov`: Entra ID says it under this name.
    emailVerified: [claims.email_verified, claims.xms_edov].some(
      said => said === true || said === 'true' || said === 1 || said === '1',
    ),
    firstName: text(claims.given_name) ?? text(claims.name)?.split(' ')[0] ?? null,
    lastName: text(claims.family_name) ?? text(claims.name)?.split(' ').slice(1).join(' ') ?? null,
    groups:
      groups === undefined
        ? null
        : [groups]
            .flat()
            .filter(group => typeof group === 'string')
            .slice(0, groupsMax)
            .map(group => group.slice(0, groupCharactersMax)),
    hostedDomain: text(claims.hd),
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, textCharactersMax) : null
}

function asSignOnError(error: unknown, otherwise: 'unreachable' | 'refused'): SignOnError {
  if (error instanceof SignOnError) return error
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof OutboundError) return new SignOnError('unreachable', cause.message, error)
  }
  const words =
    otherwise === 'unreachable'
      ? 'The issuer does not answer as a provider of OpenID Connect.'
      : 'The provider refused, or what it said does not hold.'
  return new SignOnError(otherwise, words, error)
}
