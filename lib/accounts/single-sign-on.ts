/**
 * Single sign-on as an organization sets it up: its provider, its domains, whom it lets in as what, and whether
 * passwords are closed.
 *
 * Invariants: a provider speaks for addresses of domains that its organization has proven, and for no others. The
 * client's secret is stored sealed and told to nobody again. Where single sign-on is required, the owner keeps their
 * password: a provider that is away or misconfigured must not lock an organization out.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId, SessionId, UserId } from '../ids.js'
import type { Actor } from './contract.js'
import {
  checkDomain,
  claimDomain,
  deleteDomain,
  domainOf,
  type EmailDomain,
  listDomains,
  proveDomain,
  type ReadTxt,
} from './email-domains.js'
import type { Asker, Guard } from './guard.js'
import type { RoleName } from './permissions.js'
import { createSealing } from './sealing.js'

/** What somebody who comes for the first time may be: nobody becomes an administrator by signing in. */
export const joiningRoles = ['DEVELOPER', 'ACTION_RUNNER', 'READONLY_VIEWER'] as const satisfies RoleName[]
export type JoiningRole = (typeof joiningRoles)[number]

/** As an administrator sees it. */
export interface SingleSignOnSettings {
  /** Null: no provider is set up. */
  readonly provider: { readonly issuer: string; readonly clientId: string } | null
  /** An operator has connected the organization through WorkOS. */
  readonly hasWorkOs: boolean
  readonly role: JoiningRole
  readonly groupClaim: string
  readonly groups: readonly { readonly value: string; readonly teamId: string }[]
  readonly isRequired: boolean
  readonly domains: readonly EmailDomain[]
  /** Teams that groups may lead to: those that no directory keeps. */
  readonly teams: readonly { readonly id: string; readonly name: string }[]
}

export interface WantedSingleSignOn {
  /** Null takes the provider away. */
  readonly provider: {
    readonly issuer: string
    readonly clientId: string
    /** Undefined keeps the one that is stored, for the same issuer and client. */
    readonly clientSecret?: string | undefined
  } | null
  readonly role: JoiningRole
  readonly groupClaim: string
  readonly groups: readonly { readonly value: string; readonly teamId: string }[]
  readonly isRequired: boolean
}

/** How an organization's people sign in elsewhere. */
export interface OrganizationProvider {
  readonly organizationId: OrganizationId
  readonly organizationSlug: string
  readonly permissions: readonly string[]
  readonly groupClaim: string
  readonly isRequired: boolean
  readonly oidc: { readonly issuer: string; readonly clientId: string; readonly clientSecret: string } | null
  readonly workOsOrganizationId: string | null
}

export interface SingleSignOnAccounts {
  /** Rejects with `forbidden`. */
  singleSignOn(by: Asker): Promise<SingleSignOnSettings>
  /**
   * The registration that `wanted` leads to, to be tried before it is stored; null for none. Rejects with `forbidden`, or
   * `invalid-value` when a secret is missing.
   */
  triedProvider(by: Asker, wanted: WantedSingleSignOn): Promise<OrganizationProvider['oidc']>
  /** Rejects with `forbidden`, `not-found` for a team of others, `invalid-value` naming a field. */
  setSingleSignOn(by: Asker, wanted: WantedSingleSignOn): Promise<void>
  /** Rejects with `forbidden`, `invalid-value` or `conflict`. Returns the id. */
  addDomain(by: Asker, domain: string): Promise<string>
  /** Looks for the record. Rejects with `forbidden`, `not-found`, or `conflict` when it is not there. */
  checkDomain(by: Asker, id: string): Promise<void>
  /** Rejects with `forbidden` or `not-found`. */
  removeDomain(by: Asker, id: string): Promise<void>
  /** The provider that speaks for this address, by its proven domain; null for none. */
  providerOf(email: string): Promise<OrganizationProvider | null>
  /** By id or slug of the organization; null for none. */
  providerOfOrganization(which: string): Promise<OrganizationProvider | null>
}

