/**
 * What people set about actions and pages of an environment: who may run them, under which name they are shown, whether
 * they are still offered. Where the host's code says who may, that stands and is only shown here.
 *
 * Invariant: whoever may change what is run in live environments may set this for every action there, also for those they
 * may not run; each change is in the audit log. A console has no settings: everything there is one's own.
 */
import { type Queryable, storable } from '../database/index.js'
import { AppError } from '../errors.js'
import type { EnvironmentId, OrganizationId } from '../ids.js'
import type { Actor } from './contract.js'
import type { Asker, Guard } from './guard.js'
import type { TeamLevel } from './permissions.js'

export type SettableKind = 'action' | 'page'

/** Null: as the nearest page above says, else everybody. */
export type Availability = 'ORGANIZATION' | 'GROUPS' | null

export interface NotificationTarget {
  /** An e-mail address, or a Slack channel or user. */
  readonly to: string
  readonly method: 'EMAIL' | 'SLACK' | null
}

interface Settable {
  readonly id: string
  readonly slug: string
  /** As code names it; null where it does not. */
  readonly name: string | null
  readonly description: string | null
  readonly unlisted: boolean
  readonly availability: Availability
  readonly teams: readonly { readonly id: string; readonly level: TeamLevel }[]
  /** Code says who may: nobody changes it here. */
  readonly inCode: boolean
  /** The page whose rule counts where none is set here; null when none above says anything. */
  readonly inheritsFrom: string | null
}

export interface ActionSettings extends Settable {
  readonly kind: 'action'
  readonly backgroundable: boolean
  /** What people have put in the place of what code says; null where nothing. */
  readonly overrides: {
    readonly name: string | null
    readonly description: string | null
    readonly backgroundable: boolean | null
  }
  readonly isArchived: boolean
  readonly notifications: readonly NotificationTarget[]
}

export interface PageSettings extends Settable {
  readonly kind: 'page'
  readonly hasHandler: boolean
}

/** Absent: stays as it is. */
export interface WantedActionSettings {
  readonly name?: string | null | undefined
  readonly description?: string | null | undefined
  readonly backgroundable?: boolean | null | undefined
  readonly isArchived?: boolean | undefined
  readonly notifications?: readonly NotificationTarget[] | undefined
}

export interface ActionSettingsAccounts {
  /** All that hosts have declared in the environment, by slug. Rejects with `forbidden` or `not-found`. */
  actionSettings(
    by: Asker,
    environment: string,
  ): Promise<{ actions: ActionSettings[]; pages: PageSettings[] }>
  /** Rejects with `forbidden` or `not-found`. */
  changeAction(by: Asker, environment: string, id: string, wanted: WantedActionSettings): Promise<void>
  /**
   * Rejects with `forbidden`, `not-found` for teams of others and for what is not in the environment, or `conflict` where
   * code says who may.
   */
  setAccess(
    by: Asker,
    environment: string,
    thing: { kind: SettableKind; id: string },
    rule: { availability: Availability; teams: readonly { id: string; level: TeamLevel }[] },
  ): Promise<void>
}

const rowsMax = 5_000

export function createActionSettings(guard: Guard): ActionSettingsAccounts {
  const { database, identities } = guard

  /** The person in a live environment. Rejects with `not-found` for the console. */
  const place = async (by: Asker, environment: string, what: string): Promise<Actor> => {
    await guard.member(by, 'WRITE_PROD_ACTIONS', what)
    if (environment === 'development') {
      throw new AppError('not-found', 'A console has no settings: everything there is one’s own.')
    }
    return identities.actor(by.userId, by.organization, environment)
  }

  return {
    async actionSettings(by, environment) {
      const actor = await place(by, environment, 'list settings of actions')
      const where = [actor.organization.id, actor.environment.id] as const
      const pages = await readPages(database, where)
      const ruled = new Set(pages.filter(page => page.availability !== null).map(page => page.slug))
      const withParents = <Thing extends Omit<Settable, 'inheritsFrom'>>(thing: Thing) => ({
        ...thing,
        inheritsFrom: nearestRuled(thing.slug, ruled),
      })
      const actions = await readActions(database, where)
      return { actions: actions.map(withParents), pages: pages.map(withParents) }
    },

    async changeAction(by, environment, id, wanted) {
      const actor = await place(by, environment, 'change an action')
      const slug = await database.transaction(async client => {
        const found = await lockThing(client, actor, 'action', id)
        const text = (value: string | null | undefined): string | null => value?.trim() || null
        await client.query(
          `insert into action_metadata as old (action_id, name, description, backgroundable, archived_at,
             default_notification_delivery)
           values ($1, $2, $3, $4, case when $5 then now() end, $6)
           on conflict (action_id) do update set
             name = case when $7 then excluded.name else old.name end,
             description = case when $8 then excluded.description else old.description end,
             backgroundable = case when $9 then excluded.backgroundable else old.backgroundable end,
             archived_at = case when not $10 then old.archived_at when $5 then coalesce(old.archived_at, now()) end,
             default_notification_delivery = case when $11 then excluded.default_notification_delivery
               else old.default_notification_delivery end,
             updated_at = now()`,
          [
            id,
            text(wanted.name),
            text(wanted.description),
            wanted.backgroundable ?? null,
            wanted.isArchived === true,
            wanted.notifications === undefined ? null : storable(wanted.notifications),
            wanted.name !== undefined,
            wanted.description !== undefined,
            wanted.backgroundable !== undefined,
            wanted.isArchived !== undefined,
            wanted.notifications !== undefined,
          ],
        )
        if (wanted.isArchived === true) {
          await client.query(
            `update schedules set deleted_at = now(), revision = revision + 1, updated_at = now()
             where action_id = $1 and deleted_at is null`,
            [id],
          )
        }
        return found.slug
      })
      guard.rightsChanged(by, actor, 'action.changed', {
        environment,
        slug,
        what: Object.entries(wanted)
          .filter(([, value]) => value !== undefined)
          .map(([name]) => name)
          .join(' '),
        ...(wanted.isArchived !== undefined && { isArchived: wanted.isArchived }),
      })
    },

    async setAccess(by, environment, { kind, id }, { availability, teams }) {
      const actor = await place(by, environment, 'set access')
      const slug = await database.transaction(async client => {
        const found = await lockThing(client, actor, kind, id)
        if (found.in_code) {
          throw new AppError('conflict', 'The code of the host says who may. Change it there.')
        }
        const wanted =
          availability === 'GROUPS' ? new Map(teams.map(team => [team.id, team.level])) : new Map()
        await checkTeams(client, actor.organization.id, [...wanted.keys()])
        const { access, column, metadata } = tables[kind]
        await client.query(
          `insert into ${metadata} (${column}, availability) values ($1, $2)
           on conflict (${column}) do update set availability = excluded.availability, updated_at = now()`,
          [id, availability],
        )
        await client.query(`delete from ${access} where ${column} = $1`, [id])
        await client.query(
          `insert into ${access} (${column}, team_id, level)
           select $1, row.id, row.level from jsonb_to_recordset($2::jsonb) as row(id text, level text)`,
          [id, storable([...wanted].map(([team, level]) => ({ id: team, level })))],
        )
        return found.slug
      })
      guard.rightsChanged(by, actor, 'access.changed', {
        environment,
        kind,
        slug,
        availability: availability ?? 'INHERITED',
        teams: availability === 'GROUPS' ? teams.length : 0,
      })
    },
  }
}

