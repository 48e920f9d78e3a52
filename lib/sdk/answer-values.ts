/**
 * One value of an answer, per IO method: is it what the host expects, and is it what the host asked for?
 *
 * A wrong type fails the whole action on the host and a wrong option is looked up in vain there, so both are settled
 * here. Values come decoded and present (neither null nor undefined); props come decoded, with defaults not applied:
 * Python leaves out or nulls whatever equals its default. What is returned is built anew from known fields only.
 */
import {
  type DateParts,
  decimalsMessage,
  extensionsMessage,
  lengthMessage,
  longDate,
  longDateTime,
  messages,
  numberRangeMessage,
  protocolMessage,
  rangeMessage,
  selectionsMaxMessage,
  selectionsMinMessage,
  shortTime,
  type TimeParts,
} from './answer-messages.js'
import { isRecord } from './json.js'

export type ValueCheck = { readonly value: unknown } | { readonly message: string }
export type Props = Readonly<Record<string, unknown>>
type Check = (value: unknown, props: Props) => ValueCheck

/** The check of an input method, or undefined for one that nobody here knows. */
export function valueCheck(methodName: string): Check | undefined {
  return checks.get(methodName)
}

/** True for a present value that means "nothing entered", such as empty text. */
export function isEmptyValue(methodName: string, value: unknown): boolean {
  if (methodName === 'INPUT_RICH_TEXT') return typeof value === 'string' && isEmptyHtml(value)
  if (methodName === 'INPUT_SPREADSHEET') return Array.isArray(value) && value.length === 0
  return value === '' && textMethods.has(methodName)
}

const textMethods: ReadonlySet<string> = new Set(['INPUT_TEXT', 'INPUT_EMAIL', 'INPUT_URL', 'SEARCH'])

/** What an absent answer to a required component stands for, where there is something: an unticked box is `false`. */
export function absentValue(methodName: string): unknown {
  if (methodName === 'INPUT_BOOLEAN') return false
  return methodName === 'SELECT_MULTIPLE' || methodName === 'SELECT_TABLE' ? [] : undefined
}

const wrong: ValueCheck = { message: messages.invalid }

function text(value: unknown, props: Props): ValueCheck {
  if (typeof value !== 'string') return wrong
  const min = finite(props.minLength)
  const max = finite(props.maxLength)
  if (value.length < (min ?? 0) || value.length > (max ?? Number.POSITIVE_INFINITY)) {
    return { message: lengthMessage(min, max) }
  }
  return { value }
}

/** What browsers accept in `type="email"` (WHATWG HTML, valid e-mail address). */
const emailPattern =
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/

function email(value: unknown): ValueCheck {
  if (typeof value !== 'string') return wrong
  const address = value.trim()
  if (address.length > 320 || !emailPattern.test(address)) return { message: messages.email }
  return { value: address }
}

function number(value: unknown, props: Props): ValueCheck {
  if (typeof value !== 'number' || !Number.isFinite(value)) return { message: messages.number }
  const range = outOfRange(value, props)
  if (range !== null) return { message: range }
  const decimals = finite(props.decimals) ?? (typeof props.currency === 'string' ? 2 : 0)
  return decimalPlaces(value) > decimals ? { message: decimalsMessage(decimals) } : { value }
}

function slider(value: unknown, props: Props): ValueCheck {
  if (typeof value !== 'number' || !Number.isFinite(value)) return { message: messages.number }
  const range = outOfRange(value, props)
  return range === null ? { value } : { message: range }
}

function outOfRange(value: number, props: Props): string | null {
  const min = finite(props.min)
  const max = finite(props.max)
  if (value >= (min ?? Number.NEGATIVE_INFINITY) && value <= (max ?? Number.POSITIVE_INFINITY)) return null
  return numberRangeMessage(min, max)
}

/** Decimal places of the shortest text that reads back as this number; `1e-7` has 7. */
function decimalPlaces(value: number): number {
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const fraction = mantissa.split('.')[1]?.length ?? 0
  return Math.max(0, fraction - Number(exponent))
}

