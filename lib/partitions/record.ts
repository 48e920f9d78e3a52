/**
 * A record on disk: one format byte, a CRC-32 of key and text, the text (JSON in UTF-8).
 *
 * The checksum covers the key, so a record found under a key that is not its own (a flipped bit in a key block) is as
 * damaged as one with a flipped bit in its text. It does not cover partition prefix and generation, so that copies to
 * another generation are plain copies.
 */
import { crc32 } from 'node:zlib'
import { keyChecksum } from './key-checksum.js'
import { sealedFrom } from './keys.js'

/** Grows when the format changes; older ones stay readable. */
export const recordFormat = 1
const overheadBytes = 5
/** Up to here a loop is faster than a call into native code: heads and marks. */
const shortCharactersMax = 80

export interface SealedRecord {
  readonly bytes: Buffer
  readonly crc: number
}

/** Makes the bytes to store `text` under `key`. */
export function sealRecord(key: string, text: string): SealedRecord {
  const bytes = Buffer.allocUnsafe(overheadBytes + Buffer.byteLength(text))
  bytes.write(text, overheadBytes)
  const keyCrc = keyChecksum(key, sealedFrom(key))
  const crc =
    text.length <= shortCharactersMax
      ? keyChecksum(text, 0, keyCrc)
      : crc32(bytes.subarray(overheadBytes), keyCrc)
  bytes[0] = recordFormat
  bytes.writeUInt32BE(crc, 1)
  return { bytes, crc }
}

/** The checksum a record was sealed with; of any other bytes, some number. */
export function recordChecksum(bytes: Buffer): number {
  return bytes.length < overheadBytes ? 0 : bytes.readUInt32BE(1)
}

export interface OpenedRecord {
  readonly text: string
  readonly crc: number
}

/** The text that was stored under `key`; undefined when the record is damaged. */
export function openRecord(key: string, bytes: Buffer): OpenedRecord | undefined {
  if (!isWhole(key, bytes)) return undefined
  return { text: bytes.toString('utf8', overheadBytes), crc: recordChecksum(bytes) }
}

/** False when the record is damaged, or was stored under another key. */
export function isWhole(key: string, bytes: Buffer): boolean {
  if (bytes.length < overheadBytes || bytes[0] !== recordFormat) return false
  return crc32(bytes.subarray(overheadBytes), keyChecksum(key, sealedFrom(key))) === recordChecksum(bytes)
}
