/** What files and the clipboard bring, as rows of cells: CSV of whatever separator and encoding, and copied tables. */
import Papa from 'papaparse'

export interface ParsedRows {
  rows: string[][]
  /** Semicolons stand between the cells: written where a comma is the point of a number. */
  hasDecimalCommas: boolean
}

/** Lines without anything in them are left out. A first line `sep=;`, as Excel writes it, names the separator. */
export function rowsOfText(text: string): ParsedRows {
  const [head, named] = /^\uFEFF?sep=(.)(?:\r\n|\n|\r)/i.exec(text) ?? []
  const { data, meta } = Papa.parse<string[]>(text.slice(head?.length ?? 0).replace(/^\uFEFF/, ''), {
    skipEmptyLines: 'greedy',
    ...(named !== undefined && { delimiter: named }),
  })
  return { rows: data, hasDecimalCommas: meta.delimiter === ';' }
}

/** UTF-8, or UTF-16 with its mark; what is neither is taken for what Windows writes in the west. */
export function textOfBytes(bytes: ArrayBuffer): string {
  const [first, second] = new Uint8Array(bytes)
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}
