/**
 * What is remembered of one transaction, and in which records.
 *
 *   start            everything that never changes (TransactionStart)
 *   now              the small part that changes with nearly every message
 *   group/<slot>     one IO group: its newest render
 *   answer/<slot>    what was answered to a group with its order; apart from the render, which may be large
 *   log/<index>      one log line
 *   note/<order>     one notification
 *   upload/<id>      one file that was allowed to be sent
 *   input/<order>    what was entered in one step, for the history alone (inputs.ts)
 *   notice/<what>    what the person is told while they are not there, for the history alone (notices.ts)
 *   result           how it ended
 *
 * A group that is over gives its slot to the next one, whose records take the place of its own: a run of many steps, one
 * after the other, leaves LevelDB two names in place of two for each step, and nothing to delete. The answer in the first
 * slot stays until it is overwritten or the run ends.
 *
 * The state is a value: deciding makes a new one and shares what did not change.
 */
import type {
  LogLine,
  Notification,
  Redirect,
  TransactionResult,
  TransactionStatus,
} from '../clients/wire.js'
import type { ClientId } from '../ids.js'
import type { Json } from '../partitions/entity.js'
import type { IoCall, LoadingState } from '../sdk/io-call.js'
import { charactersOf, inputsOf } from './inputs.js'
import type { TransactionStart } from './messages.js'

export interface Now {
  /** While it runs, it follows from the groups: a change of it alone is not written. */
  readonly status: TransactionStatus
  /** The browser window that is attached; it stays after its socket is gone, until its grace is over. */
  readonly clientId: ClientId | null
  readonly clientGoneAtMs: number | null
  readonly hostGone: boolean
  /** The host has said something about this transaction: it did take the start. */
  readonly heard: boolean
  /** Last time the host said something, to about a minute. */
  readonly heardAtMs: number
  readonly loading: LoadingState | null
  /** Kept until the browser has followed it. */
  readonly redirect: Redirect | null
  /** The person cancelled while no call was pending: the next call of the host is answered with CANCELED. */
  readonly cancelNext: boolean
  /** CLOSE_TRANSACTION was sent, or is not needed. */
  readonly closed: boolean
  readonly startedAtMs: number
  readonly completedAtMs: number | null
  /** Order of the next new group. */
  readonly groups: number
  readonly logs: number
  readonly logCharacters: number
  readonly notes: number
  /** The person was told of steps that wait below this order. */
  readonly noticed: number
  /**
   * Ids of renders whose answer the host has taken, and keys of groups that only displayed something and were left: sent
   * again by a host, they are never shown again. Newest last.
   */
  readonly answeredRenders: readonly string[]
  /**
   * Ids of renders that the host has replaced by newer ones of their groups, answered or not: what comes late must not take
   * the newer one's place, or that of its answer. Newest last.
   */
  readonly supersededRenders: readonly string[]
  /**
   * Ids of the requests that answered groups which are gone: sent again by a window, they are confirmed again. Newest
   * last. Those of groups that are still there are in their answers.
   */
  readonly answeredRequests: readonly string[]
  /** Number of the newest call by which the host has said where it is: a step, a loading state or a redirect. */
  readonly newestCall: number
  /**
   * Numbers of the calls that brought the last steps which are over. The ids of those before may be forgotten: what comes
   * from before all of these, and is not known, is over as well. Newest last.
   */
  readonly answeredCalls: readonly number[]
}

/** An answer (or a state) on its way to the host. */
export interface Delivery {
  /** Deterministic: the same answer has the same id on every owner. */
  readonly id: string
  /** Text of IO_RESPONSE's `value`. */
  readonly value: string
  /** The host has confirmed it. */
  readonly delivered: boolean
}

export interface Group {
  readonly order: number
  /** The lowest number that no other group had when it came: what its records are named after. */
  readonly slot: number
  readonly inputGroupKey: string
  /** Id of the newest render. */
  readonly renderId: string
  /** Number of the call that brought it, where the SDK counts them. */
  readonly number?: number
  readonly call: IoCall
  readonly bytes: number
  /** Only displays and no choices: nothing to answer. */
  readonly displayOnly: boolean
  /** Render whose answer the host has refused by rendering again: an answer to it is too late. */
  readonly refusedRenderId: string | null
  readonly answer: (Delivery & { readonly requestId: string; readonly renderId: string }) | null
  /** The newest SET_STATE. */
  readonly setState: (Delivery & { readonly requestId: string }) | null
}

/** A file that the person may send for a step. */
export interface AllowedUpload {
  readonly id: string
  /** For which step, and which of its fields. */
  readonly inputGroupKey: string
  readonly component: number
  readonly name: string
  readonly type: string
  /** In bytes. */
  readonly size: number
  /** What it counts of the room of the transaction, in bytes. */
  readonly bytes: number
  /** Where the host reads it: what is answered. */
  readonly url: string
  /** It was sent whole. */
  readonly isSent: boolean
}

