/**
 * API keys: what a host presents. Only a digest is kept. A generated key has 285 bits of randomness, so a fast digest
 * is as good as a slow one; a plain text given by the operator is the operator's responsibility.
 *
 * Invariant: a key speaks for one person in one environment of one organization, and for nobody once it is revoked or
 * the person has left the organization.
 */
import { createHash, randomInt } from 'node:crypto'
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { type ApiKeyId, type EnvironmentId, newId, type OrganizationId, type UserId } from '../ids.js'
import type { HostIdentity } from './contract.js'
import { personOf } from './people.js'

export type KeyKind = 'PRODUCTION' | 'DEVELOPMENT'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const randomCharacters = 48
const prefixCharacters = 10
const labelCharactersMax = 100
/** Longer text is no key: it is refused without a look-up. */
export const keyCharactersMax = 200

/** `live_` or `dev_` and 48 random characters. */
export function generateKey(kind: KeyKind): string {
  const characters = Array.from({ length: randomCharacters }, () => alphabet[randomInt(alphabet.length)])
  return `${kind === 'PRODUCTION' ? 'live' : 'dev'}_${characters.join('')}`
}

export function keyHash(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

export interface KeyInfo {
  readonly id: ApiKeyId
  readonly kind: KeyKind
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly userId: UserId
}

/** A key as it is listed: enough to tell it apart, never enough to use it. */
export interface KeyListing {
  readonly id: ApiKeyId
  readonly kind: KeyKind
  readonly prefix: string
  readonly label: string | null
  readonly environment: { readonly slug: string; readonly name: string }
  readonly user: { readonly id: UserId; readonly email: string }
  readonly createdAt: string
  readonly lastUsedAt: string | null
}

/** Rejects with `conflict` when the text is in use, `not-found` unless environment and member are the organization's. */
export async function insertKey(
  client: Queryable,
  key: {
    text: string
    kind: KeyKind
    organizationId: string
    environmentId: string
    personId: string
    label?: string | null | undefined
  },
): Promise<KeyInfo> {
  const id = newId<ApiKeyId>()
  const label = key.label?.trim().slice(0, labelCharactersMax)
  try {
    const { rowCount } = await client.query(
      `insert into api_keys (id, organization_id, environment_id, person_id, kind, key_hash, prefix, label)
       select $1, memberships.organization_id, environments.id, memberships.person_id, $5, $6, $7, $8
       from memberships join environments on environments.organization_id = memberships.organization_id
       where memberships.organization_id = $2 and environments.id = $3 and memberships.person_id = $4
         and environments.deleted_at is null`,
      [
        id,
        key.organizationId,
        key.environmentId,
        key.personId,
        key.kind,
        keyHash(key.text),
        // Of a short text that somebody chose, showing the start would show too much.
        key.text.length >= randomCharacters ? key.text.slice(0, prefixCharacters) : '',
        label || null,
      ],
    )
    if (rowCount !== 1) {
      throw new AppError('not-found', 'The environment or the member does not belong to this organization.')
    }
  } catch (error) {
    if (violatedConstraint(error) === null) throw error
    throw new AppError('conflict', 'This API key is in use already.', { cause: error })
  }
  return {
    id,
    kind: key.kind,
    organizationId: key.organizationId as OrganizationId,
    environmentId: key.environmentId as EnvironmentId,
    userId: key.personId as UserId,
  }
}

/** Whom the text speaks for; null when it is unknown, revoked, or its person is no longer a member. */
export async function identityOfKey(client: Queryable, text: string): Promise<HostIdentity | null> {
  const { rows } = await client.query<{
    key_id: ApiKeyId
    kind: KeyKind
    organization: HostIdentity['organization']
    environment: HostIdentity['environment']
    id: UserId
    email: string
    first_name: string | null
    last_name: string | null
  }>(
    `update api_keys set last_used_at = now()
     from organizations, environments, people, memberships
     where key_hash = $1 and revoked_at is null
       and organizations.id = api_keys.organization_id and environments.id = api_keys.environment_id
       and people.id = api_keys.person_id
       and memberships.person_id = people.id and memberships.organization_id = organizations.id
       and organizations.deleted_at is null and environments.deleted_at is null
     returning api_keys.id as key_id, kind,
       jsonb_build_object('id', organizations.id, 'slug', organizations.slug, 'name', organizations.name) as organization,
       jsonb_build_object('id', environments.id, 'slug', environments.slug, 'name', environments.name) as environment,
       people.id, people.email, people.first_name, people.last_name`,
    [keyHash(text)],
  )
  const row = rows[0]
  if (!row) return null
  return {
    apiKeyId: row.key_id,
    kind: row.kind,
    organization: row.organization,
    environment: row.environment,
    user: personOf(row),
  }
}

/** Of these, the ones that still speak for somebody. */
export async function liveKeys(client: Queryable, ids: readonly ApiKeyId[]): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>(
    `select api_keys.id from api_keys
     join memberships on memberships.person_id = api_keys.person_id
       and memberships.organization_id = api_keys.organization_id
     join organizations on organizations.id = api_keys.organization_id and organizations.deleted_at is null
     join environments on environments.id = api_keys.environment_id and environments.deleted_at is null
     where api_keys.id = any($1) and revoked_at is null`,
    [ids],
  )
  return new Set(rows.map(row => row.id))
}

