/**
 * Where to look for other nodes: the seeds as configured, resolved again and again, since a name may get another
 * address while this node runs (a container that was replaced, a node added behind a name).
 *
 * Resolving uses the system's resolver, which knows /etc/hosts but takes a thread of the pool that LevelDB shares for
 * as long as a name server is silent. So one name is asked for at a time, and whoever asks gets what is known after a
 * moment. Invariant: `addresses` always resolves, within its time; a seed that cannot be resolved is left out.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { AppError } from '../errors.js'
import type { Log } from '../log.js'
import { pause } from '../pause.js'
import { type Address, formatAddress, parseAddress } from './addresses.js'
import type { RingClock } from './clock.js'

/** What the healer waits for names that are slow. */
const resolveMsMax = 400
/** Of one name: more would be a mistake. */
const addressesPerNameMax = 64

export type Resolve = (name: string) => Promise<readonly string[]>

export const systemResolve: Resolve = async name =>
  (await lookup(name, { all: true })).map(({ address }) => address)

export class Seeds {
  readonly #seeds: readonly Address[]
  readonly #clock: RingClock
  readonly #log: Log
  readonly #resolve: Resolve
  /** The newest answer for each name; an answer that fails leaves the one before. */
  readonly #known = new Map<string, readonly string[]>()
  readonly #unresolved = new Set<string>()
  #round: Promise<void> | undefined

  /** Throws `bad-request` for a seed that is no address. */
  constructor(seeds: readonly string[], clock: RingClock, log: Log, resolve: Resolve = systemResolve) {
    this.#seeds = seeds.map(seed => parseAddress(seed))
    this.#clock = clock
    this.#log = log
    this.#resolve = resolve
  }

  /** Addresses of all seeds as far as they are known within a moment. */
  async addresses(): Promise<readonly Address[]> {
    this.#round ??= this.#resolveAll().finally(() => {
      this.#round = undefined
    })
    await Promise.race([this.#round, pause(this.#clock, resolveMsMax)])
    const all = this.#seeds.flatMap(({ host, port }) =>
      (isIP(host) ? [host] : (this.#known.get(host) ?? [])).map(address => ({ host: address, port })),
    )
    return [...new Map(all.map(address => [formatAddress(address), address])).values()]
  }

  async #resolveAll(): Promise<void> {
    for (const { host } of this.#seeds) {
      if (isIP(host)) continue
      try {
        this.#known.set(host, (await this.#resolve(host)).slice(0, addressesPerNameMax))
        this.#unresolved.delete(host)
      } catch (error) {
        // Once per outage, not once per second.
        if (!this.#unresolved.has(host)) {
          this.#log.warn('seed cannot be resolved', {
            seed: host,
            code: error instanceof Error && 'code' in error ? error.code : undefined,
          })
        }
        this.#unresolved.add(host)
      }
    }
  }
}

/** The IP address of `host`, which is one or a name. Rejects with `unavailable`, naming `configurationKey`. */
export async function resolveHost(
  configurationKey: string,
  host: string,
  resolve: Resolve = systemResolve,
): Promise<string> {
  if (isIP(host)) return host
  const [address] = await resolve(host).catch(() => [])
  if (address === undefined) {
    throw new AppError('unavailable', `${configurationKey}: "${host}" cannot be resolved to an address.`)
  }
  return address
}
