/** The public face of mail: put one into the outbox, carry the outbox away. */
export {
  accountLetter,
  emailConfirmationLetter,
  invitationLetter,
  notificationLetter,
  passwordResetLetter,
} from './letters.js'
export type { MailContent, MailKind, MailStatus, NewMail } from './mail.js'
export { Mailer } from './mailer.js'
export { enqueueMail, isAddress, waitingMails } from './outbox.js'
export { type MailSettings, type MailTransport, mailTransportOf } from './transport.js'