/** Group as it is stored: the render and the answers are two records. */
export type GroupRecord = Omit<Group, 'slot' | 'inputGroupKey' | 'renderId' | 'answer' | 'setState'>
export type Answers = Pick<Group, 'answer' | 'setState'>
/** An answer to a group that is over may still be there: its order tells. In stores of format 2 the slot was the order. */
export type AnswerRecord = Answers & Partial<Pick<Group, 'order'>>

export interface TransactionState {
  readonly start: TransactionStart | null
  readonly now: Now
  /** By order. */
  readonly groups: readonly Group[]
  readonly logs: readonly LogLine[]
  readonly notes: readonly Notification[]
  readonly uploads: readonly AllowedUpload[]
  /** Of what was entered and is kept for the history: it follows from those records. */
  readonly inputCharacters: number
  readonly result: TransactionResult | null
}

export const emptyNow: Now = {
  status: 'pending',
  clientId: null,
  clientGoneAtMs: null,
  hostGone: false,
  heard: false,
  heardAtMs: 0,
  loading: null,
  redirect: null,
  cancelNext: false,
  closed: false,
  startedAtMs: 0,
  completedAtMs: null,
  groups: 0,
  logs: 0,
  logCharacters: 0,
  notes: 0,
  noticed: 0,
  answeredRenders: [],
  supersededRenders: [],
  answeredRequests: [],
  newestCall: 0,
  answeredCalls: [],
}

const nowFields = Object.keys(emptyNow) as (keyof Now)[]

/**
 * What is written of `now`, as JSON: it changes with nearly every message, and most of it is as it was at first and left
 * out. By hand, since this is written with nearly every commit.
 */
export function nowText(now: Now): string {
  let text = ''
  for (const field of nowFields) {
    const value = now[field]
    if (value === emptyNow[field] || (Array.isArray(value) && value.length === 0)) continue
    const json = typeof value === 'number' || typeof value === 'boolean' ? `${value}` : JSON.stringify(value)
    text += `${text === '' ? '{' : ','}"${field}":${json}`
  }
  return text === '' ? '{}' : `${text}}`
}

const groupPrefix = 'group/'
export const groupRecord = (slot: number): string => `${groupPrefix}${String(slot).padStart(8, '0')}`
export const answerRecord = (slot: number): string => `answer/${String(slot).padStart(8, '0')}`
export const logRecord = (index: number): string => `log/${String(index).padStart(8, '0')}`
export const uploadRecord = (id: string): string => `upload/${id}`
export const noteRecord = (order: number): string => `note/${String(order).padStart(8, '0')}`

/** Awaiting input while any step waits for an answer. */
export function waitingStatus(groups: readonly Group[], appends: boolean): 'running' | 'awaiting-input' {
  const waits = groups.some(group => group.answer === null && !(group.displayOnly && appends))
  return waits ? 'awaiting-input' : 'running'
}

function loadGroup(slot: number, value: Json, records: ReadonlyMap<string, Json>): Group {
  const group = value as unknown as GroupRecord
  const stored = records.get(answerRecord(slot)) as unknown as AnswerRecord | undefined
  const isIts = stored && (stored.order ?? slot) === group.order
  const { answer, setState } = isIts ? stored : { answer: null, setState: null }
  const { id: renderId, inputGroupKey } = group.call
  return { ...group, slot, inputGroupKey, renderId, answer, setState }
}

/** Rebuilds the state from its records; `start` is null where there are none. */
export function loadTransaction(records: ReadonlyMap<string, Json>): TransactionState {
  const groups: Group[] = []
  const logs: LogLine[] = []
  const notes: Notification[] = []
  const uploads: AllowedUpload[] = []
  for (const [name, value] of records) {
    if (name.startsWith(groupPrefix))
      groups.push(loadGroup(Number(name.slice(groupPrefix.length)), value, records))
    else if (name.startsWith('log/')) logs.push(value as unknown as LogLine)
    else if (name.startsWith('note/')) notes.push(value as unknown as Notification)
    else if (name.startsWith('upload/')) uploads.push(value as unknown as AllowedUpload)
  }
  groups.sort((a, b) => a.order - b.order)
  logs.sort((a, b) => a.index - b.index || a.atMs - b.atMs)
  const start = (records.get('start') as unknown as TransactionStart | undefined) ?? null
  const stored = { ...emptyNow, ...(records.get('now') as unknown as Partial<Now> | undefined) }
  const runs = start !== null && (stored.status === 'running' || stored.status === 'awaiting-input')
  return {
    start,
    now: runs ? { ...stored, status: waitingStatus(groups, start.appends) } : stored,
    groups,
    logs,
    notes,
    uploads,
    inputCharacters: inputsOf(records).reduce((sum, input) => sum + charactersOf(input), 0),
    result: (records.get('result') as unknown as TransactionResult | undefined) ?? null,
  }
}
