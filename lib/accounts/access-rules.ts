/**
 * The access rules that are stored for actions and pages, as decisions need them: remembered per environment, so that
 * seeing a list and starting a run do not wait for the database.
 *
 * Invariant: what was never read is not open: whoever asks gets `unavailable` while the database is away. What was read
 * goes on being used, is read again in the background, and is forgotten as soon as a change of it is noticed: at once on
 * the node that made it, within seconds on the others.
 */
import type { Database } from '../database/index.js'
import { type DeclarationPlace, type StoredRules, storedRules } from './actions.js'
import { Cache } from './cache.js'
import type { Clock } from './clock.js'
import type { Accounts, Actor } from './contract.js'
import type { Identities } from './identities.js'

const freshMs = 5_000
const staleMs = 600_000
/** Environments whose rules are remembered. */
const placesMax = 2_000

/** No rules at all, e.g. in a console, where everything is one's own. */
export const noStoredRules: StoredRules = { actions: new Map(), pages: new Map(), overrides: new Map() }

export function createAccessRules(options: {
  database: Database
  clock: Clock
  identities: Identities
}): Pick<Accounts, 'accessRules'> {
  const { database, clock, identities } = options
  const cache = new Cache<StoredRules & { readonly organizationId: string }>({
    clock,
    freshMs,
    staleMs,
    entriesMax: placesMax,
    refresh: 'background',
  })
  identities.onRightsChanged(organizations =>
    cache.drop(rules => organizations === null || organizations.has(rules.organizationId)),
  )
  return {
    async accessRules({ organization, environment }: Pick<Actor, 'organization' | 'environment'>) {
      if (environment.slug === 'development') return noStoredRules
      const place: DeclarationPlace = {
        organizationId: organization.id,
        environmentId: environment.id,
        developerId: null,
      }
      return cache.get(environment.id, async () => ({
        organizationId: organization.id,
        ...(await storedRules(database, place)),
      }))
    },
  }
}
