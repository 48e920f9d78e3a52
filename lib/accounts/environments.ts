/** Environments of an organization: `production`, `development` (every developer's own console) and any others. */
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { type EnvironmentId, newId, type OrganizationId } from '../ids.js'
import type { EnvironmentRef } from './contract.js'

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
    `select id, slug, name, color from environments where organization_id = $1 order by position, created_at, id`,
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
    `select id, slug, name, color from environments where organization_id = $1 and (id = $2 or slug = $3)`,
    [organizationId, by.id ?? null, by.slug ?? null],
  )
  return rows[0] ?? null
}
