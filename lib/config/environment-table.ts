/** Documentation made from the schema, so that it cannot say anything else than the code. */
import { environmentNameOf, keyOf, keyPaths, namesWithoutEffect } from './keys.js'

/** For people who come from the original server: each of its variables and what it does here, as a Markdown table. */
export function environmentTable(): string {
  const rows = keyPaths.flatMap(path =>
    (keyOf(path).originals ?? []).map(original => [original.name, `\`--${path}\``, original.note]),
  )
  for (const { name, note } of namesWithoutEffect) rows.push([name, '', note])
  return table(['variable', 'here', 'what it does'], rows.map(mark))
}

/** Every key with its flag, variable, default and meaning, as a Markdown table. */
export function keyTable(): string {
  const rows = keyPaths.map(path => {
    const key = keyOf(path)
    const value = key.default === null || String(key.default) === '' ? '' : `\`${String(key.default)}\``
    const flag = key.short === undefined ? `\`--${path}\`` : `\`-${key.short}\`, \`--${path}\``
    const variables = [environmentNameOf(path), ...(key.commonNames ?? [])].map(name => `\`${name}\``)
    return [flag, variables.join(', '), value, key.description]
  })
  return table(['flag', 'variable', 'default', 'meaning'], rows)
}

function mark(row: readonly string[]): readonly string[] {
  const [name = '', ...rest] = row
  return [`\`${name}\``, ...rest]
}

/** A Markdown table, aligned as the formatter of this project does it; pipes in cells are escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map(row => row.map(cell => cell.replaceAll('|', '\\|')))
  const widths = head.map((_, at) => Math.max(3, ...all.map(row => (row[at] ?? '').length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const [first = [], ...others] = all
  return [line(first), line(widths.map(width => '-'.repeat(width))), ...others.map(line)].join('\n')
}
