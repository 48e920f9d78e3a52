/**
 * Are LevelDB's tables whole? LevelDB has a checksum for each block of a table and does not look at it when it merges
 * tables: a bit that turned around in a key then ends the whole process by an assertion, at every start anew. So the
 * checksums are looked at here, before a store is opened that was not closed in order.
 *
 * A table is data blocks, an index of them, and a footer of 48 bytes that says where the index is. Each block is followed
 * by its compression (0 none, 1 snappy) and a masked CRC-32C of both. The index itself may be compressed, which is why
 * there is a reader of snappy. What can go wrong: anything, in any byte; every failure to read is damage, never an
 * exception. Reading costs about 3 ms per megabyte.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const tablePattern = /^\d+\.(ldb|sst)$/
const footerBytes = 48
const magic = 0xdb4775248b80fb57n
const trailerBytes = 5
/** An index is a few kilobytes; what claims to be larger than any table is damage. */
const blockBytesMax = 256 * 1024 * 1024

/** Names of the tables in a directory that are not what was written. */
export async function damagedTables(path: string): Promise<string[]> {
  const damaged: string[] = []
  for (const name of await readdir(path)) {
    if (!tablePattern.test(name)) continue
    const bytes = await readFile(join(path, name))
    if (!isWholeTable(bytes)) damaged.push(name)
  }
  return damaged
}

export function isWholeTable(file: Buffer): boolean {
  try {
    if (file.length < footerBytes || file.readBigUInt64LE(file.length - 8) !== magic) return false
    const footer = new Reader(file.subarray(file.length - footerBytes))
    const metaindex = readBlock(file, footer.varint(), footer.varint())
    const index = readBlock(file, footer.varint(), footer.varint())
    if (!metaindex || !index) return false
    // The first names the filter, the second the data.
    return areWhole(file, metaindex) && areWhole(file, index)
  } catch {
    return false
  }
}

/** True when all blocks that this one names are whole. */
function areWhole(file: Buffer, index: Buffer): boolean {
  const end = index.length - 4 * (index.readUInt32LE(index.length - 4) + 1)
  const entries = new Reader(index.subarray(0, end))
  while (!entries.isAtEnd) {
    entries.varint()
    const keyBytes = entries.varint()
    const valueBytes = entries.varint()
    entries.take(keyBytes)
    const handle = new Reader(entries.take(valueBytes))
    if (!checkedBlock(file, handle.varint(), handle.varint())) return false
  }
  return true
}

/** The bytes of a block as they are in the file; undefined when they are not what was written. */
function checkedBlock(file: Buffer, offset: number, size: number): Buffer | undefined {
  const end = offset + size + trailerBytes
  if (end > file.length - footerBytes || size > blockBytesMax) return undefined
  const masked = file.readUInt32LE(end - 4)
  const rotated = (masked - 0xa282ead8) >>> 0
  const expected = ((rotated >>> 17) | (rotated << 15)) >>> 0
  return crc32c(file, offset, end - 4) === expected ? file.subarray(offset, offset + size) : undefined
}

function readBlock(file: Buffer, offset: number, size: number): Buffer | undefined {
  const block = checkedBlock(file, offset, size)
  return block && file[offset + size] === 1 ? unsnapped(block) : block
}

/** Undoes snappy: a length, then pieces that are new, or repeat what came before. */
function unsnapped(bytes: Buffer): Buffer {
  const reader = new Reader(bytes)
  const length = reader.varint()
  if (length > blockBytesMax) throw new RangeError('too long')
  const out = Buffer.alloc(length)
  let at = 0
  while (!reader.isAtEnd) {
    const tag = reader.byte()
    const kind = tag & 3
    if (kind === 0) {
      const short = tag >> 2
      const count = (short < 60 ? short : reader.little(short - 59)) + 1
      reader.take(count).copy(out, at)
      at += count
      continue
    }
    const count = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const back = kind === 1 ? ((tag >> 5) << 8) | reader.byte() : reader.little(kind === 2 ? 2 : 4)
    if (back === 0 || back > at || at + count > length) throw new RangeError('out of bounds')
    // Byte by byte: a repeat may reach into itself.
    for (let copied = 0; copied < count; copied++, at++) out[at] = out[at - back] ?? 0
  }
  if (at !== length) throw new RangeError('cut short')
  return out
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#at++)
  }

  little(count: number): number {
    const value = this.#bytes.readUIntLE(this.#at, count)
    this.#at += count
    return value
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw new RangeError('a number is too long')
  }

  take(count: number): Buffer {
    if (this.#at + count > this.#bytes.length) throw new RangeError('cut short')
    const taken = this.#bytes.subarray(this.#at, this.#at + count)
    this.#at += count
    return taken
  }
}

/** CRC-32 with Castagnoli's polynomial, which zlib has not. */
function crc32c(bytes: Buffer, from: number, to: number): number {
  let crc = 0xffffffff
  for (let at = from; at < to; at++) crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})
