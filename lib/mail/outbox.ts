/**
 * The outbox: mails as rows, written in the transaction of whoever has a reason for one, so that there is a mail exactly
 * when what it tells of has happened.
 *
 * Invariant: a row is held by one node at a time. Taking it moves `next_attempt_at` past the lease and counts the
 * attempt; whoever ends an attempt names its number, so that a node that comes late changes nothing. All times are the
 * database's.
 * What can go wrong: a node dies after the mail server has taken a mail and before that is written down. The mail is
 * sent once more, with the same Message-ID, by which receivers recognise it.
 */
import { type Queryable, storableText } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId } from '../ids.js'
import { limits } from '../limits.js'
import type { MailToSend, NewMail } from './mail.js'

const addressCharactersMax = 320
const subjectCharactersMax = 200
const errorCharactersMax = 500
const firstRetryMs = 15_000

/** A mail that this node holds until the lease ends. */
export interface TakenMail extends MailToSend {
  readonly kind: string
  /** Counted from 1. */
  readonly attempt: number
}

/**
 * Puts a mail into the outbox and returns its id. It is sent within seconds of the commit. Rejects with `invalid-value`
 * for what is no address, `queue-full` when too many wait, `not-found` for an organization that is gone.
 */
export async function enqueueMail(client: Queryable, mail: NewMail): Promise<string> {
  if (!isAddress(mail.to)) throw new AppError('invalid-value', 'This is not an e-mail address.')
  if (Buffer.byteLength(mail.text) + Buffer.byteLength(mail.html) > limits.mailBytesMax)
    throw new AppError('too-large', 'The mail is too large.')
  const id = newId<string>()
  const { rowCount } = await client.query(
    `insert into mails (id, organization_id, kind, recipient, subject, text, html, next_attempt_at, deadline_at)
     select $1, $2, $3, $4, $5, $6, $7, now(), now() + make_interval(secs => $8)
     where (select count(*) from (
       select from mails where status = 'WAITING' and coalesce(organization_id, '') = coalesce($2::text, '') limit $9
     ) as waiting) < $9`,
    [
      id,
      mail.organizationId,
      mail.kind,
      mail.to,
      storableLine(mail.subject, subjectCharactersMax),
      storableText(mail.text),
      storableText(mail.html),
      limits.mailDeadlineMs / 1_000,
      limits.mailsWaitingMax,
    ],
  )
  if (rowCount !== 1) throw new AppError('queue-full', 'Too many mails wait to be sent. Try again later.')
  return id
}

/** One address, as mail servers take it: nothing that could be read as a list, a name or a header. */
export function isAddress(text: string): boolean {
  return text.length <= addressCharactersMax && /^[^\s,;:<>()[\]"\\@]+@[^\s,;:<>()[\]"\\@]+$/.test(text)
}

/** Takes mails that are due, for as long as the lease; other nodes pass them over. */
export async function takeMails(database: Queryable, count: number): Promise<TakenMail[]> {
  const { rows } = await database.query<TakenMail>(
    `with due as (
       select id from mails where status = 'WAITING' and next_attempt_at <= now()
       order by (organization_id is not null), next_attempt_at limit $1 for update skip locked
     )
     update mails set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2), updated_at = now()
     from due where mails.id = due.id
     returning mails.id, kind, recipient as "to", subject, text, html, attempts as attempt`,
    [count, limits.mailLeaseMs / 1_000],
  )
  return rows
}

/** It is sent. What it said is forgotten: it may hold links that open things. */
export async function endSent(database: Queryable, { id }: Pick<TakenMail, 'id'>): Promise<void> {
  await database.query(
    `update mails set status = 'SENT', text = null, html = null, error = null, next_attempt_at = null,
       updated_at = now()
     where id = $1 and status = 'WAITING'`,
    [id],
  )
}

/** It was refused for good, or not now: then it is tried again until its deadline. Returns what it is now. */
export async function endUnsent(
  database: Queryable,
  { id, attempt }: Pick<TakenMail, 'id' | 'attempt'>,
  failure: { readonly reason: string; readonly isFinal: boolean },
): Promise<'WAITING' | 'FAILED' | null> {
  const { rows } = await database.query<{ status: 'WAITING' | 'FAILED' }>(
    `with verdict as (
       select id, $4 or now() + make_interval(secs => $5) > deadline_at as is_final from mails where id = $1
     )
     update mails set status = case when is_final then 'FAILED' else 'WAITING' end,
       next_attempt_at = case when is_final then null else now() + make_interval(secs => $5) end,
       error = $3, updated_at = now()
     from verdict where mails.id = verdict.id and status = 'WAITING' and attempts = $2
     returning status`,
    [
      id,
      attempt,
      storableLine(failure.reason, errorCharactersMax),
      failure.isFinal,
      retryMs(attempt) / 1_000,
    ],
  )
  return rows[0]?.status ?? null
}

/** How many wait to be sent, by whichever node; counted up to a bound. */
export async function waitingMails(database: Queryable, countMax: number): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `select count(*)::integer as count from (select from mails where status = 'WAITING' limit $1) as waiting`,
    [countMax],
  )
  return rows[0]?.count ?? 0
}

/** How long to wait after the attempt of this number, in ms: 15 s, twice as long each time, at most an hour. */
export function retryMs(attempt: number): number {
  return Math.min(firstRetryMs * 2 ** Math.min(attempt - 1, 20), limits.mailRetryMsMax)
}

/** Without a way to send mails they are kept for administrators to read. Returns how many. */
export async function keepWaiting(database: Queryable): Promise<number> {
  const { rowCount } = await database.query(
    `update mails set status = 'KEPT', next_attempt_at = null, updated_at = now() where status = 'WAITING'`,
  )
  return rowCount ?? 0
}

/** Forgets what ended long ago. */
export async function forgetOldMails(database: Queryable): Promise<void> {
  await database.query(
    `delete from mails where status <> 'WAITING' and updated_at < now() - make_interval(days => $1)`,
    [limits.mailsKeptDays],
  )
}

/** One line: nothing that could begin another header. */
function storableLine(text: string, charactersMax: number): string {
  const line = storableText(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
    .replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ')
    .trim()
  return line.length > charactersMax ? `${line.slice(0, charactersMax - 1)}…` : line
}
