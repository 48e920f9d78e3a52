/**
 * Deliveries of notifications: rows that wait, are held by one node at a time, and end.
 *
 * Invariant: a delivery ends once. By e-mail, its end and the mail are one transaction, so that there is exactly one mail.
 * Slack knows no such thing: a node that is killed between Slack's having a message and writing that down has it sent
 * once more.
 */
import { type Queryable, storableText } from '../database/index.js'
import type { OrganizationId, UserId } from '../ids.js'
import { limits } from '../limits.js'
import type { NotificationMethod } from './notifications.js'

/** A delivery with everything there is to say. */
export interface DueDelivery {
  readonly id: string
  /** Counted from 1. */
  readonly attempt: number
  /** An address, or `#channel`. */
  readonly to: string
  readonly method: NotificationMethod | null
  /** What the recipient prefers, where they are a member. */
  readonly preferred: NotificationMethod | null
  readonly title: string | null
  readonly message: string
  readonly organizationId: OrganizationId
  readonly organization: string
  readonly organizationSlug: string
  readonly environment: string
  readonly transactionId: string | null
  /** Name of the action that says it, where it is known. */
  readonly action: string | null
}

const errorCharactersMax = 500
const firstRetryMs = 10_000

/** Takes deliveries that are due by one of the ways, for as long as the lease; other nodes pass them over. */
export async function takeDeliveries(
  database: Queryable,
  way: NotificationMethod,
  count: number,
): Promise<DueDelivery[]> {
  const { rows } = await database.query<DueDelivery & Record<string, unknown>>(
    `with due as (
       select waiting.id from notification_deliveries as waiting left join people on people.id = waiting.person_id
       where status = 'PENDING' and next_attempt_at <= now() and $3 = coalesce(waiting.method,
         case when starts_with(recipient, '#') then 'SLACK' else default_notification_method end, 'EMAIL')
       order by next_attempt_at limit $1 for update of waiting skip locked
     ), taken as (
       update notification_deliveries as delivery
       set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2), updated_at = now()
       from due where delivery.id = due.id returning delivery.*
     )
     select taken.id, taken.attempts as attempt, taken.recipient as "to", taken.method,
       people.default_notification_method as preferred, notifications.title, notifications.message,
       organizations.id as "organizationId", organizations.name as organization,
       organizations.slug as "organizationSlug", environments.slug as environment,
       notifications.transaction_id as "transactionId", coalesce(transactions.action_name, notifications.action_name) as action
     from taken join notifications on notifications.id = taken.notification_id
     join organizations on organizations.id = notifications.organization_id
     join environments on environments.id = notifications.environment_id
     left join transactions on transactions.id = notifications.transaction_id
       and transactions.organization_id = notifications.organization_id
     left join people on people.id = taken.person_id`,
    [count, limits.notificationLeaseMs / 1_000, way],
  )
  return rows
}

/** True for whoever may write down that it is delivered: nobody else has meanwhile. */
export async function endDelivered(
  client: Queryable,
  { id, attempt }: Pick<DueDelivery, 'id' | 'attempt'>,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `update notification_deliveries set status = 'DELIVERED', error = null, updated_at = now()
     where id = $1 and attempts = $2 and status = 'PENDING'`,
    [id, attempt],
  )
  return rowCount === 1
}

/** Failed for good, or to be tried again until a day after it was asked for. Returns what it is now. */
export async function endUndelivered(
  database: Queryable,
  { id, attempt }: Pick<DueDelivery, 'id' | 'attempt'>,
  failure: { readonly reason: string; readonly isFinal: boolean },
): Promise<'FAILED' | 'PENDING' | null> {
  const delayMs = Math.min(firstRetryMs * 2 ** Math.min(attempt - 1, 20), limits.mailRetryMsMax)
  const { rows } = await database.query<{ status: 'FAILED' | 'PENDING' }>(
    `update notification_deliveries set
       status = case when $4 or created_at + make_interval(secs => $6) < now() then 'FAILED' else 'PENDING' end,
       next_attempt_at = now() + make_interval(secs => $5), error = $3, updated_at = now()
     where id = $1 and attempts = $2 and status = 'PENDING'
     returning status`,
    [
      id,
      attempt,
      storableText(failure.reason).slice(0, errorCharactersMax),
      failure.isFinal,
      delayMs / 1_000,
      limits.mailDeadlineMs / 1_000,
    ],
  )
  return rows[0]?.status ?? null
}

/** How many wait to be delivered, by whichever node; counted up to a bound. */
export async function waitingDeliveries(database: Queryable, countMax: number): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from notification_deliveries where status = 'PENDING' limit $1) as waiting`,
    [countMax],
  )
  return rows[0]?.count ?? 0
}

/** How many an organization has had delivered to this recipient within an hour, counted up to the bound of that. */
export async function deliveredWithinAnHour(
  database: Queryable,
  { organizationId, to }: Pick<DueDelivery, 'organizationId' | 'to'>,
): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from (
       select from notification_deliveries as delivery
       join notifications on notifications.id = delivery.notification_id
       where delivery.status = 'DELIVERED' and lower(delivery.recipient) = lower($1)
         and delivery.updated_at > now() - interval '1 hour' and notifications.organization_id = $2
       limit $3) as delivered`,
    [to, organizationId, limits.notificationsPerHourMax],
  )
  return rows[0]?.count ?? 0
}

