/**
 * Files of a run: which may be sent for which field, and which were. The host reads whatever address an answer names, so
 * an answer may name only what was allowed here, for this very field, and has arrived.
 */
import { AppError } from '../errors.js'
import { limits } from '../limits.js'
import type { Decision, DecisionContext } from '../partitions/entity.js'
import { decodedProps, type FileValue, fileNameMessage, offeredUrls } from '../sdk/index.js'
import { checkAsker } from './asker.js'
import { Change } from './change.js'
import type { ClientMessage, NodeMessage } from './messages.js'
import { type AllowedUpload, type Group, type TransactionState, uploadRecord } from './state.js'

type Nothing = Record<string, never>

/** Remembers what may be sent, for the person whose run it is and a field that takes files and still waits. */
export function decideAllowUploads(
  state: TransactionState,
  message: Extract<ClientMessage, { type: 'allow-uploads' }>,
  context: DecisionContext,
): Decision<TransactionState, Nothing> {
  const { asker, component, files, inputGroupKey } = message
  if (state.start === null) throw new AppError('not-found', 'There is no such transaction.')
  checkAsker(state.start, asker)
  if (state.now.clientId !== asker.clientId) throw new AppError('client-usurped')
  const group = waitingGroup(state, inputGroupKey)
  const asked = group.call.toRender[component]
  if (asked?.methodName !== 'UPLOAD_FILE') throw new AppError('forbidden', 'No file was asked for here.')
  const props = decodedProps(asked)
  if (props.disabled === true || offeredUrls(props).length > 0) {
    throw new AppError('forbidden', 'No file is taken here.')
  }
  if (!asked.isMultiple && files.length > 1) throw new AppError('invalid-value', 'One file is asked for.')
  for (const { name } of files) {
    const problem = fileNameMessage(name, props)
    if (problem !== null) throw new AppError('invalid-value', problem)
  }
  const fresh = files.filter(({ id }) => !state.uploads.some(other => other.id === id))
  const uploads: AllowedUpload[] = fresh.map(file => ({ ...file, inputGroupKey, component, isSent: false }))
  const all = [...state.uploads, ...uploads]
  const bytes = all.reduce((sum, upload) => sum + upload.bytes, 0)
  if (all.length > limits.uploadFilesPerTransactionMax || bytes > limits.uploadBytesPerTransactionMax) {
    throw new AppError('invalid-value', 'These are more files than one run may have.')
  }
  const change = new Change({ ...state, uploads: all }, state.start, context)
  for (const upload of uploads) change.record(uploadRecord(upload.id), upload)
  return change.done({})
}

/** Refuses a file whose step was answered, or whose run has ended, since it was allowed. */
export function decideUploadWanted(
  state: TransactionState,
  { asker, id }: Extract<NodeMessage, { type: 'upload-wanted' }>,
): Decision<TransactionState, Nothing> {
  const upload = state.uploads.find(other => other.id === id)
  if (state.start === null || !upload) throw new AppError('not-found', 'This file is not expected.')
  if (asker) checkAsker(state.start, asker)
  waitingGroup(state, upload.inputGroupKey)
  return { state, reply: {} }
}

/** From now on it may be part of an answer. */
export function decideUploaded(
  state: TransactionState,
  { id }: Extract<NodeMessage, { type: 'uploaded' }>,
  context: DecisionContext,
): Decision<TransactionState, Nothing> {
  if (state.start === null) return { state: null, reply: {} }
  const upload = state.uploads.find(other => other.id === id)
  if (!upload || upload.isSent) return { state, reply: {} }
  const sent = { ...upload, isSent: true }
  const uploads = state.uploads.map(other => (other.id === id ? sent : other))
  const change = new Change({ ...state, uploads }, state.start, context)
  change.record(uploadRecord(id), sent)
  return change.done({})
}

/** True when this file was allowed for this field, as it is, and has arrived. */
export function isSentFor(
  { uploads }: TransactionState,
  { inputGroupKey }: Group,
  component: number,
  file: FileValue,
): boolean {
  const upload = uploads.find(({ url }) => url === file.url)
  return (
    upload?.isSent === true &&
    upload.inputGroupKey === inputGroupKey &&
    upload.component === component &&
    upload.name === file.name &&
    upload.type === file.type &&
    upload.size === file.size
  )
}

function waitingGroup({ groups, now }: TransactionState, inputGroupKey: string): Group {
  if (now.completedAtMs !== null) throw new AppError('transaction-closed')
  const group = groups.find(other => other.inputGroupKey === inputGroupKey)
  if (!group) throw new AppError('call-superseded')
  if (group.answer) throw new AppError('already-answered')
  return group
}