function url(value: unknown, props: Props): ValueCheck {
  if (typeof value !== 'string') return wrong
  const address = value.trim()
  if (!URL.canParse(address)) return { message: messages.url }
  const { protocol } = new URL(address)
  const protocols = texts(props.allowedProtocols) ?? ['http', 'https']
  const isAllowed = protocols.some(allowed => `${allowed.replace(/:$/, '')}:` === protocol)
  return isAllowed ? { value: address } : { message: protocolMessage(protocols) }
}

function boolean(value: unknown): ValueCheck {
  return typeof value === 'boolean' ? { value } : wrong
}

function richText(value: unknown): ValueCheck {
  return typeof value === 'string' ? { value } : wrong
}

/** True when HTML shows nothing: no text, no picture, no rule. */
function isEmptyHtml(html: string): boolean {
  if (/<(?:img|hr|video|iframe)\b/i.test(html)) return false
  return withoutTags(html).replaceAll('&nbsp;', ' ').trim() === ''
}

/** Linear, unlike the obvious pattern on a text of many `<`. */
function withoutTags(html: string): string {
  let shown = ''
  for (let at = 0; at < html.length; ) {
    const open = html.indexOf('<', at)
    if (open === -1) return shown + html.slice(at)
    shown += html.slice(at, open)
    const close = html.indexOf('>', open)
    if (close === -1) return shown
    at = close + 1
  }
  return shown
}

function date(value: unknown, props: Props): ValueCheck {
  const parts = dateParts(value)
  if (parts === null) return { message: messages.date }
  const message = outsideOf(
    dateNumber(parts),
    dateParts(props.min),
    dateParts(props.max),
    dateNumber,
    (min, max) => rangeMessage('date', min && longDate(min), max && longDate(max)),
  )
  return message === null ? { value: parts } : { message }
}

function time(value: unknown, props: Props): ValueCheck {
  const parts = timeParts(value)
  if (parts === null) return { message: messages.time }
  const message = outsideOf(
    timeNumber(parts),
    timeParts(props.min),
    timeParts(props.max),
    timeNumber,
    (min, max) => rangeMessage('time', min && shortTime(min), max && shortTime(max)),
  )
  return message === null ? { value: parts } : { message }
}

function dateTime(value: unknown, props: Props): ValueCheck {
  const parts = dateTimeParts(value)
  if (parts === null) return { message: messages.date }
  const message = outsideOf(
    dateTimeNumber(parts),
    dateTimeParts(props.min),
    dateTimeParts(props.max),
    dateTimeNumber,
    (min, max) => rangeMessage('date', min && longDateTime(min), max && longDateTime(max)),
  )
  return message === null ? { value: parts } : { message }
}

function outsideOf<Parts>(
  value: number,
  min: Parts | null,
  max: Parts | null,
  order: (parts: Parts) => number,
  message: (min: Parts | undefined, max: Parts | undefined) => string,
): string | null {
  const tooEarly = min !== null && value < order(min)
  const tooLate = max !== null && value > order(max)
  return tooEarly || tooLate ? message(min ?? undefined, max ?? undefined) : null
}

/** A day that exists, in the years 1 to 9999. */
function dateParts(value: unknown): DateParts | null {
  if (!isRecord(value)) return null
  const { year, month, day } = value
  if (!isWhole(year, 1, 9999) || !isWhole(month, 1, 12) || !isWhole(day, 1, 31)) return null
  return day <= daysIn(year, month) ? { year, month, day } : null
}

function timeParts(value: unknown): TimeParts | null {
  if (!isRecord(value)) return null
  const { hour, minute } = value
  return isWhole(hour, 0, 23) && isWhole(minute, 0, 59) ? { hour, minute } : null
}

