/**
 * WorkOS: sign-on through it (single sign-on of an organization, Google) and what it says of the person. Its directory
 * sync comes the other way, see `workos-signature.ts`.
 */
import { type Outbound, OutboundError } from '../outbound/index.js'
import { type ProviderFetch, providerFetch } from './provider-fetch.js'
import { SignOnError } from './sign-on-error.js'

const textCharactersMax = 500
const groupsMax = 1_000

export interface WorkOsOptions {
  readonly outbound: Pick<Outbound, 'request'>
  /** Where its API is, e.g. `https://api.workos.com`. */
  readonly url: string
  readonly apiKey: string
  readonly clientId: string
}

/** Who somebody is, as WorkOS has it from a provider. */
export interface WorkOsProfile {
  readonly id: string
  /** Of the organization at WorkOS whose connection this was; null for Google. */
  readonly organizationId: string | null
  /** `GoogleOAuth`, or the kind of an organization's provider. */
  readonly connectionType: string
  readonly email: string | null
  readonly firstName: string | null
  readonly lastName: string | null
  readonly groups: readonly string[] | null
  /** What the provider itself said. */
  readonly raw: Readonly<Record<string, unknown>>
}

export class WorkOs {
  readonly #options: WorkOsOptions
  readonly #fetch: ProviderFetch

  constructor(options: WorkOsOptions) {
    this.#options = options
    this.#fetch = providerFetch(options.outbound)
  }

  /** Where the browser goes. `to`: an organization at WorkOS, or Google. */
  departure(wanted: {
    redirectUri: string
    state: string
    to: { readonly organization: string } | 'google'
    loginHint?: string | undefined
  }): string {
    const url = new URL('/sso/authorize', this.#options.url)
    const parameters = {
      client_id: this.#options.clientId,
      redirect_uri: wanted.redirectUri,
      response_type: 'code',
      state: wanted.state,
      ...(wanted.to === 'google' ? { provider: 'GoogleOAuth' } : { organization: wanted.to.organization }),
      ...(wanted.loginHint !== undefined && { login_hint: wanted.loginHint }),
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return url.href
  }

  /** Who the code was given to. Rejects with `SignOnError`. */
  async profile(code: string): Promise<WorkOsProfile> {
    let response: Response
    let answer: unknown
    try {
      response = await this.#fetch(new URL('/sso/token', this.#options.url).href, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
        body: new URLSearchParams({
          client_id: this.#options.clientId,
          client_secret: this.#options.apiKey,
          grant_type: 'authorization_code',
          code,
        }),
      })
      answer = await response.json()
    } catch (error) {
      const words = error instanceof OutboundError ? error.message : 'WorkOS answered with something else.'
      throw new SignOnError('unreachable', words, error)
    }
    if (!response.ok) throw new SignOnError('refused', 'WorkOS refused.')
    const profile = record(record(answer).profile)
    const id = text(profile.id)
    if (id === null) throw new SignOnError('refused', 'WorkOS did not say who it is.')
    return {
      id,
      organizationId: text(profile.organization_id),
      connectionType: text(profile.connection_type) ?? '',
      email: text(profile.email),
      firstName: text(profile.first_name),
      lastName: text(profile.last_name),
      groups: Array.isArray(profile.groups)
        ? profile.groups.filter(group => typeof group === 'string').slice(0, groupsMax)
        : null,
      raw: record(profile.raw_attributes),
    }
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, textCharactersMax) : null
}
