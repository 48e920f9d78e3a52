/**
 * Writes the tables of the documentation that are made from code: `node dist/lib/cli/update-docs.js` fills in what
 * stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` in README.md, lib/README.md and lib/config/README.md,
 * and conf/default.json. With `--check` it writes nothing and ends with exit code 1 if something is out of date.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defaultsDocument, environmentTable, keyTable, table } from '../config/index.js'
import { type ErrorKind, errorKinds } from '../errors.js'
import { type Limit, limitTable } from '../limits.js'
import { packageRoot } from '../root.js'

/** Every generated section, by the name in its markers. */
export function sections(): Readonly<Record<string, string>> {
  return {
    environment: environmentTable(),
    settings: keyTable(),
    limits: limitsTable(),
    errors: errorsTable(),
  }
}

function limitsTable(): string {
  const rows = Object.entries<Limit>(limitTable).map(([name, { value, unit, reason }]) => [
    `\`${name}\``,
    value.toLocaleString('en'),
    unit,
    reason,
  ])
  return table(['limit', 'default', 'unit', 'reason'], rows)
}

function errorsTable(): string {
  const rows = Object.entries<ErrorKind>(errorKinds).map(([code, kind]) => [
    `\`${code}\``,
    kind.message,
    String(kind.status),
    kind.closeCode === undefined ? '' : String(kind.closeCode),
    kind.retryable ? 'yes' : 'no',
  ])
  return table(['code', 'message', 'HTTP', 'close code', 'retry'], rows)
}

/** The text with every generated section that it has markers for brought up to date. */
export function fillSections(text: string, content: Readonly<Record<string, string>> = sections()): string {
  let filled = text
  for (const [name, section] of Object.entries(content)) {
    const begin = `<!-- ${name}:begin -->`
    const end = `<!-- ${name}:end -->`
    const from = filled.indexOf(begin)
    const to = filled.indexOf(end, from)
    if (from === -1 || to === -1) continue
    filled = `${filled.slice(0, from + begin.length)}\n${section}\n${filled.slice(to)}`
  }
  return filled
}

/** Files whose content is not what the code says, by path, with what they should hold. */
export function outdatedDocuments(root: string = packageRoot): ReadonlyMap<string, string> {
  const outdated = new Map<string, string>()
  for (const name of ['README.md', 'lib/README.md', 'lib/config/README.md']) {
    const file = join(root, name)
    if (!existsSync(file)) continue
    const text = readFileSync(file, 'utf8')
    const filled = fillSections(text)
    if (filled !== text) outdated.set(file, filled)
  }
  const defaults = join(root, 'conf', 'default.json')
  const document = `${JSON.stringify(defaultsDocument(), null, 2)}\n`
  const current: unknown = existsSync(defaults) ? JSON.parse(readFileSync(defaults, 'utf8')) : null
  if (JSON.stringify(current) !== JSON.stringify(defaultsDocument())) outdated.set(defaults, document)
  return outdated
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) {
  const outdated = outdatedDocuments()
  const isCheck = process.argv.includes('--check')
  for (const [file, text] of outdated) {
    if (!isCheck) writeFileSync(file, text)
    process.stdout.write(`${isCheck ? 'out of date' : 'written'}: ${file}\n`)
  }
  if (isCheck && outdated.size > 0) process.exitCode = 1
}
