/** Where a page of a list ends: the values its rows are ordered by, as opaque text in an address. */
import { AppError } from '../errors.js'

const cursorCharactersMax = 2_000

export function encodeCursor(values: readonly string[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

/** The values, or none without a cursor. Rejects with `bad-request` for what is no cursor of so many values. */
export function decodeCursor(cursor: string | undefined, count: number): string[] {
  if (cursor === undefined) return []
  try {
    if (cursor.length > cursorCharactersMax) throw new RangeError('too long')
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (
      Array.isArray(values) &&
      values.length === count &&
      values.every(value => typeof value === 'string')
    ) {
      return values
    }
  } catch {
    // Said below.
  }
  throw new AppError('bad-request', 'The cursor is not valid.', { fields: { cursor: 'not valid' } })
}
