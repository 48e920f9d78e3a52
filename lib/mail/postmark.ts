/** Sends mails through the API of Postmark: https://postmarkapp.com/developer/api/email-api */
import { z } from 'zod'
import { answerText } from '../answer-text.js'
import { limits } from '../limits.js'
import type { MailSettings, MailTransport, SendResult } from './transport.js'
import { messageIdOf } from './transport.js'

/** Error codes about the recipient: not an address (300), known not to take mails (406). */
const refusedCodes = new Set([300, 406])
const answerShape = z.object({ ErrorCode: z.number(), Message: z.string().max(1_000) })
const answerBytesMax = 65_536

export function postmarkTransport(
  postmark: NonNullable<MailSettings['postmark']>,
  from: string,
): MailTransport {
  return {
    name: 'postmark',
    async send({ id, to, subject, text, html }): Promise<SendResult> {
      try {
        const response = await fetch(`${postmark.url}/email`, {
          method: 'POST',
          headers: {
            accept: 'application/json',
            'content-type': 'application/json',
            'x-postmark-server-token': postmark.key.reveal(),
          },
          body: JSON.stringify({
            From: from,
            To: to,
            Subject: subject,
            TextBody: text,
            HtmlBody: html,
            MessageStream: 'outbound',
            Headers: [
              { Name: 'Message-ID', Value: messageIdOf(id, from) },
              // Otherwise Postmark makes one of its own.
              { Name: 'X-PM-KeepID', Value: 'true' },
              { Name: 'Auto-Submitted', Value: 'auto-generated' },
            ],
          }),
          redirect: 'error',
          signal: AbortSignal.timeout(limits.mailSendMsMax / 2),
        })
        const answer = answerShape.safeParse(jsonOf(await answerText(response, answerBytesMax)))
        if (response.ok && answer.data?.ErrorCode === 0) return { is: 'sent' }
        const reason = answer.data?.Message ?? `Postmark answered ${response.status}.`
        const isForGood = response.status === 422 && refusedCodes.has(answer.data?.ErrorCode ?? 0)
        return { is: isForGood ? 'refused' : 'later', reason }
      } catch (error) {
        const reason = error instanceof Error && error.name === 'TimeoutError' ? 'in time' : 'at all'
        return { is: 'later', reason: `Postmark did not answer ${reason}.` }
      }
    },
    close: () => undefined,
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
