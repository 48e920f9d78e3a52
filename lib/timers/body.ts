/**
 * The body of `POST /timer` and `PUT /timer/:id`, checked in the order and with the words of Skyring, whose callers read
 * them.
 */
import { AppError } from '../errors.js'
import { dataOf } from './definition.js'
import type { TimerDefinition } from './timer.js'

/** Node's own timers go no further, and so does Skyring. */
const timeoutMsMax = 2_147_483_647

/** Methods of the http transport that carry no body. */
const bodiless: ReadonlySet<string> = new Set(['get', 'head'])

/** Throws `bad-request` with the reason. `transports` are the names that a callback may give. */
export function parseTimerBody(body: unknown, transports: ReadonlySet<string>): TimerDefinition {
  if (body === null || typeof body !== 'object') {
    throw refused('timeout is required and must be a positive number')
  }
  const { timeout, data, callback, created } = body as Record<string, unknown>
  // "5000", [5] and true are numbers to `isNaN`, and to those who send them.
  const timeoutMs = isNumberLike(timeout) ? Number(timeout) : Number.NaN
  if (timeout === undefined || timeout === null || Number.isNaN(timeoutMs) || timeoutMs < 1) {
    throw refused('timeout is required and must be a positive number')
  }
  if (timeoutMs > timeoutMsMax) {
    throw refused(`timeout must be less than or equal to ${timeoutMsMax} milliseconds`)
  }
  if (!isData(data)) throw refused(`data is required and must be a string or object. Got ${nameOf(data)}`)
  if (callback === null || typeof callback !== 'object') {
    throw refused('callback is required and must be an object')
  }
  const { transport, uri, method } = callback as Record<string, unknown>
  const text = (name: string, value: unknown): string => {
    if (typeof value === 'string') return value
    // The type that is named is that of the data.
    throw refused(`callback.${name} is required and must be a string. Got ${typeof data}`)
  }
  const parsed = {
    transport: text('transport', transport),
    uri: text('uri', uri),
    method: text('method', method),
  }
  if (!transports.has(parsed.transport)) {
    const known = [...transports].join(', ')
    throw refused(`callback.transport "${parsed.transport.slice(0, 64)}" is unknown. Known: ${known}`)
  }
  if (parsed.transport === 'http' && bodiless.has(parsed.method.toLowerCase()) && typeof data === 'string') {
    throw refused(`callback.method ${parsed.method} cannot carry data that is a string`)
  }
  const timer: { -readonly [Name in keyof TimerDefinition]: TimerDefinition[Name] } = {
    timeoutMs,
    callback: parsed,
  }
  if (data !== undefined && data !== null) timer.data = dataOf(data)
  if (typeof created === 'number' && Number.isFinite(created))
    timer.createdAtMs = Math.max(0, Math.floor(created))
  return timer
}

/** What JSON holds and becomes a number without running anything of the caller's. */
function isNumberLike(value: unknown): boolean {
  return typeof value !== 'object' || (Array.isArray(value) && value.every(part => typeof part !== 'object'))
}

function isData(data: unknown): data is string | object | undefined | null {
  if (data === undefined || data === null || typeof data === 'string') return true
  return typeof data === 'object' && !Array.isArray(data)
}

function nameOf(data: unknown): string {
  return Array.isArray(data) ? 'array' : typeof data
}

function refused(reason: string): AppError {
  return new AppError('bad-request', reason)
}
