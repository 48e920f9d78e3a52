/** How people are reached: mails and their outbox, Slack, and what was sent to oneself. */
import { callApi, listOf, momentOf } from './api.js'
import { isRecord } from './props.js'

export interface Channels {
  /** False: mails stay in the outbox. */
  sendsMail: boolean
  /** An app of Slack is set up on the server. */
  offersSlack: boolean
  workspace: string | null
}

export interface MailRow {
  id: string
  kind: string
  to: string
  subject: string
  /** `WAITING`, `SENT`, `FAILED`, `KEPT`. */
  status: string
  attempts: number
  error: string | null
  createdAtMs: number | null
  nextAttemptAtMs: number | null
}

/** A notification that did not arrive. */
export interface FailedDelivery {
  id: string
  to: string
  isBySlack: boolean
  title: string | null
  error: string | null
  createdAtMs: number | null
}

/** What was sent to the person. */
export interface OwnNotification {
  id: string
  title: string | null
  message: string
  createdAtMs: number | null
  arrivedAt: string
  environment: string
  transactionId: string | null
  isNew: boolean
}

const of = (organization: string): string => `/api/v1/organizations/${encodeURIComponent(organization)}`

export async function channelsOf(organization: string): Promise<Channels> {
  const { mail, slack } = await callApi('GET', `${of(organization)}/channels`)
  const connection = isRecord(slack) && isRecord(slack.connection) ? slack.connection : null
  return {
    sendsMail: isRecord(mail) && mail.isSent === true,
    offersSlack: isRecord(slack) && slack.isOffered === true,
    workspace: connection === null ? null : String(connection.workspace ?? ''),
  }
}

export async function mailsOf(
  organization: string,
  status: string,
  cursor: string | null,
): Promise<{ mails: MailRow[]; next: string | null }> {
  const query = new URLSearchParams()
  if (status !== '') query.set('status', status)
  if (cursor !== null) query.set('cursor', cursor)
  const body = await callApi('GET', `${of(organization)}/mails?${query}`)
  return { mails: listOf(body, 'mails').map(toMail), next: typeof body.next === 'string' ? body.next : null }
}

export async function failedDeliveries(organization: string): Promise<FailedDelivery[]> {
  const body = await callApi('GET', `${of(organization)}/failed-deliveries`)
  return listOf(body, 'deliveries').map(row => ({
    id: String(row.id ?? ''),
    to: String(row.to ?? ''),
    isBySlack: row.method === 'SLACK',
    title: typeof row.title === 'string' ? row.title : null,
    error: typeof row.error === 'string' ? row.error : null,
    createdAtMs: momentOf(row.createdAt),
  }))
}

/** What it says; null once it was sent. */
export async function mailText(organization: string, id: string): Promise<string | null> {
  const { text } = await callApi('GET', `${of(organization)}/mails/${encodeURIComponent(id)}`)
  return typeof text === 'string' ? text : null
}

export async function sendMailAgain(organization: string, id: string): Promise<void> {
  await callApi('POST', `${of(organization)}/mails/${encodeURIComponent(id)}/send`)
}

/** The address at Slack where the app is let in. */
export async function connectSlack(organization: string): Promise<string> {
  return String((await callApi('POST', `${of(organization)}/slack`)).url ?? '')
}

export async function disconnectSlack(organization: string): Promise<void> {
  await callApi('DELETE', `${of(organization)}/slack`)
}

export async function ownNotifications(organization: string): Promise<OwnNotification[]> {
  const body = await callApi('GET', `${of(organization)}/notifications`)
  return listOf(body, 'notifications').map(row => ({
    id: String(row.id ?? ''),
    title: typeof row.title === 'string' ? row.title : null,
    message: String(row.message ?? ''),
    createdAtMs: momentOf(row.createdAt),
    arrivedAt: String(row.arrivedAt ?? ''),
    environment: String(row.environment ?? 'production'),
    transactionId: typeof row.transactionId === 'string' ? row.transactionId : null,
    isNew: row.isNew === true,
  }))
}

/** What came until then was looked at. */
export async function seenNotifications(organization: string, until: string): Promise<void> {
  await callApi('POST', `${of(organization)}/notifications/seen`, { until })
}

function toMail(row: Record<string, unknown>): MailRow {
  return {
    id: String(row.id ?? ''),
    kind: String(row.kind ?? ''),
    to: String(row.to ?? ''),
    subject: String(row.subject ?? ''),
    status: String(row.status ?? ''),
    attempts: Number(row.attempts ?? 0),
    error: typeof row.error === 'string' ? row.error : null,
    createdAtMs: momentOf(row.createdAt),
    nextAttemptAtMs: momentOf(row.nextAttemptAt),
  }
}
