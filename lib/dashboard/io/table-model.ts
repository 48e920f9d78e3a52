/**
 * Tables without a screen: columns, rows, sorting, filtering, paging and files of what a host sent. Pure.
 *
 * A host sends all rows, or a window of them that begins at the offset last asked for. `holdsAll` tells which; only
 * then can sorting and filtering be done here.
 */
import { csvCell } from '../../csv.js'
import { dateOfIso, formatCell } from '../format.js'
import { flagOf, isRecord, numberOf, type Props, recordsOf, textOf } from '../props.js'
import type { Cell } from './xlsx.js'

export interface Column {
  label: string
  /** Under what a row keeps its cell: the accessor, or the column's index as text. */
  cellKey: string
  /** What a host sorts by; columns without one cannot be sorted by it. */
  accessorKey: string | undefined
}

export interface Row {
  key: string
  cells: Record<string, unknown>
  menu: Record<string, unknown>[]
  /** What the host filters by, where it says so. */
  filterText: string | undefined
}

export interface Table {
  columns: Column[]
  rows: Row[]
  /** How many there are altogether; null when the host does not know. */
  total: number | null
  holdsAll: boolean
  isAsync: boolean
  isSortable: boolean
  isFilterable: boolean
  pageSize: number
}

export interface Sort {
  cellKey: string
  direction: 'asc' | 'desc'
}

const pageSizeMax = 500

export function tableOf(props: Props): Table {
  const rows = recordsOf(props, 'data').map(toRow)
  const isAsync = flagOf(props, 'isAsync')
  const total = numberOf(props, 'totalRecords') ?? (isAsync ? null : rows.length)
  const isVertical = textOf(props, 'orientation') === 'vertical'
  const wanted = numberOf(props, 'defaultPageSize') ?? (isVertical ? 5 : 20)
  return {
    columns: columnsOf(props, rows),
    rows,
    total,
    holdsAll: !isAsync && (total ?? 0) <= rows.length,
    isAsync,
    isSortable: flagOf(props, 'isSortable', true),
    isFilterable: flagOf(props, 'isFilterable', true),
    pageSize: Math.max(1, Math.min(pageSizeMax, Math.floor(wanted))),
  }
}

function toRow(raw: Record<string, unknown>, index: number): Row {
  // The oldest SDKs send bare objects instead of `{key, data}`.
  const isWrapped = isRecord(raw.data) && (typeof raw.key === 'string' || typeof raw.key === 'number')
  return {
    key: isWrapped ? String(raw.key) : String(index),
    cells: isWrapped && isRecord(raw.data) ? raw.data : raw,
    menu: isWrapped ? recordsOf(raw, 'menu') : [],
    filterText: isWrapped ? textOf(raw, 'filterValue') : undefined,
  }
}

function columnsOf(props: Props, rows: readonly Row[]): Column[] {
  const declared = recordsOf(props, 'columns')
  if (declared.length > 0) {
    return declared.map((column, index) => {
      const accessorKey = textOf(column, 'accessorKey') ?? textOf(column, 'key')
      return {
        label: textOf(column, 'label') ?? accessorKey ?? '',
        cellKey: accessorKey ?? String(index),
        accessorKey,
      }
    })
  }
  const keys = new Set(rows.slice(0, 100).flatMap(row => Object.keys(row.cells)))
  return [...keys].map(key => ({ label: key, cellKey: key, accessorKey: key }))
}

/** The words of a cell: an object's label (or value), otherwise the value itself. */
export function cellText(cell: unknown): string {
  return formatCell(cellValue(cell))
}

/**
 * True for words with a link, bold letters or code in markdown. Only what nobody writes by accident counts: any other
 * text of a cell stays as it is, to the letter.
 */
export function hasMarkdown(text: string): boolean {
  return /\[[^[\]\n]+\]\([^()\s]+\)|\*\*[^*\s](?:[^*\n]*[^*\s])?\*\*|`[^`\n]+`/.test(text)
}

/** What a cell sorts by. */
export function cellValue(cell: unknown): unknown {
  if (!isRecord(cell) || cell instanceof Date || cell instanceof Map || cell instanceof Set) return cell
  if (isGiven(cell.label)) return cell.label
  if ('value' in cell) return cell.value
  const isLink = ['url', 'href', 'image', 'route', 'action'].some(key => key in cell)
  return isLink ? (cell.url ?? cell.href ?? '') : cell
}

/** What a host left undefined arrives as null. */
export function isGiven(part: unknown): boolean {
  return part !== undefined && part !== null
}

/** Rows in which some cell, or what the host filters by where that is asked for, contains the query, whatever its case. */
export function filteredRows(
  rows: readonly Row[],
  columns: readonly Column[],
  query: string,
  isByHostText = false,
): readonly Row[] {
  const needle = query.trim().toLowerCase()
  if (needle === '') return rows
  return rows.filter(
    row =>
      (isByHostText && row.filterText?.toLowerCase().includes(needle)) ||
      columns.some(column => cellText(row.cells[column.cellKey]).toLowerCase().includes(needle)),
  )
}

/** Rows in order; equal ones stay as they were, missing values come last. */
export function sortedRows(rows: readonly Row[], sort: Sort | null): readonly Row[] {
  if (!sort) return rows
  const sign = sort.direction === 'asc' ? 1 : -1
  return [...rows].sort((a, b) => {
    const left = cellValue(a.cells[sort.cellKey])
    const right = cellValue(b.cells[sort.cellKey])
    const leftIsMissing = left === null || left === undefined
    const rightIsMissing = right === null || right === undefined
    if (leftIsMissing || rightIsMissing) return Number(leftIsMissing) - Number(rightIsMissing)
    return sign * compare(left, right)
  })
}

function compare(left: unknown, right: unknown): number {
  const isNumeric = (value: unknown) =>
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'boolean' ||
    value instanceof Date
  if (isNumeric(left) && isNumeric(right)) return Number(left) - Number(right)
  return String(left).localeCompare(String(right), undefined, { numeric: true })
}

/** `1 - 5 of 10`, with separators in the total; without a total only the range. */
export function rangeText(offset: number, count: number, total: number | null): string {
  const range = `${offset + 1} - ${offset + count}`
  return total === null ? range : `${range} of ${total.toLocaleString('en-US')}`
}

/** CSV of rows: labels first, ISO dates, nothing for null, quotes where they are needed, no line break at the end. */
export function csvOf(columns: readonly Column[], rows: readonly Row[]): string {
  const lines = rows.map(row => columns.map(column => csvText(cellValue(row.cells[column.cellKey]))))
  return [columns.map(column => csvCell(column.label)), ...lines].map(line => line.join(',')).join('\n')
}

/** The same rows as a spreadsheet takes them: numbers, dates and booleans as such, everything else in words. */
export function sheetRows(columns: readonly Column[], rows: readonly Row[]): Cell[][] {
  return rows.map(row => columns.map(column => sheetCell(cellValue(row.cells[column.cellKey]))))
}

function sheetCell(value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean' || typeof value === 'number' || value instanceof Date) return value
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return typeof value === 'string' ? (dateOfIso(value) ?? value) : formatCell(value)
}

function csvText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (typeof value === 'string') return csvCell(value)
  return typeof value === 'object' || typeof value === 'bigint' ? csvCell(formatCell(value)) : String(value)
}
