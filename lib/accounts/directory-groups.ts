/**
 * Groups as a directory has them: each is a team that nobody changes by hand. Who is in one is kept beside the team's own
 * members, so that somebody who is switched off and on again is where they were.
 *
 * Invariant: the members of such a team are the active members of the group, after each change.
 */
import { type Queryable, storableText } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId } from '../ids.js'
import type { Directory, DirectoryChange } from './directories.js'
import { type Page, unique } from './directory-people.js'
import { slugFrom } from './slugs.js'

const nameCharactersMax = 100
const textCharactersMax = 300
const slugTriesMax = 200

export interface DirectoryGroup {
  readonly id: string
  readonly externalId: string | null
  readonly name: string
  readonly createdAt: string
  readonly updatedAt: string
  /** Null where they were not asked for. */
  readonly members: readonly { readonly id: string; readonly name: string }[] | null
}

/** By what groups are looked up. */
export const groupFields = {
  id: 'id = $2',
  displayName: 'lower(display_name) = lower($2)',
  externalId: 'external_id = $2',
} as const
export type GroupField = keyof typeof groupFields

interface Row {
  readonly id: string
  readonly team_id: string
  readonly external_id: string | null
  readonly display_name: string
  readonly created_at: Date
  readonly updated_at: Date
  readonly members: { id: string; name: string }[] | null
}

const members = `coalesce((
  select jsonb_agg(jsonb_build_object('id', user_id, 'name', user_name) order by user_id)
  from directory_group_members join directory_users on directory_users.id = user_id
  where group_id = directory_groups.id), '[]')`

/** `offset` counts from 0. */
export async function listDirectoryGroups(
  client: Queryable,
  directory: Directory,
  wanted: {
    readonly by?: { readonly field: GroupField; readonly value: string } | undefined
    readonly offset: number
    readonly count: number
    readonly withMembers: boolean
  },
): Promise<Page<DirectoryGroup>> {
  const { by, offset, count, withMembers } = wanted
  const condition = `directory_id = $1 and ${by ? groupFields[by.field] : '$2::text is null'}`
  const values = [directory.id, by?.value ?? null]
  const { rows: counted } = await client.query<{ total: number }>(
    `select count(*)::int as total from directory_groups where ${condition}`,
    values,
  )
  const { rows } = await client.query<Row>(
    `select directory_groups.*, ${withMembers ? members : 'null'} as members from directory_groups
     where ${condition} order by created_at, id limit $3 offset $4`,
    [...values, count, offset],
  )
  return { total: counted[0]?.total ?? 0, items: rows.map(groupOf) }
}

/** Rejects with `not-found`. */
export async function directoryGroup(
  client: Queryable,
  directory: Directory,
  id: string,
  withMembers = true,
): Promise<DirectoryGroup> {
  const { items } = await listDirectoryGroups(client, directory, {
    by: { field: 'id', value: id },
    offset: 0,
    count: 1,
    withMembers,
  })
  if (!items[0]) throw new AppError('not-found', `There is no group ${id}.`)
  return items[0]
}

/** Makes the team. Rejects with `conflict` for a name that is there already. */
export async function addDirectoryGroup(
  change: DirectoryChange,
  wanted: { readonly name: string; readonly externalId: string | null; readonly members: readonly string[] },
): Promise<DirectoryGroup> {
  const { client, directory, limits, nowMs } = change
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from directory_groups where directory_id = $1',
    [directory.id],
  )
  if ((rows[0]?.count ?? 0) >= limits.directoryGroupsMax) {
    throw new AppError('conflict', 'This directory has as many groups as are allowed.')
  }
  const id = newId<string>()
  const teamId = newId<string>()
  const name = nameOf(wanted.name)
  await client.query(
    `insert into teams (id, organization_id, slug, name, external_id) values ($1, $2, $3, $4, $5)`,
    [teamId, directory.organizationId, await freeSlug(client, directory, name), name, `directory:${id}`],
  )
  await unique(() =>
    client.query(
      `insert into directory_groups (id, directory_id, organization_id, team_id, external_id, display_name,
         created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $7)`,
      [id, directory.id, directory.organizationId, teamId, cut(wanted.externalId), name, new Date(nowMs)],
    ),
  )
  await addGroupMembers(change, id, wanted.members)
  change.events.push({ name: 'directory.group-added', details: { group: id, team: teamId, name } })
  return directoryGroup(client, directory, id)
}

/** Rejects with `not-found`, or `conflict` for a name that is there already. The team's slug stays: code says it. */
export async function renameDirectoryGroup(
  change: DirectoryChange,
  id: string,
  wanted: { readonly name: string; readonly externalId: string | null },
): Promise<void> {
  const { client, directory, nowMs } = change
  const { team_id: teamId } = await groupRow(client, directory, id)
  const name = nameOf(wanted.name)
  await unique(() =>
    client.query(
      'update directory_groups set display_name = $2, external_id = $3, updated_at = $4 where id = $1',
      [id, name, cut(wanted.externalId), new Date(nowMs)],
    ),
  )
  await client.query('update teams set name = $2, updated_at = now() where id = $1', [teamId, name])
  change.events.push({ name: 'directory.group-changed', details: { group: id, name } })
}

