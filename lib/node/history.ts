/** From the records of an entity to its row in the history. Only transactions have one. */
import type { HistoryRow } from '../accounts/index.js'
import type { HistoryItem } from '../partitions/index.js'
import { inputsOf, loadTransaction, masked, noticesOf } from '../transactions/index.js'

/** Null for what has no row, e.g. a transaction that was removed meanwhile. */
export function historyRow({ key, version, records }: HistoryItem): HistoryRow | null {
  if (!key.startsWith('transaction:')) return null
  const { start, now, logs, notes, result } = loadTransaction(records)
  if (start === null) return null
  return {
    id: start.id,
    organizationId: start.organizationId,
    environmentId: start.environmentId,
    developerId: start.developerId,
    ownerId: start.owner.id,
    slug: start.slug,
    name: start.name,
    hostId: start.instanceId,
    status: statusOf(now),
    resultStatus: now.status === 'completed' ? (result?.status ?? null) : null,
    resultData: result?.data ?? null,
    ...(result?.meta !== undefined && { resultMeta: result.meta }),
    inputs: inputsOf(records),
    params: masked(start.params),
    backgroundable: start.backgroundable,
    createdAtMs: now.startedAtMs,
    updatedAtMs: now.completedAtMs ?? now.startedAtMs,
    completedAtMs: now.completedAtMs,
    epoch: version.epoch,
    seq: version.seq,
    logs: logs.map(({ index, text, atMs }) => ({ index, text, atMs })),
    notifications: [
      ...notes,
      ...noticesOf(records).map(notice => ({
        ...notice,
        deliveries: [{ to: start.owner.email, method: null }],
      })),
    ],
  }
}

function statusOf(now: ReturnType<typeof loadTransaction>['now']): HistoryRow['status'] {
  if (now.status === 'completed') return 'COMPLETED'
  if (now.hostGone) return 'HOST_CONNECTION_DROPPED'
  if (now.clientGoneAtMs !== null) return 'CLIENT_CONNECTION_DROPPED'
  if (now.status === 'awaiting-input') return 'AWAITING_INPUT'
  return now.status === 'running' ? 'RUNNING' : 'PENDING'
}
