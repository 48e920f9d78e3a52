/** The part of the JSON API that is about the person: their account, ways into it, and proofs of who they are. */
import { callApi, listOf } from './api.js'
import { isRecord } from './props.js'

/** What a person can prove themselves with once more; null when there is nothing. */
export type ProofKind = 'password' | 'code' | null

export interface ProofWays {
  kind: ProofKind
  /** Id of the organization through whose provider they came; they may prove it there. */
  organization: string | null
}

/** One of the two. */
export interface Proof {
  password?: string
  code?: string
}

export type NotificationMethod = 'EMAIL' | 'SLACK'

/** An invitation for the address of who is signed in. */
export interface OwnInvitation {
  id: string
  organization: { slug: string; name: string }
  inviter: string | null
}

export interface OwnAccount {
  email: string
  firstName: string
  lastName: string
  timeZone: string | null
  notificationMethod: NotificationMethod
  emailConfirmed: boolean
  /** The address they want to change to, until it is proven. */
  pendingEmail: string | null
  hasPassword: boolean
  secondFactor: { kind: string; since: string; recoveryCodesLeft: number } | null
  ownedOrganizations: readonly string[]
  invitations: readonly OwnInvitation[]
  mayCreateOrganizations: boolean
}

export interface OwnSession {
  id: string
  address: string | null
  userAgent: string | null
  createdAt: string
  lastUsedAt: string
  /** The one of this browser. */
  isCurrent: boolean
}

/** What a link in a mail leads to. */
export interface Invitation {
  email: string
  organization: { slug: string; name: string }
  hasAccount: boolean
}

export class AccountApi {
  /** What this person is asked for when they have to prove who they are. */
  async proofWays(): Promise<ProofWays> {
    const { proof, signOn } = await callApi('GET', '/api/v1/session/identity')
    return {
      kind: proof === 'password' || proof === 'code' ? proof : null,
      organization: isRecord(signOn) && typeof signOn.organization === 'string' ? signOn.organization : null,
    }
  }

  /** Proves it for a step of an action. Rejects with `bad-credentials`, with the field. */
  async confirmIdentity(proof: Proof, step: string): Promise<void> {
    await callApi('POST', '/api/v1/session/identity', { ...proof, step })
  }

  async account(): Promise<OwnAccount> {
    const body = await callApi('GET', '/api/v1/account')
    const { secondFactor } = body
    return {
      email: String(body.email ?? ''),
      firstName: String(body.firstName ?? ''),
      lastName: String(body.lastName ?? ''),
      timeZone: textOrNull(body.timeZone),
      notificationMethod: body.notificationMethod === 'SLACK' ? 'SLACK' : 'EMAIL',
      emailConfirmed: body.emailConfirmed === true,
      pendingEmail: textOrNull(body.pendingEmail),
      hasPassword: body.hasPassword === true,
      secondFactor: isRecord(secondFactor)
        ? {
            kind: String(secondFactor.kind),
            since: String(secondFactor.since),
            recoveryCodesLeft: Number(secondFactor.recoveryCodesLeft),
          }
        : null,
      ownedOrganizations: Array.isArray(body.ownedOrganizations) ? body.ownedOrganizations.map(String) : [],
      invitations: listOf(body, 'invitations').map(row => ({
        id: String(row.id),
        organization: organizationOf(row),
        inviter: textOrNull(row.inviter),
      })),
      mayCreateOrganizations: body.mayCreateOrganizations === true,
    }
  }

  async changeProfile(
    changes: Partial<Pick<OwnAccount, 'firstName' | 'lastName' | 'notificationMethod'>> & {
      timeZone?: string
    },
  ): Promise<void> {
    await callApi('PATCH', '/api/v1/account', changes)
  }

  /** `sent`: the new address must be proven by a link. */
  async changeEmail(email: string, proof: Proof): Promise<'sent' | 'changed'> {
    const { status } = await callApi('POST', '/api/v1/account/email', { email, ...proof })
    return status === 'changed' ? 'changed' : 'sent'
  }

  async cancelEmailChange(): Promise<void> {
    await callApi('DELETE', '/api/v1/account/email')
  }