/** Looks a key up by its text within its bounds; for operators. */
export async function findKey(
  client: Queryable,
  key: { text: string; organizationId: string; personId: string; environmentId?: string | undefined },
): Promise<KeyInfo | null> {
  const { rows } = await client.query<{
    id: ApiKeyId
    kind: KeyKind
    organization_id: OrganizationId
    environment_id: EnvironmentId
    person_id: UserId
  }>(
    `select id, kind, organization_id, environment_id, person_id from api_keys
     where key_hash = $1 and organization_id = $2 and person_id = $3 and revoked_at is null
       and ($4::text is null or environment_id = $4)`,
    [keyHash(key.text), key.organizationId, key.personId, key.environmentId ?? null],
  )
  const row = rows[0]
  if (!row) return null
  return {
    id: row.id,
    kind: row.kind,
    organizationId: row.organization_id,
    environmentId: row.environment_id,
    userId: row.person_id,
  }
}

/** An organization's keys, newest first: all of them, or those of one person. */
export async function listKeys(
  client: Queryable,
  organizationId: OrganizationId,
  personId: UserId | null,
): Promise<KeyListing[]> {
  const { rows } = await client.query<{
    id: ApiKeyId
    kind: KeyKind
    prefix: string
    label: string | null
    environment: { slug: string; name: string }
    person: { id: UserId; email: string }
    created_at: Date
    last_used_at: Date | null
  }>(
    `select api_keys.id, kind, prefix, label, api_keys.created_at, last_used_at,
       jsonb_build_object('slug', environments.slug, 'name', environments.name) as environment,
       jsonb_build_object('id', people.id, 'email', people.email) as person
     from api_keys join environments on environments.id = api_keys.environment_id
     join people on people.id = api_keys.person_id
     where api_keys.organization_id = $1 and revoked_at is null and ($2::text is null or api_keys.person_id = $2)
     order by api_keys.created_at desc, api_keys.id limit 1000`,
    [organizationId, personId],
  )
  return rows.map(row => ({
    id: row.id,
    kind: row.kind,
    prefix: row.prefix,
    label: row.label,
    environment: row.environment,
    user: row.person,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  }))
}

/** Of an organization, those that are not revoked. */
export async function countKeys(client: Queryable, organizationId: OrganizationId): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from api_keys where organization_id = $1 and revoked_at is null',
    [organizationId],
  )
  return rows[0]?.count ?? 0
}

/** Revokes a key of this organization (and of this person, unless null); false when there is none. */
export async function revokeKey(
  client: Queryable,
  organizationId: OrganizationId,
  id: string,
  personId: UserId | null,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `update api_keys set revoked_at = now()
     where id = $2 and organization_id = $1 and revoked_at is null and ($3::text is null or person_id = $3)`,
    [organizationId, id, personId],
  )
  return rowCount === 1
}
