/**
 * A new password for who has forgotten theirs: a link by mail that works once, for half an hour.
 *
 * Invariant: asking tells nothing, neither by words nor by time, of whether an address has an account: the answer is
 * given before anything is looked up. The table holds only digests of links. A new password ends every session.
 * What can go wrong: the node ends between answer and mail. Then there is no mail, and the person asks again.
 */
import type { Queryable } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, newSecret, type UserId } from '../ids.js'
import { deleteAccessTokens } from './access-tokens.js'
import type { AccountParts } from './account-parts.js'
import { checkNewPassword } from './passwords.js'
import { lockPerson, personByEmail, personById, setPasswordHash } from './people.js'
import { mailPasswordReset, tellPerson } from './person-mails.js'
import { deleteOtherSessions, isSessionToken, tokenHash } from './sessions.js'
import type { Origin } from './sign-in.js'

/** Links of one person that may be open at once. */
const openLinksMax = 3
/** Requests being worked on; more are dropped. */
const workingMax = 100

export interface PasswordResets {
  /** Sends a link, if the address has an account. Rejects with `too-many-requests` whether or not it has. */
  requestPasswordReset(email: string, origin: Origin): Promise<void>
  /** Rejects with `not-found` when the link is unknown, used or too old. */
  checkPasswordReset(seal: string): Promise<void>
  /** Uses the link up. Rejects as `checkPasswordReset`, or with `invalid-value` for a password nobody should have. */
  resetPassword(seal: string, password: string, origin: Origin): Promise<void>
  /** Resolves when what was asked for has been done. */
  passwordResetsDone(): Promise<void>
}

export function createPasswordResets(parts: AccountParts): PasswordResets {
  const { database, clock, log, limits, audit, identities, passwords, attempts, links } = parts
  const working = new Set<Promise<void>>()

  const send = async (email: string, origin: Origin): Promise<void> => {
    const isSent = await database.transaction(async client => {
      const person = await personByEmail(client, email)
      if (!person) return null
      const token = newSecret()
      const isNew = await insertReset(client, person.id, token, clock.nowMs(), limits.passwordResetMsMax)
      if (isNew)
        await mailPasswordReset(
          client,
          person.email,
          resetUrl(links.appUrl, token),
          limits.passwordResetMsMax,
        )
      return { person, isNew }
    })
    if (!isSent) return
    const { person, isNew } = isSent
    const details = { sent: isNew }
    audit.record({ name: 'password.reset-requested', userId: person.id, address: origin.address, details })
  }

  const openReset = async (client: Queryable, seal: string, lock: boolean): Promise<UserId> => {
    const { rows } = await client.query<{ person_id: UserId }>(
      `select person_id from password_resets where token_hash = $1 and used_at is null and expires_at > $2
       ${lock ? 'for update' : ''}`,
      [isSessionToken(seal) ? tokenHash(seal) : Buffer.alloc(0), new Date(clock.nowMs())],
    )
    const row = rows[0]
    if (!row) throw new AppError('not-found', 'This link has expired or was used already. Ask for a new one.')
    return row.person_id
  }

  return {
    async requestPasswordReset(email, origin) {
      // Never taken back: whoever asks for many is stopped.
      await attempts.attempt(`reset ${email}`, origin.address)
      if (working.size >= workingMax) {
        log.warn('password.reset-dropped', { workingMax })
        return
      }
      const work: Promise<void> = send(email, origin)
        .catch((error: unknown) => log.warn('password.reset-not-sent', { error }))
        .finally(() => working.delete(work))
      working.add(work)
    },

    async checkPasswordReset(seal) {
      await openReset(database, seal, false)
    },

    async resetPassword(seal, password, origin) {
      const person = await personById(database, await openReset(database, seal, false))
      if (!person) throw new AppError('not-found')
      checkNewPassword(password, person.email)
      const hash = await passwords.hash(password)
      const ended = await database.transaction(async client => {
        await lockPerson(client, person.id)
        await openReset(client, seal, true)
        await setPasswordHash(client, person.id, hash)
        await client.query(
          'update password_resets set used_at = $2 where person_id = $1 and used_at is null',
          [person.id, new Date(clock.nowMs())],
        )
        const keys =
          person.email_confirmed_at === null ? await takeOver(client, person.id, clock.nowMs()) : []
        // Whoever needs a link may have lost more than a password.
        const tokens = await deleteAccessTokens(client, person.id)
        await tellPerson(client, person.email, {
          subject: 'Your password was changed',
          paragraphs: [
            'A new password was chosen with a link from a mail. All sessions and access tokens have ended.',
          ],
        })
        return { keys, tokens, sessions: await deleteOtherSessions(client, person.id, null) }
      })
      identities.announce({ keys: ended.keys, sessions: ended.sessions })
      identities.forgetRights()
      const details = { sessionsEnded: ended.sessions.length, tokensEnded: ended.tokens }
      audit.record({ name: 'password.reset', userId: person.id, address: origin.address, details })
    },

    async passwordResetsDone() {
      await Promise.all(working)
    },
  }
}

function resetUrl(appUrl: string, token: string): string {
  const url = new URL('/reset-password', appUrl)
  url.searchParams.set('seal', token)
  return url.toString()
}

/** False when so many links are open already that this one is not made. */
async function insertReset(
  client: Queryable,
  personId: UserId,
  token: string,
  nowMs: number,
  validMs: number,
): Promise<boolean> {
  await client.query('select from people where id = $1 for update', [personId])
  await client.query('delete from password_resets where person_id = $1 and expires_at <= $2', [
    personId,
    new Date(nowMs),
  ])
  const { rowCount } = await client.query(
    `insert into password_resets (id, person_id, token_hash, created_at, expires_at)
     select $1, $2, $3, $4, $5
     where (select count(*) from password_resets where person_id = $2 and used_at is null) < $6`,
    [newId(), personId, tokenHash(token), new Date(nowMs), new Date(nowMs + validMs), openLinksMax],
  )
  return rowCount === 1
}

/**
 * The address is proven for the first time, by this link. Whoever made the account may have been somebody else: nothing
 * they left behind to come back with may stay. Returns the ids of the keys that ended.
 */
async function takeOver(client: Queryable, personId: UserId, nowMs: number): Promise<string[]> {
  await client.query('update people set email_confirmed_at = $2 where id = $1', [personId, new Date(nowMs)])
  await client.query('delete from second_factors where person_id = $1', [personId])
  await client.query('delete from second_factor_enrolments where person_id = $1', [personId])
  await client.query('delete from email_confirmations where person_id = $1', [personId])
  const { rows } = await client.query<{ id: string }>(
    'update api_keys set revoked_at = now() where person_id = $1 and revoked_at is null returning id',
    [personId],
  )
  return rows.map(({ id }) => id)
}
