/**
 * Which addresses may be asked beyond the public ones: networks, single addresses and host names that the operator names.
 * A name that is allowed may resolve to any address, so it should be one that the operator controls.
 */
import { type Address, innerIpv4, isPublic, isWithin, type Network, parseNetwork } from './address.js'

/** Letters, digits, hyphens and underscores, parts of at most 63, in all at most 253. */
const namePattern =
  /^(\*\.)?(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/

export class AllowList {
  readonly #networks: readonly Network[]
  readonly #names: ReadonlySet<string>
  /** `.example.com` for `*.example.com`. */
  readonly #suffixes: readonly string[]

  constructor(networks: readonly Network[], names: readonly string[]) {
    this.#networks = networks
    this.#names = new Set(names.filter(name => !name.startsWith('*.')))
    this.#suffixes = names.filter(name => name.startsWith('*.')).map(name => name.slice(1))
  }

  /** Whether a connection may go to this address: it is public, or in one of the networks. */
  permits(address: Address): boolean {
    return isPublic(address) || this.#includes(address)
  }

  /** Whether this name, in lower case, may resolve to whatever it likes. */
  permitsName(name: string): boolean {
    const plain = name.endsWith('.') ? name.slice(0, -1) : name
    return this.#names.has(plain) || this.#suffixes.some(suffix => plain.endsWith(suffix))
  }

  #includes(address: Address): boolean {
    const inner = innerIpv4(address)
    return this.#networks.some(
      network => isWithin(address, network) || (inner !== undefined && isWithin(inner, network)),
    )
  }
}

/**
 * Reads entries such as `10.0.0.0/8`, `fd00::1`, `receiver.internal` and `*.example.com` (everything below, not
 * `example.com` itself).
 * @throws Error with one sentence that names the first wrong entry
 */
export function parseAllowList(entries: readonly string[]): AllowList {
  const networks: Network[] = []
  const names: string[] = []
  for (const written of entries) {
    const entry = written.trim().toLowerCase()
    const network = parseNetwork(entry)
    if (network !== undefined) networks.push(network)
    else if (isName(entry)) names.push(entry.endsWith('.') ? entry.slice(0, -1) : entry)
    else {
      throw new Error(
        `"${written}" is not a network (10.0.0.0/8), an address, a host name, or *. and a host name.`,
      )
    }
  }
  return new AllowList(networks, names)
}

/** What looks like a number to a URL (`127.1`, `0x7f`) is an address written oddly, never a name. */
function isName(entry: string): boolean {
  const plain = entry.endsWith('.') ? entry.slice(0, -1) : entry
  return namePattern.test(plain) && !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(plain)
}