/** A notification as its recipient sees it in the dashboard. */
export interface OwnNotification {
  readonly id: string
  readonly title: string | null
  readonly message: string
  /** When it was said. */
  readonly createdAt: string
  /** When it came here, late perhaps: by this they are ordered. */
  readonly arrivedAt: string
  readonly environment: string
  readonly transactionId: string | null
  readonly isNew: boolean
}

const ownMax = 30
/** One may have come by mail and by Slack. */
const ownDeliveriesMax = 100

interface Recipient {
  readonly userId: UserId
  readonly organizationId: OrganizationId
}

/** What was sent to a person in an organization, newest first. */
export async function ownNotifications(database: Queryable, who: Recipient): Promise<OwnNotification[]> {
  const { rows } = await database.query<OwnNotification & { createdAt: Date; arrivedAt: Date }>(
    `with newest as (
       select delivery.notification_id as id, date_trunc('milliseconds', delivery.created_at) as arrived_at
       from notification_deliveries as delivery join notifications on notifications.id = delivery.notification_id
       where delivery.person_id = $1 and notifications.organization_id = $2
       order by delivery.created_at desc limit $3
     ), arrived as (
       select id, max(arrived_at) as arrived_at from newest group by id order by max(arrived_at) desc, id limit $4
     )
     select notifications.id, notifications.title, notifications.message, notifications.created_at as "createdAt",
       arrived.arrived_at as "arrivedAt", environments.slug as environment,
       notifications.transaction_id as "transactionId",
       coalesce(arrived.arrived_at > (
         select seen_at from notification_views where person_id = $1 and organization_id = $2), true) as "isNew"
     from arrived join notifications on notifications.id = arrived.id
     join environments on environments.id = notifications.environment_id
     order by arrived.arrived_at desc, notifications.id`,
    [who.userId, who.organizationId, ownDeliveriesMax, ownMax],
  )
  return rows.map(row => ({
    ...row,
    createdAt: row.createdAt.toISOString(),
    arrivedAt: row.arrivedAt.toISOString(),
  }))
}

/** A notification that reached somebody not at all, or not this way. */
export interface FailedDelivery {
  readonly id: string
  readonly to: string
  /** `null`: by whatever way the recipient prefers. */
  readonly method: 'EMAIL' | 'SLACK' | null
  readonly title: string | null
  /** Why. */
  readonly error: string | null
  readonly createdAt: string
  readonly environment: string
  readonly transactionId: string | null
}

const failedMax = 50
/** Of each environment so many of its newest are looked through. */
const lookedThroughMax = 2_000

/** What was not delivered of an organization's newest notifications, newest first. */
export async function failedDeliveries(
  database: Queryable,
  organizationId: OrganizationId,
): Promise<FailedDelivery[]> {
  const { rows } = await database.query<FailedDelivery & { createdAt: Date }>(
    `select delivery.id, delivery.recipient as "to", delivery.method, newest.title, delivery.error,
       delivery.created_at as "createdAt", environments.slug as environment, newest.transaction_id as "transactionId"
     from environments
     cross join lateral (
       select id, title, transaction_id from notifications
       where organization_id = $1 and environment_id = environments.id
       order by created_at desc limit $2) as newest
     join notification_deliveries as delivery on delivery.notification_id = newest.id
     where environments.organization_id = $1 and delivery.status = 'FAILED'
     order by delivery.created_at desc, delivery.id limit $3`,
    [organizationId, lookedThroughMax, failedMax],
  )
  return rows.map(row => ({ ...row, createdAt: row.createdAt.toISOString() }))
}

/** The person has looked at what came until then: what comes while they look is news still. */
export async function seenNotifications(
  database: Queryable,
  { organizationId, userId }: Recipient,
  untilMs: number,
): Promise<void> {
  await database.query(
    `insert into notification_views as old (person_id, organization_id, seen_at) values ($1, $2, least($3, now()))
     on conflict (person_id, organization_id) do update set seen_at = greatest(old.seen_at, excluded.seen_at)`,
    [userId, organizationId, new Date(untilMs)],
  )
}

/** Who hears of what an action says to nobody in particular, as set for the action; empty where nothing is set. */
export async function defaultTargets(
  database: Queryable,
  action: { readonly organizationId: string; readonly environmentId: string; readonly slug: string },
): Promise<{ to: string; method: NotificationMethod | null }[]> {
  const { rows } = await database.query<{
    targets: { to: string; method?: NotificationMethod | null }[] | null
  }>(
    `select default_notification_delivery as targets from action_metadata join actions on actions.id = action_id
     where organization_id = $1 and environment_id = $2 and slug = $3 and developer_id is null`,
    [action.organizationId, action.environmentId, action.slug],
  )
  return (rows[0]?.targets ?? []).map(({ to, method }) => ({ to, method: method ?? null }))
}