interface ProviderRow {
  readonly organization_id: OrganizationId
  readonly slug: string
  readonly issuer: string | null
  readonly client_id: string | null
  readonly client_secret: string | null
  readonly workos_organization_id: string | null
  readonly permissions: string[]
  readonly group_claim: string
  readonly required: boolean
}

const selectProvider = `select single_sign_on.*, organizations.slug from single_sign_on
  join organizations on organizations.id = single_sign_on.organization_id`

export function createSingleSignOn(options: {
  readonly guard: Guard
  readonly secret: string
  readonly readTxt: ReadTxt
}): SingleSignOnAccounts {
  const { guard } = options
  const { database, limits, identities } = guard
  const sealing = createSealing(options.secret, 'single sign-on: client secret')
  const administrator = (by: Asker, what: string): Promise<Actor> =>
    guard.member(by, 'WRITE_ORG_SETTINGS', what)

  const opened = (row: ProviderRow): OrganizationProvider => {
    const secret = row.client_secret && sealing.unseal(placeOf(row), row.client_secret)
    return {
      organizationId: row.organization_id,
      organizationSlug: row.slug,
      permissions: row.permissions,
      groupClaim: row.group_claim,
      isRequired: row.required,
      oidc:
        row.issuer !== null && row.client_id !== null && secret
          ? { issuer: row.issuer, clientId: row.client_id, clientSecret: secret.toString() }
          : null,
      workOsOrganizationId: row.workos_organization_id,
    }
  }

  const stored = async (client: Queryable, organizationId: OrganizationId): Promise<ProviderRow | null> => {
    const { rows } = await client.query<ProviderRow>(`${selectProvider} where organization_id = $1`, [
      organizationId,
    ])
    return rows[0] ?? null
  }

  const tried = (row: ProviderRow | null, { provider }: WantedSingleSignOn): OrganizationProvider['oidc'] => {
    if (provider === null) return null
    const { issuer, clientId } = provider
    const known = row && opened(row).oidc
    // A secret is never sent to another issuer than the one it was entered for.
    const kept = known?.issuer === issuer && known.clientId === clientId ? known.clientSecret : undefined
    const clientSecret = provider.clientSecret ?? kept
    if (clientSecret !== undefined) return { issuer, clientId, clientSecret }
    const message = 'Enter the secret that the provider gave you.'
    throw new AppError('invalid-value', message, { fields: { clientSecret: message } })
  }

  return {
    async singleSignOn(by) {
      const actor = await administrator(by, 'read single sign-on')
      const { id } = actor.organization
      const row = await stored(database, id)
      const { rows: groups } = await database.query<{ value: string; teamId: string }>(
        `select value, team_id as "teamId" from single_sign_on_groups where organization_id = $1
         order by value, team_id`,
        [id],
      )
      const { rows: teams } = await database.query<{ id: string; name: string }>(
        `select id, name from teams where organization_id = $1 and external_id is null
         order by lower(name), id limit 1000`,
        [id],
      )
      return {
        provider:
          row?.issuer != null && row.client_id !== null
            ? { issuer: row.issuer, clientId: row.client_id }
            : null,
        hasWorkOs: row?.workos_organization_id != null,
        role: joiningRoles.find(role => row?.permissions.includes(role)) ?? 'ACTION_RUNNER',
        groupClaim: row?.group_claim ?? 'groups',
        groups,
        isRequired: row?.required ?? false,
        domains: await listDomains(database, id),
        teams,
      }
    },

    async triedProvider(by, wanted) {
      const actor = await administrator(by, 'change single sign-on')
      return tried(await stored(database, actor.organization.id), wanted)
    },

    async setSingleSignOn(by, wanted) {
      const actor = await administrator(by, 'change single sign-on')
      const { id } = actor.organization
      const ended = await database.transaction(async client => {
        // Two administrators at once: one after the other.
        await client.query('select from organizations where id = $1 for update', [id])
        const before = await stored(client, id)
        const provider = tried(before, wanted)
        if (wanted.isRequired) {
          await requireUsable(client, id, provider !== null || before?.workos_organization_id != null)
        }
        await client.query(
          `insert into single_sign_on
             (organization_id, issuer, client_id, client_secret, permissions, group_claim, required)
           values ($1, $2, $3, $4, $5, $6, $7)
           on conflict (organization_id) do update set issuer = excluded.issuer, client_id = excluded.client_id,
             client_secret = excluded.client_secret, permissions = excluded.permissions,
             group_claim = excluded.group_claim, required = excluded.required, updated_at = now()`,
          [
            id,
            provider?.issuer ?? null,
            provider?.clientId ?? null,
            provider && sealing.seal(placeOf({ organization_id: id }), provider.clientSecret),
            [wanted.role],
            wanted.groupClaim,
            wanted.isRequired,
          ],
        )
        // Another issuer's people are others, whatever they are called there.
        if (before?.issuer != null && before.issuer !== provider?.issuer) {
          await client.query('delete from external_identities where provider = $1 and issuer = $2', [
            providerName(id),
            before.issuer,
          ])
        }
        await setGroups(client, id, wanted.groups)
        return wanted.isRequired && before?.required !== true ? endPasswordSessions(client, id) : []
      })
      identities.announce({ sessions: ended })
      guard.rightsChanged(by, actor, 'single-sign-on.changed', {
        issuer: wanted.provider?.issuer ?? null,
        required: wanted.isRequired,
        role: wanted.role,
        sessionsEnded: ended.length,
      })
    },

    async addDomain(by, text) {
      const actor = await administrator(by, 'claim a domain')
      const domain = checkDomain(text)
      const id = await guard.inTurn(actor, client =>
        claimDomain(client, actor.organization.id, domain, limits.emailDomainsPerOrganizationMax),
      )
      guard.changed(by, actor, 'email-domain.claimed', { domain })
      return id
    },

    async checkDomain(by, id) {
      const actor = await administrator(by, 'prove a domain')
      const domain = await proveDomain(database, actor.organization.id, id, options.readTxt)
      guard.rightsChanged(by, actor, 'email-domain.proven', { domain })
    },

    async removeDomain(by, id) {
      const actor = await administrator(by, 'remove a domain')
      const domain = await deleteDomain(database, actor.organization.id, id)
      guard.rightsChanged(by, actor, 'email-domain.removed', { domain })
    },

    async providerOf(email) {
      const { rows } = await database.query<ProviderRow>(
        `${selectProvider} join email_domains on email_domains.organization_id = single_sign_on.organization_id
         where email_domains.domain = $1 and verified_at is not null`,
        [domainOf(email)],
      )
      return rows[0] ? usable(opened(rows[0])) : null
    },

    async providerOfOrganization(which) {
      const { rows } = await database.query<ProviderRow>(
        // An organization may choose another one's id as its slug.
        `${selectProvider} where (organizations.id = $1 or organizations.slug = $1) and deleted_at is null
         order by organizations.id = $1 desc limit 1`,
        [which],
      )
      return rows[0] ? usable(opened(rows[0])) : null
    },
  }
}

