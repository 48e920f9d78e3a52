/** Mails to a person about their own account. Each belongs to the transaction of what it tells of. */
import type { Queryable } from '../database/index.js'
import { accountLetter, emailConfirmationLetter, enqueueMail, passwordResetLetter } from '../mail/index.js'

/** The address must be proven by following the link. */
export async function mailConfirmation(
  client: Queryable,
  to: string,
  url: string,
  validMs: number,
): Promise<void> {
  const content = emailConfirmationLetter({ url, validMinutes: validMs / 60_000 })
  await enqueueMail(client, { ...content, organizationId: null, kind: 'email-confirmation', to })
}

export async function mailPasswordReset(
  client: Queryable,
  to: string,
  url: string,
  validMs: number,
): Promise<void> {
  const content = passwordResetLetter({ url, validMinutes: validMs / 60_000 })
  await enqueueMail(client, { ...content, organizationId: null, kind: 'password-reset', to })
}

/** Something happened to the account. It asks for nothing, but to speak up. */
export async function tellPerson(
  client: Queryable,
  to: string,
  about: { readonly subject: string; readonly paragraphs: readonly string[] },
): Promise<void> {
  const small =
    'If this was not you, choose a new password at once and tell an administrator of your organization.'
  await enqueueMail(client, {
    ...accountLetter({ ...about, small }),
    organizationId: null,
    kind: 'account',
    to,
  })
}

/** The same, unless they were told within a day: what somebody else may repeat does not fill their mailbox. */
export async function tellPersonOnce(
  client: Queryable,
  to: string,
  about: { readonly subject: string; readonly paragraphs: readonly string[] },
): Promise<void> {
  const { rows } = await client.query(
    `select from mails where lower(recipient) = lower($1) and subject = $2 and created_at > now() - interval '1 day'
     limit 1`,
    [to, about.subject],
  )
  if (rows.length === 0) await tellPerson(client, to, about)
}
