/**
 * Cells of CSV files (RFC 4180), for the programs people open such files with: they run what begins like a formula, so
 * that gets an apostrophe in front. Where the comma is in numbers they cut cells at semicolons, so that what follows one
 * begins a cell there.
 */

/** A number, a phone number or a date from one end to the other, which is no formula. */
const figures = /^[-+][\d\s().,/:-]*$/
const formula = /^[=+\-@＝＋－＠]/

/** A text as a cell, in quotes where it needs them. */
export function csvCell(text: string): string {
  const harmless = text.replace(/[^;\t\r\n]+/g, piece =>
    formula.test(piece) && !figures.test(piece) ? `'${piece}` : piece,
  )
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
