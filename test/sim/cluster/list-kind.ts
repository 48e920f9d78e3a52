/** The entity of the simulated cluster: a list to which operations with ids are appended, each once. */
import type { EntityKey } from '../../../lib/ids.js'
import type { Effect, EntityKind, Json } from '../../../lib/partitions/index.js'

export interface ListState {
  readonly ids: readonly string[]
  /** When its alarm is due, by the clock of the node that accepted it, and in truth. */
  readonly wake?: Wake | undefined
}

interface Wake {
  readonly dueAtMs: number
  readonly trueDueMs: number
}

export interface AppendMessage {
  readonly type: 'append'
  readonly id: string
  /** A list that is told of it, by an effect. */
  readonly other?: EntityKey
  readonly wakeInMs?: number
}

export type ListMessage =
  | AppendMessage
  | { readonly type: 'read' }
  | { readonly type: 'alarm'; readonly dueAtMs: number }

/** Where an operation stands in the list. */
export interface AppendReply {
  readonly index: number
}

/**
 * `areEffectsKept`: what is told to the outside is a record, not only said. `trueNowMs`: of the world, which no node knows;
 * `fired` hears how late an alarm came, in truth.
 */
export const listKind = (
  areEffectsKept: boolean,
  trueNowMs: () => number,
  fired: (lateMs: number) => void,
): EntityKind<ListState, ListMessage> => ({
  name: 'list',
  load: records => ({
    ids: (records.get('ids') as readonly string[] | undefined) ?? [],
    wake: records.get('wake') as Wake | undefined,
  }),
  decide(state, message, context) {
    if (message.type === 'read') return { state, reply: { ids: state.ids } }
    if (message.type === 'alarm') {
      if (context.nowMs < message.dueAtMs) throw new Error('an alarm came early')
      if (state.wake?.dueAtMs === message.dueAtMs) fired(trueNowMs() - state.wake.trueDueMs)
      const ids = [...state.ids, `alarm-${message.dueAtMs}`]
      return { state: { ...state, ids }, put: new Map([['ids', ids]]), history: true, reply: true }
    }
    const known = state.ids.indexOf(message.id)
    if (known >= 0) return { state, reply: { index: known } }
    const index = state.ids.length
    const ids = [...state.ids, message.id]
    const { id, other, wakeInMs } = message
    const wake =
      wakeInMs === undefined
        ? undefined
        : { dueAtMs: context.nowMs + wakeInMs, trueDueMs: trueNowMs() + wakeInMs }
    const told = { to: 'sink', target: 'sink', payload: { id, index } }
    const effects: Effect[] = areEffectsKept ? [{ id: `sink-${id}`, ...told }] : []
    if (other !== undefined) {
      const payload = { type: 'append', id: `child-${id}` }
      effects.push({ id: `child-${id}`, to: 'entity', target: other, payload })
    }
    return {
      state: { ids, wake: wake ?? state.wake },
      put: new Map<string, Json>([
        ['ids', ids],
        [`item-${index % 8}`, id],
        ...(wake ? [['wake', { ...wake }] as const] : []),
      ]),
      effects,
      ...(!areEffectsKept && { signals: [told] }),
      ...(wake && { alarmAtMs: wake.dueAtMs }),
      history: true,
      reply: { index },
    }
  },
})
