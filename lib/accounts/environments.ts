/** Environments of an organization: `production`, `development` (every developer's own console) and any others. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { type EnvironmentId, newId, type OrganizationId } from '../ids.js'
import type { EnvironmentRef } from './contract.js'
import type { Asker, Guard } from './guard.js'
import { slugFrom } from './slugs.js'

const orderLast = 100

/** Colours offered for telling environments apart. */
export const environmentColors = ['gray', 'red', 'orange', 'yellow', 'green', 'blue', 'purple'] as const
export type EnvironmentColor = (typeof environmentColors)[number]

export interface EnvironmentInfo extends EnvironmentRef {
  readonly color: string | null
}

/** Rejects with `conflict` when the organization has such a slug, `not-found` when there is no such organization. */
export async function insertEnvironment(
  client: Queryable,
  environment: {
    organizationId: OrganizationId
    slug: string
    name: string
    color?: EnvironmentColor | null
    position?: number
  },
): Promise<EnvironmentInfo> {
  const id = newId<EnvironmentId>()
  const color = environment.color ?? null
  try {
    await client.query(
      `insert into environments (id, organization_id, slug, name, color, position) values ($1, $2, $3, $4, $5, $6)`,
      [
        id,
        environment.organizationId,
        environment.slug,
        environment.name,
        color,
        environment.position ?? orderLast,
      ],
    )
  } catch (error) {
    if (violatedConstraint(error) === null) throw error
    const exists = error instanceof AppError && error.code === 'conflict'
    throw exists
      ? new AppError('conflict', `An environment "${environment.slug}" already exists.`, { cause: error })
      : new AppError('not-found', 'There is no such organization.', { cause: error })
  }
  return { id, slug: environment.slug, name: environment.name, color }
}

/** Built-in ones first, then by age. */
export async function listEnvironments(
  client: Queryable,
  organizationId: OrganizationId,
): Promise<EnvironmentInfo[]> {
  const { rows } = await client.query<EnvironmentInfo>(
    `select id, slug, name, color from environments where organization_id = $1 and deleted_at is null
     order by position, created_at, id`,
    [organizationId],
  )
  return rows
}

/** Null when the organization has no such environment; an id of another organization counts as none. */
export async function findEnvironment(
  client: Queryable,
  organizationId: string,
  by: { id?: string | undefined; slug?: string | undefined },
): Promise<EnvironmentInfo | null> {
  const { rows } = await client.query<EnvironmentInfo>(
    `select id, slug, name, color from environments where organization_id = $1 and (id = $2 or slug = $3)
     and deleted_at is null`,
    [organizationId, by.id ?? null, by.slug ?? null],
  )
  return rows[0] ?? null
}

export interface EnvironmentAccounts {
  /** Without a slug one is made from the name. Rejects with `forbidden`, or `conflict` where there is one of that slug. */
  addEnvironment(
    by: Asker,
    environment: { name: string; slug?: string | undefined; color?: EnvironmentColor | null | undefined },
  ): Promise<EnvironmentInfo>
  /** Name and colour: the slug is in addresses. Rejects with `forbidden`, `not-found`, or `conflict` for a built-in one. */
  changeEnvironment(
    by: Asker,
    slug: string,
    wanted: { name?: string | undefined; color?: EnvironmentColor | null | undefined },
  ): Promise<void>
  /**
   * Ends its keys, schedules and what waits in its queue; its history stays, though nobody sees it. Rejects as
   * `changeEnvironment` does.
   */
  deleteEnvironment(by: Asker, slug: string): Promise<void>
}

const nameCharactersMax = 100
const builtIn: ReadonlySet<string> = new Set(['production', 'development'])

export function createEnvironmentAccounts(guard: Guard): EnvironmentAccounts {
  const { database, identities, limits } = guard

  return {
    async addEnvironment(by, { name: text, slug, color }) {
      const actor = await guard.member(by, 'WRITE_ORG_ENVIRONMENTS', 'add an environment')
      const name = checkName(text)
      const organizationId = actor.organization.id
      const made = await guard.inTurn(actor, async client => {
        const known = await listEnvironments(client, organizationId)
        if (known.length >= limits.environmentsPerOrganizationMax)
          throw new AppError('conflict', 'This organization has as many environments as are allowed.')
        const wanted = slug ?? slugFrom(name, 'environment')
        return insertEnvironment(client, { organizationId, slug: wanted, name, color: color ?? null })
      })
      guard.rightsChanged(by, actor, 'environment.added', { environment: made.slug })
      return made
    },

    async changeEnvironment(by, slug, { name: text, color }) {
      const actor = await guard.member(by, 'WRITE_ORG_ENVIRONMENTS', 'change an environment')
      checkNotBuiltIn(slug)
      const name = text === undefined ? null : checkName(text)
      const { rowCount } = await database.query(
        `update environments set name = coalesce($3, name), color = case when $4 then $5 else color end,
           updated_at = now()
         where organization_id = $1 and slug = $2 and deleted_at is null`,
        [actor.organization.id, slug, name, color !== undefined, color ?? null],
      )
      if (rowCount !== 1) throw new AppError('not-found')
      guard.rightsChanged(by, actor, 'environment.changed', {
        environment: slug,
        ...(name !== null && { name }),
        ...(color !== undefined && { color }),
      })
    },

    async deleteEnvironment(by, slug) {
      const actor = await guard.member(by, 'WRITE_ORG_ENVIRONMENTS', 'delete an environment')
      checkNotBuiltIn(slug)
      const keys = await database.transaction(async client => {
        const { rows } = await client.query<{ id: EnvironmentId }>(
          `update environments set deleted_at = now(), updated_at = now()
           where organization_id = $1 and slug = $2 and deleted_at is null returning id`,
          [actor.organization.id, slug],
        )
        const row = rows[0]
        if (!row) throw new AppError('not-found')
        return endEnvironments(client, [row.id])
      })
      guard.rightsChanged(by, actor, 'environment.deleted', { environment: slug, keys: keys.length })
      identities.announce({ keys })
    },
  }
}

/** Ends what goes on by itself in environments that are deleted. Returns the keys that were revoked. */
export async function endEnvironments(client: Queryable, ids: readonly EnvironmentId[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `update api_keys set revoked_at = now() where environment_id = any($1) and revoked_at is null returning id`,
    [ids],
  )
  await client.query(
    `update schedules set deleted_at = now(), revision = revision + 1, updated_at = now()
     from actions where actions.id = action_id and environment_id = any($1) and schedules.deleted_at is null`,
    [ids],
  )
  await client.query('delete from queued_actions where environment_id = any($1) and transaction_id is null', [
    ids,
  ])
  return rows.map(row => row.id)
}

function checkNotBuiltIn(slug: string): void {
  if (builtIn.has(slug)) {
    throw new AppError('conflict', 'Production and development belong to every organization as they are.')
  }
}

/** Trimmed. Rejects with `invalid-value` for none. */
function checkName(text: string): string {
  const name = text.trim().slice(0, nameCharactersMax)
  if (name !== '') return name
  const message = 'Give the environment a name.'
  throw new AppError('invalid-value', message, { fields: { name: message } })
}
