/**
 * The room that an organization's files take, counted in one place: it is taken before a link is given, and given back
 * when the file is gone. Links are given by any node; the count has one owner.
 *
 * What can go wrong: a node dies after it has taken room and before there is an upload to give it back. Then it counts
 * for `leakedMsMax` longer than any upload lasts, and is forgotten.
 */
import { AppError } from '../errors.js'
import type { EntityKey } from '../ids.js'
import { limits } from '../limits.js'
import type { Decision, EntityKind, Json } from '../partitions/entity.js'

/** What one file takes. */
interface Taken {
  /** 0 for one that somebody else keeps. */
  readonly bytes: number
  readonly atMs: number
}

export interface SpaceState {
  /** By upload. */
  readonly files: ReadonlyMap<string, Taken>
}

export type SpaceMessage =
  | {
      readonly type: 'reserve'
      readonly files: readonly { readonly id: string; readonly bytes: number }[]
    }
  | { readonly type: 'release'; readonly ids: readonly string[] }

/** Reply to `reserve`: what was not there before. */
export interface Reserved {
  readonly taken: readonly string[]
}

/** Longer than runs last, so that what is still there then was forgotten. */
const leakedMsMax = 14 * 24 * 3_600_000

export const spaceKey = (organizationId: string): EntityKey => `upload-space:${organizationId}`

export const spaceKind: EntityKind<SpaceState, SpaceMessage> = {
  name: 'upload-space',
  load: records => ({ files: new Map([...records].map(([id, taken]) => [id, taken as unknown as Taken])) }),
  brings: message => message.type === 'reserve',
  decide(state, message, { nowMs }) {
    if (message.type === 'reserve') return reserve(state, message.files, nowMs)
    return without(state, message.type === 'release' ? message.ids : leaked(state, nowMs))
  },
}

function leaked({ files }: SpaceState, nowMs: number): string[] {
  return [...files].filter(([, { atMs }]) => atMs + leakedMsMax < nowMs).map(([id]) => id)
}

function without({ files }: SpaceState, ids: readonly string[]): Decision<SpaceState, unknown> {
  const del = ids.filter(id => files.has(id))
  const left = new Map(files)
  for (const id of del) left.delete(id)
  return { state: left.size === 0 ? null : { files: left }, del, reply: {} }
}

function reserve(
  { files: before }: SpaceState,
  wanted: readonly { readonly id: string; readonly bytes: number }[],
  nowMs: number,
): Decision<SpaceState, unknown> {
  const del = leaked({ files: before }, nowMs)
  const files = new Map(before)
  for (const id of del) files.delete(id)
  const put = new Map<string, Json>()
  for (const { id, bytes } of wanted) {
    if (files.has(id)) continue
    const taken: Taken = { bytes, atMs: nowMs }
    files.set(id, taken)
    put.set(id, taken as unknown as Json)
  }
  let bytes = 0
  for (const taken of files.values()) bytes += taken.bytes
  const { uploadBytesPerOrganizationMax, uploadFilesPerOrganizationMax } = limits
  if (put.size > 0 && (files.size > uploadFilesPerOrganizationMax || bytes > uploadBytesPerOrganizationMax)) {
    throw new AppError(
      'storage-full',
      'The room for files of this organization is used up. Files leave it two days after they were sent.',
    )
  }
  return { state: { files }, put, del, reply: { taken: [...put.keys()] } satisfies Reserved }
}
