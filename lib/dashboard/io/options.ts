/** Options of the select methods: labels and values are any primitive or a date, and are sent back as they came. */

import { formatDateTime } from '../format.js'
import { isRecord, labelText, type Props, recordsOf, textOf } from '../props.js'
import { imageOf } from './picture.js'

export interface Option {
  /** Exactly what the host sent, for the answer. */
  original: Record<string, unknown>
  label: string
  value: unknown
  description: string | undefined
  image: unknown
}

export function optionsOf(props: Props): Option[] {
  return recordsOf(props, 'options').map(original => ({
    original,
    label: labelText(original.label ?? original.value, formatDateTime),
    value: original.value,
    description: textOf(original, 'description'),
    image: imageOf(original),
  }))
}

/** Same type and same value; dates by their moment. */
export function isSameValue(a: unknown, b: unknown): boolean {
  if (a instanceof Date && b instanceof Date) return a.getTime() === b.getTime()
  return Object.is(a, b)
}

/** Index of the option that a default names, by itself or as `{label, value}`; -1 when there is none. */
export function indexOfDefault(options: readonly Option[], wanted: unknown): number {
  if (wanted === null || wanted === undefined) return -1
  const value = isRecord(wanted) && !(wanted instanceof Date) ? wanted.value : wanted
  return options.findIndex(option => isSameValue(option.value, value))
}

/** What is wrong with a number of selections, or null. Nothing chosen in an optional field is never wrong. */
export function selectionsProblem(count: number, props: Props, isOptional: boolean): string | null {
  const min = typeof props.minSelections === 'number' ? props.minSelections : 0
  const max = typeof props.maxSelections === 'number' ? props.maxSelections : Number.POSITIVE_INFINITY
  if (count === 0 && isOptional) return null
  const times = (wanted: number) => `${wanted} selection${wanted === 1 ? '' : 's'}`
  if (count < min) return `Please make at least ${times(min)}.`
  if (count > max) return `Please make no more than ${times(max)}.`
  return null
}
