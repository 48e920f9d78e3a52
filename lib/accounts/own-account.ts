/**
 * What people see and change of themselves: names, address, time zone, where they are told things.
 *
 * Invariant: an address is theirs only once they have followed a link that was sent to it, where mails are sent at all.
 * Who asks for an address is not told whether somebody else has it.
 */
import { AppError } from '../errors.js'
import type { UserId } from '../ids.js'
import type { AccountParts } from './account-parts.js'
import type { ClientIdentity } from './contract.js'
import {
  cancelEmailChange,
  followConfirmation,
  pendingEmail,
  sendConfirmation,
} from './email-confirmations.js'
import { holdProven, type IdentityProofs, type Proof } from './identity-proofs.js'
import type { NotificationMethod } from './notifications.js'
import { checkEmail, lockPerson, personByEmail, personById } from './people.js'
import { tellPerson } from './person-mails.js'
import type { Origin } from './sign-in.js'

export interface OwnAccountInfo {
  readonly email: string
  readonly firstName: string | null
  readonly lastName: string | null
  /** IANA name, or null while it is not known. */
  readonly timeZone: string | null
  readonly notificationMethod: NotificationMethod
  readonly emailConfirmed: boolean
  /** The address they want to change to, until it is proven. */
  readonly pendingEmail: string | null
  readonly hasPassword: boolean
  /** `EXTERNAL`: registered by an operator for a system of their own. */
  readonly secondFactor: {
    readonly kind: 'TOTP' | 'EXTERNAL'
    readonly since: string
    readonly recoveryCodesLeft: number
  } | null
}

export interface ProfileChanges {
  readonly firstName?: string | undefined
  readonly lastName?: string | undefined
  readonly timeZone?: string | undefined
  readonly notificationMethod?: NotificationMethod | undefined
}

export interface OwnAccount {
  ownAccount(who: ClientIdentity): Promise<OwnAccountInfo>
  /** Rejects with `invalid-value`, naming the field. */
  changeProfile(who: ClientIdentity, changes: ProfileChanges): Promise<void>
  /**
   * `sent`: a link was sent to the new address, whose following makes it theirs. `changed`: no mails are sent here, so it
   * is theirs at once, unproven.
   */
  changeEmail(who: ClientIdentity, email: string, proof: Proof, origin: Origin): Promise<'sent' | 'changed'>
  cancelEmailChange(who: ClientIdentity): Promise<void>
  /** Sends the link for the present address again. Nothing happens when it is proven. */
  resendConfirmation(who: ClientIdentity): Promise<void>
  /** Follows a link. `expired`: a new one was sent. */
  confirmEmail(who: ClientIdentity, seal: string, origin: Origin): Promise<'confirmed' | 'expired'>
  /** Rejects with `forbidden` while the person has not proven their address, where mails are sent. */
  requireConfirmedEmail(userId: UserId): Promise<void>
}

