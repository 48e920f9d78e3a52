/**
 * Where people were last: the organization they come back to. Told whenever a window shows one, so what is known is not
 * written again.
 *
 * What can go wrong: it is not written, or two nodes know different things. Then somebody comes back to another one of
 * their organizations.
 */
import type { Queryable } from '../database/index.js'
import type { UserId } from '../ids.js'
import type { Log } from '../log.js'
import type { Actor } from './contract.js'

const peopleMax = 20_000
/** What was written so long ago may have been changed by another node. */
const knownMs = 60_000

export class LastPlaces {
  readonly #database: Queryable
  readonly #log: Log
  readonly #known = new Map<UserId, { readonly organizationId: string; readonly atMs: number }>()

  constructor(options: { readonly database: Queryable; readonly log: Log }) {
    this.#database = options.database
    this.#log = options.log
  }

  readonly lookedAt = ({ organization, user }: Pick<Actor, 'user' | 'organization'>): void => {
    const known = this.#known.get(user.id)
    const atMs = performance.now()
    if (known?.organizationId === organization.id && atMs - known.atMs < knownMs) return
    this.#known.delete(user.id)
    this.#known.set(user.id, { organizationId: organization.id, atMs })
    if (this.#known.size > peopleMax) this.#known.delete(this.#known.keys().next().value as UserId)
    this.#database
      .query(
        `update people set last_organization_id = $2 where id = $1 and last_organization_id is distinct from $2`,
        [user.id, organization.id],
      )
      .catch((error: unknown) => this.#log.debug('last-place.not-written', { error }))
  }
}