function dateTimeParts(value: unknown): (DateParts & TimeParts) | null {
  const days = dateParts(value)
  const hours = timeParts(value)
  return days !== null && hours !== null ? { ...days, ...hours } : null
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

function dateNumber({ year, month, day }: DateParts): number {
  return (year * 12 + month) * 32 + day
}

function timeNumber({ hour, minute }: TimeParts): number {
  return hour * 60 + minute
}

function dateTimeNumber(parts: DateParts & TimeParts): number {
  return dateNumber(parts) * 1440 + timeNumber(parts)
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
}

function spreadsheet(value: unknown, props: Props): ValueCheck {
  if (!Array.isArray(value)) return wrong
  const columns = Object.entries(isRecord(props.columns) ? props.columns : {})
  const rows: Record<string, unknown>[] = []
  for (const given of value) {
    if (!isRecord(given)) return { message: messages.spreadsheet }
    const row: Record<string, unknown> = {}
    for (const [name, type] of columns) {
      const result = cell(
        Object.hasOwn(given, name) ? given[name] : undefined,
        typeof type === 'string' ? type : '',
      )
      if (result === invalidCell) return { message: messages.spreadsheet }
      if (result !== undefined) row[name] = result
    }
    rows.push(row)
  }
  return { value: rows }
}

const invalidCell = Symbol('invalid cell')

/** Undefined for an empty cell of an optional column. */
function cell(value: unknown, type: string): unknown {
  const isOptional = type.endsWith('?')
  const base = isOptional ? type.slice(0, -1) : type
  if (value === undefined || value === null || value === '') {
    if (isOptional) return undefined
    // An unticked box.
    return base === 'boolean' ? false : invalidCell
  }
  if (typeof value !== base || (typeof value === 'number' && !Number.isFinite(value))) return invalidCell
  return value
}

/** `fileUrls` are the addresses the host gave out; then only they can be where the file is. */
/** A file as the host is told of it. */
export interface FileValue {
  readonly name: string
  readonly type: string
  readonly lastModified: number
  readonly size: number
  readonly url: string
}

function file(value: unknown, props: Props): ValueCheck {
  if (!isRecord(value)) return { message: messages.file }
  const { name, type, lastModified, size, url: address } = value
  if (typeof name !== 'string' || typeof type !== 'string' || typeof address !== 'string') {
    return { message: messages.file }
  }
  if (!isWhole(size, 0, Number.MAX_SAFE_INTEGER)) return { message: messages.file }
  if (typeof lastModified !== 'number' || !Number.isFinite(lastModified)) return { message: messages.file }
  const message = fileNameMessage(name, props)
  if (message !== null) return { message }
  const offered = offeredUrls(props)
  const isOffered = offered.length === 0 ? isHttpUrl(address) : offered.includes(address)
  const sent: FileValue = { name, type, lastModified, size, url: address }
  return isOffered ? { value: sent } : { message: messages.file }
}

/** What is wrong with a file of this name, where the host takes certain endings only. */
export function fileNameMessage(name: string, props: Props): string | null {
  const extensions = texts(props.allowedExtensions) ?? []
  const lowerCaseName = name.toLowerCase()
  const fits = extensions.some(end => lowerCaseName.endsWith(withDot(end.toLowerCase())))
  return extensions.length === 0 || fits ? null : extensionsMessage(extensions)
}

function withDot(extension: string): string {
  return extension.startsWith('.') ? extension : `.${extension}`
}

function isHttpUrl(address: string): boolean {
  return URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)
}

/** The addresses a host has offered for reading what is sent. */
export function offeredUrls(props: Props): unknown[] {
  if (typeof props.downloadUrl === 'string') return [props.downloadUrl]
  if (!Array.isArray(props.fileUrls)) return []
  return props.fileUrls.map(urls => (isRecord(urls) ? urls.downloadUrl : undefined))
}

const searchValuePattern = /^(?:default|0|[1-9][0-9]{0,8}):(?:0|[1-9][0-9]{0,8})$/

/**
 * Values name a batch of results and a place in it; batches seen before stay valid, so only the newest, which is at
 * hand, can be checked for membership.
 */
function search(value: unknown, props: Props): ValueCheck {
  if (typeof value !== 'string') return wrong
  const shown = Array.isArray(props.results) ? props.results : []
  if (shown.some(result => isRecord(result) && result.value === value)) return { value }
  if (!searchValuePattern.test(value)) return { message: messages.option }
  const batch = value.slice(0, value.indexOf(':'))
  const shownBatches = shown.map(result => (isRecord(result) ? batchOf(result.value) : undefined))
  const newest = Math.max(-1, ...shownBatches.slice(0, 1000).map(Number).filter(Number.isInteger))
  const isEarlier = batch === 'default' || newest === -1 || Number(batch) < newest
  return isEarlier ? { value } : { message: messages.option }
}

function batchOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value.split(':', 1)[0] : undefined
}

interface Option {
  readonly label: unknown
  readonly value: unknown
}

function selectSingle(value: unknown, props: Props): ValueCheck {
  const chosen = chosenOption(optionIndex(props), value)
  return chosen === undefined ? { message: messages.option } : { value: chosen }
}

function selectMultiple(value: unknown, props: Props): ValueCheck {
  if (!Array.isArray(value)) return wrong
  const options = optionIndex(props)
  const chosen = new Set<Option>()
  for (const given of value) {
    const option = chosenOption(options, given)
    if (option === undefined) return { message: messages.option }
    chosen.add(option)
  }
  return selectionCount(chosen.size, props) ?? { value: [...chosen] }
}

function selectTable(value: unknown, props: Props): ValueCheck {
  if (!Array.isArray(value)) return wrong
  const keys = new Set<string>()
  for (const row of value) {
    const key = isRecord(row) ? row.key : undefined
    // Keys of rows that are not on this page are valid, so membership is left to the host, which ignores unknown ones.
    if (typeof key !== 'string' || key.length > 256) return wrong
    keys.add(key)
  }
  return selectionCount(keys.size, props) ?? { value: [...keys].map(key => ({ key })) }
}

function selectionCount(count: number, props: Props): ValueCheck | null {
  const min = finite(props.minSelections)
  const max = finite(props.maxSelections)
  if (min !== undefined && count < min) return { message: selectionsMinMessage(min) }
  if (max !== undefined && count > max) return { message: selectionsMaxMessage(max) }
  return null
}

/**
 * Hosts look options up by type and value: 1, '1' and true are three options. Anything but a primitive is none of them,
 * and is not even turned to text: it may carry a `toString` of its own.
 */
function comparable(value: unknown): string | undefined {
  if (value instanceof Date) return `date:${value.valueOf()}`
  return isPrimitive(value) ? `${typeof value}:${String(value)}` : undefined
}

/** Options are answered whole or by their value; Dates count as values. */
function chosenOption(options: ReadonlyMap<string, Option>, given: unknown): Option | undefined {
  const isObject = isRecord(given) && !(given instanceof Date)
  const comparison = comparable(isObject ? given.value : given)
  return comparison === undefined ? undefined : options.get(comparison)
}

function optionIndex(props: Props): Map<string, Option> {
  const index = new Map<string, Option>()
  for (const option of Array.isArray(props.options) ? props.options : []) {
    const { label, value } =
      isRecord(option) && !(option instanceof Date) ? option : { label: option, value: option }
    const comparison = comparable(value)
    if (comparison !== undefined) index.set(comparison, { label: label ?? value, value })
  }
  return index
}

function isPrimitive(value: unknown): boolean {
  const type = typeof value
  return type === 'string' || type === 'number' || type === 'boolean' || value instanceof Date
}

function credentials(value: unknown): ValueCheck {
  if (!isRecord(value) || typeof value.token !== 'string' || value.token === '') return wrong
  if (value.secret === undefined || value.secret === null) return { value: { token: value.token } }
  return typeof value.secret === 'string' ? { value: { token: value.token, secret: value.secret } } : wrong
}

function finite(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter(element => typeof element === 'string') : undefined
}

const checks: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['INPUT_TEXT', text],
  ['INPUT_EMAIL', email],
  ['INPUT_NUMBER', number],
  ['INPUT_SLIDER', slider],
  ['INPUT_URL', url],
  ['INPUT_BOOLEAN', boolean],
  ['INPUT_RICH_TEXT', richText],
  ['INPUT_DATE', date],
  ['INPUT_TIME', time],
  ['INPUT_DATETIME', dateTime],
  ['INPUT_SPREADSHEET', spreadsheet],
  ['UPLOAD_FILE', file],
  ['SEARCH', search],
  ['CONFIRM', boolean],
  ['CONFIRM_IDENTITY', boolean],
  ['SELECT_TABLE', selectTable],
  ['SELECT_SINGLE', selectSingle],
  ['SELECT_MULTIPLE', selectMultiple],
  ['CREDENTIALS', credentials],
])