/** What identities at an organization's provider are kept under. */
export function providerName(organizationId: OrganizationId): string {
  return `organization:${organizationId}`
}

/**
 * SQL: whether passwords are closed for the person `people.id` of the address `people.email`. The owner of the
 * organization that asks for single sign-on keeps theirs.
 */
export const passwordsAreClosed = `exists (
  select from email_domains join single_sign_on using (organization_id)
  join organizations on organizations.id = organization_id
  where email_domains.domain = lower(split_part(people.email, '@', 2)) and verified_at is not null and required
    and owner_id is distinct from people.id)`

/**
 * SQL: whether a membership is that of somebody whose only way in is the provider of this very organization. It counts
 * as a second factor there: what else is asked of them is the provider's to say.
 */
export const signsOnOnly = `exists (
  select from single_sign_on join email_domains using (organization_id)
  join people as member on member.id = memberships.person_id
  where organization_id = organizations.id and required and verified_at is not null
    and email_domains.domain = lower(split_part(member.email, '@', 2))
    and organizations.owner_id is distinct from member.id)`

/** Of an organization that is deleted: its domains are free. */
export async function endSingleSignOn(client: Queryable, organizationId: OrganizationId): Promise<void> {
  await client.query('delete from email_domains where organization_id = $1', [organizationId])
  await client.query('delete from external_identities where organization_id = $1', [organizationId])
  await client.query('delete from single_sign_on where organization_id = $1', [organizationId])
}

