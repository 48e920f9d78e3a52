/** What each kind of mail says. Addresses are whole ones, built by the caller from the address of the dashboard. */
import { type Letter, written } from './letter.js'
import type { MailContent } from './mail.js'

/** Proves that an address is somebody's. */
export function emailConfirmationLetter(about: {
  readonly url: string
  readonly validMinutes: number
}): MailContent {
  return written({
    subject: 'Confirm your e-mail address',
    heading: 'Confirm your e-mail address',
    paragraphs: [
      'Somebody, we hope you, has given this address for an account.',
      `The link works for ${about.validMinutes} minutes.`,
    ],
    button: { label: 'Confirm this address', url: about.url },
    small: 'If this was not you, do nothing: without the link the address is not used.',
  })
}

/** Lets whoever reads it choose a new password. */
export function passwordResetLetter(about: {
  readonly url: string
  readonly validMinutes: number
}): MailContent {
  return written({
    subject: 'Choose a new password',
    heading: 'Choose a new password',
    paragraphs: [
      'Somebody has asked for a new password for the account with this address.',
      `The link works once, for ${about.validMinutes} minutes. All sessions end when it is used.`,
    ],
    button: { label: 'Choose a new password', url: about.url },
    small: 'If this was not you, do nothing: your password stays as it is.',
  })
}

/** Asks somebody into an organization. */
export function invitationLetter(about: {
  readonly organization: string
  /** Name or address of who asks. */
  readonly inviter: string | null
  readonly url: string
  readonly validDays: number
}): MailContent {
  const { inviter, organization, url, validDays } = about
  return written({
    subject: `You are invited to join ${organization}`,
    heading: `Join ${organization}`,
    paragraphs: [
      inviter === null
        ? `You are invited to join ${organization}.`
        : `${inviter} invites you to join ${organization}.`,
      `The invitation is for this address only and ends after ${validDays} days.`,
    ],
    button: { label: `Join ${organization}`, url },
    small: 'If you do not know who this is, do nothing.',
  })
}

/** Says what an action, or the server, has to say to somebody. */
export function notificationLetter(about: {
  readonly organization: string
  readonly title: string | null
  readonly message: string
  /** Name of the action that says it. */
  readonly action: string | null
  readonly url: string
  readonly urlLabel: string
}): MailContent {
  const { action, message, organization, title, url, urlLabel } = about
  const from = action === null ? organization : `"${action}" at ${organization}`
  return written({
    subject: title ?? (action === null ? `Notification from ${organization}` : `Notification from ${action}`),
    heading: title ?? 'Notification',
    paragraphs: [message],
    button: { label: urlLabel, url },
    small: `This was sent to you by ${from}.`,
  })
}

/** Anything else about an account, e.g. that its password was changed. */
export function accountLetter(
  about: Pick<Letter, 'subject' | 'paragraphs' | 'button' | 'small'>,
): MailContent {
  return written({ ...about, heading: about.subject })
}
