/** Rows as a CSV file (RFC 4180). */
import { csvCell } from '../csv.js'

/** The header and the rows; all cells are text. */
export function csvOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [columns, ...rows].map(csvLine).join('')
}

/** One of its lines, for files that are written piece by piece. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}
