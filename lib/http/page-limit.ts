/** How many rows a page of a list holds, as callers say it. */
import { AppError } from '../errors.js'

const pageMax = 100

/** Nothing where nothing is said. Rejects with `bad-request`. */
export function limitOf(text: string | null): { limit?: number } {
  if (text === null) return {}
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > pageMax) {
    const message = `a whole number from 1 to ${pageMax}`
    throw new AppError('bad-request', `limit: ${message}`, { fields: { limit: message } })
  }
  return { limit }
}
