/** The part of the JSON API that is about signing in through providers, and about directories. */
import { callApi, listOf, momentOf } from './api.js'
import { isRecord } from './props.js'

export type JoiningRole = 'DEVELOPER' | 'ACTION_RUNNER' | 'READONLY_VIEWER'

export interface EmailDomain {
  id: string
  domain: string
  /** What a TXT record of the domain must be. */
  record: string
  isVerified: boolean
}

export interface SignOnGroup {
  value: string
  teamId: string
}

export interface SignOnSettings {
  provider: { issuer: string; clientId: string } | null
  hasWorkOs: boolean
  role: JoiningRole
  groupClaim: string
  groups: SignOnGroup[]
  isRequired: boolean
  domains: EmailDomain[]
  teams: { id: string; name: string }[]
  /** Is registered at the provider. */
  redirectUri: string
  directory: {
    kind: 'SCIM' | 'WORKOS' | null
    hasToken: boolean
    role: JoiningRole
    users: number
    groups: number
    url: string
    tokenCreatedAtMs: number | null
    lastUsedAtMs: number | null
  }
}

export interface WantedSignOn {
  /** An empty secret keeps the one that is stored. */
  provider: { issuer: string; clientId: string; clientSecret: string } | null
  role: JoiningRole
  groupClaim: string
  groups: readonly SignOnGroup[]
  isRequired: boolean
}

export class SignOnApi {
  async settings(organization: string): Promise<SignOnSettings> {
    const body = await callApi('GET', baseOf(organization))
    const directory = isRecord(body.directory) ? body.directory : {}
    return {
      provider: isRecord(body.provider)
        ? { issuer: String(body.provider.issuer ?? ''), clientId: String(body.provider.clientId ?? '') }
        : null,
      hasWorkOs: body.hasWorkOs === true,
      role: roleOf(body.role),
      groupClaim: String(body.groupClaim ?? 'groups'),
      groups: listOf(body, 'groups').map(group => ({
        value: String(group.value ?? ''),
        teamId: String(group.teamId ?? ''),
      })),
      isRequired: body.isRequired === true,
      domains: listOf(body, 'domains').map(domain => ({
        id: String(domain.id ?? ''),
        domain: String(domain.domain ?? ''),
        record: String(domain.record ?? ''),
        isVerified: domain.isVerified === true,
      })),
      teams: listOf(body, 'teams').map(team => ({
        id: String(team.id ?? ''),
        name: String(team.name ?? ''),
      })),
      redirectUri: String(body.redirectUri ?? ''),
      directory: {
        kind: directory.kind === 'SCIM' || directory.kind === 'WORKOS' ? directory.kind : null,
        hasToken: directory.hasToken === true,
        role: roleOf(directory.role),
        users: Number(directory.users ?? 0),
        groups: Number(directory.groups ?? 0),
        url: String(directory.url ?? ''),
        tokenCreatedAtMs: momentOf(directory.tokenCreatedAt),
        lastUsedAtMs: momentOf(directory.lastUsedAt),
      },
    }
  }

  /** Rejects with the field that is wrong: `provider.issuer`, `clientSecret`, `isRequired`. */
  async save(organization: string, wanted: WantedSignOn): Promise<void> {
    await callApi('PUT', baseOf(organization), wanted)
  }

  async addDomain(organization: string, domain: string): Promise<void> {
    await callApi('POST', `${baseOf(organization)}/domains`, { domain })
  }

  /** Rejects with `conflict` while the record is not there. */
  async checkDomain(organization: string, id: string): Promise<void> {
    await callApi('POST', `${baseOf(organization)}/domains/${encodeURIComponent(id)}/check`, {})
  }

  async removeDomain(organization: string, id: string): Promise<void> {
    await callApi('DELETE', `${baseOf(organization)}/domains/${encodeURIComponent(id)}`)
  }

  /** A new token, told this once; one that was there before ends. */
  async openDirectory(organization: string, role: JoiningRole): Promise<string> {
    const { token } = await callApi('POST', `${baseOf(organization)}/directory`, { role })
    return String(token ?? '')
  }

  async closeDirectory(organization: string): Promise<void> {
    await callApi('DELETE', `${baseOf(organization)}/directory`)
  }
}

export const signOnApi = new SignOnApi()

/** Where the browser goes to sign in through the provider of an address. A page, no request. */
export function signOnHref(email: string, from: string | null): string {
  return `/api/auth/sso/auth?${new URLSearchParams({ email, ...(from !== null && { from }) })}`
}

/** Where somebody who is in proves once more who they are, for a step of an action. */
export function proofHref(organization: string, step: string): string {
  return `/api/auth/sso/auth?${new URLSearchParams({ organization, step })}`
}

/** By this name windows hear that a proof was given in another one. */
export const proofChannel = 'interval-identity'

/** The same for Google. */
export function googleHref(from: string | null): string {
  const query = new URLSearchParams(from === null ? {} : { from }).toString()
  return `/api/auth/sso/sign-in-with-google${query === '' ? '' : `?${query}`}`
}

const problems: Readonly<Record<string, string>> = {
  cancelled: 'The sign-in was cancelled, or took too long. Try again.',
  failed: 'The provider could not say who you are. Try again, or ask an administrator.',
  unreachable: 'The provider cannot be reached right now. Try again shortly.',
  'not-set-up': 'This way to sign in is not set up here.',
  'no-email': 'The provider tells no email address that it answers for. Ask an administrator.',
  'wrong-domain': 'The provider of this organization does not speak for your email address.',
  unconfirmed:
    'There is an account with your email address that nobody has confirmed. Choose a new password for it first, or ask an administrator.',
  'no-account': 'There is no account for you here. Ask for an invitation.',
  deactivated: 'Your account was switched off by your organization.',
  'single-sign-on': 'Your organization signs in with single sign-on. Enter your address to continue.',
}

/** What the address of the sign-in screen says went wrong; null for nothing that we know. */
export function signOnProblem(word: string | null): string | null {
  return word !== null && Object.hasOwn(problems, word) ? (problems[word] ?? null) : null
}

function baseOf(organization: string): string {
  return `/api/v1/organizations/${encodeURIComponent(organization)}/sso`
}

function roleOf(value: unknown): JoiningRole {
  return value === 'DEVELOPER' || value === 'READONLY_VIEWER' ? value : 'ACTION_RUNNER'
}
