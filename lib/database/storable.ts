/**
 * JSON text that Postgres takes. It refuses two things that JavaScript strings may hold, a zero character and half of
 * a surrogate pair; one such character from a user's action must not stop the history, so both are replaced.
 */
const unstorable = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const replacement = '\ufffd'

export function storableText(text: string): string {
  return text.replace(unstorable, replacement)
}

/** Like `JSON.stringify`, for a value that JSON can hold; `undefined` becomes null. */
export function storable(value: unknown): string {
  const text = JSON.stringify(value ?? null)
  // Both kinds appear in JSON text only as an escape; most texts have none and are not walked again.
  if (!/\\u(0000|d[89a-f])/i.test(text)) return text
  return JSON.stringify(cleaned(JSON.parse(text)))
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storableText(key), cleaned(inner)]))
}
