/** Reads what the dashboard packs, by other means than it was packed with. */
import { crc32, inflateRawSync } from 'node:zlib'

/** The files of a ZIP, by way of its directory; throws where it is none or damaged. */
export function filesOfZip(zip: Buffer): Map<string, string> {
  const end = zip.length - 22
  if (zip.readUInt32LE(end) !== 0x06054b50) throw new Error('no end of a directory')
  const files = new Map<string, string>()
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== 0x02014b50) throw new Error('no entry')
    const [nameLength, start] = [zip.readUInt16LE(at + 28), zip.readUInt32LE(at + 42)]
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    if (zip.readUInt32LE(start) !== 0x04034b50) throw new Error('no file')
    const data = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28)
    const content = inflateRawSync(zip.subarray(data, data + zip.readUInt32LE(at + 20)))
    if (crc32(content) !== zip.readUInt32LE(at + 16)) throw new Error(`${name} is damaged`)
    if (content.length !== zip.readUInt32LE(at + 24)) throw new Error(`${name} has another length`)
    files.set(name, content.toString('utf8'))
    at += 46 + nameLength
  }
  if (at !== end) throw new Error('something is left')
  return files
}
