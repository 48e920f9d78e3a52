/**
 * How values are written for people, in the browser's own language. Dates come as `Date` or as the exact text that
 * `Date.toJSON` makes; both read the same. Pure, so that it is tested without a browser.
 */
const exactIso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
const webAddress = /^https?:\/\/[^\s]+$/i
const mailAddress = /^[^\s@]+@[^\s@]+\.[^\s@]+$/

/** `Jul 20, 2022, 1:05 PM` */
export function formatDateTime(date: Date, locale?: string): string {
  if (Number.isNaN(date.getTime())) return 'Invalid date'
  return date.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short' })
}

/** `July 20, 2022`, in the browser's own time zone unless another is named. */
export function formatLongDate(date: Date, locale?: string, timeZone?: string): string {
  return date.toLocaleDateString(locale, { dateStyle: 'long', timeZone })
}

/** `1:05 PM`, in the browser's own time zone unless another is named. */
export function formatTime(date: Date, locale?: string, timeZone?: string): string {
  return date.toLocaleTimeString(locale, { timeStyle: 'short', timeZone })
}

/** The date written by `Date.toJSON`, or null for any other text. */
export function dateOfIso(text: string): Date | null {
  if (!exactIso.test(text)) return null
  const date = new Date(text)
  return Number.isNaN(date.getTime()) ? null : date
}

/** Where a text that is itself an address leads, or null. */
export function addressOf(text: string): string | null {
  if (webAddress.test(text)) return text
  return mailAddress.test(text) ? `mailto:${text}` : null
}

/** A text in parts: those that are addresses of the web, and what is between them. Together they are the text. */
export function partsOf(text: string): { text: string; address: string | null }[] {
  const parts: { text: string; address: string | null }[] = []
  let at = 0
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+/gi)) {
    // A full stop or a bracket behind an address belongs to the sentence.
    const address = match[0].replace(/[.,;:!?)\]}]+$/, '')
    if (match.index > at) parts.push({ text: text.slice(at, match.index), address: null })
    parts.push({ text: address, address })
    at = match.index + address.length
  }
  if (at < text.length || parts.length === 0) parts.push({ text: text.slice(at), address: null })
  return parts
}

/** A value in a result: numbers with separators, big integers with `n`, nothing for null. */
export function formatResult(value: unknown, locale?: string): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number') return value.toLocaleString(locale)
  if (typeof value === 'string') {
    const date = dateOfIso(value)
    return date ? formatDateTime(date, locale) : value
  }
  return formatScalar(value, locale)
}

/** A value in a table cell: plain digits, `-` for nothing. */
export function formatCell(value: unknown, locale?: string): string {
  if (value === null || value === undefined) return '-'
  if (typeof value === 'string') {
    const date = dateOfIso(value)
    return date ? formatDateTime(date, locale) : value
  }
  return formatScalar(value, locale)
}

function formatScalar(value: unknown, locale?: string): string {
  if (value instanceof Date) return formatDateTime(value, locale)
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (value instanceof RegExp) return String(value)
  if (value instanceof Map) return plainText(Object.fromEntries(value))
  if (value instanceof Set) return plainText([...value])
  if (typeof value === 'object' && value !== null) return plainText(value)
  return String(value)
}

/** JSON for lack of anything better; big integers as text, a circle as a note. */
export function plainText(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner)) ?? ''
    )
  } catch {
    return '[object]'
  }
}

/** JSON for reading and keeping: indented, maps as objects, sets as lists, big integers as text. */
export function indentedJson(value: unknown): string {
  try {
    return JSON.stringify(value, plainPart, 2) ?? ''
  } catch {
    return String(value)
  }
}

function plainPart(_key: string, inner: unknown): unknown {
  if (typeof inner === 'bigint') return String(inner)
  if (inner instanceof Map) return Object.fromEntries([...inner].map(([key, item]) => [String(key), item]))
  if (inner instanceof Set) return [...inner]
  if (inner instanceof Error) return { name: inner.name, message: inner.message }
  return inner instanceof RegExp ? String(inner) : inner
}

/** `3 s`, `2 min 5 s`: how long something took. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** The first characters of a node's id, enough to tell the nodes of one cluster apart. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}

/** Removes the blanks that all lines share at their start, as written inside an indented template. */
export function dedent(text: string): string {
  const lines = text.split('\n')
  const depths = lines.filter(line => line.trim() !== '').map(line => line.length - line.trimStart().length)
  // The first line often follows the opening quote directly and says nothing about the depth of the others.
  const rest = depths.length > 1 && depths[0] === 0 ? depths.slice(1) : depths
  const depth = Math.min(...rest)
  if (!Number.isFinite(depth) || depth === 0) return text
  return lines.map(line => line.slice(Math.min(depth, line.length - line.trimStart().length))).join('\n')
}
