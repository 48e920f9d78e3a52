/**
 * What SDKs ask over HTTP, on the same port as their websocket. They read only the body: success carries
 * `type: "success"`, failure `type: "error"` and a message.
 */
import { z } from 'zod'
import type { HostIdentity, NotificationMethod } from '../accounts/index.js'
import { AppError } from '../errors.js'
import { isId } from '../ids.js'
import type { Log } from '../log.js'
import { hostOf } from './context.js'
import { ok } from './reply.js'
import type { HttpServer } from './server.js'

export interface RecordedNotification {
  readonly id: string
  readonly transactionId: string | null
  readonly title: string | null
  readonly message: string
  readonly deliveries: readonly { readonly to: string; readonly method: NotificationMethod | null }[]
  readonly host: HostIdentity
}

export interface SdkHooks {
  /** Shows a new notification to whoever watches its transaction. */
  readonly onNotification?: (notification: RecordedNotification) => Promise<void> | void
  /** Whose transaction this is; the history, which comes later, is asked when this knows nothing. */
  readonly placeOfTransaction?: (id: string) => Promise<{
    organizationId: string
    environmentId?: string
    slug?: string
    name?: string
    ownerEmail?: string | null
  } | null>
}

const deliveriesMax = 100
const clockDifferenceMsMax = 3_600_000

const notifyShape = z.object({
  transactionId: z.string().max(64).nullish(),
  message: z.string().min(1).max(10_000),
  title: z.string().max(1_000).nullish(),
  deliveryInstructions: z
    .array(z.object({ to: z.string().min(1).max(320), method: z.enum(['EMAIL', 'SLACK']).nullish() }))
    .max(deliveriesMax)
    .nullish(),
  createdAt: z.iso.datetime({ offset: true }).nullish(),
  idempotencyKey: z.string().max(500).nullish(),
})

export function addSdkRoutes(http: HttpServer, hooks: SdkHooks, log: Log): void {
  const sdk = { caller: 'sdk' } as const

  http.route('POST', '/api/notify', sdk, async context => {
    const host = await hostOf(context)
    const body = await context.body(notifyShape)
    const { accounts } = context
    const transactionId = body.transactionId ?? null
    let ownerEmail: string | null = null
    let actionName: string | null = null
    let action: { environmentId: string; slug: string } | null = null
    if (transactionId !== null) {
      const live = isId(transactionId) ? await hooks.placeOfTransaction?.(transactionId) : null
      const place = live ?? (await accounts.placeOfTransaction(transactionId))
      if (place?.organizationId !== host.organization.id) {
        accounts.audit({
          name: 'access.denied',
          userId: host.user.id,
          organizationId: host.organization.id,
          address: context.origin.address,
          details: { what: 'notify for a transaction of another organization' },
        })
        throw new AppError('forbidden', 'There is no such transaction in this organization.')
      }
      ownerEmail = live?.ownerEmail ?? null
      actionName = live?.name ?? null
      if (live?.environmentId !== undefined && live.slug !== undefined)
        action = { environmentId: live.environmentId, slug: live.slug }
    }
    const nowMs = accounts.clock.nowMs()
    const saidAtMs = body.createdAt ? Date.parse(body.createdAt) : nowMs
    const named = (body.deliveryInstructions ?? []).map(({ to, method }) => ({ to, method: method ?? null }))
    const usual = named.length > 0 || action === null ? [] : await accounts.defaultTargets(host, action)
    const deliveries = [named, usual].find(targets => targets.length > 0) ?? [
      // Nobody is named, here or in the settings of the action: whoever has started it.
      { to: ownerEmail ?? host.user.email, method: null },
    ]
    const notification = {
      transactionId,
      title: body.title ?? null,
      message: body.message,
      deliveries,
    }
    const { id, isNew } = await accounts.recordNotification({
      ...notification,
      organizationId: host.organization.id,
      environmentId: host.environment.id,
      senderId: host.user.id,
      actionName,
      idempotencyKey: body.idempotencyKey ?? null,
      // Clocks of hosts are not ours: what is said now is not of next year, nor too old to be kept.
      createdAtMs: Math.min(nowMs, Math.max(saidAtMs, nowMs - clockDifferenceMsMax)),
    })
    if (isNew) {
      try {
        await hooks.onNotification?.({ id, ...notification, host })
      } catch (error) {
        // It is recorded; that nobody sees it now is no reason to have it sent again.
        log.warn('notification.not-shown', { id, error })
      }
    }
    return ok({ type: 'success' })
  })

  // SDKs 0.38 to 1.4 ask before they offer a peer connection; without servers they stay with the websocket.
  http.route('GET', '/api/ice-config', sdk, async context => {
    await hostOf(context)
    return ok({ iceServers: [] })
  })

  // Anonymous organizations of SDK 0.21 do not exist here.
  http.route('POST', '/api/auth/ghost/create', sdk, () => {
    throw new AppError('not-found', 'Anonymous organizations are not offered here. Use an API key.')
  })
}
