/**
 * The upload: one file that somebody may send for a step of a run, from the link that is given to the file's end. A pure
 * function from state and message to changes; the bytes are elsewhere (`storage.ts`).
 *
 * Invariant: a file that is complete never changes, and is there for `uploadKeptMs` and for as long as its run goes on;
 * one that was not sent within the hour of its link is gone. Every upload has an alarm ahead, so that nothing that is
 * stored can be forgotten. What can go wrong: two try to send at once. Each attempt has a number and bytes of its own,
 * and the first that is complete counts.
 */
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import type { AlarmMessage, Decision, Effect, EntityKind, Json } from '../partitions/entity.js'
import { spaceKey } from './space.js'

/** Where the bytes are: in a folder of a node alone, in records of the ring, or in an S3 bucket. */
export type UploadPlace = 'disk' | 'ring' | 's3'

/** What never changes. */
export interface NewUpload {
  readonly id: string
  readonly organizationId: string
  readonly transactionId: string
  /** As the browser said; data, and never part of a path. */
  readonly name: string
  readonly type: string
  /** In bytes. */
  readonly size: number
  readonly place: UploadPlace
}

export interface Upload extends NewUpload {
  readonly createdAtMs: number
  /** Attempts to send it that were begun. */
  readonly attempts: number
  /** The one that is complete, from 1. */
  readonly attempt: number | null
  /** It is not removed before; null while it is not complete. */
  readonly keptUntilMs: number | null
}

export type UploadMessage =
  | { readonly type: 'create'; readonly upload: NewUpload }
  | { readonly type: 'read' }
  | { readonly type: 'begin' }
  | { readonly type: 'finish'; readonly attempt: number }
  /** Its run is over. */
  | { readonly type: 'remove' }

/** What is asked of the node that leads an upload or a chunk. */
export type UploadQuestion =
  | { readonly about: 'run'; readonly id: string; readonly transactionId: string }
  | { readonly about: 'upload'; readonly id: string; readonly attempt: number; readonly chunk: EntityKey }

export interface UploadState {
  readonly upload: Upload | null
}

type UploadDecision = Decision<UploadState, unknown>

const recordName = 'u'

export const uploadKey = (id: string): EntityKey => `upload:${id}`

/** When one that is not complete is given up. */
const giveUpMs = limits.uploadLinkMs + limits.uploadMsMax

export const uploadKind: EntityKind<UploadState, UploadMessage> = {
  name: 'upload',
  recordNames: [recordName],
  load: records => ({ upload: (records.get(recordName) as unknown as Upload | undefined) ?? null }),
  brings: message => message.type === 'create' || message.type === 'begin',
  isDormant: ({ upload }) => upload !== null,
  decide(state, message, { nowMs }) {
    if (message.type === 'create') return create(state, message.upload, nowMs)
    const { upload } = state
    if (message.type === 'alarm') return upload ? due(upload, message, nowMs) : gone
    if (!upload) {
      if (message.type === 'remove') return gone
      throw new AppError('not-found', 'This file is not there, or not any more.')
    }
    switch (message.type) {
      case 'read':
        return { state, reply: upload }
      case 'begin':
        return begin(upload)
      case 'finish':
        return finish(upload, message.attempt, nowMs)
      case 'remove':
        return removed(upload)
    }
  },
}

const gone: UploadDecision = { state: null, reply: {} }

/** Asked twice under the same id, it is one. */
function create({ upload: before }: UploadState, upload: NewUpload, nowMs: number): UploadDecision {
  if (before) return { state: { upload: before }, reply: {} }
  const created = { ...upload, createdAtMs: nowMs, attempts: 0, attempt: null, keptUntilMs: null }
  return stored(created, nowMs + giveUpMs, {})
}

function begin(upload: Upload): UploadDecision {
  if (upload.attempt !== null) throw new AppError('conflict', 'This file was sent already.')
  if (upload.attempts >= limits.uploadAttemptsMax) throw new AppError('too-many-requests')
  const attempt = upload.attempts + 1
  return stored({ ...upload, attempts: attempt }, undefined, { attempt })
}

function finish(upload: Upload, attempt: number, nowMs: number): UploadDecision {
  if (upload.attempt === attempt) return { state: { upload }, reply: {} }
  if (upload.attempt !== null) throw new AppError('conflict', 'This file was sent already.')
  const keptUntilMs = nowMs + limits.uploadKeptMs
  const attempts = Math.max(attempt, upload.attempts)
  return stored({ ...upload, attempts, attempt, keptUntilMs }, keptUntilMs, {})
}

function due(upload: Upload, _alarm: AlarmMessage, nowMs: number): UploadDecision {
  const { createdAtMs, id, keptUntilMs, transactionId } = upload
  if (keptUntilMs === null) {
    const untilMs = createdAtMs + giveUpMs
    return nowMs < untilMs ? stored(upload, untilMs, {}) : removed(upload)
  }
  if (nowMs < keptUntilMs) return stored(upload, keptUntilMs, {})
  // Whether the run goes on is known to its owner; should nobody hear the question, it is asked again.
  const question: UploadQuestion = { about: 'run', id, transactionId }
  return {
    ...stored(upload, nowMs + limits.uploadRunCheckMs, {}),
    signals: [{ to: 'upload', target: id, payload: question }],
  }
}

/** The bytes go after the entity, and its place in the organization's room after that; both until they are. */
function removed(upload: Upload): UploadDecision {
  const { id, organizationId } = upload
  const effects: Effect[] = [
    { id: 'bytes', to: 'upload', target: id, payload: upload as unknown as Json },
    {
      id: 'space',
      to: 'entity',
      target: spaceKey(organizationId),
      payload: { type: 'release', ids: [id] },
    },
  ]
  return { state: null, effects, alarmAtMs: null, reply: {} }
}

function stored(upload: Upload, alarmAtMs: number | undefined, reply: unknown): UploadDecision {
  return {
    state: { upload },
    put: new Map([[recordName, upload as unknown as Json]]),
    ...(alarmAtMs !== undefined && { alarmAtMs }),
    reply,
  }
}
