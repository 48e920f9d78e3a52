/** What an operator does about single sign-on: a domain is proven by their word, and an organization at WorkOS stands for one here. */
import { z } from 'zod'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { OrganizationId } from '../ids.js'
import { checkDomain, claimDomain, markVerified } from './email-domains.js'
import { joiningRoles } from './single-sign-on.js'

const domainsMax = 1_000

export const domainArgument = z.object({
  organizationId: z.string().min(1).max(200),
  domain: z.string().min(1).max(300),
})

/** The domain's addresses are the organization's. Rejects with `conflict` when it is proven by another one. */
export async function verifyDomain(
  client: Queryable,
  { organizationId, domain: text }: z.infer<typeof domainArgument>,
): Promise<{ domain: string }> {
  const domain = checkDomain(text)
  await claimDomain(client, organizationId as OrganizationId, domain, domainsMax)
  await markVerified(client, organizationId as OrganizationId, domain)
  return { domain }
}

export const workOsArgument = z.object({
  organizationId: z.string().min(1).max(200),
  /** Null ends it. */
  workosOrganizationId: z.string().min(1).max(200).nullable(),
  role: z.enum(joiningRoles).default('ACTION_RUNNER'),
})

/** Rejects with `conflict` when that organization at WorkOS stands for another one. */
export async function connectWorkOs(
  client: Queryable,
  { organizationId, workosOrganizationId, role }: z.infer<typeof workOsArgument>,
): Promise<null> {
  const { rowCount } = await client.query('select from organizations where id = $1', [organizationId])
  if (rowCount !== 1) throw new AppError('not-found', 'There is no such organization.')
  await client.query(
    `insert into single_sign_on (organization_id, workos_organization_id, permissions) values ($1, $2, $3)
     on conflict (organization_id) do update set workos_organization_id = excluded.workos_organization_id,
       updated_at = now()`,
    [organizationId, workosOrganizationId, [role]],
  )
  return null
}
