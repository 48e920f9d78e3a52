/**
 * The nonce of a row: the id of the change that made it, and what those who were away for some rows have to know of it.
 *
 * `heard-ID~EPOCH@EPOCH`: nothing of the leader before is still on its way; since when this owner has led without a
 * break; where an operator has adopted the line. All but the id may be missing. The last two are carried on from row to
 * row, so that whoever sees only a later one sees them too.
 */
import type { Configuration, WantedChange } from './configuration.js'

type WithNonce = Pick<Configuration, 'nonce'>

const heardMark = 'heard-'
const ledMark = '~'
const adoptedMark = '@'

const parts = /^(?<heard>heard-)?[^~@]*(?:~(?<led>\d+))?(?:@(?<adopted>\d+))?$/

/** True when whoever knew the row before this one has missed nothing. */
export function isHeard({ nonce }: WithNonce): boolean {
  return nonce.startsWith(heardMark)
}

/** The epoch since which the owner has led without a break; 0 for one that has led from the first row on. */
export function ledSince({ nonce }: WithNonce): number {
  return Number(parts.exec(nonce)?.groups?.led ?? 0)
}

/** The epoch at which an operator has adopted this line of rows; 0 when nobody had to. */
export function adoptedAt({ nonce }: WithNonce): number {
  return Number(parts.exec(nonce)?.groups?.adopted ?? 0)
}

/** The nonce of a change of `row`, under the id of whoever asks for it (no `~` or `@` in it). */
export function nonceOfChange(id: string, change: WantedChange, row: Configuration | undefined): string {
  // A row that leaps is the first of a leader, also where it was the one before: at a start, or above a promise.
  const isFirst = change.fromEpoch !== undefined || change.owner !== row?.owner
  const heard = change.isHeard ? heardMark : ''
  return heard + id + marks(isFirst ? change.epoch : ledSince(row), row ? adoptedAt(row) : 0)
}

/** The nonce of a change by which an operator adopts a partition: its line begins anew, and so does its leader. */
export function nonceOfAdoption(id: string, epoch: number): string {
  return id + marks(epoch, epoch)
}

function marks(led: number, adopted: number): string {
  return (led > 0 ? ledMark + led : '') + (adopted > 0 ? adoptedMark + adopted : '')
}
