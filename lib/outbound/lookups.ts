/**
 * Names to addresses that may be connected to.
 *
 * Invariant: whoever connects gets only addresses that were checked, and connects to those: there is no second look-up
 * in between, in which the name could say something else. Look-ups share half of the process's pool of threads, which is
 * four; so at most one runs per name, three per domain, and the domains take turns.
 *
 * What can go wrong: somebody's name servers do not answer. A look-up that takes long counts no more, so that others go
 * on; whoever asked for it still gets what comes of it, within the time of their request. It cannot be stopped, so not
 * many may be left behind like that.
 */
import type { promises as dns, LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { parseAddress } from './address.js'
import type { AllowList } from './allow-list.js'
import { Lanes, type Ticket } from './lanes.js'
import { OutboundError } from './outbound-error.js'

/** Look-ups under way for names of one domain: with those that take long fewer than there are threads for all. */
const perDomainMax = 2
/** Beyond them, those of one domain that have taken long. */
const longPerDomainMax = 1
/** Names of one domain that are looked up or wait for it; more are refused. */
const namesPerDomainMax = 128
/** Names that wait for their turn, of all domains. */
const waitingMax = 1_024
/** A look-up that has taken longer makes room for others, in ms. */
const longMs = 5_000

/** What goes on for the names of one domain. */
interface Domain {
  /** Those that wait, too. */
  names: number
  /** Those that have taken long and made room. */
  long: number
}

export class Lookups {
  readonly #allowed: AllowList
  readonly #lookup: typeof dns.lookup
  readonly #lookupsMax: number
  readonly #lanes: Lanes
  readonly #domains = new Map<string, Domain>()
  #long = 0
  readonly #running = new Map<string, Promise<readonly LookupAddress[]>>()

  constructor(allowed: AllowList, lookup: typeof dns.lookup, lookupsMax: number) {
    this.#allowed = allowed
    this.#lookup = lookup
    this.#lookupsMax = lookupsMax
    this.#lanes = new Lanes({ insideMax: lookupsMax, perLaneMax: perDomainMax, waitingMax })
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
    const domainName = domainOf(name)
    const domain = this.#domains.get(domainName) ?? { names: 0, long: 0 }
    if (domain.names >= namesPerDomainMax) throw tooMany()
    let enter: () => void = () => undefined
    const turn = new Promise<void>(resolve => {
      enter = resolve
    })
    const ticket = this.#lanes.take(domainName, enter)
    if (!ticket) throw tooMany()
    domain.names += 1
    this.#domains.set(domainName, domain)
    const found = turn
      .then(() => this.#lookupInTurn(name, domain, ticket))
      .finally(() => {
        ticket.leave()
        this.#running.delete(name)
        domain.names -= 1
        if (domain.names === 0) this.#domains.delete(domainName)
      })
    this.#running.set(name, found)
    return found
  }

  async #lookupInTurn(name: string, domain: Domain, ticket: Ticket): Promise<readonly LookupAddress[]> {
    let isLong = false
    const timer = setTimeout(() => {
      if (domain.long >= longPerDomainMax || this.#long >= this.#lookupsMax) return
      isLong = true
      domain.long += 1
      this.#long += 1
      ticket.leave()
    }, longMs)
    timer.unref()
    try {
      return await this.#lookup(name, { all: true })
    } finally {
      clearTimeout(timer)
      if (isLong) {
        domain.long -= 1
        this.#long -= 1
      }
    }
  }
}

/** The last two labels: whoever can make many names has them below one. */
function domainOf(name: string): string {
  return name.toLowerCase().replace(/\.$/, '').split('.').slice(-2).join('.')
}

function tooMany(): OutboundError {
  return new OutboundError('unreachable', 'Too many names are being resolved at once.')
}
