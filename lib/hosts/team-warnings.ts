/** What a developer is told of access rules in code that cannot mean what they say. */
import type { OrganizationId } from '../ids.js'
import type { Clock } from '../partitions/index.js'
import type { Definitions } from './definitions.js'

export interface TeamsAsked {
  readonly clock: Clock
  /** Of these team slugs, the ones the organization does not have. */
  unknownTeams(organizationId: OrganizationId, slugs: readonly string[]): Promise<string[]>
}

/** How long a declaration may wait for what it could do without, in ms. */
const warningsMsMax = 1_000

/** Teams named in code that the organization does not have. Not worth failing or waiting for. */
export async function teamWarnings(
  { clock, unknownTeams }: TeamsAsked,
  organizationId: OrganizationId,
  definitions: Definitions,
): Promise<string[]> {
  const teams = new Set<string>()
  for (const { access } of [...definitions.actions, ...definitions.pages]) {
    if (access !== null && access !== 'entire-organization') for (const team of access.teams) teams.add(team)
  }
  if (teams.size === 0) return []
  const asked = unknownTeams(organizationId, [...teams]).catch(() => [])
  const late = new Promise<string[]>(resolve => clock.setTimer(warningsMsMax, () => resolve([])))
  const unknown = await Promise.race([asked, late])
  return unknown.map(team => `The team "${team}", named in an access rule, does not exist.`)
}
