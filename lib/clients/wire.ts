/**
 * The wire between the dashboard and a node: JSON text frames over the websocket at `/websocket`, ours alone (no SDK
 * sees it). The browser sends requests and gets exactly one reply to each; the node also sends events.
 *
 *   request   {"id": 7, "method": "transaction.start", "data": {…}}
 *   reply     {"id": 7, "result": {…}}   or   {"id": 7, "error": {"code", "message", "fields"?}}
 *   event     {"event": "transaction.render", "data": {…}}
 *
 * The first request of a connection is `hello`. Requests are idempotent by the ids they carry, so that a browser sends
 * an unanswered one again after it has reconnected. Events may be lost with a connection: the snapshot that `start`,
 * `attach` and `page.open` return replaces everything seen before.
 */
import type { ErrorBody } from '../errors.js'
import type { IoCall, LoadingState, PageLayout } from '../sdk/io-call.js'

export const protocolVersion = 1

/** What is common to every place an action can live: the organization's slug, and `development` for the console. */
export interface Place {
  /** Organization slug. */
  organization: string
  /** Environment slug: `production`, `development` (the signed-in developer's own console) or another. */
  environment: string
}

/** An id for the next transaction of this window: led by the node that the window is connected to. */
export interface NewId {
  newId: string
}

export type Params = Record<string, string | number | boolean | null>

export interface Requests {
  hello: {
    data: { client: string; protocol: number }
    result: { protocol: number; userId: string; build: string } & NewId
  }
  /** A browser cannot send websocket pings; this is one. */
  ping: { data: Record<string, never>; result: Record<string, never> }
  /** The live list of actions and pages; every change arrives as a `directory` event with the same place. */
  'directory.watch': { data: Place; result: Directory }
  'directory.unwatch': { data: Place; result: Record<string, never> }
  /** Starts a transaction under an id that the browser was given or made; attaches when it exists already. */
  'transaction.start': {
    data: Place & {
      transactionId: string
      slug: string
      params?: Params
      paramsMeta?: unknown
      /** What waits in the queue and is started by this: its parameters stand below those given here. */
      queueItemId?: string
    }
    result: TransactionSnapshot & NewId
  }
  /** Attaches to a transaction, taking it over from another window. */
  'transaction.attach': { data: { transactionId: string }; result: TransactionSnapshot }
  /**
   * Answers a step (`RETURN`) or tells the host a new component state (`SET_STATE`). `invalid-value` carries
   * `fields`: index of the component as text → message, and `form` for the whole.
   */
  'transaction.answer': {
    data: {
      transactionId: string
      /** Made by the browser; the same answer sent twice carries the same id. */
      requestId: string
      inputGroupKey: string
      renderId: string
      kind: 'RETURN' | 'SET_STATE'
      values: unknown[]
      /** superjson meta of `values`. */
      valuesMeta?: unknown
      /** Value of the pressed choice button. */
      choice?: string
    }
    result: Record<string, never>
  }
  /**
   * Files were chosen for a field of a step. Each gets a place to PUT it, and the address that is answered once it is
   * there. Asked again under the same `requestId`, they are the same.
   */
  'transaction.upload': {
    data: {
      transactionId: string
      requestId: string
      inputGroupKey: string
      /** Index of the field in its group. */
      component: number
      files: { name: string; type: string; size: number }[]
    }
    result: { files: UploadGrant[] }
  }
  /** A file with `confirms` has been sent: only then can it be answered. */
  'transaction.uploaded': {
    data: { transactionId: string; uploadId: string }
    result: Record<string, never>
  }
  'transaction.cancel': { data: { transactionId: string }; result: Record<string, never> }
  /** The person leaves: an action that is not backgroundable is cancelled. */
  'transaction.leave': { data: { transactionId: string }; result: Record<string, never> }
  /** The redirect of this transaction was followed; it is not delivered again. */
  'transaction.redirected': { data: { transactionId: string }; result: Record<string, never> }
  /** What waits for this person to start it. */
  'queue.list': { data: Place; result: { items: QueueItem[] } }
  'page.open': {
    data: Place & { pageKey: string; slug: string; params?: Params; paramsMeta?: unknown }
    result: PageSnapshot
  }
  'page.setState': {
    data: {
      pageKey: string
      requestId: string
      inputGroupKey: string
      renderId: string
      values: unknown[]
      valuesMeta?: unknown
    }
    result: Record<string, never>
  }
  'page.leave': { data: { pageKey: string }; result: Record<string, never> }
}

export type Method = keyof Requests

