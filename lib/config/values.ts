/**
 * Turns what was written (text of a flag or a variable, JSON of a file) into the value of a key, or says in half a
 * sentence what is allowed. Text is read leniently (`yes`, `on`, `1`), JSON strictly: a file that says `"3000"` where a
 * number belongs has a mistake in it.
 */
import { isIP } from 'node:net'
import { Secret } from '../log.js'
import { parseAllowList } from '../outbound/index.js'
import type { Key, KeyPath, KeyType, keys } from './keys.js'

interface ValueByType {
  port: number
  integer: number
  boolean: boolean
  text: string
  choice: string
  list: readonly string[]
  words: readonly string[]
  destinations: readonly string[]
  seeds: readonly string[]
  url: string
  secret: Secret
}

type ValueOf<K> = K extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : K extends { readonly type: infer Type extends KeyType; readonly default: infer Default }
    ? ValueByType[Type] | (Default extends null ? null : never)
    : never

/** The value of every key, by path. */
export type Values = { readonly [Path in KeyPath]: ValueOf<(typeof keys)[Path]> }

export type Parsed = { readonly value: unknown } | { readonly allowed: string }

/** What a key allows, as half a sentence. */
export function allowedFor(key: Key): string {
  switch (key.type) {
    case 'port':
      return `a port from 0 to ${key.maximum ?? 65_535}`
    case 'integer':
      return `a whole number from ${key.minimum ?? 0} to ${key.maximum ?? Number.MAX_SAFE_INTEGER}`
    case 'boolean':
      return 'true or false'
    case 'choice':
      return `one of ${(key.choices ?? []).join(', ')}`
    case 'list':
      return 'a list of addresses or networks, with commas'
    case 'words':
      return 'a list of texts, with commas'
    case 'destinations':
      return 'a list of networks, addresses and host names, with commas'
    case 'seeds':
      return 'a list of host or host:port, with commas'
    case 'url':
      return 'an address like https://interval.example.com, without a path'
    case 'secret':
      return key.lengthMin === undefined ? 'text' : `at least ${key.lengthMin} characters`
    case 'text':
      return 'text'
  }
}

/** `written` is how the value arrived: as text, where types must be read from it, or as JSON, which has types. */
export function parseValue(path: KeyPath, key: Key, raw: unknown, written: 'text' | 'json'): Parsed {
  const allowed = allowedFor(key)
  const isUntypedText = typeof raw === 'string' && written === 'text'
  switch (key.type) {
    case 'port':
    case 'integer': {
      const number = isUntypedText && /^\d{1,15}$/.test(raw.trim()) ? Number(raw) : raw
      const isAllowed =
        typeof number === 'number' &&
        Number.isInteger(number) &&
        number >= (key.minimum ?? 0) &&
        number <= (key.maximum ?? 65_535)
      return isAllowed ? { value: number } : { allowed }
    }
    case 'boolean': {
      if (typeof raw === 'boolean') return { value: raw }
      const word = isUntypedText ? raw.trim().toLowerCase() : ''
      if (['true', 'yes', 'on', '1'].includes(word)) return { value: true }
      if (['false', 'no', 'off', '0'].includes(word)) return { value: false }
      return { allowed }
    }
    case 'choice':
      return typeof raw === 'string' && key.choices?.includes(raw) ? { value: raw } : { allowed }
    case 'text':
      return isText(raw) ? { value: raw } : { allowed }
    case 'url':
      return parseUrl(raw, allowed)
    case 'list':
    case 'seeds': {
      const words = splitList(raw)
      if (words === null) return { allowed }
      const parse = key.type === 'seeds' ? parseSeed : parseNetwork
      const items = words.map(parse)
      return items.includes(null) ? { allowed } : { value: Object.freeze(items) }
    }
    case 'words': {
      const words = splitList(raw)
      return words?.every(isText) ? { value: Object.freeze(words) } : { allowed }
    }
    case 'destinations': {
      const words = splitList(raw)
      if (words === null) return { allowed }
      try {
        parseAllowList(words)
      } catch (error) {
        return { allowed: `${allowed}; ${(error as Error).message.replace(/\.$/, '')}` }
      }
      return { value: Object.freeze(words) }
    }
    case 'secret': {
      if (!isText(raw)) return { allowed }
      if (raw.length < (key.lengthMin ?? 1)) return { allowed }
      if (path === 'smtp:url') {
        return /^smtps?:\/\/./.test(raw) && URL.canParse(raw)
          ? { value: new Secret(raw) }
          : { allowed: 'an address like smtp://user:password@mail.example.com:587' }
      }
      if (path !== 'database:url') return { value: new Secret(raw) }
      return /^postgres(ql)?:\/\/./.test(raw) && URL.canParse(raw)
        ? { value: new Secret(raw) }
        : { allowed: 'an address like postgres://user:password@host:5432/name' }
    }
  }
}

function isText(raw: unknown): raw is string {
  return typeof raw === 'string' && raw.trim() !== '' && !/[\0\r\n]/.test(raw)
}

/** An origin: scheme, host and port. A path would be dropped in silence somewhere later, so it is refused here. */
function parseUrl(raw: unknown, allowed: string): Parsed {
  if (!isText(raw) || !URL.canParse(raw)) return { allowed }
  const address = new URL(raw)
  const isOrigin =
    (address.protocol === 'https:' || address.protocol === 'http:') &&
    address.pathname === '/' &&
    address.search === '' &&
    address.hash === '' &&
    address.username === '' &&
    address.password === ''
  return isOrigin ? { value: address.origin } : { allowed }
}

function splitList(raw: unknown): string[] | null {
  const parts = Array.isArray(raw) ? raw : [raw]
  if (!parts.every(part => typeof part === 'string')) return null
  return parts
    .flatMap(part => part.split(','))
    .map(word => word.trim())
    .filter(word => word !== '')
}

/** `host`, `host:port`, `[::1]:port` → always with a port. Null when it is none of these. */
function parseSeed(word: string): string | null {
  const found = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]@]+)(?::(\d{1,5}))?$/.exec(word)
  const host = found?.[1]
  if (host === undefined) return null
  if (host.startsWith('[') && isIP(host.slice(1, -1)) !== 6) return null
  const port = Number(found?.[2] ?? 3455)
  return port >= 1 && port <= 65_535 ? `${host}:${port}` : null
}

/** An address, `address/bits`, or `loopback`. */
function parseNetwork(word: string): string | null {
  if (word === 'loopback') return word
  const [address = '', bits, ...rest] = word.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return null
  if (bits === undefined) return word
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128) ? word : null
}
