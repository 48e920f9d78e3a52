/**
 * A workbook of one sheet, as Excel and its like read it (ECMA-376): a few XML files in a ZIP. The first row is names: bold,
 * and in view while one scrolls.
 *
 * Texts are written as texts, never as formulas: what begins with = + - @ is not computed. What can go wrong are files that
 * are called damaged: characters that XML cannot hold are left out, texts are cut where a cell ends, and days before those
 * that spreadsheets know are texts.
 */
import { strToU8, Zip, ZipDeflate } from 'fflate'

export type Cell = string | number | boolean | Date | null

export const xlsxType = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'

const cellCharactersMax = 32_767
const dayMs = 86_400_000
/** 1970-01-01, in days since what counts as the first. */
const epochDay = 25_569
/** 1900-03-01: spreadsheets know a February 29 before it, which was none. */
const dayMin = 61
const dayEnd = 2_958_466
const rowsPerPart = 500

const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
const packages = 'http://schemas.openxmlformats.org/package/2006'
const documents = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
const kinds = 'application/vnd.openxmlformats-officedocument.spreadsheetml'

/** Styles of cells, by their place in `cellXfs`. */
const bold = 1
const moment = 2

const frame: Record<string, string> = {
  '[Content_Types].xml': `<Types xmlns="${packages}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${kinds}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${kinds}.worksheet+xml"/><Override PartName="/xl/styles.xml" ContentType="${kinds}.styles+xml"/></Types>`,
  '_rels/.rels': `<Relationships xmlns="${packages}/relationships"><Relationship Id="rId1" Type="${documents}/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
  'xl/workbook.xml': `<workbook xmlns="${main}" xmlns:r="${documents}"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
  'xl/_rels/workbook.xml.rels': `<Relationships xmlns="${packages}/relationships"><Relationship Id="rId1" Type="${documents}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="${documents}/styles" Target="styles.xml"/></Relationships>`,
  'xl/styles.xml': `<styleSheet xmlns="${main}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/><xf numFmtId="22" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`,
}

/** The file. Dates are those of this browser's clock: a sheet knows no time zones. */
export async function xlsxOf(names: readonly string[], rows: readonly (readonly Cell[])[]): Promise<Blob> {
  const files = Object.entries(frame).map(([name, xml]) => ({ name, parts: [head, xml] }))
  return zipOf([...files, { name: 'xl/worksheets/sheet1.xml', parts: sheetParts(names, rows) }])
}

function sheetParts(names: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const parts = [
    `${head}<worksheet xmlns="${main}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>${columnsXml(names.length)}<sheetData>`,
    rowXml(names, 1, bold),
  ]
  // Not one text of all: it could be longer than a text may be.
  for (let at = 0; at < rows.length; at += rowsPerPart) {
    const some = rows.slice(at, at + rowsPerPart)
    parts.push(some.map((row, index) => rowXml(row, at + index + 2)).join(''))
  }
  return [...parts, '</sheetData></worksheet>']
}

/** Wide enough for dates, which are drawn as ##### where they do not fit. */
function columnsXml(count: number): string {
  return count === 0 ? '' : `<cols><col min="1" max="${count}" width="20" customWidth="1"/></cols>`
}

function rowXml(cells: readonly Cell[], number: number, style?: number): string {
  const xml = cells.map((cell, index) => cellXml(cell, `${columnName(index)}${number}`, style))
  return `<row r="${number}">${xml.join('')}</row>`
}

function cellXml(cell: Cell, place: string, style?: number): string {
  if (cell === null || cell === '') return ''
  const styled = style === undefined ? '' : ` s="${style}"`
  if (typeof cell === 'boolean') return `<c r="${place}" t="b"${styled}><v>${Number(cell)}</v></c>`
  if (typeof cell === 'number' && Number.isFinite(cell)) return `<c r="${place}"${styled}><v>${cell}</v></c>`
  const day = cell instanceof Date ? dayOf(cell) : null
  if (day !== null) return `<c r="${place}" s="${moment}"><v>${day}</v></c>`
  const text = escaped(cell instanceof Date ? isoOf(cell) : String(cell))
  return `<c r="${place}" t="inlineStr"${styled}><is><t xml:space="preserve">${text}</t></is></c>`
}

/** A, B, … Z, AA, … */
function columnName(index: number): string {
  const letter = String.fromCharCode(65 + (index % 26))
  return index < 26 ? letter : columnName(Math.floor(index / 26) - 1) + letter
}

/** Days and parts of one by the clock on the wall; null for those that spreadsheets do not know. */
function dayOf(date: Date): number | null {
  const wall = new Date(date.getTime() - date.getTimezoneOffset() * 60_000).getTime()
  const day = wall / dayMs + epochDay
  return day >= dayMin && day < dayEnd ? day : null
}

function isoOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? '' : date.toISOString()
}

function escaped(text: string): string {
  return (
    text
      .slice(0, cellCharactersMax)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what XML cannot hold
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
      // What reads like the code of a character would become that character.
      .replace(/_(?=x[0-9a-f]{4}_)/gi, '_x005F_')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
  )
}

/** A ZIP of these files. The page stays alive meanwhile: between parts it has its turn. */
async function zipOf(files: readonly { name: string; parts: readonly string[] }[]): Promise<Blob> {
  const packed: Uint8Array<ArrayBuffer>[] = []
  const zip = new Zip((error, chunk) => {
    if (error) throw error
    packed.push(chunk as Uint8Array<ArrayBuffer>)
  })
  for (const { name, parts } of files) {
    const file = new ZipDeflate(name)
    zip.add(file)
    for (const [index, part] of parts.entries()) {
      file.push(strToU8(part), index === parts.length - 1)
      await new Promise(resolve => setTimeout(resolve))
    }
  }
  zip.end()
  return new Blob(packed, { type: xlsxType })
}
