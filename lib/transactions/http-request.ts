/**
 * A run or page on an HTTP host begins as a request: the HTTP host is asked to run something, and connects as an
 * instance that names the request. Until then the run or page is bound to nobody; then it is bound to that instance for
 * good, like any other.
 *
 * Several requests are alternatives, tried one after the other: the next one only when nobody can come any more because
 * of the one before. So the thing runs once at most.
 */
import type {
  EntityKey,
  EnvironmentId,
  HttpHostId,
  InstanceId,
  OrganizationId,
  PageKey,
  TransactionId,
} from '../ids.js'
import type { Effect, Json } from '../partitions/entity.js'
import type { HostCall } from './change.js'

export interface HttpRequest {
  readonly httpHostId: HttpHostId
  /** Nobody can guess it. */
  readonly requestId: string
}

/** What becomes of a request. */
export type HttpHostAnswer =
  | {
      readonly type: 'host-bound'
      readonly requestId: string
      readonly instanceId: InstanceId
      readonly sdkName: string
      readonly sdkVersion: string
    }
  | { readonly type: 'host-unreachable'; readonly requestId: string; readonly reason: string }

export const httpHostKey = (id: string): EntityKey => `http-host:${id}`

/** Says that an instance is wanted, until that is heard. */
export function wakeHost(
  { httpHostId, requestId }: HttpRequest,
  target: EntityKey,
  place: { readonly organizationId: OrganizationId; readonly environmentId: EnvironmentId },
): Effect {
  const { organizationId, environmentId } = place
  return {
    id: `${requestId}:wake`,
    to: 'entity',
    target: httpHostKey(httpHostId),
    payload: { type: 'wake', requestId, target, organizationId, environmentId },
  }
}

/** Says that it is not wanted any more: whoever connects because of it is sent away. */
export function forgetRequest({ httpHostId, requestId }: HttpRequest): Effect {
  return {
    id: `${requestId}:forget`,
    to: 'entity',
    target: httpHostKey(httpHostId),
    payload: { type: 'forget', requestId },
  }
}

/**
 * Sends an instance home that was woken for this run or page. SDKs have no word for that but the end of a page: whatever
 * they were woken for, they close their socket upon it and answer the request that woke them.
 */
export function releaseHost(id: TransactionId | PageKey, instanceId: InstanceId): Effect {
  const call: HostCall = { method: 'CLOSE_PAGE', data: { pageKey: id } }
  return {
    id: `${id}:release:${instanceId}`,
    to: 'host',
    target: instanceId,
    payload: call as unknown as Json,
  }
}
