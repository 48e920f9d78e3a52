/**
 * The queue: actions that wait for somebody to start them, with their parameters. The database holds them; that they
 * expire, and when people are reminded of them, is a matter of timers.
 *
 * Invariant: an item is claimed by one run; the same run may claim it again, and gets the same parameters, or put it
 * back. Every item is looked for within its organization and environment, and in development it belongs to one developer.
 */
import { type Queryable, storable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type OrganizationId, type UserId } from '../ids.js'
import { limits } from '../limits.js'
import type { Audit } from './audit.js'
import type { Actor, HostIdentity } from './contract.js'

export interface NewQueueItem {
  /** Full path of the action. */
  readonly slug: string
  /** E-mail address of a member; absent: whoever may run the action. */
  readonly assignee?: string | null | undefined
  readonly params?: Readonly<Record<string, unknown>> | null | undefined
  /** superjson meta of `params`. */
  readonly paramsMeta?: unknown
  readonly expiresAtMs?: number | undefined
  readonly remindAtMs?: number | undefined
  /** A host declares the action; the database may not have heard of it yet. */
  readonly isDeclared: boolean
}

/** What a host gets back when it takes an item out. */
export interface TakenItem {
  readonly id: string
  readonly assignee: string | null
  readonly params: unknown
  readonly paramsMeta: unknown
}

export interface QueueListing {
  readonly id: string
  readonly slug: string
  readonly assignee: { readonly id: UserId; readonly email: string } | null
  readonly params: unknown
  readonly createdAt: string
  readonly expiresAt: string | null
}

/** What there is to say when somebody is to be reminded. */
export interface QueueReminder {
  readonly organizationId: OrganizationId
  readonly environmentId: string
  readonly slug: string
  readonly email: string
}

export interface Queue {
  /** Rejects with `not-found` when the environment knows no such action or the organization no such member. */
  enqueue(host: HostIdentity, id: string, item: NewQueueItem): Promise<void>
  /** Rejects with `not-found`; one that was started is out already. */
  dequeue(host: HostIdentity, id: string): Promise<TakenItem>
  /**
   * What waits for this person or for anybody, oldest first, of the actions of these slugs: those that they may run. For
   * who decides about the work of others, theirs after that.
   */
  list(actor: Actor, slugs: readonly string[]): Promise<QueueListing[]>
  /**
   * The parameters, for a run that starts what waits; `isNew` the first time. Rejects with `not-found`, or `conflict` for
   * another run's.
   */
  claim(
    actor: Actor,
    claim: { readonly id: string; readonly slug: string; readonly transactionId: string },
  ): Promise<{ params: unknown; paramsMeta: unknown; isNew: boolean }>
  /** Puts back what a run has claimed that was not started after all; of another run's, or none, it does nothing. */
  release(actor: Actor, claim: { readonly id: string; readonly transactionId: string }): Promise<void>
  /** Gives an item to a member, or to everybody. Rejects with `not-found`. */
  assign(actor: Actor, id: string, email: string | null): Promise<void>
  /** Throws an item away unstarted. Rejects with `not-found`. */
  dismiss(actor: Actor, id: string): Promise<void>
  /** Removes what nobody has started; false when there is nothing. */
  expire(id: string): Promise<boolean>
  /**
   * Looks after what runs have claimed a while ago. A run that is in the history has it for good; one that is neither
   * there nor, for ten minutes, held by a node never came to be, and what it had claimed waits again. Returns how many do.
   */
  settle(isHeld: (transactionId: string) => Promise<boolean>): Promise<number>
  /** Null when there is nobody to remind: it was started or thrown away, or waits for anybody. */
  reminder(id: string): Promise<QueueReminder | null>
}

const listMax = 200
const settledMax = 200
/** A run is started within seconds of its claim, or never. */
const settleMs = 900_000
/** The history may be late: what is to be found nowhere is looked for once more. */
const missingMsMin = 600_000

/** What has expired is gone for everybody, also while its timer is late. */
const isCurrent = '(expires_at is null or expires_at > now())'

interface Row {
  readonly id: string
  readonly slug: string
  readonly assignee_id: UserId | null
  readonly email: string | null
  readonly params: unknown
  readonly params_meta: unknown
  readonly created_at: Date
  readonly expires_at: Date | null
}