/** Does nothing for who is in it. Rejects with `invalid-value` for users that the directory does not have. */
export async function addGroupMembers(
  change: DirectoryChange,
  id: string,
  users: readonly string[],
): Promise<void> {
  const { client, directory } = change
  await groupRow(client, directory, id)
  const wanted = [...new Set(users)]
  const { rows } = await client.query<{ id: string }>(
    'select id from directory_users where directory_id = $1 and id = any($2)',
    [directory.id, wanted],
  )
  if (rows.length !== wanted.length) {
    throw new AppError('invalid-value', 'A member is no user of this directory.', {
      fields: { members: 'A member is no user of this directory.' },
    })
  }
  await client.query(
    `insert into directory_group_members (group_id, user_id) select $1, unnest($2::text[]) on conflict do nothing`,
    [id, wanted],
  )
  await fillTeam(change, id)
}

/** Does nothing for who is not in it. */
export async function removeGroupMembers(
  change: DirectoryChange,
  id: string,
  users: readonly string[],
): Promise<void> {
  await groupRow(change.client, change.directory, id)
  await change.client.query('delete from directory_group_members where group_id = $1 and user_id = any($2)', [
    id,
    users,
  ])
  await fillTeam(change, id)
}

/** Exactly these. Rejects as `addGroupMembers` does. */
export async function setGroupMembers(
  change: DirectoryChange,
  id: string,
  users: readonly string[],
): Promise<void> {
  await groupRow(change.client, change.directory, id)
  await change.client.query(
    'delete from directory_group_members where group_id = $1 and user_id <> all($2)',
    [id, users],
  )
  await addGroupMembers(change, id, users)
}

/** With its team. Rejects with `not-found`. */
export async function deleteDirectoryGroup(change: DirectoryChange, id: string): Promise<void> {
  const { team_id: teamId } = await groupRow(change.client, change.directory, id)
  await change.client.query('delete from teams where id = $1', [teamId])
  change.events.push({ name: 'directory.group-removed', details: { group: id, team: teamId } })
}

async function groupRow(client: Queryable, directory: Directory, id: string): Promise<{ team_id: string }> {
  const { rows } = await client.query<{ team_id: string }>(
    'select team_id from directory_groups where directory_id = $1 and id = $2',
    [directory.id, id],
  )
  if (!rows[0]) throw new AppError('not-found', `There is no group ${id}.`)
  return rows[0]
}

async function fillTeam({ client, nowMs }: DirectoryChange, id: string): Promise<void> {
  const wanted = `select directory_groups.organization_id, directory_groups.team_id, memberships.id as membership_id
    from directory_groups join directory_group_members on group_id = directory_groups.id
    join directory_users on directory_users.id = user_id and active
    join memberships on memberships.organization_id = directory_groups.organization_id
      and memberships.person_id = directory_users.person_id
    where directory_groups.id = $1`
  await client.query(
    `delete from team_memberships where team_id = (select team_id from directory_groups where id = $1)
       and membership_id not in (select membership_id from (${wanted}) as wanted)`,
    [id],
  )
  await client.query(
    `insert into team_memberships (organization_id, team_id, membership_id)
     select distinct organization_id, team_id, membership_id from (${wanted}) as wanted on conflict do nothing`,
    [id],
  )
  await client.query('update directory_groups set updated_at = $2 where id = $1', [id, new Date(nowMs)])
}

async function freeSlug(client: Queryable, directory: Directory, name: string): Promise<string> {
  const wanted = slugFrom(name, 'team')
  const { rows } = await client.query<{ slug: string }>(
    `select slug from teams where organization_id = $1 and (slug = $2 or starts_with(slug, $2 || '-'))`,
    [directory.organizationId, wanted],
  )
  const taken = new Set(rows.map(row => row.slug))
  for (let count = 1; count < slugTriesMax; count += 1) {
    const slug = count === 1 ? wanted : `${wanted}-${count}`
    if (!taken.has(slug)) return slug
  }
  throw new AppError('conflict', 'There are too many teams of this name.')
}

function nameOf(text: string): string {
  const name = storableText(text).trim().slice(0, nameCharactersMax)
  if (name !== '') return name
  throw new AppError('invalid-value', 'A group needs a name.', {
    fields: { displayName: 'A group needs a name.' },
  })
}

function cut(text: string | null): string | null {
  const trimmed = storableText(text ?? '')
    .trim()
    .slice(0, textCharactersMax)
  return trimmed === '' ? null : trimmed
}

function groupOf(row: Row): DirectoryGroup {
  return {
    id: row.id,
    externalId: row.external_id,
    name: row.display_name,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    members: row.members,
  }
}
