/** The entity of the simulated cluster: a list to which operations with ids are appended, each once. */
import type { EntityKey } from '../../../lib/ids.js'
import type { Effect, EntityKind } from '../../../lib/partitions/index.js'

export interface ListState {
  readonly ids: readonly string[]
}

export interface AppendMessage {
  readonly type: 'append'
  readonly id: string
  /** A list that is told of it, by an effect. */
  readonly other?: EntityKey
  readonly wakeAtMs?: number
}

export type ListMessage =
  | AppendMessage
  | { readonly type: 'read' }
  | { readonly type: 'alarm'; readonly dueAtMs: number }

/** Where an operation stands in the list. */
export interface AppendReply {
  readonly index: number
}

export const listKind: EntityKind<ListState, ListMessage> = {
  name: 'list',
  load: records => ({ ids: (records.get('ids') as readonly string[] | undefined) ?? [] }),
  decide(state, message, context) {
    if (message.type === 'read') return { state, reply: { ids: state.ids } }
    if (message.type === 'alarm') {
      if (context.nowMs < message.dueAtMs) throw new Error('an alarm came early')
      const ids = [...state.ids, `alarm-${message.dueAtMs}`]
      return { state: { ids }, put: new Map([['ids', ids]]), history: true, reply: true }
    }
    const known = state.ids.indexOf(message.id)
    if (known >= 0) return { state, reply: { index: known } }
    const index = state.ids.length
    const ids = [...state.ids, message.id]
    const { id, other, wakeAtMs } = message
    const effects: Effect[] = [{ id: `sink-${id}`, to: 'sink', target: 'sink', payload: { id, index } }]
    if (other !== undefined) {
      const payload = { type: 'append', id: `child-${id}` }
      effects.push({ id: `child-${id}`, to: 'entity', target: other, payload })
    }
    return {
      state: { ids },
      put: new Map<string, string | readonly string[]>([
        ['ids', ids],
        [`item-${index % 8}`, id],
      ]),
      effects,
      ...(wakeAtMs !== undefined && { alarmAtMs: wakeAtMs }),
      history: true,
      reply: { index },
    }
  },
}
