import type { Test } from 'tap'
import { AppError, type ErrorCode } from '../../../lib/errors.js'

/** Asserts that `work` rejects with an error of ours with this code and message. */
export async function rejectsWith(
  t: Pick<Test, 'equal' | 'match' | 'fail'>,
  work: Promise<unknown>,
  code: ErrorCode,
  pattern = /./,
): Promise<void> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (!(error instanceof AppError)) {
    t.fail(`expected ${code}, got ${String(error)}`)
    return
  }
  t.equal(error.code, code)
  t.match(error.message, pattern)
}
