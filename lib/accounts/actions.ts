/**
 * Actions and pages as hosts declare them, and who may run them. People set access in the dashboard, or the host's code
 * does; what the code says wins and goes away when the code no longer says it.
 */
import { type Queryable, storable } from '../database/index.js'
import { type EnvironmentId, newId, type OrganizationId, type UserId } from '../ids.js'
import type { AccessRule, TeamLevel } from './permissions.js'

/** What code may say: everybody, or the members of some teams. */
export type CodeAccess = 'entire-organization' | { readonly teams: readonly string[] }

export interface DeclaredAction {
  /** Full path. */
  readonly slug: string
  readonly name: string | null
  readonly description: string | null
  readonly backgroundable: boolean
  readonly warnOnClose: boolean
  readonly unlisted: boolean
  /** Declared in the same call as its page. */
  readonly isInline?: boolean
  readonly access?: CodeAccess | null
}

export interface DeclaredPage {
  readonly slug: string
  readonly name: string | null
  readonly description: string | null
  readonly unlisted: boolean
  readonly hasHandler: boolean
  readonly access?: CodeAccess | null
}

/** Where declarations live: an environment, and in development one person's part of it. */
export interface DeclarationPlace {
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly developerId: UserId | null
}

/** Writes declarations; what is as it was is not touched. Run it in a transaction. */
export async function recordDeclarations(
  client: Queryable,
  place: DeclarationPlace,
  actions: readonly DeclaredAction[],
  pages: readonly DeclaredPage[],
): Promise<void> {
  const where = [place.organizationId, place.environmentId, place.developerId]
  const unique = <Row extends { slug: string }>(rows: readonly Row[]): string =>
    storable(
      [...new Map(rows.map(row => [row.slug, row])).values()]
        .map(row => ({ ...row, id: newId<string>() }))
        .sort((one, other) => (one.slug < other.slug ? -1 : 1)),
    )
  await client.query(
    `insert into actions as old (id, organization_id, environment_id, developer_id, slug, is_inline, name, description,
       backgroundable, warn_on_close, unlisted)
     select id, $1, $2, $3, slug, coalesce("isInline", false), name, description, backgroundable, "warnOnClose", unlisted
     from jsonb_to_recordset($4::jsonb) as row(id text, slug text, "isInline" boolean, name text, description text,
       backgroundable boolean, "warnOnClose" boolean, unlisted boolean)
     on conflict (organization_id, environment_id, coalesce(developer_id, ''), slug) do update set
       is_inline = excluded.is_inline, name = excluded.name, description = excluded.description,
       backgroundable = excluded.backgroundable, warn_on_close = excluded.warn_on_close, unlisted = excluded.unlisted,
       updated_at = now()
     where (old.is_inline, old.name, old.description, old.backgroundable, old.warn_on_close, old.unlisted) is distinct from
       (excluded.is_inline, excluded.name, excluded.description, excluded.backgroundable, excluded.warn_on_close,
        excluded.unlisted)`,
    [...where, unique(actions)],
  )
  await client.query(
    `insert into action_groups as old (id, organization_id, environment_id, developer_id, slug, name, description, unlisted,
       has_handler)
     select id, $1, $2, $3, slug, name, description, unlisted, "hasHandler"
     from jsonb_to_recordset($4::jsonb) as row(id text, slug text, name text, description text, unlisted boolean,
       "hasHandler" boolean)
     on conflict (organization_id, environment_id, coalesce(developer_id, ''), slug) do update set
       name = excluded.name, description = excluded.description, unlisted = excluded.unlisted,
       has_handler = excluded.has_handler, updated_at = now()
     where (old.name, old.description, old.unlisted, old.has_handler) is distinct from
       (excluded.name, excluded.description, excluded.unlisted, excluded.has_handler)`,
    [...where, unique(pages)],
  )
  await recordAccess(client, place, actionTables, actions)
  await recordAccess(client, place, pageTables, pages)
}

interface Tables {
  readonly things: 'actions' | 'action_groups'
  readonly metadata: 'action_metadata' | 'action_group_metadata'
  readonly access: 'action_access' | 'action_group_access'
  readonly id: 'action_id' | 'action_group_id'
}

const actionTables: Tables = {
  things: 'actions',
  metadata: 'action_metadata',
  access: 'action_access',
  id: 'action_id',
}
const pageTables: Tables = {
  things: 'action_groups',
  metadata: 'action_group_metadata',
  access: 'action_group_access',
  id: 'action_group_id',
}

