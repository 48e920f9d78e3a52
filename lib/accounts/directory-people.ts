/**
 * People as a directory has them. Each stands for one account here, found or made by the address.
 *
 * Invariants: a directory speaks only for addresses of domains that its organization has proven, and takes over no account
 * whose address nobody has confirmed. Whoever is not active has no membership, no keys and no session; the owner of the
 * organization cannot be switched off.
 */
import { type Queryable, storableText, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type UserId } from '../ids.js'
import { deleteAccessTokens } from './access-tokens.js'
import type { Directory, DirectoryChange } from './directories.js'
import { speaksFor } from './email-domains.js'
import { deleteMembership, insertMembership, isMember } from './memberships.js'
import { checkEmail, insertPerson, lockPerson, personByEmail } from './people.js'
import { deleteOtherSessions } from './sessions.js'

/** What a directory says of somebody. */
export interface WantedDirectoryUser {
  readonly userName: string
  readonly externalId: string | null
  readonly email: string
  readonly givenName: string | null
  readonly familyName: string | null
  readonly displayName: string | null
  readonly isActive: boolean
}

export interface DirectoryUser extends WantedDirectoryUser {
  readonly id: string
  readonly groups: readonly { readonly id: string; readonly name: string }[]
  readonly createdAt: string
  readonly updatedAt: string
}

/** By what people and groups are looked up; columns are named here, never by who asks. */
export const userFields = {
  id: 'id = $2',
  userName: 'lower(user_name) = lower($2)',
  externalId: 'external_id = $2',
  email: 'lower(email) = lower($2)',
  displayName: 'lower(display_name) = lower($2)',
} as const
export type UserField = keyof typeof userFields

export interface Page<Item> {
  readonly total: number
  readonly items: readonly Item[]
}

interface Row {
  readonly id: string
  readonly person_id: UserId
  readonly user_name: string
  readonly external_id: string | null
  readonly email: string
  readonly given_name: string | null
  readonly family_name: string | null
  readonly display_name: string | null
  readonly active: boolean
  readonly created_at: Date
  readonly updated_at: Date
  readonly groups: { id: string; name: string }[]
}

const selectUsers = `select directory_users.*, coalesce((
    select jsonb_agg(jsonb_build_object('id', directory_groups.id, 'name', directory_groups.display_name)
      order by lower(directory_groups.display_name))
    from directory_group_members join directory_groups on directory_groups.id = group_id
    where user_id = directory_users.id), '[]') as groups
  from directory_users`

/** `offset` counts from 0. */
export async function listDirectoryUsers(
  client: Queryable,
  directory: Directory,
  wanted: {
    readonly by?: { readonly field: UserField; readonly value: string } | undefined
    readonly offset: number
    readonly count: number
  },
): Promise<Page<DirectoryUser>> {
  const { by, offset, count } = wanted
  const condition = `directory_id = $1 and ${by ? userFields[by.field] : '$2::text is null'}`
  const values = [directory.id, by?.value ?? null]
  const { rows: counted } = await client.query<{ total: number }>(
    `select count(*)::int as total from directory_users where ${condition}`,
    values,
  )
  const { rows } = await client.query<Row>(
    `${selectUsers} where ${condition} order by created_at, id limit $3 offset $4`,
    [...values, count, offset],
  )
  return { total: counted[0]?.total ?? 0, items: rows.map(userOf) }
}

/** Rejects with `not-found`. */
export async function directoryUser(
  client: Queryable,
  directory: Directory,
  id: string,
): Promise<DirectoryUser> {
  const { items } = await listDirectoryUsers(client, directory, {
    by: { field: 'id', value: id },
    offset: 0,
    count: 1,
  })
  if (!items[0]) throw new AppError('not-found', `There is no user ${id}.`)
  return items[0]
}

/** Rejects with `conflict` for a name or a person that is there already, `invalid-value` for an address of others. */
export async function addDirectoryUser(
  change: DirectoryChange,
  wanted: WantedDirectoryUser,
): Promise<DirectoryUser> {
  const { client, directory, limits, nowMs } = change
  const email = await ownAddress(change, wanted.email)
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from directory_users where directory_id = $1',
    [directory.id],
  )
  if ((rows[0]?.count ?? 0) >= limits.directoryUsersMax) {
    throw new AppError('conflict', 'This directory has as many users as are allowed.')
  }
  const known = await personByEmail(client, email)
  // Whom the organization has let in itself is no stranger who has taken the address.
  if (known?.email_confirmed_at === null && !(await isMember(client, directory.organizationId, known.id))) {
    throw new AppError(
      'conflict',
      'There is an account with this address that nobody has confirmed. It must be confirmed or deleted first.',
    )
  }
  const person =
    known ??
    (await insertPerson(client, {
      email,
      firstName: cut(wanted.givenName),
      lastName: cut(wanted.familyName),
      passwordHash: null,
      confirmedAt: new Date(nowMs),
    }))
  const id = newId<string>()
  await unique(() =>
    client.query(
      `insert into directory_users (id, directory_id, person_id, user_name, external_id, email, given_name,
         family_name, display_name, active, created_at, updated_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)`,
      [id, directory.id, person.id, ...columnsOf(wanted, email), new Date(nowMs)],
    ),
  )
  if (wanted.isActive) await switchOn(change, id, person.id)
  else await switchOff(change, person.id)
  change.events.push({
    name: 'directory.user-added',
    details: { user: id, person: person.id, active: wanted.isActive },
  })
  return directoryUser(client, directory, id)
}

