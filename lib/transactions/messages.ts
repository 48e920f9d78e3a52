/** What can be said to a transaction: by browsers (`client`), by the host that runs it, and by the node itself. */
import type { Params, Place, Redirect, TransactionSnapshot } from '../clients/wire.js'
import type {
  ClientId,
  ConnectionId,
  EnvironmentId,
  InstanceId,
  OrganizationId,
  TransactionId,
  UserId,
} from '../ids.js'
import type { Json } from '../partitions/entity.js'
import type { IoCall, LoadingState } from '../sdk/io-call.js'
import type { HostDelivery } from './change.js'
import type { HttpHostAnswer, HttpRequest } from './http-request.js'
import type { AllowedUpload } from './state.js'

/** Everything about a run that never changes after it was started, except to whom it is bound. */
export interface TransactionStart {
  readonly id: TransactionId
  readonly organizationId: OrganizationId
  readonly environmentId: EnvironmentId
  readonly place: Place
  /** Set in a development console: the person whose host and whose eyes alone it is for. */
  readonly developerId: UserId | null
  readonly owner: {
    readonly id: UserId
    readonly email: string
    readonly firstName: string | null
    readonly lastName: string | null
    readonly role: 'admin' | 'developer' | 'member'
    readonly teams: readonly string[]
  }
  readonly slug: string
  readonly name: string
  readonly backgroundable: boolean
  readonly warnOnClose: boolean
  /** While `http` is there, the HTTP host that is listed under this name; nobody speaks for it. */
  readonly instanceId: InstanceId
  /** Requests for an HTTP host: the first is being made, the others are to be made should it fail. Gone once bound. */
  readonly http?: readonly HttpRequest[]
  /** The host was woken for this run, and ends with it. */
  readonly woken?: true
  readonly sdkName: string
  readonly sdkVersion: string
  /** The SDK resolves displays at once and keeps the transaction until it is told to close it (0.38 and newer). */
  readonly appends: boolean
  /** The organization wants one IO call at a time: then no host resolves displays at once. */
  readonly oneCallAtATime?: true
  /** Text of the environment as this SDK version knows it. */
  readonly sdkEnvironment: string
  readonly params: Params
  readonly paramsMeta?: Json
  /** Absolute address of the action in the dashboard, given to the host. */
  readonly url: string
  /** The schedule that has started it, and is told when it ends. */
  readonly scheduleId?: string
  /** Of that schedule's: the person hears of success too. */
  readonly notifyOnSuccess?: boolean
}

/** Who is asking, as the edge has authenticated it. */
export interface Asker {
  readonly clientId: ClientId
  readonly userId: UserId
  readonly organizationId: OrganizationId
}

/** That the person has entered their password or a code in this session, as the accounts know it. */
export interface IdentityProof {
  /** How long ago, in ms. */
  readonly ageMs: number
  /** It was entered for this very step. */
  readonly isForStep: boolean
}

export type ClientMessage =
  /** Nobody asks for what a schedule starts: no window is attached to it. */
  | { readonly type: 'start'; readonly start: TransactionStart; readonly asker: Asker | null }
  | { readonly type: 'attach'; readonly asker: Asker }
  | {
      readonly type: 'answer'
      readonly asker: Asker
      readonly requestId: string
      readonly inputGroupKey: string
      readonly renderId: string
      readonly kind: 'RETURN' | 'SET_STATE'
      readonly values: readonly unknown[]
      readonly valuesMeta?: unknown
      readonly choice?: string
      /** What the edge knows of the person's last proof of identity, where the answer needs one. */
      readonly identity?: IdentityProof
    }
  | { readonly type: 'cancel'; readonly asker: Asker }
  | { readonly type: 'leave'; readonly asker: Asker }
  | { readonly type: 'redirected'; readonly asker: Asker }
  /** This window may have missed something; replied to with null when another one is attached meanwhile. */
  | { readonly type: 'refresh'; readonly asker: Asker }
  /** The person has chosen files for a field of a step; ids and addresses are made by the node that asks. */
  | {
      readonly type: 'allow-uploads'
      readonly asker: Asker
      readonly inputGroupKey: string
      /** Index of the field. */
      readonly component: number
      readonly files: readonly Omit<AllowedUpload, 'inputGroupKey' | 'component' | 'isSent'>[]
    }
  /** The socket of this browser window is gone. */
  | { readonly type: 'client-gone'; readonly clientId: ClientId }

