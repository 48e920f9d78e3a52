/** Who may speak to a run. */
import { AppError } from '../errors.js'
import type { Asker, TransactionStart } from './messages.js'

/** Other organizations' ids do not exist for the asker, and other people's are theirs alone. */
export function checkAsker(start: TransactionStart, asker: Asker): void {
  if (start.organizationId !== asker.organizationId)
    throw new AppError('not-found', 'There is no such transaction.')
  if (start.owner.id !== asker.userId) {
    throw new AppError('forbidden', 'This transaction belongs to another person.')
  }
}
