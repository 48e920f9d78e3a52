/**
 * Stand-in for the native `sse4_crc32`: CRC-32C (Castagnoli, RFC 3720 appendix B.4) by table. tchannel uses only
 * `calculate(buffer, prior)`; our own channels switch checksums off, so this is for its defaults alone.
 */
const table = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1
  table[byte] = remainder >>> 0
}

/** CRC-32C of the bytes, continuing from `prior`. */
function calculate(input, prior = 0) {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  let crc = ~prior
  for (let index = 0; index < bytes.length; index++) crc = table[(crc ^ bytes[index]) & 0xff] ^ (crc >>> 8)
  return ~crc >>> 0
}

module.exports = { calculate }