export function createQueue({ audit, database }: { database: Queryable; audit: Audit }): Queue {
  const memberByEmail = async (organizationId: string, email: string): Promise<UserId> => {
    const { rows } = await database.query<{ id: UserId }>(
      `select people.id from people join memberships on memberships.person_id = people.id
       where memberships.organization_id = $1 and lower(people.email) = lower($2)`,
      [organizationId, email],
    )
    const id = rows[0]?.id
    if (!id) throw new AppError('not-found', 'The assignee is not a member of this organization.')
    return id
  }

  return {
    async enqueue(host, id, item) {
      const { environment, kind, organization, user } = host
      const developerId = kind === 'DEVELOPMENT' ? user.id : null
      if (developerId && item.assignee && item.assignee.toLowerCase() !== user.email.toLowerCase()) {
        throw new AppError('bad-request', 'With a development key the assignee can only be you.')
      }
      const assigneeId = item.assignee ? await memberByEmail(organization.id, item.assignee) : developerId
      const { rowCount } = await database.query(
        `insert into queued_actions (id, organization_id, environment_id, action_id, action_slug, assignee_id, params,
           params_meta, expires_at, remind_at)
         select $1, $2, $3, known.id, $4, $6, $7, $8, $9, $10
         from (select) as one left join lateral (
           select id from actions where organization_id = $2 and environment_id = $3 and slug = $4
             and developer_id is not distinct from $5
         ) as known on true
         where (known.id is not null or $11) and (select count(*) from (
           select from queued_actions where organization_id = $2 and environment_id = $3 and transaction_id is null
           limit $12) as waiting) < $12
         on conflict (id) do nothing`,
        [
          id,
          organization.id,
          environment.id,
          item.slug,
          developerId,
          assigneeId,
          item.params == null ? null : storable(item.params),
          item.paramsMeta == null ? null : storable(item.paramsMeta),
          item.expiresAtMs === undefined ? null : new Date(item.expiresAtMs),
          item.remindAtMs === undefined ? null : new Date(item.remindAtMs),
          item.isDeclared,
          limits.queueItemsMax,
        ],
      )
      if (rowCount === 1) return
      const { rows } = await database.query<{ count: number }>(
        `select count(*)::integer as count from (
           select from queued_actions where organization_id = $1 and environment_id = $2 and transaction_id is null
           limit $3) as waiting`,
        [organization.id, environment.id, limits.queueItemsMax],
      )
      if ((rows[0]?.count ?? 0) >= limits.queueItemsMax)
        throw new AppError('queue-full', 'Too much waits in the queue of this environment already.')
      throw new AppError('not-found', 'There is no such action in this environment.')
    },

    async dequeue(host, id) {
      const developerId = host.kind === 'DEVELOPMENT' ? host.user.id : null
      const { rows } = await database.query<Row>(
        `with taken as (
           delete from queued_actions where id = $1 and organization_id = $2 and environment_id = $3
             and transaction_id is null and ($4::text is null or assignee_id = $4) and ${isCurrent}
           returning *
         )
         select taken.id, params, params_meta, people.email
         from taken left join people on people.id = taken.assignee_id`,
        [id, host.organization.id, host.environment.id, developerId],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-found', 'There is no such item in the queue.')
      return { id: row.id, assignee: row.email, params: row.params, paramsMeta: row.params_meta }
    },

    async list(actor, slugs) {
      const { rows } = await database.query<Row>(
        `select queued_actions.id, action_slug as slug, assignee_id, people.email, params, queued_actions.created_at,
           expires_at
         from queued_actions left join people on people.id = assignee_id
         where organization_id = $1 and environment_id = $2 and transaction_id is null
           and (assignee_id = $3 or ($4 and assignee_id is null) or $5) and action_slug = any($6) and ${isCurrent}
         order by assignee_id is not null and assignee_id <> $3, queued_actions.created_at, queued_actions.id limit $7`,
        [
          actor.organization.id,
          actor.environment.id,
          actor.user.id,
          !isConsole(actor),
          !isConsole(actor) && actor.permissions.has('WRITE_PROD_ACTIONS'),
          slugs,
          listMax,
        ],
      )
      return rows.map(row => ({
        id: row.id,
        slug: row.slug,
        assignee: row.assignee_id && row.email ? { id: row.assignee_id, email: row.email } : null,
        params: row.params,
        createdAt: row.created_at.toISOString(),
        expiresAt: row.expires_at?.toISOString() ?? null,
      }))
    },

    async claim(actor, { id, slug, transactionId }) {
      const { rows } = await database.query<Row & { transaction_id: string; is_new: boolean }>(
        `with before as (select transaction_id from queued_actions where id = $1 for update)
         update queued_actions set transaction_id = coalesce(queued_actions.transaction_id, $5),
           claimed_at = coalesce(queued_actions.claimed_at, now())
         from before
         where id = $1 and organization_id = $2 and environment_id = $3 and action_slug = $4
           and (assignee_id = $6 or ($7 and assignee_id is null))
           and (queued_actions.transaction_id = $5 or ${isCurrent})
         returning params, params_meta, queued_actions.transaction_id, before.transaction_id is null as is_new`,
        [
          id,
          actor.organization.id,
          actor.environment.id,
          slug,
          transactionId,
          actor.user.id,
          !isConsole(actor),
        ],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-found', 'There is no such item in the queue.')
      if (row.transaction_id !== transactionId)
        throw new AppError('conflict', 'This was started already, in another run.')
      return { params: row.params, paramsMeta: row.params_meta, isNew: row.is_new }
    },

    async release(actor, { id, transactionId }) {
      await database.query(
        `update queued_actions set transaction_id = null, claimed_at = null, missing_at = null
         where id = $1 and organization_id = $2 and environment_id = $3 and transaction_id = $4`,
        [id, actor.organization.id, actor.environment.id, transactionId],
      )
    },

    async assign(actor, id, email) {
      const assigneeId = email === null ? null : await memberByEmail(actor.organization.id, email)
      const { rowCount } = await database.query(
        `update queued_actions set assignee_id = $4
         where id = $1 and organization_id = $2 and environment_id = $3 and transaction_id is null
           and ($5::text is null or assignee_id = $5) and ${isCurrent}`,
        [id, actor.organization.id, actor.environment.id, assigneeId, onlyOf(actor)],
      )
      if (rowCount !== 1) throw new AppError('not-found', 'There is no such item in the queue.')
      record(actor, 'queue.assigned', { item: id, assignee: email })
    },

    async dismiss(actor, id) {
      const { rowCount } = await database.query(
        `delete from queued_actions
         where id = $1 and organization_id = $2 and environment_id = $3 and transaction_id is null
           and ($4::text is null or assignee_id = $4)`,
        [id, actor.organization.id, actor.environment.id, onlyOf(actor)],
      )
      if (rowCount !== 1) throw new AppError('not-found', 'There is no such item in the queue.')
      record(actor, 'queue.dismissed', { item: id })
    },

    async expire(id) {
      const { rowCount } = await database.query(
        'delete from queued_actions where id = $1 and transaction_id is null',
        [id],
      )
      return rowCount === 1
    },

    async settle(isHeld) {
      const { rows } = await database.query<{
        id: string
        transaction_id: string
        is_written: boolean
        is_missing: boolean
      }>(
        `select queued.id, transaction_id,
           exists (select from transactions where transactions.id = transaction_id) as is_written,
           coalesce(missing_at < now() - make_interval(secs => $2), false) as is_missing
         from queued_actions as queued where claimed_at < now() - make_interval(secs => $1)
         order by claimed_at limit $3`,
        [settleMs / 1_000, missingMsMin / 1_000, settledMax],
      )
      let released = 0
      for (const { id, is_missing, is_written, transaction_id: run } of rows) {
        const values = [id, run]
        const same = 'id = $1 and transaction_id = $2'
        if (is_written) await database.query(`delete from queued_actions where ${same}`, values)
        else if (await isHeld(run)) {
          // It goes on: looked after again when it may have ended.
          await database.query(
            `update queued_actions set claimed_at = now(), missing_at = null where ${same}`,
            values,
          )
        } else if (is_missing) {
          const { rowCount } = await database.query(
            `update queued_actions set transaction_id = null, claimed_at = null, missing_at = null where ${same}`,
            values,
          )
          // Its time may have come meanwhile, unheard.
          await database.query('delete from queued_actions where id = $1 and expires_at < now()', [id])
          released += rowCount ?? 0
        } else {
          await database.query(
            `update queued_actions set missing_at = coalesce(missing_at, now()) where ${same}`,
            values,
          )
        }
      }
      return released
    },

    async reminder(id) {
      const { rows } = await database.query<QueueReminder>(
        `select organization_id as "organizationId", environment_id as "environmentId", action_slug as slug, people.email
         from queued_actions join people on people.id = assignee_id
         where queued_actions.id = $1 and transaction_id is null`,
        [id],
      )
      return rows[0] ?? null
    },
  }

  function record(actor: Actor, name: string, details: Record<string, string | null>): void {
    audit.record({ name, userId: actor.user.id, organizationId: actor.organization.id, details })
  }
}

/** In a console there is nobody else. */
function isConsole(actor: Actor): boolean {
  return actor.environment.slug === 'development'
}

/** In a console an item is its developer's, whoever else may change what is run there. Null: anybody's. */
function onlyOf(actor: Actor): UserId | null {
  return isConsole(actor) ? actor.user.id : null
}

/** An id for a new item: made before it is stored, since its timer comes first. */
export function newQueueItemId(): string {
  return newId<string>()
}

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
