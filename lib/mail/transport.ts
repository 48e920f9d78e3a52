/** What takes mails away: a mail server, Postmark's API, or nothing. */
import type { SmtpConfig } from '../config/index.js'
import { limits } from '../limits.js'
import type { Secret } from '../log.js'
import type { MailToSend } from './mail.js'
import { postmarkTransport } from './postmark.js'
import { smtpTransport } from './smtp.js'

/** `refused`: never to be tried again, e.g. there is no such mailbox. `later`: for a reason that may pass. */
export type SendResult =
  | { readonly is: 'sent' }
  | { readonly is: 'refused'; readonly reason: string }
  | { readonly is: 'later'; readonly reason: string }

export interface MailTransport {
  readonly name: 'smtp' | 'postmark'
  /** Never rejects, and settles within `mailSendMsMax`. */
  send(mail: MailToSend): Promise<SendResult>
  close(): void
}

/** As the configuration has it. */
export interface MailSettings {
  readonly from: string
  readonly postmark: { readonly key: Secret; readonly url: string } | null
  readonly smtp: SmtpConfig | null
}

/** The transport that is set up; null: mails are kept in the outbox. `sendMsMax`: how long one mail may take. */
export function mailTransportOf(
  settings: MailSettings,
  sendMsMax: number = limits.mailSendMsMax,
): MailTransport | null {
  if (settings.smtp) return smtpTransport(settings.smtp, settings.from, sendMsMax)
  if (settings.postmark) return postmarkTransport(settings.postmark, settings.from)
  return null
}

/** The same at each attempt, so that a mail that arrives twice is recognised. `from` gives the domain. */
export function messageIdOf(mailId: string, from: string): string {
  const domain = /@([\w.-]+)>?\s*$/.exec(from)?.[1] ?? 'interval.invalid'
  return `<${mailId}@${domain}>`
}