export interface Events {
  directory: Place & { directory: Directory }
  'transaction.render': { transactionId: string; step: Step }
  'transaction.loading': { transactionId: string; loading: LoadingState | null }
  'transaction.logs': { transactionId: string; lines: LogLine[] }
  'transaction.notification': { transactionId: string; notification: Notification }
  'transaction.redirect': { transactionId: string; redirect: Redirect }
  'transaction.completed': { transactionId: string; result: TransactionResult }
  /** Something may have been missed: this takes the place of everything seen before, as after `attach`. */
  'transaction.snapshot': TransactionSnapshot
  /** Another window took this transaction over; this one gets nothing more. */
  'transaction.usurped': { transactionId: string }
  'transaction.host': { transactionId: string; hostConnected: boolean }
  'page.render': { pageKey: string; layout: PageLayout | null }
  'page.loading': { pageKey: string; loading: LoadingState | null }
  'page.redirect': { pageKey: string; redirect: Redirect }
  /** As `transaction.snapshot`. */
  'page.snapshot': PageSnapshot
  'page.host': { pageKey: string; hostConnected: boolean }
}

export type EventName = keyof Events

export type RequestFrame = { [M in Method]: { id: number; method: M; data: Requests[M]['data'] } }[Method]
export type ReplyFrame = { id: number; result: unknown } | { id: number; error: ErrorBody }
export type EventFrame = { [E in EventName]: { event: E; data: Events[E] } }[EventName]

export interface Directory {
  actions: DirectoryAction[]
  pages: DirectoryPage[]
  /** Hosts connected right now that serve this place. */
  hosts: number
}

export interface DirectoryAction {
  /** Full path, e.g. `users/create`. */
  slug: string
  /** Slug of the page it is in, if any. */
  parent: string | null
  name: string
  description: string | null
  unlisted: boolean
  backgroundable: boolean
  warnOnClose: boolean
  /** A host that serves it is connected. */
  online: boolean
  /** The person knows of it and may not run it: then it is not `online` for them. */
  viewOnly?: true
}

export interface DirectoryPage {
  slug: string
  parent: string | null
  name: string
  description: string | null
  unlisted: boolean
  /** It shows its own layout; otherwise it is only a folder. */
  hasHandler: boolean
  /** This person may open its handler (they may still be allowed into something inside). */
  mayOpen: boolean
  online: boolean
}

export type TransactionStatus = 'pending' | 'running' | 'awaiting-input' | 'completed'

/** One IO group as the person sees it: the newest render of one `inputGroupKey`. */
export interface Step {
  /** Position in the order of first renders, from 0. */
  order: number
  call: IoCall
  /** The answer was accepted; the step is shown disabled until the host renders it again. */
  answered: boolean
}

export interface LogLine {
  index: number
  text: string
  atMs: number
}

export interface Notification {
  id: string
  /** When it was said; absent in what was written by an older version. */
  atMs?: number
  title: string | null
  message: string
  deliveries: { to: string; method: 'EMAIL' | 'SLACK' | null }[]
}

export type Redirect =
  | { url: string; download?: string; replace?: boolean }
  | { route: string; params?: Record<string, unknown>; replace?: boolean }

/** A file that may be sent. */
export interface UploadGrant {
  id: string
  /** Where to PUT it: a path of this server, or an address elsewhere. */
  uploadUrl: string
  /** To be sent with it. */
  headers: Readonly<Record<string, string>>
  /** What is answered as its `url`. */
  downloadUrl: string
  /** Nobody but the browser knows when it has arrived: it says so with `transaction.uploaded`. */
  confirms: boolean
}

export interface TransactionResult {
  status: 'SUCCESS' | 'FAILURE' | 'CANCELED' | 'REDIRECTED'
  /** Success: the superjson JSON of what the action returned. Failure: `{error, message, cause?}` or null. */
  data: unknown
  meta?: unknown
}

export interface QueueItem {
  id: string
  slug: string
  /** Name of the action. */
  name: string
  /** It is this person's, not anybody's. */
  mine: boolean
  /** Address of the other person it is for: then it is not this one's to start. */
  others: string | null
  createdAt: string
  expiresAt: string | null
}

export interface TransactionSnapshot {
  transactionId: string
  place: Place
  slug: string
  name: string
  status: TransactionStatus
  backgroundable: boolean
  warnOnClose: boolean
  hostConnected: boolean
  /** False for SDKs before 0.38: one step at a time, replaced by the next. */
  appends: boolean
  /** Open steps and displays, oldest first; answered input steps of the past are not kept. */
  steps: Step[]
  loading: LoadingState | null
  logs: LogLine[]
  notifications: Notification[]
  redirect: Redirect | null
  result: TransactionResult | null
  startedAtMs: number
}

export interface PageSnapshot {
  pageKey: string
  hostConnected: boolean
  layout: PageLayout | null
  loading: LoadingState | null
}
