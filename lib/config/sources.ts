/**
 * Reads each place a setting can come from into `path → raw value`, and refuses what it does not know.
 *
 * A typing error must never be taken for "not set": unknown flags and file entries are errors that name the nearest
 * known one. The environment is shared with every other program, so there only names of the form `A__B` are ours, and
 * only when some key starts with `a:`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, parseEnv } from 'node:util'
import { ConfigurationError } from './configuration-error.js'
import {
  environmentNameOf,
  isKeyPath,
  type KeyPath,
  type KeyType,
  keyOf,
  keyPaths,
  namesWithoutEffect,
  type OriginalName,
} from './keys.js'
import { didYouMean } from './nearest.js'

/** Types whose flags may be repeated. */
const lists: ReadonlySet<KeyType> = new Set(['list', 'words', 'destinations', 'seeds'])

export interface RawSource {
  readonly name: 'flag' | 'environment' | '.env' | 'file' | 'default'
  readonly written: 'text' | 'json'
  readonly values: ReadonlyMap<KeyPath, RawValue>
}

export interface RawValue {
  readonly raw: unknown
  /** What a person wrote it as, e.g. `--port`, `APP_URL`, `conf.json`. */
  readonly writtenAs: string
}

/** Flags that are not keys: they belong to commands. */
export interface CommandFlag {
  readonly name: string
  readonly short?: string
  readonly takesValue: boolean
  readonly description: string
}

export interface CommandLine {
  readonly flags: RawSource
  /** Command flags that were given: text for those that take a value, otherwise `true`. */
  readonly commandFlags: ReadonlyMap<string, string | true>
  readonly words: readonly string[]
}

/**
 * Splits a command line into keys, command flags and words, in any order. `--no-x` and `--x=false` switch a boolean
 * off, lists may be repeated; anything else given twice, unknown or without its value is refused.
 */
export function readCommandLine(argv: readonly string[], commandFlags: readonly CommandFlag[]): CommandLine {
  const keyOfFlag = new Map<string, KeyPath>()
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {}
  for (const path of keyPaths) {
    const key = keyOf(path)
    const type = key.type === 'boolean' ? 'boolean' : 'string'
    for (const name of [path, ...(key.aliases ?? [])]) {
      keyOfFlag.set(name, path)
      options[name] = { type }
    }
    options[path] = key.short === undefined ? { type } : { type, short: key.short }
  }
  for (const flag of commandFlags) {
    const type = flag.takesValue ? 'string' : 'boolean'
    options[flag.name] = flag.short === undefined ? { type } : { type, short: flag.short }
  }

  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const values = new Map<KeyPath, RawValue>()
  const given = new Map<string, string | true>()
  const words: string[] = []
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at]
    if (token === undefined || token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      words.push(token.value)
      continue
    }
    const written = token.rawName
    const negated = token.name.startsWith('no-') && !Object.hasOwn(options, token.name)
    const name = negated ? token.name.slice(3) : token.name
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined || (negated && option.type !== 'boolean')) {
      throw new ConfigurationError(
        `Unknown flag ${written}.${didYouMean(
          token.name,
          Object.keys(options).map(known => `--${known}`),
        )}`,
      )
    }
    let text = token.value
    if (option.type === 'boolean' && text === undefined && !negated) {
      const next = tokens[at + 1]
      if (next?.kind === 'positional' && /^(true|false)$/.test(next.value)) {
        text = next.value
        at += 1
      }
    }
    if (option.type === 'string' && (text === undefined || (!token.inlineValue && text.startsWith('-')))) {
      throw new ConfigurationError(`${written} needs a value.`, name)
    }
    const path = keyOfFlag.get(name)
    if (path === undefined) {
      given.set(name, option.type === 'string' ? (text ?? '') : true)
      continue
    }
    const before = values.get(path)
    const type = keyOf(path).type
    const isList = lists.has(type)
    if (before !== undefined && !isList) throw new ConfigurationError(`${written} is given twice.`, path)
    const raw = text ?? (negated ? 'false' : 'true')
    const all = before === undefined ? raw : `${String(before.raw)},${raw}`
    values.set(path, { raw: all, writtenAs: written })
  }
  return { flags: { name: 'flag', written: 'text', values }, commandFlags: given, words }
}

