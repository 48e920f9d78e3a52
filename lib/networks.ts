/**
 * What counts as one place on the internet. An IPv4 address is one; of IPv6 everybody has at least a network of 64 bits to
 * themselves, with more addresses than there are counters. A leaf.
 */
import { isIPv6 } from 'node:net'

const groups = 8
/** Of an address, the part that is given out. */
const networkGroups = 4

/** The network an address is counted for: itself, or the first 64 bits of an IPv6 address. Anything else stays as it is. */
export function networkOf(address: string): string {
  const plain = address.split('%')[0] ?? ''
  if (!isIPv6(plain)) return address
  // An IPv4 address at the end is beyond what counts.
  const [head = '', tail] = plain.toLowerCase().split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const width = (parts: readonly string[]): number => parts.length + (parts.at(-1)?.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? 0 : groups - width(front) - width(back)
  const all = [...front, ...Array.from({ length: zeros }, () => '0'), ...back]
  const network = all.slice(0, networkGroups).map(group => group.replace(/^0+(?=.)/, ''))
  return `${network.join(':')}::/64`
}
