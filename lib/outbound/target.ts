/** Where a URL leads, as far as that can be told without resolving its name. */
import { limits } from '../limits.js'
import { parseAddress } from './address.js'
import type { AllowList } from './allow-list.js'
import { OutboundError } from './outbound-error.js'

export interface Target {
  readonly isSecure: boolean
  /** Name, or address without brackets. */
  readonly hostname: string
  readonly port: number
  /** With the query. */
  readonly path: string
  /** Value of the Host header: the port is left out where it is the default of the scheme (RFC 9110, 7.2). */
  readonly host: string
  /** Connections are kept for requests to the same origin. */
  readonly origin: string
}

/** How many URLs are remembered with where they lead, and how long they may be, in characters. */
const rememberedMax = 1_024
const rememberedCharactersMax = 512

/** Where URLs lead under one allow-list. Thousands of timers name one URL; it is read and judged once. */
export class Targets {
  readonly #allowed: AllowList
  readonly #known = new Map<string, Target>()

  constructor(allowed: AllowList) {
    this.#allowed = allowed
  }

  /** @throws as `targetOf` */
  of(url: string): Target {
    const known = this.#known.get(url)
    if (known) return known
    const target = targetOf(url, this.#allowed)
    if (this.#known.size >= rememberedMax) this.#known.clear()
    if (url.length <= rememberedCharactersMax) this.#known.set(url, target)
    return target
  }
}

/**
 * The parser is that of browsers: `http://2130706433/` and `http://0x7f.1/` are 127.0.0.1 here too, and letters outside
 * of ASCII are encoded.
 * @throws OutboundError `invalid-url`, or `address-refused` for an address that is neither public nor allowed
 */
function targetOf(url: string, allowed: AllowList): Target {
  if (typeof url !== 'string' || url === '') throw new OutboundError('invalid-url', 'The URL is empty.')
  if (url.length > limits.outboundUrlCharactersMax) {
    throw new OutboundError(
      'invalid-url',
      `The URL is longer than ${limits.outboundUrlCharactersMax} characters.`,
    )
  }
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw new OutboundError('invalid-url', 'The URL is not valid.', error)
  }
  const isSecure = parsed.protocol === 'https:'
  if (!isSecure && parsed.protocol !== 'http:')
    throw new OutboundError(
      'invalid-url',
      `Only http and https can be asked, not ${parsed.protocol.slice(0, 20).replace(':', '')}.`,
    )
  if (parsed.username !== '' || parsed.password !== '')
    throw new OutboundError('invalid-url', 'A URL with a user name or password in it is not taken.')
  const { hostname: written, host, port, pathname, search, origin } = parsed
  const hostname = written.startsWith('[') ? written.slice(1, -1) : written
  const address = parseAddress(hostname)
  if (address !== undefined && !allowed.permits(address)) {
    throw new OutboundError('address-refused', `${hostname} is not a public address and not allowed here.`)
  }
  return {
    isSecure,
    hostname,
    port: port === '' ? (isSecure ? 443 : 80) : Number(port),
    path: `${pathname}${search}`,
    host,
    origin,
  }
}
