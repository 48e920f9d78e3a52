/** Notifications: recorded with their deliveries, which wait as PENDING for whoever delivers them. */
import { type Queryable, storableText, violatedConstraint } from '../database/index.js'
import { newId, type OrganizationId, type UserId } from '../ids.js'

export type NotificationMethod = 'EMAIL' | 'SLACK'

export interface NewNotification {
  readonly organizationId: OrganizationId
  readonly environmentId: string
  readonly senderId: UserId | null
  readonly transactionId: string | null
  /** Name of the action that says it, where the transaction may not be in the history yet. */
  readonly actionName?: string | null
  readonly title: string | null
  readonly message: string
  readonly deliveries: readonly { readonly to: string; readonly method: NotificationMethod | null }[]
  readonly idempotencyKey: string | null
  readonly createdAtMs: number
}

/** The id of the notification; `isNew` is false when the organization has used this idempotency key before. */
export async function recordNotification(
  client: Queryable,
  notification: NewNotification,
): Promise<{ id: string; isNew: boolean }> {
  const id = newId<string>()
  const deliveries = notification.deliveries.map(delivery => ({ id: newId<string>(), ...delivery }))
  try {
    await client.query(
      `with notification as (
         insert into notifications (id, organization_id, environment_id, transaction_id, sender_id, title, message,
           idempotency_key, created_at, action_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11) returning id
       )
       insert into notification_deliveries (id, notification_id, recipient, method, person_id)
       select delivery.id, notification.id, delivery.to, delivery.method, people.id
       from notification
       -- In development they are shown, never sent.
       join environments on environments.id = $3 and environments.slug <> 'development'
       cross join jsonb_to_recordset($10::jsonb) as delivery(id text, "to" text, method text)
       left join people on lower(people.email) = lower(delivery."to")
         and exists (select from memberships where person_id = people.id and organization_id = $2)`,
      [
        id,
        notification.organizationId,
        notification.environmentId,
        notification.transactionId,
        notification.senderId,
        notification.title === null ? null : storableText(notification.title),
        storableText(notification.message),
        notification.idempotencyKey === null ? null : storableText(notification.idempotencyKey),
        new Date(notification.createdAtMs),
        JSON.stringify(deliveries.map(delivery => ({ ...delivery, to: storableText(delivery.to) }))),
        notification.actionName == null ? null : storableText(notification.actionName),
      ],
    )
    return { id, isNew: true }
  } catch (error) {
    if (violatedConstraint(error) !== 'notifications_idempotency') throw error
    const { rows } = await client.query<{ id: string }>(
      'select id from notifications where organization_id = $1 and idempotency_key = $2',
      [notification.organizationId, notification.idempotencyKey],
    )
    return { id: rows[0]?.id ?? id, isNew: false }
  }
}
