/** What happens to work that waits in the queue when its time comes. */
import type { AccountsService } from '../accounts/index.js'
import type { Directories } from '../hosts/index.js'
import { directoryKey } from '../hosts/index.js'
import type { QueueHooks } from '../http/index.js'
import { limits } from '../limits.js'
import type { Log } from '../log.js'
import type { Clock, EntityRuntime } from '../partitions/index.js'
import { Sweep, type SweepClock } from '../sweep.js'
import type { QueueDue } from '../timers/index.js'
import type { Located } from '../transactions/index.js'

export interface QueueOptions {
  readonly runtime: EntityRuntime
  readonly accounts: Pick<AccountsService, 'queue' | 'recordNotification' | 'audit'>
  readonly directories: Directories
  readonly clock: Pick<Clock, 'nowMs'>
}

const settleEveryMs = 60_000
const inTime = { deadlineMs: limits.clientCallMsMax, isRefusable: true }

/** Sees to it that nothing is lost with a run that was never started. */
export function queueSweep(
  options: Pick<QueueOptions, 'runtime' | 'accounts'> & { readonly clock: SweepClock; readonly log: Log },
): Sweep {
  const { accounts, clock, log, runtime } = options
  const isHeld = async (transactionId: string): Promise<boolean> => {
    try {
      return (
        (await runtime.send<Located>(`transaction:${transactionId}`, { type: 'locate' }, inTime)) !== null
      )
    } catch {
      // Nobody can say right now.
      return true
    }
  }
  return new Sweep({
    clock,
    everyMs: settleEveryMs,
    async round() {
      try {
        const count = await accounts.queue.settle(isHeld)
        if (count > 0) log.warn('queue.put-back', { count })
      } catch (error) {
        log.debug('queue.not-settled', { error })
      }
    },
  })
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
