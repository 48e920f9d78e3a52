/**
 * When something that waits in the queue is due: somebody is to be reminded of it, or nobody has started it in time. The
 * item itself is in the database; this is its clock.
 *
 * Made before the item is stored, so that none is without one; what it then says about an item that is not there, or was
 * started, changes nothing.
 */
import type { AlarmMessage, Decision, Effect, EntityKind, Json } from '../partitions/entity.js'

export interface QueueTimes {
  readonly remindAtMs: number | null
  readonly expiresAtMs: number | null
}

export type QueueItemMessage = { readonly type: 'plan' } & QueueTimes

/** What is to be done now. */
export type QueueDue = 'remind' | 'expire'

export interface QueueItemState {
  readonly times: QueueTimes | null
}

const recordName = 'times'

export const queueItemKind: EntityKind<QueueItemState, QueueItemMessage> = {
  name: 'queue-item',
  recordNames: [recordName],
  load: records => ({ times: (records.get(recordName) as unknown as QueueTimes | undefined) ?? null }),
  brings: message => message.type === 'plan',
  isDormant: ({ times }) => times !== null,
  decide(state, message, { key, nowMs }) {
    if (message.type === 'plan') {
      const { expiresAtMs, remindAtMs } = message
      return planned({ expiresAtMs, remindAtMs }, [])
    }
    return due(state, message, nowMs, key.slice(key.indexOf(':') + 1))
  },
}

function due(
  { times }: QueueItemState,
  _alarm: AlarmMessage,
  nowMs: number,
  id: string,
): Decision<QueueItemState, unknown> {
  if (!times) return { state: null, reply: {} }
  const { expiresAtMs, remindAtMs } = times
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return planned(none, [effect(id, 'expire')])
  if (remindAtMs === null || remindAtMs > nowMs) return planned(times, [])
  return planned({ expiresAtMs, remindAtMs: null }, [effect(id, 'remind')])
}

const none: QueueTimes = { expiresAtMs: null, remindAtMs: null }

/** An effect keeps its entity until it is confirmed; without one, and with nothing ahead, the entity is over. */
function planned(times: QueueTimes, effects: readonly Effect[]): Decision<QueueItemState, unknown> {
  const ahead = [times.expiresAtMs, times.remindAtMs].filter(atMs => atMs !== null)
  if (ahead.length === 0) return { state: null, effects, reply: {} }
  return {
    state: { times },
    put: new Map([[recordName, times as unknown as Json]]),
    alarmAtMs: Math.min(...ahead),
    effects,
    reply: {},
  }
}

function effect(id: string, what: QueueDue): Effect {
  return { id: what, to: 'queue', target: id, payload: what }
}
