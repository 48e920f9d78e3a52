/** Queued actions as the database holds them: work that waits for somebody to start it. */
import type { Queryable } from '../database/index.js'

/** Deletes an organization's queued runs of an action that have not been started. Returns how many. */
export async function deleteQueuedActions(
  client: Queryable,
  organizationId: string,
  actionSlug: string,
): Promise<number> {
  const { rowCount } = await client.query(
    'delete from queued_actions where organization_id = $1 and action_slug = $2',
    [organizationId, actionSlug],
  )
  return rowCount ?? 0
}