export function createOwnAccount(parts: AccountParts, { prove }: Pick<IdentityProofs, 'prove'>): OwnAccount {
  const { database, clock, audit, identities, attempts, links, sendsMail } = parts
  const taken = (): AppError => {
    const message = 'An account with this email address already exists.'
    return new AppError('conflict', message, { fields: { email: message } })
  }

  return {
    async ownAccount(who) {
      const { rows } = await database.query<{
        email: string
        first_name: string | null
        last_name: string | null
        time_zone: string | null
        default_notification_method: NotificationMethod
        email_confirmed_at: Date | null
        has_password: boolean
        kind: 'TOTP' | 'EXTERNAL' | null
        since: Date | null
        codes: number | null
      }>(
        `select email, first_name, last_name, time_zone, default_notification_method, email_confirmed_at,
           password is not null as has_password, kind, second_factors.created_at as since,
           cardinality(recovery_code_hashes) as codes
         from people left join second_factors on person_id = people.id where people.id = $1`,
        [who.user.id],
      )
      const row = rows[0]
      if (!row) throw new AppError('not-signed-in')
      return {
        email: row.email,
        firstName: row.first_name,
        lastName: row.last_name,
        timeZone: row.time_zone,
        notificationMethod: row.default_notification_method,
        emailConfirmed: row.email_confirmed_at !== null,
        pendingEmail: await pendingEmail(database, who.user.id, clock.nowMs()),
        hasPassword: row.has_password,
        secondFactor: row.kind && {
          kind: row.kind,
          since: (row.since ?? new Date(0)).toISOString(),
          recoveryCodesLeft: row.codes ?? 0,
        },
      }
    },

    async changeProfile(who, { firstName, lastName, notificationMethod, timeZone }) {
      if (timeZone !== undefined && !isTimeZone(timeZone)) {
        const message = 'There is no such time zone.'
        throw new AppError('invalid-value', message, { fields: { timeZone: message } })
      }
      await database.query(
        `update people set first_name = coalesce($2, first_name), last_name = coalesce($3, last_name),
           time_zone = coalesce($4, time_zone), updated_at = now(),
           default_notification_method = coalesce($5, default_notification_method) where id = $1`,
        [who.user.id, firstName ?? null, lastName ?? null, timeZone ?? null, notificationMethod ?? null],
      )
      // Names are remembered with rights.
      if (firstName !== undefined || lastName !== undefined) identities.forgetRights()
    },

    async changeEmail(who, text, proof, origin) {
      const email = checkEmail(text)
      const person = await prove(who, proof, origin)
      if (email.toLowerCase() === person.email.toLowerCase()) {
        const message = 'This is your address already.'
        throw new AppError('invalid-value', message, { fields: { email: message } })
      }
      const audited = (name: string): void =>
        audit.record({ name, userId: person.id, address: origin.address, details: { email } })
      if (!sendsMail) {
        // It tells who has an account, so it is limited as at the sign-up.
        const attempt = await attempts.attempt(`check ${email}`, origin.address)
        if (await personByEmail(database, email)) throw taken()
        await attempt.takenBack()
        await database.transaction(async client => {
          await holdProven(client, person)
          await client.query(
            'update people set email = $2, email_confirmed_at = null, updated_at = now() where id = $1',
            [person.id, email],
          )
        })
        identities.forgetRights()
        audited('email.changed')
        return 'changed'
      }
      await database.transaction(async client => {
        await holdProven(client, person)
        const isTaken = (await personByEmail(client, email)) !== null
        await cancelEmailChange(client, person.id)
        await sendConfirmation(client, links, { personId: person.id, email, nowMs: clock.nowMs() }, !isTaken)
        if (!isTaken) return
        await tellPerson(client, email, {
          subject: 'Somebody wants to use your address',
          paragraphs: [
            'Somebody wanted to change the address of their account to yours. Nothing was changed.',
          ],
        })
      })
      audited('email.change-requested')
      return 'sent'
    },

    cancelEmailChange: who => cancelEmailChange(database, who.user.id),

    async resendConfirmation(who) {
      await database.transaction(async client => {
        const person = await personById(client, who.user.id)
        if (!person || person.email_confirmed_at !== null) return
        await sendConfirmation(client, links, {
          personId: person.id,
          email: person.email,
          nowMs: clock.nowMs(),
        })
      })
    },

    async confirmEmail(who, seal, origin) {
      const followed = await database.transaction(async client => {
        await lockPerson(client, who.user.id)
        const result = await followConfirmation(client, links, seal, who.user.id, clock.nowMs())
        if (result.status === 'changed') {
          await tellPerson(client, result.from, {
            subject: 'Your email address was changed',
            paragraphs: [`The address of your account is ${result.to} from now on.`],
          })
        }
        return result
      })
      if (followed.status === 'expired') return 'expired'
      const name = followed.status === 'changed' ? 'email.changed' : 'email.confirmed'
      audit.record({ name, userId: who.user.id, address: origin.address })
      if (followed.status === 'changed') identities.forgetRights()
      return 'confirmed'
    },

    async requireConfirmedEmail(userId) {
      if (!sendsMail) return
      const person = await personById(database, userId)
      if (person?.email_confirmed_at === null)
        throw new AppError('forbidden', 'Confirm your email address first: a link was sent to you.')
    },
  }
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return text.length <= 64
  } catch {
    return false
  }
}