  async resendConfirmation(): Promise<void> {
    await callApi('POST', '/api/v1/account/email-confirmation', {})
  }

  /** `expired`: the link was late, and a new one was sent. */
  async confirmEmail(seal: string): Promise<'confirmed' | 'expired'> {
    const { status } = await callApi('POST', '/api/v1/email-confirmation', { seal })
    return status === 'expired' ? 'expired' : 'confirmed'
  }

  async changePassword(current: string, password: string, endsTokens: boolean): Promise<void> {
    await callApi('POST', '/api/v1/password', { current, password, endsTokens })
  }

  async requestPasswordReset(email: string): Promise<void> {
    await callApi('POST', '/api/v1/password-reset', { email })
  }

  /** Rejects with `not-found` when the link is used or too old. */
  async checkPasswordReset(seal: string): Promise<void> {
    await callApi('POST', '/api/v1/password-reset/check', { seal })
  }

  async resetPassword(seal: string, password: string): Promise<void> {
    await callApi('POST', '/api/v1/password-reset/complete', { seal, password })
  }

  async beginSecondFactor(proof: Proof): Promise<{ secret: string; url: string }> {
    const { secret, url } = await callApi('POST', '/api/v1/account/second-factor', proof)
    return { secret: String(secret ?? ''), url: String(url ?? '') }
  }

  /** The recovery codes are told this once. */
  async finishSecondFactor(code: string): Promise<string[]> {
    return recoveryCodesOf(await callApi('POST', '/api/v1/account/second-factor/finish', { code }))
  }

  async renewRecoveryCodes(proof: Proof): Promise<string[]> {
    return recoveryCodesOf(await callApi('POST', '/api/v1/account/second-factor/recovery-codes', proof))
  }

  async removeSecondFactor(proof: Proof): Promise<void> {
    await callApi('POST', '/api/v1/account/second-factor/remove', proof)
  }

  /** Last used first. */
  async sessions(): Promise<OwnSession[]> {
    return listOf(await callApi('GET', '/api/v1/sessions'), 'sessions').map(row => ({
      id: String(row.id),
      address: textOrNull(row.address),
      userAgent: textOrNull(row.userAgent),
      createdAt: String(row.createdAt),
      lastUsedAt: String(row.lastUsedAt),
      isCurrent: row.current === true,
    }))
  }

  async endSession(id: string): Promise<void> {
    await callApi('DELETE', `/api/v1/sessions/${encodeURIComponent(id)}`)
  }

  async invitation(id: string): Promise<Invitation> {
    const body = await callApi('GET', `/api/v1/invitations/${encodeURIComponent(id)}`)
    return {
      email: String(body.email ?? ''),
      organization: organizationOf(body),
      hasAccount: body.hasAccount === true,
    }
  }

  /** Joins; who is not signed in makes the account the invitation is for. Returns the organization's slug. */
  async acceptInvitation(
    id: string,
    account: { firstName: string; lastName: string; password: string } | null,
  ): Promise<string> {
    const path = `/api/v1/invitations/${encodeURIComponent(id)}/accept`
    const { organization } = await callApi('POST', path, account ?? {})
    return String(organization ?? '')
  }

  async declineInvitation(id: string): Promise<void> {
    await callApi('POST', `/api/v1/invitations/${encodeURIComponent(id)}/decline`, {})
  }

  /** Returns its slug. */
  async createOrganization(name: string): Promise<string> {
    const { slug } = await callApi('POST', '/api/v1/organizations', { name })
    return String(slug ?? '')
  }

  async leaveOrganization(slug: string): Promise<void> {
    await callApi('POST', `/api/v1/organizations/${encodeURIComponent(slug)}/leave`, {})
  }
}

export const accountApi = new AccountApi()

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function organizationOf(row: Record<string, unknown>): { slug: string; name: string } {
  const organization = isRecord(row.organization) ? row.organization : {}
  return { slug: String(organization.slug ?? ''), name: String(organization.name ?? '') }
}

function recoveryCodesOf(body: Record<string, unknown>): string[] {
  return Array.isArray(body.recoveryCodes) ? body.recoveryCodes.map(String) : []
}
