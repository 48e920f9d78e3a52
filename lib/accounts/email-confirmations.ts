/**
 * Links that prove an address: the one a person has, or the one they want to have. A link carries the row's id and a digest of it under the server's secret, so the table
 * holds nothing that could be used, and an operator can still be given the link again.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type UserId } from '../ids.js'
import { limits } from '../limits.js'
import { mailConfirmation } from './person-mails.js'

const confirmationMs = 30 * 60_000
/** Who follows a late link is sent a new one for so long. */
const keptMs = 30 * 24 * 3_600_000
/** In which links are counted. */
const windowMs = 600_000

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
  // Whoever asks for one cleans up behind themselves: no job is needed for it.
  await client.query('delete from email_confirmations where person_id = $1 and created_at < $2', [
    confirmation.personId,
    new Date(confirmation.nowMs - keptMs),
  ])
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

/** What came of following a link. `expired`: it was right but late, and a new one is on its way to the same address. */
export type FollowedConfirmation =
  | { readonly status: 'confirmed' | 'expired' }
  /** It proved another address than the one the person had: theirs is that one now. */
  | { readonly status: 'changed'; readonly from: string; readonly to: string }

/**
 * Confirms the address for the person who follows the link. Rejects with `not-found` on a link that is forged, or somebody
 * else's, `conflict` when the address is another account's by now.
 */
export async function followConfirmation(
  client: Queryable,
  links: ConfirmationLinks,
  text: string,
  personId: UserId,
  nowMs: number,
): Promise<FollowedConfirmation> {
  const id = text.split('.')[0] ?? ''
  const expected = Buffer.from(seal(links, id))
  const given = Buffer.from(text)
  const unknown = (): AppError =>
    new AppError('not-found', 'This link is not valid, or is for another account.')
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) throw unknown()
  const { rows } = await client.query<{
    email: string
    expires_at: Date
    used_at: Date | null
    current: string
  }>(
    `select email_confirmations.email, expires_at, used_at, people.email as current
     from email_confirmations join people on people.id = person_id
     where email_confirmations.id = $1 and person_id = $2 for update of email_confirmations`,
    [id, personId],
  )
  const row = rows[0]
  if (!row) throw unknown()
  if (row.used_at !== null) return { status: 'confirmed' }
  if (row.expires_at.getTime() <= nowMs) {
    await sendConfirmation(client, links, { personId, email: row.email, nowMs })
    return { status: 'expired' }
  }
  await client.query('update email_confirmations set used_at = $2 where id = $1', [id, new Date(nowMs)])
  await setConfirmedEmail(client, personId, row.email, nowMs)
  if (row.email.toLowerCase() === row.current.toLowerCase()) return { status: 'confirmed' }
  // Links to other addresses of the past, and for a new password, end with the address.
  await client.query('delete from email_confirmations where person_id = $1 and id <> $2', [personId, id])
  await client.query('delete from password_resets where person_id = $1', [personId])
  return { status: 'changed', from: row.current, to: row.email }
}

/**
 * Makes a link and mails it to the address it will prove. Rejects with `too-many-requests` after too many. With
 * `letter` false the row is made and no mail: then nobody can follow it.
 */
export async function sendConfirmation(
  client: Queryable,
  links: ConfirmationLinks,
  confirmation: { personId: UserId; email: string; nowMs: number },
  letter = true,
): Promise<void> {
  const { email, nowMs, personId } = confirmation
  const { rows } = await client.query<{ count: number }>(
    'select count(*)::int as count from email_confirmations where person_id = $1 and created_at > $2',
    [personId, new Date(nowMs - windowMs)],
  )
  if ((rows[0]?.count ?? 0) >= limits.emailConfirmationsMax)
    throw new AppError('too-many-requests', 'Too many links were sent. Try again in ten minutes.')
  const id = await insertConfirmation(client, confirmation)
  if (letter) await mailConfirmation(client, email, confirmationUrl(links, id), confirmationMs)
}

/** The address somebody wants to change to and has not proven yet; null when there is none. */
export async function pendingEmail(
  client: Queryable,
  personId: UserId,
  nowMs: number,
): Promise<string | null> {
  const { rows } = await client.query<{ email: string }>(
    `select email_confirmations.email from email_confirmations join people on people.id = person_id
     where person_id = $1 and used_at is null and expires_at > $2
       and lower(email_confirmations.email) <> lower(people.email)
     order by email_confirmations.created_at desc limit 1`,
    [personId, new Date(nowMs)],
  )
  return rows[0]?.email ?? null
}

/** Forgets every address that was to be proven and is not the person's. */
export async function cancelEmailChange(client: Queryable, personId: UserId): Promise<void> {
  await client.query(
    `delete from email_confirmations using people where people.id = person_id and person_id = $1 and used_at is null
       and lower(email_confirmations.email) <> lower(people.email)`,
    [personId],
  )
}

/** Rejects with `conflict` when the address is another account's. */
async function setConfirmedEmail(
  client: Queryable,
  personId: UserId,
  email: string,
  nowMs: number,
): Promise<void> {
  try {
    await client.query(
      'update people set email = $2, email_confirmed_at = $3, updated_at = now() where id = $1',
      [personId, email, new Date(nowMs)],
    )
  } catch (error) {
    if (violatedConstraint(error) !== 'people_email') throw error
    throw new AppError('conflict', 'This address belongs to another account by now.', { cause: error })
  }
}
