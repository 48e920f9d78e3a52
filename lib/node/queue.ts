/** What happens to work that waits in the queue when its time comes. */
import type { AccountsService } from '../accounts/index.js'
import type { Directories } from '../hosts/index.js'
import { directoryKey } from '../hosts/index.js'
import type { QueueHooks } from '../http/index.js'
import type { Clock, EntityRuntime } from '../partitions/index.js'
import type { QueueDue } from '../timers/index.js'

export interface QueueOptions {
  readonly runtime: EntityRuntime
  readonly accounts: Pick<AccountsService, 'queue' | 'recordNotification' | 'audit'>
  readonly directories: Directories
  readonly clock: Pick<Clock, 'nowMs'>
}

/** Dispatches what is due, and gives the routes what they need. Before the partitions start. */
export function openQueue({ accounts, clock, directories, runtime }: QueueOptions): QueueHooks {
  runtime.onEffect('queue', {
    async dispatch({ payload, target }) {
      if ((payload as QueueDue) === 'expire') {
        const isGone = await accounts.queue.expire(target)
        if (isGone) accounts.audit({ name: 'queue.expired', details: { item: target } })
        return
      }
      const reminder = await accounts.queue.reminder(target)
      if (!reminder) return
      const { email, environmentId, organizationId, slug } = reminder
      await accounts.recordNotification({
        organizationId,
        environmentId,
        senderId: null,
        transactionId: null,
        title: 'Something waits for you',
        message: `"${slug}" was assigned to you and has not been started yet.`,
        deliveries: [{ to: email, method: null }],
        // Said again after a crash, it is one.
        idempotencyKey: `queue ${target} reminder`,
        createdAtMs: clock.nowMs(),
      })
    },
  })
  return {
    async isDeclared({ environment, kind, user }, slug) {
      const developerId = kind === 'DEVELOPMENT' ? user.id : null
      const view = await directories.view(directoryKey(environment.id, developerId))
      return view.has('action', slug)
    },
    async plan(id, times) {
      await runtime.send(`queue-item:${id}`, { type: 'plan', ...times }, { isNew: true })
    },
  }
}
