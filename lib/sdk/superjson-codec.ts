/**
 * superjson, as far as answers and props need it.
 *
 * Reading is our own: the format is small, and the library's reader trusts its input (it allocates typed arrays of a
 * named length, walks sets by index, follows references into cycles). Here only leaf types are revived, the rest is
 * refused in answers and left as it is in props; references are ignored, since without `dedupe` (no SDK sets it) the
 * JSON holds every copy. Writing uses the library, so that hosts get exactly what they expect.
 *
 * The SDKs since 0.38 tag text of the form `HH:MM:SS` as custom type `time`, which revives to the same text. The tag is
 * understood here but never written: 0.21 does not know it and would fail the action, and the others need none.
 */
import { SuperJSON } from 'superjson'
import { AppError } from '../errors.js'
import { isRecord } from './json.js'

export interface Encoded {
  readonly json: unknown
  /** Absent when plain JSON says it all. */
  readonly meta?: unknown
}

const levelsMax = 128
const bigintDigitsMax = 1_000

/** Copies `json` and revives what `meta` names. `refuse`: throws `invalid-value` at types that answers never have. */
export function decodeSuperjson(json: unknown, meta: unknown, unknownTypes: 'refuse' | 'keep'): unknown {
  const root = { value: copy(json, 0) }
  const annotations = isRecord(meta) ? meta.values : undefined
  if (annotations !== undefined && annotations !== null) {
    new Reviver(root, unknownTypes === 'refuse').visit(annotations, ['value'], 0)
  }
  return root.value
}

class Reviver {
  readonly #root: object
  readonly #refuses: boolean

  constructor(root: object, refuses: boolean) {
    this.#root = root
    this.#refuses = refuses
  }

  /** A tree is `[type]`, `[type, {path: tree}]` or `{path: tree}`; children come before their parent. */
  visit(tree: unknown, path: readonly string[], level: number): void {
    // Nothing lies that deep; a longer path would only cost time, once for each of its children.
    if (level > levelsMax || path.length > levelsMax) throw invalid('is nested too deep')
    if (Array.isArray(tree)) {
      this.#children(tree[1], path, level)
      this.#revive(tree[0], path)
    } else this.#children(tree, path, level)
  }

  #children(children: unknown, path: readonly string[], level: number): void {
    if (!isRecord(children)) return
    for (const key of Object.keys(children))
      this.visit(children[key], [...path, ...parsePath(key)], level + 1)
  }

  #revive(type: unknown, path: readonly string[]): void {
    const parent = path.slice(0, -1).reduce<unknown>(child, this.#root)
    const key = path.at(-1) ?? ''
    if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, key)) {
      if (this.#refuses) throw invalid('names a place that is not there')
      return
    }
    const revived = revive(type, Reflect.get(parent, key))
    if (revived !== unsupported) Reflect.set(parent, key, revived)
    else if (this.#refuses) throw invalid('has a type that is not allowed here')
  }
}

function child(parent: unknown, key: string): unknown {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, key)) return undefined
  return Reflect.get(parent, key)
}

const unsupported = Symbol('unsupported')

function revive(type: unknown, value: unknown): unknown {
  if (Array.isArray(type)) return type[0] === 'custom' && type[1] === 'time' ? value : unsupported
  switch (type) {
    case 'undefined':
      return undefined
    case 'Date':
      return typeof value === 'string' ? new Date(value) : unsupported
    case 'bigint':
      return typeof value === 'string' && value.length <= bigintDigitsMax && /^-?[0-9]+$/.test(value)
        ? BigInt(value)
        : unsupported
    case 'number':
      return value === 'NaN' || value === 'Infinity' || value === '-Infinity' || value === '-0'
        ? Number(value)
        : unsupported
    default:
      return unsupported
  }
}

/** `a.b` is two steps; a dot in a key is written `\.`. */
function parsePath(key: string): string[] {
  if (!key.includes('.')) return [key]
  return key.split(/(?<!\\)\./).map(step => step.replaceAll('\\.', '.'))
}

function copy(value: unknown, level: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (level > levelsMax) throw invalid('is nested too deep')
  if (Array.isArray(value)) return value.map(element => copy(element, level + 1))
  const record: Record<string, unknown> = {}
  for (const [key, element] of Object.entries(value)) {
    if (key !== '__proto__') record[key] = copy(element, level + 1)
  }
  return record
}

function invalid(what: string): AppError {
  return new AppError('invalid-value', `The superjson meta ${what}.`)
}

/** Writes values for a host. Text, numbers and the like alone, which most answers are, need no library. */
export function encodeSuperjson(values: readonly unknown[]): Encoded {
  if (values.every(isPlain)) return { json: values }
  // An instance of its own: the library's shared one could have been given transformers by anybody in the process.
  return new SuperJSON().serialize(values)
}

function isPlain(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  return typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0)
}
