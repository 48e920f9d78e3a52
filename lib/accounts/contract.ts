/** What the rooms below the accounts are told about people and keys; they never see a row. */
import type { ApiKeyId, EnvironmentId, OrganizationId, SessionId, UserId } from '../ids.js'
import type { StoredRules } from './actions.js'

export type Role = 'admin' | 'developer' | 'member'

export interface Person {
  readonly id: UserId
  readonly email: string
  readonly firstName: string | null
  readonly lastName: string | null
}

export interface OrganizationRef {
  readonly id: OrganizationId
  readonly slug: string
  readonly name: string
}

export interface EnvironmentRef {
  readonly id: EnvironmentId
  readonly slug: string
  readonly name: string
}

/** Whom an API key speaks for. */
export interface HostIdentity {
  readonly apiKeyId: ApiKeyId
  readonly kind: 'PRODUCTION' | 'DEVELOPMENT'
  readonly organization: OrganizationRef
  readonly environment: EnvironmentRef
  /** The person the key belongs to. In development, actions belong to this person alone. */
  readonly user: Person
}

/** Whom a session cookie speaks for. */
export interface ClientIdentity {
  readonly sessionId: SessionId
  readonly user: Person
}

/** A person in one place: an organization and one of its environments. Everything a permission check needs. */
export interface Actor {
  readonly user: Person
  readonly role: Role
  /** The four roles and the fine permissions they imply. */
  readonly permissions: ReadonlySet<string>
  /** Slugs of the teams the person is in. */
  readonly teams: readonly string[]
  readonly organization: OrganizationRef
  readonly environment: EnvironmentRef
  /** The organization's runs show one IO call at a time, not those before it as well. False when absent. */
  readonly showsOneCallAtATime?: boolean
}

export interface Accounts {
  /** Rejects with `invalid-api-key` (message names what to do), or `unavailable` when the database is away and the key is not cached. */
  authenticateKey(key: string | undefined): Promise<HostIdentity>
  /** Null when the token is unknown, expired or revoked. Touches idle expiry at most once a minute. */
  authenticateSession(token: string | undefined): Promise<ClientIdentity | null>
  /**
   * The person who asks, in a place. Rejects with `not-found` when they are not a member or the environment does not
   * exist, `second-factor-required` when the organization asks for a second factor and they have none.
   */
  actor(userId: UserId, organizationSlug: string, environmentSlug: string): Promise<Actor>
  /** The same for what goes on without the person (schedules, keys): a missing second factor does not stop that. */
  unattendedActor(userId: UserId, organizationSlug: string, environmentSlug: string): Promise<Actor>
  /**
   * The access rules stored for the actor's environment. Remembered: waits for the database only where they were never
   * read or have just changed, and rejects with `unavailable` then when it is away.
   */
  accessRules(actor: Pick<Actor, 'organization' | 'environment'>): Promise<StoredRules>
  /**
   * Runs the handler when rights or access rules have changed, with the ids of the organizations, or null for all. At once
   * for changes made on this node; for others when `revoked` is asked. Returns a function that ends it.
   */
  onRightsChanged(handler: (organizations: ReadonlySet<string> | null) => void): () => void
  /**
   * Of these ids, the ones that are revoked, expired or deleted by now: asked every few seconds for open sockets. It also
   * notices what other nodes have changed, and forgets what was remembered of that.
   */
  revoked(ids: {
    keys: readonly ApiKeyId[]
    sessions: readonly SessionId[]
  }): Promise<{ keys: ApiKeyId[]; sessions: SessionId[] }>
  /** Of these team slugs, the ones the organization does not have. */
  unknownTeams(organizationId: OrganizationId, slugs: readonly string[]): Promise<string[]>
  /** Runs the handler as soon as something is revoked on this node. Returns a function that ends it. */
  onRevoked(
    handler: (revoked: { keys: readonly ApiKeyId[]; sessions: readonly SessionId[] }) => void,
  ): () => void
  /** Append-only; never rejects (a row that cannot be written now is kept, bounded, and written later). */
  audit(event: AuditEvent): void
}

export interface AuditEvent {
  /** Past tense with a dot, e.g. `session.started`, `access.denied`. */
  readonly name: string
  readonly organizationId?: OrganizationId | null
  readonly userId?: UserId | null
  readonly address?: string | null
  /** Never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>
}