export type HostMessage =
  | {
      readonly type: 'io-call'
      readonly instanceId: InstanceId
      readonly connectionId: ConnectionId
      readonly call: IoCall
      /** Length of the call's text on the wire. */
      readonly bytes: number
      /** Deliveries the host has confirmed since its last call; saves a commit of their own. */
      readonly delivered?: readonly string[]
      /** Number of the call, where the SDK counts them; also below. */
      readonly number?: number
    }
  | {
      readonly type: 'loading'
      readonly instanceId: InstanceId
      readonly loading: LoadingState
      readonly number?: number
    }
  | {
      readonly type: 'log'
      readonly instanceId: InstanceId
      readonly index: number | null
      readonly text: string
      readonly atMs: number
    }
  | {
      readonly type: 'redirect'
      readonly instanceId: InstanceId
      readonly redirect: Redirect
      readonly number?: number
    }
  | {
      readonly type: 'complete'
      readonly instanceId: InstanceId
      readonly status: 'SUCCESS' | 'FAILURE' | 'CANCELED' | 'REDIRECTED'
      readonly data: Json
      readonly meta?: Json
    }
  /** The start is about to be written to a host that would run the action twice if it were written twice. */
  | { readonly type: 'start-written'; readonly instanceId: InstanceId }
  /** This host's edge may have missed answers: it is told those the host has not confirmed. */
  | { readonly type: 'host-missed'; readonly instanceId: InstanceId }
  /** The host has confirmed (ISocket ACK) that an answer reached it. */
  | {
      readonly type: 'answer-delivered'
      readonly instanceId: InstanceId
      readonly deliveryId: string
    }

export type NodeMessage =
  | HttpHostAnswer
  | { readonly type: 'host-gone'; readonly instanceId: InstanceId }
  | { readonly type: 'host-back'; readonly instanceId: InstanceId }
  /** The host is still expected; it connected last at this time. */
  | { readonly type: 'host-alive'; readonly instanceId: InstanceId; readonly attachedAtMs: number }
  /** The host will not come back: its grace is over, or its key was revoked. */
  | { readonly type: 'host-lost'; readonly instanceId: InstanceId }
  | {
      readonly type: 'notification'
      readonly organizationId: OrganizationId
      readonly id: string
      readonly title: string | null
      readonly message: string
      readonly deliveries: readonly { readonly to: string; readonly method: 'EMAIL' | 'SLACK' | null }[]
    }
  /** A file is about to be taken: is it still wanted? With `asker`, who says so is checked as well. */
  | { readonly type: 'upload-wanted'; readonly id: string; readonly asker?: Asker }
  /** A file was sent whole. */
  | { readonly type: 'uploaded'; readonly id: string }
  /** Where is this transaction? Asked by edges, which then check whether the person may go there. */
  | { readonly type: 'locate' }

/** Reply to `start` and `attach`. */
export interface Attached {
  readonly snapshot: TransactionSnapshot
  /** The host to watch over, while the window is attached; null while an HTTP host is being woken. */
  readonly instanceId: InstanceId | null
}

/** Reply to `locate`; null when there is no such transaction. */
export type Located =
  | (Pick<TransactionStart, 'place' | 'organizationId' | 'environmentId' | 'instanceId' | 'slug' | 'name'> & {
      readonly ownerEmail: string
      /** It has a result. */
      readonly hasEnded: boolean
    })
  | null

export type TransactionMessage = ClientMessage | HostMessage | NodeMessage

/** Answer to a host's call. `false` is turned by the edge into what the SDK version understands. */
export type HostReply =
  | {
      readonly accepted: true
      /** Answers that the host has not confirmed, to be written unless they were on the same connection. */
      readonly deliveries?: readonly HostDelivery[]
    }
  | {
      readonly accepted: false
      readonly reason: string
      /** It is not this host's: the edge records that it asked. */
      readonly denied?: true
    }