/** Rejects as `addDirectoryUser` does, or with `not-found`. */
export async function changeDirectoryUser(
  change: DirectoryChange,
  id: string,
  wanted: WantedDirectoryUser,
): Promise<DirectoryUser> {
  const { client, directory, nowMs } = change
  const { rows } = await client.query<Row>(`${selectUsers} where directory_id = $1 and id = $2`, [
    directory.id,
    id,
  ])
  const before = rows[0]
  if (!before) throw new AppError('not-found', `There is no user ${id}.`)
  const email = await ownAddress(change, wanted.email)
  await unique(() =>
    client.query(
      `update directory_users set user_name = $2, external_id = $3, email = $4, given_name = $5,
         family_name = $6, display_name = $7, active = $8, updated_at = $9 where id = $1`,
      [id, ...columnsOf(wanted, email), new Date(nowMs)],
    ),
  )
  const person = await lockPerson(client, before.person_id)
  // The account follows while it has the address that the directory gave it, and the organization still speaks for that.
  if (
    person &&
    person.email.toLowerCase() === before.email.toLowerCase() &&
    (await speaksFor(client, directory.organizationId, person.email))
  ) {
    // Links that were sent to the old address end with it.
    if (person.email.toLowerCase() !== email.toLowerCase()) {
      await client.query('delete from password_resets where person_id = $1', [person.id])
      await client.query('delete from email_confirmations where person_id = $1', [person.id])
    }
    await unique(() =>
      client.query(
        `update people set email = $2, first_name = coalesce($3, first_name), last_name = coalesce($4, last_name),
           updated_at = now() where id = $1`,
        [person.id, email, cut(wanted.givenName), cut(wanted.familyName)],
      ),
    )
  }
  if (wanted.isActive && !before.active) await switchOn(change, id, before.person_id)
  if (!wanted.isActive && before.active) await switchOff(change, before.person_id)
  change.events.push({
    name: 'directory.user-changed',
    details: { user: id, person: before.person_id, active: wanted.isActive },
  })
  return directoryUser(client, directory, id)
}

/** The account stays; what it was in the organization ends. Rejects with `not-found`, or `conflict` for the owner. */
export async function deleteDirectoryUser(change: DirectoryChange, id: string): Promise<void> {
  const { rows } = await change.client.query<{ person_id: UserId }>(
    'delete from directory_users where directory_id = $1 and id = $2 returning person_id',
    [change.directory.id, id],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found', `There is no user ${id}.`)
  await switchOff(change, row.person_id)
  change.events.push({ name: 'directory.user-removed', details: { user: id, person: row.person_id } })
}

async function switchOn(change: DirectoryChange, userId: string, personId: UserId): Promise<void> {
  const { client, directory } = change
  const { rows } = await client.query<{ id: string }>(
    'select id from memberships where organization_id = $1 and person_id = $2',
    [directory.organizationId, personId],
  )
  const membershipId =
    rows[0]?.id ??
    (await insertMembership(client, {
      organizationId: directory.organizationId,
      personId,
      permissions: directory.permissions,
    }))
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id)
     select organization_id, team_id, $2 from directory_group_members
     join directory_groups on directory_groups.id = group_id where user_id = $1 on conflict do nothing`,
    [userId, membershipId],
  )
}

async function switchOff({ client, directory, ended }: DirectoryChange, personId: UserId): Promise<void> {
  const { rows } = await client.query<{ owner_id: string | null }>(
    'select owner_id from organizations where id = $1 for update',
    [directory.organizationId],
  )
  if (rows[0]?.owner_id === personId) {
    throw new AppError(
      'conflict',
      'The owner of the organization cannot be switched off. Give it to somebody else first.',
    )
  }
  ended.keys.push(...((await deleteMembership(client, directory.organizationId, personId)) ?? []))
  const person = await lockPerson(client, personId)
  // Whoever has moved to an address elsewhere is no business of the directory beyond this organization.
  if (person && (await speaksFor(client, directory.organizationId, person.email))) {
    ended.sessions.push(...(await deleteOtherSessions(client, personId, null)))
    await deleteAccessTokens(client, personId)
  }
}

/** The address, checked. Rejects with `invalid-value`. */
async function ownAddress({ client, directory }: DirectoryChange, text: string): Promise<string> {
  const email = checkEmail(text)
  if (await speaksFor(client, directory.organizationId, email)) return email
  const message = 'The organization has not proven the domain of this address.'
  throw new AppError('invalid-value', message, { fields: { email: message } })
}

const textCharactersMax = 300

function cut(text: string | null): string | null {
  const trimmed = storableText(text ?? '')
    .trim()
    .slice(0, textCharactersMax)
  return trimmed === '' ? null : trimmed
}

function columnsOf(wanted: WantedDirectoryUser, email: string): unknown[] {
  return [
    cut(wanted.userName) ?? email,
    cut(wanted.externalId),
    email,
    cut(wanted.givenName),
    cut(wanted.familyName),
    cut(wanted.displayName),
    wanted.isActive,
  ]
}

/** Rejects with `conflict` where something of that name is there. */
export async function unique(statement: () => Promise<unknown>): Promise<void> {
  try {
    await statement()
  } catch (error) {
    const constraint = violatedConstraint(error)
    if (constraint === null) throw error
    const message =
      constraint === 'people_email'
        ? 'Another account has this address.'
        : 'There is one with this name, or for this person, already.'
    throw new AppError('conflict', message, { cause: error })
  }
}

function userOf(row: Row): DirectoryUser {
  return {
    id: row.id,
    userName: row.user_name,
    externalId: row.external_id,
    email: row.email,
    givenName: row.given_name,
    familyName: row.family_name,
    displayName: row.display_name,
    isActive: row.active,
    groups: row.groups,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}
