/**
 * Links that prove an address. A link carries the row's id and a digest of it under the server's secret, so the table
 * holds nothing that could be used, and an operator can still be given the link again.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type UserId } from '../ids.js'

const confirmationMs = 30 * 60_000

export interface ConfirmationInfo {
  readonly id: string
  readonly url: string
  readonly createdAt: string
  readonly expiresAt: string
}

export interface ConfirmationLinks {
  readonly secret: string
  /** Origin of the dashboard, e.g. `https://interval.example.com`. */
  readonly appUrl: string
}

export function confirmationUrl(links: ConfirmationLinks, id: string): string {
  const url = new URL('/confirm-email', links.appUrl)
  url.searchParams.set('seal', seal(links, id))
  return url.toString()
}

function seal(links: ConfirmationLinks, id: string): string {
  const digest = createHmac('sha256', links.secret).update(`email confirmation ${id}`).digest('base64url')
  return `${id}.${digest}`
}

export async function insertConfirmation(
  client: Queryable,
  confirmation: { personId: UserId; email: string; nowMs: number },
): Promise<string> {
  const id = newId<string>()
  await client.query(
    'insert into email_confirmations (id, person_id, email, created_at, expires_at) values ($1, $2, $3, $4, $5)',
    [
      id,
      confirmation.personId,
      confirmation.email,
      new Date(confirmation.nowMs),
      new Date(confirmation.nowMs + confirmationMs),
    ],
  )
  return id
}

/** The newest link of an address, used or not. */
export async function latestConfirmation(
  client: Queryable,
  links: ConfirmationLinks,
  email: string,
): Promise<ConfirmationInfo | null> {
  const { rows } = await client.query<{ id: string; created_at: Date; expires_at: Date }>(
    `select id, created_at, expires_at from email_confirmations where lower(email) = lower($1)
     order by created_at desc, id limit 1`,
    [email.trim()],
  )
  const row = rows[0]
  if (!row) return null
  return {
    id: row.id,
    url: confirmationUrl(links, row.id),
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
  }
}

export async function confirmationExists(client: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await client.query('select from email_confirmations where id = $1', [id])
  return rowCount === 1
}

export async function expireConfirmation(client: Queryable, id: string, nowMs: number): Promise<void> {
  await client.query('update email_confirmations set expires_at = $2 where id = $1', [id, new Date(nowMs)])
}

/**
 * Confirms the address for the person who follows the link. `expired`: the link was right but late, a new one was made.
 * Rejects with `not-found` on a link that is forged, or somebody else's.
 */
export async function followConfirmation(
  client: Queryable,
  links: ConfirmationLinks,
  text: string,
  personId: UserId,
  nowMs: number,
): Promise<'confirmed' | 'expired'> {
  const id = text.split('.')[0] ?? ''
  const expected = Buffer.from(seal(links, id))
  const given = Buffer.from(text)
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) throw new AppError('not-found')
  const { rows } = await client.query<{ email: string; expires_at: Date; used_at: Date | null }>(
    'select email, expires_at, used_at from email_confirmations where id = $1 and person_id = $2 for update',
    [id, personId],
  )
  const row = rows[0]
  if (!row) throw new AppError('not-found')
  if (row.used_at !== null) return 'confirmed'
  if (row.expires_at.getTime() <= nowMs) {
    await insertConfirmation(client, { personId, email: row.email, nowMs })
    return 'expired'
  }
  await client.query('update email_confirmations set used_at = $2 where id = $1', [id, new Date(nowMs)])
  await client.query('update people set email_confirmed_at = $2 where id = $1 and lower(email) = lower($3)', [
    personId,
    new Date(nowMs),
    row.email,
  ])
  return 'confirmed'
}
