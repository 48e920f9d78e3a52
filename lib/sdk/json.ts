/**
 * JSON from outside, bounded: nothing bigger, deeper or other than expected gets past this file.
 *
 * `JSON.parse` itself does not recurse, but whatever walks its result does, so depth is bounded before parsing, by a
 * scan that jumps over strings (most bytes of a large frame are one base64 string).
 *
 * Keys that name the prototype. `JSON.parse` makes `__proto__` an ordinary own property; it turns dangerous when a
 * later `copy[key] = value` sets a prototype with it. No SDK sends that key in a frame, so a frame that has it is
 * refused (`prototypeKeys: 'refuse'`). Inside string-encoded JSON (IO calls, page layouts, results) it may be user
 * data, so there the one key is dropped and the rest is kept (`'strip'`). `constructor` and `prototype` are ordinary
 * words in people's tables and are kept: nothing here looks up a method by a name from outside in a plain object, and
 * nothing merges deeply.
 */
import { isUtf8 } from 'node:buffer'
import { AppError } from '../errors.js'

export interface ParseJsonOptions {
  /** Of the UTF-8 form. */
  readonly bytesMax: number
  /** Levels of arrays and objects: `[]` is 1, a bare number 0. Infinity skips the scan. */
  readonly depthMax: number
  /** What is done about the key `__proto__`; `refuse` unless said otherwise. */
  readonly prototypeKeys?: 'refuse' | 'strip'
}

/** Parses JSON. Throws `too-large`, or `invalid-frame` for anything that is not JSON within the bounds. */
export function parseJson(input: string | Buffer, options: ParseJsonOptions): unknown {
  const text =
    typeof input === 'string' ? boundedText(input, options.bytesMax) : decode(input, options.bytesMax)
  if (options.depthMax !== Number.POSITIVE_INFINITY && depthExceeds(text, options.depthMax)) {
    throw new AppError('invalid-frame', `The JSON is nested deeper than ${options.depthMax} levels.`)
  }
  const value = parse(text)
  if (mayNamePrototype(text)) stripPrototypeKeys(value, options.prototypeKeys !== 'strip')
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The engine's message quotes the input; it is not passed on.
    throw new AppError('invalid-frame', 'The text is not valid JSON.')
  }
}

function boundedText(text: string, bytesMax: number): string {
  // A UTF-16 unit takes 1 to 3 bytes of UTF-8; only texts between the two bounds are measured.
  if (text.length > bytesMax || (text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax)) {
    throw tooLarge(bytesMax)
  }
  return text
}

function decode(bytes: Buffer, bytesMax: number): string {
  if (bytes.length > bytesMax) throw tooLarge(bytesMax)
  if (!isUtf8(bytes)) throw new AppError('invalid-frame', 'The text is not valid UTF-8.')
  return bytes.toString('utf8')
}

function tooLarge(bytesMax: number): AppError {
  return new AppError('too-large', `The message is larger than ${bytesMax} bytes.`)
}

const quote = 0x22
const backslash = 0x5c

/**
 * True when the text nests deeper than `depthMax`. Never wrong for valid JSON; for invalid JSON it only has to end,
 * since the parser refuses that anyway.
 */
export function depthExceeds(text: string, depthMax: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfString(text, at + 1)
      if (at === -1) return false
    } else if ((code | 0x20) === 0x7b) {
      // `{` or `[`: they differ in the bit 0x20 only, and so do `}` and `]`.
      if (++depth > depthMax) return true
    } else if ((code | 0x20) === 0x7d) depth--
  }
  return false
}

/** Where the string that begins at `from` (after its quote) ends, or -1. */
function endOfString(text: string, from: number): number {
  let end = text.indexOf('"', from)
  while (end !== -1 && text.charCodeAt(end - 1) === backslash) {
    let backslashes = 1
    while (text.charCodeAt(end - 1 - backslashes) === backslash) backslashes++
    if (backslashes % 2 === 0) break
    end = text.indexOf('"', end + 1)
  }
  return end
}

/** A key `__proto__` is spelled out, or has at least one of its ASCII letters escaped as `\u00…`. */
function mayNamePrototype(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00')
}

/** Drops own `__proto__` keys, or throws at the first. Without recursion: depth may be unbounded. */
function stripPrototypeKeys(root: unknown, refuse: boolean): void {
  const waiting: unknown[] = [root]
  for (let value = waiting.pop(); value !== undefined || waiting.length > 0; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue
    if (Object.hasOwn(value, '__proto__')) {
      if (refuse) throw new AppError('invalid-frame', 'The key "__proto__" is not allowed.')
      Reflect.deleteProperty(value, '__proto__')
    }
    for (const child of Object.values(value)) {
      if (typeof child === 'object' && child !== null) waiting.push(child)
    }
  }
}

/** True for objects that JSON makes: neither null nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
