/** Organizations: each has the two built-in environments from its first moment. */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId, type UserId } from '../ids.js'
import type { Role } from './contract.js'
import { insertEnvironment } from './environments.js'
import { insertMembership } from './memberships.js'
import { lacksSecondFactor } from './second-factors.js'
import { slugFrom } from './slugs.js'

const nameCharactersMax = 100
const slugTries = 100

export interface OrganizationRow {
  readonly id: OrganizationId
  readonly slug: string
  readonly name: string
  readonly owner_id: UserId | null
  readonly promo_code: string | null
}

const columns = 'organizations.id, organizations.slug, organizations.name, owner_id, promo_code'

export interface NewOrganization {
  readonly name: string
  /** Taken as it is (`conflict` when it exists); without it one is made from the name. */
  readonly slug?: string
  /** The one that is not made from any name. */
  readonly reserved?: string | null
  readonly ownerId: UserId
  readonly promoCode?: string | null
  /** Besides the two built-in ones. */
  readonly environments?: readonly { slug: string; name: string }[]
}

/** Makes the organization with its environments; the owner becomes its administrator. */
export async function insertOrganization(
  client: Queryable,
  organization: NewOrganization,
): Promise<OrganizationRow> {
  const name = organization.name.trim().slice(0, nameCharactersMax)
  if (!name)
    throw new AppError('invalid-value', 'Give the organization a name.', {
      fields: { organizationName: 'Give the organization a name.' },
    })
  const id = newId<OrganizationId>()
  const insert = async (slug: string): Promise<OrganizationRow | undefined> => {
    if (slug === organization.reserved) return undefined
    const { rows } = await client.query<OrganizationRow>(
      `insert into organizations (id, slug, name, owner_id, promo_code) values ($1, $2, $3, $4, $5)
       on conflict (slug) where deleted_at is null do nothing returning ${columns}`,
      [id, slug, name, organization.ownerId, organization.promoCode ?? null],
    )
    return rows[0]
  }
  const wanted = organization.slug ?? slugFrom(name)
  let row = await insert(wanted)
  for (let count = 2; !row && organization.slug === undefined && count < slugTries; count += 1) {
    row = await insert(`${wanted}-${count}`)
  }
  if (!row) throw new AppError('conflict', `An organization "${wanted}" already exists.`)
  await client.query(
    `update installation set first_organization_id = (select id from organizations order by created_at, id limit 1)
     where first_organization_id is null`,
  )
  await insertEnvironment(client, { organizationId: id, slug: 'production', name: 'Production', position: 0 })
  await insertEnvironment(client, {
    organizationId: id,
    slug: 'development',
    name: 'Development',
    position: 1,
  })
  for (const environment of organization.environments ?? []) {
    if (environment.slug === 'production' || environment.slug === 'development') {
      await client.query('update environments set name = $3 where organization_id = $1 and slug = $2', [
        id,
        environment.slug,
        environment.name,
      ])
    } else {
      await insertEnvironment(client, { organizationId: id, ...environment })
    }
  }
  await insertMembership(client, {
    organizationId: id,
    personId: organization.ownerId,
    permissions: ['ADMIN'],
  })
  return row
}

/**
 * Holds an organization until the transaction ends; rows that refer to it may be added meanwhile. Whatever holds more than
 * one thing holds the organization first, then its directory, then the person, then what is theirs: so nobody waits for
 * somebody who waits for them.
 */
export async function holdOrganization(client: Queryable, id: OrganizationId): Promise<void> {
  await client.query('select from organizations where id = $1 for no key update', [id])
}

export async function findOrganization(
  client: Queryable,
  by: { id?: string | undefined; slug?: string | undefined },
): Promise<OrganizationRow | null> {
  const { rows } = await client.query<OrganizationRow>(
    `select ${columns} from organizations where ($1::text is null or id = $1) and ($2::text is null or slug = $2)
     and not ($1::text is null and $2::text is null) and deleted_at is null`,
    [by.id ?? null, by.slug ?? null],
  )
  return rows[0] ?? null
}

/** What a person owns, oldest first. */
export async function organizationsOwnedBy(client: Queryable, personId: UserId): Promise<OrganizationRow[]> {
  const { rows } = await client.query<OrganizationRow>(
    `select ${columns} from organizations where owner_id = $1 and deleted_at is null order by created_at, id`,
    [personId],
  )
  return rows
}

/** Deletes it with everything in it. Returns the ids of its live keys; null when there is none. */
export async function deleteOrganization(client: Queryable, id: string): Promise<string[] | null> {
  const { rows } = await client.query<{ id: string }>(
    'select id from api_keys where organization_id = $1 and revoked_at is null',
    [id],
  )
  const { rowCount } = await client.query('delete from organizations where id = $1', [id])
  return rowCount === 1 ? rows.map(row => row.id) : null
}

/** What somebody who signs in may choose from: where they were last, then in the order they joined. */
export interface Place {
  readonly id: OrganizationId
  readonly slug: string
  readonly name: string
  readonly permissions: readonly string[]
  /** It asks for a second factor, and the person has none: nothing of it is open to them. */
  readonly lacksSecondFactor: boolean
  readonly environments: readonly { slug: string; name: string; color: string | null }[]
}

export async function placesOf(client: Queryable, personId: UserId): Promise<Place[]> {
  const { rows } = await client.query<Place & { permissions: string[] }>(
    `select organizations.id, organizations.slug, organizations.name, memberships.permissions,
       ${lacksSecondFactor} as "lacksSecondFactor",
       coalesce((select jsonb_agg(jsonb_build_object('slug', slug, 'name', environments.name, 'color', color)
         order by position, environments.created_at) from environments
         where environments.organization_id = organizations.id and environments.deleted_at is null), '[]')
         as environments
     from memberships join organizations on organizations.id = memberships.organization_id
     join people on people.id = memberships.person_id
     where memberships.person_id = $1 and organizations.deleted_at is null
     order by organizations.id is not distinct from people.last_organization_id desc, memberships.created_at,
       memberships.id`,
    [personId],
  )
  return rows
}

/**
 * True for administrators of the organization that runs the installation: the one of this slug, else the first that was
 * ever made, by set-up or otherwise. Once that is deleted nobody is, until another one is named: it would be a stranger's
 * where strangers sign up. For the same reason the slug that is named is nobody's to take: only set-up and
 * `interval-server admin` give it away.
 */
export async function isOperator(
  client: Queryable,
  places: readonly (Pick<Place, 'id' | 'slug' | 'lacksSecondFactor'> & { readonly role: Role })[],
  slug: string | null,
): Promise<boolean> {
  const own = places.filter(({ role, lacksSecondFactor }) => role === 'admin' && !lacksSecondFactor)
  if (slug !== null || own.length === 0) return own.some(place => place.slug === slug)
  const { rows } = await client.query<{ first_organization_id: OrganizationId | null }>(
    'select first_organization_id from installation',
  )
  return own.some(place => place.id === rows[0]?.first_organization_id)
}

/** False when there is no such organization any more, although there are others: until one is named nobody is an operator. */
export async function hasOperators(client: Queryable, slug: string | null): Promise<boolean> {
  const { rows } = await client.query<{ some: boolean }>(
    `select not exists (select from organizations where deleted_at is null) or exists (
       select from organizations where deleted_at is null and case when $1::text is null
         then id = (select first_organization_id from installation) else slug = $1 end) as some`,
    [slug],
  )
  return rows[0]?.some === true
}