/** Reads the environment (or a `.env` file already parsed). Empty variables count as unset, as Compose files need it. */
export function readEnvironment(
  name: 'environment' | '.env',
  environment: Readonly<Record<string, string | undefined>>,
): RawSource {
  const values = new Map<KeyPath, RawValue>()
  for (const path of keyPaths) {
    const own = environmentNameOf(path)
    const ownText = environment[own]
    if (isSet(ownText)) values.set(path, { raw: ownText, writtenAs: own })
    const { originals = [], commonNames = [] } = keyOf(path)
    const others: readonly OriginalName[] = [...originals, ...commonNames.map(name => ({ name, note: '' }))]
    for (const original of others) {
      const text = environment[original.name]
      if (!isSet(text) || original.name === own) continue
      const before = values.get(path)
      if (before === undefined) {
        values.set(path, { raw: original.translate?.(text) ?? text, writtenAs: original.name })
      } else if (original.translate === undefined && before.raw !== text) {
        throw new ConfigurationError(`${own} and ${original.name} differ; give only one of them.`, path)
      }
    }
  }
  refuseUnknownNames(environment)
  return { name, written: 'text', values }
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== ''
}

/** `STORAGE__PTH` is a mistake, since there are keys below `storage:`; `FOO__BAR` is somebody else's. */
function refuseUnknownNames(environment: Readonly<Record<string, string | undefined>>): void {
  const known = new Set(keyPaths.map(environmentNameOf))
  const families = new Set(
    keyPaths.filter(path => path.includes(':')).map(path => environmentNameOf(path.split(':')[0] ?? '')),
  )
  for (const name of Object.keys(environment)) {
    const found = /^([A-Za-z0-9_]+?)__(.+)$/.exec(name)
    if (found === null || known.has(name) || !families.has((found[1] ?? '').toUpperCase())) continue
    throw new ConfigurationError(`Unknown variable ${name}.${didYouMean(name, known)}`)
  }
}

/** The `.env` file of the folder, or nothing when there is none. */
export function readDotEnv(folder: string): Readonly<Record<string, string | undefined>> {
  const file = join(folder, '.env')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'EISDIR') return {}
    throw new ConfigurationError(`${file} cannot be read (${code}).`)
  }
  return parseEnv(text)
}

/** A JSON file of settings, nested (`{"storage":{"path":…}}`) or flat (`{"storage:path":…}`). At most 1 MiB. */
export function readFile(name: 'file' | 'default', file: string): RawSource {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigurationError(`Configuration file ${file} cannot be read (${errorCode(error)}).`, 'conf')
  }
  if (text.length > 1_048_576) {
    throw new ConfigurationError(`Configuration file ${file} is larger than 1 MiB.`, 'conf')
  }
  let document: unknown
  try {
    document = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // The parser's own message quotes the text around the mistake, which may be a secret.
    throw new ConfigurationError(`Configuration file ${file} is not valid JSON.`, 'conf')
  }
  if (!isObject(document)) {
    throw new ConfigurationError(`Configuration file ${file} must hold one JSON object.`, 'conf')
  }
  const values = new Map<KeyPath, RawValue>()
  const visit = (object: Readonly<Record<string, unknown>>, prefix: string, depth: number): void => {
    for (const [word, raw] of Object.entries(object)) {
      const path = `${prefix}${word}`
      if (isKeyPath(path)) {
        if (values.has(path)) {
          throw new ConfigurationError(`Key ${path} stands twice in ${file}.`, path)
        }
        if (raw !== null) values.set(path, { raw, writtenAs: file })
        continue
      }
      const isFamily = keyPaths.some(known => known.startsWith(`${path}:`))
      if (isFamily && isObject(raw) && depth < 4) visit(raw, `${path}:`, depth + 1)
      else if (isFamily)
        throw new ConfigurationError(`Key ${path} in ${file} must be an object of settings.`, path)
      else {
        throw new ConfigurationError(`Unknown key ${path} in ${file}.${didYouMean(path, keyPaths)}`, path)
      }
    }
  }
  visit(document, '', 0)
  return { name, written: 'json', values }
}

/** One line for each variable of the original that is set and does nothing here. */
export function namesWithoutEffectIn(
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  return namesWithoutEffect
    .filter(name => name.reported && isSet(environment[name.name]))
    .map(name => `${name.name} has ${name.note}.`)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function errorCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'unknown error'
}
