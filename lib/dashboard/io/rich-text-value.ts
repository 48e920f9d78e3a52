/** What formatted words are worth as an answer. Pure. */

/** True when the HTML shows nothing: no words, no picture, no rule. */
export function isEmptyHtml(html: string): boolean {
  if (/<(?:img|hr)\b/i.test(html)) return false
  let shown = ''
  // Step by step, since a pattern takes quadratic time on a text of many `<`.
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf('<', at)
    shown += html.slice(at, open < 0 ? undefined : open)
    const close = open < 0 ? -1 : html.indexOf('>', open)
    if (close < 0) break
    at = close + 1
  }
  return shown.replaceAll('&nbsp;', ' ').trim() === ''
}

/** The address of a link or a picture as it was meant: without a scheme it is one of the web. Null for nothing usable. */
export function addressTyped(text: string): string | null {
  const typed = text.trim()
  if (typed === '' || /\s/.test(typed)) return null
  if (/^(https?:\/\/|mailto:|tel:|\/)/i.test(typed)) return typed
  if (/^[^@/:]+@[^@/:]+$/.test(typed)) return `mailto:${typed}`
  return /^[a-z][a-z0-9+.-]*:(?!\d)/i.test(typed) ? null : `https://${typed}`
}
