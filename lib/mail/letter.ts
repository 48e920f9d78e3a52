/**
 * What all mails look like: one column, a heading, paragraphs, perhaps a button; the same as text. Everything that is
 * put in is escaped, and links go only where http and https go.
 */
import type { MailContent } from './mail.js'

/** The parts of a mail, as plain text. */
export interface Letter {
  readonly subject: string
  readonly heading: string
  readonly paragraphs: readonly string[]
  /** What to press, and the address behind it. */
  readonly button?: { readonly label: string; readonly url: string } | undefined
  /** Said small, under a line: why one gets this. */
  readonly small: string
}

/** Lays a letter out as text and HTML. */
export function written(letter: Letter): MailContent {
  const button = letter.button && isWebAddress(letter.button.url) ? letter.button : undefined
  return { subject: letter.subject, text: textOf(letter, button), html: htmlOf(letter, button) }
}

function textOf({ heading, paragraphs, small }: Letter, button: Letter['button']): string {
  const parts = [
    heading,
    ...paragraphs,
    ...(button ? [`${button.label}: ${button.url}`] : []),
    `-- \n${small}`,
  ]
  return `${parts.join('\n\n')}\n`
}

const font = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"

function htmlOf({ heading, paragraphs, small, subject }: Letter, button: Letter['button']): string {
  const lines = paragraphs.map(
    text => `<p style="margin:0 0 16px;font-size:16px;line-height:24px">${escapedLines(text)}</p>`,
  )
  const pressed = button
    ? `<p style="margin:24px 0"><a href="${escaped(button.url)}" style="display:inline-block;padding:12px 20px;background:#4338ca;color:#ffffff;border-radius:6px;font-size:16px;font-weight:600;text-decoration:none">${escaped(button.label)}</a></p>
<p style="margin:0 0 16px;font-size:13px;line-height:20px;color:#52525b">Or open this address: <a href="${escaped(button.url)}" style="color:#4338ca;word-break:break-all">${escaped(button.url)}</a></p>`
    : ''
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light"><title>${escaped(subject)}</title></head>
<body style="margin:0;padding:0;background:#f4f4f5;color:#18181b">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="${font}"><tr><td align="center" style="padding:32px 16px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:560px;background:#ffffff;border:1px solid #e4e4e7;border-radius:8px;text-align:left"><tr><td style="padding:32px">
<h1 style="margin:0 0 16px;font-size:20px;line-height:28px;font-weight:600">${escaped(heading)}</h1>
${lines.join('\n')}
${pressed}
<p style="margin:24px 0 0;padding-top:16px;border-top:1px solid #e4e4e7;font-size:13px;line-height:20px;color:#52525b">${escaped(small)}</p>
</td></tr></table>
</td></tr></table>
</body>
</html>
`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character] ?? '')
}

function escapedLines(text: string): string {
  return escaped(text).replace(/\r?\n/g, '<br>')
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}