const tables = {
  action: { things: 'actions', metadata: 'action_metadata', access: 'action_access', column: 'action_id' },
  page: {
    things: 'action_groups',
    metadata: 'action_group_metadata',
    access: 'action_group_access',
    column: 'action_group_id',
  },
} as const

/** Holds it until the transaction ends. Rejects with `not-found` for what is not in the actor's environment. */
async function lockThing(
  client: Queryable,
  actor: Actor,
  kind: SettableKind,
  id: string,
): Promise<{ slug: string; in_code: boolean }> {
  const { column, metadata, things } = tables[kind]
  const { rows } = await client.query<{ slug: string; in_code: boolean }>(
    `select slug, coalesce((select availability_in_code from ${metadata} where ${column} = ${things}.id), false) as in_code
     from ${things} where id = $1 and organization_id = $2 and environment_id = $3 and developer_id is null for update`,
    [id, actor.organization.id, actor.environment.id],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found')
  return row
}

async function checkTeams(
  client: Queryable,
  organizationId: OrganizationId,
  ids: readonly string[],
): Promise<void> {
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from teams where organization_id = $1 and id = any($2)',
    [organizationId, ids],
  )
  if (rows[0]?.count !== ids.length) {
    throw new AppError('not-found', 'A team does not belong to this organization.')
  }
}

/** Of the pages above, the nearest that has a rule of its own. */
function nearestRuled(slug: string, ruled: ReadonlySet<string>): string | null {
  for (let end = slug.lastIndexOf('/'); end > 0; end = slug.lastIndexOf('/', end - 1)) {
    const page = slug.slice(0, end)
    if (ruled.has(page)) return page
  }
  return null
}

type Where = readonly [OrganizationId, EnvironmentId]

const teamsOf = ({ access, column, things }: (typeof tables)[SettableKind]): string =>
  `coalesce((select jsonb_agg(jsonb_build_object('id', team_id, 'level', level) order by team_id) from ${access}
    where ${access}.${column} = ${things}.id), '[]') as teams`

async function readActions(client: Queryable, where: Where): Promise<Omit<ActionSettings, 'inheritsFrom'>[]> {
  const { rows } = await client.query<Omit<ActionSettings, 'inheritsFrom'>>(
    `select 'action' as kind, actions.id, slug, actions.name, actions.description, unlisted,
       coalesce(actions.backgroundable, false) as backgroundable, availability, ${teamsOf(tables.action)},
       coalesce(availability_in_code, false) as "inCode",
       jsonb_build_object('name', metadata.name, 'description', metadata.description,
         'backgroundable', metadata.backgroundable) as overrides,
       archived_at is not null as "isArchived",
       coalesce(default_notification_delivery, '[]') as notifications
     from actions left join action_metadata as metadata on action_id = actions.id
     where organization_id = $1 and environment_id = $2 and developer_id is null order by slug limit ${rowsMax}`,
    where,
  )
  return rows
}

async function readPages(client: Queryable, where: Where): Promise<Omit<PageSettings, 'inheritsFrom'>[]> {
  const { rows } = await client.query<Omit<PageSettings, 'inheritsFrom'>>(
    `select 'page' as kind, action_groups.id, slug, name, description, unlisted, has_handler as "hasHandler",
       availability, ${teamsOf(tables.page)}, coalesce(availability_in_code, false) as "inCode"
     from action_groups left join action_group_metadata on action_group_id = action_groups.id
     where organization_id = $1 and environment_id = $2 and developer_id is null order by slug limit ${rowsMax}`,
    where,
  )
  return rows
}
