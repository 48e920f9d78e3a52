/**
 * Sends mails through any mail server, by nodemailer.
 *
 * What can go wrong: the server refuses for a while, for ever, or because of how it is set up here. Only what it says of
 * this recipient or this mail is final; a wrong password or sender is the operator's to mend, and mails wait for that.
 * Or it takes very long, a byte now and then: what was given up is cut off, with its connection, so that it is not sent
 * later beside the attempt that follows it.
 */
import { limits } from '../limits.js'
import type { MailSettings, MailTransport, SendResult } from './transport.js'
import { messageIdOf } from './transport.js'

const connectMsMax = 10_000
const silentMsMax = 30_000

export function smtpTransport(
  smtp: NonNullable<MailSettings['smtp']>,
  from: string,
  sendMsMax: number,
): MailTransport {
  const server =
    'url' in smtp
      ? { url: smtp.url.reveal() }
      : {
          host: smtp.host,
          port: smtp.port,
          secure: smtp.secure,
          ...(smtp.user !== null && {
            auth: { user: smtp.user, pass: smtp.password?.reveal() ?? '' },
          }),
        }
  // Loaded where it is used: it costs a start 70 ms and 15 MB.
  const transport = import('nodemailer').then(({ createTransport }) =>
    createTransport({
      ...server,
      pool: true,
      maxConnections: limits.mailsAtOnceMax,
      connectionTimeout: connectMsMax,
      greetingTimeout: connectMsMax,
      socketTimeout: silentMsMax,
      // What is sent was written here: nothing in it names a file or an address to fetch.
      disableFileAccess: true,
      disableUrlAccess: true,
    }),
  )
  return {
    name: 'smtp',
    send: ({ id, to, subject, text, html }) =>
      transport
        .then(transport =>
          transport.sendMail({
            from,
            // As an object: a text would be read as a list.
            to: { name: '', address: to },
            subject,
            text,
            html,
            messageId: messageIdOf(id, from),
            headers: { 'Auto-Submitted': 'auto-generated' },
            signal: AbortSignal.timeout(sendMsMax),
          }),
        )
        .then((): SendResult => ({ is: 'sent' }), resultOf),
    close: () => void transport.then(transport => transport.close({ force: true })),
  }
}

/** What an error of nodemailer means for the mail. */
function resultOf(error: unknown): SendResult {
  const { code, command, message, name, responseCode } = error as {
    code?: string
    command?: string
    message?: string
    name?: string
    responseCode?: number
  }
  if (name === 'AbortError' || name === 'TimeoutError')
    return { is: 'later', reason: 'The mail server did not answer in time.' }
  const reason = message ?? 'The mail server refused the mail.'
  const isForGood = responseCode !== undefined && responseCode >= 500
  const isAboutThis = code === 'EENVELOPE' ? command !== 'MAIL FROM' : code === 'EMESSAGE'
  return { is: isForGood && isAboutThis ? 'refused' : 'later', reason }
}
