/**
 * Spreadsheets without a screen: typed columns, rows of text as they were typed or pasted, and the records they stand
 * for. Pure. A row in which nothing was entered is no row.
 */
import { isRecord, type Props } from '../props.js'
import { plainNumber } from './number-text.js'

export interface SheetColumn {
  name: string
  kind: 'string' | 'number' | 'boolean'
  isRequired: boolean
}

/** Cells in the order of the columns, as text; boxes are `true`, `false` or empty. */
export type SheetRow = readonly string[]

export const sheetRowsMax = 20_000
export const sheetPageSize = 20
/** How many rows an empty sheet shows. */
const blankRows = 5

/** How whatever is wrong with a sheet begins. */
export const sheetProblemText = 'There are one or more issues with the data you entered.'

export function sheetColumnsOf(props: Props): SheetColumn[] {
  const columns = isRecord(props.columns) ? props.columns : {}
  return Object.entries(columns).map(([name, given]) => {
    const type = typeof given === 'string' ? given : 'string?'
    const base = type.replace(/\?$/, '')
    const kind = base === 'number' || base === 'boolean' ? base : 'string'
    return { name, kind, isRequired: !type.endsWith('?') }
  })
}

export function blankSheet(columns: readonly SheetColumn[]): SheetRow[] {
  return Array.from({ length: blankRows }, () => blankRow(columns))
}

export function blankRow(columns: readonly SheetColumn[]): SheetRow {
  return columns.map(() => '')
}

/** The rows of a default value; what is no record is left out. */
export function sheetOfRecords(records: unknown, columns: readonly SheetColumn[]): SheetRow[] {
  if (!Array.isArray(records)) return []
  return records
    .filter(isRecord)
    .slice(0, sheetRowsMax)
    .map(record =>
      columns.map(({ name }) => {
        const value = Object.hasOwn(record, name) ? record[name] : undefined
        return value === null || value === undefined ? '' : String(value)
      }),
    )
}

export function isBlankRow(row: SheetRow, columns: readonly SheetColumn[]): boolean {
  return columns.every(({ kind }, index) => {
    const text = (row[index] ?? '').trim()
    return text === '' || (kind === 'boolean' && booleanOf(text) === false)
  })
}

/** `yes`, `1`, `true` and their opposites; undefined for other words. */
export function booleanOf(text: string): boolean | undefined {
  const word = text.trim().toLowerCase()
  if (['true', '1', 'yes', 'y'].includes(word)) return true
  return ['false', '0', 'no', 'n'].includes(word) ? false : undefined
}

function numberTyped(text: string): number | undefined {
  const [mantissa = '', power = ''] = text.trim().split(/(e[-+]?\d+)$/i)
  const value = Number(`${plainNumber(mantissa) ?? 'none'}${power}`)
  return Number.isFinite(value) ? value : undefined
}

/** What is wrong with one cell of a row that holds something, or null. */
export function cellProblem(column: SheetColumn, text: string): string | null {
  if (text.trim() === '') {
    // An unticked box is an answer.
    return column.isRequired && column.kind !== 'boolean' ? 'This cell is required.' : null
  }
  if (column.kind === 'number' && numberTyped(text) === undefined) return 'This is not a number.'
  if (column.kind === 'boolean' && booleanOf(text) === undefined) return 'This is neither yes nor no.'
  return null
}

/** Indexes of the rows with something wrong in them. */
export function wrongRows(rows: readonly SheetRow[], columns: readonly SheetColumn[]): number[] {
  return rows.flatMap((row, index) =>
    !isBlankRow(row, columns) && columns.some((column, at) => cellProblem(column, row[at] ?? '') !== null)
      ? [index]
      : [],
  )
}

/** The records of the rows that hold something; null when a cell of theirs is wrong. */
export function recordsOfSheet(
  rows: readonly SheetRow[],
  columns: readonly SheetColumn[],
): Record<string, unknown>[] | null {
  const filled = rows.filter(row => !isBlankRow(row, columns))
  return wrongRows(filled, columns).length > 0 ? null : filled.map(row => recordOf(row, columns))
}

