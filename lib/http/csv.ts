/**
 * Rows as a CSV file (RFC 4180), for the programs people open such files with: they run what begins like a formula, so
 * that gets an apostrophe in front. Where the comma is in numbers they cut cells at semicolons, so that what follows one
 * begins a cell there.
 */

/** The header and the rows; all cells are text. */
export function csvOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  return [columns, ...rows].map(csvLine).join('')
}

/** One of its lines, for files that are written piece by piece. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map(cellOf).join(',')}\r\n`
}

function cellOf(text: string): string {
  const harmless = text.replace(/^[=+\-@\t\r\n＝＋－＠]|(?<=[;\t\r\n])(?:[=+@＝＋－＠]|-(?!\d))/g, "'$&")
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
