/** What people read when an answer is not accepted. The words are a contract: suites and dashboards compare them. */

export interface DateParts {
  readonly year: number
  readonly month: number
  readonly day: number
}

export interface TimeParts {
  readonly hour: number
  readonly minute: number
}

export const messages = {
  required: 'This field is required.',
  invalid: 'Please enter a valid value.',
  unsupported: 'This field is not supported.',
  count: 'The number of values does not fit this step.',
  choice: 'Please choose one of the buttons.',
  email: 'Please enter a valid email address.',
  number: 'Please enter a valid number.',
  wholeNumber: 'Please enter a whole number.',
  url: 'Please enter a valid URL.',
  date: 'Please enter a valid date.',
  time: 'Please enter a valid time.',
  option: 'Please choose one of the options.',
  file: 'Please choose a file.',
  spreadsheet: 'There are one or more issues with the data you entered. Please check each row.',
} as const

export function lengthMessage(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) {
    return `Please enter a value with between ${min} and ${max} characters.`
  }
  return min !== undefined
    ? `Please enter a value with at least ${min} ${characters(min)}.`
    : `Please enter a value with no more than ${max} ${characters(max)}.`
}

function characters(count: number | undefined): string {
  return count === 1 ? 'character' : 'characters'
}

export function numberRangeMessage(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) return `Please enter a number between ${min} and ${max}.`
  return min !== undefined
    ? `Please enter a number greater than or equal to ${min}.`
    : `Please enter a number less than or equal to ${max}.`
}

export function decimalsMessage(decimals: number): string {
  if (decimals === 0) return messages.wholeNumber
  return `Please enter a number with up to ${decimals} decimal ${decimals === 1 ? 'place' : 'places'}.`
}

export function protocolMessage(protocols: readonly string[]): string {
  const last = protocols.at(-1) ?? ''
  const list = protocols.length > 1 ? `${protocols.slice(0, -1).join(', ')} or ${last}` : last
  return `The URL must begin with ${list}.`
}

export function selectionsMinMessage(min: number): string {
  return `Please make at least ${min} ${min === 1 ? 'selection' : 'selections'}.`
}

export function selectionsMaxMessage(max: number): string {
  return `Please make no more than ${max} ${max === 1 ? 'selection' : 'selections'}.`
}

export function extensionsMessage(extensions: readonly string[]): string {
  return `Please choose a file of type ${extensions.join(', ')}.`
}

/** `noun` is `date` or `time`; the ends are texts already. */
export function rangeMessage(
  noun: 'date' | 'time',
  min: string | undefined,
  max: string | undefined,
): string {
  if (min !== undefined && max !== undefined) return `Please enter a ${noun} between ${min} and ${max}.`
  return min !== undefined
    ? `Please enter a ${noun} on or after ${min}.`
    : `Please enter a ${noun} on or before ${max}.`
}

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/** `July 20, 2022`. */
export function longDate({ year, month, day }: DateParts): string {
  return `${months[month - 1] ?? month} ${day}, ${year}`
}

/** `1:05 PM`. */
export function shortTime({ hour, minute }: TimeParts): string {
  return `${hour % 12 === 0 ? 12 : hour % 12}:${String(minute).padStart(2, '0')} ${hour < 12 ? 'AM' : 'PM'}`
}

/** `July 20, 2022, 1:05 PM`. */
export function longDateTime(parts: DateParts & TimeParts): string {
  return `${longDate(parts)}, ${shortTime(parts)}`
}
