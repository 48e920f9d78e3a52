/**
 * Domains of e-mail addresses that organizations have proven: by a TXT record, or by an operator's word.
 *
 * Invariant: a proven domain belongs to one organization. What a provider or a directory says of an address counts only
 * for the organization that has proven its domain; a claim alone is worth nothing, and any number may claim.
 */
import { domainToASCII } from 'node:url'
import type { Queryable } from '../database/index.js'
import { violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, newSecret, type OrganizationId } from '../ids.js'

const domainPattern = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/
/** What the TXT record begins with, and where it is: at the domain itself. */
const recordPrefix = 'interval-domain-verification='

/** Where addresses are anybody's: nobody proves these. */
const sharedDomains = new Set([
  'gmail.com',
  'googlemail.com',
  'outlook.com',
  'hotmail.com',
  'live.com',
  'msn.com',
  'yahoo.com',
  'icloud.com',
  'me.com',
  'aol.com',
  'gmx.de',
  'gmx.net',
  'web.de',
  'mail.ru',
  'qq.com',
  '163.com',
  'proton.me',
  'protonmail.com',
])

export interface EmailDomain {
  readonly id: string
  readonly domain: string
  /** What a TXT record of the domain must be. */
  readonly record: string
  readonly isVerified: boolean
}

/** Texts of the TXT records of a name, each whole. Rejects when there are none. */
export type ReadTxt = (name: string) => Promise<readonly string[]>

/** In lower case and ASCII. Rejects with `invalid-value`. */
export function checkDomain(text: string): string {
  const domain = domainToASCII(text.trim().toLowerCase().replace(/^@/, '').replace(/\.$/, ''))
  const message = !domainPattern.test(domain)
    ? 'This is not a domain: write it like example.com.'
    : sharedDomains.has(domain)
      ? 'Addresses of this domain belong to many people: no organization can prove it.'
      : null
  if (message !== null) throw new AppError('invalid-value', message, { fields: { domain: message } })
  return domain
}

/** The part behind the @, as domains are stored. */
export function domainOf(email: string): string {
  return domainToASCII(email.slice(email.lastIndexOf('@') + 1).toLowerCase())
}

export async function listDomains(client: Queryable, organizationId: OrganizationId): Promise<EmailDomain[]> {
  const { rows } = await client.query<{
    id: string
    domain: string
    token: string
    verified_at: Date | null
  }>(
    'select id, domain, token, verified_at from email_domains where organization_id = $1 order by domain limit 1000',
    [organizationId],
  )
  return rows.map(row => ({
    id: row.id,
    domain: row.domain,
    record: recordPrefix + row.token,
    isVerified: row.verified_at !== null,
  }))
}

/** Claims it, or finds the claim. Rejects with `conflict` when there are `domainsMax` already. */
export async function claimDomain(
  client: Queryable,
  organizationId: OrganizationId,
  domain: string,
  domainsMax: number,
): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    `insert into email_domains (id, organization_id, domain, token)
     select $1, $2, $3, $4 where (select count(*) from email_domains where organization_id = $2) < $5
     on conflict (organization_id, domain) do update set domain = excluded.domain returning id`,
    [newId(), organizationId, domain, newSecret(), domainsMax],
  )
  if (!rows[0]) throw new AppError('conflict', 'This organization has as many domains as are allowed.')
  return rows[0].id
}

/** Looks for the TXT record. Rejects with `not-found`, or `conflict` when it is not there or another one's. */
export async function proveDomain(
  client: Queryable,
  organizationId: OrganizationId,
  id: string,
  readTxt: ReadTxt,
): Promise<string> {
  const known = (await listDomains(client, organizationId)).find(domain => domain.id === id)
  if (!known) throw new AppError('not-found')
  const found = await readTxt(known.domain).catch((): readonly string[] => [])
  if (!found.includes(known.record)) {
    throw new AppError(
      'conflict',
      `There is no such TXT record at ${known.domain} yet. It may take a while until others see it.`,
    )
  }
  await markVerified(client, organizationId, known.domain)
  return known.domain
}

/** Rejects with `conflict` when another organization has proven it. */
export async function markVerified(
  client: Queryable,
  organizationId: OrganizationId,
  domain: string,
): Promise<void> {
  try {
    await client.query(
      `update email_domains set verified_at = coalesce(verified_at, now())
       where organization_id = $1 and domain = $2`,
      [organizationId, domain],
    )
  } catch (error) {
    if (violatedConstraint(error) !== 'email_domains_verified') throw error
    throw new AppError('conflict', 'Another organization has proven this domain.', { cause: error })
  }
}

/** Rejects with `not-found`. Returns the domain. */
export async function deleteDomain(
  client: Queryable,
  organizationId: OrganizationId,
  id: string,
): Promise<string> {
  const { rows } = await client.query<{ domain: string }>(
    'delete from email_domains where organization_id = $1 and id = $2 returning domain',
    [organizationId, id],
  )
  if (!rows[0]) throw new AppError('not-found')
  return rows[0].domain
}

/** True when the organization has proven the domain of this address. */
export async function speaksFor(
  client: Queryable,
  organizationId: OrganizationId,
  email: string,
): Promise<boolean> {
  const { rowCount } = await client.query(
    'select from email_domains where organization_id = $1 and domain = $2 and verified_at is not null',
    [organizationId, domainOf(email)],
  )
  return rowCount === 1
}
