import { AppError } from '../errors.js'

/** An error as one line. Errors that are not ours show their message, cut, since there is nothing better to say. */
export function describe(error: unknown): string {
  if (error instanceof AppError && error.code === 'internal' && error.cause instanceof Error) {
    return describe(error.cause)
  }
  const message = error instanceof Error && error.message !== '' ? error.message : String(error)
  return message.replace(/\s*[\r\n]+\s*/g, ' ').slice(0, 500)
}
