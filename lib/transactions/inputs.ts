/**
 * What a person has entered, as the history keeps it: in a record of its own for each step, written with the answer and
 * read by nobody but the history. A step that was answered again keeps the last answer.
 *
 * Invariant: what looks like a secret is masked before it is written anywhere; the links of uploads, which open the
 * files, are left out. All inputs of a run together are bounded: beyond that, values are left out and say so.
 */
import { limits } from '../limits.js'
import type { Json } from '../partitions/entity.js'
import type { IoComponent } from '../sdk/io-call.js'

/** One answered step. */
export interface RecordedInput {
  readonly order: number
  readonly atMs: number
  /** Value of the button that was pressed, where there were several. */
  readonly choice: string | null
  readonly fields: readonly {
    readonly label: string
    /** `INPUT_TEXT`, … */
    readonly method: string
    /** Plain JSON: dates are ISO texts. */
    readonly value: Json
  }[]
}

/** Takes the place of a secret. */
export const mask = '••••••'
const tooLong = '(too long to be kept)'

const secretWords =
  /pass ?word|pass ?phrase|pass ?code|\bsecret|\btoken|api[ _-]?key|private[ _-]?key|credential|\bcvv\b|\bcvc\b|card[ _-]?number|\bpin\b|\bssn\b|social security|\botp\b/i

/** `apiKey`, `api_key` and `API key` are the same words. */
function isSecretName(name: string): boolean {
  return secretWords.test(name.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/_/g, ' '))
}

/** Record names sort by number. */
export const inputRecordName = (order: number): string => `input/${String(order).padStart(8, '0')}`

/** The inputs among the records of a transaction, in the order of their steps. */
export function inputsOf(records: ReadonlyMap<string, Json>): RecordedInput[] {
  const inputs: RecordedInput[] = []
  for (const [name, value] of records)
    if (name.startsWith('input/')) inputs.push(value as unknown as RecordedInput)
  return inputs.sort((a, b) => a.order - b.order)
}

/** What an input counts of the room for all of them. */
export function charactersOf({ fields }: RecordedInput): number {
  return fields.reduce(
    (sum, { label, value }) => sum + label.length + (value === tooLong ? 0 : JSON.stringify(value).length),
    0,
  )
}

/** What is kept of an answer; null where nothing was asked. `roomCharacters` is what is left for this run. */
export function recordedInput(
  answered: { readonly order: number; readonly atMs: number; readonly toRender: readonly IoComponent[] },
  answer: { readonly values: readonly unknown[]; readonly choice?: string | undefined },
  roomCharacters: number,
): { readonly input: RecordedInput; readonly characters: number } | null {
  const fields: RecordedInput['fields'][number][] = []
  let characters = 0
  for (const [index, { label, methodName }] of answered.toRender.entries()) {
    if (methodName.startsWith('DISPLAY_')) continue
    const value = isSecretName(label) ? mask : masked(bare(methodName, answer.values[index]))
    const length = JSON.stringify(value).length + label.length
    const fits = length <= limits.historyValueCharactersMax && characters + length <= roomCharacters
    characters += fits ? length : label.length
    fields.push({ label, method: methodName, value: fits ? value : tooLong })
  }
  const choice = answer.choice ?? null
  if (fields.length === 0 && choice === null) return null
  return { input: { order: answered.order, atMs: answered.atMs, choice, fields }, characters }
}

/** Of a file what it is, not where it lies: its address opens it. */
function bare(methodName: string, value: unknown): unknown {
  if (methodName !== 'UPLOAD_FILE') return value
  if (Array.isArray(value)) return value.map(file => bare(methodName, file))
  if (typeof value !== 'object' || value === null) return value
  const { name, type, size } = value as Record<string, unknown>
  return { name, type, size }
}

/** The same value as plain JSON, with what stands under names of secrets masked, at any depth. */
export function masked(value: unknown): Json {
  if (value === undefined || value === null) return null
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value === 'object') {
    const entries = Object.entries(value).map(([name, inner]) => [
      name,
      isSecretName(name) && inner !== null && inner !== undefined ? mask : masked(inner),
    ])
    return Object.fromEntries(entries) as Json
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : String(value)
}