/** Rejects with `forbidden` when this person has to sign in through the provider of their organization. */
export async function requireOpenPassword(client: Queryable, personId: UserId): Promise<void> {
  const { rowCount } = await client.query(`select from people where id = $1 and ${passwordsAreClosed}`, [
    personId,
  ])
  if (rowCount === 1) throw mustSignOn()
}

/** The same for an address that has no account yet: passwords are not made for it. */
export async function requireOpenSignUp(client: Queryable, email: string): Promise<void> {
  const { rowCount } = await client.query(
    `select from email_domains join single_sign_on using (organization_id)
     where domain = $1 and verified_at is not null and required`,
    [domainOf(email)],
  )
  if (rowCount === 1) throw mustSignOn()
}

function mustSignOn(): AppError {
  return new AppError('forbidden', 'Your organization signs in with single sign-on. Continue with that.')
}

function usable(provider: OrganizationProvider): OrganizationProvider | null {
  return provider.oidc !== null || provider.workOsOrganizationId !== null ? provider : null
}

/** A sealed secret opens in the row of its organization only. */
function placeOf({ organization_id }: Pick<ProviderRow, 'organization_id'>): string {
  return `single sign-on ${organization_id}`
}

async function requireUsable(
  client: Queryable,
  organizationId: OrganizationId,
  hasProvider: boolean,
): Promise<void> {
  const domains = await listDomains(client, organizationId)
  const message = !hasProvider
    ? 'Set up a provider first.'
    : !domains.some(domain => domain.isVerified)
      ? 'Prove a domain first: it says whose passwords are closed.'
      : null
  if (message !== null) throw new AppError('invalid-value', message, { fields: { isRequired: message } })
}

async function setGroups(
  client: Queryable,
  organizationId: OrganizationId,
  groups: WantedSingleSignOn['groups'],
): Promise<void> {
  await client.query('delete from single_sign_on_groups where organization_id = $1', [organizationId])
  const { rowCount } = await client.query(
    `insert into single_sign_on_groups (organization_id, value, team_id)
     select distinct $1, wanted.value, teams.id
     from unnest($2::text[], $3::text[]) as wanted (value, team_id)
     join teams on teams.id = wanted.team_id and teams.organization_id = $1 and teams.external_id is null`,
    [organizationId, groups.map(({ value }) => value), groups.map(({ teamId }) => teamId)],
  )
  const wanted = new Set(groups.map(({ value, teamId }) => JSON.stringify([value, teamId])))
  if (rowCount !== wanted.size) {
    throw new AppError('not-found', 'A team does not belong to this organization, or a directory keeps it.')
  }
}

/** Of people whose passwords are closed now. */
async function endPasswordSessions(client: Queryable, organizationId: OrganizationId): Promise<SessionId[]> {
  const { rows } = await client.query<{ id: SessionId }>(
    `delete from sessions using people, email_domains, organizations
     where people.id = sessions.person_id and provider is null
       and email_domains.organization_id = $1 and verified_at is not null and organizations.id = $1
       and email_domains.domain = lower(split_part(people.email, '@', 2))
       and owner_id is distinct from people.id
     returning sessions.id`,
    [organizationId],
  )
  return rows.map(row => row.id)
}
