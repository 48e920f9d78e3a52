/**
 * CRC-32 of a key. The same numbers as `zlib.crc32`, which costs a call into native code and a conversion of the text
 * each time: more than a loop over the few dozen letters of a key.
 */
import { crc32 } from 'node:zlib'

const table = new Int32Array(256)
for (let byte = 0; byte < 256; byte += 1) {
  let remainder = byte
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0)
  table[byte] = remainder
}

/**
 * CRC-32 of the UTF-8 form of `text` from position `from` on; `before` is that of what stands before it. For short texts:
 * long ones are faster in native code.
 */
export function keyChecksum(text: string, from = 0, before = 0): number {
  let crc = ~before
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code > 0x7f) return crc32(text.slice(from), before)
    crc = (crc >>> 8) ^ (table[(crc ^ code) & 0xff] as number)
  }
  return ~crc >>> 0
}
