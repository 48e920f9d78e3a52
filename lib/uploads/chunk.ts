/**
 * A piece of a file in a ring: a record like any other, on every copy of its partition before it is acknowledged. Pieces
 * of one file lie in different partitions, so that no node carries it alone, and none is in memory for longer than it
 * takes to write or read it.
 *
 * It goes with its upload. Should it be forgotten (it was written while its upload was being removed), its alarm asks.
 */
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import type { Decision, EntityKind, Json } from '../partitions/entity.js'
import type { UploadQuestion } from './upload.js'

export type ChunkMessage =
  | { readonly type: 'put'; readonly id: string; readonly attempt: number; readonly base64: string }
  | { readonly type: 'get' }
  | { readonly type: 'drop' }

export interface ChunkState {
  readonly base64: string | null
  /** Whose it is: the id of an upload, and which attempt to send it. */
  readonly of: { readonly id: string; readonly attempt: number } | null
}

type ChunkDecision = Decision<ChunkState, unknown>

/** How long a piece is surely wanted after it was written. */
const askAfterMs = limits.uploadKeptMs + limits.uploadLinkMs + limits.uploadMsMax

export const chunkKey = (id: string, attempt: number, index: number): EntityKey =>
  `upload-chunk:${id}.${attempt}.${index}`

export const chunkKind: EntityKind<ChunkState, ChunkMessage> = {
  name: 'upload-chunk',
  recordNames: ['of', 'bytes'],
  load: records => ({
    base64: (records.get('bytes') as string | undefined) ?? null,
    of: (records.get('of') as unknown as NonNullable<ChunkState['of']> | undefined) ?? null,
  }),
  brings: message => message.type === 'put',
  isDormant: () => true,
  decide(state, message, { key, nowMs }): ChunkDecision {
    switch (message.type) {
      case 'put': {
        const { attempt, base64, id } = message
        return {
          state: { base64, of: { id, attempt } },
          put: new Map<string, Json>([
            ['bytes', base64],
            ['of', { id, attempt }],
          ]),
          alarmAtMs: nowMs + askAfterMs,
          reply: {},
        }
      }
      case 'get':
        if (state.base64 === null) throw new AppError('not-found', 'A piece of this file is not there.')
        return { state, reply: { base64: state.base64 } }
      case 'drop':
        return { state: null, alarmAtMs: null, reply: {} }
      case 'alarm': {
        if (!state.of) return { state: null, alarmAtMs: null, reply: {} }
        const question: UploadQuestion = { about: 'upload', ...state.of, chunk: key }
        return {
          state,
          alarmAtMs: nowMs + limits.uploadRunCheckMs,
          signals: [{ to: 'upload', target: state.of.id, payload: question }],
          reply: {},
        }
      }
    }
  },
}