async function recordAccess(
  client: Queryable,
  place: DeclarationPlace,
  tables: Tables,
  declared: readonly { slug: string; access?: CodeAccess | null }[],
): Promise<void> {
  const { things, metadata, access, id } = tables
  const rules = declared.map(one => ({
    slug: one.slug,
    availability: one.access ? (one.access === 'entire-organization' ? 'ORGANIZATION' : 'GROUPS') : null,
    teams: one.access && one.access !== 'entire-organization' ? one.access.teams : [],
  }))
  const given = `with given as (
      select ${things}.id, row.availability, row.teams
      from jsonb_to_recordset($4::jsonb) as row(slug text, availability text, teams jsonb)
      join ${things} on ${things}.slug = row.slug and organization_id = $1 and environment_id = $2
        and coalesce(developer_id, '') = coalesce($3::text, ''))`
  const values = [place.organizationId, place.environmentId, place.developerId, storable(rules)]
  // Access that only code had set goes with the code.
  await client.query(
    `${given} delete from ${access} using given, ${metadata} as metadata
     where ${access}.${id} = given.id and metadata.${id} = given.id
       and (metadata.availability_in_code or given.availability is not null)
       and (given.availability is distinct from 'GROUPS' or not exists (
         select from teams where teams.id = ${access}.team_id and given.teams ? teams.slug))`,
    values,
  )
  await client.query(
    `${given} insert into ${metadata} as old (${id}, availability, availability_in_code)
     select id, availability, true from given where availability is not null
     on conflict (${id}) do update set availability = excluded.availability, availability_in_code = true, updated_at = now()
     where (old.availability, old.availability_in_code) is distinct from (excluded.availability, true)`,
    values,
  )
  await client.query(
    `${given} update ${metadata} as old set availability = null, availability_in_code = false, updated_at = now()
     from given where old.${id} = given.id and given.availability is null and old.availability_in_code`,
    values,
  )
  await client.query(
    `${given} insert into ${access} (${id}, team_id, level)
     select given.id, teams.id, 'RUNNER' from given
     join teams on teams.organization_id = $1 and given.teams ? teams.slug
     where given.availability = 'GROUPS'
     on conflict (${id}, team_id) do update set level = 'RUNNER'`,
    values,
  )
}

/** A rule as it is stored, by people or as a copy of what code says. */
export interface StoredRule {
  readonly rule: AccessRule
  /** Written by a host's code: it counts only while nobody who is declared says otherwise. */
  readonly inCode: boolean
}

/** What people have put in the place of what code says; null where nothing. */
export interface ActionOverrides {
  readonly name: string | null
  readonly description: string | null
  readonly backgroundable: boolean | null
  /** Offered to nobody any more. */
  readonly isArchived: boolean
}

/** By slug. What is not in the maps has no rule of its own, and is as code says. */
export interface StoredRules {
  readonly overrides: ReadonlyMap<string, ActionOverrides>
  readonly actions: ReadonlyMap<string, StoredRule>
  readonly pages: ReadonlyMap<string, StoredRule>
}

/** The rules set on the actions and pages of a place. */
export async function storedRules(client: Queryable, place: DeclarationPlace): Promise<StoredRules> {
  const read = async ({ things, metadata, access, id }: Tables): Promise<Map<string, StoredRule>> => {
    const { rows } = await client.query<{
      slug: string
      availability: 'ORGANIZATION' | 'GROUPS'
      in_code: boolean
      teams: Record<string, TeamLevel> | null
    }>(
      `select ${things}.slug, metadata.availability, metadata.availability_in_code as in_code, (
         select jsonb_object_agg(teams.slug, ${access}.level) from ${access} join teams on teams.id = ${access}.team_id
         where ${access}.${id} = ${things}.id) as teams
       from ${things} join ${metadata} as metadata on metadata.${id} = ${things}.id
       where organization_id = $1 and environment_id = $2 and coalesce(developer_id, '') = coalesce($3::text, '')
         and availability is not null`,
      [place.organizationId, place.environmentId, place.developerId],
    )
    return new Map(
      rows.map(row => [
        row.slug,
        {
          inCode: row.in_code,
          rule:
            row.availability === 'GROUPS'
              ? { availability: 'GROUPS', teams: row.teams ?? {} }
              : { availability: 'ORGANIZATION' },
        },
      ]),
    )
  }
  return {
    actions: await read(actionTables),
    pages: await read(pageTables),
    overrides: await storedOverrides(client, place),
  }
}

async function storedOverrides(
  client: Queryable,
  place: DeclarationPlace,
): Promise<Map<string, ActionOverrides>> {
  const { rows } = await client.query<ActionOverrides & { slug: string }>(
    `select slug, metadata.name, metadata.description, metadata.backgroundable, archived_at is not null as "isArchived"
     from actions join action_metadata as metadata on action_id = actions.id
     where organization_id = $1 and environment_id = $2 and coalesce(developer_id, '') = coalesce($3::text, '')
       and (metadata.name is not null or metadata.description is not null or metadata.backgroundable is not null
         or archived_at is not null)`,
    [place.organizationId, place.environmentId, place.developerId],
  )
  return new Map(rows.map(({ slug, ...overrides }) => [slug, overrides]))
}
