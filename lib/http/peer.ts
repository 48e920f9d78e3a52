/**
 * Where a request comes from, and whether another site made the browser send it. What a proxy says of that is believed
 * only from the addresses that the operator has named.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

export interface Peer {
  /** Of the one who asks, as far as it can be known. */
  address(request: IncomingMessage): string
  /** Origins under which the browser may know us for this request. */
  sameOrigin(request: IncomingMessage, origin: string): boolean
}

/** `trustedProxies`: addresses and networks, e.g. `127.0.0.1`, `10.0.0.0/8`, or `loopback`. Throws on anything else. */
export function createPeer(options: {
  trustedProxies: readonly string[]
  appUrl?: string | undefined
}): Peer {
  const trusted = new BlockList()
  for (const text of options.trustedProxies) addTo(trusted, text)
  const appOrigin = options.appUrl === undefined ? undefined : new URL(options.appUrl).origin

  const isTrusted = (address: string): boolean => {
    const version = isIP(address)
    return version !== 0 && trusted.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }
  const direct = (request: IncomingMessage): string => plain(request.socket.remoteAddress ?? '')

  return {
    address(request) {
      let address = direct(request)
      const hops = String(request.headers['x-forwarded-for'] ?? '')
        .split(',')
        .map(hop => plain(hop.trim()))
        .reverse()
      // From the nearest outwards: the first that we do not trust is the one who asks.
      for (const hop of hops) {
        if (!isTrusted(address) || isIP(hop) === 0) break
        address = hop
      }
      return address || 'unknown'
    },
    sameOrigin(request, origin) {
      if (appOrigin !== undefined) return origin === appOrigin
      const forwarded = isTrusted(direct(request)) ? request.headers['x-forwarded-host'] : undefined
      const host = (typeof forwarded === 'string' ? forwarded : request.headers.host)?.toLowerCase()
      return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
    },
  }
}

function addTo(list: BlockList, text: string): void {
  if (text === 'loopback') {
    list.addSubnet('127.0.0.0', 8)
    list.addAddress('::1', 'ipv6')
    return
  }
  const [address = '', bits] = text.trim().split('/')
  const version = isIP(address)
  const prefix = bits === undefined ? undefined : Number(bits)
  const widest = version === 6 ? 128 : 32
  if (
    version === 0 ||
    (prefix !== undefined && !(Number.isInteger(prefix) && prefix >= 0 && prefix <= widest))
  ) {
    throw new Error(`"${text}" is not an address or a network`)
  }
  const family = version === 6 ? 'ipv6' : 'ipv4'
  if (prefix === undefined) list.addAddress(address, family)
  else list.addSubnet(address, prefix, family)
}

/** IPv4 in IPv6 clothes becomes plain IPv4. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address
}
