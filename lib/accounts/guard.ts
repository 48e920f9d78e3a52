/**
 * Who may change an organization. Everything that people do to it in the dashboard begins here: a member with the
 * permission, or a refusal in the audit log; and ends here: a row that tells who changed what.
 *
 * Invariant: an organization that somebody is not in looks as if it did not exist.
 */
import type { Database, Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { UserId } from '../ids.js'
import type { Limits } from '../limits.js'
import type { Clock } from './clock.js'
import type { Actor, AuditEvent } from './contract.js'
import type { Identities } from './identities.js'
import { holdOrganization } from './organizations.js'
import type { Permission } from './permissions.js'
import type { Origin } from './sign-in.js'

/** Somebody who is signed in and wants something of an organization. */
export interface Asker {
  readonly userId: UserId
  /** Slug of the organization. */
  readonly organization: string
  readonly origin: Origin
}

export interface Guard {
  readonly database: Database
  readonly clock: Clock
  readonly limits: Limits
  readonly identities: Identities
  /**
   * The person in the organization, if they hold the permission. Rejects with `not-found` for who is no member, and with
   * `forbidden`, and an audit row that names `what`, for who may not.
   */
  member(by: Asker, permission: Permission, what: string): Promise<Actor>
  /** A transaction that holds the organization: what is counted in it stays so until what is counted is there. */
  inTurn<Result>(actor: Actor, work: (client: Queryable) => Promise<Result>): Promise<Result>
  /** The error for a member who may not; writes the audit row. */
  denied(by: Asker, actor: Actor, what: string, message?: string): AppError
  /** Something was changed: writes the audit row. */
  changed(by: Asker, actor: Actor, name: string, details?: AuditEvent['details']): void
  /** Like `changed`, for what others remember of rights: they forget it. */
  rightsChanged(by: Asker, actor: Actor, name: string, details?: AuditEvent['details']): void
}

export function createGuard(options: {
  readonly database: Database
  readonly clock: Clock
  readonly limits: Limits
  readonly identities: Identities
  audit(event: AuditEvent): void
}): Guard {
  const { database, clock, limits, identities } = options
  const row = (by: Asker, actor: Actor, name: string, details?: AuditEvent['details']): void =>
    options.audit({
      name,
      userId: by.userId,
      organizationId: actor.organization.id,
      address: by.origin.address,
      ...(details && { details }),
    })
  const denied: Guard['denied'] = (by, actor, what, message) => {
    row(by, actor, 'access.denied', { what })
    return new AppError('forbidden', message)
  }
  return {
    database,
    clock,
    limits,
    identities,
    async member(by, permission, what) {
      // Every organization has `production`.
      const actor = await identities.actor(by.userId, by.organization, 'production')
      if (!actor.permissions.has(permission)) throw denied(by, actor, what)
      return actor
    },
    inTurn: (actor, work) =>
      database.transaction(async client => {
        await holdOrganization(client, actor.organization.id)
        return work(client)
      }),
    denied,
    changed: row,
    rightsChanged(by, actor, name, details) {
      identities.forgetRights(new Set([actor.organization.id]))
      row(by, actor, name, details)
    },
  }
}