function recordOf(row: SheetRow, columns: readonly SheetColumn[]): Record<string, unknown> {
  const entries = columns.map((column, index): [string, unknown] => {
    const text = row[index] ?? ''
    if (column.kind === 'boolean')
      return [column.name, booleanOf(text) ?? (column.isRequired ? false : undefined)]
    if (text.trim() === '') return [column.name, undefined]
    return [column.name, column.kind === 'number' ? numberTyped(text) : text]
  })
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** What a file or the clipboard brought: rows of text, perhaps with names in the first. */
export interface Imported {
  rows: readonly (readonly string[])[]
  hasHeader: boolean
  /** Semicolons stand between cells where a comma is the point of a number. */
  hasDecimalCommas: boolean
}

/**
 * Judges whether the first row names the columns: it does when it repeats a name of ours, or when a typed column does
 * not take its first entry but takes the second. Files are taken to have such a row unless their cells say otherwise.
 */
export function importedOf(
  parsed: readonly (readonly string[])[],
  columns: readonly SheetColumn[],
  isFile: boolean,
  hasDecimalCommas = false,
): Imported {
  const rows = parsed.filter(row => row.some(cell => cell.trim() !== '')).slice(0, sheetRowsMax + 1)
  const [first = [], second] = rows
  const names = new Set(columns.map(column => plainName(column.name)))
  const repeatsName = first.some(cell => names.has(plainName(cell)))
  const isTyped = (row: readonly string[]) =>
    columns.every(
      (column, index) =>
        column.kind === 'string' ||
        cellProblem(column, cellOfImport(row[index] ?? '', column, hasDecimalCommas)) === null,
    )
  const standsOut = !isTyped(first) && (second === undefined ? isFile : isTyped(second))
  const isData = columns.some(column => column.kind !== 'string') && isTyped(first) && !repeatsName
  return { rows, hasHeader: repeatsName || standsOut || (isFile && !isData), hasDecimalCommas }
}

function plainName(text: string): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')
}

/** Which column of the import each of ours takes: by name when all names are there, otherwise by position; -1 for none. */
export function mappingOf({ rows, hasHeader }: Imported, columns: readonly SheetColumn[]): number[] {
  const header = hasHeader ? (rows[0] ?? []).map(plainName) : []
  const byName = columns.map(column => header.indexOf(plainName(column.name)))
  if (byName.every(index => index >= 0)) return byName
  const width = widthOf(rows)
  return columns.map((_column, index) => (index < width ? index : -1))
}

export function widthOf(rows: Imported['rows']): number {
  return rows.slice(0, 100).reduce((most, row) => Math.max(most, row.length), 0)
}

/** The rows of an import in our columns. */
export function rowsOfImport(
  { rows, hasHeader, hasDecimalCommas }: Imported,
  mapping: readonly number[],
  columns: readonly SheetColumn[],
): SheetRow[] {
  return rows
    .slice(hasHeader ? 1 : 0)
    .map(row =>
      columns.map((column, at) => cellOfImport(row[mapping[at] ?? -1] ?? '', column, hasDecimalCommas)),
    )
}

function cellOfImport(cell: string, { kind }: SheetColumn, hasDecimalCommas: boolean): string {
  const text = cell.trim()
  if (!hasDecimalCommas || kind !== 'number' || !/^[-+]?\d+(\.\d{3})*,\d+$/.test(text)) return text
  return text.replaceAll('.', '').replace(',', '.')
}

/** Rows put below what is there already; blank rows at the end give way. */
export function withRows(
  rows: readonly SheetRow[],
  more: readonly SheetRow[],
  columns: readonly SheetColumn[],
): SheetRow[] {
  const filled = rows.findLastIndex(row => !isBlankRow(row, columns)) + 1
  return [...rows.slice(0, filled), ...more].slice(0, sheetRowsMax)
}
