/**
 * Ids from a seed, so that nothing of a run is left to chance: maps that are ordered by ids, and digests over them, repeat.
 */

import type { UUID } from 'node:crypto'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Random } from '../random.js'

/** From now on `randomUUID` goes by the seed, in the whole process, until what is returned is called. */
export function seedIds(seed: number): () => void {
  const random = new Random(seed ^ 0x5eed)
  const before = crypto.randomUUID
  const hex = (digits: number) => Array.from({ length: digits }, () => random.below(16).toString(16)).join('')
  crypto.randomUUID = () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}` as UUID
  syncBuiltinESMExports()
  return () => {
    crypto.randomUUID = before
    syncBuiltinESMExports()
  }
}
