/**
 * Names to addresses that may be connected to.
 *
 * Invariant: whoever connects gets only addresses that were checked, and connects to those: there is no second look-up
 * in between, in which the name could say something else. Look-ups share two threads of the process; so at most one runs
 * per name, and many names at once are refused.
 */
import type { promises as dns, LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { parseAddress } from './address.js'
import type { AllowList } from './allow-list.js'
import { OutboundError } from './outbound-error.js'

export class Lookups {
  readonly #allowed: AllowList
  readonly #lookup: typeof dns.lookup
  readonly #lookupsMax: number
  readonly #running = new Map<string, Promise<readonly LookupAddress[]>>()

  constructor(allowed: AllowList, lookup: typeof dns.lookup, lookupsMax: number) {
    this.#allowed = allowed
    this.#lookup = lookup
    this.#lookupsMax = lookupsMax
  }

  /** For `net.connect`: answers with those addresses of the name that may be connected to. */
  readonly forConnect: LookupFunction = (name, options, answered) => {
    // An error thrown by `answered` must not end up as this promise's.
    this.#permitted(name).then(
      addresses => {
        const [first] = addresses
        if (options.all) process.nextTick(answered, null, addresses)
        else process.nextTick(answered, null, first?.address, first?.family)
      },
      error => process.nextTick(answered, error),
    )
  }

  /** At least one. Rejects with `address-refused` or `unreachable`. */
  async #permitted(name: string): Promise<readonly LookupAddress[]> {
    let found: readonly LookupAddress[]
    try {
      found = await this.#find(name)
    } catch (error) {
      if (error instanceof OutboundError) throw error
      throw new OutboundError('unreachable', `The name ${name} could not be resolved.`, error)
    }
    if (found.length === 0) throw new OutboundError('unreachable', `The name ${name} has no address.`)
    if (this.#allowed.permitsName(name.toLowerCase())) return found
    const permitted = found.filter(({ address }) => {
      const parsed = parseAddress(address)
      return parsed !== undefined && this.#allowed.permits(parsed)
    })
    if (permitted.length > 0) return permitted
    throw new OutboundError(
      'address-refused',
      `The name ${name} leads to ${found[0]?.address}, which is not a public address and not allowed here.`,
    )
  }

  #find(name: string): Promise<readonly LookupAddress[]> {
    const running = this.#running.get(name)
    if (running) return running
    if (this.#running.size >= this.#lookupsMax) {
      throw new OutboundError('unreachable', 'Too many names are being resolved at once.')
    }
    const started = this.#lookup(name, { all: true }).finally(() => this.#running.delete(name))
    this.#running.set(name, started)
    return started
  }
}
