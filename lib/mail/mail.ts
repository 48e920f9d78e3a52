/** A mail, on its way or ended. */
import type { OrganizationId } from '../ids.js'

/** What a mail is about. It decides nothing but how a list names it. */
export type MailKind = 'email-confirmation' | 'password-reset' | 'invitation' | 'notification' | 'account'

/** `KEPT`: no way to send mails was set up when it was written. */
export type MailStatus = 'WAITING' | 'SENT' | 'FAILED' | 'KEPT'

/** What is said: the templates of letters.ts make it. */
export interface MailContent {
  readonly subject: string
  readonly text: string
  readonly html: string
}

export interface NewMail extends MailContent {
  /** Null: about somebody's account. */
  readonly organizationId: OrganizationId | null
  readonly kind: MailKind
  /** One address, without a name. */
  readonly to: string
}

/** A mail as a transport gets it. */
export interface MailToSend extends MailContent {
  /** The same at each attempt: the Message-ID is made of it. */
  readonly id: string
  readonly to: string
}
