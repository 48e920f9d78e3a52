/**
 * What tests may change of a node's ring, from its environment: the version of the protocol between nodes that it
 * speaks, as a build before or after this one would, and detours, so that what it sends to another node passes a proxy
 * that cuts, holds back and delays. Nobody else sets either.
 */
import { formatAddress, parseAddress } from './addresses.js'

export interface RingSwitches {
  readonly protocolVersion?: number
  /** Where connections go that are meant for another address, both as `host:port`. */
  readonly detours?: ReadonlyMap<string, string>
}

/**
 * Reads INTERVAL_PROTOCOL (a number) and INTERVAL_DETOURS (`host:port=host:port`, several with commas between).
 * @throws Error naming the variable that is not understood
 */
export function parseRingSwitches(environment: Readonly<Record<string, string | undefined>>): RingSwitches {
  const { INTERVAL_PROTOCOL: protocol = '', INTERVAL_DETOURS: detours = '' } = environment
  return {
    ...(protocol !== '' && { protocolVersion: parseVersion(protocol) }),
    ...(detours !== '' && { detours: new Map(detours.split(',').map(parseDetour)) }),
  }
}

function parseVersion(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new Error('INTERVAL_PROTOCOL must be a positive number')
  return Number(text)
}

function parseDetour(text: string): [string, string] {
  const [from, to, ...rest] = text.split('=')
  if (!from || !to || rest.length > 0)
    throw new Error('INTERVAL_DETOURS must be ADDRESS=ADDRESS, several with commas between')
  return [formatAddress(parseAddress(from)), to]
}
